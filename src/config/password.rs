//! A password is given itself or by the file that holds it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::check::Mistake;
use super::file;
use super::keys::Tree;
use super::layer::Layer;
use super::origin::Origin;
use super::problem::Problem;
use super::settings::Config;
use super::targets;
use crate::model::Secret;
use crate::storage::{Target, postgres};

/// A password of the configuration: the keys that give it.
#[derive(Clone, Debug)]
pub(super) struct Password {
    /// The key of the password itself.
    pub(super) itself: String,
    /// The key of the path of its file.
    pub(super) file: String,
}

impl Password {
    /// The password of the database that a table describes.
    pub(super) fn below(table: &str) -> Self {
        Self { itself: format!("{table}.password"), file: format!("{table}.password_file") }
    }

    /// One of each table that has a password.
    pub(super) fn all(keys: &Tree) -> Vec<Self> {
        let keys = keys.leaves().into_iter().map(|(key, _)| key);
        keys.filter_map(|key| key.strip_suffix(".password").map(Self::below)).collect()
    }

    /// One layer cannot mean both.
    pub(super) fn conflict(&self, layer: &mut Layer) -> Option<Mistake> {
        let Self { itself, file } = self;
        if !(layer.has(itself) && layer.has(file)) {
            return None;
        }
        let other = match layer.origin(itself) {
            Some(Origin::Variable { name }) => name.clone(),
            Some(Origin::File { line: Some(line), .. }) => format!("password in line {line}"),
            _ => "password".to_owned(),
        };
        self.forget(layer);
        Some(Mistake::new(file, format!("is set together with {other}, and only one can be meant: remove one of them")))
    }

    /// Whichever of the two the strongest layer names replaces both in the weaker ones.
    pub(super) fn settle(&self, layers: &mut [Layer]) {
        let strongest = layers.iter().rposition(|layer| layer.has(&self.itself) || layer.has(&self.file));
        layers[..strongest.unwrap_or_default()].iter_mut().for_each(|layer| self.forget(layer));
    }

    fn forget(&self, layer: &mut Layer) {
        for key in [&self.itself, &self.file] {
            layer.remove(&key.split('.').collect::<Vec<_>>());
        }
    }

    /// Reads the password from its file, if one is named.
    pub(super) fn read(
        &self,
        config: &mut Config,
        origins: &mut BTreeMap<String, Origin>,
        warnings: &mut Vec<Problem>,
    ) -> Result<(), Problem> {
        let Some((place, Some(path))) = slots(config).remove(&self.itself) else { return Ok(()) };
        let origin = origins.get(&self.file).cloned().unwrap_or(Origin::Default);
        let fault = |what: &str| Problem::with_key(&self.file, origin.clone(), format!("{} {what}", path.display()));
        let bytes =
            file::bytes(&path).map_err(|error| fault(&file::trouble(&error, "a file that holds the password")))?;
        let text = String::from_utf8(bytes).map_err(|_| fault("is not UTF-8: save it as UTF-8"))?;
        let password = text.trim_end();
        if password.is_empty() {
            return Err(fault("is empty: write the password into it"));
        }
        if password.contains(['\n', '\0']) {
            return Err(fault("holds more than one line: write only the password into it"));
        }
        if is_open(&path) {
            let chmod = format!("chmod o-rwx {}", path.display());
            let message = format!(
                "can be read by every user: run `{chmod}`, or in Kubernetes mount the secret with `defaultMode: 0440`"
            );
            warnings.push(fault(&message));
        }
        *place = Some(password.to_owned().into());
        origins.insert(self.itself.clone(), Origin::SecretFile { path });
        Ok(())
    }

    /// Warns of a configuration file with a password in it that every user can read.
    pub(super) fn exposed(&self, layer: &Layer, path: &Path) -> Option<Problem> {
        (layer.has(&self.itself) && is_open(path)).then(|| {
            let origin = layer.origin(&self.itself).cloned().unwrap_or(Origin::Default);
            let message =
                format!("every user can read this file: run `chmod o-rwx {}`, or use password_file", path.display());
            Problem::with_key(&self.itself, origin, message)
        })
    }
}

/// The secrets of a configuration by their keys. Their type writes all of them alike, so whoever compares them
/// needs them apart.
pub(super) fn secrets(config: &Config) -> BTreeMap<String, &Secret> {
    let of_targets = config.targets.iter().filter_map(|(name, target)| match target {
        Target::Postgresql(settings) => Some((format!("{}.{name}", targets::TABLE), settings)),
        Target::Dynamodb(_) => None,
    });
    let own = ("storage.postgresql".to_owned(), &config.storage.postgresql);
    let all = of_targets.chain([own]);
    all.filter_map(|(table, settings)| Some((Password::below(&table).itself, settings.password.as_ref()?))).collect()
}

/// Where each password goes, and the file that it is in, by its key.
fn slots(config: &mut Config) -> BTreeMap<String, (&mut Option<Secret>, Option<PathBuf>)> {
    let of_targets = config.targets.iter_mut().filter_map(|(name, target)| match target {
        Target::Postgresql(settings) => Some((format!("{}.{name}", targets::TABLE), settings)),
        Target::Dynamodb(_) => None,
    });
    let own = ("storage.postgresql".to_owned(), &mut config.storage.postgresql);
    of_targets.chain([own]).map(slot).collect()
}

fn slot((table, settings): (String, &mut postgres::Settings)) -> (String, (&mut Option<Secret>, Option<PathBuf>)) {
    let postgres::Settings { password, password_file, .. } = settings;
    (Password::below(&table).itself, (password, password_file.clone()))
}

fn is_open(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}
