//! What the configuration asks for on one backend.

use std::sync::Arc;

use crate::backup::{PostgresqlMethod, ToolName};
use crate::config::Config;
use crate::health;
use crate::jobs::Job;
use crate::model::BackendKind;

/// What the configuration asks for on one backend.
pub(super) struct Wanted<'a> {
    pub(super) config: &'a Config,
    pub(super) jobs: &'a [Arc<dyn Job>],
    pub(super) backend: BackendKind,
}

impl Wanted<'_> {
    /// Whether a schedule starts this job here.
    pub(super) fn job(&self, name: &str) -> bool {
        self.jobs.iter().any(|job| job.name() == name && job.backend() == self.backend && job.plan().is_wanted())
    }

    /// Whether there are backups at all: by schedule or, as there is a place for them, by command.
    pub(super) fn backups(&self) -> bool {
        self.config.backup.r#where.is_some()
    }

    /// Whether `pg_dump` makes them.
    pub(super) fn dumps(&self) -> bool {
        self.is_made_by(PostgresqlMethod::Logical)
    }

    /// Whether `pg_basebackup` makes them.
    pub(super) fn copies_files(&self) -> bool {
        self.is_made_by(PostgresqlMethod::Physical)
    }

    fn is_made_by(&self, method: PostgresqlMethod) -> bool {
        self.backups() && self.backend == BackendKind::Postgresql && self.config.backup.postgresql.method == method
    }

    /// Whether drills may have to make a database on the server of the deployment.
    pub(super) fn drills_on_this_server(&self) -> bool {
        let drill = &self.config.backup.drill;
        self.dumps() && self.job("backup_drill") && drill.target.is_none() && drill.allow_production_server
    }

    /// Whether indexes are repaired without anybody asking for it.
    pub(super) fn repairs_indexes(&self) -> bool {
        let mut repaired = self.config.jobs.index_health.repaired().into_iter();
        self.job("index_health") && repaired.any(|check| health::is_made(check, self.backend, true))
    }

    /// The tool that makes backups, if it needs the server's log archived for them.
    pub(super) fn archiving_tool(&self) -> Option<&'static str> {
        let tool = self.config.backup.postgresql.tool.name.filter(|_| self.is_made_by(PostgresqlMethod::Tool))?;
        match tool {
            ToolName::Pgbackrest => Some("pgBackRest"),
            ToolName::WalG => Some("WAL-G"),
            // It may receive the log as a replica does.
            ToolName::Barman => None,
        }
    }

    /// What changes something on a connection of its own.
    pub(super) fn writes_directly(&self) -> Vec<&'static str> {
        let writes = [("drills", self.drills_on_this_server()), ("repairs of indexes", self.repairs_indexes())];
        writes.into_iter().filter(|(_, writes)| *writes).map(|(what, _)| what).collect()
    }

    /// Whether something needs a connection of its own, which no pooler in transaction mode gives; and what.
    pub(super) fn needs_sessions(&self) -> Vec<&'static str> {
        let needs = [("backups", self.dumps() || self.copies_files()), ("repairs of indexes", self.repairs_indexes())];
        needs.into_iter().filter(|(_, needs)| *needs).map(|(what, _)| what).collect()
    }
}
