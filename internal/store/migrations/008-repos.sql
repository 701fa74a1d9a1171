-- How far each repository has come, so that metadata that goes backwards is seen (SEC-6).
CREATE TABLE repos_seen (
  repo   TEXT PRIMARY KEY,
  path   TEXT NOT NULL,
  digest TEXT NOT NULL,              -- of repomd.xml
  made   TEXT NOT NULL,              -- the newest time stamp in it
  seen   TEXT NOT NULL               -- when a plan was made from it
) STRICT;
