//! Results with something wrong in them, and results of which not all can be compared.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::*;

/// The rows of a result in JSON lines.
fn rows(small: &Small, name: &str) -> Vec<Map<String, Value>> {
    let text = fs::read_to_string(small.path(name)).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
    rows.collect()
}

fn write(small: &Small, name: &str, rows: &[Map<String, Value>]) {
    let lines = rows
        .iter()
        .map(|row| format!("{}\n", serde_json::to_string(row).unwrap()));
    fs::write(small.path(name), lines.collect::<String>()).unwrap();
}

/// Another value of the same type, as near as a difference may be and still count.
fn wrong(value: &Value) -> Value {
    match value {
        Value::Null => 7.into(),
        Value::Bool(truth) => (!truth).into(),
        Value::Number(number) if number.is_i64() => (number.as_i64().unwrap() + 1).into(),
        Value::Number(number) => (number.as_f64().unwrap() * (1.0 + 1e-8) + 1e-9).into(),
        Value::String(text) if text.ends_with('Z') => text.replace("2023", "2024").into(),
        Value::String(text) => format!("{text}?").into(),
        Value::Array(items) if items.is_empty() => Value::Null,
        Value::Array(items) => items[1..].into(),
        Value::Object(_) => Value::Null,
    }
}

#[test]
fn a_wrong_value_is_found_and_named_in_every_column() {
    let job = format!("{EVERY_OP}{}", sinks("jsonl", "final"));
    let small = Small::new(&job, PLAIN, 41, 800);
    small.run(1, Firing::OnWatermark);
    for (file, sink, identity) in [
        ("training.jsonl", "training", &["id"][..]),
        ("visits.jsonl", "visits", &["who", "start"]),
    ] {
        let mut all = rows(&small, file);
        let columns: Vec<String> = all[0].keys().cloned().collect();
        let mut planted = BTreeSet::new();
        let mut told = BTreeSet::new();
        let texts = ["first", "last", "channel", "last_any", "topics", "path"];
        for (index, column) in columns.iter().enumerate() {
            if identity.contains(&column.as_str()) {
                continue;
            }
            // A null of a text would become a number: another row has a value.
            let row = (index * 5 % all.len()..)
                .find(|row| !all[*row][column].is_null() || !texts.contains(&column.as_str()))
                .unwrap();
            let row = (row..)
                .find(|row| !planted.iter().any(|(other, _)| other == row))
                .unwrap();
            let value = all[row][column].clone();
            told.insert((all[row]["who"].as_str().unwrap().to_owned(), column.clone()));
            if column == "effort_long" {
                // Its terms cancel each other, so that it is only as exact as they are.
                let near = value.as_f64().unwrap();
                all[row].insert(column.clone(), (near + 1e-6).into());
            } else if value.is_null() && texts.contains(&column.as_str()) {
                all[row].insert(column.clone(), "else".into());
            } else {
                all[row].insert(column.clone(), wrong(&value));
            }
            planted.insert((row, column.clone()));
        }
        write(&small, file, &all);
        let options = VerifyOptions {
            examples: 1_000,
            ..VerifyOptions::default()
        };
        let report = verify(&small.job, &options).unwrap();
        let output = report
            .outputs
            .iter()
            .find(|output| output.sink == sink)
            .unwrap();
        let found = output
            .differences
            .iter()
            .map(|difference| match &difference.fault {
                Fault::Different { column, .. } => (difference.key.clone(), column.clone()),
                other => panic!("{other:?}: {report}"),
            });
        assert_eq!(found.collect::<BTreeSet<_>>(), told, "{report}");
        assert_eq!(output.different, planted.len() as u64, "{report}");
        assert_eq!(output.equal, output.expected - output.different);
    }
}

#[test]
fn rows_that_are_missing_or_too_many_are_told_by_key_and_time() {
    let job = format!("{EVERY_OP}{}", sinks("jsonl", "final"));
    let small = Small::new(&job, PLAIN, 42, 300);
    small.run(1, Firing::OnWatermark);
    let mut all = rows(&small, "visits.jsonl");
    let gone = all.remove(4);
    let twice = all[9].clone();
    all.push(twice.clone());
    write(&small, "visits.jsonl", &all);
    let report = small.verify();
    let visits = report
        .outputs
        .iter()
        .find(|output| output.sink == "visits")
        .unwrap();
    let counts = (visits.missing, visits.unexpected, visits.different);
    assert_eq!(counts, (1, 1, 0), "{report}");
    let told = |row: &Map<String, Value>, fault: Fault| Difference {
        key: row["who"].as_str().unwrap().to_owned(),
        time: row["start"].as_str().unwrap().to_owned(),
        fault,
    };
    let expected = [told(&gone, Fault::Missing), told(&twice, Fault::Unexpected)];
    assert_eq!(visits.differences, expected, "{report}");
    assert!(report.to_string().contains("the row is missing"));
}

