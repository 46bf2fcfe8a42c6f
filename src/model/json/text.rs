//! Strings as Python has them.

use std::fmt;

/// A string of Python: Unicode, or a sequence of code points with surrogates that stand alone,
/// which JSON can spell and no database can hold as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Text {
    /// What most strings are.
    Unicode(String),
    /// UTF-16 in which at least one surrogate has no other half: made by
    /// [`from_utf16`](Text::from_utf16).
    Surrogates(Vec<u16>),
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::Unicode(text.to_owned())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Unicode(text)
    }
}

impl Text {
    /// The string that this UTF-16 spells.
    pub fn from_utf16(units: Vec<u16>) -> Self {
        String::from_utf16(&units).map_or_else(|_| Self::Surrogates(units), Self::Unicode)
    }

    /// The string, if it is Unicode.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Unicode(text) => Some(text),
            Self::Surrogates(_) => None,
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Unicode(text) => text.is_empty(),
            Self::Surrogates(units) => units.is_empty(),
        }
    }
}

impl fmt::Display for Text {
    /// Lone surrogates are shown as replacement characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unicode(text) => f.write_str(text),
            Self::Surrogates(units) => f.write_str(&String::from_utf16_lossy(units)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lone_surrogates_are_kept_apart() {
        assert_eq!(Text::from_utf16(vec![0x61, 0xd83d, 0xde00]), Text::from("a\u{1f600}"));
        assert_eq!(Text::from_utf16(Vec::new()), Text::from(""));
        for units in [vec![0xd83d], vec![0xde00, 0xd83d], vec![0x61, 0xdc00]] {
            assert_eq!(Text::from_utf16(units.clone()), Text::Surrogates(units));
        }
    }
}
