//! Reads the ledger from the database.

use actingweb_maintd::schedule::Schedule;
use chrono::{DateTime, Utc};
use sqlx::{PgPool, Row};

use super::{Entry, History, Killed, Ledger, Stretch};
use crate::harness::witness::Witness;

impl Ledger {
    /// What is in the database. Accounts of slots are kept from `baseline` on, and rows that had
    /// expired before `expired_by` must be gone.
    pub(crate) async fn read(
        pool: &PgPool,
        schedule: &Schedule,
        baseline: Option<DateTime<Utc>>,
        expired_by: i64,
        killed: &[Killed],
    ) -> Self {
        // As JSON, because not every version of the schema has all of the columns.
        let leases = sqlx::query(
            "SELECT deployment, backend, job, last_slot, (to_jsonb(l)->>'open_slot')::timestamptz AS open_slot, term, \
                 CASE WHEN secret IS NOT NULL THEN coalesce(holder, 'nobody') END AS held_by, \
                 (SELECT count(*) FROM maintd.run_workers w JOIN maintd.runs r USING (run_id) \
                     WHERE (r.deployment, r.backend, r.job) = (l.deployment, l.backend, l.job)) AS fences \
             FROM maintd.leases l WHERE job = 'ttl_cleanup' ORDER BY 1, 2, 3",
        )
        .fetch_all(pool)
        .await
        .expect("reading the leases");
        let mut histories = Vec::new();
        for lease in leases {
            let job = [0, 1, 2].map(|column| lease.get::<String, _>(column));
            histories.push(History {
                name: job.join("/"),
                schedule: schedule.clone(),
                baseline,
                last_slot: lease.get("last_slot"),
                open_slot: lease.get("open_slot"),
                term: lease.get("term"),
                held_by: lease.get("held_by"),
                fences: lease.get("fences"),
                runs: runs(pool, &job).await,
                passed: passed(pool, &job).await,
                killed: killed.to_vec(),
            });
        }
        Self { histories, fate: Witness::of(pool).fate(expired_by).await }
    }
}

async fn runs(pool: &PgPool, [deployment, backend, job]: &[String; 3]) -> Vec<Entry> {
    let rows = sqlx::query(
        "SELECT run_id::text, slot, holder, term, outcome, report->>'stopped' AS stopped, started_at, finished_at, \
             coalesce((report->>'examined')::bigint, 0) AS examined, \
             coalesce((report->>'deleted')::bigint, 0) AS deleted, coalesce((report->>'skipped')::bigint, 0) AS skipped \
         FROM maintd.runs WHERE (deployment, backend, job) = ($1, $2, $3) ORDER BY started_at, term",
    )
    .bind(deployment)
    .bind(backend)
    .bind(job)
    .fetch_all(pool)
    .await
    .expect("reading the runs");
    let entry = |row: sqlx::postgres::PgRow| Entry {
        run_id: row.get("run_id"),
        slot: row.get("slot"),
        holder: row.get("holder"),
        term: row.get("term"),
        outcome: row.get("outcome"),
        stopped: row.get("stopped"),
        started_at: row.get("started_at"),
        finished_at: row.get("finished_at"),
        examined: row.get("examined"),
        deleted: row.get("deleted"),
        skipped: row.get("skipped"),
    };
    rows.into_iter().map(entry).collect()
}

/// The slots that were not run, if the database has a table of them.
async fn passed(pool: &PgPool, [deployment, backend, job]: &[String; 3]) -> Option<Vec<Stretch>> {
    let kept: bool = sqlx::query_scalar("SELECT to_regclass('maintd.passed_slots') IS NOT NULL")
        .fetch_one(pool)
        .await
        .expect("looking for the passed slots");
    if !kept {
        return None;
    }
    let rows = sqlx::query(
        "SELECT first_slot, last_slot, count::bigint AS count, fate FROM maintd.passed_slots \
         WHERE (deployment, backend, job) = ($1, $2, $3) ORDER BY first_slot",
    )
    .bind(deployment)
    .bind(backend)
    .bind(job)
    .fetch_all(pool)
    .await
    .expect("reading the passed slots");
    let stretch = |row: sqlx::postgres::PgRow| Stretch {
        first_slot: row.get("first_slot"),
        last_slot: row.get("last_slot"),
        count: row.get("count"),
        fate: row.get("fate"),
    };
    Some(rows.into_iter().map(stretch).collect())
}

