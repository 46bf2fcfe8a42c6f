//! The table `[schedule]`.

use chrono_tz::{TZ_VARIANTS, Tz};
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use crate::model::setting::Problem;

/// What the schedules of all jobs have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The time zone of the cron fields and of `@daily` and its like, by its IANA name.
    #[serde(deserialize_with = "zone")]
    pub timezone: Tz,
}

impl Default for Settings {
    fn default() -> Self {
        Self { timezone: Tz::UTC }
    }
}

impl Settings {
    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        Vec::new()
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
    use super::*;

    fn read(name: &str) -> Result<Settings, String> {
        serde_json::from_value(serde_json::json!({ "timezone": name })).map_err(|error| error.to_string())
    }

    #[test]
    fn a_zone_is_read_and_written_by_its_iana_name() {
        let settings = read("Europe/Oslo").unwrap();
        assert_eq!(settings.timezone, Tz::Europe__Oslo);
        assert_eq!(serde_json::to_value(&settings).unwrap(), serde_json::json!({ "timezone": "Europe/Oslo" }));
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
