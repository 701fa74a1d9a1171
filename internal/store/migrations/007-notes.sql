-- What people left with a rollout: remarks, handovers, and whether an engine of its own is to run it (ROLL-16). Appended only.
CREATE TABLE rollout_notes (
  rollout TEXT NOT NULL REFERENCES rollouts(id),
  seq     INTEGER NOT NULL,
  body    BLOB NOT NULL,
  PRIMARY KEY (rollout, seq)
) STRICT, WITHOUT ROWID;
