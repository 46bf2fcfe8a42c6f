//! Times as the backends spell them.

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};

/// The characters of a time in DynamoDB.
const LENGTH: usize = 31;

/// The years that Python knows.
pub const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

/// A time as the library stores it in DynamoDB (`UTCDateTimeAttribute` of pynamodb), exactly 31
/// characters for every year that Python knows: `2026-01-02T03:04:05.000678+0000`.
pub fn format_time(time: DateTime<Utc>) -> String {
    format!("{}T{}.{:06}+0000", date(time), clock(time), microsecond(time))
}

/// A time as the library reads it from DynamoDB, so whatever pynamodb takes: zeros are put before a
/// text that is too short, and each number is read by Python's `int`. Only digits and white space of
/// other scripts, which that would take as well, are not read. None for what pynamodb refuses: one
/// such value makes whole buckets unreadable.
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let mut text = text.to_owned();
    if !text.is_ascii() || text.len() > LENGTH {
        return None;
    }
    // `zfill` of Python leaves a sign in front.
    let sign = usize::from(text.starts_with(['+', '-']));
    text.insert_str(sign, &"0".repeat(LENGTH - text.len()));
    let separators = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":"), (19, "."), (26, "+0000")];
    if separators.iter().any(|(at, separator)| !text[*at..].starts_with(separator)) {
        return None;
    }
    let number = |from: usize, to: usize| python_int(&text[from..to]);
    at(
        i32::try_from(number(0, 4)?).ok()?,
        [number(5, 7)?, number(8, 10)?],
        [number(11, 13)?, number(14, 16)?, number(17, 19)?],
        number(20, 26)?,
    )
}

/// `int` of Python, for a few ASCII characters: white space around it, a sign, and underscores
/// between digits are no harm.
fn python_int(text: &str) -> Option<i64> {
    let text = text.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.split('_').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    let value: i64 = digits.replace('_', "").parse().ok()?;
    Some(if text.starts_with('-') { -value } else { value })
}

/// A time as PostgreSQL writes a `timestamp` as text, with the date style ISO:
/// `2026-01-02 03:04:05.000678`, without zeros at the end.
pub fn format_pg_timestamp(time: DateTime<Utc>) -> String {
    let fraction = format!(".{:06}", microsecond(time));
    format!("{} {}{}", date(time), clock(time), fraction.trim_end_matches('0').trim_end_matches('.'))
}

/// A time as PostgreSQL writes a `timestamptz` as text where the time zone is UTC.
pub fn format_pg_timestamptz(time: DateTime<Utc>) -> String {
    format_pg_timestamp(time) + "+00"
}

/// A time that PostgreSQL wrote as text with the date style ISO, with a zone only if that is UTC.
/// None for what Python cannot read: `infinity`, and years that it does not know.
pub fn parse_pg_timestamp(text: &str) -> Option<DateTime<Utc>> {
    let (date, clock) = text.strip_suffix("+00").unwrap_or(text).split_once(' ')?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let time = numbers(clock, ':', [2, 2, 2])?;
    let microsecond = digits(fraction).filter(|_| fraction.len() <= 6)? * 10_i64.pow(6 - fraction.len() as u32);
    at(i32::try_from(year).ok()?, [month, day], time, microsecond)
}

/// Three numbers of so many digits each.
fn numbers(text: &str, separator: char, lengths: [usize; 3]) -> Option<[i64; 3]> {
    let parts: Vec<&str> = text.split(separator).collect();
    let parts: [&str; 3] = parts.try_into().ok()?;
    if parts.iter().zip(lengths).any(|(part, length)| part.len() != length) {
        return None;
    }
    let [first, second, third] = parts.map(digits);
    Some([first?, second?, third?])
}

fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// What Python's `datetime` makes of these numbers.
fn at(year: i32, [month, day]: [i64; 2], time: [i64; 3], microsecond: i64) -> Option<DateTime<Utc>> {
    let [month, day, hour, minute, second, microsecond] =
        [month, day, time[0], time[1], time[2], microsecond].map(u32::try_from).map(Result::ok);
    // Beyond a second chrono would see a leap second.
    let microsecond = microsecond.filter(|microsecond| *microsecond < 1_000_000)?;
    let date = NaiveDate::from_ymd_opt(year, month?, day?).filter(|date| YEARS.contains(&date.year()))?;
    Some(date.and_hms_micro_opt(hour?, minute?, second?, microsecond)?.and_utc())
}

fn date(time: DateTime<Utc>) -> String {
    format!("{:04}-{:02}-{:02}", time.year(), time.month(), time.day())
}

fn clock(time: DateTime<Utc>) -> String {
    format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
}