#[test]
fn what_a_sink_selects_is_compared_whether_or_not_rows_can_be_told_apart() {
    let sinks = r#"
[sink.named]
from = "features.training"
format = "jsonl"
path = "DIR/named.jsonl"
select = ["id as event", "sum_20s * 2 as double", "bars_1m", "who"]

[sink.nameless]
from = "features.training"
format = "csv"
path = "DIR/nameless.csv"
select = ["who", "mean_20s", "n_1m as n"]

[sink.versions]
from = "sessions.visit"
format = "jsonl"
mode = "upserts"
path = "DIR/versions.jsonl"
select = ["who", "rows"]

[sink.long]
from = "sessions.visit"
format = "csv"
mode = "upserts"
path = "DIR/long.csv"
where = "rows > 1 and \"first\" is not null"
"#;
    let small = Small::new(&format!("{EVERY_OP}{sinks}"), PLAIN, 43, 500);
    let report = small.run(1, Firing::OnArrival).verify();
    assert_eq!(report.outputs.len(), 3, "{report}");
    assert!(report.outputs[0].expected > 20, "{report}");
    assert!(
        report
            .outputs
            .iter()
            .all(|output| output.equal == output.expected),
        "{report}"
    );
    // Which version of a session is the newest cannot be told without its start.
    assert_eq!(report.unchecked.len(), 1, "{report}");
    assert_eq!(report.unchecked[0].what, "versions (sessions.visit)");

    let mut text = fs::read_to_string(small.path("nameless.csv")).unwrap();
    let line = text.lines().nth(7).unwrap().to_owned();
    let changed = line
        .replacen("ann", "bob", 1)
        .replacen("cy", "bob", 1)
        .replacen("dee", "bob", 1);
    let changed = if changed == line {
        line.replacen("bob", "eve", 1)
    } else {
        changed
    };
    text = text.replacen(&line, &changed, 1);
    fs::write(small.path("nameless.csv"), text).unwrap();
    let report = small.verify();
    let nameless = report
        .outputs
        .iter()
        .find(|output| output.sink == "nameless")
        .unwrap();
    assert!(
        !nameless.agrees() && nameless.equal + 2 >= nameless.expected,
        "{report}"
    );
}

#[test]
fn what_cannot_be_compared_is_named_and_not_counted_as_equal() {
    let sinks = r#"
[sink.current]
from = "current.training"
format = "jsonl"
mode = "upserts"
path = "DIR/current.jsonl"

[sink.late]
from = "late.events"
format = "jsonl"
path = "DIR/late.jsonl"

[sink.absent]
from = "sessions.visit"
format = "parquet"
path = "DIR/absent.parquet"

[sink.training]
from = "features.training"
format = "parquet"
path = "DIR/parts/"

[sink.unsure]
from = "features.training"
format = "parquet"
path = "DIR/unsure.parquet"
where = "gap_1m > 2"
"#;
    let small = Small::new(&format!("{EVERY_OP}{sinks}"), PLAIN, 44, 500);
    small.run(1, Firing::OnWatermark);
    fs::remove_file(small.path("absent.parquet")).unwrap();
    let options = VerifyOptions {
        most_pairs: 300,
        ..VerifyOptions::default()
    };
    let report = verify(&small.job, &options).unwrap();
    let unchecked: Vec<&str> = report.unchecked.iter().map(|u| u.what.as_str()).collect();
    let named = [
        "current (current.training)",
        "late (raw rows)",
        "unsure (features.training)",
    ];
    assert_eq!(unchecked, named, "{report}");
    assert_eq!(report.missing.len(), 1, "{report}");
    assert_eq!(report.missing[0].what, "absent (sessions.visit)");
    assert!(!report.agrees(), "{report}");
    let text = report.to_string();
    assert!(text.contains("absent (sessions.visit) MISSING: there is no result at"));
    assert!(
        text.ends_with("\n1 agree, 1 missing, 3 not checked\n"),
        "{text}"
    );
    let [training] = &report.outputs[..] else {
        panic!("{report}")
    };
    assert!(training.agrees() && !report.is_complete(), "{report}");
    assert!(training.partly > 0 && training.equal > 0, "{report}");
    assert_eq!(
        training.partly + training.equal,
        training.expected,
        "{report}"
    );
    assert!(
        training.unchecked.iter().any(|u| u.what == "column gap_1m"),
        "{report}"
    );

    fs::remove_dir_all(small.path("parts")).unwrap();
    let report = small.verify();
    let mut outputs = report.outputs.iter();
    let training = outputs.find(|output| output.sink == "training").unwrap();
    assert!(training.expected > 0, "{report}");
    assert_eq!(training.missing, training.expected, "{report}");
}

#[test]
fn a_result_in_parts_without_a_row_has_no_part_and_agrees() {
    let sink = r#"
[sink.none]
from = "sessions.visit"
format = "jsonl"
path = "DIR/none-{part}.jsonl"
where = "rows > 1000000"
"#;
    let small = Small::new(&format!("{EVERY_OP}{sink}"), PLAIN, 46, 100);
    let report = small.run(1, Firing::OnWatermark).verify();
    assert!(report.agrees() && report.is_complete(), "{report}");
    assert!(report.to_string().ends_with("\n1 agree\n"), "{report}");
}

#[test]
fn a_damaged_result_is_an_error_that_names_it() {
    let job = format!("{EVERY_OP}{}", sinks("parquet", "final"));
    let small = Small::new(&job, PLAIN, 45, 200);
    small.run(1, Firing::OnWatermark);
    let whole = fs::read(small.path("visits.parquet")).unwrap();
    fs::write(small.path("visits.parquet"), &whole[..whole.len() / 2]).unwrap();
    let error = verify(&small.job, &VerifyOptions::default()).unwrap_err();
    assert!(error.to_string().contains("visits.parquet"), "{error}");
    fs::remove_file(small.path("events.jsonl")).unwrap();
    let error = verify(&small.job, &VerifyOptions::default()).unwrap_err();
    assert!(matches!(error, VerifyError::Source { .. }), "{error}");
}
