//! Commands whose backups go to a bucket: over TLS, and where it refuses.

use crate::harness::certificates::{Certificates, NAME};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Maintd, Output};
use crate::harness::moto::{Keys, Moto};
use crate::harness::private::Private;
use crate::harness::python::python_script;
use crate::harness::s3::Bucket;

const CONFIG: &str = "[backup]\nwhere = \"s3://backups/sets\"\nkeep_free = \"1MiB\"\n\
                      [backup.bucket]\nregion = \"us-east-1\"\n";

/// The binary with the bucket `backups` of a server, as the provider's own tools find it.
fn with_bucket(maintd: Maintd, endpoint: &str, keys: &Keys) -> Maintd {
    maintd
        .with_programs()
        .env("AWS_ENDPOINT_URL_S3", endpoint)
        .env("AWS_ACCESS_KEY_ID", &keys.id)
        .env("AWS_SECRET_ACCESS_KEY", &keys.secret)
        .config(CONFIG)
}

/// A deployment on both backends, whose servers and bucket speak TLS only.
struct Scene {
    certificates: Certificates,
    private: Private,
    moto: Moto,
}

impl Scene {
    async fn new() -> Self {
        let certificates = Certificates::new();
        let private = certificates.postgresql(&["hostnossl all all all reject"]).await;
        let moto = Moto::start_encrypted(&certificates);
        let scene = Self { certificates, private, moto };
        scene.ask_s3("s3.create_bucket(Bucket='backups')").await;
        scene
    }

    /// Runs Python with AWS's own client, and returns what it prints.
    async fn ask_s3(&self, script: &str) -> String {
        let (endpoint, authority) = (self.moto.endpoint(), self.certificates.path("authority.pem"));
        let client = format!(
            "import boto3\ns3 = boto3.client('s3', endpoint_url='{endpoint}', verify='{}', region_name='us-east-1', \
             aws_access_key_id='test', aws_secret_access_key='test')\n{script}\n",
            authority.display()
        );
        python_script(&Vec::new(), &client).await
    }

    /// A command that trusts the authorities in a file, for all but PostgreSQL.
    fn run(&self, trusted: &str, arguments: &[&str]) -> Output {
        let maintd = self
            .private
            .maintd()
            .env("PG_DB_HOST", NAME)
            .env("PGSSLMODE", "verify-full")
            .env("PGSSLROOTCERT", self.certificates.path("authority.pem"))
            .env("MAINTD_STORAGE__BACKENDS", "postgresql,dynamodb")
            .env("AWS_DB_HOST", self.moto.endpoint())
            .env("AWS_DB_PREFIX", "app")
            .env("SSL_CERT_FILE", self.certificates.path(trusted));
        let anybody = Keys { id: "test".to_owned(), secret: "test".to_owned() };
        with_bucket(maintd, &self.moto.endpoint(), &anybody).run(arguments)
    }
}

/// The clients of all three are in one process, which has one provider of TLS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_stores_and_the_bucket_are_reached_over_tls() {
    let scene = Scene::new().await;
    let applied = scene.run("authority.pem", &["schema", "apply"]);
    assert_eq!(applied.code, 0, "{applied:?}");
    sqlx::raw_sql("INSERT INTO actors (id, creator, passphrase) VALUES ('a', 'c', 'p')")
        .execute(scene.private.pool())
        .await
        .unwrap();
    for (backend, rows) in [("postgresql", 1), ("dynamodb", 0)] {
        let created = scene.run("authority.pem", &["backup", "create", "--backend", backend, "--json"]);
        assert_eq!(created.code, 0, "{created:?}");
        let backups = created.json()["report"]["backups"].clone();
        assert_eq!((&backups["level"], &backups["rows"]), (&"verified".into(), &rows.into()), "{backups}");
    }
    let drilled = scene.run("authority.pem", &["backup", "drill", "latest", "--backend", "postgresql"]);
    assert_eq!(drilled.code, 0, "{drilled:?}");

    // What was there stays as it was, and is all there is.
    let keys = "print(sorted(found['Key'] for found in s3.list_objects_v2(Bucket='backups')['Contents']))";
    let there = scene.ask_s3(keys).await;
    for command in ["create", "list"] {
        let failed = scene.run("stranger.pem", &["backup", command, "--backend", "postgresql"]);
        assert_eq!(failed.code, 1, "{failed:?}");
        let place = "s3://backups/sets";
        for words in [place, "localhost:", "is not trusted (UnknownIssuer)", "SSL_CERT_FILE"] {
            assert!(failed.stderr.contains(words), "{words}: {failed:?}");
        }
    }
    assert_eq!(scene.ask_s3(keys).await, there);
}

#[tokio::test]
async fn who_may_not_is_told_what_it_takes_and_nothing_is_published() {
    let db = TestDb::new().await;
    let bucket = Bucket::start();
    let [all, reader, writer] = bucket.only_for([
        ("all", &["s3:*"]),
        ("reader", &["s3:ListBucket", "s3:GetObject"]),
        ("writer", &["s3:PutObject"]),
    ]);
    let create = |keys| with_bucket(Maintd::on(&db), &bucket.endpoint(), keys).run(&["backup", "create"]);
    for (keys, permission) in [
        (&reader, "s3:PutObject on arn:aws:s3:::backups/sets/*"),
        (&writer, "s3:ListBucket on arn:aws:s3:::backups for the prefix sets/*"),
    ] {
        let refused = create(keys);
        assert_eq!(refused.code, 1, "{refused:?}");
        let said = format!("{}{}", refused.stdout, refused.stderr);
        for words in ["s3://backups/sets/", "403 AccessDenied", permission] {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert!(!said.contains(&keys.secret), "{said}");
    }
    assert_eq!(bucket.depot_of(&all, "").list().await.unwrap(), []);
    let created = create(&all);
    assert_eq!(created.code, 0, "{created:?}");
}
