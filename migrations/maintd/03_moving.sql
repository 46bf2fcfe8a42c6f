-- A deployment that is being restored or imported into, and that nothing may be deleted from until
-- that is taken back.
ALTER TABLE maintd.deployments
    ADD COLUMN incomplete_why   text,
    ADD COLUMN incomplete_by    text,
    ADD COLUMN incomplete_since timestamptz;

-- What number a subscription had when: every change up to it is older than that.
CREATE TABLE maintd.watermarks (
    deployment text        NOT NULL,
    id         text        NOT NULL,
    subid      text        NOT NULL,
    seqnr      bigint      NOT NULL,
    seen_at    timestamptz NOT NULL,
    PRIMARY KEY (deployment, id, subid, seqnr)
);
CREATE INDEX watermarks_by_time ON maintd.watermarks (deployment, seen_at);
