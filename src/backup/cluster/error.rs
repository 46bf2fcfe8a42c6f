//! Why there is no cluster.

use std::io;
use std::path::PathBuf;

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing to start.
    #[error(
        "PostgreSQL's programs initdb and postgres are neither on PATH nor in \
         /usr/lib/postgresql/*/bin: install the server (the package postgresql on Debian and \
         Ubuntu, postgresql-server on Fedora), or put its bin directory on PATH"
    )]
    NoPrograms,
    /// Running as root, and nobody else to run PostgreSQL as.
    #[error("PostgreSQL refuses to run as root, and there is no user postgres or nobody")]
    NoUser,
    /// The guard could not be started, or is gone.
    #[error("the guard of the private PostgreSQL cluster in {root} failed")]
    Guard {
        /// The cluster's directory.
        root: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The directory for the cluster cannot be one.
    #[error("no private PostgreSQL cluster can be made in {root}: {why}")]
    Place {
        /// The cluster's directory.
        root: PathBuf,
        /// Why not, and what to do.
        why: String,
    },
    /// The cluster could not be made or its server did not start.
    #[error("the private PostgreSQL cluster in {root}: {what}\n{log}")]
    Server {
        /// The cluster's directory.
        root: PathBuf,
        /// What went wrong.
        what: String,
        /// What the program that failed had to say.
        log: String,
    },
    /// It was asked to stop while the server was starting.
    #[error("it was asked to stop")]
    Stopped,
}
