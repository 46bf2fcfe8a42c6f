//! From the sources to a configuration, or to everything that is wrong with them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use figment::Figment;

use super::check::{self, Mistake};
use super::environment;
use super::keys::Tree;
use super::layer::Layer;
use super::origin::Origin;
use super::password::Password;
use super::problem::{Problem, Problems};
use super::settings::Config;
use super::{actingweb, explain, file, rules, targets};

/// The file that is read when none is named, if it exists.
pub const DEFAULT_FILE: &str = "/etc/actingweb-maintd/config.toml";

/// Where a configuration comes from. It has no `Debug`, because the environment holds secrets.
#[derive(Clone)]
pub struct Sources {
    /// The file that `--config` names.
    pub file: Option<PathBuf>,
    /// The environment, as [`environment`](super::environment()) returns it.
    pub env: Vec<(String, String)>,
    /// What the caller says, by dotted key, stronger than everything else: the place of flags. The
    /// command line has none yet that sets a key.
    pub overrides: BTreeMap<String, String>,
    /// The file that is read if it exists, when neither `file` nor `MAINTD_CONFIG` names one.
    pub default_file: PathBuf,
}

impl Default for Sources {
    fn default() -> Self {
        Self { file: None, env: Vec::new(), overrides: BTreeMap::new(), default_file: DEFAULT_FILE.into() }
    }
}

/// A configuration without mistakes.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The merged values; a password that stood in a file of its own has been read.
    pub config: Config,
    /// What should be looked at.
    pub warnings: Vec<Problem>,
    /// Where each value comes from, by its dotted key; what is not in here is a default.
    pub origins: BTreeMap<String, Origin>,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

/// Reads and merges all sources. Besides the files that they name, nothing else has an influence.
///
/// # Errors
///
/// All mistakes at once.
pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let mut keys = Tree::of(&Config::default());
    let mut found = Problems::default();
    let mut mistakes: Vec<Vec<Mistake>> = std::iter::repeat_with(Vec::new).take(4).collect();

    let (path, named_by) = config_file(sources);
    let from_file = match file::layer(&path, named_by) {
        Ok(layer) => layer,
        Err(problem) => {
            found.errors.push(problem);
            None
        }
    };
    let is_unread = !found.errors.is_empty();
    let read = from_file.is_some().then(|| path.clone());
    let mut layers = [
        from_file.unwrap_or_default(),
        actingweb::layer(&sources.env, &mut mistakes[1], &mut found.warnings),
        environment::layer(&sources.env, &keys, &mut found.warnings),
        flags(&sources.overrides),
    ];
    targets::graft(&mut keys, &layers[0]);
    let passwords = Password::all(&keys);
    found.warnings.extend(passwords.iter().filter_map(|password| password.exposed(&layers[0], &path)));

    for (layer, mistakes) in layers.iter_mut().zip(&mut mistakes) {
        mistakes.extend(check::layer(layer, &keys));
        mistakes.extend(passwords.iter().filter_map(|password| password.conflict(layer)));
        mistakes.sort_by_key(|mistake| line(layer.origin(&mistake.key)));
    }
    let (mut aside, meant) = report(&layers, mistakes, &keys, &mut found);
    passwords.iter().for_each(|password| password.settle(&mut layers));

    let figment = layers.iter().fold(Figment::new(), Figment::merge);
    let mut config: Config = match figment.extract() {
        Ok(config) => config,
        // Each layer could be read by itself, so this cannot be.
        Err(error) => {
            let key = error.path.join(".");
            let message = explain::message(&error.kind, &key, &keys);
            found.errors.push(Problem::with_key(key, Origin::Default, message));
            return Err(found);
        }
    };
    let mut origins = BTreeMap::new();
    for (key, _) in keys.leaves() {
        let strongest = layers.iter().rev().find(|layer| layer.has(&key));
        origins.extend(strongest.and_then(|layer| layer.origin(&key)).map(|origin| (key, origin.clone())));
    }

    // Without the file most values are not what was meant, and judging them would mislead.
    if !is_unread {
        for password in &passwords {
            if let Err(unread) = password.read(&mut config, &mut origins, &mut found.warnings) {
                aside.push(password.file.clone());
                found.errors.push(unread);
            }
        }
        let in_kubernetes = environment::value(&sources.env, "KUBERNETES_SERVICE_HOST").is_some();
        let broken = rules::check(&config, &origins, (&aside, &meant), in_kubernetes);
        found.errors.extend(broken.errors);
        found.warnings.extend(broken.warnings);
    }
    if found.errors.is_empty() {
        Ok(Loaded { config, warnings: found.warnings, origins, file: read })
    } else {
        Err(found)
    }
}

/// The file to read, and who named it.
fn config_file(sources: &Sources) -> (PathBuf, Option<&'static str>) {
    match (&sources.file, environment::value(&sources.env, environment::FILE)) {
        (Some(path), _) => (path.clone(), Some("--config")),
        (None, Some(path)) => (path.into(), Some(environment::FILE)),
        (None, None) => (sources.default_file.clone(), None),
    }
}

fn flags(overrides: &BTreeMap<String, String>) -> Layer {
    let mut layer = Layer::default();
    for (key, value) in overrides {
        layer.set(key, value.as_str(), Origin::CommandLine);
    }
    layer
}

fn line(origin: Option<&Origin>) -> Option<usize> {
    match origin {
        Some(Origin::File { line, .. }) => *line,
        _ => None,
    }
}

/// Turns mistakes into errors, or into warnings where a stronger layer makes up for them. Returns
/// the keys whose values are missing now, and those that were probably meant by others.
fn report(
    layers: &[Layer],
    mistakes: Vec<Vec<Mistake>>,
    keys: &Tree,
    found: &mut Problems,
) -> (Vec<String>, Vec<String>) {
    let (mut aside, mut all_meant) = (Vec::new(), Vec::new());
    for (position, mistakes) in mistakes.into_iter().enumerate() {
        for Mistake { key, message, meant } in mistakes {
            let origin = layers[position].origin(&key).cloned().unwrap_or(Origin::Default);
            match overridden(&layers[position + 1..], &key, keys) {
                Some(by) => {
                    let message = format!("{message} (ignored for now, because {by} overrides it)");
                    found.warnings.push(Problem { help: None, ..Problem::with_key(key, origin, message) });
                }
                None => {
                    found.errors.push(Problem::with_key(key.clone(), origin, message));
                    aside.push(key);
                    all_meant.extend(meant);
                }
            }
        }
    }
    (aside, all_meant)
}

/// Which of the stronger layers sets a key, if it is a single value.
fn overridden(stronger: &[Layer], key: &str, keys: &Tree) -> Option<Origin> {
    let Some(Tree::Leaf(_)) = keys.at(key) else { return None };
    let password = Password::all(keys).into_iter().find(|Password { itself, file }| itself == key || file == key);
    let same = password.map_or_else(|| vec![key.to_owned()], |Password { itself, file }| vec![itself, file]);
    let mut by = stronger.iter().rev().flat_map(|layer| same.iter().map(move |key| (layer, key)));
    by.find(|(layer, key)| layer.has(key)).and_then(|(layer, key)| layer.origin(key).cloned())
}
