//! Sets that are restored into a place that is thrown away, and what is left of it.

use sqlx::AssertSqlSafe;
use tempfile::TempDir;

use super::proof::{Proof, after_a_kill, done, only, run};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Maintd, Output};
use crate::harness::dynamodb::TestTables;
use crate::harness::store::add_attributes;
use crate::harness::tools::tool;

const DRILL: [&str; 3] = ["backup", "drill", "latest"];

/// Rows whose text is not what PostgreSQL would write of itself, among others.
pub(super) const AWKWARD: &str = r#"
    INSERT INTO attributes (id, bucket_name, bucket, name, data, "timestamp", ttl_timestamp) VALUES
        ('a', 'b:scale', 'b', 'scale', '{"b": 1.50, "a": [1E2, -0.0, 1e400, 0.1000]}', NULL, NULL),
        ('a', 'b:null', 'b', 'null', 'null', '2026-01-02 03:04:05.000006', 9223372036854775807),
        ('a', 'b:none', 'b', 'none', NULL, '1901-01-01', -1),
        ('a', E'b:\t\\N\n', 'b', E'\t\\N\n', '"\u00e9 \\\\ \ud83d\ude00"', NULL, 0);
    INSERT INTO actors VALUES ('', '', '', NULL), ('a', 'A@Example.com', 'p', '2026-01-01 00:00:00');
    INSERT INTO property_lookup VALUES ('email', '', 'a');
    INSERT INTO properties VALUES ('a', '', ''), ('a', 'n', E'\n\\.\n\\');
    INSERT INTO subscription_suspensions VALUES ('a', 'a:b', '', '2026-01-01 01:00:00+01');
    INSERT INTO subscriptions VALUES ('a', 'p:s', 'p', 's', NULL, '', NULL, '', -1, true)"#;

/// A deployment with rows of every kind.
pub(super) async fn deployment() -> TestDb {
    let db = TestDb::new().await;
    sqlx::raw_sql(AWKWARD).execute(db.pool()).await.unwrap();
    add_attributes(&db, "more", 300, 3600).await;
    db
}

/// How the names of databases for drills of this deployment begin.
const BEGINNING: &str = "SELECT 'maintd_drill_' || left(replace(id::text, '-', ''), 12) FROM maintd.deployments";

/// Databases that are there for drills of this deployment, or are called so.
async fn scratch_databases(db: &TestDb) -> Vec<String> {
    let beginning: String = sqlx::query_scalar(BEGINNING).fetch_one(db.pool()).await.unwrap();
    sqlx::query_scalar("SELECT datname::text FROM pg_database WHERE starts_with(datname, $1)")
        .bind(beginning)
        .fetch_all(db.pool())
        .await
        .unwrap()
}

/// A target on the server of the deployment.
fn same_server(db: &TestDb) -> String {
    format!(
        "[targets.elsewhere]\nbackend = \"postgresql\"\nhost = \"{}\"\nport = {}\ndbname = \"postgres\"\nuser = \"postgres\"\n",
        db.host(),
        db.port()
    )
}

fn has_died(output: &Output) {
    assert!(output.code > 128 || output.code < 0, "{output:?}");
}

