//! How PostgreSQL's programs are told where the database is and who asks: by the environment, which other users
//! cannot read.

use std::path::Path;

use super::Program;
use crate::storage::postgres::{Settings, SslMode};

/// Where systems keep the certificates of the authorities they trust. libpq looks for a file of its own otherwise.
const AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

impl Program {
    /// Has it connect as `settings` say. Without a password in them, libpq looks into `~/.pgpass`.
    #[must_use]
    pub fn connecting(self, settings: &Settings) -> Self {
        let mut program = self
            .variable("PGHOST", &settings.host)
            .variable("PGPORT", settings.port.to_string())
            .variable("PGDATABASE", &settings.dbname)
            .variable("PGUSER", &settings.user)
            .variable("PGSSLMODE", settings.sslmode.to_string())
            .variable("PGCONNECT_TIMEOUT", "10")
            .variable("PGAPPNAME", "actingweb-maintd");
        if let Some(certificates) = trusted(settings) {
            program = program.variable("PGSSLROOTCERT", certificates);
        }
        match &settings.password {
            Some(password) => program.variable("PGPASSWORD", password.expose()).hiding(password.clone()),
            None => program,
        }
    }
}

/// The file of certificates to trust, where certificates are looked at.
fn trusted(settings: &Settings) -> Option<&Path> {
    let verifies = matches!(settings.sslmode, SslMode::VerifyCa | SslMode::VerifyFull);
    let usual = || AUTHORITIES.into_iter().map(Path::new).find(|path| verifies && path.is_file());
    settings.sslrootcert.as_deref().or_else(usual)
}
