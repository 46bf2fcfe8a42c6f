//! TLS to the server, as libpq's `sslmode` means it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::{User, geteuid};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::harness::daemon::{Maintd, Output};
use crate::harness::private::Private;

/// The name that the server's certificate is for: what the loopback address is called.
const NAME: &str = "localhost";

/// Certificates of an authority and of a server, in files that PostgreSQL accepts.
struct Certificates {
    dir: TempDir,
}

impl Certificates {
    fn new() -> Self {
        let certificates = Self { dir: tempfile::Builder::new().prefix("maintd-tls").tempdir().unwrap() };
        fs::set_permissions(certificates.dir.path(), Permissions::from_mode(0o755)).unwrap();
        let authority = authority("the right authority");
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new([NAME.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        certificates.write("authority.pem", &authority.pem());
        certificates.write("stranger.pem", &self::authority("a stranger").pem());
        certificates.write("nothing.pem", "no certificate at all\n");
        certificates.write("server.pem", &server.pem());
        let key_file = certificates.write("server.key", &key.serialize_pem());
        fs::set_permissions(&key_file, Permissions::from_mode(0o600)).unwrap();
        if geteuid().is_root() {
            // As whom the cluster runs.
            let user = ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).unwrap()).unwrap();
            chown(&key_file, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
        certificates
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server that speaks TLS, and says of each client whether it does.
async fn server(certificates: &Certificates, hba: &[&str]) -> Private {
    let file = |name| certificates.path(name).display().to_string();
    let (certificate, key) = (file("server.pem"), file("server.key"));
    let settings =
        [("ssl", "on"), ("ssl_cert_file", &*certificate), ("ssl_key_file", &*key), ("log_connections", "on")];
    Private::start(&settings, hba).await
}

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
        stderr.replace(&port, "PORT")
    }
}

#[tokio::test]
async fn each_mode_insists_on_as_much_as_it_says() {
    let certificates = Certificates::new();
    let private = server(&certificates, &[]).await;
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
    let private = server(&certificates, &[]).await;
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
    let private = server(&certificates, &["hostnossl all all all reject"]).await;
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
