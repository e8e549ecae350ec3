-- What a batch stored: `files_now`, of which nothing stands in `files`.

INSERT INTO files (path, internal_id, size, source_etag, source_version_id, fingerprint_kind, fingerprint_value,
                   permissions, owner, group_name, permissions_known, content_type, created_at, confirmed_at, op_id)
SELECT path, internal_id, size, source_etag, source_version_id, fingerprint_kind, fingerprint_value,
       permissions, owner, group_name, permissions_known, content_type, created_at, confirmed_at, op_id
FROM files_now;
