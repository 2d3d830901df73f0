//! Matches of a pattern by time-out: the same however the job runs, and in all modes, with ids of first rows that are
//! texts and are shown long after the watermark has passed them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value};

use crate::program::{Ended, Place};

/// Asks that are not followed by an answer for five minutes.
const JOB: &str = r#"
[job]
name = "unanswered"
event_time = "ts"
lateness = "1m"

[source.events]
format = "jsonl"
path = "events.jsonl"
dedupe = "id"
columns = { id = "text", who = "text", ts = "timestamp_ms", kind = "text", secs = "i64" }

[entity.customer]
key = "who"

[pattern.unanswered]
from = "events"
within = "5m"
steps = [
  { name = "ask", where = "kind = 'ask'", at_most = 1 },
  { name = "answer", where = "kind = 'answer'", absent = true },
]
add = [{ name = "secs", op = "sum", of = "secs", step = "ask" }]
most_open = 4096

[sink.final]
from = "pattern.unanswered"
format = "jsonl"
path = "out/final.jsonl"

[sink.changes]
from = "pattern.unanswered"
format = "jsonl"
path = "out/changes.jsonl"
mode = "changes"

[sink.upserts]
from = "pattern.unanswered"
format = "jsonl"
path = "out/upserts.jsonl"
mode = "upserts"
"#;

struct Event {
    id: String,
    who: usize,
    ts: i64,
    kind: &'static str,
    secs: i64,
}

/// Rows in the order of their arrival, up to a minute behind, no two at one time.
fn events(seed: u64, count: i64) -> Vec<Event> {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut times = BTreeSet::new();
    let event = |number| {
        let mut ts = 1_700_000_000_000 + number * 2_500 - dice.random_range(0..55_000);
        while !times.insert(ts) {
            ts += 1;
        }
        Event {
            id: format!("{:08x}-{number}", dice.random::<u32>()),
            who: dice.random_range(0..40),
            ts,
            kind: ["ask", "ask", "answer", "else", "else"][dice.random_range(0..5)],
            secs: dice.random_range(0..1_000),
        }
    };
    (0..count).map(event).collect()
}

/// What the matches must be: id, customer and measure of each ask without an answer.
fn expected(events: &[Event]) -> BTreeSet<(String, String, i64)> {
    let answered = |ask: &Event| {
        events.iter().any(|event| {
            let after = event.ts - ask.ts;
            event.kind == "answer" && event.who == ask.who && 0 < after && after < 300_000
        })
    };
    let asks = events.iter().filter(|event| event.kind == "ask");
    asks.filter(|ask| !answered(ask))
        .map(|ask| (ask.id.clone(), format!("c{}", ask.who), ask.secs))
        .collect()
}

fn json_lines(events: &[Event]) -> String {
    let mut lines = String::new();
    for event in events {
        let Event {
            id,
            who,
            ts,
            kind,
            secs,
        } = event;
        writeln!(
            lines,
            r#"{{"id":"{id}","who":"c{who}","ts":{ts},"kind":"{kind}","secs":{secs}}}"#
        )
        .expect("a text takes any line");
    }
    lines
}

fn rows(place: &Place, name: &str) -> Vec<Map<String, Value>> {
    let text = place.read(name);
    let rows = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    rows.collect()
}

fn said(rows: impl IntoIterator<Item = Map<String, Value>>) -> BTreeSet<(String, String, i64)> {
    let mut said = BTreeSet::new();
    for row in rows {
        let text = |name: &str| row[name].as_str().expect("a text").to_owned();
        assert_eq!(
            (text("how"), &row["ask"], &row["skipped"]),
            ("timed_out".into(), &1.into(), &0.into())
        );
        let secs = row["secs"].as_i64().expect("a number");
        assert!(
            said.insert((text("start_id"), text("who"), secs)),
            "{row:?}"
        );
    }
    said
}

/// All three modes say what is expected. Answers how many rows were taken back.
#[track_caller]
fn assert_all(place: &Place, expected: &BTreeSet<(String, String, i64)>) -> usize {
    assert_eq!(&said(rows(place, "out/final.jsonl")), expected);
    let (mut left, mut taken_back) = (BTreeMap::new(), 0);
    for mut row in rows(place, "out/changes.jsonl") {
        let diff = row.remove("diff").and_then(|diff| diff.as_i64());
        row.remove("tick");
        let content = Value::Object(row.clone()).to_string();
        match diff {
            Some(1) => assert!(left.insert(content, row).is_none()),
            Some(-1) => {
                assert!(left.remove(&content).is_some(), "{content}");
                taken_back += 1;
            }
            other => panic!("a difference of {other:?}"),
        }
    }
    assert_eq!(&said(left.into_values()), expected);
    let mut newest = BTreeMap::new();
    for row in rows(place, "out/upserts.jsonl") {
        let version = row["version"].as_u64().expect("a number");
        let identity = row["start_id"].to_string();
        let known = newest.get(&identity).map(|(known, _)| *known);
        assert!(known.is_none_or(|known| known < version));
        newest.insert(identity, (version, row));
    }
    let newest = newest.into_values().map(|(_, row)| row);
    assert_eq!(
        &said(newest.filter(|row| row["status"] == "live")),
        expected
    );
    taken_back
}

#[test]
fn time_outs_are_the_same_in_every_way_of_running() {
    const SEED: u64 = 3;
    eprintln!("seed {SEED}");
    let events = events(SEED, 4_000);
    let expected = expected(&events);
    assert!(expected.len() > 200, "{} matches", expected.len());
    let place = Place::new();
    place.file("job.toml", JOB);
    place.file("events.jsonl", json_lines(&events));
    for verb in [&["replay"][..], &["run", "--firing", "arrival"]] {
        for workers in ["1", "2", "4"] {
            let call = place.tidegate(verb).arg("job.toml").arg("--workers");
            call.arg(workers).run().code(0);
            assert_all(&place, &expected);
        }
    }
    // Nothing is left to compare.
    let verified = place.tidegate(["verify", "job.toml"]).run().code(1);
    assert!(
        verified.stdout.contains("patterns are not computed again"),
        "{verified}"
    );
}

#[test]
fn matches_that_late_rows_undo_are_taken_back() {
    const SEED: u64 = 4;
    eprintln!("seed {SEED}");
    let events = events(SEED, 2_000);
    let expected = expected(&events);
    let place = Place::new();
    place.file("job.toml", JOB);
    let call = place.tidegate(["run", "job.toml", "--firing", "arrival", "--workers", "2"]);
    let mut child = call.set("source.events.path", "-").start();
    let mut input = child.stdin.take().expect("the program's input");
    for some in events.chunks(25) {
        let text = json_lines(some);
        input.write_all(text.as_bytes()).expect("the program reads");
        // So that what follows comes at another tick.
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    Ended::of("a run over its input".to_owned(), output).code(0);
    let taken_back = assert_all(&place, &expected);
    assert!(taken_back > 0, "nothing was taken back");
}
