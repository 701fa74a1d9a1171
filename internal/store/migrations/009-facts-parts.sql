-- Plans read the facts of all hosts, so the rows are kept short: the times of packages, which no plan asks for, are elsewhere, and what
-- many hosts say in the same bytes is there once. Facts from before keep all of their JSON in the row (common is NULL) until the host is asked again.
CREATE TABLE facts_common (
  id     INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE,   -- sha256 of body
  body   BLOB NOT NULL           -- JSON
) STRICT;

CREATE TABLE install_times (
  host  TEXT PRIMARY KEY,
  times BLOB NOT NULL            -- varints in the order of the package list
) STRICT;
INSERT INTO install_times SELECT host, install_times FROM facts;

CREATE TABLE facts_parts (
  host             TEXT PRIMARY KEY,
  collected_at     TEXT NOT NULL,
  machine_id       TEXT NOT NULL,
  installed_digest TEXT NOT NULL,
  common           INTEGER REFERENCES facts_common(id),
  body             BLOB NOT NULL -- JSON: what facts_common has not; packages left out
) STRICT;
INSERT INTO facts_parts SELECT host, collected_at, machine_id, installed_digest, NULL, body FROM facts ORDER BY host;
DROP TABLE facts;
ALTER TABLE facts_parts RENAME TO facts;
CREATE INDEX facts_machine ON facts(machine_id);
CREATE INDEX facts_common_used ON facts(common);
