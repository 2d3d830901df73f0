//! Modes: what a reader of each sees when answers are taken back.

use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMillisecondType, UInt64Type};

use super::*;

/// What a reader of a Parquet file sees: key, start, rows, tick or version, diff or status.
fn seen(batch: &RecordBatch) -> Vec<(String, i64, i64, u64, String)> {
    let last = batch.column(4);
    (0..batch.num_rows())
        .map(|row| {
            let mark = match last.as_primitive_opt::<Int32Type>() {
                Some(diffs) => format!("{:+}", diffs.value(row)),
                None => last.as_string::<i32>().value(row).to_owned(),
            };
            (
                batch.column(0).as_string::<i32>().value(row).to_owned(),
                batch
                    .column(1)
                    .as_primitive::<TimestampMillisecondType>()
                    .value(row),
                batch.column(2).as_primitive::<Int64Type>().value(row),
                batch.column(3).as_primitive::<UInt64Type>().value(row),
                mark,
            )
        })
        .collect()
}

fn in_mode(mode: Mode, blocks: Vec<Rows>) -> RecordBatch {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("visits.parquet");
    write(&spec(&path, Format::Parquet, mode), blocks).expect("it is written");
    read_parquet(&path)
}

fn row(key: &str, start: i64, rows: i64, tick: u64, mark: &str) -> (String, i64, i64, u64, String) {
    (key.to_owned(), start, rows, tick, mark.to_owned())
}

/// Ticks in which a visit grows, one appears and goes again, one is split, and one vanishes.
fn story() -> Vec<Rows> {
    vec![
        visit_rows(&[("a", 10, 1, 1), ("b", 10, 4, 1), ("z", 5, 5, 1)]),
        visit_rows(&[
            ("a", 10, 1, -1),
            ("a", 10, 2, 1),
            ("a", 10, 2, -1),
            ("a", 10, 3, 1),
        ]),
        visit_rows(&[("c", 1, 1, 1), ("c", 1, 1, -1)]),
        visit_rows(&[("b", 10, 4, -1), ("b", 10, 2, 1), ("b", 30, 2, 1)]),
        visit_rows(&[("z", 5, 5, -1)]),
    ]
}

#[test]
fn changes_show_every_difference_that_is_left_at_the_end_of_its_tick() {
    let expected = [
        row("a", 10, 1, 0, "+1"),
        row("b", 10, 4, 0, "+1"),
        row("z", 5, 5, 0, "+1"),
        row("a", 10, 1, 1, "-1"),
        row("a", 10, 3, 1, "+1"),
        row("b", 10, 4, 3, "-1"),
        row("b", 10, 2, 3, "+1"),
        row("b", 30, 2, 3, "+1"),
        row("z", 5, 5, 4, "-1"),
    ];
    assert_eq!(seen(&in_mode(Mode::Changes, story())), expected);
}

#[test]
fn upserts_show_the_newest_row_of_each_identity() {
    let expected = [
        row("a", 10, 1, 0, "live"),
        row("b", 10, 4, 0, "live"),
        row("z", 5, 5, 0, "live"),
        row("a", 10, 3, 1, "live"),
        row("b", 10, 2, 3, "live"),
        row("b", 30, 2, 3, "live"),
        row("z", 5, 5, 4, "retracted"),
    ];
    assert_eq!(seen(&in_mode(Mode::Upserts, story())), expected);
}

