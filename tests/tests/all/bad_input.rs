//! Bad input and bad surroundings: no panic, nothing lost in silence, nothing half-written, the right exit code, and a
//! message that says what to do.

use std::io::Write;

use crate::answers::Answers;
use crate::program::{Ended, Place};
use crate::rows;

pub(crate) const JOB: &str = r#"
[job]
name = "bad"
event_time = "ts"
lateness = "1h"

[source.events]
format = "jsonl"
path = "events.jsonl"
dedupe = { key = "id", keep = "2h" }
columns = { id = "u64", who = "text", ts = "timestamp_ms", n = "i8?", x = "f64?", t = "text?" }

[entity.person]
key = "who"

[features.known]
from = "events"
at = "true"
add = [
  { name = "n", op = "sum", of = "n", windows = "1d" },
  { name = "x", op = "sum", of = "x", windows = "lifetime" },
  { name = "t", op = "last", of = "t", windows = "lifetime" },
]

[sessions.visit]
from = "events"
gap = "30m"

[sink.known]
from = "features.known"
format = "jsonl"
path = "out/known.jsonl"

[sink.visits]
from = "sessions.visit"
format = "parquet"
path = "out/visits.parquet"

[sink.rejects]
from = "rejects.events"
format = "jsonl"
path = "out/rejects.jsonl"

[sink.late]
from = "late.events"
format = "jsonl"
path = "out/late.jsonl"
"#;

/// A place with the job in it.
pub(crate) fn place() -> Place {
    let place = Place::new();
    place.file("job.toml", JOB);
    place
}

/// Runs the job over this file, in the format of its ending.
fn run(place: &Place, file: &str) -> Ended {
    let format = match file.split('.').nth(1) {
        Some("csv") => "csv",
        Some("parquet") => "parquet",
        _ => "jsonl",
    };
    let call = place
        .tidegate(["run", "job.toml"])
        .set("source.events.path", file);
    call.set("source.events.format", format).run()
}

fn account(accepted: u64, late: u64, rejected: u64) -> String {
    let rows = accepted + late + rejected;
    format!(
        "{rows} rows in = {accepted} accepted + 0 duplicate + {late} late + {rejected} rejected"
    )
}

