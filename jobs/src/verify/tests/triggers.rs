//! Triggers at anchors, with tables looked up by segment, feature and key, cooldowns and hold-outs.

use super::*;

const JOB: &str = r#"
[source.limits]
format = "changelog_csv"
path = "DIR/limits.csv"
key = ["segment"]
columns = { ts = "timestamp_ms", segment = "text", most = "i64?", weight = "f64?", off = "bool?" }
delete_when = "off"

[source.consent]
format = "changelog_csv"
path = "DIR/consent.csv"
key = ["who"]
columns = { ts = "timestamp_ms", who = "text", given = "bool" }

[source.areas]
format = "changelog_csv"
path = "DIR/areas.csv"
key = ["topic_1m"]
columns = { ts = "timestamp_ms", topic_1m = "text", area = "text" }

[features.risk]
from = "events"
at = "kind = 'contact'"
add = [
  { name = "contacts", op = "count", where = "kind = 'contact'", windows = ["1m"] },
  { name = "topic", op = "last", of = "topic", windows = ["1m"] },
  { name = "effort", op = "mean", of = "secs", windows = ["1m"] },
  { name = "since", op = "time_since_last", windows = ["1m"] },
  { name = "path", op = "last_k", k = 3, of = "kind", windows = ["1m"] },
]

[features.before]
from = "events"
bounds = "closed_open"
add = [{ name = "seen", op = "count", windows = ["1m"] }]

[trigger.often]
on = ["risk", "before", "limits", "consent", "areas"]
at = "anchors"
segment = "case when areas.area = 'north' then 'cold' when effort_1m > 3 then 'hard' else 'plain' end"
when = "contacts_1m * coalesce(limits.weight, 1.0) >= limits.most and consent.given"
cooldown = "COOLDOWN"
HOLDOUT
action = "call"
explain = ["contacts_1m", "limits.most as most", "seen_1m", "area", "since_1m", "segment as again"]

[trigger.bare]
on = "risk"
at = "anchors"
when = "contacts_1m >= 2 and (topic_1m in ('t1', 't2') or since_1m is null)"

[trigger.changing]
on = "risk"
when = "contacts_1m >= 2"

[trigger.by_zero]
on = "risk"
at = "anchors"
when = "8 / (contacts_1m - 1) > 3"

[sink.often]
from = "trigger.often"
format = "FORMAT"
mode = "MODE"
path = "DIR/often"

[sink.bare]
from = "trigger.bare"
format = "jsonl"
path = "DIR/bare.jsonl"

[sink.changing]
from = "trigger.changing"
format = "jsonl"
path = "DIR/changing.jsonl"

[sink.by_zero]
from = "trigger.by_zero"
format = "jsonl"
path = "DIR/by_zero.jsonl"
"#;

/// Changelogs whose versions are out of order, at equal times, deleted, and null.
fn changelogs(small: &Small, seed: u64) {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut limits = "ts,segment,most,weight,off\n".to_owned();
    let mut consent = "ts,who,given\n".to_owned();
    let mut areas = "ts,topic_1m,area\n".to_owned();
    let mut ts = 1_699_999_000_000_i64;
    for round in 0..60 {
        let segment = ["cold", "hard", "plain"][dice.random_range(0..3)];
        let most = ["1", "1", "2", "1", "3", ""][dice.random_range(0..6)];
        let weight = ["0.75", "1.25", ""][dice.random_range(0..3)];
        let off = ["true", "false", "", "", "", ""][dice.random_range(0..6)];
        limits.push_str(&format!("{ts},{segment},{most},{weight},{off}\n"));
        let who = ["ann", "bob", "cy", "dee"][dice.random_range(0..4)];
        let given = if round < 6 {
            true
        } else {
            dice.random_range(0..3) > 0
        };
        consent.push_str(&format!("{},{who},{given}\n", ts - 500_000));
        let (topic, area) = (
            dice.random_range(0..5),
            ["north", "south"][dice.random_range(0..2)],
        );
        areas.push_str(&format!("{ts},t{topic},{area}\n"));
        ts += [0, 0, 20_000, 500_000, -10_000][dice.random_range(0..5)];
    }
    for (name, text) in [("limits", limits), ("consent", consent), ("areas", areas)] {
        fs::write(small.path(&format!("{name}.csv")), text).unwrap();
    }
}

fn agrees(seed: u64, mode: &str, format: &str, cooldown: &str, holdout: &str) -> VerifyReport {
    let changes = [
        ("COOLDOWN", cooldown),
        ("HOLDOUT", holdout),
        ("MODE", mode),
        ("FORMAT", format),
    ];
    let small = Small::new(JOB, &[&changes[..], PLAIN].concat(), seed, 1_200);
    changelogs(&small, seed);
    let firing = match mode {
        "final" => Firing::OnWatermark,
        _ => Firing::OnArrival,
    };
    let report = small.run(1, firing).verify();
    assert!(report.agrees(), "seed {seed}\n{report}");
    let unchecked: Vec<&str> = report.unchecked.iter().map(|u| u.what.as_str()).collect();
    let named = ["by_zero (trigger.by_zero)", "changing (trigger.changing)"];
    assert_eq!(unchecked, named, "{report}");
    let sinks: Vec<&str> = report
        .outputs
        .iter()
        .map(|output| output.sink.as_str())
        .collect();
    assert_eq!(sinks, ["bare", "often"], "{report}");
    for output in &report.outputs {
        assert!(output.expected > 20, "too few rows: {report}");
    }
    report
}

#[test]
fn triggers_at_anchors_agree_with_a_run() {
    for (seed, mode, format, cooldown) in [
        (51, "final", "jsonl", "0s"),
        (52, "final", "parquet", "90s"),
        (53, "changes", "jsonl", "4s"),
        (54, "upserts", "csv", "250ms"),
    ] {
        let report = agrees(seed, mode, format, cooldown, "");
        for output in &report.outputs {
            assert_eq!(output.equal, output.expected, "seed {seed}\n{report}");
        }
    }
}

#[test]
fn who_is_held_out_is_not_checked() {
    let holdout = "holdout = { salt = \"s\", percent = 50 }";
    let report = agrees(55, "final", "jsonl", "1s", holdout);
    let often = &report.outputs[1];
    assert_eq!((often.equal, often.partly), (0, often.expected), "{report}");
    let columns: Vec<&str> = often.unchecked.iter().map(|u| u.what.as_str()).collect();
    assert_eq!(columns, ["column arm", "column action"]);
}
