-- Requests for approvals, as they were made here: a signature of a text that is not here, or was used, is no approval (SEC-2).
CREATE TABLE approval_requests (
  nonce   TEXT PRIMARY KEY,
  rollout TEXT NOT NULL REFERENCES rollouts(id),
  body    BLOB NOT NULL,              -- the text to be signed
  user    TEXT NOT NULL,              -- who asked for it
  made_at TEXT NOT NULL,
  used_at TEXT NOT NULL DEFAULT ''    -- when an approval was recorded with it; '' until then
) STRICT;
