//! Tables, columns and keys against what the revision must have.

use actingweb_maintd::jobs::index_health::Settings;

use super::scene::{Case, hold, kinds, look, run};
use crate::harness::cluster::TestDb;
use crate::harness::python::alembic;
use crate::harness::{eventually, store};

const FOREIGN_KEY: &str = "ALTER TABLE property_lookup ADD CONSTRAINT fk_property_lookup_actor FOREIGN KEY (actor_id) \
                           REFERENCES actors (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED";

#[tokio::test]
async fn what_schema_apply_makes_is_well() {
    let db = TestDb::new().await;
    let report = look(&*store::store(&db), Settings { deep: true, ..Settings::default() }).await;
    assert_eq!(kinds(&report), [], "{report:#?}");
    assert_eq!(report.health.expect("figures").indexes.len(), 14);
}

#[tokio::test]
async fn what_alembic_makes_is_well() {
    let db = TestDb::empty().await;
    alembic(&db, &["upgrade", "head"]).await;
    // Before the daemon has a schema of its own, somebody may look already.
    let report = look(&*store::store(&db), Settings::default()).await;
    assert_eq!(kinds(&report), [], "{report:#?}");
    assert_eq!(report.health.expect("figures").indexes.len(), 14);
}

#[tokio::test]
async fn every_known_revision_is_well_as_it_is() {
    use actingweb_maintd::model::schema::REVISIONS;
    for (position, revision) in REVISIONS.iter().enumerate() {
        let db = TestDb::new().await;
        let tables: Vec<String> =
            sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
                .fetch_all(db.pool())
                .await
                .unwrap();
        run(&db, &format!("DROP TABLE {} CASCADE", tables.join(", "))).await;
        for step in &REVISIONS[..=position] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(step.sql.replace("{schema}", "public")))
                .execute(db.pool())
                .await
                .unwrap();
        }
        run(&db, "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)").await;
        run(&db, &format!("INSERT INTO alembic_version VALUES ('{}')", revision.id)).await;
        run(&db, &format!("GRANT SELECT ON alembic_version TO {}", db.role())).await;
        let report = look(&*store::store(&db), Settings::default()).await;
        assert_eq!(kinds(&report), [], "{}: {report:#?}", revision.id);
    }
}

#[tokio::test]
async fn of_a_revision_that_nobody_knows_nothing_is_compared() {
    let db = TestDb::new().await;
    run(&db, "UPDATE alembic_version SET version_num = 'f00'; DROP INDEX idx_trusts_secret").await;
    let report = look(&*store::store(&db), Settings::default()).await;
    assert_eq!(kinds(&report), []);
    let notes = report.health.expect("figures").notes;
    assert!(notes.iter().any(|note| note.contains("were not compared")), "{notes:?}");
}

#[tokio::test]
async fn tables_and_columns_that_differ_are_found() {
    hold(&[
        Case {
            provoke: "ALTER TABLE subscription_suspensions RENAME TO gone",
            kind: "table_missing",
            object: "subscription_suspensions",
            says: &["public.subscription_suspensions is missing"],
            mend: "ALTER TABLE gone RENAME TO subscription_suspensions",
        },
        Case {
            provoke: "ALTER TABLE subscriptions RENAME COLUMN callback TO called; ALTER TABLE subscriptions ALTER called DROP NOT NULL; ALTER TABLE subscriptions DROP COLUMN called",
            kind: "column_missing",
            object: "subscriptions.callback",
            says: &[],
            mend: "ALTER TABLE subscriptions ADD COLUMN callback boolean NOT NULL",
        },
        Case {
            provoke: "ALTER TABLE trusts ALTER secret TYPE text",
            kind: "column_different",
            object: "trusts.secret",
            says: &["text NOT NULL and not character varying(255) NOT NULL"],
            mend: "ALTER TABLE trusts ALTER secret TYPE varchar(255)",
        },
        Case {
            provoke: "ALTER TABLE trusts ALTER \"desc\" SET NOT NULL",
            kind: "column_different",
            object: "trusts.desc",
            says: &["text NOT NULL and not text"],
            mend: "ALTER TABLE trusts ALTER \"desc\" DROP NOT NULL",
        },
        Case {
            provoke: "ALTER TABLE peertrustees ADD COLUMN mine int NOT NULL",
            kind: "column_extra",
            object: "peertrustees.mine",
            says: &["no row can be added"],
            mend: "ALTER TABLE peertrustees DROP COLUMN mine",
        },
        Case {
            provoke: "ALTER TABLE peertrustees ADD COLUMN mine int GENERATED ALWAYS AS IDENTITY",
            kind: "column_extra",
            object: "peertrustees.mine",
            says: &["stays behind when"],
            mend: "ALTER TABLE peertrustees DROP COLUMN mine",
        },
        Case {
            provoke: "ALTER TABLE properties SET UNLOGGED",
            kind: "table_unlogged",
            object: "properties",
            says: &["a crash empties it"],
            mend: "ALTER TABLE properties SET LOGGED",
        },
    ])
    .await;
}

