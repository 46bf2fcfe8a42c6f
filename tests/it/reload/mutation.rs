//! Configuration files as hands, scripts and disks spoil them.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Values of every type, some of them right for some keys.
const VALUES: [&str; 28] = [
    "true",
    "false",
    "0",
    "1",
    "-1",
    "7",
    "3.5",
    "nan",
    "1e400",
    "9223372036854775807",
    "99999999999999999999999999",
    "\"\"",
    "\"7\"",
    "\"on\"",
    "\"90s\"",
    "\"3h\"",
    "\"7m\"",
    "\"-5s\"",
    "\"@daily\"",
    "\"every 2h\"",
    "\"Europe/Oslo\"",
    "\"debug\"",
    "'\\u0000'",
    "[]",
    "[\"one\", \"two\"]",
    "[[[]]]",
    "{}",
    "2024-02-30",
];

/// What somebody may have wanted: lines that are right, for running daemons and for the next start.
const WANTED: [&str; 16] = [
    "name = \"another\"",
    "enabled = false",
    "schedule = \"@daily\"",
    "schedule = \"every 1s\"",
    "schedule = \"30 3 * * 1-5\"",
    "timezone = \"Europe/Oslo\"",
    "batch_size = 77",
    "max_rows_per_second = 5",
    "workers = 2",
    "buckets = [\"one\", \"two\"]",
    "keep = \"7d\"",
    "grace = \"20s\"",
    "lock_wait = \"1s\"",
    "password = \"Kanarienvogel-2\"",
    "max_size = 12",
    "ttl = \"20s\"",
];

/// One thing that happens to a file.
#[derive(Clone, Debug)]
pub(super) enum Mutation {
    FlipBit(Index, u8),
    Insert(Index, Vec<u8>),
    Truncate(Index),
    DeleteLine(Index),
    RepeatLine(Index),
    SwapLines(Index, Index),
    MisspellKey(Index, Index),
    SetValue(Index, &'static str),
    Edit(&'static str),
}

/// What can happen to a file: spoilt in one or two ways, or edited, or both.
pub(super) fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let index = any::<Index>;
    let one = prop_oneof![
        1 => (index(), 0..8u8).prop_map(|(at, bit)| Mutation::FlipBit(at, bit)),
        1 => (index(), prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        1 => index().prop_map(Mutation::Truncate),
        1 => index().prop_map(Mutation::DeleteLine),
        1 => index().prop_map(Mutation::RepeatLine),
        1 => (index(), index()).prop_map(|(one, other)| Mutation::SwapLines(one, other)),
        1 => (index(), index()).prop_map(|(line, at)| Mutation::MisspellKey(line, at)),
        3 => (index(), select(&VALUES[..])).prop_map(|(line, value)| Mutation::SetValue(line, value)),
        6 => select(&WANTED[..]).prop_map(Mutation::Edit),
    ];
    prop::collection::vec(one, 1..3)
}

impl Mutation {
    /// What becomes of `file`.
    pub(super) fn apply(&self, file: &mut Vec<u8>) {
        if file.is_empty() {
            return;
        }
        let length = file.len();
        match self {
            Self::FlipBit(at, bit) => file[at.index(length)] ^= 1 << bit,
            Self::Insert(at, bytes) => {
                let at = at.index(length);
                file.splice(at..at, bytes.iter().copied());
            }
            Self::Truncate(at) => file.truncate(at.index(length)),
            Self::DeleteLine(line) => with_lines(file, |lines| {
                lines.remove(line.index(lines.len()));
            }),
            Self::RepeatLine(line) => with_lines(file, |lines| {
                let line = line.index(lines.len());
                lines.insert(line, lines[line].clone());
            }),
            Self::SwapLines(one, other) => with_lines(file, |lines| {
                let count = lines.len();
                lines.swap(one.index(count), other.index(count));
            }),
            Self::MisspellKey(line, at) => with_assignment(file, *line, |key, _| {
                if !key.is_empty() {
                    key.remove(at.index(key.len()));
                }
            }),
            Self::SetValue(line, value) => {
                with_assignment(file, *line, |_, old| *old = value.as_bytes().to_vec());
            }
            Self::Edit(wanted) => with_lines(file, |lines| {
                let key = &wanted[..=wanted.find('=').expect("an assignment")];
                for line in lines.iter_mut().filter(|line| line.starts_with(key.as_bytes())) {
                    *line = wanted.as_bytes().to_vec();
                }
            }),
        }
    }
}

fn with_lines(file: &mut Vec<u8>, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let mut lines: Vec<Vec<u8>> = file.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    change(&mut lines);
    *file = lines.join(&b'\n');
}

/// Changes the key and the value of one of the lines that have both.
fn with_assignment(file: &mut Vec<u8>, which: Index, change: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>)) {
    const BETWEEN: &[u8] = b" = ";
    with_lines(file, |lines| {
        let place = |line: &[u8]| line.windows(BETWEEN.len()).position(|window| window == BETWEEN);
        let mut assignments: Vec<(&mut Vec<u8>, usize)> =
            lines.iter_mut().filter_map(|line| place(line).map(|at| (line, at))).collect();
        if assignments.is_empty() {
            return;
        }
        let (line, at) = assignments.remove(which.index(assignments.len()));
        let (mut key, mut value) = (line[..at].to_vec(), line[at + BETWEEN.len()..].to_vec());
        change(&mut key, &mut value);
        *line = [&key, BETWEEN, &value].concat();
    });
}
