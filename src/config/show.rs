//! The configuration as it is in force, without its secrets, with the origin of each value.

use serde_json::{Map, Value, json};

use super::keys::Tree;
use super::load::Loaded;
use super::origin::Origin;

/// Comments stand in one column unless a value is longer than this.
const WIDTH: usize = 48;

impl Loaded {
    /// As a TOML file. Keys without a value are left out.
    pub fn to_toml(&self) -> String {
        let tree = Tree::of(&self.config);
        let mut tables: Vec<(&str, Vec<(String, String)>)> = Vec::new();
        let leaves: Vec<_> = tree.leaves().into_iter().filter(|(_, value)| !value.is_null()).collect();
        for (key, value) in &leaves {
            let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
            let line = (format!("{name} = {}", written(value)), self.origin(key).to_string());
            match tables.iter_mut().find(|(known, _)| *known == table) {
                Some((_, lines)) => lines.push(line),
                None => tables.push((table, vec![line])),
            }
        }
        let length = |text: &str| text.chars().count();
        let lines = || tables.iter().flat_map(|(_, lines)| lines);
        let width = lines().map(|(line, _)| length(line)).filter(|length| *length <= WIDTH).max().unwrap_or_default();
        let mut text = match &self.file {
            Some(path) => format!("# {} and the environment, merged\n", path.display()),
            None => "# the environment; there is no file\n".to_owned(),
        };
        for (table, lines) in &tables {
            text += &format!("\n[{table}]\n");
            for (line, origin) in lines {
                text += &format!("{line:width$}  # {origin}\n");
            }
        }
        text
    }

    /// As `{"storage.postgresql.host": {"value": "db", "origin": {"kind": "variable", …}}, …}`.
    pub fn to_json(&self) -> Value {
        let entry = |(key, value): (String, &Value)| {
            let entry = json!({ "value": value, "origin": self.origin(&key) });
            (key, entry)
        };
        Value::Object(Tree::of(&self.config).leaves().into_iter().map(entry).collect::<Map<_, _>>())
    }

    /// Where the value under a dotted key comes from.
    pub fn origin(&self, key: &str) -> &Origin {
        self.origins.get(key).unwrap_or(&Origin::Default)
    }
}

/// JSON's texts, numbers and arrays are TOML as well; only the spacing is ours.
pub(super) fn written(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
