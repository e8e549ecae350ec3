-- What of a batch of outcomes (`results`) was not done stays owed and says why; what was skipped has to be looked at
-- again.

CREATE OR REPLACE TEMP TABLE unpaid AS
SELECT p.path, p.aspect, any_value(p.status) AS status, any_value(p.error) AS error,
       any_value(p.error_kind) AS error_kind, max(p.try_after) AS try_after
FROM (
    SELECT path, status, error, error_kind, try_after,
           CASE WHEN kind IN ('set_permissions', 'read_permissions') THEN 'permissions' ELSE 'content' END AS aspect
    FROM results WHERE status <> 'done'
    UNION ALL
    SELECT new_path, status, error, error_kind, try_after, 'content'
    FROM results WHERE status <> 'done' AND new_path IS NOT NULL
) p
GROUP BY p.path, p.aspect;

UPDATE owed
SET attempts = attempts + CASE WHEN u.status = 'skipped' THEN 0 ELSE 1 END,
    last_error = u.error,
    last_error_kind = u.error_kind,
    next_try = u.try_after,
    touched_at = CASE WHEN u.status = 'skipped' THEN $now ELSE touched_at END,
    observed_at = CASE WHEN u.status = 'skipped' THEN NULL ELSE observed_at END
FROM unpaid u
WHERE u.path = owed.path AND u.aspect = owed.aspect;
