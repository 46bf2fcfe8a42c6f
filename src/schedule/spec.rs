//! The text of a schedule.

use std::fmt;
use std::time::Duration;

use chrono_tz::Tz;

use super::cron::Cron;
use crate::model::setting::Span;

/// When a job is due: an endless series of slots.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    text: String,
    pub(super) zone: Tz,
    pub(super) rule: Rule,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Rule {
    /// Each multiple of so many seconds since the Unix epoch, in no zone: all replicas agree.
    Every(i64),
    Cron(Box<Cron>),
}

/// Why a text is no schedule, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {problem}")]
pub struct ParseError {
    text: String,
    problem: String,
}

/// crontab's names, and the fields that they stand for.
const NAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

const EXAMPLES: &str = "write cron fields as in \"30 3 * * *\", a name as in \"@daily\", or \"every 15m\"";

impl Schedule {
    /// Reads five cron fields, six with seconds first, a name such as `@daily`, or `every 15m`.
    /// Fields and names are times in `zone`.
    ///
    /// Days combine as in Vixie cron: when neither day field starts with `*`, a day that matches one
    /// of them is enough, otherwise it must match both.
    ///
    /// # Errors
    ///
    /// When it is none of these, or never occurs.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, ParseError> {
        let text = text.trim();
        match rule(text) {
            Ok(rule) => Ok(Self { text: text.to_owned(), zone, rule }),
            Err(problem) => Err(ParseError { text: text.to_owned(), problem }),
        }
    }

    /// The schedule in full: its rule, and its zone if that matters, as in `30 3 * * * Europe/Oslo`
    /// or `every 15m`. However it was written, the same fields are described by the same text, so
    /// that texts can be compared; [`Schedule::parse_described`] reads it back.
    pub fn describe(&self) -> String {
        match &self.rule {
            Rule::Every(seconds) => format!("every {}", Span::secs(seconds.unsigned_abs())),
            Rule::Cron(cron) => format!("{} {}", cron.text, self.zone),
        }
    }

    /// Reads what [`Schedule::describe`] wrote, perhaps in another version of this program.
    ///
    /// # Errors
    ///
    /// When it is no schedule, or its zone is not known here.
    pub fn parse_described(text: &str) -> Result<Self, ParseError> {
        let problem = |problem: &str| ParseError { text: text.to_owned(), problem: problem.to_owned() };
        if text.starts_with("every ") {
            return Self::parse(text, Tz::UTC);
        }
        let (fields, zone) = text.rsplit_once(' ').ok_or_else(|| problem("names no time zone"))?;
        let zone = zone.parse().map_err(|_| problem("ends in a time zone that is not known here"))?;
        Self::parse(fields, zone)
    }

    /// How far apart its slots are, where that is always the same: with `every`.
    pub fn period(&self) -> Option<Duration> {
        match &self.rule {
            Rule::Every(seconds) => Some(Duration::from_secs(seconds.unsigned_abs())),
            Rule::Cron(_) => None,
        }
    }
}

/// As it was written.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn rule(text: &str) -> Result<Rule, String> {
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    if text.is_empty() {
        Err(format!("is empty: {EXAMPLES}"))
    } else if first.eq_ignore_ascii_case("every") {
        every(rest.trim()).map(Rule::Every)
    } else if first.starts_with('@') {
        named(first, rest.trim())
    } else if first.starts_with("CRON_TZ=") || first.starts_with("TZ=") {
        Err(format!("names a time zone: remove `{first}`, and write the zone once, as schedule.timezone"))
    } else if humantime::parse_duration(text).is_ok() {
        Err(format!("is a length of time: write \"every {text}\""))
    } else if rest.is_empty() {
        Err(format!("is not a schedule: {EXAMPLES}"))
    } else {
        cron(text)
    }
}

fn cron(fields: &str) -> Result<Rule, String> {
    Ok(Rule::Cron(Box::new(Cron::parse(fields)?)))
}

