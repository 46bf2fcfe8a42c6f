//! The hours when a job may run.
//!
//! A window is open whenever the clock on the wall shows a time in it. So hours that the clock jumps
//! over are not there that day, and hours that it shows twice are open twice.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::slots::{change, offset};
use super::spec::Schedule;

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;
/// Far more nights, or slots if they are rarer, than pass before a slot meets a window that it can
/// meet at all.
const TRIES: usize = 1000;

const EXAMPLE: &str = "write start and end, as in \"01:00-05:00\"";

/// Hours of the day, of every day, written as `01:00-05:00`. They may go over midnight, as in
/// `22:00-06:00`, and be several with commas between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    text: String,
    /// In seconds since midnight, in their order, and not touching each other.
    open: Vec<Range<i64>>,
}

impl Window {
    /// Whether the job may run at `at`, when `zone` is that of its schedule.
    pub fn is_open(&self, at: DateTime<Utc>, zone: Tz) -> bool {
        self.is_open_at(at.timestamp(), zone).unwrap_or(false)
    }

    /// The first instant from `at` on at which the window is closed: `at` itself when it is closed
    /// then.
    ///
    /// None when it never closes, and at the end of the calendar.
    pub fn closes(&self, at: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        self.first(at, zone, false)
    }

    /// The first instant from `at` on at which the window is open: `at` itself when it is open then.
    ///
    /// None only at the end of the calendar.
    pub fn opens(&self, at: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        self.first(at, zone, true)
    }

    /// The first slot of `schedule` after `after` that lies in the window.
    ///
    /// None when there is none among very many.
    pub fn first_slot(&self, schedule: &Schedule, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut slot = schedule.next(after)?;
        for _ in 0..TRIES {
            let opens = self.opens(slot, schedule.zone)?;
            if opens == slot {
                return Some(slot);
            }
            // Slots are whole seconds, and so are the ends of windows.
            slot = schedule.next(opens - TimeDelta::seconds(1))?;
        }
        None
    }

    fn first(&self, at: DateTime<Utc>, zone: Tz, open: bool) -> Option<DateTime<Utc>> {
        let mut second = at.timestamp();
        if self.is_open_at(second, zone)? == open {
            return Some(at);
        }
        loop {
            let wall = second + offset(zone, second)?;
            let border = second + self.rest(wall.rem_euclid(DAY))?;
            // When the clock changes it shows another time at once.
            second = change(zone, second, border)?.min(border);
            if self.is_open_at(second, zone)? == open {
                return DateTime::from_timestamp(second, 0);
            }
        }
    }

    fn is_open_at(&self, second: i64, zone: Tz) -> Option<bool> {
        let time = (second + offset(zone, second)?).rem_euclid(DAY);
        Some(self.open.iter().any(|hours| hours.contains(&time)))
    }

    /// How long the window stays as it is at `time` of a day, if the clock only goes on.
    ///
    /// None when it stays open for ever.
    fn rest(&self, time: i64) -> Option<i64> {
        let first = self.open.first()?;
        let border = match self.open.iter().find(|hours| hours.contains(&time)) {
            Some(Range { start: 0, end: DAY }) => return None,
            Some(hours) if hours.end == DAY && first.start == 0 => DAY + first.end,
            Some(hours) => hours.end,
            None => self.open.iter().map(|hours| hours.start).find(|start| *start > time).unwrap_or(DAY + first.start),
        };
        Some(border - time)
    }
}

/// As it was written.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let mut hours = Vec::new();
        for item in text.split(',').map(str::trim) {
            let (start, end) = range(text, item).map_err(|problem| format!("`{text}` {problem}"))?;
            if start < end {
                hours.push(start..end);
            } else {
                hours.extend([start..DAY, 0..end]);
            }
        }
        hours.retain(|hours| !hours.is_empty());
        hours.sort_by_key(|hours| hours.start);
        let mut open: Vec<Range<i64>> = Vec::new();
        for hours in hours {
            match open.last_mut() {
                Some(last) if hours.start <= last.end => last.end = last.end.max(hours.end),
                _ => open.push(hours),
            }
        }
        Ok(Self { text: text.to_owned(), open })
    }
}

/// Start and end of one of the hours that `text` lists.
fn range(text: &str, item: &str) -> Result<(i64, i64), String> {
    if text.is_empty() {
        return Err(format!("is empty: {EXAMPLE}, or remove the key"));
    }
    if item.is_empty() {
        return Err("has nothing beside a comma: remove the comma".to_owned());
    }
    let place = if item == text { String::new() } else { format!(" in `{item}`") };
    let Some((start, end)) = item.split_once('-') else {
        return Err(if item.contains(['\u{2013}', '\u{2014}']) {
            format!("has a long dash{place}: write a plain one, as in \"01:00-05:00\"")
        } else if time(item).is_some() {
            format!("has no end{place}: {EXAMPLE}")
        } else {
            format!("is not two times of day{place}: {EXAMPLE}")
        });
    };
    let read = |text: &str| {
        let remedy = "write hours and minutes from 00:00 to 24:00, as in \"01:00-05:00\"";
        time(text.trim()).ok_or_else(|| format!("has the time `{}`: {remedy}", text.trim()))
    };
    let (start, end) = (read(start)?, read(end)?);
    if start == end {
        return Err(format!("ends when it starts{place}: write \"00:00-24:00\" for the whole day, or remove the key"));
    }
    if start == DAY {
        return Err(format!("starts at 24:00{place}, which is where a day ends: write 00:00"));
    }
    Ok((start, end))
}

