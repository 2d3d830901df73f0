//! Rows that an expression of the job cannot be computed for cost a reject each, and nothing else: the
//! answers are those to the same input without them.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt64Array,
};
use parquet::arrow::ArrowWriter;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::answers::Answers;
use crate::program::{Call, Place};
use crate::rows::{HOUR, START};

const JOB: &str = r#"
[job]
name = "uncomputed"
event_time = "ts"
lateness = "1h"

[source.events]
format = "jsonl"
path = "events.jsonl"
columns = { id = "u64", who = "text", site = "text", ts = "timestamp_ms", a = "i64", b = "i64", t = "text?" }
dedupe = { key = "id", keep = "2h" }
expect = ["100 / a > 0"]

[source.limits]
format = "changelog_csv"
path = "limits.csv"
key = ["half"]
columns = { ts = "timestamp", half = "i64", least = "i64", n = "i64" }
delete_when = "6 / n > 5"

[entity.person]
key = "who"

[entity.place]
key = "site"

[features.known]
from = "events"
entity = "person"
at = "b <> 0 and 1000 / b > 20"
add = [
  { name = "parts", op = "sum", of = "1000 / b", windows = "1d" },
  { name = "high", op = "count", where = "cast(t as bigint) > 5", windows = "1d" },
  { name = "half", op = "last", of = "a % 2", windows = "lifetime" },
]

[features.site]
from = "events"
entity = "place"
at = "true"
add = [
  { name = "apart", op = "sum", of = "7 / (a - b)", windows = "1d" },
  { name = "both", op = "max", of = "cast(t as bigint) + a", windows = "1d" },
]

[trigger.enough]
on = ["known", "limits"]
at = "anchors"
segment = "half"
when = "parts_1d >= limits.least"

[sink.known]
from = "features.known"
format = "parquet"
path = "out/known.parquet"

[sink.site]
from = "features.site"
format = "parquet"
path = "out/site.parquet"

[sink.enough]
from = "trigger.enough"
format = "parquet"
path = "out/enough.parquet"

[sink.rejects]
from = "rejects.events"
format = "jsonl"
path = "out/rejects.jsonl"

[sink.unlimited]
from = "rejects.limits"
format = "jsonl"
path = "out/unlimited.jsonl"
"#;

const RESULTS: [&str; 3] = ["known", "site", "enough"];

const LIMITS: &str = "ts,half,least,n\n2024-01-01T00:00:00Z,0,90,3\n2024-01-01T00:00:00Z,1,150,3\n\
    BAD2024-01-01T02:00:00Z,1,40,2\n2024-01-01T04:00:00Z,0,0,1\n";
/// A version that nobody can say of whether it removes the row.
const BAD_LIMIT: &str = "2024-01-01T01:30:00Z,1,1,0\n";

/// What keeps a row from being computed: the expression, its key, and the values that it reads.
const BAD: [[&str; 3]; 4] = [
    ["100 / a > 0", "source.events.expect[0]", "a = 0"],
    ["1000 / b", "features.known.add[0].of", "b = 0"],
    [
        "cast(t as bigint) > 5",
        "features.known.add[1].where",
        "t = many",
    ],
    ["7 / (a - b)", "features.site.add[0].of", "a = 9, b = 9"],
];

/// What a reject is told to be wrong with; the line is that of the expression.
fn told([expression, key, values]: [&str; 3]) -> String {
    let stands = |line: &str| line.contains(&format!("\"{expression}\""));
    let line = 1 + JOB.lines().position(stands).expect("a line of the job");
    format!("`{expression}` ({key}, job.toml:{line}) cannot be computed, where {values}: ")
}

#[derive(Clone)]
struct Row {
    id: u64,
    who: String,
    site: String,
    ts: i64,
    a: i64,
    b: i64,
    t: Option<String>,
    /// Which of [`BAD`] it is, if any.
    bad: Option<usize>,
}

