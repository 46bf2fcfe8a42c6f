-- Repairs of indexes that were begun. What the server builds on goes on without us and may be cut off at any time: by
-- this, whoever comes next knows what is ours. A repair that has come to its end has no row.
CREATE TABLE maintd.repairs (
    id            uuid        PRIMARY KEY,
    deployment    text        NOT NULL,
    -- What it was to cure, in the word of the finding.
    finding       text        NOT NULL,
    table_name    text        NOT NULL,
    table_oid     oid         NOT NULL,
    index_name    text        NOT NULL,
    -- The name that an index has while it is made, which nobody else uses; none where one is rebuilt.
    own_name      text,
    -- The index as it was; none where it is made.
    old_index     oid,
    -- What was on the table before.
    beside        oid[]       NOT NULL,
    -- What is built, once it was seen.
    new_index     oid,
    -- Who builds.
    backend       integer     NOT NULL,
    backend_start timestamptz NOT NULL,
    step          text        NOT NULL,
    run_id        uuid,
    bytes_before  bigint,
    begun_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (deployment, index_name)
);
