-- Deletes that somebody approved although the guard holds them: that file, with that id and content, and no other.
CREATE TABLE approvals (
    path VARCHAR NOT NULL,
    internal_id VARCHAR,
    fingerprint_kind VARCHAR,
    fingerprint_value VARCHAR,
    plan_id VARCHAR NOT NULL,
    approved_by VARCHAR NOT NULL,
    approved_at TIMESTAMPTZ NOT NULL
);

-- Differences that a full scan found and no event had announced: drift. NULL where there is no feed, and for the first.
ALTER TABLE listings ADD COLUMN drift BIGINT;