/// Histories that did not happen, by way of the database: reading is tested with them as well.
mod doctored {
    use chrono_tz::Tz;

    use super::*;
    use crate::harness::cluster::TestDb;

    /// A database with two runs, the first lost and the second good, which deleted ten rows; five
    /// live ones are left.
    async fn honest() -> (TestDb, i64) {
        let db = TestDb::new().await;
        let witness = Witness::new(db.pool()).await;
        witness.add(10, -60).await;
        witness.add(5, 3600).await;
        let now = witness.now().await;
        for sql in [
            "DELETE FROM attributes WHERE ttl_timestamp < extract(epoch FROM now())",
            "INSERT INTO maintd.leases (deployment, backend, job, term, last_slot) \
             VALUES ('public', 'postgresql', 'ttl_cleanup', 2, '2030-01-01 00:00:02Z')",
            "INSERT INTO maintd.runs (deployment, backend, job, run_id, slot, trigger, holder, term, started_at, \
                 finished_at, outcome, report) \
             SELECT 'public', 'postgresql', 'ttl_cleanup', gen_random_uuid(), slot, 'schedule', 'host/' || term, term, \
                 slot, slot + interval '0.5s', CASE term WHEN 1 THEN 'lost' ELSE 'succeeded' END, '{\"deleted\": 5}' \
             FROM generate_series(1, 2) AS term, \
                 LATERAL (SELECT timestamptz '2030-01-01 00:00:00Z' + make_interval(secs => term)) AS at(slot)",
        ] {
            sqlx::query(sql).execute(db.pool()).await.expect(sql);
        }
        (db, now)
    }

    async fn problems((db, now): &(TestDb, i64)) -> Vec<String> {
        let schedule = Schedule::parse("every 1s", Tz::UTC).expect("a schedule");
        let time = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        let killed = Killed { process: 1, at: time("2030-01-01T00:00:01.2Z") };
        let baseline = time("2030-01-01T00:00:00Z");
        Ledger::read(db.pool(), &schedule, Some(baseline), *now, &[killed]).await.problems()
    }

    #[tokio::test]
    async fn an_honest_history_is_believed() {
        assert_eq!(problems(&honest().await).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn each_way_to_doctor_it_is_noticed() {
        for (doctor, refused) in [
            ("UPDATE maintd.runs SET finished_at = finished_at + interval '1s'", "began before run"),
            ("UPDATE maintd.runs SET finished_at = finished_at - interval '1s'", "ended before it began"),
            ("UPDATE maintd.runs SET outcome = 'failed' WHERE term = 1", "is failed and not lost"),
            (
                "UPDATE maintd.runs SET report = report || '{\"examined\": 6}' WHERE term = 2",
                "left 1 rows that it had found",
            ),
            ("UPDATE maintd.runs SET term = 1", "the term does not grow"),
            ("UPDATE maintd.runs SET outcome = NULL WHERE term = 2", "is left open"),
            ("UPDATE maintd.leases SET secret = gen_random_uuid(), holder = 'host/2'", "still held by host/2"),
            ("UPDATE maintd.leases SET last_slot = last_slot - interval '1s'", "the lease knows nothing of it"),
            ("UPDATE maintd.runs SET slot = '2030-01-01 00:00:02Z', outcome = 'succeeded'", "was run again after"),
            ("UPDATE maintd.runs SET report = '{\"deleted\": 6}' WHERE term = 2", "11 rows deleted, and 10 are gone"),
            ("DELETE FROM attributes WHERE bucket_name = 'witnessed:15'", "1 rows are gone that had not expired"),
            (
                "INSERT INTO attributes (id, bucket_name, bucket, name, ttl_timestamp) \
                 SELECT id, bucket_name, '', '', ttl_timestamp FROM witness.attributes \
                 WHERE bucket_name = 'witnessed:1'",
                "1 rows had expired and are still there",
            ),
            (
                "INSERT INTO maintd.run_workers (run_id, worker, term, secret) \
                 SELECT run_id, 0, 1, gen_random_uuid() FROM maintd.runs WHERE term = 1",
                "1 fences are left",
            ),
        ] {
            let doctored = honest().await;
            sqlx::query(doctor).execute(doctored.0.pool()).await.expect(doctor);
            let problems = problems(&doctored).await;
            assert!(problems.iter().any(|problem| problem.contains(refused)), "after {doctor}: {problems:#?}");
        }
    }
}
