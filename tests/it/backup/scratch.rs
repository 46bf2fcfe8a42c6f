//! Clusters that hold somebody's data for a while: nobody else reaches them, and only what is ours is removed.

use std::fs;
use std::path::Path;

use actingweb_maintd::backup::cluster::{Cluster, Options, Seclusion, remove_leftovers};
use actingweb_maintd::work::Stop;
use uuid::Uuid;

use super::proof::{Proof, done, only, run};
use super::restore::target;
use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;
use crate::harness::private::{Private, blocking};

fn secluded(within: &Path, owner: Uuid) -> Options {
    let seclusion = Seclusion { within: within.to_path_buf(), owner, stop: Stop::new() };
    Options { seclusion: Some(seclusion), ..Options::default() }
}

#[tokio::test]
async fn only_what_is_left_of_our_own_is_removed() {
    let proof = Proof::with("");
    let (within, owner, other) = (proof.work_dir(), Uuid::new_v4(), Uuid::new_v4());
    for (name, owner) in [("ours", owner), ("theirs", other)] {
        fs::create_dir_all(within.join(format!("maintd-drill-{name}/data"))).unwrap();
        fs::write(within.join(format!("maintd-drill-{name}.owner")), owner.to_string()).unwrap();
    }
    fs::create_dir(within.join("maintd-drill-nobody")).unwrap();
    let options = secluded(&within, owner);
    let cluster = blocking(move || Cluster::prepare(&options).unwrap()).await;
    let removed = remove_leftovers(&within, owner).unwrap();
    assert_eq!(removed, [within.join("maintd-drill-ours")], "what lives stays, and what is not ours");
    assert!(cluster.socket_dir().is_dir());
    assert!(within.join("maintd-drill-theirs").is_dir() && within.join("maintd-drill-nobody").is_dir());
    blocking(move || drop(cluster)).await;
    assert_eq!(proof.left().len(), 3);
}

/// Whatever the original was told, its copy archives nothing, loads nothing and keeps to its own tablespaces.
#[tokio::test]
async fn a_copy_of_a_server_does_not_touch_the_original() {
    let private = Private::start(&[("archive_mode", "on"), ("archive_command", "true")], &[]).await;
    let space = private.cluster().socket_dir().join("space");
    fs::create_dir(&space).unwrap();
    let user = std::os::unix::fs::MetadataExt::uid(&fs::metadata(private.cluster().data_dir()).unwrap());
    std::os::unix::fs::chown(&space, Some(user), None).unwrap();
    for statement in [
        "ALTER SYSTEM SET shared_preload_libraries = 'nothing_that_there_is'".to_owned(),
        "ALTER SYSTEM SET archive_command = 'false'".to_owned(),
        "ALTER SYSTEM SET listen_addresses = '*'".to_owned(),
        format!("CREATE TABLESPACE apart LOCATION '{}'", space.display()),
        "ALTER TABLE attributes SET TABLESPACE apart".to_owned(),
        "INSERT INTO attributes (id, bucket_name, bucket, name) SELECT 'a', 'b:' || n, 'b', n FROM generate_series(1, 50) AS n"
            .to_owned(),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(private.pool()).await.unwrap();
    }
    let other = TestDb::empty().await;
    let proof = Proof::with(&format!("[backup.postgresql]\nmethod = \"physical\"\n{}", target(&other)));
    let command = |maintd: Maintd| proof.configured(maintd);
    done(run(command(private.maintd()), &["backup", "create"]).await);
    done(run(command(private.maintd()), &["backup", "drill", "latest"]).await);
    let set = only(&run(command(private.maintd()), &["backup", "list", "--json"]).await);
    assert_eq!((&set["level"], &set["drill"]["rows"]), (&"drilled".into(), &50.into()), "{set:#}");
    assert_eq!(set["drill"]["compared"], false);
    // Its tables are moved to where there is no such tablespace.
    let restore = ["backup", "restore", "latest", "--into", "elsewhere", "--json"];
    let restored = done(run(command(private.maintd()), &restore).await).json();
    assert_eq!((&restored["rows"], &restored["compared"]), (&50.into(), &true.into()), "{restored:#}");
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM attributes").fetch_one(other.pool()).await.unwrap();
    assert_eq!(rows, 50);
    assert_eq!(proof.left(), [] as [String; 0]);
    // The original still has its files.
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM attributes").fetch_one(private.pool()).await.unwrap();
    assert_eq!(rows, 50);
}