fn named(name: &str, rest: &str) -> Result<Rule, String> {
    let name = name.to_ascii_lowercase();
    match NAMES.iter().find(|(known, _)| *known == name) {
        Some((_, fields)) if rest.is_empty() => cron(fields),
        Some(_) => Err(format!("has more after its name: write \"{name}\" alone")),
        None if name == "@every" => Err(format!("is written without the @ here: write \"every {rest}\"")),
        None if name == "@reboot" => {
            Err("has no meaning here, as a job is due by the clock and not by a start: write when, as in \"@daily\""
                .to_owned())
        }
        None => {
            let nearest = NAMES.iter().map(|(known, _)| (strsim::osa_distance(known, &name), known)).min();
            match nearest {
                Some((0..=2, known)) => Err(format!("is not a name of crontab: did you mean \"{known}\"?")),
                _ => {
                    Err(format!("is not a name of crontab: write one of {}", NAMES.map(|(known, _)| known).join(", ")))
                }
            }
        }
    }
}

fn every(length: &str) -> Result<i64, String> {
    let duration = humantime::parse_duration(length).map_err(|error| match length.parse::<f64>() {
        Ok(_) => format!("has no unit: write \"every {length}m\" for minutes, or use s, h or d"),
        Err(_) if length.is_empty() => "does not say how often: write a length of time, as in \"every 15m\"".to_owned(),
        Err(_) => format!("is not a length of time ({error}): write a number with a unit, as in \"every 15m\""),
    })?;
    let mut units = length.split(|c: char| !c.is_alphabetic());
    if units.any(|unit| matches!(unit, "M" | "month" | "months" | "y" | "yr" | "yrs" | "year" | "years")) {
        return Err("counts months or years, which differ in length: \
                    write \"@monthly\" or \"@yearly\", or a small m for minutes"
            .to_owned());
    }
    if duration.is_zero() {
        return Err("never comes round: write \"every 1s\" or more".to_owned());
    }
    if duration.subsec_nanos() != 0 {
        return Err("is not a whole number of seconds: write one, as in \"every 1s\"".to_owned());
    }
    if duration.as_secs() > 366 * 24 * 60 * 60 {
        return Err("is longer than a year: write cron fields, as in \"0 3 1 1 *\" for once a year".to_owned());
    }
    i64::try_from(duration.as_secs()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    fn problem(text: &str) -> String {
        match Schedule::parse(text, Tz::UTC) {
            Ok(_) => panic!("`{text}` was accepted"),
            Err(error) => error.to_string(),
        }
    }

    fn next(text: &str, after: &str) -> String {
        let after: DateTime<Utc> = after.parse().unwrap();
        let schedule = Schedule::parse(text, Tz::UTC).unwrap_or_else(|error| panic!("{error}"));
        schedule.next(after).unwrap().format("%Y-%m-%d %H:%M:%S").to_string()
    }

    #[test]
    fn every_form_is_read() {
        // 2026-03-12 was a Thursday.
        for (text, expected) in [
            ("30 3 * * *", "2026-03-13 03:30:00"),
            ("15 30 3 * * *", "2026-03-13 03:30:15"),
            ("  5\t4 * *  * ", "2026-03-13 04:05:00"),
            ("*/20 * * * *", "2026-03-12 10:20:00"),
            ("10-40/15 * * * *", "2026-03-12 10:25:00"),
            ("0 0 1,15 * *", "2026-03-15 00:00:00"),
            ("0 0 * jan-Feb *", "2027-01-01 00:00:00"),
            ("0 0 * * SAT-SUN", "2026-03-14 00:00:00"),
            ("5-5 4 * * *", "2026-03-13 04:05:00"),
            ("0 0 * * sat-7/1", "2026-03-14 00:00:00"),
            ("0 0 * * 7", "2026-03-15 00:00:00"),
            ("0 0 * * sun", "2026-03-15 00:00:00"),
            ("0 0 29 2 *", "2028-02-29 00:00:00"),
            ("@hourly", "2026-03-12 11:00:00"),
            ("@daily", "2026-03-13 00:00:00"),
            ("@Midnight", "2026-03-13 00:00:00"),
            ("@weekly", "2026-03-15 00:00:00"),
            ("@monthly", "2026-04-01 00:00:00"),
            ("@yearly", "2027-01-01 00:00:00"),
            ("@annually", "2027-01-01 00:00:00"),
            ("every 15m", "2026-03-12 10:15:00"),
            ("every 1h 30m", "2026-03-12 10:30:00"),
            ("Every 7s", "2026-03-12 10:10:17"),
        ] {
            assert_eq!(next(text, "2026-03-12T10:10:10.5Z"), expected, "{text}");
        }
    }

    #[test]
    fn a_day_matches_either_field_when_both_are_restricted_and_both_when_one_starts_with_a_star() {
        for (text, expected) in [
            ("0 0 13 * FRI", ["2026-03-06", "2026-03-13", "2026-03-20"]),
            ("0 0 * * FRI", ["2026-03-06", "2026-03-13", "2026-03-20"]),
            ("0 0 13 * *", ["2026-03-13", "2026-04-13", "2026-05-13"]),
            ("0 0 */2 * FRI", ["2026-03-13", "2026-03-27", "2026-04-03"]),
            ("0 0 1-31/2 * FRI", ["2026-03-03", "2026-03-05", "2026-03-06"]),
            ("0 0 13 * */5", ["2026-03-13", "2026-09-13", "2026-11-13"]),
        ] {
            let schedule = Schedule::parse(text, Tz::UTC).unwrap();
            let days = schedule.upcoming("2026-03-01T12:00:00Z".parse().unwrap(), 3);
            assert_eq!(days.map(|day| day.format("%F").to_string()).collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn a_schedule_is_shown_as_it_was_written() {
        for text in ["*/15 * * * *", "@Daily", "every 1h 30m"] {
            assert_eq!(Schedule::parse(&format!(" {text} "), Tz::UTC).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_description_is_the_same_however_the_schedule_was_written() {
        for (written, zone, described) in [
            ("30 3 * * *", Tz::Europe__Oslo, "30 3 * * * Europe/Oslo"),
            (" 30\t3 *  * mon-Fri ", Tz::Europe__Oslo, "30 3 * * MON-FRI Europe/Oslo"),
            ("15 30 3 * jan sun", Tz::UTC, "15 30 3 * JAN SUN UTC"),
            ("@Daily", Tz::America__New_York, "0 0 * * * America/New_York"),
            ("@midnight", Tz::America__New_York, "0 0 * * * America/New_York"),
            ("every 15m", Tz::UTC, "every 15m"),
            ("Every  900 s", Tz::Europe__Oslo, "every 15m"),
            ("every 90m", Tz::UTC, "every 1h 30m"),
            ("every 1w", Tz::UTC, "every 7d"),
        ] {
            let schedule = Schedule::parse(written, zone).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(schedule.describe(), described, "{written}");
            let again = Schedule::parse_described(described).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(again.describe(), described, "{written}");
        }
    }

    #[test]
    fn what_is_no_description_is_refused() {
        for (text, expected) in [
            ("", "names no time zone"),
            ("@daily", "names no time zone"),
            ("30 3 * * *", "ends in a time zone that is not known here"),
            ("30 3 * * * Europe/Nargothrond", "ends in a time zone that is not known here"),
            ("30 3 * * Europe/Oslo", "has 4 fields"),
            ("every parsec", "is not a length of time"),
        ] {
            let message = Schedule::parse_described(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn only_every_has_a_period() {
        let period = |text| Schedule::parse(text, Tz::Europe__Oslo).unwrap().period();
        assert_eq!(period("every 1h 30m"), Some(Duration::from_secs(90 * 60)));
        assert_eq!(period("*/15 * * * *"), None);
    }

    #[test]
    fn every_message_names_the_mistake_and_the_remedy() {
        for (text, expected) in [
            ("", "is empty: write cron fields as in \"30 3 * * *\""),
            ("daily", "is not a schedule: write cron fields"),
            ("15m", "is a length of time: write \"every 15m\""),
            ("every", "does not say how often"),
            ("every 15", "has no unit: write \"every 15m\" for minutes, or use s, h or d"),
            ("every day", "is not a length of time (expected number at 0): write a number with a unit"),
            ("every 15 parsecs", "is not a length of time (unknown time unit \"parsecs\""),
            ("every 0s", "never comes round: write \"every 1s\" or more"),
            ("every 500ms", "is not a whole number of seconds"),
            ("every 1500ms", "is not a whole number of seconds"),
            ("every 15M", "counts months or years, which differ in length"),
            ("every 1 year", "counts months or years, which differ in length"),
            ("every 400d", "is longer than a year"),
            ("@reboot", "has no meaning here"),
            ("@every 15m", "is written without the @ here: write \"every 15m\""),
            ("@dayly", "is not a name of crontab: did you mean \"@daily\"?"),
            ("@fortnightly", "is not a name of crontab: write one of @hourly, @daily"),
            ("@daily 3", "has more after its name: write \"@daily\" alone"),
            ("CRON_TZ=Europe/Oslo 0 3 * * *", "names a time zone: remove `CRON_TZ=Europe/Oslo`"),
            ("3 *", "has 2 fields: write five (minute, hour, day of month, month, day of week) or six"),
            ("0 0 3 * * * 2030", "has 7 fields"),
            ("60 * * * *", "has the minute `60`: write a number from 0 to 59"),
            ("0 24 * * *", "has the hour `24`: write a number from 0 to 23"),
            ("0 0 0 * *", "has the day of month `0`: write a number from 1 to 31"),
            ("0 0 * 13 *", "has the month `13`: write a number from 1 to 12, or a name from JAN to DEC"),
            ("0 0 * * 8", "has the day of week `8`: write a number from 0 to 7, or a name from SUN to SAT"),
            ("60 0 0 * * *", "has the second `60`: write a number from 0 to 59"),
            ("0 0 MON * *", "has the day of month `MON`: write a number"),
            ("0 0 * MARCH *", "has the month `MARCH`: write a number from 1 to 12, or a name"),
            ("0 -1 * * *", "has the hour `-1`: write a number"),
            ("0 1-,2 * * *", "has the hour `1-`: write a number"),
            ("/5 * * * *", "has the minute `/5`: write a number"),
            ("+5 * * * *", "has the minute `+5`: write a number"),
            ("0 0 1, * *", "has the day of month field `1,` with nothing beside a comma: remove the comma"),
            ("*,5 * * * *", "has the minute field `*,5`, which lists `*` among others: write \"*\" alone"),
            ("0 22-2 * * *", "has the hour range `22-2`, which runs backwards: write \"22-23,0-2\""),
            ("0 0 * * FRI-MON", "has the day of week range `FRI-MON`, which runs backwards: write \"5-6,0-1\""),
            ("0 22-0 * * *", "has the hour range `22-0`, which runs backwards: write \"22-23,0\""),
            ("0 0 * * 6-0", "has the day of week range `6-0`, which runs backwards: write \"6,0\""),
            ("0 0 * * SUN-sun", "has the day of week range `SUN-sun` of one day: write \"SUN\""),
            ("0 0 31-3 * *", "has the day of month range `31-3`, which runs backwards: write \"31,1-3\""),
            ("0 0 SUN-3 * *", "has the day of month `SUN`"),
            ("5/10 * * * *", "has the minute step `5/10` without a range: write \"5-59/10\""),
            ("*/0 * * * *", "has the minute step `*/0`, which does not fit: write a step from 1 to 59"),
            ("*/+5 * * * *", "has the minute step `*/+5`, which does not fit"),
            ("*/x * * * *", "has the minute step `*/x`, which does not fit"),
            ("*/90 * * * *", "has the minute step `*/90`, which is longer than the field: write \"every 90m\""),
            ("0 0 */40 * *", "has the day of month step `*/40`, which does not fit: write a step from 1 to 30"),
            ("0 0 30 2 *", "never occurs, as no month that it names has that day"),
            ("0 0 31 2,4,6,9,11 *", "never occurs"),
            ("0 0 L * *", "has the day of month `L`: write a number from 1 to 31; L, W and # are not part of crontab"),
            ("0 0 15W * *", "L, W and # are not part of crontab"),
            ("0 0 * * 5#2", "L, W and # are not part of crontab"),
            ("0 0 * * 5l", "L, W and # are not part of crontab"),
            ("0 0 3 * * ?", "for any day write \"*\""),
            ("0 0 * * +MON", "has the day of week `+MON`"),
        ] {
            let message = problem(text);
            assert!(message.starts_with(&format!("`{text}` ")) && message.contains(expected), "{message}");
        }
    }
}
