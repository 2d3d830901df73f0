//! Many rows of one tick, which several threads make into lines, are what few are.

use std::time::Duration;

use super::*;
use crate::sinks::{csv, json};

/// A key, a time, a number, a text, a list and a histogram.
fn output() -> OutputSchema {
    OutputSchema {
        name: "o".to_owned(),
        key: Some("key".to_owned()),
        columns: vec![
            column("at", Kind::Time(TimeUnit::Millisecond)),
            column("n", Kind::Int),
            column("topic", Kind::Text),
            column("path", Kind::List(Box::new(Kind::Text))),
            column("top", Kind::Histogram(Box::new(Kind::Text))),
        ],
        identity: vec![0],
    }
}

/// Blocks of so many rows, the last ones of which take back some of the first.
fn blocks(sizes: &[usize], names: &Names, takes_back: bool) -> Vec<Rows> {
    let mut random = Random(0x5EED);
    let code = |n: u64| names.code(&format!("t{n:02}")).expect("no collision");
    let mut first = Rows::new(5);
    for number in 0..sizes[0] {
        let columns = first.begin(&format!("c{}", random.below(1 << 20)), EventTime(7), 1);
        columns[0].push(1_000 * number as i64);
        columns[1].push(random.below(9) as i64);
        columns[2].push(code(random.below(30)));
        let path = (0..random.below(4)).map(|_| code(random.below(30)));
        columns[3].push_list(path.collect::<Vec<_>>());
        let top = (0..random.below(3)).flat_map(|n| [code(n), 1 + n as i64]);
        columns[4].push_list(top);
    }
    let mut blocks = vec![first];
    for size in &sizes[1..] {
        let mut block = Rows::new(5);
        for row in (0..*size).map(|row| row * 3 % sizes[0]) {
            block.append_row(&blocks[0], row, if takes_back { -1 } else { 1 });
        }
        blocks.push(block);
    }
    blocks
}

fn written(path: &Path, format: Format, mode: Mode, blocks: &[Rows], names: &Arc<Names>) {
    let spec = SinkSpec {
        filter: Some("n % 4 <> 1".to_owned()),
        select: Some(
            ["key", "n + 1 as next", "at", "topic", "path", "top"]
                .map(str::to_owned)
                .into(),
        ),
        ..spec(path, format, mode)
    };
    let input = SinkInput::Rows(output());
    let mut sink = Sink::open(&spec, input, Arc::clone(names)).expect("it opens");
    for rows in blocks {
        sink.rows(3, rows.clone()).expect("they are taken");
    }
    sink.complete(4).expect("it is written");
    sink.finish().expect("it ends");
}

#[test]
fn many_rows_of_a_tick_are_the_lines_that_their_batches_are() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    for mode in [Mode::Final, Mode::Changes, Mode::Upserts] {
        let names = Arc::new(Names::default());
        let blocks = blocks(&[33_001, 0, 9_000, 1], &names, mode != Mode::Final);
        for (name, format) in [
            ("o.parquet", Format::Parquet),
            ("o.jsonl", Format::Jsonl),
            ("o.csv", Format::Csv),
        ] {
            written(&path(name), format, mode, &blocks, &names);
        }
        // Batches are not made into lines in shares.
        let batch = read_parquet(&path("o.parquet"));
        let text = |name: &str| std::fs::read(path(name)).expect("it is there");
        let mut lines = Vec::new();
        json::append(&batch, &mut lines).expect("it is encoded");
        assert!(lines.len() > 1 << 20);
        assert!(lines == text("o.jsonl"), "{mode:?}");
        lines.clear();
        csv::append_header(&batch.schema(), &mut lines);
        csv::append(&batch, &mut lines).expect("it is encoded");
        assert!(lines == text("o.csv"), "{mode:?}");
    }
}

#[test]
fn parts_of_many_rows_end_with_a_block() {
    let directory = tempfile::tempdir().expect("a directory");
    let roll = Some(Roll {
        rows: 1_000,
        every: Duration::from_secs(3_600),
    });
    let spec = SinkSpec {
        place: Place::Path(format!("{}/", directory.path().display())),
        roll,
        ..spec(directory.path(), Format::Jsonl, Mode::Changes)
    };
    let names = Arc::new(Names::default());
    let mut sink =
        Sink::open(&spec, SinkInput::Rows(output()), Arc::clone(&names)).expect("it opens");
    for rows in blocks(&[20_000, 700, 900], &names, false) {
        sink.rows(3, rows).expect("they are taken");
    }
    sink.complete(4).expect("it is written");
    let report = sink.finish().expect("it ends");
    let lines = |path: &std::path::PathBuf| {
        std::fs::read_to_string(path)
            .expect("it is there")
            .lines()
            .count()
    };
    assert_eq!(report.rows, 21_600);
    assert_eq!(
        report.files.iter().map(lines).collect::<Vec<_>>(),
        [20_000, 1_600]
    );
}

#[test]
fn of_many_rows_the_first_that_cannot_be_written_ends_the_sink() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("o.jsonl");
    let names = Arc::new(Names::default());
    let mut rows = blocks(&[40_000], &names, false).remove(0);
    for row in [25_000, 39_000] {
        rows.columns[2].words[row] = 77;
    }
    let input = SinkInput::Rows(output());
    let mut sink =
        Sink::open(&spec(&path, Format::Jsonl, Mode::Final), input, names).expect("it opens");
    let error = sink.rows(3, rows).expect_err("a code has no text");
    assert!(error.to_string().contains("topic"), "{error}");
    drop(sink);
    assert!(!path.exists());
}
