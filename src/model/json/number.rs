//! Floats as Python spells them, and what numbers are worth.

/// The text of a float, as `repr` and `json.dumps` of Python spell it.
pub(super) fn repr(value: f64) -> String {
    let Some(Digits { sign, digits, exponent }) = Digits::of(value) else {
        return match value {
            f64::INFINITY => "Infinity",
            f64::NEG_INFINITY => "-Infinity",
            _ => "NaN",
        }
        .to_owned();
    };
    match usize::try_from(exponent) {
        Ok(16..) => with_exponent(sign, &digits, exponent),
        Ok(exponent) => match digits.split_at_checked(exponent + 1) {
            Some((whole, fraction)) if !fraction.is_empty() => format!("{sign}{whole}.{fraction}"),
            _ => format!("{sign}{digits:0<width$}.0", width = exponent + 1),
        },
        Err(_) if exponent >= -4 => {
            format!("{sign}0.{:0<width$}{digits}", "", width = exponent.unsigned_abs() as usize - 1)
        }
        Err(_) => with_exponent(sign, &digits, exponent),
    }
}

fn with_exponent(sign: &str, digits: &str, exponent: i32) -> String {
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let direction = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{rest}e{direction}{:02}", exponent.unsigned_abs())
}

/// The decimal number that the text of a float spells, in one form for floats and integers: `1e+23`
/// is a one and 23 zeros, as `jsonb` keeps it and Python reads it from there, though the float itself
/// is a little less.
pub(in crate::model) fn decimal(value: f64) -> String {
    match Digits::of(value) {
        Some(Digits { digits, .. }) if digits == "0" => digits,
        Some(Digits { sign, digits, exponent }) if exponent >= 0 && digits.len() <= exponent as usize + 1 => {
            format!("{sign}{digits:0<width$}", width = exponent as usize + 1)
        }
        _ => repr(value),
    }
}

/// Whether a float is worth exactly what an integer is, in Python's digits.
pub(super) fn is_worth(value: f64, integer: &str) -> bool {
    // Rust writes all digits of a float, not only those that tell it from its neighbours.
    value.is_finite()
        && value.fract() == 0.0
        && if value == 0.0 { integer == "0" } else { format!("{value:.0}") == integer }
}

/// The fewest digits that mean a float, the first of them worth 10 to the power of `exponent`.
struct Digits {
    sign: &'static str,
    digits: String,
    exponent: i32,
}

impl Digits {
    /// None for what is infinite or no number.
    fn of(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let sign = if value.is_sign_negative() { "-" } else { "" };
        let value = value.abs();
        let shortest = format!("{value:e}");
        // Of two texts of that length that are as near, Python has the one with the even digit, and
        // Rust the greater one. Rounding to that length goes by the even digit in Rust too.
        let digits = shortest.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
        let rounded = format!("{value:.*e}", digits - 1);
        let text = if rounded.parse() == Ok(value) { rounded } else { shortest };
        let (mantissa, exponent) = text.split_once('e')?;
        Some(Self { sign, digits: mantissa.replace('.', ""), exponent: exponent.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_spelled_as_python_does() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00012, "0.00012"),
            (0.00001, "1e-05"),
            (0.000_012, "1.2e-05"),
            (123.456, "123.456"),
            (100.0, "100.0"),
            (1e15, "1000000000000000.0"),
            (1_234_567_890_123_456.8, "1234567890123456.8"),
            (9_007_199_254_740_993.0, "9007199254740992.0"),
            (1e16, "1e+16"),
            (1.5e16, "1.5e+16"),
            (1e22, "1e+22"),
            (1.5e300, "1.5e+300"),
            (5e-324, "5e-324"),
            (2_f64.powi(-25), "2.9802322387695312e-08"),
            (2_f64.powi(-44), "5.684341886080802e-14"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (f64::NAN, "NaN"),
            (-f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(repr(value), text);
        }
    }

    #[test]
    fn one_decimal_number_has_one_form() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-120.0, "-120"),
            (1.5, "1.5"),
            (1e22, "10000000000000000000000"),
            (1e23, "100000000000000000000000"),
            (5e-324, "5e-324"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
        ] {
            assert_eq!(decimal(value), text);
        }
    }
}
