//! Values and texts for properties.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Text, Value};

/// Any string of Python.
pub(in crate::model) fn text() -> impl Strategy<Value = Text> {
    let unit = prop_oneof![
        8 => 0_u16..0x80,
        4 => any::<u16>(),
        2 => 0xd800_u16..0xe000,
        1 => Just(0x22),
        1 => Just(0x5c),
        1 => Just(0x7f),
    ];
    prop_oneof![
        any::<String>().prop_map(Text::Unicode),
        "[a-c]{0,2}".prop_map(Text::Unicode),
        vec(unit, 0..8).prop_map(Text::from_utf16),
    ]
}

/// Any number.
pub(in crate::model) fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(|value| Value::Int(value.to_string())),
        (-3_i32..4).prop_map(|value| Value::Int(value.to_string())),
        "-?[1-9][0-9]{0,60}".prop_map(Value::Int),
        any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
        (-3_i32..4).prop_map(|value| Value::Float(value.into())),
        (any::<i32>(), -30_i32..30)
            .prop_map(|(value, exponent)| Value::Float(f64::from(value) * 10_f64.powi(exponent))),
    ]
}

/// Any value.
pub(in crate::model) fn value() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::Bool), number(), text().prop_map(Value::String),];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![vec(inner.clone(), 0..6).prop_map(Value::Array), vec((text(), inner), 0..6).prop_map(object)]
    })
}

/// A dict of these pairs, without those whose key has come before.
fn object(pairs: Vec<(Text, Value)>) -> Value {
    let mut kept: Vec<(Text, Value)> = Vec::new();
    for (key, value) in pairs {
        if kept.iter().all(|(known, _)| *known != key) {
            kept.push((key, value));
        }
    }
    Value::Object(kept)
}
