//! The table `[storage.dynamodb]`.

use serde::{Deserialize, Serialize};

use crate::model::setting::{Bounded, Problem};

/// Where the tables are and how much they may be used. The defaults are those of the library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What the tables' names begin with. No separator is added, but the suffixes begin with one:
    /// `prod` makes `prod_actors`.
    pub table_prefix: String,
    /// The AWS region.
    pub region: String,
    /// Where DynamoDB is, if not at AWS: an emulator's URL.
    pub endpoint_url: Option<String>,
    /// Read capacity units that jobs use per second at most; 0 for no limit.
    pub read_units_per_second: Bounded<0, 10_000_000>,
    /// Write capacity units that jobs use per second at most; 0 for no limit.
    pub write_units_per_second: Bounded<0, 10_000_000>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            table_prefix: "demo_actingweb".to_owned(),
            region: "us-west-1".to_owned(),
            endpoint_url: None,
            read_units_per_second: Bounded::new(0),
            write_units_per_second: Bounded::new(0),
        }
    }
}

impl Settings {
    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        // The longest suffix is that of the suspensions; names of tables have 3 to 255 characters.
        const LONGEST: usize = 255 - "_subscription_suspensions".len();
        let mut problems = Vec::new();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if self.table_prefix.is_empty() || !self.table_prefix.chars().all(is_plain) || self.table_prefix.len() > LONGEST
        {
            problems.push(Problem::new(
                "table_prefix",
                format!(
                    "`{}` cannot begin the name of a table: use 1 to {LONGEST} letters, digits, `_`, `-` and `.`",
                    self.table_prefix
                ),
            ));
        }
        if self.region.trim().is_empty() {
            problems.push(Problem::new("region", "is empty: write a region, as in \"eu-north-1\""));
        }
        if let Some(endpoint) = &self.endpoint_url
            && !url::Url::parse(endpoint).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        {
            problems.push(Problem::new(
                "endpoint_url",
                format!("`{endpoint}` is not a URL: write http:// or https:// and a host, as in \"http://localhost:8000\", or leave it out for AWS"),
            ));
        }
        problems
    }
}
