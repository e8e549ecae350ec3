-- A batch of outcomes, in the temporary table `results`, into `outcomes`, `files` and `owed`. The steps build
-- on each other: first what is known of the files, then which debts that pays.

INSERT INTO outcomes (op_id, plan_id, kind, path, new_path, status, ended_at, internal_id, size, etag, version_id,
                      bytes_sent, seconds, attempts, error, error_kind, retryable, run_id)
SELECT op_id, plan_id, kind, path, new_path, status, ended_at, internal_id, size, etag, version_id,
       bytes_sent, seconds, attempts, error, error_kind, retryable, $run_id
FROM results;

-- Files as they are now, from what was acknowledged. A file that was found with unknown content has no source ETag.
CREATE OR REPLACE TEMP TABLE files_now AS
SELECT r.path,
       coalesce(r.internal_id, f.internal_id) AS internal_id,
       r.size,
       CASE WHEN r.found THEN NULL ELSE r.etag END AS source_etag,
       CASE WHEN r.found THEN NULL ELSE r.version_id END AS source_version_id,
       r.fingerprint_kind, r.fingerprint_value,
       CASE WHEN r.permissions_known THEN r.permissions ELSE f.permissions END AS permissions,
       CASE WHEN r.permissions_known THEN r.owner ELSE f.owner END AS owner,
       CASE WHEN r.permissions_known THEN r.group_name ELSE f.group_name END AS group_name,
       r.permissions_known OR coalesce(f.permissions_known, false) AS permissions_known,
       r.content_type,
       coalesce(f.created_at, r.ended_at) AS created_at,
       r.ended_at AS confirmed_at,
       r.op_id
FROM results r LEFT JOIN files f ON f.path = r.path
WHERE r.kind IN ('create', 'update') AND (r.status = 'done' OR r.found)
UNION ALL
SELECT r.new_path, coalesce(r.internal_id, f.internal_id), coalesce(f.size, r.size), r.etag, r.version_id,
       coalesce(f.fingerprint_kind, r.fingerprint_kind), coalesce(f.fingerprint_value, r.fingerprint_value),
       CASE WHEN r.permissions_known THEN r.permissions ELSE f.permissions END,
       CASE WHEN r.permissions_known THEN r.owner ELSE f.owner END,
       CASE WHEN r.permissions_known THEN r.group_name ELSE f.group_name END,
       r.permissions_known OR coalesce(f.permissions_known, false),
       coalesce(f.content_type, r.content_type), coalesce(f.created_at, r.ended_at), r.ended_at, r.op_id
FROM results r LEFT JOIN files f ON f.path = r.path
WHERE r.kind = 'move' AND r.status = 'done'
UNION ALL
SELECT f.path, f.internal_id, f.size, f.source_etag, f.source_version_id, f.fingerprint_kind, f.fingerprint_value,
       r.permissions, r.owner, r.group_name, true, f.content_type, f.created_at, f.confirmed_at, f.op_id
FROM results r JOIN files f ON f.path = r.path
WHERE r.kind IN ('set_permissions', 'read_permissions') AND r.status = 'done';

DELETE FROM files
WHERE path IN (
    SELECT path FROM files_now
    UNION ALL SELECT path FROM results WHERE kind IN ('delete', 'move') AND status = 'done'
    UNION ALL SELECT path FROM results WHERE gone
);

INSERT INTO files (path, internal_id, size, source_etag, source_version_id, fingerprint_kind, fingerprint_value,
                   permissions, owner, group_name, permissions_known, content_type, created_at, confirmed_at, op_id)
SELECT path, internal_id, size, source_etag, source_version_id, fingerprint_kind, fingerprint_value,
       permissions, owner, group_name, permissions_known, content_type, created_at, confirmed_at, op_id
FROM files_now;

-- Permissions that are asked for, and their debts, follow moves and go with deletes. Moves of one stage are
-- independent, so a path is not both left and reached here.
CREATE OR REPLACE TEMP TABLE carried AS
SELECT r.new_path AS path, p.permissions, p.owner, p.group_name, p.since, p.event_identity
FROM desired_permissions p JOIN results r ON r.path = p.path
WHERE r.kind = 'move' AND r.status = 'done';

DELETE FROM desired_permissions
WHERE path IN (SELECT path FROM results WHERE kind IN ('move', 'delete') AND status = 'done')
   OR path IN (SELECT path FROM carried);

INSERT INTO desired_permissions (path, permissions, owner, group_name, since, event_identity)
SELECT path, permissions, owner, group_name, since, event_identity FROM carried;

CREATE OR REPLACE TEMP TABLE carried_debts AS
SELECT r.new_path AS path, w.since, w.touched_at, w.observed_at, w.reason, w.attempts, w.next_try, w.last_error,
       w.last_error_kind, w.quarantined_at
FROM owed w JOIN results r ON r.path = w.path
WHERE w.aspect = 'permissions' AND r.kind = 'move' AND r.status = 'done';

DELETE FROM owed
WHERE aspect = 'permissions'
  AND (path IN (SELECT path FROM results WHERE kind IN ('move', 'delete') AND status = 'done')
       OR path IN (SELECT path FROM carried_debts)
       OR path IN (SELECT path FROM results
                   WHERE kind IN ('set_permissions', 'read_permissions') AND status = 'done'));

INSERT INTO owed (path, aspect, since, touched_at, observed_at, reason, attempts, next_try, last_error,
                  last_error_kind, quarantined_at)
SELECT path, 'permissions', since, touched_at, observed_at, reason, attempts, next_try, last_error,
       last_error_kind, quarantined_at
FROM carried_debts;

-- Content that is confirmed now is no debt any more; content that is not equal is one, wherever a file came to
-- stand or turned out to be missing.
CREATE OR REPLACE TEMP TABLE looked_at AS
SELECT DISTINCT p.path, o.key IS NOT NULL AS wanted,
       (o.key IS NULL AND f.path IS NULL)
           OR coalesce(f.size = o.size AND f.source_etag = o.etag, false) AS paid,
       w.path IS NOT NULL AS owed
FROM (SELECT path FROM results UNION ALL SELECT new_path FROM results WHERE new_path IS NOT NULL) p
LEFT JOIN objects o ON o.key = p.path
LEFT JOIN files f ON f.path = p.path
LEFT JOIN owed w ON w.path = p.path AND w.aspect = 'content';

DELETE FROM owed WHERE aspect = 'content' AND path IN (SELECT path FROM looked_at WHERE paid);

INSERT INTO owed (path, aspect, since, touched_at, observed_at, reason, attempts)
SELECT path, 'content', $now, $now, $now, CASE WHEN wanted THEN 'missing in the file manager' ELSE 'left over' END, 0
FROM looked_at
WHERE NOT paid AND NOT owed;

-- What failed stays owed and says why; what was skipped has to be looked at again.
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
    touched_at = CASE WHEN u.status = 'skipped' THEN $now ELSE touched_at END
FROM unpaid u
WHERE u.path = owed.path AND u.aspect = owed.aspect;