#[test]
fn where_keeps_rows_out_and_takes_back_versions_that_do_not_satisfy_it_any_more() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("visits.parquet");
    let seen_in = |mode, blocks: Vec<Rows>| {
        let spec = SinkSpec {
            filter: Some("rows <> 1 and start < timestamp '1970-01-01T00:00:00.030'".to_owned()),
            ..spec(&path, Format::Parquet, mode)
        };
        write(&spec, blocks).expect("it is written");
        read_parquet(&path)
    };
    let changes = [
        row("b", 10, 4, 0, "+1"),
        row("z", 5, 5, 0, "+1"),
        row("a", 10, 3, 1, "+1"),
        row("b", 10, 4, 3, "-1"),
        row("b", 10, 2, 3, "+1"),
        row("z", 5, 5, 4, "-1"),
    ];
    assert_eq!(seen(&seen_in(Mode::Changes, story())), changes);
    let shrinks = vec![
        visit_rows(&[("a", 10, 3, 1), ("b", 10, 1, 1)]),
        visit_rows(&[("a", 10, 3, -1), ("a", 10, 1, 1)]),
    ];
    let upserts = [
        row("a", 10, 3, 0, "live"),
        row("b", 10, 1, 0, "retracted"),
        row("a", 10, 1, 1, "retracted"),
    ];
    assert_eq!(seen(&seen_in(Mode::Upserts, shrinks)), upserts);
    let all = seen_in(
        Mode::Final,
        vec![visit_rows(&[("a", 10, 1, 1), ("b", 20, 2, 1)])],
    );
    assert_eq!(all.num_rows(), 1);
    assert_eq!(all.column(0).as_string::<i32>().value(0), "b");
}

#[test]
fn where_must_be_a_condition_over_the_columns() {
    let path = Path::new("never/written.parquet");
    for (text, says) in [
        ("rows + 1", "must be true or false"),
        ("rose = 1", "rose"),
        ("start = '", "quotes"),
    ] {
        let spec = SinkSpec {
            filter: Some(text.to_owned()),
            ..spec(path, Format::Parquet, Mode::Final)
        };
        let error = open(&spec)
            .map(|_| ())
            .expect_err("it is refused")
            .to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn both_modes_tell_the_same_story() {
    for seed in 1..60u64 {
        eprintln!("seed {seed}");
        let mut random = Random(seed * 0xABCD);
        // A walk over collections: at each tick some visits change, in the order of a driver.
        let mut now: std::collections::BTreeMap<(String, i64), i64> = Default::default();
        let blocks: Vec<Rows> = (0..30)
            .map(|_| {
                let mut diffs = Vec::new();
                for _ in 0..random.below(6) {
                    let at = (format!("k{}", random.below(3)), random.below(3) as i64);
                    let new = Some(random.below(4) as i64).filter(|rows| *rows > 0);
                    if let Some(old) = now.get(&at) {
                        diffs.push((at.clone(), *old, -1));
                    }
                    match new {
                        Some(rows) => {
                            diffs.push((at.clone(), rows, 1));
                            now.insert(at, rows);
                        }
                        None => {
                            now.remove(&at);
                        }
                    }
                }
                let rows: Vec<_> = diffs
                    .iter()
                    .map(|((key, start), rows, diff)| (key.as_str(), *start, *rows, *diff))
                    .collect();
                visit_rows(&rows)
            })
            .collect();
        let expected: Vec<_> = now.into_iter().collect();

        let mut sums = std::collections::BTreeMap::new();
        for (key, start, rows, _, diff) in seen(&in_mode(Mode::Changes, blocks.clone())) {
            let diff: i32 = diff.parse().expect("a difference");
            *sums.entry(((key, start), rows)).or_insert(0) += diff;
        }
        sums.retain(|_, sum| *sum != 0);
        assert!(sums.values().all(|sum| *sum == 1), "{sums:?}");
        let from_changes: Vec<_> = sums.into_keys().collect();
        assert_eq!(from_changes, expected);

        let mut newest = std::collections::BTreeMap::new();
        for (key, start, rows, version, status) in seen(&in_mode(Mode::Upserts, blocks)) {
            let earlier = newest.insert((key, start), (version, rows, status));
            assert!(
                earlier.is_none_or(|earlier| earlier.0 < version),
                "one row a version"
            );
        }
        newest.retain(|_, (_, _, status)| status == "live");
        let from_upserts: Vec<_> = newest
            .into_iter()
            .map(|(at, (_, rows, _))| (at, rows))
            .collect();
        assert_eq!(from_upserts, expected);
    }
}

#[test]
fn final_rows_are_written_as_often_as_they_are_so() {
    let batch = in_mode(
        Mode::Final,
        vec![visit_rows(&[
            ("a", 1, 1, 2),
            ("b", 1, 1, 1),
            ("b", 1, 1, -1),
            ("c", 1, 1, 1),
        ])],
    );
    let keys: Vec<_> = batch
        .column(0)
        .as_string::<i32>()
        .iter()
        .flatten()
        .collect();
    assert_eq!(keys, ["a", "a", "c"]);
    assert_eq!(batch.num_columns(), 3);
}

#[test]
fn a_final_row_that_is_taken_back_is_an_error_with_its_key() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("visits.parquet");
    let failed = write(
        &spec(&path, Format::Parquet, Mode::Final),
        vec![
            visit_rows(&[("a", 1, 1, 1)]),
            visit_rows(&[("a", 1, 1, -1)]),
        ],
    );
    let text = failed.expect_err("it must fail").to_string();
    assert!(
        text.contains("`a`") && text.contains("1970-01-01T00:00:00.001Z"),
        "{text}"
    );
    assert_eq!(listing(directory.path()), [""; 0]);
}

#[test]
fn ready_batches_are_written_in_the_modes_that_fit_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("late.jsonl");
    let batch = RecordBatch::try_from_iter([(
        "reason",
        std::sync::Arc::new(arrow::array::StringArray::from(vec!["late"])) as _,
    )])
    .expect("a batch");
    let run = |mode| -> Result<String, SinkError> {
        let spec = spec(&path, Format::Jsonl, mode);
        let input = SinkInput::Batches(batch.schema());
        let mut sink = Sink::open(&spec, input, Default::default())?;
        sink.batch(9, batch.clone())?;
        sink.finish()?;
        Ok(std::fs::read_to_string(&path).expect("it is there"))
    };
    assert_eq!(run(Mode::Final).expect("final"), "{\"reason\":\"late\"}\n");
    assert_eq!(
        run(Mode::Changes).expect("changes"),
        "{\"reason\":\"late\",\"tick\":9,\"diff\":1}\n"
    );
    let refused = run(Mode::Upserts).expect_err("raw rows have no identity");
    assert!(refused.to_string().contains("identity"));
}

