-- Revision 3307e3616c5e, the first one: seven tables.
-- Only actors, attributes (rows with an expiry), properties and trusts get an
-- index beside the primary key. There are no foreign keys, and no column
-- defaults: the application always sends every value.

CREATE TABLE {schema}.actors (
    id         varchar(255) NOT NULL,
    creator    varchar(255) NOT NULL,
    passphrase text         NOT NULL,
    created_at timestamp,
    PRIMARY KEY (id)
);
CREATE INDEX ix_actors_creator ON {schema}.actors (creator);

CREATE TABLE {schema}.attributes (
    id            varchar(255) NOT NULL,
    bucket_name   varchar(255) NOT NULL,
    bucket        varchar(255) NOT NULL,
    name          varchar(255) NOT NULL,
    data          jsonb,
    "timestamp"   timestamp,
    ttl_timestamp bigint,
    PRIMARY KEY (id, bucket_name)
);
CREATE INDEX idx_attributes_ttl ON {schema}.attributes (ttl_timestamp)
    WHERE ttl_timestamp IS NOT NULL;

CREATE TABLE {schema}.peertrustees (
    id         varchar(255) NOT NULL,
    peerid     varchar(255) NOT NULL,
    baseuri    text         NOT NULL,
    type       varchar(255) NOT NULL,
    passphrase text         NOT NULL,
    PRIMARY KEY (id, peerid)
);

CREATE TABLE {schema}.properties (
    id    varchar(255) NOT NULL,
    name  varchar(255) NOT NULL,
    value text         NOT NULL,
    PRIMARY KEY (id, name)
);
CREATE INDEX idx_properties_value ON {schema}.properties (value);

CREATE TABLE {schema}.subscription_diffs (
    id          varchar(255) NOT NULL,
    subid_seqnr varchar(255) NOT NULL,
    subid       varchar(255) NOT NULL,
    "timestamp" timestamp    NOT NULL,
    diff        text         NOT NULL,
    seqnr       integer      NOT NULL,
    PRIMARY KEY (id, subid_seqnr)
);

CREATE TABLE {schema}.subscriptions (
    id          varchar(255) NOT NULL,
    peer_sub_id varchar(255) NOT NULL,
    peerid      varchar(255) NOT NULL,
    subid       varchar(255) NOT NULL,
    granularity varchar(255),
    target      varchar(255),
    subtarget   varchar(255),
    resource    varchar(255),
    seqnr       integer      NOT NULL,
    callback    boolean      NOT NULL,
    PRIMARY KEY (id, peer_sub_id)
);

CREATE TABLE {schema}.trusts (
    id                 varchar(255) NOT NULL,
    peerid             varchar(255) NOT NULL,
    baseuri            text         NOT NULL,
    type               varchar(255) NOT NULL,
    relationship       varchar(255) NOT NULL,
    secret             varchar(255) NOT NULL,
    "desc"             text,
    approved           boolean      NOT NULL,
    peer_approved      boolean      NOT NULL,
    verified           boolean      NOT NULL,
    verification_token varchar(255),
    peer_identifier    varchar(255),
    established_via    varchar(255),
    created_at         timestamp,
    last_accessed      timestamp,
    last_connected_via varchar(255),
    client_name        varchar(255),
    client_version     varchar(255),
    client_platform    varchar(255),
    oauth_client_id    varchar(255),
    PRIMARY KEY (id, peerid)
);
CREATE INDEX idx_trusts_secret ON {schema}.trusts (secret);
