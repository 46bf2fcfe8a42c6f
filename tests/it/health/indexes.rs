//! Indexes against what the revision must have, known by what they index.

use actingweb_maintd::jobs::index_health::Settings;

use super::scene::{Case, hold, kinds, look, run};
use crate::harness::cluster::TestDb;
use crate::harness::{eventually, store};

#[tokio::test]
async fn indexes_that_differ_are_found() {
    hold(&[
        Case {
            provoke: "DROP INDEX idx_trusts_secret",
            kind: "index_missing",
            object: "idx_trusts_secret",
            says: &["no index on (secret)", "CREATE INDEX CONCURRENTLY idx_trusts_secret ON public.trusts (secret)"],
            mend: "CREATE INDEX idx_trusts_secret ON trusts (secret)",
        },
        Case {
            // What the migration finds has its name already, and leaves.
            provoke: "DROP INDEX idx_attributes_chain_id; CREATE INDEX idx_attributes_chain_id ON attributes (name)",
            kind: "index_different",
            object: "idx_attributes_chain_id",
            says: &["(name) and not on ((data ->> 'chain_id'::text)) where"],
            mend: "DROP INDEX idx_attributes_chain_id; CREATE INDEX idx_attributes_chain_id ON attributes \
                   ((data ->> 'chain_id')) WHERE (data ->> 'chain_id') IS NOT NULL",
        },
        Case {
            // The comparison of the application does not find it.
            provoke: "DROP INDEX idx_attributes_chain_id; CREATE INDEX idx_attributes_chain_id ON attributes \
                      ((data ->> 'chain_id') COLLATE \"C\") WHERE (data ->> 'chain_id') IS NOT NULL",
            kind: "index_different",
            object: "idx_attributes_chain_id",
            says: &["by an order, operators or rules of its own and not on"],
            mend: "DROP INDEX idx_attributes_chain_id; CREATE INDEX idx_attributes_chain_id ON attributes \
                   ((data ->> 'chain_id')) WHERE (data ->> 'chain_id') IS NOT NULL",
        },
        Case {
            // The one that was expected has another name, and does the work.
            provoke: "ALTER INDEX idx_trusts_secret RENAME TO secrets; CREATE INDEX idx_trusts_secret ON trusts (peerid)",
            kind: "index_extra",
            object: "idx_trusts_secret",
            says: &["nobody expects the index idx_trusts_secret on trusts (peerid)"],
            mend: "DROP INDEX idx_trusts_secret",
        },
        Case {
            // Not all rows.
            provoke: "DROP INDEX idx_trusts_secret; CREATE INDEX idx_trusts_secret ON trusts (secret) WHERE approved",
            kind: "index_different",
            object: "idx_trusts_secret",
            says: &["where approved"],
            mend: "DROP INDEX idx_trusts_secret; CREATE INDEX idx_trusts_secret ON trusts (secret)",
        },
        Case {
            provoke: "CREATE INDEX mine ON properties (name)",
            kind: "index_extra",
            object: "mine",
            says: &["nobody expects", "jobs.index_health.acknowledge", "DROP INDEX CONCURRENTLY public.mine"],
            mend: "DROP INDEX mine",
        },
        Case {
            provoke: "CREATE INDEX idx_actors_creator ON actors (creator)",
            kind: "index_duplicate",
            object: "idx_actors_creator",
            says: &["indexes what ix_actors_creator does"],
            mend: "DROP INDEX idx_actors_creator",
        },
        Case {
            provoke: "CREATE INDEX again ON properties (id, name)",
            kind: "index_duplicate",
            object: "again",
            says: &["indexes what properties_pkey does"],
            mend: "DROP INDEX again",
        },
        Case {
            provoke: "CREATE INDEX short ON properties (id)",
            kind: "index_covered",
            object: "short",
            says: &["what properties_pkey begins with"],
            mend: "DROP INDEX short",
        },
        Case {
            provoke: "CREATE INDEX longer ON trusts (secret, id)",
            kind: "index_extra",
            object: "longer",
            says: &[],
            mend: "DROP INDEX longer",
        },
        Case {
            provoke: "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_actors_creator'::regclass",
            kind: "index_invalid",
            object: "ix_actors_creator",
            says: &["cannot be used", "REINDEX INDEX CONCURRENTLY public.ix_actors_creator"],
            mend: "REINDEX INDEX CONCURRENTLY ix_actors_creator",
        },
        Case {
            provoke: "CREATE INDEX idx_trusts_secret_ccnew ON trusts (secret); \
                      UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_trusts_secret_ccnew'::regclass",
            kind: "index_leftover",
            object: "idx_trusts_secret_ccnew",
            says: &["has left it", "DROP INDEX CONCURRENTLY public.idx_trusts_secret_ccnew"],
            mend: "DROP INDEX idx_trusts_secret_ccnew",
        },
    ])
    .await;
}