#[tokio::test]
async fn keys_that_differ_are_found() {
    hold(&[
        Case {
            provoke: "ALTER TABLE subscription_diffs DROP CONSTRAINT subscription_diffs_pkey",
            kind: "key_different",
            object: "subscription_diffs",
            says: &["has no primary key; it must be (id, subid_seqnr)", "ADD CONSTRAINT subscription_diffs_pkey"],
            mend: "ALTER TABLE subscription_diffs ADD PRIMARY KEY (id, subid_seqnr)",
        },
        Case {
            provoke: "ALTER TABLE trusts DROP CONSTRAINT trusts_pkey; ALTER TABLE trusts ADD PRIMARY KEY (peerid, id)",
            kind: "key_different",
            object: "trusts",
            says: &["(peerid, id) and not (id, peerid)"],
            mend: "ALTER TABLE trusts DROP CONSTRAINT trusts_pkey; ALTER TABLE trusts ADD PRIMARY KEY (id, peerid)",
        },
        Case {
            provoke: "ALTER TABLE property_lookup DROP CONSTRAINT fk_property_lookup_actor",
            kind: "foreign_key_different",
            object: "fk_property_lookup_actor",
            says: &["entries of actors that are gone stay", "ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED"],
            mend: FOREIGN_KEY,
        },
        Case {
            // As the library's own schema.py has it.
            provoke: "ALTER TABLE property_lookup ALTER CONSTRAINT fk_property_lookup_actor NOT DEFERRABLE",
            kind: "foreign_key_different",
            object: "fk_property_lookup_actor",
            says: &["and not FOREIGN KEY (actor_id)"],
            mend: "ALTER TABLE property_lookup ALTER CONSTRAINT fk_property_lookup_actor DEFERRABLE INITIALLY DEFERRED",
        },
        Case {
            // As the library's documentation has it.
            provoke: "ALTER TABLE properties ADD CONSTRAINT documented FOREIGN KEY (id) REFERENCES actors (id)",
            kind: "foreign_key_different",
            object: "documented",
            says: &["nobody expects"],
            mend: "ALTER TABLE properties DROP CONSTRAINT documented",
        },
    ])
    .await;
}

/// The look waits for whoever drops something, and sees that it is gone.
#[tokio::test]
async fn what_is_dropped_during_a_look_is_gone() {
    let db = TestDb::new().await;
    run(&db, "CREATE INDEX mine ON properties (name)").await;
    let mine = [("index_extra".to_owned(), "mine".to_owned())];
    assert_eq!(kinds(&look(&*store::store(&db), Settings::default()).await), mine);
    // An index that is built anew lets everybody read of the table.
    let found = dropped_meanwhile(&db, "REINDEX INDEX mine", "DROP INDEX mine").await;
    assert_eq!(found, []);
    let found = dropped_meanwhile(&db, "LOCK TABLE properties", "DROP TABLE properties").await;
    assert_eq!(found, [("table_missing".to_owned(), "properties".to_owned())]);
}

/// What a look finds that has to wait for the first statement, and goes on after the second.
async fn dropped_meanwhile(db: &TestDb, hold: &'static str, drop: &'static str) -> Vec<(String, String)> {
    let store = store::store(db);
    let mut holder = db.pool().begin().await.unwrap();
    sqlx::query(hold).execute(&mut *holder).await.unwrap();
    let looking = tokio::spawn(async move { look(&*store, Settings::default()).await });
    let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'relation' \
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
    eventually("the look to wait", async || sqlx::query_scalar::<_, bool>(waits).fetch_one(db.pool()).await.unwrap())
        .await;
    sqlx::query(drop).execute(&mut *holder).await.unwrap();
    holder.commit().await.unwrap();
    kinds(&looking.await.unwrap())
}