#[test]
fn a_column_that_has_the_name_of_a_mode_column_is_refused_at_the_start() {
    let mut output = visits();
    output.columns[1].name = "tick".to_owned();
    let opened = |mode| {
        let spec = spec(Path::new("/dev/null"), Format::Jsonl, mode);
        Sink::open(&spec, SinkInput::Rows(output.clone()), Default::default())
    };
    assert!(opened(Mode::Final).is_ok() && opened(Mode::Upserts).is_ok());
    let refused = opened(Mode::Changes).expect_err("two columns `tick`");
    assert!(refused.to_string().contains("two columns `tick`"));
}

#[test]
fn rows_wait_for_their_tick_and_what_is_left_is_written_at_the_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("visits.jsonl");
    let mut sink = open(&spec(&path, Format::Jsonl, Mode::Changes)).expect("it opens");
    for (tick, rows, diff) in [(5, 1, 1), (3, 7, 1), (5, 1, -1), (6, 2, 1)] {
        sink.rows(tick, visit_rows(&[("a", 0, rows, diff)]))
            .expect("taken");
    }
    assert_eq!(sink.complete(3).expect("nothing yet").len(), 0);
    assert_eq!(sink.written(), 0);
    assert_eq!(sink.complete(6).expect("two ticks").len(), 3);
    assert_eq!(sink.written(), 1);
    assert_eq!(sink.finish().expect("it ends").rows, 2);
}
