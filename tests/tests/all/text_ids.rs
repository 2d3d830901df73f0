//! Ids that are texts come out as they came in, so that answers can be joined with the events they are about: in every
//! format, on the watermark and on arrival, in rows that are taken back, and where several sources feed an entity.

mod two_sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMillisecondArray};
use parquet::arrow::ArrowWriter;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::answers::Answers;
use crate::program::{Ended, Place};

const JOB: &str = r#"
[job]
name = "tickets"
event_time = "ts"
lateness = "1m"

[source.events]
format = "${FORMAT:-jsonl}"
path = "events.${FORMAT:-jsonl}"
dedupe = "id"
columns = { id = "text", who = "text", ts = "timestamp_ms", kind = "text" }

[entity.customer]
key = "who"

[features.asks]
from = "events"
at = "kind = 'ask'"
add = [{ name = "rows", op = "count", windows = "5m" }]

[trigger.many]
on = "asks"
at = "anchors"
when = "rows_5m >= 6"
cooldown = "2m"
explain = ["rows_5m"]

[sink.asks]
from = "features.asks"
format = "parquet"
path = "out/asks.parquet"

[sink.many]
from = "trigger.many"
format = "parquet"
path = "out/many.parquet"
select = ["event_id", "fired_at", "rows_5m", "upper(event_id) as loud"]

[sink.changes]
from = "features.asks"
format = "jsonl"
path = "out/changes.jsonl"
mode = "changes"

[sink.upserts]
from = "features.asks"
format = "jsonl"
path = "out/upserts.jsonl"
mode = "upserts"

[sink.firings]
from = "trigger.many"
format = "jsonl"
path = "out/firings.jsonl"
mode = "changes"

[sink.late]
from = "late.events"
format = "jsonl"
path = "out/late.jsonl"
"#;

#[derive(Clone)]
struct Event {
    id: String,
    who: &'static str,
    ts: i64,
    kind: &'static str,
}

/// Rows in the order of their arrival: up to a minute behind, some too late, some twice.
fn events(seed: u64, count: usize) -> Vec<Event> {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut events: Vec<Event> = Vec::new();
    for number in 0..count {
        let behind = match dice.random_range(0..40) {
            0 => 61_000 + dice.random_range(0..60_000),
            1..20 => dice.random_range(0..55_000),
            _ => 0,
        };
        let id = format!("{:08x}-{number}", dice.random::<u32>());
        events.push(Event {
            id,
            who: ["ann", "bob", "cy", "dee"][dice.random_range(0..4)],
            ts: 1_700_000_000_000 + number as i64 * 2_500 - behind,
            kind: ["ask", "view"][dice.random_range(0..2)],
        });
        if dice.random_range(0..30) == 0 {
            let again =
                events[events.len() - 1 - dice.random_range(0..events.len().min(5))].clone();
            events.push(again);
        }
    }
    events
}

/// The rows that count, by their ids: those of the first of each id that was not too late.
fn counted(events: &[Event]) -> BTreeMap<&str, &Event> {
    let mut newest = i64::MIN;
    let mut counted = BTreeMap::new();
    for event in events {
        if event.ts >= newest.saturating_sub(60_000) {
            counted.entry(event.id.as_str()).or_insert(event);
        }
        newest = newest.max(event.ts);
    }
    counted
}

/// Every ask by its id: who asked, when, and how many rows the five minutes before have.
fn asks(events: &[Event]) -> BTreeMap<String, (String, i64, i64)> {
    let counted = counted(events);
    let rows = |of: &Event| {
        let inside = |e: &&&Event| e.who == of.who && of.ts - 300_000 < e.ts && e.ts <= of.ts;
        counted.values().filter(inside).count() as i64
    };
    let asks = counted.values().filter(|event| event.kind == "ask");
    asks.map(|e| (e.id.clone(), (e.who.to_owned(), e.ts, rows(e))))
        .collect()
}

fn json_lines(events: &[Event]) -> String {
    let mut lines = String::new();
    for Event { id, who, ts, kind } in events {
        writeln!(
            lines,
            r#"{{"id":"{id}","who":"{who}","ts":{ts},"kind":"{kind}"}}"#
        )
        .expect("a text takes any line");
    }
    lines
}

fn write_parquet(events: &[Event], path: &Path) {
    let texts = |of: fn(&Event) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(events.iter().map(of)))
    };
    let times = TimestampMillisecondArray::from_iter_values(events.iter().map(|e| e.ts));
    let columns: [(&str, ArrayRef); 4] = [
        ("id", texts(|e| &e.id)),
        ("who", texts(|e| e.who)),
        ("ts", Arc::new(times)),
        ("kind", texts(|e| e.kind)),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let file = File::create(path).expect("a file for the test");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    for start in (0..batch.num_rows()).step_by(300) {
        let rows = (batch.num_rows() - start).min(300);
        writer
            .write(&batch.slice(start, rows))
            .expect("rows are written");
        writer.flush().expect("a row group is written");
    }
    writer.close().expect("the file is whole");
}

fn lines(place: &Place, name: &str) -> Vec<serde_json::Map<String, Value>> {
    let text = place.read(name);
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    lines.collect()
}

/// What rows of asks say, by id.
fn said(rows: &[serde_json::Map<String, Value>]) -> BTreeMap<String, (String, i64, i64)> {
    let said = rows.iter().map(|row| {
        let text = |name: &str| row[name].as_str().expect("a text").to_owned();
        let ts: &str = row["ts"].as_str().expect("a time");
        let ts = moment(ts);
        let rows = row["rows_5m"].as_i64().expect("a number");
        (text("id"), (text("who"), ts, rows))
    });
    said.collect()
}

