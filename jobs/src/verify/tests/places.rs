//! Where rows come from and when: several sources and entities, units of time, stretches of a replay.

use tidegate_schemas::time::EventTime;

use super::*;

const TWO_SOURCES: &str = r#"
[source.calls]
format = "csv"
path = "DIR/calls.csv"
event_time = "begun"
DEDUPE
columns = { id = "u64", who = "text", begun = "timestamp_UNIT", kind = "text", n = "i32?", secs = "f64?", "DeskNo" = "i16" }

[entity.desk]
key = "DeskNo"

[features.both]
from = ["events", "calls"]
entity = "customer"
at = "kind = 'contact'"
add = [
  { name = "rows", op = "count", windows = ["1m", "lifetime"] },
  { name = "sum", op = "sum", of = "secs", windows = ["1m"] },
  { name = "lasts", op = "last_k", k = 3, of = "n", windows = ["1m"] },
]

[features.calls_only]
from = "calls"
entity = "customer"
at = "secs > 2 or DeskNo = 1"
add = [
  { name = "rows", op = "count", windows = ["1m"] },
  { name = "kinds", op = "count_distinct", of = "kind", windows = ["lifetime"] },
]

[sessions.duty]
from = "calls"
entity = "desk"
gap = "20s"
add = [{ name = "callers", op = "count_distinct", of = "who" }]

[sink.both]
from = "features.both"
format = "jsonl"
path = "DIR/both.jsonl"

[sink.calls_only]
from = "features.calls_only"
format = "parquet"
path = "DIR/calls_only.parquet"

[sink.duty]
from = "sessions.duty"
format = "csv"
path = "DIR/duty.csv"
"#;

/// Rows of the second source, in a unit of which `per_second` make a second.
fn calls(small: &Small, seed: u64, per_second: i64) {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut text = "id,who,begun,kind,n,secs,DeskNo\n".to_owned();
    let mut millis = 1_700_000_000_000_i64;
    for id in 0..400 {
        millis += [0, 1_000, 7_000, 25_000][dice.random_range(0..4)];
        let begun = millis - [0, 0, 0, 2_000, 50_000][dice.random_range(0..5)];
        let begun = i128::from(begun) * i128::from(per_second) / 1_000;
        let who = ["ann", "bob", "cy"][dice.random_range(0..3)];
        let kind = ["contact", "view"][dice.random_range(0..2)];
        let n = ["", "1", "2", "-3"][dice.random_range(0..4)];
        let secs = ["", "1.25", "2.125", "0.1"][dice.random_range(0..4)];
        let desk = dice.random_range(0..3);
        let line = format!(
            "{},{who},{begun},{kind},{n},{secs},{desk}\n",
            id + 1_000_000
        );
        text.push_str(&line);
        if dice.random_range(0..10) == 0 {
            text.push_str(&line);
        }
    }
    fs::write(small.path("calls.csv"), text).unwrap();
}

#[test]
fn sources_and_entities_may_be_several_and_times_in_any_unit() {
    for (seed, unit, per_second) in [
        (61, "s", 1),
        (62, "ms", 1_000),
        (63, "us", 1_000_000),
        (64, "ns", 1_000_000_000),
    ] {
        let changes = [("timestamp_UNIT", format!("timestamp_{unit}"))];
        let changes: Vec<(&str, &str)> = changes.iter().map(|(a, b)| (*a, b.as_str())).collect();
        let all = [&changes[..], PLAIN].concat();
        let small = Small::new(TWO_SOURCES, &all, seed, 500);
        calls(&small, seed, per_second);
        let report = small.run(2, Firing::OnWatermark).verify();
        assert!(report.agrees() && report.is_complete(), "{unit}\n{report}");
        assert_eq!(report.outputs.len(), 3, "{unit}\n{report}");
        for output in &report.outputs {
            assert!(output.equal > 20, "{unit}: too few rows\n{report}");
        }
    }
}

#[test]
fn a_stretch_is_verified_as_a_stretch() {
    let job = format!("{EVERY_OP}{}", sinks("parquet", "final"));
    let small = Small::new(&job, PLAIN, 71, 600);
    let stretch = Stretch {
        from: EventTime(1_700_000_300_000_000),
        to: EventTime(1_700_001_200_000_000),
    };
    small.run_stretch(1, Firing::OnWatermark, stretch);
    let options = VerifyOptions {
        stretch,
        ..VerifyOptions::default()
    };
    let report = verify(&small.job, &options).unwrap();
    agreed(&report, "a stretch");
    assert!(!small.verify().agrees(), "all of time has more rows");
}
