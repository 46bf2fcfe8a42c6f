//! JSON and times, compared with Python itself.

mod texts;

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use actingweb_maintd::model::json::{self, Value};
use actingweb_maintd::model::wire;
use fastrand::Rng;

use self::texts::{damaged, edge_cases, neighbour, number, one_of, powers, respelled, value};
use crate::harness::python::interpreter;

/// Reads a list of texts, and tells of each what Python writes of it, and of each two that follow one
/// another whether Python finds them equal.
const JSON: &str = "
import json, sys
before = []
for text in json.load(sys.stdin):
    try:
        value = [json.loads(text)]
        written = json.dumps(value[0])
    except ValueError:
        value, written = [], None
    print(json.dumps([written, bool(value and value[0]), bool(value and before and value[0] == before[0])]))
    before = value
";

/// Reads a list of texts, and tells of each what time it is to pynamodb, and how that writes it.
const TIMES: &str = "
import json, sys
from datetime import datetime, timedelta, timezone
from pynamodb.attributes import UTCDateTimeAttribute
attribute = UTCDateTimeAttribute()
epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
for text in json.load(sys.stdin):
    try:
        time = attribute.deserialize(text)
        print(json.dumps([(time - epoch) // timedelta(microseconds=1), attribute.serialize(time)]))
    except ValueError:
        print(json.dumps([None, None]))
";

#[test]
fn values_are_read_written_and_compared_as_python_does() {
    let mut rng = Rng::with_seed(4);
    let mut texts = Vec::new();
    for text in edge_cases() {
        // Next to itself and next to its neighbours.
        texts.extend([text.clone(), text]);
    }
    texts.extend(powers());
    for _ in 0..4_000 {
        let text = value(&mut rng, 3);
        texts.push(text.clone());
        texts.push(match rng.u8(0..3) {
            0 => text,
            1 => respelled(&text),
            _ => damaged(&mut rng, &text),
        });
    }
    for _ in 0..8_000 {
        let number = number(&mut rng);
        texts.extend([number.clone(), neighbour(&mut rng, &number)]);
    }
    let answers = ask(JSON, &texts);
    let mut before: Option<Value> = None;
    let (mut read, mut refused, mut equal) = (0, 0, 0);
    for (text, answer) in texts.iter().zip(&answers) {
        let ours = json::parse(text).ok();
        assert_eq!(ours.as_ref().map(Value::to_string).as_deref(), answer[0].as_str(), "{text:?}");
        assert_eq!(ours.as_ref().is_some_and(Value::is_truthy), answer[1], "{text:?}");
        let are_equal = ours.is_some() && ours == before;
        // Python has one NaN, and a list that holds it equals itself.
        if !text.contains("NaN") {
            assert_eq!(are_equal, answer[2], "{text:?} {before:?}");
        }
        *if ours.is_some() { &mut read } else { &mut refused } += 1;
        equal += u32::from(are_equal);
        before = ours;
    }
    assert!(read > 15_000 && refused > 500 && equal > 2_000, "{read} {refused} {equal}");
}

#[test]
fn times_are_read_and_written_as_pynamodb_does() {
    let mut rng = Rng::with_seed(5);
    let mut texts = Vec::new();
    for _ in 0..4_000 {
        let micros = rng.i64(-62_135_596_800_000_000..253_402_300_800_000_000);
        let text = wire::format_time(chrono::DateTime::from_timestamp_micros(micros).unwrap());
        let mut changed: Vec<char> = text.chars().collect();
        for _ in 0..rng.usize(1..3) {
            let at = rng.usize(..changed.len());
            match rng.u8(0..8) {
                0 => drop(changed.remove(at)),
                1 => changed.insert(at, '0'),
                _ => changed[at] = one_of(&mut rng, "0123456789-+_ :.TZ\t"),
            }
        }
        texts.extend([text.clone(), changed.into_iter().collect(), text[rng.usize(1..4)..].to_owned()]);
    }
    let answers = ask(TIMES, &texts);
    let (mut read, mut refused) = (0, 0);
    for (text, answer) in texts.iter().zip(&answers) {
        let ours = wire::parse_time(text);
        assert_eq!(ours.map(|time| time.timestamp_micros()), answer[0].as_i64(), "{text:?}");
        assert_eq!(ours.map(wire::format_time).as_deref(), answer[1].as_str(), "{text:?}");
        *if ours.is_some() { &mut read } else { &mut refused } += 1;
    }
    assert!(read > 8_000 && refused > 1_000, "{read} {refused}");
}

/// What the script answers to each text.
fn ask(script: &str, texts: &[String]) -> Vec<serde_json::Value> {
    let mut child = Command::new(interpreter())
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("running Python");
    let mut stdin = child.stdin.take().unwrap();
    let input = serde_json::to_vec(texts).unwrap();
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().expect("writing to Python");
    assert!(output.status.success(), "{}", output.status);
    let answers: Vec<_> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), texts.len());
    answers
}
