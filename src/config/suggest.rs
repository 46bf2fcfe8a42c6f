//! Which key was probably meant.

use strsim::normalized_damerau_levenshtein as alike;

use super::keys::Tree;

/// What other programs call our keys.
const ALIASES: [(&str, &str); 32] = [
    ("database", "dbname"),
    ("db", "dbname"),
    ("name", "dbname"),
    ("username", "user"),
    ("role", "user"),
    ("backend", "backends"),
    ("ssl", "sslmode"),
    ("tls", "sslmode"),
    ("level", "filter"),
    ("cron", "schedule"),
    ("interval", "schedule"),
    ("tz", "timezone"),
    ("zone", "timezone"),
    ("jitter", "splay"),
    ("hours", "window"),
    ("attempts", "retries"),
    ("bind", "listen"),
    ("address", "listen"),
    ("port", "listen"),
    ("host", "listen"),
    ("retention", "keep"),
    ("database", "postgresql"),
    ("db", "postgresql"),
    ("pg", "postgresql"),
    ("logging", "log"),
    ("server", "http"),
    ("prefix", "table_prefix"),
    ("endpoint", "endpoint_url"),
    ("url", "endpoint_url"),
    ("host", "endpoint_url"),
    ("dynamo", "dynamodb"),
    ("aws", "dynamodb"),
];

/// The key or table that was probably meant by a dotted key that does not exist.
pub(super) fn known(keys: &Tree, unknown: &str, is_table: bool) -> Option<String> {
    let nodes = keys.nodes().into_iter().filter(|(_, node)| !is_table || matches!(node, Tree::Table(_)));
    let nodes: Vec<String> = nodes.map(|(key, _)| key).collect();
    let (parent, name) = unknown.rsplit_once('.').unwrap_or(("", unknown));
    // Only case, hyphens, or the wrong number of underscores in a variable.
    let same = nodes.iter().find(|key| squashed(key) == squashed(unknown));
    let siblings = || nodes.iter().filter(|key| key.rsplit_once('.').map_or("", |(parent, _)| parent) == parent);
    let is_alias = |key: &str| ALIASES.contains(&(name, last(key)));
    let renamed = || siblings().find(|key| is_alias(key));
    let misspelt = || nearest(siblings(), |key| alike(last(key), name), 0.6);
    // The right name in the wrong place: the place that is spelt most like the one given.
    let displaced = || {
        // Of several places it is most likely where the deployment is.
        let likeness = |key: &str| alike(key, unknown) + if key.starts_with("storage.") { 0.2 } else { 0.0 };
        let same_name = nearest(nodes.iter().filter(|key| last(key) == name), likeness, 0.0);
        same_name.or_else(|| nearest(nodes.iter().filter(|key| is_alias(key)), |key| alike(key, unknown), 0.0))
    };
    let similar = || nearest(nodes.iter(), |key| alike(&squashed(key), &squashed(unknown)), 0.75);
    same.or_else(renamed).or_else(misspelt).or_else(displaced).or_else(similar).cloned()
}

fn nearest<'a>(
    keys: impl Iterator<Item = &'a String>,
    likeness: impl Fn(&str) -> f64,
    at_least: f64,
) -> Option<&'a String> {
    let scored = keys.map(|key| (likeness(key), key)).filter(|(score, _)| *score >= at_least);
    scored.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, key)| key)
}

fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

fn squashed(key: &str) -> String {
    key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
