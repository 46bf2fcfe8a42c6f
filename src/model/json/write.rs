//! From values to text, as `json.dumps` does it.

use std::fmt::{self, Formatter, Write};

use super::number::repr;
use super::{Text, Value};

impl fmt::Display for Value {
    /// Exactly the text of `json.dumps`: all of it is ASCII.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => f.write_str(if *value { "true" } else { "false" }),
            Self::Int(digits) => f.write_str(digits),
            Self::Float(value) => f.write_str(&repr(*value)),
            Self::String(text) => write_string(f, text),
            Self::Array(values) => {
                f.write_char('[')?;
                for (index, value) in values.iter().enumerate() {
                    write_comma(f, index)?;
                    value.fmt(f)?;
                }
                f.write_char(']')
            }
            Self::Object(pairs) => {
                f.write_char('{')?;
                for (index, (key, value)) in pairs.iter().enumerate() {
                    write_comma(f, index)?;
                    write_string(f, key)?;
                    f.write_str(": ")?;
                    value.fmt(f)?;
                }
                f.write_char('}')
            }
        }
    }
}

fn write_comma(f: &mut Formatter<'_>, index: usize) -> fmt::Result {
    if index == 0 { Ok(()) } else { f.write_str(", ") }
}

fn write_string(f: &mut Formatter<'_>, text: &Text) -> fmt::Result {
    f.write_char('"')?;
    match text {
        Text::Unicode(text) => {
            let mut rest = text.as_str();
            while let Some(at) = rest.find(|c| !is_plain(c)) {
                let (plain, special) = rest.split_at(at);
                f.write_str(plain)?;
                let mut chars = special.chars();
                for unit in chars.next().into_iter().flat_map(units) {
                    write_escaped(f, unit)?;
                }
                rest = chars.as_str();
            }
            f.write_str(rest)?;
        }
        Text::Surrogates(units) => {
            for unit in units {
                match char::from_u32((*unit).into()).filter(|c| is_plain(*c)) {
                    Some(plain) => f.write_char(plain)?,
                    None => write_escaped(f, *unit)?,
                }
            }
        }
    }
    f.write_char('"')
}

/// Whether a character stands for itself.
fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~') && c != '"' && c != '\\'
}

/// A character in UTF-16.
fn units(c: char) -> impl Iterator<Item = u16> {
    let mut units = [0; 2];
    let length = c.encode_utf16(&mut units).len();
    units.into_iter().take(length)
}

fn write_escaped(f: &mut Formatter<'_>, unit: u16) -> fmt::Result {
    match unit {
        0x22 => f.write_str("\\\""),
        0x5c => f.write_str("\\\\"),
        0x08 => f.write_str("\\b"),
        0x09 => f.write_str("\\t"),
        0x0a => f.write_str("\\n"),
        0x0c => f.write_str("\\f"),
        0x0d => f.write_str("\\r"),
        _ => write!(f, "\\u{unit:04x}"),
    }
}
