//! Requests for training over a real log: the same ones, however it is run.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use serde_json::Value;

use crate::program::{Place, root};

const JOB: &str = "jobs/catalog/helpdesk-drift.toml";

/// The requests of a run, those that were taken back left out.
fn requests(place: &Place, log: &str, how: &[&str], mode: &str) -> BTreeMap<String, i64> {
    let mut call = place
        .tidegate(["run", JOB, "--only", "requests"])
        .set("source.events.path", log)
        .set("sink.requests.path", "requests.jsonl")
        .set("sink.requests.mode", mode)
        .set("retrain.next_step.max_age", "13w")
        .set("retrain.next_step.rows", 1_000)
        .set("retrain.next_step.cooldown", "4w");
    for argument in how {
        call = call.arg(argument);
    }
    call.run().code(0);
    let mut standing = BTreeMap::new();
    for line in place.read("requests.jsonl").lines() {
        let mut row: Value = serde_json::from_str(line).expect("a JSON object");
        let columns = row.as_object_mut().expect("a row");
        let diff = columns
            .remove("diff")
            .map_or(1, |diff| diff.as_i64().expect("a number"));
        columns.remove("tick");
        *standing.entry(row.to_string()).or_default() += diff;
    }
    standing.retain(|_, count| *count != 0);
    standing
}

#[test]
fn any_arrival_workers_firing_and_mode_ask_for_the_same() {
    let place = Place::new();
    let log = "jobs/catalog/data/helpdesk.csv";
    let expected = requests(&place, log, &["--workers", "1"], "final");
    for reason in ["drift", "rows", "age"] {
        let said = format!("\"reason\":\"{reason}\"");
        let asked = expected.keys().any(|request| request.contains(&said));
        assert!(asked, "{reason}: {expected:#?}");
    }
    for workers in ["1", "2", "4"] {
        for firing in ["arrival", "watermark"] {
            let how = ["--workers", workers, "--firing", firing];
            let found = requests(&place, log, &how, "final");
            assert_eq!(found, expected, "{workers} workers, on {firing}");
        }
        let found = requests(&place, log, &["--workers", workers], "changes");
        assert_eq!(found, expected, "{workers} workers, changes");
    }
    let text = std::fs::read_to_string(root().join(log)).expect("the log comes with the project");
    let (header, lines) = text.trim_end().split_once('\n').expect("a header");
    let mut lines: Vec<&str> = lines.lines().collect();
    lines.shuffle(&mut SmallRng::seed_from_u64(7));
    let shuffled = place.file("shuffled.csv", format!("{header}\n{}\n", lines.join("\n")));
    for mode in ["final", "changes"] {
        let found = requests(&place, &shuffled, &["--workers", "2"], mode);
        assert_eq!(found, expected, "shuffled, {mode}");
    }
}
