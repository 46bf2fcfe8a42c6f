//! How times and numbers are written for people.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// A length of time in its two largest units: `3 m 12 s`, `2 d 4 h`.
pub(super) fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    let units = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let first = units.iter().position(|(count, _)| *count > 0).unwrap_or(units.len() - 1);
    let shown = units.iter().skip(first).take(2).enumerate();
    let words: Vec<_> = shown
        .filter(|(index, (count, _))| *index == 0 || *count > 0)
        .map(|(_, (count, unit))| format!("{count} {unit}"))
        .collect();
    words.join(" ")
}

/// How long something took: like [`span`], but precise when it was short.
pub(super) fn elapsed(seconds: f64) -> String {
    match seconds {
        // Not a number, and before its own beginning: clocks do such things.
        _ if !(0.0..).contains(&seconds) => "0 ms".to_owned(),
        _ if seconds < 1.0 => format!("{:.0} ms", seconds * 1000.0),
        _ if seconds < 60.0 => format!("{seconds:.1} s"),
        _ => span(Duration::from_secs_f64(seconds.min(1e12))),
    }
}

/// How long ago `then` was.
pub(super) fn ago(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    match (now - then).to_std() {
        Ok(age) if age >= Duration::from_secs(1) => format!("{} ago", span(age)),
        _ => "just now".to_owned(),
    }
}

/// How long it is until `then`.
pub(super) fn until(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    match ((then - now).to_std(), (now - then).to_std()) {
        (Ok(rest), _) if rest >= Duration::from_secs(1) => format!("in {}", span(rest)),
        (_, Ok(late)) if late >= Duration::from_secs(60) => format!("overdue by {}", span(late)),
        _ => "now".to_owned(),
    }
}

/// An amount of data in the largest unit of 1024 that it has one of: `733.0 MiB`.
pub(super) fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut amount, mut unit) = (bytes as f64, None);
    for larger in units.into_iter().take_while(|_| bytes >= 1024) {
        if unit.is_some() && amount < 1024.0 {
            break;
        }
        (amount, unit) = (amount / 1024.0, Some(larger));
    }
    unit.map_or_else(|| format!("{bytes} B"), |unit| format!("{amount:.1} {unit}"))
}

/// A number with its thousands apart: `1,234,567`.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_at_most_two_units() {
        for (seconds, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 m"),
            (192, "3 m 12 s"),
            (3600, "1 h"),
            (3605, "1 h"),
            (2 * 86_400 + 4 * 3600 + 59, "2 d 4 h"),
            (400 * 86_400, "400 d"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), words, "{seconds}");
        }
        assert!(span(Duration::MAX).ends_with(" h"));
    }

    #[test]
    fn short_runs_are_precise_and_odd_ones_harmless() {
        for (seconds, words) in [(0.0, "0 ms"), (0.0421, "42 ms"), (1.25, "1.2 s"), (61.0, "1 m 1 s"), (-3.0, "0 ms")] {
            assert_eq!(elapsed(seconds), words);
        }
        assert_eq!(elapsed(f64::NAN), "0 ms");
        assert!(elapsed(f64::INFINITY).contains(" d"));
    }

    #[test]
    fn times_are_told_from_now() {
        let now = DateTime::from_timestamp(1_795_343_400, 0).expect("a time");
        let at = |seconds| now + chrono::Duration::seconds(seconds);
        assert_eq!(ago(at(-192), now), "3 m 12 s ago");
        assert_eq!(ago(at(5), now), "just now");
        assert_eq!(ago(DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC).split(' ').nth(1), Some("d"));
        assert_eq!(until(at(192), now), "in 3 m 12 s");
        assert_eq!(until(at(0), now), "now");
        assert_eq!(until(at(-30), now), "now");
        assert_eq!(until(at(-90), now), "overdue by 1 m 30 s");
    }

    #[test]
    fn amounts_have_the_unit_that_fits() {
        for (bytes, words) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1024.0 KiB"),
            (1 << 20, "1.0 MiB"),
            (3 << 29, "1.5 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), words);
        }
    }

    #[test]
    fn thousands_stand_apart() {
        for (value, words) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(value), words);
        }
        assert_eq!(number(u64::MAX), "18,446,744,073,709,551,615");
    }
}
