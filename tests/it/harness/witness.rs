//! Rows whose fate is known: whatever is written through the witness is written down a second
//! time, out of the daemon's sight.

use sqlx::{PgPool, Row};

/// Writes attributes, and remembers them.
#[derive(Clone, Debug)]
pub(crate) struct Witness {
    pool: PgPool,
}

/// What became of the rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fate {
    /// Rows that are gone.
    pub(crate) gone: i64,
    /// Rows that are gone and had not expired.
    pub(crate) live_and_gone: i64,
    /// Rows that had expired and are still there.
    pub(crate) expired_and_left: i64,
}

impl Witness {
    /// The witness of a database that has none yet.
    pub(crate) async fn new(pool: &PgPool) -> Self {
        for sql in [
            "CREATE SCHEMA witness",
            "CREATE SEQUENCE witness.number",
            "CREATE TABLE witness.attributes ( \
                 id text NOT NULL, bucket_name text NOT NULL, ttl_timestamp bigint, PRIMARY KEY (id, bucket_name))",
        ] {
            sqlx::query(sql).execute(pool).await.expect("making the witness");
        }
        Self::of(pool)
    }

    /// The witness that a database has.
    pub(crate) fn of(pool: &PgPool) -> Self {
        Self { pool: pool.clone() }
    }

    /// Adds `count` attributes whose TTL lies `from_now` seconds from now.
    pub(crate) async fn add(&self, count: i64, from_now: i64) {
        sqlx::query(
            "WITH added AS ( \
                 INSERT INTO attributes (id, bucket_name, bucket, name, data, ttl_timestamp) \
                 SELECT 'actor-' || number % 97, 'witnessed:' || number, 'witnessed', number::text, \
                     jsonb_build_object('n', number), floor(extract(epoch FROM now()))::bigint + $2 \
                 FROM (SELECT nextval('witness.number') AS number FROM generate_series(1, $1)) AS numbers \
                 RETURNING id, bucket_name, ttl_timestamp) \
             INSERT INTO witness.attributes SELECT * FROM added",
        )
        .bind(count)
        .bind(from_now)
        .execute(&self.pool)
        .await
        .expect("adding attributes");
    }

    /// Adds attributes that have expired, so that there are `count` of them.
    pub(crate) async fn fill_up(&self, count: i64) {
        let expired: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM attributes WHERE ttl_timestamp < floor(extract(epoch FROM now()))",
        )
        .fetch_one(&self.pool)
        .await
        .expect("counting what has expired");
        self.add((count - expired).max(0), -60).await;
    }

    /// Gives up to `count` of the rows that have expired and are still there another hour.
    pub(crate) async fn extend(&self, count: i64) {
        sqlx::query(
            "WITH extended AS ( \
                 UPDATE attributes SET ttl_timestamp = floor(extract(epoch FROM now()))::bigint + 3600 \
                 WHERE (id, bucket_name) IN ( \
                     SELECT id, bucket_name FROM attributes WHERE ttl_timestamp < floor(extract(epoch FROM now())) \
                     ORDER BY random() LIMIT $1 FOR UPDATE SKIP LOCKED) \
                 RETURNING id, bucket_name, ttl_timestamp) \
             UPDATE witness.attributes w SET ttl_timestamp = extended.ttl_timestamp FROM extended \
             WHERE (w.id, w.bucket_name) = (extended.id, extended.bucket_name)",
        )
        .bind(count)
        .execute(&self.pool)
        .await
        .expect("extending attributes");
    }

    /// The time by the server's clock, in the seconds of a TTL.
    pub(crate) async fn now(&self) -> i64 {
        sqlx::query_scalar("SELECT floor(extract(epoch FROM now()))::bigint")
            .fetch_one(&self.pool)
            .await
            .expect("asking for the time")
    }

    /// What became of the rows; those that had expired before `expired_by` must be gone.
    pub(crate) async fn fate(&self, expired_by: i64) -> Fate {
        let row = sqlx::query(
            "SELECT count(*) FILTER (WHERE a.id IS NULL) AS gone, \
                 count(*) FILTER (WHERE a.id IS NULL \
                     AND (w.ttl_timestamp >= floor(extract(epoch FROM now()))) IS NOT FALSE) AS live_and_gone, \
                 count(*) FILTER (WHERE a.id IS NOT NULL AND w.ttl_timestamp < $1) AS expired_and_left \
             FROM witness.attributes w LEFT JOIN attributes a USING (id, bucket_name)",
        )
        .bind(expired_by)
        .fetch_one(&self.pool)
        .await
        .expect("asking what became of the rows");
        Fate {
            gone: row.get("gone"),
            live_and_gone: row.get("live_and_gone"),
            expired_and_left: row.get("expired_and_left"),
        }
    }
}

impl Fate {
    /// What is wrong with it, where reports told of `told` rows deleted.
    pub(crate) fn problems(&self, told: i64) -> Vec<String> {
        let mut problems = Vec::new();
        if told != self.gone {
            problems.push(format!("the reports tell of {told} rows deleted, and {} are gone", self.gone));
        }
        if self.live_and_gone > 0 {
            problems.push(format!("{} rows are gone that had not expired", self.live_and_gone));
        }
        if self.expired_and_left > 0 {
            problems.push(format!("{} rows had expired and are still there", self.expired_and_left));
        }
        problems
    }
}
