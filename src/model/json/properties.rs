//! What holds for all values and all texts.

use proptest::prelude::*;

use super::strategies::{number, value};
use super::{Value, parse};

/// Tells apart what `==` does not, and finds NaN the same as NaN.
fn exactly(value: &Value) -> String {
    format!("{value:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_written_is_read_as_it_was(value in value()) {
        let text = value.to_string();
        prop_assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{}", text);
        let read = parse(&text).unwrap();
        prop_assert_eq!(exactly(&read), exactly(&value));
        prop_assert_eq!(read.to_string(), text);
    }

    #[test]
    fn a_value_equals_itself_unless_something_is_not_a_number(value in value()) {
        let has_nan = value.to_string().contains("NaN");
        prop_assert!(has_nan || value == value.clone());
    }

    #[test]
    fn no_text_is_too_much(text in any::<String>()) {
        if let Ok(value) = parse(&text) {
            prop_assert_eq!(parse(&value.to_string()).unwrap().to_string(), value.to_string());
        }
    }

    #[test]
    fn no_text_that_is_nearly_json_is_too_much(text in "[\\[\\]{},:\"\\\\ud8c0\\-.e+ nulNaIfity\u{e9}]{0,20}") {
        if let Ok(value) = parse(&text) {
            prop_assert_eq!(parse(&value.to_string()).unwrap().to_string(), value.to_string());
        }
    }

    #[test]
    fn comparing_numbers_is_symmetric(one in number(), other in number()) {
        prop_assert_eq!(one == other, other == one);
    }

    /// What `jsonb` prints: its own order of keys, and numbers without exponents.
    #[test]
    fn what_jsonb_prints_is_stable(
        integer in "-?[1-9][0-9]{0,40}",
        fraction in "[0-9]{1,20}",
        text in "[ -~&&[^\"\\\\]]{0,20}|\u{e9}\u{1f600}",
    ) {
        let text = format!(r#"{{"n": {integer}, "text": "{text}", "other": [{integer}.{fraction}, true, null, {{}}]}}"#);
        let written = parse(&text).unwrap().to_string();
        prop_assert_eq!(parse(&written).unwrap().to_string(), written.as_str());
        prop_assert!(parse(&written).unwrap() == parse(&text).unwrap());
    }
}

#[test]
fn the_text_for_dynamodb_comes_from_what_jsonb_prints() {
    for (printed, written) in [
        (r#"{"b": 1, "a": 2, "expires_at": 123, "f": 1.50}"#, r#"{"b": 1, "a": 2, "expires_at": 123, "f": 1.5}"#),
        ("{\"u\": \"\u{e9}/\u{1f600}\u{7f}\"}", r#"{"u": "\u00e9/\ud83d\ude00\u007f"}"#),
        ("[100, 10000000000000000000000, 0.0, 0.00001]", "[100, 10000000000000000000000, 0.0, 1e-05]"),
        (r#""plainstring""#, r#""plainstring""#),
        ("null", "null"),
    ] {
        assert_eq!(parse(printed).unwrap().to_string(), written);
    }
}