/// Rows in an order of arrival in which none is late.
fn rows(seed: u64, count: i64) -> Vec<Row> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut row = |number: i64| {
        let mut row = Row {
            id: number as u64,
            who: format!("p{}", random.random_range(0..40)),
            site: format!("s{}", random.random_range(0..10)),
            ts: START + number * 6 * HOUR / count - random.random_range(0..HOUR / 2),
            a: random.random_range(1..9),
            b: random.random_range(10..99),
            t: (random.random_range(0..9) > 0).then(|| random.random_range(0..12).to_string()),
            bad: random
                .random_bool(0.1)
                .then(|| random.random_range(0..BAD.len())),
        };
        match row.bad {
            Some(0) => row.a = 0,
            Some(1) => row.b = 0,
            Some(2) => row.t = Some("many".to_owned()),
            Some(_) => (row.a, row.b) = (9, 9),
            None => {}
        }
        // With the id of the row behind it, which is no duplicate then.
        row.id += u64::from(row.bad.is_some());
        row
    };
    (0..count).map(&mut row).collect()
}

/// Writes the rows as `events.jsonl` and `events.parquet`.
fn write(place: &Place, rows: &[Row]) {
    let mut lines = String::new();
    for row in rows {
        let t = row
            .t
            .as_ref()
            .map_or("null".to_owned(), |t| format!("\"{t}\""));
        let Row {
            id,
            who,
            site,
            ts,
            a,
            b,
            ..
        } = row;
        lines += &format!(
            r#"{{"id":{id},"who":"{who}","site":"{site}","ts":{ts},"a":{a},"b":{b},"t":{t}}}"#
        );
        lines.push('\n');
    }
    place.file("events.jsonl", lines);
    let text = |of: fn(&Row) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    let number = |of: fn(&Row) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(of)))
    };
    let ids = UInt64Array::from_iter_values(rows.iter().map(|row| row.id));
    let times = TimestampMillisecondArray::from_iter_values(rows.iter().map(|row| row.ts));
    let columns: [(&str, ArrayRef); 7] = [
        ("id", Arc::new(ids)),
        ("who", text(|row| Some(&row.who))),
        ("site", text(|row| Some(&row.site))),
        ("ts", Arc::new(times)),
        ("a", number(|row| row.a)),
        ("b", number(|row| row.b)),
        ("t", text(|row| row.t.as_deref())),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let file = File::create(place.path("events.parquet")).expect("a file for the test");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    // Row groups that end elsewhere than the batches of the lines.
    for start in (0..batch.num_rows()).step_by(700) {
        let rows = (batch.num_rows() - start).min(700);
        writer
            .write(&batch.slice(start, rows))
            .expect("rows are written");
        writer.flush().expect("a row group is written");
    }
    writer.close().expect("the file is whole");
}

fn job(place: &Place, verb: &[&str], format: &str, workers: usize) -> Call {
    let arguments = verb.iter().copied().chain(["job.toml"]);
    let call = place
        .tidegate(arguments)
        .arg("--workers")
        .arg(workers.to_string());
    call.set("source.events.format", format)
        .set("source.events.path", format!("events.{format}"))
}

fn answers(place: &Place) -> Vec<Answers> {
    let answer = |name: &&str| Answers::parquet(&place.path(&format!("out/{name}.parquet")));
    RESULTS.iter().map(answer).collect()
}

/// The rejects that were written, by row: its number and what is wrong.
fn rejects(place: &Place, file: &str) -> Vec<(u64, String)> {
    let read = |line: &str| {
        let reject: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
        let number = reject["row"].as_u64().expect("a number");
        (
            number,
            reject["reason"].as_str().expect("a reason").to_owned(),
        )
    };
    let mut rejects: Vec<_> = place.read(file).lines().map(read).collect();
    rejects.sort();
    rejects
}

