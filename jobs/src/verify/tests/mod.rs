//! Runs of small jobs, verified.

mod places;
mod planted;
mod triggers;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tidegate_schemas::job::{Job, load};

use super::*;
use crate::runtime::{Firing, Options, Watch, run};

/// Every op, over all kinds of windows, with every kind of measure.
const EVERY_OP: &str = r#"
[features.training]
from = "events"
at = "kind = 'contact'"
carry = ["channel", "secs"]
bounds = "BOUNDS"
add = [
  { name = "n", op = "count", windows = ["5s", "1m", "lifetime"] },
  { name = "seen", op = "count", of = "secs", where = "kind <> 'view'", windows = ["1m"], empty = "null" },
  { name = "any", op = "any", where = "kind = 'view'", windows = ["7s"] },
  { name = "sum", op = "sum", of = "secs", windows = ["20s", "lifetime"] },
  { name = "sum_n", op = "sum", of = "n", where = "kind = 'view'", windows = ["20s"], empty = "zero" },
  { name = "mean", op = "mean", of = "secs", windows = ["20s"] },
  { name = "mean_2", op = "mean", of = "secs * 1.5", scale = 2, windows = ["1m"] },
  { name = "least", op = "min", of = "secs", windows = ["20s"] },
  { name = "most", op = "max", of = "n", windows = ["20s", "lifetime"] },
  { name = "latest", op = "max", of = "ts", where = "kind = 'view'", windows = ["1m"] },
  { name = "var", op = "variance", of = "secs", windows = ["1m"] },
  { name = "var_s", op = "variance", kind = "sample", of = "n", windows = ["1m"] },
  { name = "dev", op = "stddev", of = "secs", windows = ["1m", "lifetime"] },
  { name = "first", op = "first", of = "topic", windows = ["20s", "lifetime"] },
  { name = "last", op = "last", of = "secs", where = "kind = 'view'", windows = ["20s", "lifetime"] },
  { name = "last_any", op = "last", of = "topic", nulls = "keep", windows = ["20s"] },
  { name = "firsts", op = "first_k", k = 3, of = "topic", windows = ["1m", "lifetime"] },
  { name = "lasts", op = "last_k", k = 4, of = "n", windows = ["1m", "lifetime"], order = "oldest_first" },
  { name = "lasts_null", op = "last_k", k = 2, of = "secs", nulls = "keep", windows = ["1m"] },
  { name = "distinct", op = "count_distinct", of = "topic", windows = ["20s", "lifetime"] },
  { name = "distinct_null", op = "count_distinct", of = "topic", nulls = "keep", windows = ["20s"] },
  { name = "distincts", op = "distinct_k", k = 2, of = "topic", windows = ["1m", "lifetime"] },
  { name = "bars", op = "histogram", k = 3, of = "topic", nulls = "keep", windows = ["1m", "lifetime"] },
  { name = "bars_n", op = "histogram", k = 2, of = "n", where = "kind <> 'contact'", windows = ["1m"] },
  { name = "same", op = "max_count_by", of = "topic", where = "kind = 'contact'", windows = ["1m", "lifetime"] },
  { name = "share", op = "ratio", where = "kind = 'view'", per = "kind <> 'contact'", windows = ["20s", "lifetime"] },
  { name = "since", op = "time_since_last", where = "kind = 'view'", windows = ["20s", "lifetime"] },
  { name = "since_any", op = "time_since_last", windows = ["1us", "3s"] },
  { name = "gap", op = "longest_gap", where = "kind <> 'view'", windows = ["1m", "lifetime"] },
  { name = "nats", op = "entropy", of = "topic", windows = ["1m", "lifetime"] },
  { name = "effort", op = "decayed_sum", of = "secs", half_life = "90ms" },
  { name = "effort_long", op = "decayed_sum", of = "n", half_life = "1d", empty = "zero" },
  { name = "hop_n", op = "count", windows = ["20s"], hop = "3s" },
  { name = "hop_sum", op = "sum", of = "secs", windows = ["20s"], hop = "3s" },
  { name = "hop_dev", op = "stddev", of = "secs", windows = ["20s"], hop = "3s" },
  { name = "hop_lasts", op = "last_k", k = 3, of = "topic", windows = ["20s"], hop = "3s" },
  { name = "hop_first", op = "first", of = "n", windows = ["20s"], hop = "3s" },
  { name = "hop_bars", op = "histogram", k = 3, of = "topic", windows = ["20s"], hop = "3s" },
  { name = "hop_since", op = "time_since_last", where = "kind = 'view'", windows = ["20s"], hop = "3s" },
  { name = "hop_gap", op = "longest_gap", windows = ["20s"], hop = "3s" },
  { name = "hop_share", op = "ratio", where = "kind = 'view'", per = "kind <> 'contact'", windows = ["20s"], hop = "3s" },
  { name = "hop_distinct", op = "count_distinct", of = "topic", nulls = "keep", windows = ["20s"], hop = "3s" },
]

