//! Certificates, and servers that have them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

use nix::unistd::{User, geteuid};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use super::private::Private;

/// The name that the server's certificate is for: what the loopback address is called.
pub(crate) const NAME: &str = "localhost";

/// Certificates of an authority and of a server, in files that PostgreSQL accepts.
#[derive(Debug)]
pub(crate) struct Certificates {
    dir: TempDir,
}

impl Certificates {
    /// New ones, and files with which nobody gets far.
    pub(crate) fn new() -> Self {
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

    /// Where one of them is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A PostgreSQL server that speaks TLS with them, and says of each client whether it does.
    pub(crate) async fn postgresql(&self, hba: &[&str]) -> Private {
        let file = |name| self.path(name).display().to_string();
        let (certificate, key) = (file("server.pem"), file("server.key"));
        let settings =
            [("ssl", "on"), ("ssl_cert_file", &*certificate), ("ssl_key_file", &*key), ("log_connections", "on")];
        Private::start(&settings, hba).await
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}
