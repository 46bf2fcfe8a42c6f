-- What became of every slot of a schedule. A slot is run, and then it is in the history, or it
-- is passed over, and then it is here. Up to `leases.last_slot` each is one or the other.

ALTER TABLE maintd.leases
    -- The schedule that last_slot belongs to, with its zone.
    ADD COLUMN schedule    text,
    -- A slot that was begun and is not done: it is being run, or will be tried again.
    ADD COLUMN open_slot   timestamptz,
    ADD COLUMN attempts    integer NOT NULL DEFAULT 0,
    ADD COLUMN retry_at    timestamptz,
    -- When the last run began, or the first of those that went on with one and the same slot, and
    -- when it ended.
    ADD COLUMN busy_since  timestamptz,
    ADD COLUMN released_at timestamptz,
    ADD COLUMN paused_at   timestamptz,
    ADD COLUMN paused_by   text;

-- A stretch of slots that were not run, for one and the same reason.
CREATE TABLE maintd.passed_slots (
    deployment  text        NOT NULL,
    backend     text        NOT NULL,
    job         text        NOT NULL,
    first_slot  timestamptz NOT NULL,
    last_slot   timestamptz NOT NULL,
    count       bigint      NOT NULL,
    fate        text        NOT NULL,
    reason      text        NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by text        NOT NULL,
    PRIMARY KEY (deployment, backend, job, first_slot)
);
