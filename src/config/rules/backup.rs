//! The rules about backups and about the places that they can be restored to.

use std::path::Path;

use super::Rules;
use crate::archive::Place;
use crate::backup::PostgresqlMethod;
use crate::config::file;
use crate::model::BackendKind;
use crate::storage::Target;

const WHERE: &str = "backup.where";
const IDENTITY: &str = "backup.encryption.identity_file";
const RECIPIENTS: &str = "backup.encryption.recipients";
const METHOD: &str = "backup.postgresql.method";
const DRILL: &str = "backup.drill.target";

impl Rules<'_> {
    /// No target is the deployment itself, which it would overwrite.
    pub(super) fn targets(&mut self) {
        let (config, mut same) = (self.config, Vec::new());
        for (name, target) in &config.targets {
            let own = &config.storage;
            let (is_same, key) = match target {
                Target::Postgresql(target) => {
                    let place = |settings: &crate::storage::postgres::Settings| {
                        let direct = settings.past_the_pooler();
                        (direct.host, direct.port, direct.dbname, direct.schema)
                    };
                    (place(target) == place(&own.postgresql), "dbname")
                }
                Target::Dynamodb(target) => {
                    let other = (&target.endpoint_url, &target.region, &target.table_prefix);
                    let own = (&own.dynamodb.endpoint_url, &own.dynamodb.region, &own.dynamodb.table_prefix);
                    (other == own, "table_prefix")
                }
            };
            // With a mistake in it, it is not yet known where it is.
            let table = format!("targets.{name}.");
            let is_known = !self.aside.iter().any(|key| key.starts_with(&table) || key.starts_with("storage."));
            if is_same && is_known && own.kinds().contains(&target.backend()) {
                same.push(format!("targets.{name}.{key}"));
            }
        }
        for key in same {
            self.error(&key, "makes this target the deployment itself: a target is another place, so name that");
        }
    }

    pub(super) fn backups(&mut self, in_kubernetes: bool) {
        self.place(in_kubernetes);
        self.physical();
        self.identity_file();
        self.drill_target();
    }

    fn place(&mut self, in_kubernetes: bool) {
        let (config, backup) = (self.config, &self.config.backup);
        if self.is_faulty(WHERE) {
            return;
        }
        match &backup.r#where {
            None => {
                let jobs = [("backup", config.jobs.backup.enabled), ("backup_drill", config.jobs.backup_drill.enabled)];
                let Some((job, _)) = jobs.into_iter().find(|(_, enabled)| *enabled) else { return };
                let origin = self.origin(&format!("jobs.{job}.enabled"));
                let message = format!(
                    "is not set, and jobs.{job} is enabled ({origin}): write below [backup] where backups are, as in \
                     where = \"s3://bucket/prefix\" or where = \"/var/backups/actingweb\""
                );
                self.error(WHERE, message);
            }
            Some(Place::Directory(path)) if in_kubernetes && backup.node.is_none() => {
                let message = format!(
                    "{} is a directory, which every pod has for itself: write a bucket, as in where = \
                     \"s3://bucket/prefix\", or mount a volume there and write its pod's name, as in node = \
                     \"actingweb-maintd-0\"",
                    path.display()
                );
                self.error(WHERE, message);
            }
            Some(_) => {}
        }
    }

    fn physical(&mut self) {
        let (config, backup) = (self.config, &self.config.backup);
        let is_physical = backup.postgresql.method == PostgresqlMethod::Physical
            && config.storage.kinds().contains(&BackendKind::Postgresql);
        if !is_physical || backup.encryption.recipients.is_empty() || self.is_faulty(RECIPIENTS) {
            return;
        }
        let origin = self.origin(METHOD);
        let message = format!(
            "is set, and a physical backup cannot be encrypted ({METHOD}, {origin}): set that to \"logical\", let a tool \
             encrypt with \"tool\", or leave this key out"
        );
        self.error(RECIPIENTS, message);
    }

    fn identity_file(&mut self) {
        if self.is_faulty(IDENTITY) {
            return;
        }
        let config = self.config;
        let Some(path) = &config.backup.encryption.identity_file else {
            if !config.backup.encryption.recipients.is_empty() && config.jobs.backup_drill.enabled {
                let message = "is not set, and a drill needs it to read what is encrypted: write the path of a file with \
                               the secret key to one of the recipients, or disable jobs.backup_drill";
                self.error(IDENTITY, message);
            }
            return;
        };
        if let Some(fault) = identity_fault(path) {
            self.error(IDENTITY, format!("{} {fault}", path.display()));
        }
    }

    fn drill_target(&mut self) {
        let (config, name) = (self.config, self.config.backup.drill.target.clone());
        let Some(name) = name.filter(|_| !self.is_faulty(DRILL) && !self.is_aside("targets")) else { return };
        let known: Vec<&str> = config.targets.keys().map(String::as_str).collect();
        let backends = config.storage.kinds();
        let message = match config.targets.get(&name) {
            // It is there, with a mistake of its own.
            None if self.is_aside(&format!("targets.{name}")) => return,
            None if known.is_empty() => {
                format!("there is no [targets.{name}], nor any other target: add it, or leave the key out")
            }
            None => format!("there is no [targets.{name}]: the targets are {}", known.join(", ")),
            Some(target) if !backends.is_empty() && !backends.contains(&target.backend()) => {
                let backend: BackendKind = target.backend();
                format!("[targets.{name}] is on {backend}, where the deployment is not: name one on the same backend")
            }
            Some(_) => return,
        };
        self.error(DRILL, message);
    }
}

/// Why a file cannot be one with a secret key of age.
fn identity_fault(path: &Path) -> Option<String> {
    let wanted = "a file with a secret key of age";
    match file::bytes(path) {
        Ok(bytes) if String::from_utf8_lossy(&bytes).contains("AGE-SECRET-KEY-") => None,
        Ok(_) => Some(format!("holds no secret key: write the path of {wanted}, as age-keygen makes it")),
        Err(error) => Some(file::trouble(&error, wanted)),
    }
}
