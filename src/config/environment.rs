//! The variables `MAINTD_…`.

use super::keys::Tree;
use super::kubernetes;
use super::layer::Layer;
use super::origin::Origin;
use super::problem::Problem;
use super::suggest;

/// How our variables begin.
pub(super) const PREFIX: &str = "MAINTD_";

/// The variable that names the configuration file.
pub(super) const FILE: &str = "MAINTD_CONFIG";

/// Our variables that set no key.
const OTHERS: &[&str] = &[
    FILE,
    #[cfg(feature = "faults")]
    crate::model::clock::TEST_VARIABLE,
];

/// The environment of this process. What is not UTF-8 is marked as such, and refused where it is used.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect()
}

/// The variable that sets a dotted key.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

/// The value of a variable; an empty one counts as unset.
pub(super) fn value<'a>(env: &'a [(String, String)], name: &str) -> Option<&'a str> {
    env.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
}

/// The layer of our variables, and warnings of those that set nothing.
pub(super) fn layer(env: &[(String, String)], keys: &Tree, warnings: &mut Vec<Problem>) -> Layer {
    let mut layer = Layer::default();
    let mut unknown = Vec::new();
    let leaves = keys.leaves();
    let is_key = |name: &str| name.starts_with(PREFIX) && !OTHERS.contains(&name);
    for (name, value) in env.iter().filter(|(name, _)| is_key(name)) {
        match leaves.iter().find(|(key, _)| variable(key) == *name) {
            Some((key, _)) => layer.set(key, value.as_str(), Origin::variable(name)),
            None => unknown.push((name.as_str(), value.as_str())),
        }
    }
    unknown.sort_unstable();
    let strays = kubernetes::set_aside(unknown, warnings);
    warnings.extend(strays.into_iter().map(|name| Problem::without_key(Origin::variable(name), stray(name, keys))));
    layer
}

/// What to say of a variable that sets nothing.
fn stray(name: &str, keys: &Tree) -> String {
    let words: Vec<String> =
        name[PREFIX.len()..].split('_').filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    // With the wrong number of underscores, only our tables tell where the name of the key begins.
    let tables = keys.nodes().into_iter().filter(|(_, node)| matches!(node, Tree::Table(_))).map(|(table, _)| table);
    let key = tables
        .filter_map(|table| {
            let depth = table.split(['.', '_']).count();
            let is_within =
                depth < words.len() && table.split(['.', '_']).eq(words[..depth].iter().map(String::as_str));
            is_within.then(|| (depth, format!("{table}.{}", words[depth..].join("_"))))
        })
        .max()
        .map_or_else(|| words.join("_"), |(_, key)| key);
    match suggest::known(keys, &key, false).map(|key| (keys.at(&key), key)) {
        Some((Some(table @ Tree::Table(_)), key)) => {
            let below = table.leaves().into_iter().next().map(|(name, _)| format!("{key}.{name}")).unwrap_or_default();
            format!("the variable is ignored, as {key} is a table: set its keys one by one, as in {}", variable(&below))
        }
        Some((_, key)) => format!("the variable is ignored, as no key is called so: did you mean {}?", variable(&key)),
        None => "the variable is ignored, as no key is called so: write tables and key with two underscores between \
             them, as in MAINTD_LOG__FILTER"
            .to_owned(),
    }
}
