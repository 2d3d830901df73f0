//! Whatever the bytes of a JSON lines file are: every line that is not blank becomes one row or one reject, the same
//! ones however the text is cut into reads, and a row only ever comes of a line that is JSON.
//!
//! The first four bytes choose: which columns, which limits and kind of cut, and (two bytes) where it is. The rest is the text.

#![no_main]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::LazyLock;

use arrow::array::Array;
use arrow::datatypes::TimeUnit;
use arrow::util::display::array_value_to_string;
use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::{Corpus, fuzz_target};
use serde::de::IgnoredAny;
use serde_json::Value;

// By path, so that nothing else of the jobs, and with it DataFusion, is built with the flags of a fuzzer.
#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "../../../jobs/src/sources/mod.rs"]
mod sources;

use sources::{
    ColumnType, Declared, DeclaredColumn, Event, Format, Reject, Source, SourceBatch, open,
    open_text,
};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What became of one line.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// The values, nulls as none.
    Row(Vec<Option<String>>),
    /// What was set aside; its file, and where it stands in the file, are checked and then blanked.
    Reject(Reject),
}

/// By number of the line, from 1.
type Outcomes = BTreeMap<u64, Outcome>;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some(([columns, limits, high, low], text)) = bytes.split_first_chunk() else {
        return Corpus::Reject;
    };
    let declared = declare(*columns, *limits);
    let cut = usize::from(u16::from_be_bytes([*high, *low])) % (text.len() + 1);
    let whole = hear(
        open_text(declared.clone(), "-", text).expect("a declaration"),
        text,
    );
    account(&declared, text, &whole);
    // One of the two, which halves the time of a run.
    if limits & 0x10 == 0 {
        assert_eq!(in_two_reads(&declared, text, cut), whole, "in two reads");
    } else if let Some(halves) = as_two_texts(&declared, text, cut) {
        assert_eq!(halves, whole, "as two texts");
    }
    Corpus::Keep
});

fn declare(columns: u8, limits: u8) -> Declared {
    let mut declared = Declared::new(Vec::new(), Format::JsonLines, self::columns(columns));
    declared.batch_rows = [1, 2, 5, 65_536][usize::from(limits & 3)];
    declared.max_record_bytes = [16 << 20, 256, 40, 8][usize::from(limits >> 2 & 3)];
    declared
}

/// Columns named `a`, `b`, …, so that a few bytes make a row.
fn columns(choice: u8) -> Vec<DeclaredColumn> {
    use ColumnType as Kind;
    let integers = [
        Kind::I8,
        Kind::I16,
        Kind::I32,
        Kind::I64,
        Kind::U8,
        Kind::U16,
        Kind::U32,
        Kind::U64,
    ];
    let others = [Kind::F32, Kind::F64, Kind::Bool, Kind::Text, Kind::Date];
    let times = [
        Kind::Epoch(TimeUnit::Second),
        Kind::Epoch(TimeUnit::Millisecond),
        Kind::Epoch(TimeUnit::Microsecond),
        Kind::Epoch(TimeUnit::Nanosecond),
        Kind::Rfc3339,
        Kind::TimeFormat("%d/%m/%Y %H:%M:%S%.f %z".into()),
        Kind::TimeFormat("%Y-%j".into()),
        Kind::TimeFormat("%s".into()),
    ];
    let all: Vec<ColumnType> = [&integers[..], &others, &times].concat();
    let kinds: Vec<ColumnType> = match choice & 7 {
        0 => all,
        1 => integers.into(),
        2 => others.into(),
        3 => times.into(),
        4 => vec![Kind::Text, Kind::Text, Kind::Text],
        // One column alone, which every line then is about.
        5 => vec![all[usize::from(choice >> 3) % all.len()].clone()],
        6 => vec![Kind::I64, Kind::Text, Kind::F64],
        _ => vec![Kind::U8, Kind::Text],
    };
    let paths = ["x", "x.y", "x.y", "x.z.a", "x.z.b", "é"];
    let declare = |(index, kind): (usize, ColumnType)| {
        let name = char::from(b'a' + index as u8);
        let mut column = DeclaredColumn::new(name, kind);
        column.nullable = choice >> 3 & 1 == index as u8 & 1;
        column.dictionary = column.kind == Kind::Text && index % 2 == 1;
        column.path = (choice & 7 == 6)
            .then(|| paths[(usize::from(choice >> 4) + index) % paths.len()].into());
        column
    };
    kinds.into_iter().enumerate().map(declare).collect()
}

/// Reads a source to its end, checking what holds for every batch.
fn hear(mut source: Box<dyn Source>, text: &[u8]) -> Outcomes {
    let starts = line_starts(text);
    let mut outcomes = Outcomes::new();
    let mut rows_in = 0;
    loop {
        let batch = match source.next().expect("a text can be read") {
            Event::Batch(batch) => batch,
            Event::Idle => panic!("a text at hand is never idle"),
            Event::End => break,
        };
        rows_in += batch.rows_in;
        let from = outcomes.last_key_value().map_or(0, |(line, _)| *line);
        let count = outcomes.len() as u64;
        let first = take(batch, text, &starts, &mut outcomes);
        assert!(first > from, "batches are in the order of the file");
        assert_eq!(outcomes.len() as u64, rows_in, "each line once");
        assert!(rows_in > count, "no batch is empty");
    }
    assert_eq!(source.progress().rows, rows_in);
    outcomes
}

