//! Texts that are JSON, or nearly.

use actingweb_maintd::model::json::{self, Value};
use fastrand::Rng;

/// What is easily read another way.
pub(super) fn edge_cases() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "null",
        "true",
        "false",
        "nul",
        "truefalse",
        "True",
        "None",
        "NaN",
        "-NaN",
        "nan",
        "Infinity",
        "-Infinity",
        "inf",
        "0",
        "-0",
        "00",
        "-",
        "+1",
        ".5",
        "1.",
        "1.e3",
        "1e",
        "1e+",
        "1E5",
        "1e05",
        "0x1",
        "1_0",
        "0.0",
        "-0.0",
        "1e16",
        "1e15",
        "123456789012345678",
        "1e22",
        "10000000000000000000000",
        "1e23",
        "99999999999999991611392",
        "100000000000000000000000",
        "1e-4",
        "1e-5",
        "0.00012345",
        "5e-324",
        "2e-324",
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "1e400",
        "-1e400",
        "1e-400",
        "9007199254740992.0",
        "9007199254740993",
        "9007199254740992",
        "2.2250738585072014e-308",
        "2.2250738585072011e-308",
        "[",
        "]",
        "[]",
        "[ ]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{}",
        "{ }",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1,\"b\":2,\"a\":3}",
        "{\"b\":2,\"a\":3}",
        "{\"a\":3,\"b\":2}",
        "\"",
        "\"\\\"",
        "\"\\",
        "\"\\u",
        "\"\\u12",
        "\"\\x\"",
        "\"\\'\"",
        "'a'",
        "\"\t\"",
        "\"\n\"",
        "\"\u{1f}\"",
        "\"\u{7f}\u{80}\u{9f}\u{a0}\"",
        "\"\\u0000\"",
        "\"\\u000\"",
        "\"\\u+041\"",
        "\"\\uD83D\\uDE00\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\ud83d\\u0041\"",
        "\"\\ud83d\\n\"",
        "\"\\ud83d\\u00\"",
        "\"\\ud83d\\ud83d\\ude00\"",
        "\"\\ude00\\ud83d\"",
        "\"\\ud83d\u{1f600}\"",
        "\"\u{1f600}\"",
        "\"\\/\"",
        "\"/\"",
        "\"\u{2028}\u{fffd}\u{ffff}\u{10ffff}\"",
        "\u{feff}1",
        "1\u{feff}",
        "\u{a0}1",
        "\u{b}1",
        "\u{c}1",
        "\r\n\t 1 \r\n\t",
        "1 1",
        "[1]]",
        "// a",
        "\u{661}",
        "1\u{661}",
    ]
    .map(str::to_owned)
    .into();
    texts.extend([500, 900].map(|depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth))));
    texts.extend([500, 900].map(|depth| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth))));
    for digits in [4299, 4300, 4301] {
        texts.extend(["", "-"].map(|sign| format!("{sign}{}", "7".repeat(digits))));
        texts.push(format!("{}.5", "7".repeat(digits)));
    }
    texts
}

/// Powers of two and of ten with their neighbours, where the fewest digits are hardest to find.
pub(super) fn powers() -> Vec<String> {
    let twos = (-1074..1024).map(|exponent| 2_f64.powi(exponent));
    let tens = (-323..309).map(|exponent| format!("1e{exponent}").parse().unwrap());
    let near = |value: f64| [value.next_down(), value, value.next_up()].map(|value| format!("{value:e}"));
    twos.chain(tens).flat_map(near).collect()
}

pub(super) fn number(rng: &mut Rng) -> String {
    match rng.u8(0..9) {
        0 => rng.i64(..).to_string(),
        1 => rng.i32(-5..5).to_string(),
        2 => {
            let digits: String = (0..rng.usize(1..80)).map(|_| rng.digit(10)).collect();
            let digits = digits.trim_start_matches('0');
            format!("{}{}", if rng.bool() { "-" } else { "" }, if digits.is_empty() { "0" } else { digits })
        }
        // Subnormal ones and any others.
        3 => finite(f64::from_bits(rng.u64(..1 << 52))),
        4 | 5 => finite(f64::from_bits(rng.u64(..))),
        // Small fractions of two, which lie just between two decimal numbers more often than others.
        7 => finite(f64::from(rng.u32(..)) * 2_f64.powi(-rng.i32(..80))),
        6 => format!("{}.{}", rng.i32(-100..100), rng.u32(..)),
        _ => format!("{}e{}", rng.i32(..), rng.i32(-340..320)),
    }
}

