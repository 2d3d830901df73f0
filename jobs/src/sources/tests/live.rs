//! Input that grows while it is read: files, directories and named pipes.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Instant;

use super::*;

fn followed(path: &str, format: Format) -> Box<dyn Source> {
    let mut declared = Declared::new(vec![path.to_owned()], format, id_and_kind());
    declared.lifetime = Lifetime::Follow {
        list_every: Duration::from_millis(5),
    };
    open(declared).unwrap()
}

/// What comes until nothing has come twice.
fn news(source: &mut Box<dyn Source>) -> Heard {
    let mut heard = Heard::default();
    let mut idle = 0;
    while idle < 2 {
        match source.next().unwrap() {
            Event::Batch(batch) => {
                idle = 0;
                heard.take(batch);
            }
            Event::Idle => idle += 1,
            Event::End => panic!("a followed source does not end"),
        }
    }
    heard
}

fn append(path: &str, text: &str) {
    OpenOptions::new()
        .append(true)
        .open(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

#[test]
fn a_growing_file_is_read_in_whole_lines() {
    let (_directory, path) = file("rows.jsonl", "{\"id\":1}\n{\"id\"");
    let mut source = followed(&path, Format::JsonLines);
    assert_eq!(news(&mut source).rows, ["1|~"]);
    append(&path, ":2}");
    assert!(news(&mut source).rows.is_empty());
    append(&path, "\n{\"id\":3}\n");
    let heard = news(&mut source);
    assert_eq!(heard.rows, ["2|~", "3|~"]);
    assert_eq!(heard.numbers, [2, 3]);
    assert_eq!(heard.batches[0].position.first_byte, 9);
    assert_eq!(source.progress().total_bytes, None);
}

#[test]
fn a_file_replaced_or_cut_is_read_to_its_end_and_then_from_the_start() {
    let (directory, path) = file("rows.csv", "id,kind\n1,a\n2,last");
    let mut source = followed(&path, Format::Csv(CsvOptions::default()));
    assert_eq!(news(&mut source).rows, ["1|a"]);
    let next = put(directory.path(), "next", "kind,id\nb,3\n");
    fs::rename(next, &path).unwrap();
    assert_eq!(news(&mut source).rows, ["2|last", "3|b"]);
    fs::write(&path, "id,kind\n4,\n").unwrap();
    assert_eq!(news(&mut source).rows, ["4|~"]);
}

#[test]
fn a_directory_is_read_on_as_it_gains_files_and_as_they_grow() {
    let directory = tempfile::tempdir().unwrap();
    let mut source = followed(directory.path().to_str().unwrap(), Format::JsonLines);
    assert!(news(&mut source).rows.is_empty());
    let second = put(directory.path(), "b.jsonl", "{\"id\":2}\n");
    assert_eq!(news(&mut source).rows, ["2|~"]);
    let first = put(directory.path(), "a.jsonl", "{\"id\":1}\n");
    put(directory.path(), "c.jsonl.gz", gzip(b"{\"id\":3}"));
    assert_eq!(news(&mut source).rows, ["1|~", "3|~"]);
    append(&first, "{\"id\":4}\n");
    append(&second, "{\"id\":5}\n");
    let mut rows = news(&mut source).rows;
    rows.sort();
    assert_eq!(rows, ["4|~", "5|~"]);
}

#[test]
#[cfg(unix)]
fn a_pipe_is_heard_at_once_and_ends_when_its_writer_does() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    let after = put(directory.path(), "after.jsonl", "{\"id\":8}");
    let mut source = open(Declared::new(
        vec![path.to_str().unwrap().into(), after],
        Format::JsonLines,
        id_and_kind(),
    ))
    .unwrap();
    assert!(matches!(source.next(), Ok(Event::Idle)));
    let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
    let mut worst = Duration::ZERO;
    for id in 0..50 {
        let start = Instant::now();
        writer
            .write_all(format!("{{\"id\":{id}}}\n{{\"id\":").as_bytes())
            .unwrap();
        writer.write_all(format!("{id}}}\n").as_bytes()).unwrap();
        let mut rows = 0;
        while rows < 2 {
            if let Event::Batch(batch) = source.next().unwrap() {
                rows += batch.rows_in;
            }
        }
        worst = worst.max(start.elapsed());
    }
    assert!(worst < Duration::from_secs(2), "{worst:?}");
    writer.write_all(b"{\"id\":7}").unwrap();
    drop(writer);
    let mut heard = Heard::default();
    loop {
        match source.next().unwrap() {
            Event::Batch(batch) => heard.take(batch),
            Event::Idle => {}
            Event::End => break,
        }
    }
    assert_eq!(heard.clean().rows, ["7|~", "8|~"]);
}

#[test]
#[cfg(unix)]
fn a_file_renamed_within_a_followed_directory_is_not_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = put(directory.path(), "log.jsonl", "{\"id\":1}\n");
    let mut source = followed(directory.path().to_str().unwrap(), Format::JsonLines);
    assert_eq!(news(&mut source).rows, ["1|~"]);
    let older = path.replace("log", "log-1");
    append(&path, "{\"id\":2}\n");
    fs::rename(&path, &older).unwrap();
    append(&older, "{\"id\":3}\n");
    assert_eq!(news(&mut source).rows, ["2|~", "3|~"]);
    put(directory.path(), "log.jsonl", "{\"id\":4}\n");
    assert_eq!(news(&mut source).rows, ["4|~"]);
    append(&older, "{\"id\":5}\n");
    append(&path, "{\"id\":6}\n");
    let mut rows = news(&mut source).rows;
    rows.sort();
    assert_eq!(rows, ["5|~", "6|~"]);
}

#[test]
fn following_ends_where_nothing_can_come_any_more() {
    let (_directory, path) = file("rows.jsonl.gz", gzip(b"{\"id\":1}"));
    let mut declared = Declared::new(vec![path], Format::JsonLines, id_and_kind());
    declared.lifetime = Lifetime::Follow {
        list_every: Duration::from_millis(5),
    };
    assert_eq!(hear(declared).clean().rows, ["1|~"]);
}
