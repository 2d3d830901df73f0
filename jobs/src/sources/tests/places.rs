//! Where files are looked for, and what is said when they are not there or cannot be read.

use super::*;

fn declared(paths: &[&str]) -> Declared {
    Declared::new(
        paths.iter().map(|path| path.to_string()).collect(),
        Format::JsonLines,
        id_and_kind(),
    )
}

#[test]
fn globs_and_directories_are_read_sorted_by_name_and_each_file_once() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().to_str().unwrap();
    for (name, id) in [
        ("b.jsonl", 2),
        ("a.jsonl", 1),
        ("c.jsonl.gz", 3),
        (".hidden.jsonl", 9),
        ("notes.md", 9),
        ("d.jsonl.zst", 4),
    ] {
        let text = format!("{{\"id\":{id}}}\n");
        let bytes = match name {
            _ if name.ends_with("gz") => gzip(text.as_bytes()),
            _ if name.ends_with("zst") => zstandard(text.as_bytes()),
            _ => text.into_bytes(),
        };
        put(directory.path(), name, bytes);
    }
    fs::create_dir(directory.path().join("e.jsonl")).unwrap();
    assert_eq!(
        hear(declared(&[root])).clean().rows,
        ["1|~", "2|~", "3|~", "4|~"]
    );
    let glob = format!("{root}/?.jsonl*");
    assert_eq!(
        hear(declared(&[&glob])).clean().rows,
        ["1|~", "2|~", "3|~", "4|~"]
    );
    let second = format!("{root}/b.jsonl");
    let heard = hear(declared(&[&second, root])).clean();
    assert_eq!(heard.rows, ["2|~", "1|~", "3|~", "4|~"]);
    assert_eq!(heard.batches[0].position.file.as_ref(), second);
}

#[test]
fn places_that_lead_nowhere_say_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().to_str().unwrap();
    put(directory.path(), "events.jsonl", "");
    let message = |path: &str| hear(declared(&[path])).message();
    let missing = message(&format!("{root}/event.jsonl"));
    assert!(
        missing.contains("no such file; beside it: events.jsonl (relative paths start at /"),
        "{missing}"
    );
    assert!(message(&format!("{root}/no/event.jsonl")).contains("no` does not exist"));
    assert!(message(&format!("{root}/*.csv")).contains("no file matches"));
    fs::create_dir(directory.path().join("empty")).unwrap();
    assert!(message(&format!("{root}/empty")).contains("no file ending in .jsonl, .ndjson, .json"));
}

#[test]
fn declarations_that_contradict_themselves_are_errors() {
    let wrong = |change: fn(&mut Declared)| {
        let mut declared = declared(&["x"]);
        change(&mut declared);
        hear(declared).message()
    };
    assert!(wrong(|declared| declared.paths.clear()).contains("no path"));
    assert!(wrong(|declared| declared.columns.clear()).contains("no column"));
    assert!(wrong(|declared| declared.batch_rows = 0).contains("at least 1 row"));
    assert!(
        wrong(|declared| declared.columns[1].name = "id".into()).contains("`id` is declared twice")
    );
    assert!(wrong(|declared| declared.columns[0].dictionary = true).contains("only text"));
    assert!(
        wrong(|declared| declared.columns[0].kind = ColumnType::TimeFormat("%Q".into()))
            .contains("`%Q` is not a chrono")
    );
    assert!(
        wrong(|declared| declared.format = Format::Csv(CsvOptions {
            delimiter: b'"',
            quote: b'"'
        }))
        .contains("different ASCII")
    );
    assert!(
        wrong(|declared| {
            declared.format = Format::Parquet;
            declared.paths = vec!["-".into()];
        })
        .contains("standard input")
    );
}

#[test]
fn compressed_text_broken_off_delivers_its_rows_and_the_torn_line_before_the_error() {
    use rand::prelude::*;
    let mut random = StdRng::seed_from_u64(7);
    let lines: Vec<String> = (0..20_000)
        .map(|id| format!("{{\"id\":{id},\"kind\":\"{:x}\"}}", random.random::<u64>()))
        .collect();
    let text = lines.join("\n");
    for (name, bytes) in [
        ("rows.jsonl.gz", gzip(text.as_bytes())),
        ("rows.jsonl.zst", zstandard(text.as_bytes())),
    ] {
        let (_directory, path) = file(name, &bytes[..bytes.len() / 2]);
        let heard = hear(declared(&[&path]));
        let message = heard.message();
        assert!(
            message.contains(&path) && message.contains("cannot read"),
            "{message}"
        );
        assert!(heard.rows.len() > 100, "{name}");
        assert!(heard.rejects.len() <= 1, "{name}");
        assert_eq!(
            heard.rows.len() as u64,
            heard
                .rows
                .last()
                .unwrap()
                .split_once('|')
                .unwrap()
                .0
                .parse::<u64>()
                .unwrap()
                + 1
        );
        let (_directory, path) = file(name, &bytes);
        assert_eq!(hear(declared(&[&path])).clean().rows.len(), 20_000);
    }
    let (_directory, path) = file("rows.jsonl.gz", "{\"id\":1}");
    assert!(
        hear(declared(&[&path]))
            .message()
            .contains("neither gzip nor zstd")
    );
}

#[test]
fn members_and_frames_one_after_the_other_are_one_text() {
    let (first, second) = (b"{\"id\":1}\n{\"id\"".as_slice(), b":2}\n".as_slice());
    let (_a, gz) = file("rows.gz", [gzip(first), gzip(second)].concat());
    let (_b, zst) = file("rows", [zstandard(first), zstandard(second)].concat());
    assert_eq!(
        hear(declared(&[&gz, &zst])).clean().rows,
        ["1|~", "2|~", "1|~", "2|~"]
    );
}

#[test]
#[cfg(unix)]
fn an_unreadable_file_is_an_error_that_names_it() {
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().unwrap();
    let looped = directory.path().join("loop.jsonl");
    symlink(&looped, &looped).unwrap();
    let message = hear(declared(&[looped.to_str().unwrap()])).message();
    assert!(
        message.contains("loop.jsonl") && message.contains("check that it exists and may be read"),
        "{message}"
    );
}

#[test]
fn progress_counts_bytes_on_disk() {
    let (_directory, path) = file("rows.jsonl", "{\"id\":1}\n".repeat(1_000));
    let mut declared = declared(&[&path]);
    declared.batch_rows = 100;
    let mut source = open(declared).unwrap();
    assert_eq!(
        source.progress(),
        Progress {
            bytes: 0,
            total_bytes: Some(9_000),
            rows: 0
        }
    );
    let Ok(Event::Batch(batch)) = source.next() else {
        panic!("a batch")
    };
    assert_eq!(batch.rows_in, 100);
    assert_eq!(
        source.progress(),
        Progress {
            bytes: 9_000,
            total_bytes: Some(9_000),
            rows: 100
        }
    );
}

#[test]
fn a_text_at_hand_is_read_like_a_file() {
    let declared = Declared::new(vec![], Format::Csv(CsvOptions::default()), id_and_kind());
    let mut source = open_text(declared.clone(), "test 1", "id,kind\n1,a\nx,b\n").unwrap();
    let Ok(Event::Batch(batch)) = source.next() else {
        panic!("a batch")
    };
    assert_eq!((batch.rows_in, batch.rejects[0].row), (2, 3));
    assert_eq!(batch.position.file.as_ref(), "test 1");
    assert!(matches!(source.next(), Ok(Event::End)));
    let parquet = Declared {
        format: Format::Parquet,
        ..declared
    };
    assert!(open_text(parquet, "x", "").is_err());
}
