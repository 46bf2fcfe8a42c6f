//! A believable ActingWeb deployment: the tables filled, and an application that goes on using
//! them. Names of buckets and shapes of rows are those that the library writes.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::backup::cluster::Cluster;

/// Where the application of a demo has its data.
#[derive(Clone, Debug)]
pub struct Deployment {
    pool: PgPool,
}

/// What the deployment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Actors.
    pub actors: i64,
    /// Attributes, whatever their TTL.
    pub attributes: i64,
    /// Attributes that have expired.
    pub expired: i64,
}

impl Deployment {
    /// The deployment in the database `postgres` of `cluster`, reached through its socket.
    pub fn new(cluster: &Cluster) -> Self {
        let options = PgConnectOptions::new_without_pgpass()
            .socket(cluster.socket_dir())
            .port(cluster.port())
            .username(cluster.superuser())
            .database("postgres");
        Self { pool: PgPoolOptions::new().max_connections(2).connect_lazy_with(options) }
    }

    /// Fills the tables: 500 actors with properties, trusts and subscriptions, and some 60,000
    /// attributes, of which a third has expired and a tenth expires within two minutes.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn fill(&self) -> sqlx::Result<()> {
        sqlx::raw_sql(FILL).execute(&self.pool).await?;
        Ok(())
    }

    /// Uses the deployment as its application would, until it is dropped: people sign in, tokens
    /// are refreshed, and all of it expires soon.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn use_it(&self) -> sqlx::Result<()> {
        loop {
            sqlx::raw_sql(USE).execute(&self.pool).await?;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Counts what it holds.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn contents(&self) -> sqlx::Result<Contents> {
        let (actors, attributes, expired) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM actors), count(*), \
                 count(*) FILTER (WHERE ttl_timestamp < extract(epoch FROM now())) FROM attributes",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Contents { actors, attributes, expired })
    }
}

const FILL: &str = "
    INSERT INTO actors (id, creator, passphrase, created_at)
    SELECT md5('actor' || n), 'user' || n || '@example.com', md5('passphrase' || n),
        now() - n * interval '1 hour'
    FROM generate_series(1, 500) AS n;

    INSERT INTO properties (id, name, value)
    SELECT id, name, CASE name WHEN 'email' THEN creator ELSE 'value of ' || name END
    FROM actors, unnest(ARRAY['email', 'displayname', 'locale', 'theme', 'timezone']) AS name;

    INSERT INTO property_lookup (property_name, value, actor_id)
    SELECT name, value, id FROM properties WHERE name = 'email';

    INSERT INTO trusts (id, peerid, baseuri, type, relationship, secret, \"desc\", approved,
        peer_approved, verified, verification_token, established_via, created_at)
    SELECT id, md5('peer' || peer || id), 'https://peer' || peer || '.example.com/' || id, 'urn:actingweb:example.com:demo',
        'friend', md5('secret' || peer || id), '', true, true, true, '', 'trust', created_at
    FROM actors, generate_series(1, 3) AS peer;

    INSERT INTO subscriptions (id, peer_sub_id, peerid, subid, granularity, target, subtarget,
        resource, seqnr, callback)
    SELECT id, peerid || ':' || md5(peerid), peerid, md5(peerid), 'high', 'properties', '', '', 20, false
    FROM trusts;

    INSERT INTO subscription_diffs (id, subid_seqnr, subid, \"timestamp\", diff, seqnr)
    SELECT id, subid || ':' || n, subid, now() - (20 - n) * interval '1 day', '{\"theme\": \"dark\"}', n
    FROM subscriptions, generate_series(1, 20) AS n;

    WITH kinds (bucket, owner, lifetime, rows) AS (VALUES
        ('spa_access_tokens', '_actingweb_oauth2', 3600, 12000),
        ('spa_refresh_tokens', '_actingweb_oauth2', 1209600, 12000),
        ('_oauth_sessions', '_actingweb_oauth2', 600, 10000),
        ('_oauth_state_nonces', '_actingweb_oauth2', 600, 8000),
        ('_id_token_replay', '_actingweb_oauth2', 900, 6000),
        ('_email_verify_tokens', '_actingweb_system', 86400, 4000),
        ('mcp_tokens', NULL, 3600, 6000),
        ('_deleted_actors', '_actingweb_deleted', 2592000, 2000))
    INSERT INTO attributes (id, bucket_name, bucket, name, data, ttl_timestamp)
    SELECT coalesce(owner, md5('actor' || n % 500 + 1)), bucket || ':' || name, bucket, name,
        jsonb_build_object('actor_id', md5('actor' || n % 500 + 1), 'created_at', now()),
        floor(extract(epoch FROM now()))::bigint + CASE
            WHEN n % 10 < 3 THEN -1 - n % 86400
            WHEN n % 10 = 3 THEN n % 120
            ELSE 120 + lifetime END
    FROM kinds, generate_series(1, rows) AS n, md5(bucket || n) AS name;

    INSERT INTO attributes (id, bucket_name, bucket, name, data)
    SELECT id, '_internal:settings', '_internal', 'settings', '{\"version\": 2}' FROM actors;

    ANALYZE;
";

/// One fifth of a second of an application with some hundred users.
const USE: &str = "
    WITH kinds (bucket, rows) AS (VALUES ('spa_access_tokens', 20), ('_oauth_sessions', 15), ('_oauth_state_nonces', 15))
    INSERT INTO attributes (id, bucket_name, bucket, name, data, ttl_timestamp)
    SELECT '_actingweb_oauth2', bucket || ':' || name, bucket, name, '{\"demo\": true}',
        floor(extract(epoch FROM now()))::bigint + 1 + (random() * 15)::int
    FROM (SELECT bucket, gen_random_uuid()::text AS name FROM kinds, generate_series(1, rows)) AS fresh;

    UPDATE attributes SET ttl_timestamp = ttl_timestamp + 3600
    WHERE id = '_actingweb_oauth2' AND bucket_name IN (
        SELECT bucket_name FROM attributes
        WHERE ttl_timestamp BETWEEN extract(epoch FROM now()) + 5 AND extract(epoch FROM now()) + 10
        LIMIT 5);
";