/// Adds the lines of a batch; returns the first.
fn take(batch: SourceBatch, text: &[u8], starts: &[usize], outcomes: &mut Outcomes) -> u64 {
    let rows = batch.batch.num_rows();
    assert_eq!(batch.rows_in, (rows + batch.rejects.len()) as u64);
    let mut lines = Vec::new();
    for row in 0..rows {
        let value = |column: &dyn Array| {
            (!column.is_null(row))
                .then(|| array_value_to_string(column, row).expect("a value that can be shown"))
        };
        let values = batch
            .batch
            .columns()
            .iter()
            .map(|column| value(column.as_ref()));
        let line = batch.row_numbers.get(row).expect("every row has a number");
        outcomes.insert(line, Outcome::Row(values.collect()));
        lines.push(line);
    }
    assert!(lines.is_sorted(), "rows are in the order of the file");
    assert!(
        batch.rejects.is_sorted_by_key(|reject| reject.row),
        "and so are rejects"
    );
    for mut reject in batch.rejects {
        let line = reject.row;
        assert_eq!(reject.byte, starts[line as usize - 1] as u64);
        let raw = String::from_utf8_lossy(&text[reject.byte as usize..]);
        assert!(
            reject.raw.len() <= 1_024 && raw.starts_with(reject.raw.trim_end_matches('\u{fffd}'))
        );
        assert!(!reject.reason.is_empty());
        (reject.row, reject.byte, reject.file) = (0, 0, "".into());
        outcomes.insert(line, Outcome::Reject(reject));
        lines.push(line);
    }
    let first = lines.into_iter().min().expect("no batch is empty");
    assert_eq!(batch.position.first_row, first);
    assert_eq!(batch.position.first_byte, starts[first as usize - 1] as u64);
    first
}

/// Where each line begins; the first behind the byte order mark.
fn line_starts(text: &[u8]) -> Vec<usize> {
    let first = if text.starts_with(BYTE_ORDER_MARK) {
        BYTE_ORDER_MARK.len()
    } else {
        0
    };
    let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    std::iter::once(first)
        .chain(ends.map(|(at, _)| at + 1))
        .collect()
}

/// Every line is what it has to be: nothing, a reject for its length or its bytes, or what the reader and another reader
/// of JSON agree on.
fn account(declared: &Declared, text: &[u8], outcomes: &Outcomes) {
    let starts = line_starts(text);
    assert!(outcomes.keys().all(|line| *line as usize <= starts.len()));
    for (index, start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(text.len());
        let line = &text[*start..end];
        let outcome = outcomes.get(&(index as u64 + 1));
        let reason = match outcome {
            Some(Outcome::Reject(reject)) => Some(reject.reason.as_str()),
            Some(Outcome::Row(_)) | None => None,
        };
        let shown = String::from_utf8_lossy(line);
        if line.len() > declared.max_record_bytes {
            assert!(
                reason.is_some_and(|reason| reason.starts_with("longer than ")),
                "{shown:?}: {outcome:?}"
            );
        } else if std::str::from_utf8(line).is_err() {
            assert_eq!(reason, Some("the line is not valid UTF-8"), "{shown:?}");
        } else if line.iter().all(|byte| b" \t\r\n".contains(byte)) {
            assert_eq!(outcome, None, "{shown:?} is blank");
        } else {
            let tree: Result<Value, _> = serde_json::from_slice(line);
            match outcome.expect("a line is not dropped") {
                Outcome::Row(values) => {
                    assert_eq!(values.len(), declared.columns.len());
                    // Not as a tree, which has no room for large numbers and deep nesting.
                    let checked = serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(line);
                    assert!(checked.is_ok(), "{shown:?} is a row, but {checked:?}");
                }
                Outcome::Reject(reject) => {
                    let broken = reject.reason.starts_with("not JSON");
                    assert!(
                        !(broken && matches!(tree, Ok(Value::Object(_)))),
                        "{shown:?} is JSON, but {reject:?}"
                    );
                    assert!(broken == reject.column.is_none(), "{shown:?}: {reject:?}");
                }
            }
        }
    }
}

/// The text as a file of two gzip members, which the reader gets in two reads.
fn in_two_reads(declared: &Declared, text: &[u8], cut: usize) -> Outcomes {
    static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
        std::env::temp_dir().join(format!("tidegate-fuzz-{}.jsonl", std::process::id()))
    });
    let mut file = Vec::new();
    for part in [&text[..cut], &text[cut..]] {
        let mut member = GzEncoder::new(&mut file, Compression::none());
        member.write_all(part).expect("memory takes it");
        member.finish().expect("memory takes it");
    }
    fs::write(&*FILE, &file).expect("the temporary folder takes it");
    let path = FILE.to_str().expect("a path of text").to_owned();
    let declared = Declared {
        paths: vec![path],
        ..declared.clone()
    };
    let outcomes = hear(open(declared).expect("the file is there"), text);
    fs::remove_file(&*FILE).expect("the file is there");
    outcomes
}

/// What is before the first line end from `cut` on, and what is behind, each as a text of its own; none when the second
/// would be another text there, since it begins with what is a byte order mark only at the start.
fn as_two_texts(declared: &Declared, text: &[u8], cut: usize) -> Option<Outcomes> {
    let end = cut + text[cut..].iter().position(|byte| *byte == b'\n')? + 1;
    let (first, second) = text.split_at(end);
    if second.starts_with(BYTE_ORDER_MARK) {
        return None;
    }
    let hear_text = |text| {
        hear(
            open_text(declared.clone(), "-", text).expect("a declaration"),
            text,
        )
    };
    let lines = first.iter().filter(|byte| **byte == b'\n').count() as u64;
    let mut outcomes = hear_text(first);
    outcomes.extend(
        hear_text(second)
            .into_iter()
            .map(|(line, outcome)| (line + lines, outcome)),
    );
    Some(outcomes)
}
