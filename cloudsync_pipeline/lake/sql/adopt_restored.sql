-- What the file manager says (temporary table `seen`, one row a path) into `files` of a restored lake. $before: a
-- file saved earlier is as the backup knows it. $restored: events received since tell what became of objects.
-- $learn: permissions that were not told are to be read.

-- 'object': the file holds its object now. 'same': it is what the backup says. 'other': neither, or nobody can tell; it
-- is ours: an object has its path, the backup knows its id, or an event since told of such an object. 'doubtful': it
-- has no object, and was put or written over since the backup, by a sync or by a person. 'stray': it was there before,
-- and no sync had put it there.
CREATE OR REPLACE TEMP TABLE judged AS
SELECT s.path,
       CASE
           WHEN NOT s.present THEN CASE WHEN f.path IS NULL THEN 'nothing' ELSE 'missing' END
           WHEN s.size = o.size
                AND ((s.fingerprint_kind = o.fingerprint_kind AND s.fingerprint_value = o.fingerprint_value)
                     OR (s.fingerprint_kind = 'md5' AND s.fingerprint_value = o.etag))
               THEN 'object'
           WHEN s.size = f.size AND s.fingerprint_kind = f.fingerprint_kind
                AND s.fingerprint_value = f.fingerprint_value
               THEN 'same'
           WHEN s.size = f.size AND s.internal_id IS NOT DISTINCT FROM f.internal_id AND s.saved_at < $before
                AND (s.fingerprint_kind = f.fingerprint_kind) IS NOT TRUE
               THEN 'same'
           WHEN o.key IS NOT NULL OR s.internal_id IN (SELECT internal_id FROM files)
                OR s.path IN (
                    SELECT coalesce(new_key, key) FROM events
                    WHERE received_at >= $restored AND event_type IN ('create', 'update', 'rename', 'move')
                )
               THEN 'other'
           WHEN f.path IS NULL AND s.saved_at < $before THEN 'stray'
           ELSE 'doubtful'
       END AS verdict
FROM seen s
LEFT JOIN files f ON f.path = s.path
LEFT JOIN objects o ON o.key = s.path;

CREATE OR REPLACE TEMP TABLE files_then AS
SELECT j.path,
       coalesce(s.internal_id, f.internal_id) AS internal_id,
       CASE WHEN j.verdict = 'same' THEN f.size ELSE s.size END AS size,
       CASE j.verdict WHEN 'object' THEN o.etag WHEN 'same' THEN f.source_etag END AS source_etag,
       CASE j.verdict WHEN 'object' THEN o.version_id WHEN 'same' THEN f.source_version_id END AS source_version_id,
       CASE WHEN j.verdict = 'same' THEN f.fingerprint_kind ELSE s.fingerprint_kind END AS fingerprint_kind,
       CASE WHEN j.verdict = 'same' THEN f.fingerprint_value ELSE s.fingerprint_value END AS fingerprint_value,
       CASE WHEN s.permissions IS NULL THEN f.permissions ELSE s.permissions END AS permissions,
       CASE WHEN s.permissions IS NULL THEN f.owner ELSE s.owner END AS owner,
       CASE WHEN s.permissions IS NULL THEN f.group_name ELSE s.group_name END AS group_name,
       s.permissions IS NOT NULL OR coalesce(f.permissions_known, false) AS permissions_known,
       coalesce(f.content_type, o.content_type) AS content_type,
       coalesce(f.created_at, s.saved_at, $now) AS created_at,
       CASE WHEN j.verdict = 'same' THEN f.confirmed_at ELSE $now END AS confirmed_at,
       CASE WHEN j.verdict = 'doubtful' THEN 'restored' ELSE f.op_id END AS op_id
FROM judged j
JOIN seen s ON s.path = j.path
LEFT JOIN files f ON f.path = j.path
LEFT JOIN objects o ON o.key = j.path
WHERE j.verdict IN ('object', 'same', 'other', 'doubtful')
  -- Of a million files most are as they were: these are not written again.
  AND (f.path IS NULL
       OR j.verdict IN ('other', 'doubtful')
       OR (j.verdict = 'object' AND f.source_etag IS DISTINCT FROM o.etag)
       OR (s.internal_id IS NOT NULL AND s.internal_id IS DISTINCT FROM f.internal_id)
       OR (s.permissions IS NOT NULL
           AND (s.permissions, s.owner, s.group_name) IS DISTINCT FROM (f.permissions, f.owner, f.group_name)));

INSERT INTO owed (path, aspect, since, touched_at, observed_at, reason, attempts)
SELECT t.path, 'permissions', $now, $now, $now, 'restored', 0
FROM files_then t
ANTI JOIN files f ON f.path = t.path
ANTI JOIN (SELECT path FROM owed WHERE aspect = 'permissions') w ON w.path = t.path
WHERE $learn AND NOT t.permissions_known AND t.op_id IS DISTINCT FROM 'restored';

-- What was asked for before the backup may have been changed since; what is still owed was not carried out then.
DELETE FROM desired_permissions
WHERE path IN (
    SELECT d.path
    FROM desired_permissions d
    JOIN seen s ON s.path = d.path AND s.permissions IS NOT NULL
    ANTI JOIN (SELECT path FROM owed WHERE aspect = 'permissions') w ON w.path = d.path
    WHERE d.permissions <> s.permissions OR d.owner <> s.owner OR d.group_name <> s.group_name
);

DELETE FROM files
WHERE path IN (SELECT path FROM files_then UNION ALL SELECT path FROM judged WHERE verdict = 'missing');

INSERT INTO files (path, internal_id, size, source_etag, source_version_id, fingerprint_kind, fingerprint_value,
                   permissions, owner, group_name, permissions_known, content_type, created_at, confirmed_at, op_id)
SELECT path, internal_id, size, source_etag, source_version_id, fingerprint_kind, fingerprint_value,
       permissions, owner, group_name, permissions_known, content_type, created_at, confirmed_at, op_id
FROM files_then;
