-- What a plan wants to know of identities is which are not plain: of names under which several machines answered, and of machines that answered under
-- several names. To count them took as long as reading the facts of a fleet.
ALTER TABLE identities ADD COLUMN shared INTEGER NOT NULL DEFAULT 0; -- 1 for all of such a name and all of such a machine
UPDATE identities SET shared = 1 WHERE host IN (SELECT host FROM identities GROUP BY host HAVING count(*) > 1)
  OR machine_id IN (SELECT machine_id FROM identities GROUP BY machine_id HAVING count(*) > 1);
CREATE INDEX identities_shared ON identities(host) WHERE shared = 1;

-- To hand over a value takes longer than to find it: what a plan reads of a host is one text. The number is empty where facts are in one piece (format 8).
ALTER TABLE facts ADD COLUMN planned TEXT
  GENERATED ALWAYS AS (coalesce(common, '') || char(10) || collected_at || char(10) || installed_digest || char(10) || machine_id) VIRTUAL;
DROP INDEX facts_plan;
CREATE INDEX facts_planned ON facts(host, planned);
