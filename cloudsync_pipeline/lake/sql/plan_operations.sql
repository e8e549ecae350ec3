-- From `due`, `moves`, `legs` and `obstacles` (temporary tables of one planning) to `planned_operations`, with
-- what becomes of the permissions' debts. $held: the guard holds the deletes. $learn: permissions of new files
-- are to be read. $content: stage of creates and updates; deletes and permissions follow.

CREATE OR REPLACE TEMP TABLE permissions_new AS
SELECT d.path
FROM due d
ANTI JOIN (SELECT path FROM owed WHERE aspect = 'permissions') w ON w.path = d.path
WHERE d.kind = 'create'
  AND ($learn OR ($permissions_possible AND d.path IN (SELECT path FROM desired_permissions)));

-- A debt of permissions moves with its file: `path` is where the file will be, `owed_path` where the debt stands.
CREATE OR REPLACE TEMP TABLE permissions_due AS
SELECT w.path AS owed_path,
       coalesce(m.new_path, w.path) AS path,
       p.permissions, p.owner, p.group_name,
       p.path IS NOT NULL AS wanted,
       f.path IS NOT NULL AS stands,
       coalesce(f.permissions_known, false) AS known,
       (p.permissions IS NULL OR p.permissions IS NOT DISTINCT FROM f.permissions)
           AND (p.owner IS NULL OR p.owner IS NOT DISTINCT FROM f.owner)
           AND (p.group_name IS NULL OR p.group_name IS NOT DISTINCT FROM f.group_name) AS as_wanted,
       w.path IN (SELECT path FROM due WHERE kind = 'create') AS arrives,
       w.path IN (SELECT path FROM due WHERE kind = 'delete') AS leaves,
       w.path IN (SELECT key FROM objects SEMI JOIN owed v ON v.path = key) AS expected,
       f.internal_id
FROM (SELECT path FROM owed
      WHERE aspect = 'permissions' AND (next_try IS NULL OR next_try <= $now)
      UNION ALL SELECT path FROM permissions_new) w
LEFT JOIN moves m ON m.path = w.path
LEFT JOIN desired_permissions p ON p.path = w.path
LEFT JOIN files f ON f.path = w.path;

CREATE OR REPLACE TEMP TABLE permissions_paid AS
SELECT owed_path AS path
FROM permissions_due
WHERE NOT $permissions_possible
   OR (stands AND NOT arrives AND wanted AND as_wanted)
   OR (stands AND NOT arrives AND NOT wanted AND known)
   OR (NOT stands AND NOT arrives AND NOT expected);

CREATE OR REPLACE TEMP TABLE planned_operations AS
SELECT row_number() OVER (ORDER BY stage, path) - 1 AS seq, *
FROM (
    SELECT CASE WHEN path IN (SELECT path FROM obstacles) THEN $clearing ELSE $content + 1 END AS stage,
           kind, path, NULL AS new_path, file_size AS size, NULL AS etag, NULL AS version_id, NULL AS content_type,
           internal_id, file_kind AS fingerprint_kind, file_value AS fingerprint_value, reason, $held AS held,
           NULL AS permissions, NULL AS owner, NULL AS group_name
    FROM due
    WHERE kind = 'delete'
    UNION ALL
    SELECT l.stage, 'move', l.path, l.new_path, m.size, m.etag, m.version_id, m.content_type, m.internal_id,
           m.fingerprint_kind, m.fingerprint_value,
           CASE WHEN l.final THEN 'same content as ' || m.path ELSE 'makes room, on the way to ' || m.new_path END,
           false, NULL, NULL, NULL
    FROM legs l JOIN moves m USING (number)
    UNION ALL
    SELECT $content, kind, path, NULL, size, etag, version_id, content_type, internal_id,
           fingerprint_kind, fingerprint_value, reason, false, NULL, NULL, NULL
    FROM due
    WHERE kind IN ('create', 'update')
    UNION ALL
    SELECT $content + 2, CASE WHEN wanted THEN 'set_permissions' ELSE 'read_permissions' END, path, NULL, NULL, NULL,
           NULL, NULL, internal_id, NULL, NULL,
           CASE WHEN wanted THEN 'permissions asked for' ELSE 'permissions unknown' END,
           false, permissions, owner, group_name
    FROM permissions_due
    WHERE $permissions_possible
      AND (stands OR arrives)
      AND NOT leaves
      AND owed_path NOT IN (SELECT path FROM permissions_paid)
      AND (wanted OR NOT known OR arrives)
);
