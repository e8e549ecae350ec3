SELECT
    CASE
        WHEN f.path IS NULL THEN 'only in the storage'
        WHEN o.key IS NULL THEN 'only in the file manager'
        WHEN o.etag IS DISTINCT FROM f.source_etag THEN 'another version'
        ELSE 'same version'
    END AS state,
    count(*) AS paths,
    sum(coalesce(o.size, f.size))::BIGINT AS bytes,
    count(w.path) AS owed
FROM objects o
FULL JOIN files f ON f.path = o.key
LEFT JOIN (SELECT DISTINCT path FROM owed) w ON w.path = coalesce(o.key, f.path)
GROUP BY state
ORDER BY state
