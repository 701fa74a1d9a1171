-- What hosts reported. A package list is kept once for all hosts that have the same (design 6): facts hold its digest.
CREATE TABLE installed (
  digest   TEXT PRIMARY KEY,     -- sha256 over the sorted lines "NEVRA header"
  packages BLOB NOT NULL         -- zstd of JSON, install times left out
) STRICT;

CREATE TABLE facts (
  host             TEXT PRIMARY KEY,
  collected_at     TEXT NOT NULL,
  machine_id       TEXT NOT NULL,
  installed_digest TEXT NOT NULL,
  body             BLOB NOT NULL, -- JSON, packages left out
  install_times    BLOB NOT NULL  -- varints in the order of the package list
) STRICT;
CREATE INDEX facts_machine ON facts(machine_id);

-- The last time a host was asked, and how that ended: facts alone cannot tell "unreachable" from "old".
CREATE TABLE contacts (
  host     TEXT PRIMARY KEY,
  tried_at TEXT NOT NULL,
  ok       INTEGER NOT NULL,
  kind     TEXT NOT NULL,        -- the kind of the error, empty when ok
  error    TEXT NOT NULL
) STRICT;

-- Immutable headers by their digest, each checked against it before it came here (FACT-3).
CREATE TABLE headers (
  digest TEXT PRIMARY KEY,
  blob   BLOB NOT NULL           -- zstd
) STRICT;

CREATE TABLE plans (
  id       TEXT PRIMARY KEY,
  saved_at TEXT NOT NULL,
  body     BLOB NOT NULL         -- zstd of the file's bytes
) STRICT;
