//! Journeys over a real log: exactly what a plain count of it gives, however it is run.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use serde_json::Value;

use crate::program::{Place, root};

const JOB: &str = "jobs/catalog/helpdesk-journeys.toml";

/// What a plain count of the log gives, k = 1 to 3.
const HELD_OUT: &str = "k,counted,journeys,prefixes,right,accuracy
1,2536,1268,4529,3716,0.8204901744314418
2,2536,1268,4529,3715,0.8202693751379996
3,2536,1268,4529,3717,0.8207109737248841
";

/// The predictions of order 1: steps, and how many of them were right.
const PREDICTED: (u64, u64) = (9_906, 7_635);

/// The rows of a file of JSON lines.
fn rows(place: &Place, name: &str) -> Vec<Value> {
    let row = |line| serde_json::from_str(line).expect("a JSON object");
    place.read(name).lines().map(row).collect()
}

/// How often kinds follow each other, counted plainly.
fn plain_counts() -> BTreeMap<(String, String), u64> {
    let log = std::fs::read_to_string(root().join("jobs/catalog/data/helpdesk.csv"));
    let log = log.expect("the log comes with the project");
    let mut tickets: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for line in log.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let steps = tickets.entry(cells[0]).or_default();
        steps.push((cells[2], cells[1]));
    }
    let mut counts = BTreeMap::new();
    for mut steps in tickets.into_values() {
        steps.sort_by_key(|(time, _)| *time);
        let kinds = steps.into_iter().map(|(_, kind)| kind);
        let path: Vec<&str> = ["start"].into_iter().chain(kinds).chain(["end"]).collect();
        for pair in path.windows(2) {
            let pair = (pair[0].to_owned(), pair[1].to_owned());
            *counts.entry(pair).or_default() += 1;
        }
    }
    counts
}

/// The counts of rows of transitions, those that go out twice added up by `diff`.
fn counts(rows: &[Value]) -> BTreeMap<(String, String), u64> {
    let text = |row: &Value, column: &str| row[column].as_str().expect("a text").to_owned();
    let mut sums: BTreeMap<(String, String), i64> = BTreeMap::new();
    for row in rows {
        let count = row["count"].as_i64().expect("a number") * row["diff"].as_i64().unwrap_or(1);
        let pair = (text(row, "from"), text(row, "to"));
        *sums.entry(pair).or_default() += count;
    }
    sums.retain(|_, count| *count != 0);
    let positive = |count: i64| u64::try_from(count).expect("no pair is taken back too often");
    sums.into_iter()
        .map(|(pair, count)| (pair, positive(count)))
        .collect()
}

fn check(place: &Place, what: &str) {
    assert_eq!(place.read("holdout.csv"), HELD_OUT, "{what}");
    let accuracy = rows(place, "accuracy.jsonl");
    let last = accuracy
        .iter()
        .rfind(|row| row["order"] == 1 && row["diff"] != -1);
    let last = last.expect("a row of order 1");
    let found = (last["steps"].as_u64(), last["right"].as_u64());
    assert_eq!(found, (Some(PREDICTED.0), Some(PREDICTED.1)), "{what}");
    let found = counts(&rows(place, "transitions.jsonl"));
    assert_eq!(found, plain_counts(), "{what}");
}

fn run(place: &Place, log: &str, more: &[&str], dedupe: bool, mode: &str) {
    let mut call = place
        .tidegate(["run", JOB])
        .set("source.log.path", log)
        .set("sink.transitions.format", "jsonl")
        .set("sink.transitions.path", "transitions.jsonl")
        .set("sink.transitions.mode", mode)
        .set("sink.accuracy.path", "accuracy.jsonl")
        .set("sink.accuracy.mode", mode)
        .set("sink.holdout.path", "holdout.csv");
    if dedupe {
        call = call
            .set("source.log.columns.row", "u64")
            .set("source.log.dedupe", "row");
    }
    for argument in more {
        call = call.arg(argument);
    }
    let all = "13710 rows in = 13710 accepted + 0 duplicate + 0 late + 0 rejected";
    call.run().code(0).says(&[all]);
}

#[test]
fn the_log_gives_what_a_plain_count_of_it_gives() {
    let place = Place::new();
    let log = "jobs/catalog/data/helpdesk.csv";
    for workers in ["1", "2", "4"] {
        for firing in ["arrival", "watermark"] {
            let how = ["--workers", workers, "--firing", firing];
            run(&place, log, &how, false, "final");
            check(&place, &format!("{workers} workers, on {firing}"));
        }
        run(&place, log, &["--workers", workers], false, "changes");
        check(&place, &format!("{workers} workers, changes"));
    }
}

#[test]
fn rows_that_come_in_any_order_give_the_same() {
    let place = Place::new();
    let log = std::fs::read_to_string(root().join("jobs/catalog/data/helpdesk.csv"));
    let log = log.expect("the log comes with the project");
    let (header, lines) = log.trim_end().split_once('\n').expect("a header");
    // With an id of its own, a row stays where it was in the order of ties and of journeys.
    let numbered = (0..).zip(lines.lines());
    let mut lines: Vec<String> = numbered
        .map(|(number, line)| format!("{},{number}", line.trim_end()))
        .collect();
    for (seed, workers) in (0..).zip(["1", "2", "4"]) {
        lines.shuffle(&mut SmallRng::seed_from_u64(seed));
        let shuffled = format!("{},row\n{}\n", header.trim_end(), lines.join("\n"));
        let log = place.file("shuffled.csv", shuffled);
        for mode in ["final", "changes"] {
            run(&place, &log, &["--workers", workers], true, mode);
            check(&place, &format!("seed {seed}, {workers} workers, {mode}"));
        }
    }
}
