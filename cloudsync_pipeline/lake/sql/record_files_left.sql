-- What a batch (`results`, `files_now`) replaced, moved away or deleted.

DELETE FROM files
WHERE path IN (
    SELECT path FROM files_now
    UNION ALL SELECT path FROM results WHERE kind IN ('delete', 'move') AND status = 'done'
    UNION ALL SELECT path FROM results WHERE gone
);
