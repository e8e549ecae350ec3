SELECT happened_at, what, kind, detail, other, run_id
FROM (
    SELECT
        received_at AS happened_at,
        'event' AS what,
        coalesce(event_type, 'malformed') AS kind,
        coalesce(malformed_reason, 'received') AS detail,
        CASE WHEN key = $path THEN new_key ELSE key END AS other,
        run_id
    FROM events
    WHERE key = $path OR new_key = $path

    UNION ALL

    SELECT
        ended_at AS happened_at,
        'operation' AS what,
        kind,
        concat_ws(': ', status, error_kind, error) AS detail,
        CASE WHEN path = $path THEN new_path ELSE path END AS other,
        run_id
    FROM outcomes
    WHERE path = $path OR new_path = $path

    UNION ALL

    SELECT
        since AS happened_at,
        'owed' AS what,
        aspect AS kind,
        concat_ws(': ', reason, last_error_kind, last_error) AS detail,
        hint AS other,
        NULL AS run_id
    FROM owed
    WHERE path = $path
)
ORDER BY happened_at DESC, what
LIMIT $limit