#[test]
fn they_are_rejects_and_the_answers_are_as_without_them() {
    let all = rows(11, 6_000);
    let sound: Vec<Row> = all
        .iter()
        .filter(|row| row.bad.is_none())
        .cloned()
        .collect();
    let bad = all.len() - sound.len();
    let without = Place::new();
    without.file("job.toml", JOB);
    without.file("limits.csv", LIMITS.replace("BAD", ""));
    write(&without, &sound);
    let ended = job(&without, &["replay"], "parquet", 1).run().code(0);
    let account = ended.stderr.lines().next().unwrap_or_default().to_owned();
    let expected = answers(&without);
    assert!(
        expected.iter().all(|answers| answers.rows.len() > 50),
        "{ended}"
    );

    let place = Place::new();
    place.file("job.toml", JOB);
    place.file("limits.csv", LIMITS.replace("BAD", BAD_LIMIT));
    write(&place, &all);
    // The accepted and the duplicates are those of the run without them.
    let (_, kept) = account.split_once('=').expect("an account");
    let kept = kept.replace("0 rejected", &format!("{} rejected", bad + 1));
    for format in ["jsonl", "parquet"] {
        for workers in [1, 2] {
            for verb in [&["replay"][..], &["run", "--firing", "arrival"]] {
                let case = format!("{verb:?}, {format}, {workers} workers");
                let ended = job(&place, verb, format, workers).run().code(0);
                let account = format!("{} rows in ={kept}", all.len() + 5);
                let ended = ended.says(&[&account]);
                for (found, expected) in answers(&place).iter().zip(&expected) {
                    found.assert_same(expected, &format!("{case}\n{ended}"));
                }
                let first = u64::from(format == "jsonl");
                let numbered = all
                    .iter()
                    .zip(first..)
                    .filter_map(|(row, n)| Some((n, row.bad?)));
                let rejects = rejects(&place, "out/rejects.jsonl");
                assert_eq!(rejects.len(), bad, "{case}");
                for ((number, reason), (row, bad)) in rejects.iter().zip(numbered) {
                    assert_eq!(*number, row, "{case}: {reason}");
                    assert!(reason.starts_with(&told(BAD[bad])), "{case}: {reason}");
                }
            }
        }
    }
    let told = told(["6 / n > 5", "source.limits.delete_when", "n = 0"]);
    let rejects = rejects(&place, "out/unlimited.jsonl");
    assert_eq!(rejects.len(), 1);
    assert!(rejects.iter().all(|(_, reason)| reason.starts_with(&told)));
    let verified = place.tidegate(["verify", "job.toml"]).run().code(0);
    assert!(verified.stdout.contains("known"), "{verified}");
    let most = job(&place, &["replay", "--max-rejects", "5"], "jsonl", 2);
    most.run().code(1).says(&["--max-rejects 5"]);
}

#[test]
fn an_output_that_cannot_be_computed_ends_the_run_with_its_key_and_values() {
    let place = Place::new();
    let (before, after) = JOB.split_once("[sink.rejects]").expect("a sink");
    for (key, expression, told, remedy) in [
        (
            "select",
            r#"["site", "1 / (apart_1d - apart_1d) as never"]"#,
            "sink `broken`: select[1]: `1 / (apart_1d - apart_1d) as never` cannot be computed, where apart_1d = ",
            ": division by zero; divide by `nullif(..., 0)` to get null",
        ),
        (
            "where",
            r#""cast(who as bigint) > 0""#,
            "sink `broken`: where: `cast(who as bigint) > 0` cannot be computed, where who = p",
            "; use `try_cast` to get null",
        ),
    ] {
        let from = if key == "where" { "known" } else { "site" };
        let broken = format!(
            "[sink.broken]\nfrom = \"features.{from}\"\nformat = \"jsonl\"\npath = \"out/broken.jsonl\"\n{key} = {expression}\n"
        );
        place.file(
            "job.toml",
            format!("{before}{broken}\n[sink.rejects]{after}"),
        );
        place.file("limits.csv", LIMITS.replace("BAD", ""));
        write(&place, &rows(12, 500));
        let ended = job(&place, &["replay"], "jsonl", 2).run().code(4);
        ended.says(&[told, remedy]);
        assert_eq!(place.list("out"), [""; 0]);
    }
}

/// Rows at the edges of what whole numbers can be, and one in the middle.
const EDGES: &str = "id,who,ts,a,b,s,u\n\
    1,low,2024-01-01T00:00:00Z,-9223372036854775808,-1,-128,0\n\
    2,high,2024-01-01T00:00:01Z,9223372036854775807,2,127,18446744073709551615\n\
    3,mid,2024-01-01T00:00:02Z,3,2,5,7\n";

