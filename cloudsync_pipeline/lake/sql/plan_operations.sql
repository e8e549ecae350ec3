-- From `due`, `moves`, `legs`, `obstacles`, `stopped` and `permissions_due` (temporary tables of one planning) to
-- `planned_operations`. `stopped` are the deletes that the guard holds. $content: stage of creates and updates;
-- deletes and permissions follow.

CREATE OR REPLACE TEMP TABLE planned_operations AS
SELECT row_number() OVER (ORDER BY stage, path) - 1 AS seq, *
FROM (
    SELECT CASE WHEN path IN (SELECT path FROM obstacles) THEN $clearing ELSE $content + 1 END AS stage,
           kind, path, NULL AS new_path, file_size AS size, NULL AS etag, NULL AS version_id, NULL AS content_type,
           internal_id, file_kind AS fingerprint_kind, file_value AS fingerprint_value, reason,
           path IN (SELECT path FROM stopped) AS held,
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
