//! From text to values, as `json.loads` does it.

use std::collections::HashMap;

use super::scan::{ParseError, Scanner};
use super::{Text, Value};

/// How deep values may be within one another; Python stops at about as many. Our own stack does not
/// depend on it while a text is read, but all that walks over the value afterwards does.
pub(super) const MAX_DEPTH: usize = 1000;

/// What has begun and not ended.
enum Open {
    Array(Vec<Value>),
    /// With the key of the value that comes next.
    Object(Vec<(Text, Value)>, Text),
}

/// The value of a text, exactly as `json.loads` reads it. Whatever that takes is taken, `NaN` and
/// lone surrogates too; whatever it refuses is refused, such as a byte order mark.
pub fn parse(text: &str) -> Result<Value, ParseError> {
    let mut scanner = Scanner::new(text);
    if text.starts_with('\u{feff}') {
        return scanner.wrong("a byte order mark");
    }
    let mut open = Vec::new();
    scanner.skip_white_space();
    loop {
        let Some(value) = begin(&mut scanner, &mut open)? else { continue };
        if let Some(value) = end(&mut scanner, &mut open, value)? {
            return Ok(value);
        }
    }
}

/// Reads a value, or the beginning of one that holds others.
fn begin(scanner: &mut Scanner<'_>, open: &mut Vec<Open>) -> Result<Option<Value>, ParseError> {
    let is_array = scanner.peek() == Some(b'[');
    if !is_array && scanner.peek() != Some(b'{') {
        return scanner.scalar().map(Some);
    }
    if open.len() == MAX_DEPTH {
        return scanner.wrong("more than 1000 values within one another");
    }
    scanner.take(if is_array { b'[' } else { b'{' });
    scanner.skip_white_space();
    if is_array {
        if scanner.take(b']') {
            return Ok(Some(Value::Array(Vec::new())));
        }
        open.push(Open::Array(Vec::new()));
    } else {
        if scanner.take(b'}') {
            return Ok(Some(Value::Object(Vec::new())));
        }
        open.push(Open::Object(Vec::new(), key(scanner)?));
    }
    Ok(None)
}

/// Puts a value where it belongs, with all that ends after it. Returns the value that nothing holds;
/// none where another has to come first.
fn end(scanner: &mut Scanner<'_>, open: &mut Vec<Open>, mut value: Value) -> Result<Option<Value>, ParseError> {
    loop {
        scanner.skip_white_space();
        let goes_on = scanner.take(b',');
        if goes_on {
            scanner.skip_white_space();
        }
        value = match open.pop() {
            None if goes_on || scanner.peek().is_some() => return scanner.wrong("more than one value"),
            None => return Ok(Some(value)),
            Some(Open::Array(mut values)) => {
                values.push(value);
                if goes_on {
                    open.push(Open::Array(values));
                    return Ok(None);
                }
                if !scanner.take(b']') {
                    return scanner.wrong("no comma and no end of a list");
                }
                Value::Array(values)
            }
            Some(Open::Object(mut pairs, name)) => {
                pairs.push((name, value));
                if goes_on {
                    open.push(Open::Object(pairs, key(scanner)?));
                    return Ok(None);
                }
                if !scanner.take(b'}') {
                    return scanner.wrong("no comma and no end of an object");
                }
                Value::Object(without_doubles(pairs))
            }
        };
    }
}

/// A key, its colon, and the white space after it.
fn key(scanner: &mut Scanner<'_>) -> Result<Text, ParseError> {
    let key = scanner.string()?;
    scanner.skip_white_space();
    if !scanner.take(b':') {
        return scanner.wrong("no colon after a key");
    }
    scanner.skip_white_space();
    Ok(key)
}

