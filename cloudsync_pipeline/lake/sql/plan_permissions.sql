-- From `debts`, `due` and `moves` to what becomes of permissions: `permissions_due` with what is known
-- of each, `permissions_new` for files that a plan creates, `permissions_paid` that are none (any more). $learn:
-- permissions of new files are to be read.

CREATE OR REPLACE TEMP TABLE permissions_new AS
SELECT d.path
FROM due d
ANTI JOIN (SELECT path FROM owed WHERE aspect = 'permissions') w ON w.path = d.path
WHERE d.kind = 'create'
  AND ($learn OR ($possible AND d.path IN (SELECT path FROM desired_permissions)));

-- Of most new files, and a first scan may bring millions, nothing is known that would have to be joined: they are no
-- part of `permissions_due`.
CREATE OR REPLACE TEMP TABLE permissions_of_strangers AS
SELECT n.path FROM permissions_new n
ANTI JOIN (SELECT path FROM moves) m ON m.path = n.path
ANTI JOIN (SELECT path FROM desired_permissions) p ON p.path = n.path;

CREATE OR REPLACE TEMP TABLE permissions_owed AS
SELECT path FROM debts WHERE aspect = 'permissions'
UNION ALL
SELECT path FROM permissions_new
SEMI JOIN (SELECT path FROM moves UNION ALL SELECT path FROM desired_permissions) USING (path);

-- A debt of permissions moves with its file: `path` is where the file will be, `owed_path` where the debt stands.
-- Where two debts meet, that of the later wish counts.
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
       w.path IN (
           SELECT path FROM due SEMI JOIN permissions_owed USING (path) WHERE kind = 'create'
           UNION ALL SELECT new_path FROM moves
       ) AS arrives,
       w.path IN (SELECT path FROM due SEMI JOIN permissions_owed USING (path) WHERE kind = 'delete') AS leaves,
       w.path IN (SELECT key FROM objects SEMI JOIN permissions_owed ON permissions_owed.path = objects.key) AS expected,
       f.internal_id
FROM permissions_owed w
LEFT JOIN moves m ON m.path = w.path
LEFT JOIN desired_permissions p ON p.path = w.path
LEFT JOIN (
    SELECT path, internal_id, permissions, owner, group_name, permissions_known FROM files
    SEMI JOIN permissions_owed USING (path)
) f ON f.path = w.path
QUALIFY row_number() OVER (PARTITION BY coalesce(m.new_path, w.path) ORDER BY p.since DESC NULLS LAST, w.path) = 1;

CREATE OR REPLACE TEMP TABLE permissions_paid AS
SELECT owed_path AS path
FROM permissions_due
WHERE NOT $possible
   OR (stands AND NOT arrives AND wanted AND as_wanted AND known)
   OR (stands AND NOT arrives AND NOT wanted AND known)
   OR (NOT stands AND NOT arrives AND NOT expected);