const OVERFLOWING: &str = r#"
[job]
name = "edges"
event_time = "ts"

[source.events]
format = "csv"
path = "edges.csv"
columns = { id = "u64", who = "text", ts = "timestamp", a = "i64", b = "i64", s = "i8", u = "u64" }

[entity.who]
key = "who"

[features.f]
from = "events"
at = "true"
add = [{ name = "x", op = "last", of = "VALUE", windows = "lifetime" }]

[sink.f]
from = "features.f"
format = "csv"
path = "out/f.csv"
select = ["who", "x"]

[sink.rejects]
from = "rejects.events"
format = "csv"
path = "out/rejects.csv"
select = ["row", "reason"]
"#;

#[test]
fn whole_numbers_that_overflow_are_rejects_and_never_wrap_around() {
    let place = Place::new();
    place.file("edges.csv", EDGES);
    // What is computed, what overflows in the first row and the second, and what there is instead of that.
    for (value, overflows, rest) in [
        (
            "a + b",
            ["-9223372036854775808 + -1", "9223372036854775807 + 2"],
            ["", "", "5"],
        ),
        (
            "a * b",
            ["-9223372036854775808 * -1", "9223372036854775807 * 2"],
            ["", "", "6"],
        ),
        (
            "a / b",
            ["-9223372036854775808 / -1", ""],
            ["", "4611686018427387903", "1"],
        ),
        (
            "0 - a",
            ["0 - -9223372036854775808", ""],
            ["", "-9223372036854775807", "-3"],
        ),
        ("-s", ["0 - -128", ""], ["", "-127", "-5"]),
        ("s + s", ["-128 + -128", "127 + 127"], ["", "", "10"]),
        (
            "u + u",
            ["", "18446744073709551615 + 18446744073709551615"],
            ["0", "", "14"],
        ),
        (
            "case when id < 3 then a - 1 + b - b else a end",
            ["-9223372036854775808 - 1", "9223372036854775806 + 2"],
            ["", "", "3"],
        ),
    ] {
        for verb in ["run", "replay"] {
            place.file("job.toml", OVERFLOWING.replace("VALUE", value));
            place.tidegate([verb, "job.toml"]).run().code(0);
            let rejects = place.read("out/rejects.csv");
            let known = place.read("out/f.csv");
            for (row, (overflow, rest)) in ["low", "high", "mid"]
                .iter()
                .zip(overflows.iter().chain([&""]).zip(rest))
            {
                let line = known
                    .lines()
                    .find(|line| line.starts_with(&format!("{row},")));
                match overflow.is_empty() {
                    true => assert_eq!(line, Some(&*format!("{row},{rest}")), "{value}\n{rejects}"),
                    false => {
                        assert_eq!(line, None, "{value}");
                        let reason = format!("{overflow} overflows; cast to double first");
                        assert!(rejects.contains(&reason), "{value}: {reason}\n{rejects}");
                        assert!(rejects.contains(&format!("`{value}` (features.f.add[0].of, job.toml:17) cannot be computed, where ")));
                    }
                }
            }
            let overflowing = overflows.iter().filter(|told| !told.is_empty()).count();
            assert_eq!(
                rejects.lines().count(),
                1 + overflowing,
                "{value}: {rejects}"
            );
        }
    }
    // What overflows whatever the row is a mistake in the job.
    place.file(
        "job.toml",
        OVERFLOWING.replace("VALUE", "s + 9223372036854775807 + 1 * 2"),
    );
    place.tidegate(["run", "job.toml"]).run().code(0);
    place.file(
        "job.toml",
        OVERFLOWING.replace("VALUE", "9223372036854775807 + 1 + s"),
    );
    let ended = place.tidegate(["check", "job.toml"]).run().code(2);
    ended.says(&["job.toml:17:40: in `9223372036854775807 + 1 + s`, over the rows of events: 9223372036854775807 + 1 overflows"]);
}
