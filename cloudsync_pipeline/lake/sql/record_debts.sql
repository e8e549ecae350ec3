-- Which debts a batch of outcomes (`results`) pays, and which it leaves, by what `find_debts` found.

-- Content that is confirmed now is no debt any more; content that is not equal is one, wherever a file came to
-- stand or turned out to be missing. What was named since the storage was last asked, or turned out to be otherwise
-- there, is not paid by what was known of it before.
DELETE FROM owed
WHERE (aspect = 'content' AND path IN (SELECT path FROM looked_at WHERE equal AND payable))
   OR (aspect = 'permissions'
       AND path IN (SELECT path FROM results
                    WHERE kind IN ('set_permissions', 'read_permissions') AND status = 'done'));

CREATE OR REPLACE TEMP TABLE new_debts_of_files AS
SELECT path, 'content' AS aspect, CASE WHEN wanted THEN 'missing in the file manager' ELSE 'left over' END AS reason
FROM looked_at
WHERE NOT equal AND NOT owed;

INSERT INTO owed (path, aspect, since, touched_at, observed_at, reason, attempts)
SELECT path, aspect, $now, $now, $now, reason, 0 FROM new_debts_of_files;
