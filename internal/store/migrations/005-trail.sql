-- The audit trail (AUDIT-8): one chain of lines, written in the transaction of what they tell. Only new lines may come, each behind
-- the last; package trail says how a digest is made.
CREATE TABLE trail (
  seq     INTEGER PRIMARY KEY,
  at      TEXT NOT NULL,
  actor   TEXT NOT NULL,
  action  TEXT NOT NULL,
  rollout TEXT NOT NULL,
  subject TEXT NOT NULL,         -- host, wave or scope
  body    TEXT NOT NULL,         -- JSON
  changes TEXT NOT NULL,         -- digest in trail_changes, or empty
  prev    TEXT NOT NULL,
  digest  TEXT NOT NULL
) STRICT;
CREATE INDEX trail_rollout ON trail(rollout, subject);

-- What hosts lost and got, once for all lines that say the same.
CREATE TABLE trail_changes (
  digest TEXT PRIMARY KEY,
  body   BLOB NOT NULL           -- zstd of JSON
) STRICT;

-- The last line: lines taken off the end show.
CREATE TABLE trail_head (
  id     INTEGER PRIMARY KEY CHECK (id = 1),
  seq    INTEGER NOT NULL,
  digest TEXT NOT NULL
) STRICT;
INSERT INTO trail_head VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE TRIGGER trail_no_update BEFORE UPDATE ON trail BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER trail_no_delete BEFORE DELETE ON trail BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER trail_in_order BEFORE INSERT ON trail
  WHEN NOT EXISTS (SELECT 1 FROM trail_head WHERE seq + 1 = NEW.seq AND digest = NEW.prev)
  BEGIN SELECT RAISE(ABORT, 'a line of the audit trail goes behind the last one'); END;
CREATE TRIGGER trail_head_follows AFTER INSERT ON trail
  BEGIN UPDATE trail_head SET seq = NEW.seq, digest = NEW.digest WHERE id = 1; END;
CREATE TRIGGER trail_changes_no_update BEFORE UPDATE ON trail_changes BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER trail_changes_no_delete BEFORE DELETE ON trail_changes BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER trail_changes_no_replace BEFORE INSERT ON trail_changes
  WHEN EXISTS (SELECT 1 FROM trail_changes WHERE digest = NEW.digest)
  BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER trail_head_no_delete BEFORE DELETE ON trail_head BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER trail_head_no_insert BEFORE INSERT ON trail_head BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER trail_head_grows BEFORE UPDATE ON trail_head
  WHEN NEW.seq <> OLD.seq + 1 OR NOT EXISTS (SELECT 1 FROM trail WHERE seq = NEW.seq AND digest = NEW.digest)
  BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
