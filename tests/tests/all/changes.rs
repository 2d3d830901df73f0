//! The detectors of the catalogue's `changes.toml`, beside the changes that are known of its series.

use crate::program::{Place, root};

/// Each detector of the job with the known changes of its series, by row.
const SERIES: [(&str, &str, &[u64]); 6] = [
    ("quality", "adwin", &[97]),
    ("quality_cusum", "cusum", &[97]),
    (
        "running",
        "adwin, clock 1, delta 0.05",
        &[60, 96, 114, 174, 204, 240, 258, 317],
    ),
    ("passengers", "adwin", &[302]),
    ("errors", "adwin", &[5_000, 10_000, 15_000]),
    ("steady", "adwin", &[]),
];

/// Runs the job, and answers the rows at which each detector fired.
pub(crate) fn found(place: &Place) -> impl Fn(&str) -> Vec<u64> {
    place
        .tidegate(["replay", "jobs/catalog/changes.toml"])
        .run()
        .code(0);
    let read = |name: &str| place.read(&format!("out/changes/{name}.csv"));
    let all = SERIES.map(|(name, ..)| (name, read(name)));
    let all: Vec<(&str, String)> = all.into_iter().chain([("rain", read("rain"))]).collect();
    move |name| {
        let (_, text) = all
            .iter()
            .find(|(known, _)| *known == name)
            .expect("a detector");
        let drifts = text.lines().filter(|line| line.ends_with(",drift"));
        let row = |line: &str| line.split(',').nth(1).and_then(|row| row.parse().ok());
        drifts.map(|line| row(line).expect("a row")).collect()
    }
}

#[test]
fn changes_are_found_as_the_catalogue_says() {
    let place = Place::new();
    let found = found(&place);
    let told = std::fs::read_to_string(root().join("jobs/catalog/README.md")).expect("it is there");
    for (name, detector, known) in SERIES {
        let drifts = found(name);
        let until = |index: usize| known.get(index + 1).copied().unwrap_or(u64::MAX);
        let delays: Vec<u64> = (0..known.len())
            .filter_map(|index| {
                let first = drifts.iter().find(|row| **row >= known[index])?;
                (*first < until(index)).then(|| first - known[index])
            })
            .collect();
        let mean = match delays.len() {
            0 => "–".to_owned(),
            many => format!("{:.1}", delays.iter().sum::<u64>() as f64 / many as f64),
        };
        let (hits, missed) = (delays.len(), known.len() - delays.len());
        let line = format!(
            "| `{name}` | {detector} | {} | {hits} | {mean} | {missed} | {} |",
            known.len(),
            drifts.len() - hits
        );
        assert!(
            told.lines().any(|there| there == line),
            "the catalogue does not say\n{line}"
        );
    }
}

#[test]
fn values_that_a_detector_cannot_take_are_told() {
    let place = Place::new();
    let rows = (0..1_000).map(|row| {
        let level = if (7..10).contains(&row) { 1e300 } else { 1.0 };
        format!("{{\"at\": {row}, \"level\": {level:e}}}\n")
    });
    place.file("levels.jsonl", rows.collect::<String>());
    place.file("job.toml", LEVELS);
    let ended = place
        .tidegate(["replay", "job.toml", "--account", "account.json"])
        .run();
    ended.code(0).says(&[
        "1000 rows in = 1000 accepted",
        "detector.level: 3 values are too large for a detector",
    ]);
    let account: serde_json::Value =
        serde_json::from_str(&place.read("account.json")).expect("it is JSON");
    let level = serde_json::json!({ "too_late": 0, "too_large": 3 });
    assert_eq!(account["detectors"]["level"], level);
}

const LEVELS: &str = r#"
[job]
name = "levels"
event_time = "at"
lateness = "0s"

[source.readings]
format = "jsonl"
path = "levels.jsonl"
columns = { at = "timestamp_s", level = "f64" }

[detector.level]
from = "readings"
of = "level"
method = "page_hinkley"

[sink.changes]
from = "detector.level"
format = "csv"
path = "out/changes.csv"
"#;
