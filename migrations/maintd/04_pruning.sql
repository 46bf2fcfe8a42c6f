-- Changes that were seen without their subscription: they go only when that is still so later on.
CREATE TABLE maintd.sightings (
    deployment text        NOT NULL,
    id         text        NOT NULL,
    subid      text        NOT NULL,
    through    bigint      NOT NULL,
    seen_at    timestamptz NOT NULL,
    again_at   timestamptz NOT NULL,
    PRIMARY KEY (deployment, id, subid)
);

-- Where the walk of a job was when it was cut off.
CREATE TABLE maintd.cursors (
    deployment text NOT NULL,
    job        text NOT NULL,
    place      text NOT NULL,
    PRIMARY KEY (deployment, job)
);