[sessions.visit]
from = "events"
where = "kind <> 'noise'"
gap = "4s"
at_gap = "AT_GAP"
MAX_LENGTH
add = [
  { name = "contacts", op = "count", where = "kind = 'contact'" },
  { name = "measured", op = "count", of = "secs" },
  { name = "viewed", op = "any", where = "kind = 'view'" },
  { name = "sum", op = "sum", of = "secs" },
  { name = "mean", op = "mean", of = "n" },
  { name = "least", op = "min", of = "secs", where = "kind = 'view'" },
  { name = "most", op = "max", of = "n", empty = "zero" },
  { name = "first", op = "first", of = "topic" },
  { name = "last", op = "last", of = "secs" },
  { name = "topics", op = "count_distinct", of = "topic" },
  { name = "path", op = "list", of = "kind", k = 6 },
]
"#;

const HEAD: &str = r#"
[job]
name = "small"
event_time = "ts"
lateness = "30s"

[source.events]
format = "jsonl"
path = "DIR/events.jsonl"
DEDUPE
columns = { id = "u64", who = "text", ts = "timestamp_ms", kind = "text", channel = "text?", topic = "text?", n = "i64?", secs = "f64?" }
expect = ["kind <> 'refused'"]

[entity.customer]
key = "who"
"#;

/// A job in a directory of its own.
struct Small {
    directory: TempDir,
    job: Job,
}

impl Small {
    fn new(job: &str, changes: &[(&str, &str)], seed: u64, rows: usize) -> Small {
        let directory = TempDir::new().unwrap();
        let path = directory.path().display().to_string();
        let mut text = format!("{HEAD}{job}").replace("DIR", &path);
        for (from, to) in changes {
            text = text.replace(from, to);
        }
        let job = load("small.toml", text.as_bytes(), &[], &|_| None)
            .unwrap_or_else(|problems| panic!("{problems}"));
        fs::write(directory.path().join("events.jsonl"), events(seed, rows)).unwrap();
        Small { directory, job }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, workers: usize, firing: Firing) -> &Small {
        self.run_stretch(workers, firing, Stretch::ALL)
    }

    fn run_stretch(&self, workers: usize, firing: Firing, stretch: Stretch) -> &Small {
        let plan = compile(&self.job, &Selection::default())
            .unwrap_or_else(|problems| panic!("{problems}"));
        let options = Options {
            workers,
            firing,
            stretch,
        };
        run(plan, &options, &Arc::new(Watch::default())).unwrap();
        self
    }

