-- A page of operations and what became of them; the newest outcome of one counts.
WITH planned AS (
    SELECT o.*, p.made_at, p.run_id AS planned_by, p.closed_at IS NOT NULL AS closed
    FROM operations o
    JOIN plans p ON p.plan_id = o.plan_id
    WHERE ($run_id IS NULL OR p.run_id = $run_id)
      AND (starts_with(o.path, $prefix) OR starts_with(coalesce(o.new_path, ''), $prefix))
      AND (
          $planned_at IS NULL
          OR p.made_at < $planned_at
          OR (p.made_at = $planned_at AND o.plan_id > $plan_id)
          OR (p.made_at = $planned_at AND o.plan_id = $plan_id AND o.seq > $seq)
      )
),
ended AS (
    SELECT * FROM outcomes
    QUALIFY row_number() OVER (PARTITION BY op_id ORDER BY ended_at DESC) = 1
),
told AS (
    SELECT
        o.op_id,
        o.plan_id,
        o.planned_by,
        o.seq,
        o.made_at,
        o.kind,
        o.path,
        o.new_path,
        o.size,
        coalesce(e.status, CASE WHEN o.held THEN 'held' WHEN o.closed THEN 'dropped' ELSE 'open' END) AS status,
        e.ended_at,
        e.bytes_sent,
        e.seconds,
        e.attempts,
        e.error,
        e.error_kind
    FROM planned o
    LEFT JOIN ended e ON e.op_id = o.op_id
)
SELECT * FROM told
WHERE $status IS NULL OR status = $status
ORDER BY made_at DESC, plan_id, seq
LIMIT $limit