#[track_caller]
fn assert_same<V: PartialEq + std::fmt::Debug>(
    found: &BTreeMap<String, V>,
    expected: &BTreeMap<String, V>,
    what: &str,
) {
    let wrong = expected
        .iter()
        .find(|(id, says)| found.get(*id) != Some(says));
    let found_there = wrong.and_then(|(id, _)| found.get(id));
    assert_eq!((wrong, found_there), (None, None), "{what}");
    assert_eq!(found.len(), expected.len(), "{what}");
}

/// Milliseconds since 1970 of a time such as 2023-11-14T22:13:20.250.
fn moment(text: &str) -> i64 {
    use arrow::array::AsArray;
    use arrow::compute::cast;
    use arrow::datatypes::{DataType, TimeUnit, TimestampMillisecondType};
    let text: ArrayRef = Arc::new(StringArray::from(vec![text.trim_end_matches('Z')]));
    let times = cast(&text, &DataType::Timestamp(TimeUnit::Millisecond, None)).expect("a time");
    times.as_primitive::<TimestampMillisecondType>().value(0)
}

/// What is left after all changes; every row that was taken back was there before.
fn left(rows: Vec<serde_json::Map<String, Value>>) -> (Vec<serde_json::Map<String, Value>>, usize) {
    let mut left: BTreeMap<String, serde_json::Map<String, Value>> = BTreeMap::new();
    let mut taken_back = 0;
    for mut row in rows {
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
    (left.into_values().collect(), taken_back)
}

/// The files of changes add up to what is expected. Answers the ids of the firings that are left, and how many rows
/// were taken back.
#[track_caller]
fn assert_changes(
    place: &Place,
    expected: &BTreeMap<String, (String, i64, i64)>,
    what: &str,
) -> (BTreeSet<String>, usize) {
    let (rows, taken_back) = left(lines(place, "out/changes.jsonl"));
    assert_same(&said(&rows), expected, what);
    // Of each row the last version.
    let upserts = lines(place, "out/upserts.jsonl");
    assert_same(&said(&upserts), expected, what);
    let (firings, _) = left(lines(place, "out/firings.jsonl"));
    let id = |row: &serde_json::Map<String, Value>| row["event_id"].as_str().map(str::to_owned);
    (firings.iter().filter_map(id).collect(), taken_back)
}

#[test]
fn every_row_shows_the_id_of_its_event_in_every_way_of_running() {
    const SEED: u64 = 5;
    eprintln!("seed {SEED}");
    let events = events(SEED, 3_000);
    let expected = asks(&events);
    let place = Place::new();
    place.file("job.toml", JOB);
    place.file("events.jsonl", json_lines(&events));
    write_parquet(&events, &place.path("events.parquet"));
    let mut first: Option<(Answers, Answers)> = None;
    for format in ["jsonl", "parquet"] {
        for verb in [&["replay"][..], &["run", "--firing", "arrival"]] {
            for workers in ["1", "2", "4"] {
                let what = format!("{format} {verb:?} {workers}");
                let call = place
                    .tidegate(verb)
                    .arg("job.toml")
                    .arg("--workers")
                    .arg(workers)
                    .set("source.events.format", format)
                    .set("source.events.path", format!("events.{format}"));
                call.run().code(0);
                let answers = ["out/asks.parquet", "out/many.parquet"]
                    .map(|path| Answers::parquet(&place.path(path)));
                let [asks, many] = answers;
                assert_eq!(asks.columns[1], "id Utf8", "{what}");
                assert_eq!(many.columns[0], "event_id Utf8", "{what}");
                assert_eq!(many.columns[3], "loud Utf8", "{what}");
                assert_eq!(asks.rows.len(), expected.len(), "{what}");
                assert!(many.rows.len() > 20, "{what}: {}", many.rows.len());
                for row in &many.rows {
                    let (_, _, rows) = &expected[&row[0]];
                    assert_eq!(
                        (&row[2], &row[3]),
                        (&rows.to_string(), &row[0].to_uppercase())
                    );
                }
                let (fired, _) = assert_changes(&place, &expected, &what);
                let shown = many.rows.iter().map(|row| row[0].clone());
                assert_eq!(fired, shown.collect(), "{what}");
                match &first {
                    None => first = Some((asks, many)),
                    Some(first) => {
                        first.0.assert_same(&asks, &what);
                        first.1.assert_same(&many, &what);
                    }
                }
                let verified = place.tidegate(["verify", "job.toml"]);
                let verified = verified
                    .set("source.events.format", format)
                    .set("source.events.path", format!("events.{format}"));
                verified.run().code(0);
            }
        }
    }
}

#[test]
fn rows_that_are_taken_back_while_the_input_goes_on_show_the_id_that_they_showed() {
    const SEED: u64 = 6;
    eprintln!("seed {SEED}");
    let events = events(SEED, 1_500);
    let expected = asks(&events);
    for workers in ["1", "2", "4"] {
        let place = Place::new();
        place.file("job.toml", JOB);
        let call = place.tidegate(["run", "job.toml", "--only", "changes,upserts,firings,late"]);
        let call = ["--firing", "arrival", "--workers", workers]
            .iter()
            .fold(call, |call, argument| call.arg(argument));
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
        let (fired, taken_back) = assert_changes(&place, &expected, workers);
        assert!(fired.len() > 20, "{workers}: {} firings", fired.len());
        assert!(taken_back > 100, "{workers}: {taken_back} taken back");
        let late = lines(&place, "out/late.jsonl");
        assert!(late.len() > 10, "{workers}: {} late", late.len());
    }
}
