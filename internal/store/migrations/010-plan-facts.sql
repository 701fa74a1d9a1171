-- A plan reads something of every host: what it reads stands together here, a tenth of the pages of the rows themselves.
CREATE INDEX facts_plan ON facts(host, collected_at, machine_id, installed_digest, common);
CREATE INDEX contacts_failed ON contacts(host) WHERE ok = 0;
