//! When two rows are the same on a backend, told without the code that is tested.

use actingweb_maintd::model::json::Value;
use actingweb_maintd::model::{BackendKind, Row};

/// The rows are the same; on PostgreSQL, where numbers are decimals and keys have no order, as far
/// as it can keep them.
pub(super) fn assert_same(backend: BackendKind, found: &Row, expected: &Row) {
    let (Row::Attribute(found_row), Row::Attribute(expected_row)) = (found, expected) else {
        assert_eq!(found, expected);
        return;
    };
    let (mut found_row, mut expected_row) = (found_row.clone(), expected_row.clone());
    match (found_row.data.take(), expected_row.data.take()) {
        (Some(found), Some(expected)) => assert_same_value(backend, &found, &expected),
        (found, expected) => assert!(found.is_none() && expected.is_none(), "{found:?} and {expected:?}"),
    }
    assert_eq!(found_row, expected_row);
}

/// The same for values.
pub(super) fn assert_same_value(backend: BackendKind, found: &Value, expected: &Value) {
    let is_same = match backend {
        BackendKind::Postgresql => is_worth_the_same(found, expected),
        BackendKind::Dynamodb => is_spelled_the_same(found, expected),
    };
    assert!(is_same, "{found} is not {expected}");
}

fn is_worth_the_same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(found), Value::Bool(expected)) => found == expected,
        (Value::Int(found), Value::Int(expected)) => found == expected,
        (Value::Float(found), Value::Float(expected)) => found == expected,
        (Value::Int(digits), Value::Float(expected)) => digits.parse() == Ok(*expected),
        (Value::String(found), Value::String(expected)) => found == expected,
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(one, other)| is_worth_the_same(one, other))
        }
        (Value::Object(found), Value::Object(expected)) => {
            let same = |(key, value)| {
                let mut others = expected.iter().filter(|(other, _)| other == key);
                others.next().is_some_and(|(_, other)| is_worth_the_same(value, other)) && others.next().is_none()
            };
            found.len() == expected.len() && found.iter().map(|(key, value)| (key, value)).all(same)
        }
        _ => false,
    }
}

/// To the last bit, and in the same order.
fn is_spelled_the_same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(found), Value::Bool(expected)) => found == expected,
        (Value::Int(found), Value::Int(expected)) => found == expected,
        (Value::Float(found), Value::Float(expected)) => {
            found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan()
        }
        (Value::String(found), Value::String(expected)) => found == expected,
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(one, other)| is_spelled_the_same(one, other))
        }
        (Value::Object(found), Value::Object(expected)) => {
            found.len() == expected.len()
                && found
                    .iter()
                    .zip(expected)
                    .all(|((key, one), (other_key, other))| key == other_key && is_spelled_the_same(one, other))
        }
        _ => false,
    }
}
