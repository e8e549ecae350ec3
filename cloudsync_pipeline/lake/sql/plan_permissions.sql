-- From `due`, `moves` and the debts of permissions to what becomes of these: `permissions_due` with what is known
-- of each, `permissions_new` for files that a plan creates, `permissions_paid` that are none (any more). $learn:
-- permissions of new files are to be read.

CREATE OR REPLACE TEMP TABLE permissions_new AS
SELECT d.path
FROM due d
ANTI JOIN (SELECT path FROM owed WHERE aspect = 'permissions') w ON w.path = d.path
WHERE d.kind = 'create'
  AND ($learn OR ($possible AND d.path IN (SELECT path FROM desired_permissions)));

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
       w.path IN (SELECT path FROM due WHERE kind = 'create' UNION ALL SELECT new_path FROM moves) AS arrives,
       w.path IN (SELECT path FROM due WHERE kind = 'delete') AS leaves,
       w.path IN (SELECT key FROM objects SEMI JOIN owed v ON v.path = key) AS expected,
       f.internal_id
FROM (SELECT path FROM owed
      WHERE aspect = 'permissions'
        AND (next_try IS NULL OR next_try <= $now OR (isfinite(next_try) AND next_try > $now + INTERVAL 8 DAYS))
        AND path NOT IN (SELECT path FROM failed_before WHERE aspect = 'permissions')
      UNION ALL SELECT path FROM permissions_new) w
LEFT JOIN moves m ON m.path = w.path
LEFT JOIN desired_permissions p ON p.path = w.path
LEFT JOIN files f ON f.path = w.path
QUALIFY row_number() OVER (PARTITION BY coalesce(m.new_path, w.path) ORDER BY p.since DESC NULLS LAST, w.path) = 1;

CREATE OR REPLACE TEMP TABLE permissions_paid AS
SELECT owed_path AS path
FROM permissions_due
WHERE NOT $possible
   OR (stands AND NOT arrives AND wanted AND as_wanted AND known)
   OR (stands AND NOT arrives AND NOT wanted AND known)
   OR (NOT stands AND NOT arrives AND NOT expected);
