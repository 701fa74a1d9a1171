-- What a host had before a transaction: the result is judged against it, also by a process that was not there at the start.
CREATE TABLE transactions (
  id        TEXT PRIMARY KEY,
  host      TEXT NOT NULL,
  digest    TEXT NOT NULL,       -- of the installed set before, in table installed
  unmet     BLOB NOT NULL,       -- JSON: unmet dependencies before
  put_at    TEXT NOT NULL
) STRICT;
