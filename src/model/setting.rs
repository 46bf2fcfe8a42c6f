//! How values are written in the configuration, and how mistakes in them are told.
//!
//! The environment has only strings, so each of these types also reads its value from a string;
//! each message says what would have been right.

mod size;

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};
use serde::{Serialize, Serializer};

pub use size::Size;

/// A mistake that only shows when values are looked at together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The dotted key, relative to the settings that were checked.
    pub key: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl Problem {
    /// A problem with `key`.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }

    /// The same problem, seen from the settings that hold these as `section`.
    #[must_use]
    pub fn within(self, section: &str) -> Self {
        Self { key: format!("{section}.{}", self.key), ..self }
    }
}

/// A length of time, written as numbers with units: `"90s"`, `"15m"`, `"1h 30m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// A span of whole seconds.
    pub const fn secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A span of whole milliseconds.
    pub const fn millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Days are the largest unit: humantime itself would make `2months 29days` of 90 days.
        let millis = self.0.as_millis();
        let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
        let mut rest = millis;
        let mut parts = Vec::new();
        for (unit, size) in units {
            if rest >= size {
                parts.push(format!("{}{unit}", rest / size));
                rest %= size;
            }
        }
        f.write_str(&if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") })
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        use humantime::DurationError::UnknownUnit;

        const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
        let text = text.trim();
        let mut units = text.split(|c: char| !c.is_alphabetic());
        match humantime::parse_duration(text) {
            Ok(_) if units.any(|unit| unit == "M" || unit.starts_with(['y', 'Y']) || unit.starts_with("mon")) => {
                Err(format!(
                    "`{text}` counts months or years, which differ in length: write days, as in \"90d\", or a small m for minutes"
                ))
            }
            // Far beyond any use, and still within what clocks and databases can add to a date.
            Ok(length) if length > LONGEST => Err(format!("`{text}` is too long: write \"36500d\" or less")),
            Ok(length) => Ok(Self(length)),
            Err(_) if text.parse::<f64>().is_ok_and(|number| number >= 0.0) => {
                Err(format!("`{text}` has no unit: write \"{text}s\" for seconds, or use ms, m, h or d"))
            }
            Err(UnknownUnit { unit, .. }) if !unit.is_empty() => Err(format!(
                "`{text}` has the unit `{unit}`, which is not known: use ms, s, m, h or d, as in \"1h 30m\""
            )),
            Err(_) => Err(format!(
                "`{text}` is not a length of time: write a number with a unit, as in \"90s\", \"15m\" or \"1h 30m\""
            )),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_string_or_number(deserializer, "a length of time with its unit, as in \"15m\"")
    }
}

/// A whole number within bounds that are part of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bounded<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Bounded<MIN, MAX> {
    /// A number that is known to be within the bounds.
    ///
    /// # Panics
    ///
    /// When it is not; in a constant this is an error of the compiler.
    pub const fn new(value: u64) -> Self {
        assert!(MIN <= value && value <= MAX, "a default lies outside its own bounds");
        Self(value)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Display for Bounded<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MIN: u64, const MAX: u64> FromStr for Bounded<MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || format!("write a whole number from {MIN} to {MAX}");
        match text.trim().parse::<u64>() {
            Ok(value) if (MIN..=MAX).contains(&value) => Ok(Self(value)),
            Ok(value) if value < MIN => Err(format!("{value} is too small: {}", wanted())),
            Ok(value) => Err(format!("{value} is too large: {}", wanted())),
            Err(_) => Err(format!("`{text}` does not fit: {}", wanted())),
        }
    }
}

impl<const MIN: u64, const MAX: u64> Serialize for Bounded<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Bounded<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_string_or_number(deserializer, "a whole number")
    }
}

/// Reads `true` or `false`, bare or as a string.
///
/// # Errors
///
/// When it is anything else, and what to write instead.
pub fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    struct Flag;

    impl Visitor<'_> for Flag {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true or false")
        }

        fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
            Ok(value)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
            match text.trim() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(E::custom(format!("`{text}` is neither true nor false: write one of the two"))),
            }
        }
    }

    deserializer.deserialize_any(Flag)
}

/// Reads an array of strings, or one string with commas between the items.
///
/// # Errors
///
/// When it is anything else, and what to write instead.
pub fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct List;

    impl<'de> Visitor<'de> for List {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of strings, as in [\"one\", \"two\"]")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<String>, E> {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(items.map(str::to_owned).collect())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = seq.next_element()? {
                items.push(item);
            }
            Ok(items)
        }
    }

    deserializer.deserialize_any(List)
}

fn from_string_or_number<'de, D, T>(deserializer: D, expecting: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = String>,
{
    struct Parse<T>(&'static str, PhantomData<T>);

    impl<T: FromStr<Err = String>> Visitor<'_> for Parse<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }

        fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
            value.to_string().parse().map_err(E::custom)
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
            value.to_string().parse().map_err(E::custom)
        }

        fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
            Err(E::invalid_type(Unexpected::Bool(value), &self))
        }
    }

    deserializer.deserialize_any(Parse(expecting, PhantomData))
}
