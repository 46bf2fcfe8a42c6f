//! Printing: one JSON document for machines, aligned tables for people.

use std::io::{self, Write};

use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::json;

use crate::config::Problems;

/// How this command prints.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    /// JSON instead of text.
    pub(super) json: bool,
}

impl Output {
    /// Prints `document`, or the text that says the same.
    pub(super) fn either(&self, document: &impl Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        if self.json {
            let mut document = serde_json::to_string_pretty(document)?;
            document.push('\n');
            self.text(&document);
        } else {
            self.text(&text());
        }
        Ok(())
    }

    /// Prints `text` as it is.
    pub(super) fn text(&self, text: &str) {
        // A reader that went away, as in `| head`, is not our problem.
        let _written = io::stdout().write_all(text.as_bytes());
    }

    /// Says what went wrong, with everything below it, once.
    pub(super) fn error(&self, error: &anyhow::Error) {
        if self.json {
            self.text(&format!("{}\n", json!({ "error": format!("{error:#}") })));
        }
        let _written = writeln!(io::stderr(), "error: {error:#}");
    }

    /// Says everything that is wrong with the configuration.
    pub(super) fn problems(&self, problems: &Problems) -> anyhow::Result<()> {
        if self.json {
            return self.either(problems, String::new);
        }
        let _written = writeln!(io::stderr(), "{problems}");
        Ok(())
    }
}

/// An aligned table with one header line.
pub(super) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}