/// Of a key that comes more than once the last value, in the place of the first.
fn without_doubles(pairs: Vec<(Text, Value)>) -> Vec<(Text, Value)> {
    let mut keys: Vec<&Text> = pairs.iter().map(|(key, _)| key).collect();
    keys.sort_unstable();
    if keys.windows(2).all(|two| two[0] != two[1]) {
        return pairs;
    }
    let mut kept: Vec<(Text, Value)> = Vec::new();
    let mut places: HashMap<Text, usize> = HashMap::new();
    for (key, value) in pairs {
        match places.get(&key) {
            Some(place) => kept[*place].1 = value,
            None => {
                places.insert(key.clone(), kept.len());
                kept.push((key, value));
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_reads_is_read() {
        for (text, written) in [
            (" \t\r\n[ ]\n", "[]"),
            ("{ \"a\" : 1 , \"b\":[1 ,2]}", r#"{"a": 1, "b": [1, 2]}"#),
            ("-0", "0"),
            ("-0.0", "-0.0"),
            ("-0e0", "-0.0"),
            ("1E2", "100.0"),
            ("1.50", "1.5"),
            ("1e400", "Infinity"),
            ("-1e400", "-Infinity"),
            ("1e-400", "0.0"),
            ("[NaN, Infinity, -Infinity]", "[NaN, Infinity, -Infinity]"),
            ("1000000000000000000000000000001", "1000000000000000000000000000001"),
            (r#""\/\b\f\n\r\t\"\\""#, r#""/\b\f\n\r\t\"\\""#),
            ("\"\u{7f}\u{80}\u{2028}\u{1f600}\"", r#""\u007f\u0080\u2028\ud83d\ude00""#),
            (r#""\uD83D\uDE00""#, r#""\ud83d\ude00""#),
            (r#""\ud83d\ud83d\ude00\ude00""#, r#""\ud83d\ud83d\ude00\ude00""#),
            (r#""\ud83dé\u00e9\u0041""#, r#""\ud83d\u00e9\u00e9A""#),
            (r#""\ud83d\n""#, r#""\ud83d\n""#),
            (r#"{"a": 1, "b": 2, "a": 3, "c": 4, "b": 5}"#, r#"{"a": 3, "b": 5, "c": 4}"#),
            (r#"{"": {"\ud800": 1, "\ud800": 2}}"#, r#"{"": {"\ud800": 2}}"#),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), written, "{text}");
        }
    }

    #[test]
    fn what_python_refuses_is_refused_where_it_is_wrong() {
        for (text, at) in [
            ("", 0),
            (" ", 1),
            ("\u{feff}1", 0),
            ("\u{a0}1", 0),
            ("\u{b}1", 0),
            ("nul", 0),
            ("-", 0),
            ("-NaN", 0),
            ("+1", 0),
            (".5", 0),
            ("01", 1),
            ("1.", 1),
            ("1.e5", 1),
            ("1e", 1),
            ("1e+", 1),
            ("0x10", 1),
            ("1 2", 2),
            ("1,", 2),
            ("\u{661}", 0),
            ("'a'", 0),
            ("\"a", 2),
            ("\"\n\"", 1),
            ("\"\u{1f}\"", 1),
            (r#""\x""#, 2),
            (r#""\u12""#, 2),
            (r#""\u+123""#, 2),
            (r#""\u12é4""#, 2),
            (r#""\ud83d\u12""#, 8),
            ("[1", 2),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("[1}", 2),
            ("{", 1),
            ("{1: 2}", 1),
            (r#"{"a" 1}"#, 5),
            (r#"{"a": 1,}"#, 8),
            (r#"{"a": 1]"#, 7),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.at, at, "{text:?}: {error}");
        }
        assert_eq!(parse("[\"secret").unwrap_err().to_string(), "a string without an end at byte 8");
    }

    #[test]
    fn integers_have_as_many_digits_as_python_allows() {
        let longest = "9".repeat(4300);
        assert_eq!(parse(&format!("-{longest}")).unwrap().to_string(), format!("-{longest}"));
        assert_eq!(parse(&format!("{longest}0.5")).unwrap().to_string(), "Infinity");
        let error = parse(&format!("[{longest}0]")).unwrap_err();
        assert_eq!(error.to_string(), "an integer of more than 4300 digits, which Python does not read, at byte 1");
    }

    /// On a thread with half the stack that the daemon's have.
    #[test]
    fn depth_is_bounded_and_what_is_within_bounds_fits_the_stack() {
        let test = || {
            for (begin, end) in [("[", "]"), ("{\"a\": ", "}")] {
                let nested = |depth| format!("{}[]{}", begin.repeat(depth), end.repeat(depth));
                let deepest = nested(MAX_DEPTH - 1);
                let value = parse(&deepest).unwrap();
                assert_eq!(value.to_string(), deepest);
                assert!(value == value.clone() && value.unfit_for_jsonb().is_none());
                assert!(parse(&nested(MAX_DEPTH)).unwrap_err().to_string().starts_with("more than 1000 values"));
                assert!(parse(&begin.repeat(1_000_000)).is_err());
            }
        };
        std::thread::Builder::new().stack_size(1 << 20).spawn(test).unwrap().join().unwrap();
    }

    /// Two keys are never compared with all others.
    #[test]
    fn many_keys_that_come_twice_are_no_trouble() {
        let pairs: Vec<String> = (0..100_000).map(|n| format!("\"{}\": {n}", n % 50_000)).collect();
        let Value::Object(pairs) = parse(&format!("{{{}}}", pairs.join(", "))).unwrap() else { panic!("no dict") };
        assert_eq!(pairs.len(), 50_000);
        assert_eq!(pairs[7], ("7".into(), Value::Int("50007".to_owned())));
    }
}
