-- Permissions that somebody asked for are owed until the file is known to have them. What a file manager never
-- tells counts as set once it was.
CREATE OR REPLACE TEMP TABLE new_debts_of_files AS
SELECT p.path, 'permissions' AS aspect, 'permissions asked for' AS reason
FROM desired_permissions p
SEMI JOIN looked_at l ON l.path = p.path
JOIN files f ON f.path = p.path
ANTI JOIN owed w ON w.path = p.path AND w.aspect = 'permissions'
WHERE NOT (coalesce(f.permissions_known, false)
           AND coalesce(p.permissions = f.permissions, true)
           AND coalesce(p.owner = f.owner, true)
           AND coalesce(p.group_name = f.group_name, true));

INSERT INTO owed (path, aspect, since, touched_at, observed_at, reason, attempts)
SELECT path, aspect, $now, $now, $now, reason, 0 FROM new_debts_of_files;
