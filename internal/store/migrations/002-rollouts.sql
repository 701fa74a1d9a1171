-- The journal. A row is on disk before the step it announces is taken (ROLL-6). Bodies are JSON of package rollout's records.
CREATE TABLE rollouts (
  id         TEXT PRIMARY KEY,
  plan_id    TEXT NOT NULL,
  state      TEXT NOT NULL,
  dry_run    INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  body       BLOB NOT NULL,
  schedule   BLOB NOT NULL  -- zstd; written once
) STRICT;
CREATE INDEX rollouts_plan ON rollouts(plan_id);

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
CREATE INDEX rollout_hosts_host ON rollout_hosts(host);

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

-- What operators at other terminals want; the engine with the lease carries it out.
CREATE TABLE rollout_commands (
  rollout TEXT NOT NULL REFERENCES rollouts(id),
  seq     INTEGER NOT NULL,
  body    BLOB NOT NULL,
  PRIMARY KEY (rollout, seq)
) STRICT, WITHOUT ROWID;

-- Who runs the engine. The epoch grows with each owner and never goes back, so that a late writer is refused.
CREATE TABLE rollout_leases (
  rollout    TEXT PRIMARY KEY, -- taken before the rollout is recorded
  epoch      INTEGER NOT NULL,
  owner      BLOB NOT NULL,
  renewed_at TEXT NOT NULL,
  released   INTEGER NOT NULL
) STRICT;
