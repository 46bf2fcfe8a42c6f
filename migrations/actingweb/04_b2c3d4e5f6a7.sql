-- Revision b2c3d4e5f6a7: subscription_suspensions, the targets of an actor for
-- which no diffs are recorded for the time being. An empty subtarget means the
-- whole target, hence the only column default in the schema.

CREATE TABLE {schema}.subscription_suspensions (
    id           varchar(255) NOT NULL,
    target       varchar(255) NOT NULL,
    subtarget    varchar(255) NOT NULL DEFAULT '',
    suspended_at timestamp with time zone NOT NULL,
    PRIMARY KEY (id, target, subtarget)
);
