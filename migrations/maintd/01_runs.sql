-- The daemon's own state. One database may hold several deployments, so every row carries the
-- deployment it belongs to: the schema of ActingWeb's tables.

-- Who a deployment is. The system identifier and the database's name tell a clone from the
-- original.
CREATE TABLE maintd.deployments (
    deployment        text        PRIMARY KEY,
    id                uuid        NOT NULL DEFAULT gen_random_uuid(),
    system_identifier bigint      NOT NULL,
    database          text        NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now()
);

-- The right to run a job, and the newest slot that was dealt with. A row without a secret is
-- free. The term only grows: whoever holds an older one has lost.
CREATE TABLE maintd.leases (
    deployment  text        NOT NULL,
    backend     text        NOT NULL,
    job         text        NOT NULL,
    term        bigint      NOT NULL DEFAULT 0,
    secret      uuid,
    holder      text,
    run_id      uuid,
    acquired_at timestamptz,
    expires_at  timestamptz,
    last_slot   timestamptz,
    PRIMARY KEY (deployment, backend, job)
);

-- History. A run without an outcome is running, or was left behind.
CREATE TABLE maintd.runs (
    run_id      uuid        PRIMARY KEY,
    deployment  text        NOT NULL,
    backend     text        NOT NULL,
    job         text        NOT NULL,
    slot        timestamptz,
    trigger     text        NOT NULL,
    holder      text        NOT NULL,
    term        bigint      NOT NULL,
    outcome     text,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,
    error       text,
    report      jsonb
);
CREATE INDEX runs_by_job ON maintd.runs (deployment, backend, job, started_at DESC);

-- What each worker of an open run has committed so far: its fence and its counts. Updated twice
-- in each batch, hence narrow, without other indexes, and with room for the next versions.
CREATE TABLE maintd.run_workers (
    run_id  uuid     NOT NULL REFERENCES maintd.runs ON DELETE CASCADE,
    worker  smallint NOT NULL,
    term    bigint   NOT NULL,
    secret  uuid     NOT NULL,
    batches bigint   NOT NULL DEFAULT 0,
    deleted bigint   NOT NULL DEFAULT 0,
    skipped bigint   NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, worker)
) WITH (fillfactor = 50);