#[tokio::test]
async fn what_comes_out_of_a_dump_is_what_went_in_and_no_cluster_stays() {
    let db = deployment().await;
    let proof = Proof::with("");
    done(proof.on(&db, &["backup", "create"]));
    // One that is killed in the middle of it leaves a mark of whose it was, and the next one removes that.
    let killed = proof.killed_at("backup::restore", Maintd::on(&db));
    has_died(&killed.run(&DRILL));
    done(after_a_kill(async || proof.on(&db, &DRILL)).await);
    let set = only(&proof.on(&db, &["backup", "list", "--json"]));
    assert_eq!(set["level"], "drilled", "{set:#}");
    assert_eq!(set["drill"]["compared"], true);
    assert_eq!(set["drill"]["rows"], set["rows"]);
    assert!(set["drill"]["restore_seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(proof.left(), [] as [String; 0]);

    // The same files beside digests of other rows.
    proof.forge("attributes", |digests| {
        let mut all: serde_json::Value = serde_json::from_str(digests).unwrap();
        let buckets = all["attributes"]["buckets"].as_object_mut().unwrap();
        let first = buckets.keys().next().unwrap().clone();
        buckets.remove(&first);
        all.to_string()
    });
    let output = proof.on(&db, &DRILL);
    assert_eq!(output.code, 2, "{output:?}");
    let set = only(&proof.on(&db, &["backup", "list", "--json"]));
    assert_eq!(set["level"], "taken", "{set:#}");
    let damage = set["damage"]["what"].as_str().unwrap();
    assert!(damage.contains("attributes is another: 1 of 4096 buckets differ"), "{damage}");
}

#[tokio::test]
async fn a_target_gets_a_database_that_goes_again_also_after_a_kill() {
    let db = deployment().await;
    let drill = "[backup.drill]\ntarget = \"elsewhere\"\nallow_production_server = true\n";
    let proof = Proof::with(&format!("{drill}{}", same_server(&db)));
    done(proof.on(&db, &["backup", "create"]));
    let killed = proof.killed_at("backup::restore", Maintd::on(&db));
    has_died(&killed.run(&DRILL));
    assert_eq!(scratch_databases(&db).await.len(), 1);
    crate::harness::eventually("the killed drill to be disconnected", async || {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE datname = ANY($1)")
            .bind(scratch_databases(&db).await)
            .fetch_one(db.pool())
            .await
            .unwrap();
        count == 0
    })
    .await;
    done(after_a_kill(async || proof.on(&db, &DRILL)).await);
    assert_eq!(scratch_databases(&db).await, [] as [String; 0]);
    assert_eq!(only(&proof.on(&db, &["backup", "list", "--json"]))["level"], "drilled");
}

/// A directory with PostgreSQL's clients and none of its servers, as on a host that only has the daemon.
fn clients() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for client in ["pg_dump", "pg_restore"] {
        std::os::unix::fs::symlink(tool(client), directory.path().join(client)).unwrap();
    }
    directory
}

#[tokio::test]
async fn the_production_server_is_used_only_if_it_may_be_and_has_the_space() {
    let db = deployment().await;
    let clients = clients();
    let proof = Proof::with(&format!("bin_dir = \"{}\"\n{}", clients.path().display(), same_server(&db)));
    let drill = |variables: &[(&str, &str)]| {
        let maintd = proof.configured(Maintd::on(&db));
        variables.iter().fold(maintd, |maintd, (name, value)| maintd.env(name, value)).run(&DRILL)
    };
    const ALLOWED: (&str, &str) = ("MAINTD_BACKUP__DRILL__ALLOW_PRODUCTION_SERVER", "true");
    let refused = |variables: &[(&str, &str)], words: &[&str]| {
        let output = drill(variables);
        let missing = words.iter().find(|word| !output.stdout.contains(**word));
        assert_eq!((output.code, missing), (1, None), "{}\n{}", output.stdout, output.stderr);
    };
    done(proof.on(&db, &["backup", "create"]));

    refused(&[], &["backup.drill.target", "backup.drill.allow_production_server", "there is none in"]);
    // Neither when a target turns out to be on it.
    let elsewhere = ("MAINTD_BACKUP__DRILL__TARGET", "elsewhere");
    refused(&[elsewhere], &["holds the deployment", "backup.drill.allow_production_server = true"]);
    // Nor when it would have too little left. It is not filled to see that.
    refused(&[ALLOWED, ("MAINTD_BACKUP__KEEP_FREE", "1000TiB")], &["are needed", "`keep_free` below [backup]"]);
    assert_eq!(scratch_databases(&db).await, [] as [String; 0]);
    let set = only(&proof.on(&db, &["backup", "list", "--json"]));
    assert_eq!((&set["level"], &set["damage"]), (&"verified".into(), &serde_json::Value::Null), "{set:#}");

    // What has the name of a drill's database and is somebody else's stays, whatever else is thrown away.
    let beginning = sqlx::query_scalar::<_, String>(BEGINNING).fetch_one(db.pool()).await.unwrap();
    let (other, left) = (format!("{beginning}_00000000"), format!("{beginning}_11111111"));
    for name in [&other, &left] {
        let sql = format!("CREATE DATABASE {name} OWNER {}", db.role());
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(db.pool()).await.unwrap();
    }
    let said = format!("COMMENT ON DATABASE {other} IS 'the only copy of the photographs'");
    sqlx::raw_sql(AssertSqlSafe(said)).execute(db.pool()).await.unwrap();
    let drilled = done(drill(&[ALLOWED]));
    assert!(drilled.stdout.contains("digests compared"), "{}", drilled.stdout);
    assert_eq!(scratch_databases(&db).await, [other.as_str()]);
    let set = only(&proof.on(&db, &["backup", "list", "--json"]));
    assert_eq!((&set["level"], &set["drill"]["rows"]), (&"drilled".into(), &set["rows"]), "{set:#}");
    // What it was made of is all still there, and nothing lies about.
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM attributes").fetch_one(db.pool()).await.unwrap();
    assert_eq!((rows, proof.left()), (304, Vec::new()));
    sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE {other}"))).execute(db.pool()).await.unwrap();
}

#[tokio::test]
async fn tables_of_a_drill_go_again_also_after_a_kill() {
    let tables = TestTables::new().await;
    tables.add_attributes("some", 60, 3600).await;
    let proof = Proof::with("");
    done(proof.beside(&tables, &["backup", "create"]).await);
    let listed = async || {
        let listed = tables.client().list_tables().send().await.unwrap();
        listed.table_names().iter().filter(|name| name.contains("_drill_")).count()
    };
    for (point, left) in [("backup::drill", 1), ("backup::restore", 10)] {
        let kill = || proof.killed_at(point, Maintd::beside(&tables));
        has_died(&after_a_kill(async || run(kill(), &DRILL).await).await);
        assert_eq!(listed().await, left, "{point}");
    }
    done(after_a_kill(async || proof.beside(&tables, &DRILL).await).await);
    assert_eq!(listed().await, 0);
    let set = only(&proof.beside(&tables, &["backup", "list", "--json"]).await);
    assert_eq!((&set["level"], &set["drill"]["rows"]), (&"drilled".into(), &60.into()), "{set:#}");
}

/// Takes the last line away from a configuration that encrypts: the one that says where the key is.
fn without_key(proof: &mut Proof) -> String {
    let more = proof.more.clone();
    let (kept, _) = more.split_once("identity_file").expect("a key");
    std::mem::replace(&mut proof.more, kept.to_owned())
}

#[tokio::test]
async fn what_is_encrypted_is_drilled_by_whoever_has_the_key() {
    let (db, tables) = (deployment().await, TestTables::new().await);
    tables.add_attributes("some", 60, 3600).await;
    for rows in [None, Some(60)] {
        let mut proof = Proof::encrypting();
        let on = async |proof: &Proof, arguments: &[&str]| match rows {
            None => proof.on(&db, arguments),
            Some(_) => proof.beside(&tables, arguments).await,
        };
        // Whoever makes a set needs no key, and verifies what there is to see without one.
        let more = without_key(&mut proof);
        done(on(&proof, &["backup", "create"]).await);
        let refused = on(&proof, &DRILL).await;
        let said = format!("{}{}", refused.stdout, refused.stderr);
        assert!(refused.code == 1 && said.contains("identity_file"), "{}: {said}", refused.code);
        let set = only(&on(&proof, &["backup", "list", "--json"]).await);
        assert_eq!((&set["level"], &set["damage"]), (&"verified".into(), &serde_json::Value::Null), "{set:#}");

        proof.more = more;
        done(on(&proof, &DRILL).await);
        let set = only(&on(&proof, &["backup", "list", "--json"]).await);
        assert_eq!((&set["level"], &set["drill"]["compared"]), (&"drilled".into(), &true.into()), "{set:#}");
        assert_eq!(set["drill"]["rows"], rows.map_or(set["rows"].clone(), Into::into));

        // What cannot be restored because its files are others is damaged, and no failure of the drill.
        let file = proof.damage();
        assert_eq!(on(&proof, &DRILL).await.code, 2, "{file}");
        let set = only(&on(&proof, &["backup", "list", "--json"]).await);
        assert!(set["damage"]["what"].as_str().is_some_and(|what| what.contains(&file)), "{file}: {set:#}");
        assert_eq!(proof.left(), [] as [String; 0]);
    }
}
