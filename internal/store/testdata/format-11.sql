PRAGMA user_version = 11;
CREATE TABLE installed (
  digest   TEXT PRIMARY KEY,     -- sha256 over the sorted lines "NEVRA header"
  packages BLOB NOT NULL         -- zstd of JSON, install times left out
) STRICT;
CREATE TABLE contacts (
  host     TEXT PRIMARY KEY,
  tried_at TEXT NOT NULL,
  ok       INTEGER NOT NULL,
  kind     TEXT NOT NULL,        -- the kind of the error, empty when ok
  error    TEXT NOT NULL
) STRICT;
CREATE TABLE headers (
  digest TEXT PRIMARY KEY,
  blob   BLOB NOT NULL           -- zstd
) STRICT;
CREATE TABLE plans (
  id       TEXT PRIMARY KEY,
  saved_at TEXT NOT NULL,
  body     BLOB NOT NULL         -- zstd of the file's bytes
) STRICT;
CREATE TABLE rollouts (
  id         TEXT PRIMARY KEY,
  plan_id    TEXT NOT NULL,
  state      TEXT NOT NULL,
  dry_run    INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  body       BLOB NOT NULL,
  schedule   BLOB NOT NULL  -- zstd; written once
) STRICT;
CREATE TABLE rollout_waves (
  rollout TEXT NOT NULL REFERENCES rollouts(id),
  wave    INTEGER NOT NULL,
  body    BLOB NOT NULL,
  PRIMARY KEY (rollout, wave)
) STRICT, WITHOUT ROWID;
CREATE TABLE rollout_hosts (
  rollout TEXT NOT NULL REFERENCES rollouts(id),
  host    TEXT NOT NULL,
  state   TEXT NOT NULL,
  body    BLOB NOT NULL,
  PRIMARY KEY (rollout, host)
) STRICT, WITHOUT ROWID;
CREATE TABLE rollout_events (
  rollout TEXT NOT NULL REFERENCES rollouts(id),
  seq     INTEGER NOT NULL,
  body    BLOB NOT NULL,
  PRIMARY KEY (rollout, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE rollout_approvals (
  rollout TEXT NOT NULL REFERENCES rollouts(id),
  seq     INTEGER NOT NULL,
  body    BLOB NOT NULL,
  PRIMARY KEY (rollout, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE rollout_commands (
  rollout TEXT NOT NULL REFERENCES rollouts(id),
  seq     INTEGER NOT NULL,
  body    BLOB NOT NULL,
  PRIMARY KEY (rollout, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE rollout_leases (
  rollout    TEXT PRIMARY KEY, -- taken before the rollout is recorded
  epoch      INTEGER NOT NULL,
  owner      BLOB NOT NULL,
  renewed_at TEXT NOT NULL,
  released   INTEGER NOT NULL
) STRICT;
CREATE TABLE transactions (
  id        TEXT PRIMARY KEY,
  host      TEXT NOT NULL,
  digest    TEXT NOT NULL,       -- of the installed set before, in table installed
  unmet     BLOB NOT NULL,       -- JSON: unmet dependencies before
  put_at    TEXT NOT NULL
, machine_id TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE identities (
  host       TEXT NOT NULL,
  machine_id TEXT NOT NULL,
  since      TEXT NOT NULL,    -- when it was first seen after another one, or at all
  last_seen  TEXT NOT NULL,
  current    INTEGER NOT NULL, shared INTEGER NOT NULL DEFAULT 0, -- 1 for the one that answered last under this name
  PRIMARY KEY (host, machine_id)
) STRICT, WITHOUT ROWID;
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
CREATE TABLE trail_changes (
  digest TEXT PRIMARY KEY,
  body   BLOB NOT NULL           -- zstd of JSON
) STRICT;
CREATE TABLE trail_head (
  id     INTEGER PRIMARY KEY CHECK (id = 1),
  seq    INTEGER NOT NULL,
  digest TEXT NOT NULL
) STRICT;
CREATE TABLE approval_requests (
  nonce   TEXT PRIMARY KEY,
  rollout TEXT NOT NULL REFERENCES rollouts(id),
  body    BLOB NOT NULL,              -- the text to be signed
  user    TEXT NOT NULL,              -- who asked for it
  made_at TEXT NOT NULL,
  used_at TEXT NOT NULL DEFAULT ''    -- when an approval was recorded with it; '' until then
) STRICT;
CREATE TABLE rollout_notes (
  rollout TEXT NOT NULL REFERENCES rollouts(id),
  seq     INTEGER NOT NULL,
  body    BLOB NOT NULL,
  PRIMARY KEY (rollout, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE repos_seen (
  repo   TEXT PRIMARY KEY,
  path   TEXT NOT NULL,
  digest TEXT NOT NULL,              -- of repomd.xml
  made   TEXT NOT NULL,              -- the newest time stamp in it
  seen   TEXT NOT NULL               -- when a plan was made from it
) STRICT;
CREATE TABLE facts_common (
  id     INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE,   -- sha256 of body
  body   BLOB NOT NULL           -- JSON
) STRICT;
CREATE TABLE install_times (
  host  TEXT PRIMARY KEY,
  times BLOB NOT NULL            -- varints in the order of the package list
) STRICT;
CREATE TABLE "facts" (
  host             TEXT PRIMARY KEY,
  collected_at     TEXT NOT NULL,
  machine_id       TEXT NOT NULL,
  installed_digest TEXT NOT NULL,
  common           INTEGER REFERENCES facts_common(id),
  body             BLOB NOT NULL -- JSON: what facts_common has not; packages left out
, planned TEXT
  GENERATED ALWAYS AS (coalesce(common, '') || char(10) || collected_at || char(10) || installed_digest || char(10) || machine_id) VIRTUAL) STRICT;
INSERT INTO installed VALUES ('old', X'28B52FFD040005030002C61217A0A52D00A6BD9EAA53A62F9734598BAAE3AA8B2A002C0681A10AC45E455A94482CCE2140E88E94E77A7B91383497E6B6297B980E11EEF5B09D7AD2E2E022B6296AE03531B6B1B89C000806000892D0034440DD90096EB008E9C8A61E7A55CF93');
INSERT INTO contacts VALUES ('web01', '2026-03-01T02:03:04.000000005Z', 1, '', '');
INSERT INTO contacts VALUES ('web02', '2026-03-01T02:03:04.000000005Z', 1, '', '');
INSERT INTO contacts VALUES ('web03', '2026-03-01T02:03:04.000000005Z', 1, '', '');
INSERT INTO headers VALUES ('aa', X'28B52FFD04004100006120686561646572C2E18629');
INSERT INTO plans VALUES ('golden-plan', '2026-03-01T02:03:04.000000000Z', X'28B52FFD04003100006120706C616E3E1BF31C');
INSERT INTO rollouts VALUES ('20260301-020304-c0ffee00', 'golden-plan', 'running', 0, '2026-03-01T02:03:04.000000000Z', CAST('{"id":"20260301-020304-c0ffee00","plan_id":"golden-plan","plan_type":"update","digest":"2afe1427c46a9da34feba28946e1e21b82fbbe4f3637d8cf9ee8c88aef8fb669","expires_at":"2100-01-01T00:00:00Z","state":"running","user":"ann","quorum_met":true,"command_seq":0,"created_at":"2026-03-01T02:03:04Z","updated_at":"2026-03-01T02:03:04Z"}' AS BLOB), X'28B52FFD6447036D0D00F25C502050672B0038A3982A6526B59DD878DA3F86280210E2D1E2CCE6B9548E08005405CF0B0482D292D69C242BE92EB495B080837034A415A51989A28C564D400A89C14A37E460566002B2020C44756303553A5F43CBA45C107DA82BB3C641F3B5AB68B6ABED14A8802982F029D0129FAB3222495142AE426E8764449D6087D071C39E2EF1C5C98A44C7EF05162B10CAF9F482296BEC447CDFCF66533EAD372B7DFAECD6ECFB860AAB3DE34CE90CC086618A888F518AB55BDC333A4F4A41E8C4E7300E4319E93918F65460B55B4FA7DFD7A64F67507E5F692F8F215843C895C6F704C0747C6E31B3D8C5FE7018864ACFE16AA0B4E206D52CBE4EB0E2E9F00CF6022CE9D3D31472DBD7D86B76F3F4C1F74D3E0DF604CC7CB1AFBD30478190BF3F93B3F99E5286EB0BC39EC24E347C3AF6B452E99E1E193600B11994CBF7EC2122C3E68B29001644019A530AAA9B5B108BA6989578D809614C9453B78603F48063AC8436811790DD06326968E013440C7C01DB119C0C7C81BDC145831D8B31F38E8DED819A6D986F6E2E1776808801470CCE03C7C0285A7318B90614231E98C101AE98EC1A0658D529DCD98402600FDA43');
INSERT INTO rollout_waves VALUES ('20260301-020304-c0ffee00', 0, CAST('{"index":0,"state":"passed","started_at":"2026-03-01T02:03:04Z","passed_at":"2026-03-01T02:03:04Z"}' AS BLOB));
INSERT INTO rollout_waves VALUES ('20260301-020304-c0ffee00', 1, CAST('{"index":1,"state":"running","started_at":"2026-03-01T02:03:04Z"}' AS BLOB));
INSERT INTO rollout_waves VALUES ('20260301-020304-c0ffee00', 2, CAST('{"index":2,"state":"pending","started_at":"2026-03-01T02:03:04Z"}' AS BLOB));
INSERT INTO rollout_hosts VALUES ('20260301-020304-c0ffee00', 'web01', 'ok', CAST('{"host":"web01","state":"ok","wave":0,"attempt":1,"tx_id":"20260301-020304-c0ffee00/web01/1","began":true,"tx_at":"2026-03-01T02:03:04Z","updated":"2026-03-01T02:03:04Z"}' AS BLOB));
INSERT INTO rollout_hosts VALUES ('20260301-020304-c0ffee00', 'web02', 'transacting', CAST('{"host":"web02","state":"transacting","wave":1,"attempt":1,"tx_id":"20260301-020304-c0ffee00/web02/1","began":true,"tx_at":"2026-03-01T02:03:04Z","updated":"2026-03-01T02:03:04Z"}' AS BLOB));
INSERT INTO rollout_hosts VALUES ('20260301-020304-c0ffee00', 'web03', 'pending', CAST('{"host":"web03","state":"pending","wave":2,"attempt":1,"updated":"2026-03-01T02:03:04Z"}' AS BLOB));
INSERT INTO rollout_events VALUES ('20260301-020304-c0ffee00', 1, CAST('{"at":"2026-03-01T02:03:04Z","rollout":"20260301-020304-c0ffee00","kind":"host","wave":1,"host":"web02","from":"waiting_lock","to":"transacting","on":"start","attempt":1}' AS BLOB));
INSERT INTO rollout_leases VALUES ('20260301-020304-c0ffee00', 1, CAST('{"user":"ann","host":"ops1","pid":7,"boot_id":"gone","since":"2026-03-01T02:03:04Z"}' AS BLOB), '2026-03-01T02:03:04.000000000Z', 0);
INSERT INTO transactions VALUES ('20260301-020304-c0ffee00/web01/1', 'web01', 'old', CAST('["p1 needs libfoo"]' AS BLOB), '2026-03-01T02:03:04.000000000Z', 'm-web01');
INSERT INTO transactions VALUES ('20260301-020304-c0ffee00/web02/1', 'web02', 'old', CAST('["p1 needs libfoo"]' AS BLOB), '2026-03-01T02:03:04.000000000Z', 'm-web02');
INSERT INTO identities VALUES ('web01', 'm-web01', '2026-03-01T02:03:04.000000005Z', '2026-03-01T02:03:04.000000005Z', 1, 0);
INSERT INTO identities VALUES ('web02', 'm-web02', '2026-03-01T02:03:04.000000005Z', '2026-03-01T02:03:04.000000005Z', 1, 0);
INSERT INTO identities VALUES ('web03', 'm-web03', '2026-03-01T02:03:04.000000005Z', '2026-03-01T02:03:04.000000005Z', 1, 0);
INSERT INTO trail VALUES (1, '2026-03-01T02:03:04.000000000Z', 'ann', 'engine.started', '20260301-020304-c0ffee00', '', '{"user":"ann","host":"ops1","pid":7,"boot_id":"gone","since":"2026-03-01T02:03:04Z","epoch":1}', '', '0000000000000000000000000000000000000000000000000000000000000000', '2e507aca9215797710d3097db583c800f60dfa7d9a844135eadc2d21611bc6b9');
INSERT INTO trail VALUES (2, '2026-03-01T02:03:04.000000000Z', 'ann', 'rollout.created', '20260301-020304-c0ffee00', '', '{"record":{"id":"20260301-020304-c0ffee00","plan_id":"golden-plan","plan_type":"update","digest":"2afe1427c46a9da34feba28946e1e21b82fbbe4f3637d8cf9ee8c88aef8fb669","expires_at":"2100-01-01T00:00:00Z","state":"running","user":"ann","quorum_met":true,"command_seq":0,"created_at":"2026-03-01T02:03:04Z","updated_at":"2026-03-01T02:03:04Z"},"hosts":3,"waves":3}', '', '2e507aca9215797710d3097db583c800f60dfa7d9a844135eadc2d21611bc6b9', '5a614139acec82917678173256dc55bb789121b067c8be2a04d2b8f5debab2c1');
INSERT INTO trail_head VALUES (1, 2, '5a614139acec82917678173256dc55bb789121b067c8be2a04d2b8f5debab2c1');
INSERT INTO facts_common VALUES (1, '46655c49a34504d1049c4fefc7d7c9d059700e8cae576f90550de2c08394601c', CAST('{"source":"","os":{"id":"","version_id":""},"arch":"","kernel":"","rpm_version":"","packages":null,"keys":null,"failed_units":[],"systemd":false,"reboot":null,"modules":null,"holds":null,"repositories":null,"updaters":null,"managers":null,"lock":null,"notes":["a \u001b[31mnote"]}' AS BLOB));
INSERT INTO install_times VALUES ('web01', X'0204');
INSERT INTO install_times VALUES ('web02', X'0204');
INSERT INTO install_times VALUES ('web03', X'0204');
INSERT INTO facts VALUES ('web01', '2026-03-01T02:03:04.000000005Z', 'm-web01', 'old', 1, CAST('{"host":"web01","collected_at":"2026-03-01T02:03:04.000000005Z","machine_id":"m-web01","boot_id":"","boot_time":0,"database":{"fingerprint":""},"installed_digest":"old","disk":null}' AS BLOB));
INSERT INTO facts VALUES ('web02', '2026-03-01T02:03:04.000000005Z', 'm-web02', 'old', 1, CAST('{"host":"web02","collected_at":"2026-03-01T02:03:04.000000005Z","machine_id":"m-web02","boot_id":"","boot_time":0,"database":{"fingerprint":""},"installed_digest":"old","disk":null}' AS BLOB));
INSERT INTO facts VALUES ('web03', '2026-03-01T02:03:04.000000005Z', 'm-web03', 'old', 1, CAST('{"host":"web03","collected_at":"2026-03-01T02:03:04.000000005Z","machine_id":"m-web03","boot_id":"","boot_time":0,"database":{"fingerprint":""},"installed_digest":"old","disk":null}' AS BLOB));
CREATE TRIGGER trail_changes_no_delete BEFORE DELETE ON trail_changes BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER trail_changes_no_replace BEFORE INSERT ON trail_changes
  WHEN EXISTS (SELECT 1 FROM trail_changes WHERE digest = NEW.digest)
  BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER trail_changes_no_update BEFORE UPDATE ON trail_changes BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER trail_head_follows AFTER INSERT ON trail
  BEGIN UPDATE trail_head SET seq = NEW.seq, digest = NEW.digest WHERE id = 1; END;
CREATE TRIGGER trail_head_grows BEFORE UPDATE ON trail_head
  WHEN NEW.seq <> OLD.seq + 1 OR NOT EXISTS (SELECT 1 FROM trail WHERE seq = NEW.seq AND digest = NEW.digest)
  BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER trail_head_no_delete BEFORE DELETE ON trail_head BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER trail_head_no_insert BEFORE INSERT ON trail_head BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER trail_in_order BEFORE INSERT ON trail
  WHEN NOT EXISTS (SELECT 1 FROM trail_head WHERE seq + 1 = NEW.seq AND digest = NEW.prev)
  BEGIN SELECT RAISE(ABORT, 'a line of the audit trail goes behind the last one'); END;
CREATE TRIGGER trail_no_delete BEFORE DELETE ON trail BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER trail_no_update BEFORE UPDATE ON trail BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE INDEX facts_machine ON facts(machine_id);
CREATE INDEX facts_common_used ON facts(common);
CREATE INDEX facts_planned ON facts(host, planned);
CREATE INDEX rollouts_plan ON rollouts(plan_id);
CREATE INDEX rollout_hosts_host ON rollout_hosts(host);
CREATE INDEX identities_machine ON identities(machine_id);
CREATE INDEX transactions_host ON transactions(host, put_at);
CREATE INDEX trail_rollout ON trail(rollout, subject);
CREATE INDEX contacts_failed ON contacts(host) WHERE ok = 0;
CREATE INDEX identities_shared ON identities(host) WHERE shared = 1;