/// They find what others do not: nobody is told to drop them as duplicates.
#[tokio::test]
async fn indexes_that_hold_more_or_find_otherwise_are_no_duplicates() {
    let db = TestDb::new().await;
    run(
        &db,
        "CREATE INDEX cover ON actors (creator) INCLUDE (passphrase); CREATE INDEX down ON actors (creator DESC); \
         CREATE INDEX patterns ON actors (creator varchar_pattern_ops); CREATE INDEX part ON properties (id) INCLUDE (value)",
    )
    .await;
    let report = look(&*store::store(&db), Settings::default()).await;
    let extra = ["cover", "down", "part", "patterns"].map(|index| ("index_extra".to_owned(), index.to_owned()));
    let mut found = kinds(&report);
    found.sort();
    assert_eq!(found, extra, "{report:#?}");
    // One that holds more stands in for the one that is expected.
    run(&db, "DROP INDEX ix_actors_creator, down, part, patterns").await;
    assert_eq!(kinds(&look(&*store::store(&db), Settings::default()).await), []);
}

#[tokio::test]
async fn an_index_is_known_by_what_it_indexes() {
    let db = TestDb::new().await;
    let store = store::store(&db);
    // As ActingWeb's documentation names them, and one that finds the same and more.
    run(
        &db,
        "ALTER INDEX ix_actors_creator RENAME TO idx_actors_creator; ALTER INDEX trusts_pkey RENAME TO other; \
         DROP INDEX idx_trusts_secret; CREATE INDEX secrets ON trusts (secret, approved)",
    )
    .await;
    let report = look(&*store, Settings::default()).await;
    assert_eq!(kinds(&report), [], "{report:#?}");
    let indexes = report.health.expect("figures").indexes;
    let named = indexes.iter().find(|figure| figure.index == "idx_actors_creator").expect("the index");
    assert_eq!(named.known_as.as_deref(), Some("ix_actors_creator"));
}

#[tokio::test]
async fn unique_indexes_and_constraints_are_never_superfluous() {
    let db = TestDb::new().await;
    run(
        &db,
        "CREATE UNIQUE INDEX one_each ON actors (creator); ALTER TABLE trusts ADD CONSTRAINT once UNIQUE (id, peerid)",
    )
    .await;
    let found = kinds(&look(&*store::store(&db), Settings::default()).await);
    // They are somebody's rule, which nobody expects, and no duplicates.
    assert_eq!(
        found,
        [("index_extra", "once"), ("index_extra", "one_each")].map(|(kind, of)| (kind.into(), of.into()))
    );
}

/// `indisvalid` is false as well while an index is being built.
#[tokio::test]
async fn an_index_that_somebody_builds_is_nobodys_business() {
    let db = TestDb::new().await;
    let store = store::store(&db);
    run(&db, "DROP INDEX idx_trusts_secret").await;
    // Whoever builds an index waits for everybody who may not know it yet.
    let mut holder = db.pool().begin().await.unwrap();
    sqlx::query("INSERT INTO trusts SELECT '', '', '', '', '', '', '', true, true, true")
        .execute(&mut *holder)
        .await
        .unwrap();
    let pool = db.pool().clone();
    let building = tokio::spawn(async move {
        for statement in [
            "CREATE INDEX CONCURRENTLY idx_trusts_secret ON trusts (secret)",
            "CREATE INDEX CONCURRENTLY mine ON trusts (peerid)",
        ] {
            sqlx::query(statement).execute(&pool).await.unwrap();
        }
    });
    until(
        &db,
        "SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('idx_trusts_secret') AND NOT indisvalid)",
    )
    .await;
    let report = look(&*store, Settings::default()).await;
    assert_eq!(kinds(&report), [], "{report:#?}");
    holder.rollback().await.unwrap();
    building.await.unwrap();
    let found = kinds(&look(&*store, Settings::default()).await);
    assert_eq!(found, [("index_extra".to_owned(), "mine".to_owned())]);

    // A vacuum holds the same lock and builds nothing.
    run(
        &db,
        "DROP INDEX mine; UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_trusts_secret'::regclass",
    )
    .await;
    let found = kinds(&look(&*store, Settings::default()).await);
    assert_eq!(found, [("index_invalid".to_owned(), "idx_trusts_secret".to_owned())]);
}

/// The first of those who wait for a row holds a lock on it, which is no lock on the table.
#[tokio::test]
async fn whoever_waits_for_a_row_builds_no_index() {
    let db = TestDb::new().await;
    let store = store::store(&db);
    run(
        &db,
        "INSERT INTO actors VALUES ('a', 'b', 'c'); \
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_actors_creator'::regclass",
    )
    .await;
    let row = "SELECT FROM actors WHERE id = 'a' FOR UPDATE";
    let mut holder = db.pool().begin().await.unwrap();
    sqlx::query(row).execute(&mut *holder).await.unwrap();
    let waits = || {
        let pool = db.pool().clone();
        tokio::spawn(async move { sqlx::query(row).execute(&pool).await.unwrap() })
    };
    let waiting = [waits(), waits()];
    until(
        &db,
        "SELECT count(*) = 2 FROM pg_locks WHERE locktype = 'tuple' AND relation = 'actors'::regclass \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND mode = 'AccessExclusiveLock'",
    )
    .await;
    let found = kinds(&look(&*store, Settings::default()).await);
    assert_eq!(found, [("index_invalid".to_owned(), "ix_actors_creator".to_owned())]);
    holder.rollback().await.unwrap();
    for waits in waiting {
        waits.await.unwrap();
    }
}

/// Waits until a question is answered with yes.
async fn until(db: &TestDb, question: &'static str) {
    eventually(question, async || sqlx::query_scalar::<_, bool>(question).fetch_one(db.pool()).await.unwrap()).await;
}