/// Lines that are no rows, each with what is said of it.
const BAD_LINES: [(&[u8], &str); 22] = [
    (br#"{"id":2,"who":"a","#, "not JSON at byte 18"),
    (b"not json", "not JSON at byte 0"),
    (b"[]", "where an object"),
    (b"null", "where an object"),
    (b"{}", "is null or missing"),
    (
        b"{\"id\":3,\"who\":\"\xff\xfe\",\"ts\":1704067200000}",
        "not valid UTF-8",
    ),
    (
        br#"{"id":4,"who":"a\ud800","ts":1704067200000}"#,
        "surrogate",
    ),
    (
        b"{\"id\":5,\"who\":\"a\0\",\"ts\":1704067200000}",
        "not JSON",
    ),
    (
        br#"{"id":6,"id":7,"who":"a","ts":1704067200000}"#,
        "appears twice",
    ),
    (
        br#"{"id":null,"who":null,"ts":null,"n":null,"x":null,"t":null}"#,
        "is null or missing",
    ),
    (
        br#"{"id":8,"who":null,"ts":1704067200000}"#,
        "is null or missing",
    ),
    (br#"{"id":9,"who":"a","ts":null}"#, "is null or missing"),
    (
        br#"{"id":-1,"who":"a","ts":1704067200000}"#,
        "out of the range of u64",
    ),
    (
        br#"{"id":1180591620717411303424,"who":"a","ts":1704067200000}"#,
        "out of the range of u64",
    ),
    (
        br#"{"id":10,"who":"a","ts":1704067200000,"n":128}"#,
        "out of the range of i8",
    ),
    (
        br#"{"id":11,"who":"a","ts":1704067200000,"n":1.5}"#,
        "whole number",
    ),
    (
        br#"{"id":12,"who":"a","ts":1704067200000,"x":NaN}"#,
        "not JSON",
    ),
    (
        br#"{"id":13,"who":"a","ts":1704067200000,"x":1e999}"#,
        "1e999",
    ),
    (
        br#"{"id":14,"who":"a","ts":1704067200000,"x":1e300}"#,
        "does not fit a number with 6 decimals",
    ),
    (
        br#"{"id":15,"who":"a","ts":1704067200000,"x":"many"}"#,
        "not a number",
    ),
    (
        br#"{"id":16,"who":"a","ts":9223372036854775807}"#,
        "outside the years 0000 to 9999",
    ),
    (
        br#"{"id":17,"who":"a","ts":-62167219200001}"#,
        "outside the years 0000 to 9999",
    ),
];

#[test]
fn lines_that_are_no_rows_are_rejected_with_a_reason_and_the_others_count() {
    let place = place();
    let mut lines = br#"{"id":1,"who":"a","ts":1704067200000,"n":1,"x":1.5,"t":"x"}"#.to_vec();
    for (line, _) in BAD_LINES {
        lines.push(b'\n');
        lines.extend(line);
    }
    lines.extend(b"\n\n{\"id\":99,\"who\":\"a\",\"ts\":1704067200001}");
    place.file("events.jsonl", &lines);
    run(&place, "events.jsonl")
        .code(0)
        .says(&[&account(2, 0, BAD_LINES.len() as u64)]);
    let rejects = place.read("out/rejects.jsonl");
    assert_eq!(rejects.lines().count(), BAD_LINES.len());
    let row = |reject| serde_json::from_str::<serde_json::Value>(reject).expect("a JSON object");
    let mut rejects: Vec<_> = rejects.lines().map(row).collect();
    rejects.sort_by_key(|reject| reject["row"].as_u64());
    for (number, ((line, reason), reject)) in (2..).zip(BAD_LINES.iter().zip(&rejects)) {
        let line = String::from_utf8_lossy(line);
        assert_eq!(reject["row"], number, "{line}");
        assert_eq!(reject["file"], "events.jsonl");
        let told = reject["reason"].as_str().expect("a reason");
        assert!(told.contains(reason), "{line}: {told}");
    }
    assert_eq!(place.read("out/known.jsonl").lines().count(), 2);
}

#[test]
fn the_first_and_the_last_year_are_times_like_others() {
    let place = place();
    let lines = "{\"id\":1,\"who\":\"a\",\"ts\":-62167219200000}\n\
        {\"id\":2,\"who\":\"a\",\"ts\":253402300799999,\"x\":-0.0}\n\
        {\"id\":3,\"who\":\"a\",\"ts\":1704067200000}\n";
    place.file("events.jsonl", lines);
    for firing in ["arrival", "watermark"] {
        let ended = place
            .tidegate(["run", "job.toml", "--firing", firing])
            .run();
        ended.code(0).says(&[&account(2, 1, 0)]);
        let known = place.read("out/known.jsonl");
        assert!(known.contains(r#""ts":"0000-01-01T00:00:00Z""#), "{known}");
        assert!(
            known.contains(r#""ts":"9999-12-31T23:59:59.999Z""#),
            "{known}"
        );
        assert_eq!(
            Answers::parquet(&place.path("out/visits.parquet"))
                .rows
                .len(),
            2
        );
        assert!(place.read("out/late.jsonl").contains(r#""id":3"#));
    }
}

#[test]
fn a_line_of_a_hundred_megabytes_is_rejected_and_does_not_fill_the_memory() {
    let place = place();
    let mut lines = br#"{"id":1,"who":"a","ts":1704067200000,"t":""#.to_vec();
    lines.resize(100 << 20, b'x');
    lines.extend(b"\"}\n{\"id\":2,\"who\":\"a\",\"ts\":1704067200000}\n");
    place.file("events.jsonl", lines);
    let ended = place
        .tidegate(["run", "job.toml", "--account", "account.json"])
        .run();
    ended.code(0).says(&[&account(1, 0, 1)]);
    assert!(
        place
            .read("out/rejects.jsonl")
            .contains("the limit of one record")
    );
    let account: serde_json::Value =
        serde_json::from_str(&place.read("account.json")).expect("it is JSON");
    let peak = account["peak_memory_bytes"].as_u64().expect("a number");
    assert!(peak < 400 << 20, "{peak} bytes");
}

#[test]
fn delimited_text_that_does_not_fit_is_told() {
    let place = place();
    let rows = "id,who,ts,n,x,t\n1,a,1704067200000,1,nan,\n2,a,1704067200001,1,inf,a\n3,a,1704067200002\n\
        4,\u{feff}\u{1F600},1704067200003,,,\"a,\n\"\"b\"\n5,a,1704067200004,1,1,\"open\n";
    place.file("events.csv", rows);
    run(&place, "events.csv").code(0).says(&[&account(2, 0, 3)]);
    place.file(
        "twice.csv",
        "id,who,ts,n,x,t,who\n1,a,1704067200000,1,1,a,b\n",
    );
    run(&place, "twice.csv")
        .code(3)
        .says(&["`who` is 2 times in the header", "rename"]);
    place.file("less.csv", "id,ts\n1,1704067200000\n");
    run(&place, "less.csv")
        .code(3)
        .says(&["does not fit the declared columns", "who"]);
    place.file("empty.csv", "");
    run(&place, "empty.csv").code(0).says(&[&account(0, 0, 0)]);
}

#[test]
fn an_empty_file_has_no_rows_and_results_without_rows() {
    let place = place();
    place.file("events.jsonl", "");
    run(&place, "events.jsonl")
        .code(0)
        .says(&[&account(0, 0, 0)]);
    assert_eq!(
        place.list("out"),
        [
            "known.jsonl",
            "late.jsonl",
            "rejects.jsonl",
            "visits.parquet"
        ]
    );
    assert_eq!(
        Answers::parquet(&place.path("out/visits.parquet"))
            .rows
            .len(),
        0
    );
}

#[test]
fn what_cannot_be_opened_ends_the_run_before_it_begins() {
    let place = place();
    place.file("events.jsonl", "");
    std::fs::create_dir(place.path("folder")).expect("a folder");
    for (path, said) in [
        ("event.jsonl", "events.jsonl"),
        ("events.jsonl/inside", "cannot open"),
        ("folder", "holds no file ending in .jsonl"),
        ("*.jsonlines", "no input at"),
    ] {
        let ended = place
            .tidegate(["run", "job.toml"])
            .set("source.events.path", path)
            .run()
            .code(3);
        assert!(ended.stderr.contains(said), "{path}: {ended}");
        assert_eq!(place.list("out"), [""; 0]);
    }
}

#[test]
fn damaged_files_end_the_run_and_leave_earlier_results_alone() {
    let place = Place::new();
    let events = rows::events(3, 6_000, 50);
    rows::write_parquet(&rows::arrival(&events, 1), &place.path("whole.parquet"));
    place.file("limits.csv", rows::LIMITS);
    let whole = std::fs::read(place.path("whole.parquet")).expect("the file");
    let mut damaged = whole.clone();
    damaged[whole.len() / 2..whole.len() / 2 + 200].fill(0xA5);
    place.file("damaged.parquet", damaged);
    place.file("cut.parquet", &whole[..whole.len() - 100]);
    place.file("text.parquet", "no Parquet at all");
    place.file("nothing.parquet", "");
    let call = |file: &str| {
        let call = place.tidegate(["replay", "jobs/catalog/workload.toml"]);
        call.set("source.events.path", file)
            .set("source.limits.path", "limits.csv")
            .run()
    };
    call("whole.parquet").code(0);
    let results = place.list("out/workload");
    assert_eq!(
        results,
        ["q1.parquet", "q2.parquet", "q3.parquet", "q4.parquet"]
    );
    let before = std::fs::read(place.path("out/workload/q2.parquet")).expect("a result");
    for (file, said) in [
        ("damaged.parquet", "damaged in row group"),
        ("cut.parquet", "not a readable Parquet file"),
        ("text.parquet", "not a readable Parquet file"),
        ("nothing.parquet", "not a readable Parquet file"),
    ] {
        let ended = call(file).code(3).says(&[file]);
        assert!(ended.stderr.contains(said), "{ended}");
        assert_eq!(
            place.list("out/workload"),
            results,
            "{file} leaves something behind"
        );
        let after = std::fs::read(place.path("out/workload/q2.parquet")).expect("a result");
        assert!(before == after, "{file} changes an earlier result");
    }
}

#[test]
fn a_compressed_file_that_was_cut_is_an_error() {
    let place = place();
    let lines = rows::json_lines(&rows::events(3, 500, 5));
    let mut child = std::process::Command::new("gzip")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("gzip starts");
    let mut stdin = child.stdin.take().expect("its input");
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let packed = child.wait_with_output().expect("gzip ends").stdout;
    writer.join().expect("the writer ends").expect("gzip reads");
    place.file("events.jsonl.gz", &packed[..packed.len() / 2]);
    run(&place, "events.jsonl.gz")
        .code(3)
        .says(&["cannot read `events.jsonl.gz` past line"]);
    assert_eq!(place.list("out"), [""; 0], "nothing is half-written");
}

#[test]
fn results_that_cannot_be_written_end_the_run_and_no_other_result_appears() {
    let place = place();
    place.file(
        "events.jsonl",
        "{\"id\":1,\"who\":\"a\",\"ts\":1704067200000}\n",
    );
    place.file("file", "");
    for (path, said) in [
        ("/dev/full", "No space left on device"),
        ("file/known.jsonl", "file"),
    ] {
        let ended = place
            .tidegate(["run", "job.toml"])
            .set("sink.known.path", path)
            .run();
        let ended = ended.code(4).says(&["sink `known`"]);
        assert!(ended.stderr.contains(said), "{path}: {ended}");
        assert_eq!(place.list("out"), [""; 0], "{path}");
    }
    // Parquet is only written when it is finished: then the others are whole already.
    let ended = place
        .tidegate(["run", "job.toml"])
        .set("sink.visits.path", "/dev/full")
        .run();
    ended
        .code(4)
        .says(&["sink `visits`", "No space left on device"]);
    assert_eq!(place.list("out"), [""; 0]);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = place();
    place.file(
        "events.jsonl",
        rows::json_lines(&rows::events(1, 2_000, 20)),
    );
    let call = place
        .tidegate([
            "run",
            "jobs/catalog/repeat-contact-rescue.toml",
            "--quiet",
            "--only",
            "visits",
        ])
        .set("source.events.path", "events.jsonl")
        .set("sink.visits.format", "jsonl")
        .set("sink.visits.path", "-");
    let mut child = call.start();
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("it ends");
    Ended::of("a pipe that nobody reads".to_owned(), ended).code(0);
}

/// Two texts of one hash.
const TWINS: [&str; 2] = ["pgkamhmpdnoancdo", "dbfidnmojloelnci"];

#[test]
fn two_texts_that_cannot_be_told_apart_end_the_run_with_both_named() {
    let place = place();
    let [one, other] = TWINS;
    let rows = format!(
        "{{\"id\":1,\"who\":\"a\",\"ts\":1704067200000,\"t\":\"{one}\"}}\n\
         {{\"id\":2,\"who\":\"{one}\",\"ts\":1704067200000,\"t\":\"{other}\"}}\n"
    );
    place.file("events.jsonl", rows);
    let ended = run(&place, "events.jsonl").code(3);
    ended.says(&[
        "source `events`: the texts `pgkamhmpdnoancdo` and `dbfidnmojloelnci` have the same 64-bit hash",
        "give one of them another name",
    ]);
    assert_eq!(place.list("out"), [""; 0]);
    // As keys they are told apart.
    let row =
        |id: u64, who: &str| format!("{{\"id\":{id},\"who\":\"{who}\",\"ts\":1704067200000}}\n");
    place.file("events.jsonl", row(1, one) + &row(2, other));
    run(&place, "events.jsonl")
        .code(0)
        .says(&[&account(2, 0, 0)]);
    let known = place.read("out/known.jsonl");
    assert!(TWINS.iter().all(|who| known.contains(who)), "{known}");
}
