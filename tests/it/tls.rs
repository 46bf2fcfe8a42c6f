//! TLS to the server, as libpq's `sslmode` means it.

use std::path::Path;

use crate::harness::certificates::{Certificates, NAME};
use crate::harness::daemon::{Maintd, Output};
use crate::harness::private::Private;

/// How one command connects.
struct Client<'a> {
    private: &'a Private,
    maintd: Maintd,
}

impl<'a> Client<'a> {
    fn new(private: &'a Private, sslmode: &str) -> Self {
        Self { private, maintd: private.maintd().env("PGSSLMODE", sslmode) }
    }

    fn host(self, host: &str) -> Self {
        Self { maintd: self.maintd.env("PG_DB_HOST", host), ..self }
    }

    fn trusting(self, file: &Path) -> Self {
        Self { maintd: self.maintd.env("PGSSLROOTCERT", file), ..self }
    }

    /// Connects, and returns whether the connections were encrypted, as the server logged them.
    fn connects(self) -> bool {
        let before = self.private.log().len();
        let Output { code, stderr, .. } = self.maintd.run(&["job", "list"]);
        assert_eq!(code, 0, "{stderr}");
        let log = self.private.log().split_off(before);
        let ours: Vec<bool> = log
            .lines()
            .filter(|line| line.contains("connection authorized") && line.contains("actingweb-maintd"))
            .map(|line| line.contains("SSL enabled"))
            .collect();
        assert!(!ours.is_empty(), "{log}");
        assert!(ours.iter().all(|encrypted| *encrypted == ours[0]), "{log}");
        ours[0]
    }

    /// Fails to connect, and returns what is said about it.
    fn fails(self) -> String {
        let port = self.private.cluster().port().to_string();
        let Output { code, stdout, stderr } = self.maintd.run(&["job", "list"]);
        assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        // As servers say it from PostgreSQL 14 on.
        stderr.replace(&port, "PORT").replace("SSL off", "no encryption")
    }
}

#[tokio::test]
async fn each_mode_insists_on_as_much_as_it_says() {
    let certificates = Certificates::new();
    let private = certificates.postgresql(&[]).await;
    let client = |sslmode| Client::new(&private, sslmode);
    let right = certificates.path("authority.pem");
    assert!(!client("disable").connects());
    assert!(!client("allow").connects());
    assert!(client("prefer").connects());
    assert!(client("require").connects());
    assert!(client("verify-ca").trusting(&right).connects(), "the host's name does not matter for verify-ca");
    assert!(client("verify-full").trusting(&right).host(NAME).connects());
    // Without being told, TLS is used where there is some.
    let maintd = private.maintd();
    assert!(Client { private: &private, maintd }.connects());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_trusted_is_refused_and_the_way_out_is_told() {
    let certificates = Certificates::new();
    let private = certificates.postgresql(&[]).await;
    let client = |sslmode| Client::new(&private, sslmode);
    let [right, stranger] = ["authority.pem", "stranger.pem"].map(|name| certificates.path(name));
    insta::assert_snapshot!("unknown_authority", client("verify-ca").fails());
    insta::assert_snapshot!("wrong_authority", client("verify-ca").trusting(&stranger).fails());
    insta::assert_snapshot!("wrong_authority_in_full", client("verify-full").trusting(&stranger).host(NAME).fails());
    insta::assert_snapshot!("wrong_host", client("verify-full").trusting(&right).fails());
}

#[tokio::test]
async fn a_server_without_tls_is_enough_unless_tls_is_insisted_on() {
    let private = Private::start(&[("log_connections", "on")], &[]).await;
    let client = |sslmode| Client::new(&private, sslmode);
    for sslmode in ["disable", "allow", "prefer"] {
        assert!(!client(sslmode).connects(), "{sslmode}");
    }
    insta::assert_snapshot!("no_tls", client("require").fails());
    let certificates = Certificates::new();
    let right = certificates.path("authority.pem");
    insta::assert_snapshot!("no_tls_to_verify", client("verify-full").trusting(&right).host(NAME).fails());
}

#[tokio::test]
async fn a_server_that_insists_on_tls_is_understood() {
    let certificates = Certificates::new();
    let private = certificates.postgresql(&["hostnossl all all all reject"]).await;
    assert!(Client::new(&private, "require").connects());
    insta::assert_snapshot!("tls_insisted_on", Client::new(&private, "disable").fails());
}

#[test]
fn a_file_without_certificates_is_told_before_anything_is_connected_to() {
    let certificates = Certificates::new();
    for name in ["nothing.pem", "missing.pem"] {
        let path = certificates.path(name);
        let maintd = Maintd::at("127.0.0.1", 1, "actingweb");
        let maintd = maintd.env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", &path);
        let output = maintd.run(&["job", "list"]);
        assert_eq!(output.code, 64, "{output:?}");
        assert!(output.stderr.contains(path.to_str().unwrap()), "{output:?}");
    }
}
