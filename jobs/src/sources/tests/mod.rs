//! Sources as a whole: every format, and every kind of bad input.

use std::fs;
use std::path::Path;

use arrow::array::Array;
use arrow::util::display::array_value_to_string;
use tempfile::TempDir;

use super::*;

mod columnar;
mod delimited;
mod json;
mod live;
mod places;

/// Everything a source had to say.
#[derive(Debug, Default)]
struct Heard {
    /// One string a row, values separated by `|`, nulls as `~`.
    rows: Vec<String>,
    numbers: Vec<u64>,
    rejects: Vec<Reject>,
    batches: Vec<SourceBatch>,
    error: Option<SourceError>,
}

impl Heard {
    /// Line, column and reason of every reject.
    fn reasons(&self) -> Vec<String> {
        let reason = |reject: &Reject| {
            format!(
                "{} {}: {}",
                reject.row,
                reject.column.as_deref().unwrap_or("-"),
                reject.reason
            )
        };
        self.rejects.iter().map(reason).collect()
    }

    fn clean(self) -> Self {
        assert!(self.error.is_none(), "{:?}", self.error);
        assert!(self.rejects.is_empty(), "{:?}", self.rejects);
        self
    }

    fn message(&self) -> String {
        self.error.as_ref().expect("an error").to_string()
    }
}

/// Reads a source to its end, checking what holds for every batch.
fn hear(declared: Declared) -> Heard {
    let schema = declared.schema();
    let mut heard = Heard::default();
    let mut source = match open(declared) {
        Ok(source) => source,
        Err(error) => {
            return Heard {
                error: Some(error),
                ..heard
            };
        }
    };
    loop {
        match source.next() {
            Ok(Event::Batch(batch)) => {
                assert_eq!(batch.batch.schema(), schema);
                heard.take(batch);
            }
            Ok(Event::Idle) => {}
            Ok(Event::End) => break,
            Err(error) => {
                assert!(heard.error.is_none(), "a source fails once");
                heard.error = Some(error);
            }
        }
    }
    let progress = source.progress();
    assert_eq!(
        progress.rows,
        (heard.rows.len() + heard.rejects.len()) as u64
    );
    heard
}

impl Heard {
    fn take(&mut self, batch: SourceBatch) {
        assert_eq!(
            batch.rows_in,
            (batch.batch.num_rows() + batch.rejects.len()) as u64
        );
        assert!(batch.rows_in > 0);
        for row in 0..batch.batch.num_rows() {
            let values = batch
                .batch
                .columns()
                .iter()
                .map(|column| match column.is_null(row) {
                    true => "~".to_owned(),
                    false => array_value_to_string(column, row).expect("a value"),
                });
            self.rows.push(values.collect::<Vec<_>>().join("|"));
            self.numbers
                .push(batch.row_numbers.get(row).expect("a number"));
        }
        let first = batch
            .rejects
            .first()
            .map(|reject| reject.row)
            .into_iter()
            .chain(batch.row_numbers.get(0))
            .min();
        if batch.batch.num_rows() > 0 || !batch.rejects.is_empty() {
            assert!(first.is_some_and(|first| first >= batch.position.first_row));
        }
        self.rejects.extend(batch.rejects.iter().cloned());
        self.batches.push(batch);
    }
}

/// A directory with one file.
fn file(name: &str, content: impl AsRef<[u8]>) -> (TempDir, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = put(directory.path(), name, content);
    (directory, path)
}

fn put(directory: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = directory.join(name);
    fs::write(&path, content).expect("written");
    path.to_str().expect("text").to_owned()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).expect("compressed");
    encoder.finish().expect("compressed")
}

fn zstandard(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 1).expect("compressed")
}

fn id_and_kind() -> Vec<DeclaredColumn> {
    vec![
        DeclaredColumn::new("id", ColumnType::U64),
        DeclaredColumn::new("kind", ColumnType::Text).nullable(),
    ]
}
