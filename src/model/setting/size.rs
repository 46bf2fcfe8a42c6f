//! An amount of data.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer};
use serde::{Serialize, Serializer};

/// An amount of data, written as a number with its unit: `"64MiB"`, `"1.5GB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// The units, those of 1024 first, each from large to small.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl Size {
    /// So many times 1024 times 1024 bytes.
    pub const fn mebibytes(count: u64) -> Self {
        Self(count << 20)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The largest unit that it is a whole number of; bytes go into everything.
        let whole = |(_, size): &&(&str, u64)| self.0 >= *size && self.0.is_multiple_of(*size);
        let (unit, size) = UNITS.iter().find(whole).copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (number, unit) = text.split_at(text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len()));
        let Some(number) = number.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)
        else {
            return Err(format!("`{text}` is not an amount of data: write a number with a unit, as in \"64MiB\""));
        };
        if unit.is_empty() && number == 0.0 {
            return Ok(Self(0));
        }
        if unit.is_empty() {
            return Err(format!("`{text}` has no unit: write \"{text}B\" for bytes, or use KiB, MiB or GiB"));
        }
        let Some((_, size)) = UNITS.iter().find(|(known, _)| known.eq_ignore_ascii_case(unit)) else {
            return Err(format!(
                "`{text}` has the unit `{unit}`, which is not known: use B, KiB, MiB, GiB or TiB, or kB, MB, GB or TB"
            ));
        };
        let bytes = number * *size as f64;
        // Beyond this not every whole number is one of these.
        if bytes > (1_u64 << 53) as f64 {
            return Err(format!("`{text}` is too large: write \"8192TiB\" or less"));
        }
        Ok(Self(bytes.round() as u64))
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::from_string_or_number(deserializer, "an amount of data with its unit, as in \"64MiB\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<u64, String> {
        text.parse().map(|Size(bytes)| bytes)
    }

    #[test]
    fn units_are_what_they_are_called() {
        for (text, bytes) in [
            ("64MiB", 64 << 20),
            ("64 mib", 64 << 20),
            ("64MB", 64_000_000),
            ("1.5GiB", 3 << 29),
            ("2kB", 2_000),
            ("2KB", 2_000),
            ("7B", 7),
            ("0", 0),
            ("0B", 0),
            ("8192TiB", 1 << 53),
        ] {
            assert_eq!(read(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_told() {
        for (text, part) in [
            ("64", "has no unit"),
            ("64 parsecs", "`parsecs`"),
            ("much", "is not an amount"),
            ("", "is not an amount"),
            ("-1MiB", "is not an amount"),
            ("9000TiB", "is too large"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read() {
        for bytes in [0, 1, 1000, 1024, 1500, 64 << 20, 64_000_000, 3 << 29, (1 << 53) - 1] {
            assert_eq!(read(&Size(bytes).to_string()), Ok(bytes));
        }
        assert_eq!(Size::mebibytes(64).to_string(), "64MiB");
        assert_eq!(Size(64_000_000).to_string(), "62500KiB");
    }
}
