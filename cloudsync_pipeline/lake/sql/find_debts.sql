-- What a batch of outcomes (`results`, `files_now`) left of its paths in `objects`, `files` and `owed`: `looked_at`.
--
-- Each table is asked for these paths alone, before it is joined: else all of it is built into a hash table. And `files`
-- is asked for none that the batch itself just wrote, which of most batches are all.

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
LEFT JOIN (
    SELECT path, size, source_etag FROM files_now
    UNION ALL
    SELECT path, size, source_etag FROM files
    WHERE path IN (SELECT path FROM p ANTI JOIN files_now USING (path))
) f ON f.path = p.path
LEFT JOIN owed w ON w.path = p.path AND w.aspect = 'content';
