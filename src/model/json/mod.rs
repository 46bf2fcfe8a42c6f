//! JSON as Python has it: what `json.loads` makes of a text, and exactly the text that
//! `json.dumps` makes of a value.
//!
//! On DynamoDB the library compares attributes by that text: one that Python would not have
//! written can be read, but every compare-and-swap on it fails for ever.

mod equal;
mod number;
mod parse;
#[cfg(test)]
mod properties;
mod scan;
#[cfg(test)]
pub(super) mod strategies;
mod text;
mod unfit;
mod write;

pub(super) use number::decimal;
pub use parse::parse;
pub use scan::ParseError;
pub use text::Text;
pub use unfit::Unfit;

/// A value as Python has it after `json.loads`.
///
/// Displaying one gives the text that `json.dumps` makes of it. Comparing two is Python's `==`:
/// numbers are compared by what they are worth (`1 == 1.0`, and `True == 1` as well), the order of
/// keys does not matter, and what is not a number equals nothing, unless it is within a list or dict.
#[derive(Clone, Debug)]
pub enum Value {
    /// `None`
    Null,
    /// `True` or `False`
    Bool(bool),
    /// An integer of any size, in Python's own digits: no plus sign, no zeros before it, no
    /// negative zero.
    Int(String),
    /// A float; may be infinite or not a number.
    Float(f64),
    /// A string.
    String(Text),
    /// A list.
    Array(Vec<Value>),
    /// A dict in the order in which its keys first came; no key comes twice.
    Object(Vec<(Text, Value)>),
}

impl Value {
    /// Whether Python takes it for true.
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(value) => *value,
            Self::Int(digits) => digits != "0",
            Self::Float(value) => *value != 0.0,
            Self::String(text) => !text.is_empty(),
            Self::Array(values) => !values.is_empty(),
            Self::Object(pairs) => !pairs.is_empty(),
        }
    }

    /// The value under a key, if this is a dict that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(pairs) = self else { return None };
        pairs.iter().find(|(known, _)| known.as_str() == Some(key)).map(|(_, value)| value)
    }

    /// The string, if this is one and Unicode.
    pub fn as_str(&self) -> Option<&str> {
        let Self::String(text) = self else { return None };
        text.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_is_pythons() {
        for text in ["null", "false", "0", "-0", "0.0", "-0.0", "\"\"", "[]", "{}"] {
            assert!(!parse(text).unwrap().is_truthy(), "{text}");
        }
        for text in ["true", "1", "-1", "5e-324", "NaN", "Infinity", "\" \"", "\"\\ud800\"", "[null]", "{\"\": null}"] {
            assert!(parse(text).unwrap().is_truthy(), "{text}");
        }
    }

    #[test]
    fn values_are_reached_by_key() {
        let value = parse(r#"{"\ud800": 0, "chain_id": "c1", "n": 5}"#).unwrap();
        assert_eq!(value.get("chain_id").and_then(Value::as_str), Some("c1"));
        assert_eq!(value.get("n").and_then(Value::as_str), None);
        assert!(value.get("\u{fffd}").is_none());
        assert!(parse("[]").unwrap().get("n").is_none());
    }
}
