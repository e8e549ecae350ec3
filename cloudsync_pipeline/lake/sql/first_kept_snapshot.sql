-- The oldest snapshot that must stay: the least of those that somebody needs.
WITH snapshots AS (
    SELECT snapshot_id, snapshot_time::TIMESTAMPTZ AS made
    FROM __ducklake_metadata_lake.ducklake_snapshot
),
needed AS (
    SELECT max(snapshot_id) AS snapshot_id FROM snapshots

    UNION ALL

    -- The state at the beginning of the kept time; where the lake is younger, its first one.
    SELECT coalesce(max(snapshot_id) FILTER (WHERE made <= $kept), min(snapshot_id)) FROM snapshots

    UNION ALL

    SELECT min(base_snapshot) FROM plans WHERE closed_at IS NULL

    UNION ALL

    -- The state that a run found when it began.
    SELECT coalesce(max(s.snapshot_id), 0)
    FROM runs r
    LEFT JOIN snapshots s ON s.made <= r.started_at
    WHERE r.finished_at IS NULL AND r.started_at > $abandoned
    GROUP BY r.run_id
)
SELECT min(snapshot_id) FROM needed
