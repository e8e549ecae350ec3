-- A batch of outcomes, in the temporary table `results`, into `outcomes`, and `files_now` from them and what `find_files`
-- found. What moves and deletes take with them, and which debts are paid, follows in the scripts `record_moves`,
-- `record_deletes` and `record_debts`.

INSERT INTO outcomes (op_id, plan_id, kind, path, new_path, status, ended_at, internal_id, size, etag, version_id,
                      bytes_sent, seconds, attempts, error, error_kind, retryable, run_id)
SELECT op_id, plan_id, kind, path, new_path, status, ended_at, internal_id, size, etag, version_id,
       bytes_sent, seconds, attempts, error, error_kind, retryable, $run_id
FROM results;

-- Files as they are now, from what was acknowledged. A file that was found with unknown content has no source ETag,
-- and one whose permissions may have been set has unknown ones.
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
FROM results r LEFT JOIN files_before f ON f.path = r.path
WHERE r.kind IN ('create', 'update') AND (r.status = 'done' OR r.found)
UNION ALL
-- What the file manager says of a file that moved is newer than what is remembered, where both speak of the same.
SELECT r.new_path, coalesce(r.internal_id, f.internal_id), coalesce(r.size, f.size), r.etag, r.version_id,
       CASE WHEN f.fingerprint_value IS NULL OR f.fingerprint_kind = r.fingerprint_kind
            THEN r.fingerprint_kind ELSE f.fingerprint_kind END,
       CASE WHEN f.fingerprint_value IS NULL OR f.fingerprint_kind = r.fingerprint_kind
            THEN r.fingerprint_value ELSE f.fingerprint_value END,
       CASE WHEN r.permissions_known THEN r.permissions ELSE f.permissions END,
       CASE WHEN r.permissions_known THEN r.owner ELSE f.owner END,
       CASE WHEN r.permissions_known THEN r.group_name ELSE f.group_name END,
       r.permissions_known OR coalesce(f.permissions_known, false),
       coalesce(f.content_type, r.content_type), coalesce(f.created_at, r.ended_at), r.ended_at, r.op_id
FROM results r LEFT JOIN files_kept f ON f.path = r.path
WHERE r.kind = 'move' AND r.status = 'done'
UNION ALL
SELECT f.path, f.internal_id, f.size, f.source_etag, f.source_version_id, f.fingerprint_kind, f.fingerprint_value,
       CASE WHEN r.status = 'done' THEN r.permissions ELSE f.permissions END,
       CASE WHEN r.status = 'done' THEN r.owner ELSE f.owner END,
       CASE WHEN r.status = 'done' THEN r.group_name ELSE f.group_name END,
       r.status = 'done', f.content_type, f.created_at, f.confirmed_at, f.op_id
FROM results r JOIN files_kept f ON f.path = r.path
WHERE (r.kind IN ('set_permissions', 'read_permissions') AND r.status = 'done')
   OR (r.kind = 'set_permissions' AND r.status <> 'done' AND NOT r.gone);