/// A leap second, which chrono counts beyond a million, is the end of the second before it.
fn microsecond(time: DateTime<Utc>) -> u32 {
    time.timestamp_subsec_micros().min(999_999)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn times_are_spelled_as_each_backend_does() {
        for (at, dynamodb, postgresql) in [
            ("2026-01-02T03:04:05.000678Z", "2026-01-02T03:04:05.000678+0000", "2026-01-02 03:04:05.000678"),
            ("2026-11-22T14:43:16.500Z", "2026-11-22T14:43:16.500000+0000", "2026-11-22 14:43:16.5"),
            ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59.000000+0000", "1969-12-31 23:59:59"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000+0000", "0001-01-01 00:00:00"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999+0000", "9999-12-31 23:59:59.999999"),
            ("2016-12-31T23:59:60.5Z", "2016-12-31T23:59:59.999999+0000", "2016-12-31 23:59:59.999999"),
        ] {
            assert_eq!(format_time(time(at)), dynamodb);
            assert_eq!(format_pg_timestamp(time(at)), postgresql);
            assert_eq!(format_pg_timestamptz(time(at)), format!("{postgresql}+00"));
        }
    }

    #[test]
    fn what_pynamodb_takes_is_read() {
        let at = Some(time("2026-01-02T03:04:05.000678Z"));
        for text in
            ["2026-01-02T03:04:05.000678+0000", "2026-+1- 2T03:04:05.0_0678+0000", "2026-01-02T03:04: 5.+00678+0000"]
        {
            assert_eq!(parse_time(text), at, "{text}");
        }
        assert_eq!(parse_time("26-01-02T03:04:05.000678+0000"), Some(time("0026-01-02T03:04:05.000678Z")));
        assert_eq!(parse_time("+1-01-02T03:04:05.000678+0000"), Some(time("0001-01-02T03:04:05.000678Z")));
        assert_eq!(parse_time("2026-01-02T-0:04:05.-00000+0000"), Some(time("2026-01-02T00:04:05Z")));
    }

    #[test]
    fn what_pynamodb_refuses_is_not_read() {
        for text in [
            "",
            "2026-01-02T03:04:05.000678Z",
            "2026-01-02T03:04:05.000678+00:00",
            "2026-01-02T03:04:05.678+0000",
            "2026-01-02 03:04:05.000678+0000",
            "2026-01-02T03:04:05.000678+0100",
            "2026-01-02T03:04:05.000678-0000",
            "2026-01-02T03:04:05,000678+0000",
            "2026-13-02T03:04:05.000678+0000",
            "2026-02-29T03:04:05.000678+0000",
            "2026-01-02T24:04:05.000678+0000",
            "2026-01-02T03:04:60.000678+0000",
            "0000-01-02T03:04:05.000678+0000",
            "2026-01-02T03:04:05._00678+0000",
            "2026-01-02T03:04:05.0__678+0000",
            "2026-01-02T03:04:05.      +0000",
            "2026-01-02T03:04:05.-00678+0000",
            "12026-01-02T03:04:05.00067+0000",
            "2026-01-02T03:04:05.000678+0000 ",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn what_postgresql_writes_and_python_reads_is_read() {
        let at = Some(time("2026-01-02T03:04:05.0006Z"));
        for text in ["2026-01-02 03:04:05.0006", "2026-01-02 03:04:05.0006+00", "2026-01-02 03:04:05.000600"] {
            assert_eq!(parse_pg_timestamp(text), at, "{text}");
        }
        assert_eq!(parse_pg_timestamp("2026-01-02 03:04:05"), Some(time("2026-01-02T03:04:05Z")));
        for text in [
            "",
            "infinity",
            "-infinity",
            "2026-01-02",
            "2026-01-02T03:04:05",
            "2026-01-02 03:04",
            "2026-01-02 03:04:05.",
            "2026-01-02 03:04:05.0000001",
            "2026-01-02 03:04:05+02",
            "2026-01-02 03:04:05 BC",
            "0044-03-15 12:00:00+00 BC",
            "12026-01-02 03:04:05",
            "2026-1-2 3:4:5",
            "2026-01-02 03:04:05.-1",
        ] {
            assert_eq!(parse_pg_timestamp(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
            let at = DateTime::from_timestamp_micros(micros);
            let text = format_time(at.unwrap());
            prop_assert_eq!(text.len(), LENGTH);
            prop_assert_eq!(parse_time(&text), at);
            prop_assert_eq!(parse_pg_timestamp(&format_pg_timestamp(at.unwrap())), at);
            prop_assert_eq!(parse_pg_timestamp(&format_pg_timestamptz(at.unwrap())), at);
        }

        #[test]
        fn no_text_is_too_much(text in any::<String>()) {
            prop_assert_eq!(parse_time(&text), None);
            prop_assert_eq!(parse_pg_timestamp(&text), None);
        }
    }
}
