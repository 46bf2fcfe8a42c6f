//! The tokens of JSON as Python reads them.

use super::{Text, Value};

/// The longest integer that Python turns text into, and back (`sys.int_info.default_max_str_digits`).
pub(super) const MAX_DIGITS: usize = 4300;

/// Why a text is no JSON for Python, without a word of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct ParseError {
    /// What is wrong.
    pub what: &'static str,
    /// Where that is noticed.
    pub at: usize,
}

/// A place in a text.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn wrong<T>(&self, what: &'static str) -> Result<T, ParseError> {
        Err(ParseError { what, at: self.at })
    }

    /// The next byte. Whatever JSON is made of is ASCII, so a byte of a longer character is never
    /// mistaken for it.
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes the next byte if it is this one.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn skip_white_space(&mut self) {
        self.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    }

    /// A value that holds no others.
    pub(super) fn scalar(&mut self) -> Result<Value, ParseError> {
        let rest = &self.text[self.at..];
        let (word, value) = match self.peek() {
            Some(b'"') => return self.string().map(Value::String),
            Some(b'n') => ("null", Value::Null),
            Some(b't') => ("true", Value::Bool(true)),
            Some(b'f') => ("false", Value::Bool(false)),
            Some(b'N') => ("NaN", Value::Float(f64::NAN)),
            Some(b'I') => ("Infinity", Value::Float(f64::INFINITY)),
            Some(b'-') if rest.starts_with("-I") => ("-Infinity", Value::Float(f64::NEG_INFINITY)),
            _ => return self.number(),
        };
        if !rest.starts_with(word) {
            return self.wrong("no value");
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, ParseError> {
        let start = self.at;
        let negative = self.take(b'-');
        let first = self.at;
        if !self.take(b'0') && self.take_digits() == 0 {
            self.at = start;
            return self.wrong("no value");
        }
        let digits = self.at - first;
        let mut is_float = false;
        // What looks like a fraction or an exponent and is none ends the number before it.
        let end = self.at;
        if self.take(b'.') {
            if self.take_digits() > 0 { is_float = true } else { self.at = end }
        }
        let end = self.at;
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'-') {
                self.take(b'+');
            }
            if self.take_digits() > 0 { is_float = true } else { self.at = end }
        }
        let number = &self.text[start..self.at];
        if is_float {
            return number.parse().map(Value::Float).or_else(|_| self.wrong("no number"));
        }
        if digits > MAX_DIGITS {
            self.at = start;
            return self.wrong("an integer of more than 4300 digits, which Python does not read,");
        }
        let is_zero = negative && &self.text[first..self.at] == "0";
        Ok(Value::Int(if is_zero { "0" } else { number }.to_owned()))
    }

    /// A string, quotes and all.
    pub(super) fn string(&mut self) -> Result<Text, ParseError> {
        if !self.take(b'"') {
            return self.wrong("no string in quotes");
        }
        let mut text = String::new();
        // From the first surrogate that stands alone, the string goes on here.
        let mut units: Option<Vec<u16>> = None;
        loop {
            let start = self.at;
            self.take_while(|byte| !matches!(byte, b'"' | b'\\' | ..0x20));
            let plain = &self.text[start..self.at];
            match &mut units {
                Some(units) => units.extend(plain.encode_utf16()),
                None => text.push_str(plain),
            }
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(units.map_or(Text::Unicode(text), Text::from_utf16));
                }
                Some(b'\\') => {
                    let (first, second) = self.escape()?;
                    let mut decoded = char::decode_utf16([Some(first), second].into_iter().flatten());
                    match (&mut units, decoded.next()) {
                        (None, Some(Ok(char))) => text.push(char),
                        (known, _) => {
                            let units = known.get_or_insert_with(|| text.encode_utf16().collect());
                            units.push(first);
                            units.extend(second);
                        }
                    }
                }
                Some(_) => return self.wrong("a control character in a string"),
                None => return self.wrong("a string without an end"),
            }
        }
    }

    /// What an escape means in UTF-16; two escapes may be the halves of one character.
    fn escape(&mut self) -> Result<(u16, Option<u16>), ParseError> {
        self.at += 1;
        let unit = match self.peek() {
            Some(plain @ (b'"' | b'\\' | b'/')) => plain,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let first = self.hexadecimal()?;
                let after = self.at;
                if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with("\\u") {
                    self.at += 1;
                    let second = self.hexadecimal()?;
                    if (0xdc00..0xe000).contains(&second) {
                        return Ok((first, Some(second)));
                    }
                    self.at = after;
                }
                return Ok((first, None));
            }
            _ => return self.wrong("no such escape"),
        };
        self.at += 1;
        Ok((unit.into(), None))
    }

    /// The `u` of an escape and its four digits.
    fn hexadecimal(&mut self) -> Result<u16, ParseError> {
        let digits = self.text.get(self.at + 1..self.at + 5).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
            Some(unit) => {
                self.at += 5;
                Ok(unit)
            }
            None => self.wrong("an escape without four hexadecimal digits"),
        }
    }

    fn take_digits(&mut self) -> usize {
        self.take_while(|byte| byte.is_ascii_digit())
    }

    fn take_while(&mut self, is: impl Fn(u8) -> bool) -> usize {
        let taken = self.text.as_bytes()[self.at..].iter().take_while(|byte| is(**byte)).count();
        self.at += taken;
        taken
    }
}
