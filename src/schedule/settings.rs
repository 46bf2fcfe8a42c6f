//! The table `[schedule]`.

use std::time::Duration;

use chrono_tz::{TZ_VARIANTS, Tz};
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use crate::model::setting::{Problem, Span};

/// What the schedules of all jobs have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The time zone of the cron fields and of `@daily` and its like, by its IANA name.
    #[serde(deserialize_with = "zone")]
    pub timezone: Tz,
    /// What becomes of slots that nobody could run.
    pub catch_up: CatchUp,
    /// The longest that a job waits after its slot. How long it really waits is always the same, and
    /// different in other deployments.
    pub splay: Span,
}

/// What becomes of slots that fell due while nobody could run them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatchUp {
    /// The latest of them is run, once for however many there were.
    Latest,
    /// None of them is run.
    None,
}

impl Default for Settings {
    fn default() -> Self {
        Self { timezone: Tz::UTC, catch_up: CatchUp::Latest, splay: Span::secs(0) }
    }
}

impl Settings {
    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        if self.splay.0 <= Duration::from_secs(60 * 60) {
            return Vec::new();
        }
        let message = format!(
            "{} is longer than anybody expects a job to wait: write \"1h\" or less; \"0s\" is the default",
            self.splay
        );
        vec![Problem::new("splay", message)]
    }
}

fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.trim().parse().map_err(|_| D::Error::custom(unknown(name.trim())))
}

/// Why `name` is no zone, and which one was probably meant.
fn unknown(name: &str) -> String {
    let is_abbreviation = (2..=5).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_offset = name.contains(['+', '-']) && name.contains(|c: char| c.is_ascii_digit());
    let hint = if let Some(similar) = similar(name) {
        format!("did you mean \"{similar}\"?")
    } else if is_abbreviation {
        "an abbreviation does not say where: write a region and a city, as in \"Europe/Oslo\"".to_owned()
    } else if is_offset {
        "an offset does not know summer time: write a region and a city, as in \"Europe/Oslo\"".to_owned()
    } else {
        "write a region and a city, as in \"Europe/Oslo\", or \"UTC\"".to_owned()
    };
    format!("`{name}` is not a time zone of the IANA database: {hint}")
}

/// The zone whose name, or whose city if only a city was written, is nearly `name`.
fn similar(name: &str) -> Option<&'static str> {
    let wanted = name.replace(' ', "_").to_lowercase();
    // In a word as short as an abbreviation a single wrong letter makes another word.
    let allowed = wanted.len() / 5;
    let distance = |zone: &str| {
        let zone = zone.to_lowercase();
        let city = zone.rsplit('/').next().filter(|_| !wanted.contains('/'));
        let to_city = city.map_or(usize::MAX, |city| strsim::osa_distance(&wanted, city));
        strsim::osa_distance(&wanted, &zone).min(to_city)
    };
    let zones = TZ_VARIANTS.iter().map(|zone| zone.name());
    let (distance, _, zone) = zones.map(|zone| (distance(zone), zone.len(), zone)).min()?;
    (distance <= allowed).then_some(zone)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(name: &str) -> Result<Settings, String> {
        serde_json::from_value(json!({ "timezone": name })).map_err(|error| error.to_string())
    }

    #[test]
    fn a_zone_is_read_and_written_by_its_iana_name() {
        let settings = read("Europe/Oslo").unwrap();
        assert_eq!(settings.timezone, Tz::Europe__Oslo);
        let written = json!({ "timezone": "Europe/Oslo", "catch_up": "latest", "splay": "0s" });
        assert_eq!(serde_json::to_value(&settings).unwrap(), written);
        assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
    }

    #[test]
    fn a_wrong_zone_is_answered_with_the_right_one() {
        for (written, meant) in [
            ("Europe/Olso", "did you mean \"Europe/Oslo\"?"),
            ("europe/oslo", "did you mean \"Europe/Oslo\"?"),
            ("Oslo", "did you mean \"Europe/Oslo\"?"),
            ("New York", "did you mean \"America/New_York\"?"),
            ("America/NewYork", "did you mean \"America/New_York\"?"),
            ("utc", "did you mean \"UTC\"?"),
            ("CEST", "an abbreviation does not say where"),
            ("PST", "an abbreviation does not say where"),
            ("+02:00", "an offset does not know summer time"),
            ("UTC+2", "an offset does not know summer time"),
            ("Middle-earth/Bree", "write a region and a city"),
            ("", "write a region and a city"),
        ] {
            let message = read(written).unwrap_err();
            let start = format!("`{written}` is not a time zone of the IANA database: {meant}");
            assert!(message.starts_with(&start), "{message}");
        }
    }

    #[test]
    fn an_abbreviation_of_the_database_is_a_zone() {
        assert_eq!(read("CET").unwrap().timezone, Tz::CET);
    }
}
