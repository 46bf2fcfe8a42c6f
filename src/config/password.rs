//! A password is given itself or by the file that holds it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::check::Mistake;
use super::file;
use super::layer::Layer;
use super::origin::Origin;
use super::problem::Problem;
use super::settings::Config;

pub(super) const PASSWORD: &str = "storage.postgresql.password";
pub(super) const FILE: &str = "storage.postgresql.password_file";

/// One layer cannot mean both.
pub(super) fn conflict(layer: &mut Layer) -> Option<Mistake> {
    if !(layer.has(PASSWORD) && layer.has(FILE)) {
        return None;
    }
    let other = match layer.origin(PASSWORD) {
        Some(Origin::Variable { name }) => name.clone(),
        Some(Origin::File { line: Some(line), .. }) => format!("password in line {line}"),
        _ => "password".to_owned(),
    };
    forget(layer);
    Some(Mistake::new(FILE, format!("is set together with {other}, and only one can be meant: remove one of them")))
}

/// Whichever of the two the strongest layer names replaces both in the weaker ones.
pub(super) fn settle(layers: &mut [Layer]) {
    let strongest = layers.iter().rposition(|layer| layer.has(PASSWORD) || layer.has(FILE));
    layers[..strongest.unwrap_or_default()].iter_mut().for_each(forget);
}

fn forget(layer: &mut Layer) {
    for key in [PASSWORD, FILE] {
        layer.remove(&key.split('.').collect::<Vec<_>>());
    }
}

/// Reads the password from its file.
pub(super) fn read(
    config: &mut Config,
    origins: &mut BTreeMap<String, Origin>,
    warnings: &mut Vec<Problem>,
) -> Result<(), Problem> {
    let Some(path) = config.storage.postgresql.password_file.clone() else { return Ok(()) };
    let origin = origins.get(FILE).cloned().unwrap_or(Origin::Default);
    let fault = |what: &str| Problem::with_key(FILE, origin.clone(), format!("{} {what}", path.display()));
    let bytes = file::bytes(&path).map_err(|error| fault(&file::trouble(&error, "a file that holds the password")))?;
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
    config.storage.postgresql.password = Some(password.to_owned().into());
    origins.insert(PASSWORD.to_owned(), Origin::SecretFile { path });
    Ok(())
}

/// Warns of a configuration file with a password in it that every user can read.
pub(super) fn exposed(layer: &Layer, path: &Path) -> Option<Problem> {
    (layer.has(PASSWORD) && is_open(path)).then(|| {
        let origin = layer.origin(PASSWORD).cloned().unwrap_or(Origin::Default);
        let message =
            format!("every user can read this file: run `chmod o-rwx {}`, or use password_file", path.display());
        Problem::with_key(PASSWORD, origin, message)
    })
}

fn is_open(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}
