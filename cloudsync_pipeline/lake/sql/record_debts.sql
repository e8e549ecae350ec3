-- Which debts a batch of outcomes (`results`) pays, and which it leaves, now that `files` is as it is.

-- Content that is confirmed now is no debt any more; content that is not equal is one, wherever a file came to
-- stand or turned out to be missing. What was named since the storage was last asked, or turned out to be otherwise
-- there, is not paid by what was known of it before.
-- (Each table is asked for these paths alone, before it is joined: else all of it is built into a hash table.)
CREATE OR REPLACE TEMP TABLE looked_at AS
WITH p AS MATERIALIZED (
    SELECT path, bool_or(status = 'skipped') AS skipped
    FROM (SELECT path, status FROM results
          UNION ALL SELECT new_path, status FROM results WHERE new_path IS NOT NULL)
    GROUP BY path)
SELECT p.path, o.key IS NOT NULL AS wanted,
       (o.key IS NULL AND f.path IS NULL)
           OR coalesce(f.size = o.size AND f.source_etag = o.etag, false) AS equal,
       w.path IS NOT NULL AS owed,
       w.path IS NOT NULL AND w.observed_at IS NOT NULL AND NOT p.skipped AS payable
FROM p
LEFT JOIN (SELECT key, size, etag FROM objects WHERE key IN (SELECT path FROM p)) o ON o.key = p.path
LEFT JOIN (SELECT path, size, source_etag FROM files WHERE path IN (SELECT path FROM p)) f ON f.path = p.path
LEFT JOIN owed w ON w.path = p.path AND w.aspect = 'content';

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