/// Seconds from midnight to a time of day, `24:00` included.
fn time(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, most| {
        let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| is_number && *number <= most)
    };
    let seconds = number(hour, 24)? * 60 * MINUTE + number(minute, 59).filter(|_| minute.len() == 2)? * MINUTE;
    (seconds <= DAY).then_some(seconds)
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    fn window(text: &str) -> Window {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// The instants at which the window opens and closes in turn, from `start` on, as clocks in
    /// `zone` show them.
    fn turns(text: &str, zone: Tz, start: &str, count: usize) -> Vec<String> {
        let window = window(text);
        let next = |now: &DateTime<Utc>| {
            if window.is_open(*now, zone) { window.closes(*now, zone) } else { window.opens(*now, zone) }
        };
        let turns = std::iter::successors(next(&at(start)), next).take(count);
        turns.map(|turn| turn.with_timezone(&zone).format("%a %H:%M %z").to_string()).collect()
    }

    #[test]
    fn a_window_opens_at_its_start_and_closes_at_its_end() {
        let window = window("01:00-05:00");
        for (instant, is_open) in [
            ("2026-03-12T00:59:59.999Z", false),
            ("2026-03-12T01:00:00Z", true),
            ("2026-03-12T04:59:59.999Z", true),
            ("2026-03-12T05:00:00Z", false),
        ] {
            assert_eq!(window.is_open(at(instant), Tz::UTC), is_open, "{instant}");
        }
        let turns = turns("01:00-05:00", Tz::UTC, "2026-03-12T12:00:00.5Z", 3);
        assert_eq!(turns, ["Fri 01:00 +0000", "Fri 05:00 +0000", "Sat 01:00 +0000"]);
        // Not before the instant that was asked about.
        let now = at("2026-03-12T03:00:00.5Z");
        assert_eq!(window.opens(now, Tz::UTC), Some(now));
        let now = at("2026-03-12T05:00:00.5Z");
        assert_eq!(window.closes(now, Tz::UTC), Some(now));
    }

    #[test]
    fn hours_may_go_over_midnight_touch_and_overlap() {
        for text in [
            "22:00-06:00",
            "22:00-24:00,00:00-06:00",
            "22:00-00:00, 00:00-06:00",
            "0:00-4:00 , 3:00-6:00,22:00-23:00,23:00-24:00",
            "22:00-01:00,23:00-06:00",
        ] {
            let turns = turns(text, Tz::Europe__Oslo, "2026-03-12T12:00:00Z", 3);
            assert_eq!(turns, ["Thu 22:00 +0100", "Fri 06:00 +0100", "Fri 22:00 +0100"], "{text}");
        }
        let turns = turns("12:00-13:00,02:00-03:00", Tz::UTC, "2026-03-12T12:30:00Z", 4);
        assert_eq!(turns, ["Thu 13:00 +0000", "Fri 02:00 +0000", "Fri 03:00 +0000", "Fri 12:00 +0000"]);
    }

    #[test]
    fn a_window_of_the_whole_day_never_closes() {
        for text in ["00:00-24:00", "00:00-12:00,12:00-24:00", "06:00-18:00,17:00-07:00", "12:00-11:59,11:00-12:00"] {
            let window = window(text);
            let now = at("2026-03-29T00:30:00Z");
            assert!(window.is_open(now, Tz::Europe__Oslo), "{text}");
            assert_eq!(window.closes(now, Tz::Europe__Oslo), None, "{text}");
            assert_eq!(window.opens(now, Tz::Europe__Oslo), Some(now), "{text}");
        }
    }

    #[test]
    fn hours_in_the_gap_are_not_there_that_day() {
        let turns = |text| turns(text, Tz::Europe__Oslo, "2026-03-28T12:00:00Z", 3);
        assert_eq!(turns("01:00-02:30"), ["Sun 01:00 +0100", "Sun 03:00 +0200", "Mon 01:00 +0200"]);
        assert_eq!(turns("02:00-03:00"), ["Mon 02:00 +0200", "Mon 03:00 +0200", "Tue 02:00 +0200"]);
        assert_eq!(turns("02:30-05:00"), ["Sun 03:00 +0200", "Sun 05:00 +0200", "Mon 02:30 +0200"]);
        // Over the gap, and an hour shorter.
        assert_eq!(turns("22:00-06:00"), ["Sat 22:00 +0100", "Sun 06:00 +0200", "Sun 22:00 +0200"]);
        assert_eq!(turns("01:00-02:15,02:45-03:30")[..2], ["Sun 01:00 +0100", "Sun 03:30 +0200"]);
    }

    #[test]
    fn hours_in_the_overlap_are_open_twice() {
        let turns = |text| turns(text, Tz::Europe__Oslo, "2026-10-24T12:00:00Z", 4);
        assert_eq!(turns("01:00-02:30"), ["Sun 01:00 +0200", "Sun 02:30 +0200", "Sun 02:00 +0100", "Sun 02:30 +0100"]);
        assert_eq!(turns("02:00-03:00")[..2], ["Sun 02:00 +0200", "Sun 03:00 +0100"]);
        assert_eq!(turns("02:30-05:00"), ["Sun 02:30 +0200", "Sun 02:00 +0100", "Sun 02:30 +0100", "Sun 05:00 +0100"]);
        assert_eq!(turns("22:00-06:00")[..2], ["Sat 22:00 +0200", "Sun 06:00 +0100"]);
    }

    #[test]
    fn a_day_that_a_zone_left_out_has_no_window() {
        let turns = turns("12:00-13:00", Tz::Pacific__Apia, "2011-12-29T12:00:00Z", 3);
        assert_eq!(turns, ["Thu 12:00 -1000", "Thu 13:00 -1000", "Sat 12:00 +1400"]);
    }

    #[test]
    fn the_first_slot_in_a_window_is_found_or_there_is_none() {
        let first = |schedule, hours| {
            let schedule = Schedule::parse(schedule, Tz::Europe__Oslo).unwrap();
            window(hours).first_slot(&schedule, at("2026-03-12T12:00:00Z"))
        };
        assert_eq!(first("every 15m", "01:00-05:00"), Some(at("2026-03-13T00:00:00Z")));
        assert_eq!(first("* * * * * *", "01:00-05:00"), Some(at("2026-03-13T00:00:00Z")));
        assert_eq!(first("30 3 * * *", "01:00-05:00"), Some(at("2026-03-13T02:30:00Z")));
        // Jumped over, and so run at three.
        assert_eq!(first("30 2 29 3 *", "03:00-05:00"), Some(at("2026-03-29T01:00:00Z")));
        assert_eq!(first("0 0 29 2 *", "22:00-06:00"), Some(at("2028-02-28T23:00:00Z")));
        assert_eq!(first("30 3 * * *", "04:00-05:00"), None);
        assert_eq!(first("0 5 * * *", "01:00-05:00"), None);
        // At midnight in Greenwich, which is one or two o'clock.
        assert_eq!(first("every 1d", "03:00-05:00"), None);
    }

    #[test]
    fn a_window_is_shown_as_it_was_written() {
        assert_eq!(window(" 22:00-06:00, 12:00-13:00 ").to_string(), "22:00-06:00, 12:00-13:00");
    }

    #[test]
    fn every_message_names_the_mistake_and_the_remedy() {
        for (text, expected) in [
            ("", "is empty: write start and end, as in \"01:00-05:00\", or remove the key"),
            ("01:00-05:00,", "has nothing beside a comma: remove the comma"),
            ("01:00", "has no end: write start and end, as in \"01:00-05:00\""),
            ("01:00-05:00, 12:00", "has no end in `12:00`: write start and end"),
            ("night", "is not two times of day: write start and end"),
            ("night, 01:00-02:00", "is not two times of day in `night`: write start and end"),
            ("01:00\u{2013}05:00", "has a long dash: write a plain one"),
            ("1-5", "has the time `1`: write hours and minutes from 00:00 to 24:00, as in \"01:00-05:00\""),
            ("1am-5am", "has the time `1am`: write hours and minutes"),
            ("01:00-25:00", "has the time `25:00`: write hours and minutes"),
            ("01:00-24:01", "has the time `24:01`: write hours and minutes"),
            ("01:60-05:00", "has the time `01:60`: write hours and minutes"),
            ("01:0-05:00", "has the time `01:0`: write hours and minutes"),
            ("01:00:00-05:00:00", "has the time `01:00:00`: write hours and minutes"),
            ("-05:00", "has the time ``: write hours and minutes"),
            ("+1:00-05:00", "has the time `+1:00`: write hours and minutes"),
            ("mon-fri 01:00-05:00", "has the time `mon`: write hours and minutes"),
            ("03:00-03:00", "ends when it starts: write \"00:00-24:00\" for the whole day"),
            ("00:00-05:00, 3:00-03:00", "ends when it starts in `3:00-03:00`"),
            ("24:00-06:00", "starts at 24:00, which is where a day ends: write 00:00"),
        ] {
            let message = text.parse::<Window>().unwrap_err();
            assert!(message.starts_with(&format!("`{text}` ")) && message.contains(expected), "{message}");
        }
    }
}
