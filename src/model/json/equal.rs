//! Equality as Python has it.

use super::number::is_worth;
use super::{Text, Value};

impl PartialEq for Value {
    /// Python's `==`.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Int(one), Self::Int(other)) => one == other,
            (Self::Float(one), Self::Float(other)) => one == other,
            (Self::Int(integer), Self::Float(float)) | (Self::Float(float), Self::Int(integer)) => {
                is_worth(*float, integer)
            }
            (Self::Bool(truth), Self::Int(integer)) | (Self::Int(integer), Self::Bool(truth)) => {
                integer == if *truth { "1" } else { "0" }
            }
            (Self::Bool(truth), Self::Float(float)) | (Self::Float(float), Self::Bool(truth)) => {
                *float == f64::from(u8::from(*truth))
            }
            (Self::String(one), Self::String(other)) => one == other,
            (Self::Array(one), Self::Array(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_element(one, other))
            }
            (Self::Object(one), Self::Object(other)) => {
                let pairs = by_key(one).into_iter().zip(by_key(other));
                one.len() == other.len()
                    && pairs.into_iter().all(|(one, other)| one.0 == other.0 && is_element(&one.1, &other.1))
            }
            _ => false,
        }
    }
}

/// Whether one is taken for the other within a list or a dict: there Python asks first whether they
/// are the same object, and `json.loads` makes every NaN the same one.
fn is_element(one: &Value, other: &Value) -> bool {
    matches!((one, other), (Value::Float(one), Value::Float(other)) if one.is_nan() && other.is_nan()) || one == other
}

/// The pairs of a dict in one order for all that have the same keys.
fn by_key(pairs: &[(Text, Value)]) -> Vec<&(Text, Value)> {
    let mut sorted: Vec<_> = pairs.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| key);
    sorted
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn numbers_are_compared_by_what_they_are_worth() {
        for (one, other, equal) in [
            ("1", "1.0", true),
            ("0", "-0.0", true),
            ("-0", "0", true),
            ("1", "1.5", false),
            ("10000000000000000000000", "1e22", true),
            ("100000000000000000000000", "1e23", false),
            ("99999999999999991611392", "1e23", true),
            ("9007199254740993", "9007199254740992.0", false),
            ("9007199254740992", "9007199254740993.0", true),
            ("true", "1", true),
            ("true", "1.0", true),
            ("false", "0", true),
            ("false", "-0.0", true),
            ("true", "2", false),
            ("false", "null", false),
            ("true", "\"true\"", false),
            ("NaN", "NaN", false),
            ("Infinity", "Infinity", true),
            ("Infinity", "-Infinity", false),
            ("Infinity", "1", false),
            ("1e400", "Infinity", true),
        ] {
            let (one, other) = (parse(one).unwrap(), parse(other).unwrap());
            assert_eq!(one == other, equal, "{one} {other}");
            assert_eq!(other == one, equal, "{other} {one}");
        }
    }

    #[test]
    fn keys_come_in_any_order_and_elements_do_not() {
        for (one, other, equal) in [
            (r#"{"a": 1, "b": [2]}"#, r#"{"b": [2.0], "a": true}"#, true),
            (r#"{"a": 1}"#, r#"{"a": 1, "b": 2}"#, false),
            (r#"{"a": 1, "b": 2}"#, r#"{"a": 1, "c": 2}"#, false),
            (r#"{"a": null}"#, r#"{"b": null}"#, false),
            ("[1, 2]", "[2, 1]", false),
            ("[1]", "[1, 1]", false),
            ("{}", "[]", false),
            (r#""\ud83d\ude00""#, "\"\u{1f600}\"", true),
            (r#""\ud83d""#, r#""\ud83e""#, false),
            (r#""\ud83d""#, "\"\u{fffd}\"", false),
            ("[NaN, 1]", "[NaN, 1.0]", true),
            (r#"{"a": [NaN]}"#, r#"{"a": [NaN]}"#, true),
            ("[NaN]", "[Infinity]", false),
        ] {
            assert_eq!(parse(one).unwrap() == parse(other).unwrap(), equal, "{one} {other}");
        }
    }
}