    fn verify(&self) -> VerifyReport {
        verify(&self.job, &VerifyOptions::default()).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Rows of few customers, with ties, rows out of order, late rows, copies, conflicts and nulls.
fn events(seed: u64, rows: usize) -> String {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut text = String::new();
    let mut clock = 1_700_000_000_000_i64;
    let mut lines: Vec<String> = Vec::new();
    for id in 0..rows {
        clock += [0, 0, 1, 250, 1_000, 1_000, 4_000, 90_000][dice.random_range(0..8)]
            / dice.random_range(1..4);
        let late = match dice.random_range(0..20) {
            0 => dice.random_range(0..60_000),
            1..4 => dice.random_range(0..5_000),
            _ => 0,
        };
        let ts = (clock - late) / 250 * 250;
        let who =
            ["ann", "bob", "cy", "dee"][dice.random_range(0..4usize).min(dice.random_range(0..4))];
        let kind = ["contact", "view", "noise", "refused"][dice.random_range(0..13usize) / 4];
        let mut maybe = |text: String| match dice.random_range(0..4) {
            0 => "null".to_owned(),
            _ => text,
        };
        let topic = maybe(format!("\"t{}\"", id * 7 % 5));
        let channel = maybe("\"chat\"".to_owned());
        let n = maybe(((id * 31 % 17) as i64 - 8).to_string());
        let secs = maybe(format!("{}", (id * 37 % 1_000) as f64 / 70.0 - 3.0));
        let line = format!(
            "{{\"id\":{id},\"who\":\"{who}\",\"ts\":{ts},\"kind\":\"{kind}\",\"channel\":{channel},\
             \"topic\":{topic},\"n\":{n},\"secs\":{secs}}}\n"
        );
        text.push_str(&line);
        match dice.random_range(0..12) {
            // A copy, and a row that contradicts an earlier one of its id.
            0 => text.push_str(&line),
            1 if !lines.is_empty() => {
                let old = &lines[dice.random_range(0..lines.len())];
                text.push_str(&old.replace("view", "contact"));
            }
            _ => {}
        }
        lines.push(line);
    }
    text
}

fn sinks(format: &str, mode: &str) -> String {
    format!(
        "[sink.training]\nfrom = \"features.training\"\nformat = \"{format}\"\nmode = \"{mode}\"\n\
         path = \"DIR/training.{format}\"\n\
         [sink.visits]\nfrom = \"sessions.visit\"\nformat = \"{format}\"\nmode = \"{mode}\"\n\
         path = \"DIR/visits.{format}\"\n"
    )
}

fn agreed(report: &VerifyReport, what: &str) {
    assert!(report.agrees() && report.is_complete(), "{what}\n{report}");
    for output in &report.outputs {
        assert_eq!(output.equal, output.expected, "{what}\n{report}");
        assert!(output.equal > 20, "{what}: too few rows\n{report}");
    }
    assert_eq!(report.outputs.len(), 2, "{what}\n{report}");
}

#[test]
fn every_op_agrees_with_a_run() {
    const DEDUPE: &str = r#"dedupe = { key = "id", keep = "1d" }"#;
    for (seed, format, bounds, at_gap, longest, dedupe) in [
        (1, "parquet", "open_closed", "new", "", DEDUPE),
        (
            2,
            "jsonl",
            "closed_closed",
            "same",
            "max_length = \"7s\"",
            DEDUPE,
        ),
        (3, "csv", "closed_open", "new", "max_length = \"5s\"", ""),
    ] {
        let job = format!("{EVERY_OP}{}", sinks(format, "final"));
        let changes = [
            ("BOUNDS", bounds),
            ("AT_GAP", at_gap),
            ("MAX_LENGTH", longest),
            ("DEDUPE", dedupe),
        ];
        let small = Small::new(&job, &changes, seed, 1_500);
        let report = small.run(2, Firing::OnWatermark).verify();
        agreed(&report, &format!("seed {seed}"));
    }
}

const PLAIN: &[(&str, &str)] = &[
    ("BOUNDS", "open_closed"),
    ("AT_GAP", "new"),
    ("MAX_LENGTH", "max_length = \"9s\""),
    ("DEDUPE", "dedupe = { key = \"id\", keep = \"1d\" }"),
];

fn changed(changes: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    // The first replacement of a word leaves nothing for later ones.
    changes.iter().chain(PLAIN).copied().collect()
}

#[test]
fn every_mode_stands_for_the_same_rows() {
    for (mode, firing, seed) in [
        ("changes", Firing::OnArrival, 11),
        ("upserts", Firing::OnArrival, 12),
        ("changes", Firing::OnWatermark, 13),
        ("final", Firing::OnArrival, 14),
    ] {
        for format in ["jsonl", "csv", "parquet"] {
            let job = format!("{EVERY_OP}{}", sinks(format, mode));
            let small = Small::new(&job, PLAIN, seed, 400);
            let report = small.run(1, firing).verify();
            agreed(&report, &format!("seed {seed} {mode} {format}"));
        }
    }
}

#[test]
fn the_last_of_contradicting_rows_counts_where_the_job_says_so() {
    let dedupe = "dedupe = { key = \"id\", keep = \"1d\", on_conflict = \"latest\" }";
    let job = format!("{EVERY_OP}{}", sinks("jsonl", "final"));
    for seed in 21..24 {
        let small = Small::new(&job, &changed(&[("DEDUPE", dedupe)]), seed, 600);
        let report = small.run(1, Firing::OnWatermark).verify();
        agreed(&report, &format!("seed {seed}"));
    }
}

#[test]
fn ids_may_be_texts_or_several_columns() {
    let final_once = ("final", Firing::OnWatermark);
    let changes = ("changes", Firing::OnArrival);
    let upserts = ("upserts", Firing::OnArrival);
    for (key, (mode, firing)) in [
        ("\"kind\", \"id\"", final_once),
        ("\"who\", \"ts\"", final_once),
        ("\"id\"", final_once),
        ("\"id\"", changes),
        ("\"id\"", upserts),
    ] {
        let dedupe = format!("dedupe = {{ key = [{key}], keep = \"1d\" }}");
        for format in ["parquet", "jsonl", "csv"] {
            let job = format!("{EVERY_OP}{}", sinks(format, mode));
            let changes = changed(&[
                ("DEDUPE", dedupe.clone().leak()),
                ("id = \"u64\"", "id = \"text\""),
            ]);
            let small = Small::new(&job, &changes, 31, 600);
            let report = small.run(2, firing).verify();
            agreed(&report, &format!("{key} {mode} {format}"));
        }
    }
}

#[test]
fn counts_of_a_column_without_nulls_stand_beside_counts_of_all_rows() {
    const COUNTS: &str = r#"
[features.counts]
from = "events"
at = "kind = 'contact'"
add = [
  { name = "rows", op = "count", windows = ["5s", "1m"] },
  { name = "kinds", op = "count", of = "kind", windows = "1m" },
  { name = "ids", op = "mean", of = "cast(id as int)", windows = ["5s", "1m"] },
  { name = "sums", op = "sum", of = "cast(id as bigint)", windows = ["5s", "1m"] },
]

[sink.counts]
from = "features.counts"
format = "jsonl"
path = "DIR/counts.jsonl"
"#;
    let small = Small::new(COUNTS, PLAIN, 51, 300);
    let report = small.run(1, Firing::OnWatermark).verify();
    assert!(report.agrees() && report.is_complete(), "{report}");
    assert!(report.outputs[0].equal > 20, "{report}");
}

#[test]
fn what_sql_cannot_compute_is_not_checked_and_no_failure() {
    const DIVIDED: &str = r#"
[features.divided]
from = "events"
at = "kind = 'contact'"
add = [{ name = "shares", op = "count", where = "n <> -100 and 7 / (n + 100) >= 0", windows = "1m" }]

[sink.divided]
from = "features.divided"
format = "jsonl"
path = "DIR/divided.jsonl"
"#;
    let small = Small::new(DIVIDED, PLAIN, 52, 300);
    small.run(1, Firing::OnWatermark);
    // No row divides by zero, but SQL looks at both sides of `and` where the left one is often true.
    let row = |n: i64| {
        format!(
            "{{\"id\":{},\"who\":\"ann\",\"ts\":1,\"kind\":\"contact\",\"n\":{n}}}\n",
            n + 200
        )
    };
    let rows: String = [-100, 1, 2].map(row).concat();
    fs::write(small.path("events.jsonl"), rows).unwrap();
    let report = small.verify();
    assert!(report.outputs.is_empty(), "{report}");
    assert!(
        report.unchecked[0].why.contains("Divide by zero"),
        "{report}"
    );
}

#[test]
fn floats_that_nothing_is_calculated_with_stay_as_they_are() {
    const PASSED: &str = r#"
[features.passed]
from = "events"
at = "true"
carry = ["secs"]
add = [
  { name = "last", op = "last", of = "secs", windows = "1m" },
  { name = "least", op = "min", of = "secs", windows = "1m" },
  { name = "most", op = "max", of = "secs", windows = "1m" },
  { name = "all", op = "first_k", k = 9, of = "secs", windows = "1m" },
  { name = "bars", op = "histogram", k = 9, of = "secs", windows = "1m" },
  { name = "rounded", op = "max", of = "secs / 1e300", scale = 1, windows = "1m" },
]

[sink.passed]
from = "features.passed"
format = "jsonl"
path = "DIR/passed.jsonl"
"#;
    let small = Small::new(PASSED, PLAIN, 61, 0);
    let floats = [1.23456789012345e300, -2.5e-300, -7.25e15, 0.1];
    let row = |(id, secs): (usize, &f64)| {
        format!("{{\"id\":{id},\"who\":\"ann\",\"ts\":{id},\"kind\":\"view\",\"secs\":{secs:e}}}\n")
    };
    let text: String = floats.iter().enumerate().map(row).collect();
    fs::write(small.path("events.jsonl"), text).unwrap();
    let report = small.run(1, Firing::OnWatermark).verify();
    assert_eq!(
        (report.agrees(), report.outputs[0].equal),
        (true, 4),
        "{report}"
    );
    let text = fs::read_to_string(small.path("passed.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["secs"], &last["last_1m"]),
        (&0.1.into(), &0.1.into())
    );
    assert_eq!(last["least_1m"], floats[2]);
    assert_eq!(last["most_1m"], floats[0]);
    assert_eq!(last["all_1m"], serde_json::json!(floats));
    assert_eq!(last["bars_1m"][0]["value"], floats[2]);
    assert_eq!(last["rounded_1m"], 1.2);
}
