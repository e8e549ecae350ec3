-- A page of paths as of a snapshot: what stands there, and what is owed. $version is put in as a number.
WITH present AS (
    SELECT * FROM files AT (VERSION => $version) WHERE starts_with(path, $prefix) AND ($after IS NULL OR path > $after)
),
debts AS (
    SELECT
        path,
        bool_or(quarantined_at IS NOT NULL) AS quarantined,
        arg_max(reason, touched_at) AS reason,
        arg_max(last_error, touched_at) AS error
    FROM owed AT (VERSION => $version)
    WHERE starts_with(path, $prefix) AND ($after IS NULL OR path > $after)
    GROUP BY path
),
chosen AS (
    -- Only the page itself is joined with the rest.
    SELECT path FROM (
        SELECT f.path
        FROM present f
        WHERE ($state IS NULL OR $state = 'in_step')
          AND ($state IS NULL OR f.path NOT IN (SELECT path FROM debts))
        UNION
        SELECT path FROM debts
        WHERE $state IS NULL OR $state = CASE WHEN quarantined THEN 'quarantined' ELSE 'owed' END
    )
    ORDER BY path
    LIMIT $limit
)
SELECT
    c.path,
    f.path IS NOT NULL AS present,
    CASE WHEN d.path IS NULL THEN 'in_step' WHEN d.quarantined THEN 'quarantined' ELSE 'owed' END AS state,
    f.size,
    f.internal_id,
    f.permissions,
    f.owner,
    f.group_name,
    f.content_type,
    f.confirmed_at,
    d.reason,
    d.error
FROM chosen c
LEFT JOIN present f ON f.path = c.path
LEFT JOIN debts d ON d.path = c.path
ORDER BY c.path
