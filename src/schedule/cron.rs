//! Cron expressions: which times of the clock on the wall they name.
//!
//! The grammar is that of crontab(5): numbers, names, ranges, steps and lists. croner, which parses
//! them, knows more (`L`, `W`, `#`, `?`, `+`, years, `5/10`) and replaces names wherever they stand,
//! and its errors name neither field nor range. So every field is checked here before croner sees it.

use std::ops::Range;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};

/// The times that a cron expression names.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cron {
    /// The fields, written as every other text with the same fields.
    pub(super) text: String,
    /// For the days.
    read: croner::Cron,
    /// One bit for each matching value.
    seconds: u64,
    minutes: u64,
    hours: u64,
    /// The time of day is a cadence, not a list of times.
    pub(super) cadence: bool,
}

impl Cron {
    /// Reads five fields, or six with seconds first.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let kinds = match fields.len() {
            5 => &FIELDS[1..],
            6 => &FIELDS[..],
            count => {
                let s = if count == 1 { "" } else { "s" };
                return Err(format!(
                    "has {count} field{s}: write five (minute, hour, day of month, month, day of week) \
                     or six (seconds first), as in \"30 3 * * *\""
                ));
            }
        };
        for (kind, field) in kinds.iter().zip(&fields) {
            field.split(',').try_for_each(|item| kind.check(field, item))?;
        }

        // What starts with a star is no restriction, even when it has a step. That is what Vixie
        // cron and cronie do (entry.c sets MIN_STAR, HR_STAR, DOM_STAR and DOW_STAR from the first
        // character); croner looks at a bare `*` only.
        let is_star = |from_end: usize| fields.iter().rev().nth(from_end).is_some_and(|field| field.starts_with('*'));
        let read = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .dom_and_dow(is_star(2) || is_star(0))
            .build()
            .parse(text)
            .map_err(|error| format!("is not a cron expression: {error}"))?;
        let cron = Self {
            text: fields.join(" ").to_uppercase(),
            seconds: bits(0..60, |second| read.pattern.second_match(second)),
            minutes: bits(0..60, |minute| read.pattern.minute_match(minute)),
            hours: bits(0..24, |hour| read.pattern.hour_match(hour)),
            cadence: is_star(5) || is_star(4) || is_star(3),
            read,
        };
        // Days and weekdays meet in every possible way within 400 years.
        if cron.day_from(NaiveDate::default()).is_none() {
            return Err("never occurs, as no month that it names has that day: \
                        write a day that exists, as in \"0 3 28 2 *\""
                .to_owned());
        }
        Ok(cron)
    }

    /// The first matching time that is not before `wall`, both in seconds as a clock in Greenwich
    /// would show them.
    pub(super) fn first_from(&self, wall: i64) -> Option<i64> {
        let start = DateTime::from_timestamp(wall, 0)?.naive_utc();
        let today = self.has_day(start.date()).then(|| self.time_from(start.time())).flatten();
        let (date, time) = match today {
            Some(time) => (start.date(), time),
            None => (self.day_from(start.date().succ_opt()?)?, self.time_from(NaiveTime::MIN)?),
        };
        Some(date.and_time(time).and_utc().timestamp())
    }

    /// How many matching times lie from `start` on and before `end`, both as in [`Cron::first_from`].
    pub(super) fn count(&self, start: i64, end: i64) -> Option<u64> {
        let start = DateTime::from_timestamp(start, 0)?.naive_utc();
        let end = DateTime::from_timestamp(end, 0)?.naive_utc();
        let in_a_day = ones(self.hours) * ones(self.minutes) * ones(self.seconds);
        // Whole days up to the last, with what the first has after its midnight and the last has too.
        let mut count = self.times_before(end);
        let mut day = self.day_from(start.date());
        while let Some(date) = day.filter(|date| *date < end.date()) {
            count += in_a_day;
            day = self.day_from(date.succ_opt()?);
        }
        Some(count - self.times_before(start))
    }

    /// How many matching times the day of `wall` has before it.
    fn times_before(&self, wall: NaiveDateTime) -> u64 {
        if !self.has_day(wall.date()) {
            return 0;
        }
        let below = |mask: u64, value: u32| ones(mask & !(u64::MAX << value));
        let (hour, minute) = (wall.hour(), wall.minute());
        let hours = below(self.hours, hour) * ones(self.minutes) * ones(self.seconds);
        let minutes = if has(self.hours, hour) { below(self.minutes, minute) * ones(self.seconds) } else { 0 };
        let is_listed = has(self.hours, hour) && has(self.minutes, minute);
        let seconds = if is_listed { below(self.seconds, wall.second()) } else { 0 };
        hours + minutes + seconds
    }

    fn day_from(&self, mut date: NaiveDate) -> Option<NaiveDate> {
        let end = date.checked_add_months(Months::new(400 * 12))?;
        while date <= end {
            if !self.has_month(date) {
                date = date.with_day(1)?.checked_add_months(Months::new(1))?;
            } else if self.has_day(date) {
                return Some(date);
            } else {
                date = date.succ_opt()?;
            }
        }
        None
    }

    fn has_month(&self, date: NaiveDate) -> bool {
        self.read.pattern.month_match(date.month()).unwrap_or(false)
    }

    fn has_day(&self, date: NaiveDate) -> bool {
        let day = self.read.pattern.day_match(date.year(), date.month(), date.day());
        self.has_month(date) && day.unwrap_or(false)
    }

    fn time_from(&self, time: NaiveTime) -> Option<NaiveTime> {
        let (hour, minute) = (time.hour(), time.minute());
        let this_hour = |mask| if has(self.hours, hour) { mask } else { 0 };
        let this_minute = |mask| if has(self.minutes, minute) { this_hour(mask) } else { 0 };
        let first = |mask| from(mask, 0);

        let (hour, minute, second) = if let Some(second) = from(this_minute(self.seconds), time.second()) {
            (hour, minute, second)
        } else if let Some(minute) = from(this_hour(self.minutes), minute + 1) {
            (hour, minute, first(self.seconds)?)
        } else {
            (from(self.hours, hour + 1)?, first(self.minutes)?, first(self.seconds)?)
        };
        NaiveTime::from_hms_opt(hour, minute, second)
    }
}

