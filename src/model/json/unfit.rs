//! What PostgreSQL's `jsonb` cannot hold of what Python can, and what Python cannot read at all.

use super::parse::MAX_DEPTH;
use super::scan::MAX_DIGITS;
use super::{Text, Value};

/// Why a value cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// There is no place for U+0000 in text.
    #[error("a string with the character U+0000")]
    Nul,
    /// Half a character is none.
    #[error("a string with half of a surrogate pair")]
    LoneSurrogate,
    /// Python writes `NaN`.
    #[error("a number that is not a number (NaN)")]
    NotANumber,
    /// Python writes `Infinity`.
    #[error("a number that is infinite")]
    Infinite,
    /// Python reads fewer digits. `numeric`, and so `jsonb`, takes more.
    #[error("an integer of more than 4300 digits")]
    TooManyDigits,
    /// Python goes less deep.
    #[error("more than 1000 values within one another")]
    TooDeep,
}

impl Value {
    /// The first thing in it that Python cannot read, nor we.
    pub fn unfit_for_python(&self) -> Option<Unfit> {
        self.unfit_below(0)
    }

    fn unfit_below(&self, depth: usize) -> Option<Unfit> {
        match self {
            Self::Int(digits) => (digits.trim_start_matches('-').len() > MAX_DIGITS).then_some(Unfit::TooManyDigits),
            Self::Array(_) | Self::Object(_) if depth == MAX_DEPTH => Some(Unfit::TooDeep),
            Self::Array(values) => values.iter().find_map(|value| value.unfit_below(depth + 1)),
            Self::Object(pairs) => pairs.iter().find_map(|(_, value)| value.unfit_below(depth + 1)),
            _ => None,
        }
    }

    /// The first thing in it that `jsonb` cannot hold, of what Python can read.
    pub fn unfit_for_jsonb(&self) -> Option<Unfit> {
        match self {
            Self::Null | Self::Bool(_) | Self::Int(_) => None,
            Self::Float(value) if value.is_nan() => Some(Unfit::NotANumber),
            Self::Float(value) => value.is_infinite().then_some(Unfit::Infinite),
            Self::String(text) => unfit_text(text),
            Self::Array(values) => values.iter().find_map(Self::unfit_for_jsonb),
            Self::Object(pairs) => {
                pairs.iter().find_map(|(key, value)| unfit_text(key).or_else(|| value.unfit_for_jsonb()))
            }
        }
    }
}

fn unfit_text(text: &Text) -> Option<Unfit> {
    match text {
        Text::Unicode(text) => text.contains('\0').then_some(Unfit::Nul),
        Text::Surrogates(_) => Some(Unfit::LoneSurrogate),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn what_jsonb_cannot_hold_is_found_anywhere() {
        for (text, unfit) in [
            (r#""a\u0000b""#, Some(Unfit::Nul)),
            (r#"{"k\u0000": 1}"#, Some(Unfit::Nul)),
            (r#"[{"k": ["\ud800"]}]"#, Some(Unfit::LoneSurrogate)),
            (r#"{"\udc00": 1}"#, Some(Unfit::LoneSurrogate)),
            ("[1, NaN]", Some(Unfit::NotANumber)),
            ("-Infinity", Some(Unfit::Infinite)),
            ("1e400", Some(Unfit::Infinite)),
            (r#""\\u0000""#, None),
            (r#"{"a": ["\ud83d\ude00", null, true, 1.5e300, 5e-324, 123456789012345678901234567890]}"#, None),
        ] {
            assert_eq!(parse(text).unwrap().unfit_for_jsonb(), unfit, "{text}");
        }
    }

    #[test]
    fn what_python_cannot_read_is_what_we_cannot_read() {
        let digits = |count| Value::Array(vec![Value::Int(format!("-{}", "9".repeat(count)))]);
        let nested = |depth| (0..depth).fold(Value::Null, |inner, _| Value::Object(vec![("k".into(), inner)]));
        for (value, unfit) in [
            (digits(MAX_DIGITS), None),
            (digits(MAX_DIGITS + 1), Some(Unfit::TooManyDigits)),
            (nested(MAX_DEPTH), None),
            (nested(MAX_DEPTH + 1), Some(Unfit::TooDeep)),
        ] {
            assert_eq!(value.unfit_for_python(), unfit);
            assert_eq!(parse(&value.to_string()).is_err(), unfit.is_some());
        }
    }
}