fn finite(value: f64) -> String {
    if value.is_finite() { format!("{value:e}") } else { "NaN".to_owned() }
}

/// Another text for a number, or one for a number that is hardly another.
pub(super) fn neighbour(rng: &mut Rng, number: &str) -> String {
    let value: f64 = number.parse().unwrap();
    if !value.is_finite() {
        return "Infinity".to_owned();
    }
    match rng.u8(0..4) {
        0 => format!("{value:.0}"),
        1 => format!("{value:e}"),
        2 => format!("{:e}", value.next_up()),
        _ => format!("{number}0"),
    }
}

fn string(rng: &mut Rng) -> String {
    let mut text = "\"".to_owned();
    for _ in 0..rng.usize(..8) {
        match rng.u8(0..10) {
            0..4 => text.push(one_of(rng, "ab:/ é€~")),
            4 => text.push_str(rng.choice(["\\n", "\\t", "\\r", "\\b", "\\f", "\\/", "\\\\", "\\\""]).unwrap()),
            5 => text.push(Some(rng.char(..)).filter(|c| *c >= ' ' && *c != '"' && *c != '\\').unwrap_or('x')),
            6 => text.push_str(&format!("\\u{:04x}", rng.u16(..))),
            7 => text.push_str(&format!("\\u{:04X}", rng.u16(0xd800..0xdc00))),
            8 => text.push_str(&format!("\\u{:04x}", rng.u16(0xdc00..0xe000))),
            _ => text.push_str(&format!("\\u{:04x}", rng.u16(..0x100))),
        }
    }
    text + "\""
}

/// One of these characters.
pub(super) fn one_of(rng: &mut Rng, chars: &str) -> char {
    rng.choice(chars.chars().collect::<Vec<_>>()).unwrap()
}

fn space(rng: &mut Rng) -> &'static str {
    rng.choice(["", "", "", " ", "\n", "\t \r"]).unwrap()
}

/// Any value in any spelling, so deep at most.
pub(super) fn value(rng: &mut Rng, depth: u32) -> String {
    let (before, after) = (space(rng), space(rng));
    let inner = match rng.u8(..if depth == 0 { 5 } else { 10 }) {
        0 => rng.choice(["null", "true", "false", "NaN", "Infinity", "-Infinity"]).unwrap().to_owned(),
        1 | 2 => number(rng),
        3 | 4 => string(rng),
        5..7 => {
            let values: Vec<_> = (0..rng.usize(..5)).map(|_| value(rng, depth - 1)).collect();
            format!("[{}{}]", space(rng), values.join(","))
        }
        _ => {
            let mut pairs = Vec::new();
            for _ in 0..rng.usize(..6) {
                // Few keys, so that some come twice.
                let key = if rng.bool() { format!("\"{}\"", one_of(rng, "abc")) } else { string(rng) };
                pairs.push(format!("{}{key}{}:{}", space(rng), space(rng), value(rng, depth - 1)));
            }
            format!("{{{}{}}}", space(rng), pairs.join(","))
        }
    };
    format!("{before}{inner}{after}")
}

/// The same value with the keys of its outermost dict in the opposite order.
pub(super) fn respelled(text: &str) -> String {
    let mut value = json::parse(text).expect("a value");
    if let Value::Object(pairs) = &mut value {
        pairs.reverse();
    }
    value.to_string()
}

/// The text with a character gone, doubled or replaced.
pub(super) fn damaged(rng: &mut Rng, text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let at = rng.usize(..chars.len());
    match rng.u8(0..3) {
        0 => drop(chars.remove(at)),
        1 => chars.insert(at, chars[at]),
        _ => chars[at] = one_of(rng, "[]{},:\"\\u0e.-+ \u{1}tN"),
    }
    chars.into_iter().collect()
}
