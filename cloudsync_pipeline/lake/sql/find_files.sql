-- What stands in `files` of the paths of a batch (`results`).
--
-- They may lie anywhere among millions, so that a column that is asked for is read as a whole: all of them are asked for
-- only where something is kept of them.

CREATE OR REPLACE TEMP TABLE files_before AS
SELECT path, internal_id, permissions, owner, group_name, permissions_known, created_at
FROM files WHERE path IN (SELECT path FROM results);

CREATE OR REPLACE TEMP TABLE files_kept AS
SELECT * FROM files
WHERE path IN (SELECT path FROM results WHERE kind IN ('move', 'set_permissions', 'read_permissions'));
