-- What is known of a fresh lake, and of the lake itself: schema version, identity, times of scans.
CREATE TABLE meta (
    name VARCHAR NOT NULL,
    value VARCHAR
);

-- The storage as last observed; one row a key. Columns as in storage.base.LISTING_SCHEMA.
CREATE TABLE objects (
    key VARCHAR NOT NULL,
    size BIGINT NOT NULL,
    etag VARCHAR NOT NULL,
    last_modified TIMESTAMPTZ,
    version_id VARCHAR,
    storage_class VARCHAR,
    content_type VARCHAR,
    fingerprint_kind VARCHAR,
    fingerprint_value VARCHAR,
    stable_id VARCHAR,
    parent_id VARCHAR,
    observed_at TIMESTAMPTZ NOT NULL
);

-- The file manager as last confirmed by itself; one row a path.
CREATE TABLE files (
    path VARCHAR NOT NULL,
    internal_id VARCHAR,
    size BIGINT,
    source_etag VARCHAR,
    source_version_id VARCHAR,
    fingerprint_kind VARCHAR,
    fingerprint_value VARCHAR,
    permissions VARCHAR,
    owner VARCHAR,
    group_name VARCHAR,
    permissions_known BOOLEAN,
    content_type VARCHAR,
    created_at TIMESTAMPTZ,
    confirmed_at TIMESTAMPTZ,
    op_id VARCHAR
);

-- Permissions that somebody asked for; they outlive scans and follow moves. One row a path.
CREATE TABLE desired_permissions (
    path VARCHAR NOT NULL,
    permissions VARCHAR,
    owner VARCHAR,
    group_name VARCHAR,
    since TIMESTAMPTZ,
    event_identity VARCHAR
);

-- Every event received, once; append-only. malformed_reason is NULL where the event was understood.
CREATE TABLE events (
    identity VARCHAR NOT NULL,
    event_type VARCHAR,
    key VARCHAR,
    new_key VARCHAR,
    also VARCHAR[],
    occurred_at TIMESTAMPTZ,
    sequencer VARCHAR,
    version_id VARCHAR,
    etag VARCHAR,
    size BIGINT,
    permissions VARCHAR,
    owner VARCHAR,
    group_name VARCHAR,
    raw VARCHAR,
    received_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR,
    malformed_reason VARCHAR
);

-- What deduplication goes by; kept longer than the events, since a feed without a cursor repeats old entries.
CREATE TABLE event_identities (
    identity VARCHAR NOT NULL,
    received_at TIMESTAMPTZ NOT NULL
);

-- Debts: paths whose file may differ from its object. One row a path and aspect ('content', 'permissions').
-- touched_at: when the path was last named (an event, a doubt); observed_at: when the storage was last asked
-- about it. A path named after it was observed has to be observed before it can be planned. Both by our clock.
CREATE TABLE owed (
    path VARCHAR NOT NULL,
    aspect VARCHAR NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    touched_at TIMESTAMPTZ NOT NULL,
    observed_at TIMESTAMPTZ,
    reason VARCHAR,
    attempts INTEGER,
    next_try TIMESTAMPTZ,
    last_error VARCHAR,
    last_error_kind VARCHAR,
    quarantined_at TIMESTAMPTZ,
    hint VARCHAR
);

-- Plans: an operation is committed here before it is sent.
CREATE TABLE operations (
    op_id VARCHAR NOT NULL,
    plan_id VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    stage INTEGER NOT NULL,
    kind VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    new_path VARCHAR,
    size BIGINT,
    etag VARCHAR,
    version_id VARCHAR,
    content_type VARCHAR,
    internal_id VARCHAR,
    fingerprint_kind VARCHAR,
    fingerprint_value VARCHAR,
    reason VARCHAR,
    held BOOLEAN NOT NULL,
    permissions VARCHAR,
    owner VARCHAR,
    group_name VARCHAR
);

-- dispatched_seq: operations up to this one may have been sent.
CREATE TABLE plans (
    plan_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    made_at TIMESTAMPTZ NOT NULL,
    mode VARCHAR NOT NULL,
    base_snapshot BIGINT NOT NULL,
    operations BIGINT NOT NULL,
    held BIGINT NOT NULL,
    guard_reason VARCHAR,
    closed_at TIMESTAMPTZ,
    closed_as VARCHAR,
    dispatched_seq BIGINT
);

-- What became of each operation; append-only. An operation without a row here is unknown.
-- (ended_at is Outcome.at: AT is a keyword.)
CREATE TABLE outcomes (
    op_id VARCHAR NOT NULL,
    plan_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    new_path VARCHAR,
    status VARCHAR NOT NULL,
    ended_at TIMESTAMPTZ NOT NULL,
    internal_id VARCHAR,
    size BIGINT,
    etag VARCHAR,
    version_id VARCHAR,
    bytes_sent BIGINT,
    seconds DOUBLE,
    attempts INTEGER,
    error VARCHAR,
    error_kind VARCHAR,
    retryable BOOLEAN,
    run_id VARCHAR
);

CREATE TABLE runs (
    run_id VARCHAR NOT NULL,
    mode VARCHAR NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    verdict VARCHAR,
    error VARCHAR,
    results VARCHAR
);

-- Listings that were merged into objects, so that none is merged twice.
CREATE TABLE listings (
    listing_id VARCHAR NOT NULL,
    started_at TIMESTAMPTZ,
    completed_at TIMESTAMPTZ,
    merged_at TIMESTAMPTZ,
    objects BIGINT,
    bytes BIGINT,
    run_id VARCHAR
);

-- What each step of a run returned, as JSON, so that nothing passes between steps in memory. The newest row of a
-- run and step counts.
CREATE TABLE steps (
    run_id VARCHAR NOT NULL,
    step VARCHAR NOT NULL,
    finished_at TIMESTAMPTZ NOT NULL,
    result VARCHAR NOT NULL
);
