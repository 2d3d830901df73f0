//! What a run answers depends on the rows and their order of arrival alone.

use std::fmt::Write as _;
use std::fs;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tidegate_schemas::job::load;

use super::*;
use crate::compile::{Selection, compile};

const JOB: &str = r#"
[job]
name = "order"
event_time = "ts"
lateness = "5s"

[source.events]
format = "csv"
path = "DIR/events.csv"
columns = { id = "u64?", who = "text", ts = "timestamp_ms", x = "f64" }
dedupe = { key = "id", keep = "KEEP", on_conflict = "CONFLICT" }
max_ahead = "1m"

[entity.who]
key = "who"

[features.f]
from = "events"
at = "x <> 2"
add = [
  { name = "n", op = "count", windows = ["10s", "lifetime"] },
  { name = "xs", op = "last_k", k = 5, of = "x", windows = "lifetime" },
]

[sessions.s]
from = "events"
gap = "3s"
add = [{ name = "x", op = "sum", of = "x" }]

[sink.f]
from = "features.f"
format = "jsonl"
path = "DIR/f.jsonl"

[sink.s]
from = "sessions.s"
format = "jsonl"
path = "DIR/s.jsonl"
where = "rows > 1"

[sink.late]
from = "late.events"
format = "jsonl"
path = "DIR/late.jsonl"

[sink.rejects]
from = "rejects.events"
format = "jsonl"
path = "DIR/rejects.jsonl"
"#;

/// Rows that come again, with other content, at other times; some late, some wrong.
fn events(seed: u64) -> String {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut text = "id,who,ts,x\n".to_owned();
    let mut clock = 1_700_000_000_000i64;
    for number in 0..600i64 {
        clock += [0, 0, 100, 700, 3_000][dice.random_range(0..5)];
        let ts = clock - [0, 0, 1_000, 4_900, 5_100][dice.random_range(0..5)];
        let id = match dice.random_range(0..20) {
            0 => String::new(),
            1..9 => (number - dice.random_range(0..number.min(20) + 1)).to_string(),
            _ => number.to_string(),
        };
        let who = ["ann", "bob", "cy"][dice.random_range(0..3)];
        let x = ["1", "2", "3.25", "1e300"][dice.random_range(0..13usize) / 4];
        let ahead = i64::from(dice.random_range(0..50) == 0) * 100_000;
        writeln!(text, "{id},{who},{},{x}", ts + ahead).expect("a text takes any line");
    }
    text
}

/// The account, and the lines of all results in some order.
fn answers(job: &str, batch_rows: usize, workers: usize, firing: Firing) -> (Account, Vec<String>) {
    let job = load("order.toml", job.as_bytes(), &[], &|_| None);
    let job = job.unwrap_or_else(|problems| panic!("{problems}"));
    let plan = compile(&job, &Selection::default());
    let mut plan = plan.unwrap_or_else(|problems| panic!("{problems}"));
    for source in &mut plan.sources {
        source.declared.batch_rows = batch_rows;
    }
    let options = Options {
        workers,
        firing,
        stretch: Stretch::ALL,
    };
    let watch = Arc::new(Watch::default());
    let report = run(plan, &options, &watch).unwrap();
    let written = report.sinks.iter().map(|(name, sink)| (name, sink.rows));
    let watched = watch.sinks();
    assert!(
        written.eq(watched.iter().map(|(name, rows)| (name, *rows))),
        "{watched:?}"
    );
    let mut lines = Vec::new();
    for (name, sink) in &report.sinks {
        for file in &sink.files {
            let text = fs::read_to_string(file).unwrap();
            lines.extend(text.lines().map(|line| format!("{name} {line}")));
        }
    }
    lines.sort();
    (report.account, lines)
}

#[test]
fn the_texts_of_ids_are_forgotten_when_nothing_shows_them_any_more() {
    let directory = TempDir::new().unwrap();
    let job = JOB.replace("DIR", &directory.path().display().to_string());
    let job = job.replace("CONFLICT", "first").replace("KEEP", "5s");
    let job = job.replace("id = \"u64?\"", "id = \"text\"");
    let mut events = "id,who,ts,x\n".to_owned();
    for number in 0..20_000i64 {
        let ts = 1_700_000_000_000 + number * 100;
        writeln!(events, "event {number},ann,{ts},1").expect("a text takes any line");
    }
    fs::write(directory.path().join("events.csv"), events).unwrap();
    for (workers, firing) in [(1, Firing::OnWatermark), (2, Firing::OnArrival)] {
        let job = load("order.toml", job.as_bytes(), &[], &|_| None).unwrap();
        let mut plan = compile(&job, &Selection::default()).unwrap();
        plan.sources[0].declared.batch_rows = 20;
        let names = Arc::clone(&plan.names);
        let options = Options {
            workers,
            firing,
            stretch: Stretch::ALL,
        };
        run(plan, &options, &Arc::new(Watch::default())).unwrap();
        let text = fs::read_to_string(directory.path().join("f.jsonl")).unwrap();
        assert_eq!(text.lines().count(), 20_000);
        assert!(text.contains("\"id\":\"event 19999\""));
        // Two latenesses are 100 events; batches that are under way come on top.
        assert!(names.ids().len() < 2_000, "{}", names.ids().len());
    }
}

#[test]
fn batches_workers_and_firing_change_neither_answers_nor_accounts() {
    for seed in 0..6 {
        for (conflict, keep) in [("first", "1s"), ("latest", "1s"), ("latest", "1h")] {
            let directory = TempDir::new().unwrap();
            let job = JOB.replace("DIR", &directory.path().display().to_string());
            let job = job.replace("CONFLICT", conflict).replace("KEEP", keep);
            fs::write(directory.path().join("events.csv"), events(seed)).unwrap();
            let first = answers(&job, 100_000, 1, Firing::OnWatermark);
            let Account {
                duplicate,
                late,
                rejected,
                conflicts,
                ..
            } = first.0;
            for count in [duplicate, late, rejected, conflicts] {
                assert!(count > 10, "seed {seed}: {:?}", first.0);
            }
            for batch_rows in [1, 7, 90] {
                let ways = [
                    (1, Firing::OnArrival),
                    (1, Firing::OnWatermark),
                    (3, Firing::OnWatermark),
                ];
                for (workers, firing) in ways {
                    let again = answers(&job, batch_rows, workers, firing);
                    let what = format!(
                        "seed {seed}, {conflict}, {keep}, batches of {batch_rows}, {workers} workers, {firing:?}"
                    );
                    assert_eq!(again.0, first.0, "{what}");
                    assert!(again.1 == first.1, "{what}");
                }
            }
        }
    }
}
