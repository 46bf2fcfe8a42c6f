//! The table that is printed in the end.

use std::fmt;

use comfy_table::{Table, presets};

/// What a figure must keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// No less.
    AtLeast(f64),
    /// No more.
    AtMost(f64),
    /// One, within this share.
    Within(f64),
    /// Nothing: it is told for its own sake.
    Free,
}

/// The unit of a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    /// Ours by the peer's.
    Times,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Megabytes, of a million bytes.
    Megabytes,
    /// How many.
    Count,
}

/// One figure.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// What we did.
    pub(crate) ours: String,
    /// What the peer did, and who it is.
    pub(crate) peer: String,
    /// What counts: a ratio, or our own number.
    pub(crate) figure: f64,
    /// Its unit.
    pub(crate) unit: Unit,
    /// What it must keep to.
    pub(crate) target: Target,
}

impl Row {
    /// Whether the figure keeps to its target.
    pub(crate) fn holds(&self) -> bool {
        match self.target {
            Target::AtLeast(bound) => self.figure >= bound,
            Target::AtMost(bound) => self.figure <= bound,
            Target::Within(share) => (self.figure - 1.0).abs() <= share,
            Target::Free => true,
        }
    }
}

impl Unit {
    /// A number with its unit.
    pub(crate) fn show(self, number: f64) -> String {
        match self {
            Self::Times => format!("{number:.2} x"),
            Self::Seconds => format!("{number:.2} s"),
            Self::Milliseconds => format!("{number:.2} ms"),
            Self::Megabytes => format!("{number:.1} MB"),
            Self::Count => format!("{number:.0}"),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ours {}, peer {}, {}", self.what, self.ours, self.peer, self.unit.show(self.figure))
    }
}

/// The rows as a table.
pub(crate) fn render(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["what", "ours", "peer", "figure", "target", ""]);
    for row in rows {
        let target = match row.target {
            Target::AtLeast(bound) => format!(">= {}", row.unit.show(bound)),
            Target::AtMost(bound) => format!("<= {}", row.unit.show(bound)),
            Target::Within(share) => format!("+- {:.0} %", share * 100.0),
            Target::Free => String::new(),
        };
        let verdict = match row.target {
            Target::Free => "",
            _ if row.holds() => "holds",
            _ => "MISSED",
        };
        table.add_row([&row.what, &row.ours, &row.peer, &row.unit.show(row.figure), &target, verdict]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}