fn bits(values: Range<u32>, matches: impl Fn(u32) -> Result<bool, CronError>) -> u64 {
    values.filter(|value| matches(*value).unwrap_or(false)).fold(0, |mask, value| mask | 1 << value)
}

fn ones(mask: u64) -> u64 {
    mask.count_ones().into()
}

fn has(mask: u64, value: u32) -> bool {
    mask >> value & 1 == 1
}

/// The first value in `mask` that is not below `value`, which is at most 60.
fn from(mask: u64, value: u32) -> Option<u32> {
    let rest = mask >> value;
    (rest != 0).then(|| value + rest.trailing_zeros())
}

/// A field of a cron expression.
struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    /// What may stand for the numbers, beginning with `low`.
    names: &'static [&'static str],
    /// The unit of a length of time, where steps are one.
    unit: Option<char>,
}

const FIELDS: [Field; 6] = [
    Field { name: "second", low: 0, high: 59, names: &[], unit: Some('s') },
    Field { name: "minute", low: 0, high: 59, names: &[], unit: Some('m') },
    Field { name: "hour", low: 0, high: 23, names: &[], unit: Some('h') },
    Field { name: "day of month", low: 1, high: 31, names: &[], unit: None },
    Field {
        name: "month",
        low: 1,
        high: 12,
        names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
        unit: None,
    },
    Field {
        name: "day of week",
        low: 0,
        high: 7,
        names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
        unit: None,
    },
];

impl Field {
    /// Whether `item`, one of the list that `field` is, is a range or a value, with or without a step.
    fn check(&self, field: &str, item: &str) -> Result<(), String> {
        let name = self.name;
        if item.is_empty() {
            return Err(format!("has the {name} field `{field}` with nothing beside a comma: remove the comma"));
        }
        if item == "*" && field != "*" {
            return Err(format!("has the {name} field `{field}`, which lists `*` among others: write \"*\" alone"));
        }
        let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
        match range.split_once('-') {
            _ if range == "*" => {}
            Some(("", _) | (_, "")) => return self.value(item).map(drop),
            Some((first, last)) => self.check_range(range, first, last)?,
            None if range.is_empty() => return self.value(item).map(drop),
            None => {
                let (value, high) = (self.value(range)?, self.high);
                if let Some(step) = step {
                    return Err(format!(
                        "has the {name} step `{item}` without a range: write \"{value}-{high}/{step}\""
                    ));
                }
            }
        }
        step.map_or(Ok(()), |step| self.check_step(item, step))
    }

    fn check_range(&self, range: &str, first: &str, last: &str) -> Result<(), String> {
        let (name, from) = (self.name, self.value(first)?);
        // A week may end on Sunday, as it is 7 too. croner takes SUN for 7 wherever it ends a range,
        // and would make a whole week of `SUN-SUN`.
        let to = if last.eq_ignore_ascii_case("SUN") { 7 } else { self.value(last)? };
        if last.eq_ignore_ascii_case(first) && to == 7 {
            return Err(format!("has the {name} range `{range}` of one day: write \"{first}\""));
        }
        if from <= to {
            return Ok(());
        }
        let span = |from, to| if from == to { format!("{to}") } else { format!("{from}-{to}") };
        let end = if self.high == 7 { 6 } else { self.high };
        let (before, after) = (span(from, end), span(self.low, to));
        Err(format!("has the {name} range `{range}`, which runs backwards: write \"{before},{after}\""))
    }

    fn check_step(&self, item: &str, step: &str) -> Result<(), String> {
        let (name, highest) = (self.name, self.high - self.low);
        match (number(step), self.unit) {
            (Some(step), _) if (1..=highest).contains(&step) => Ok(()),
            (Some(step), Some(unit)) if step > highest => Err(format!(
                "has the {name} step `{item}`, which is longer than the field: write \"every {step}{unit}\""
            )),
            _ => Err(format!(
                "has the {name} step `{item}`, which does not fit: write a step from 1 to {highest}, as in \"*/2\""
            )),
        }
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let named = self.names.iter().zip(self.low..).find(|(name, _)| name.eq_ignore_ascii_case(text));
        if let Some((_, value)) = named {
            return Ok(value);
        }
        number(text).filter(|value| (self.low..=self.high).contains(value)).ok_or_else(|| {
            let (name, low, high) = (self.name, self.low, self.high);
            let names = match self.names {
                [first, .., last] => format!(", or a name from {first} to {last}"),
                _ => String::new(),
            };
            let only_crontab = match text {
                "?" => "; for any day write \"*\"",
                _ if text.contains(['L', 'l', 'W', 'w', '#']) && name.starts_with("day") => {
                    "; L, W and # are not part of crontab"
                }
                _ => "",
            };
            format!("has the {name} `{text}`: write a number from {low} to {high}{names}{only_crontab}")
        })
    }
}

/// Digits only: `parse` alone would take a sign.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}
