-- Which machine answered under which name, and since when (INV-9): the same name with another machine-id is a rebuilt host, the same
-- machine-id under another name a renamed one.
CREATE TABLE identities (
  host       TEXT NOT NULL,
  machine_id TEXT NOT NULL,
  since      TEXT NOT NULL,    -- when it was first seen after another one, or at all
  last_seen  TEXT NOT NULL,
  current    INTEGER NOT NULL, -- 1 for the one that answered last under this name
  PRIMARY KEY (host, machine_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX identities_machine ON identities(machine_id);
INSERT INTO identities SELECT host, machine_id, collected_at, collected_at, 1 FROM facts WHERE machine_id NOT IN ('', 'uninitialized');

-- What a host had before is void for another machine. Empty: recorded before this column existed.
ALTER TABLE transactions ADD COLUMN machine_id TEXT NOT NULL DEFAULT '';
CREATE INDEX transactions_host ON transactions(host, put_at);
