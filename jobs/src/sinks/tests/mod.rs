//! What is tested of the sinks as a whole, and the rows the tests write.

mod places;
mod render;
mod select;
mod shape;
mod shares;
mod text;
mod thread;

use std::path::Path;
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow::array::RecordBatch;
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::{Kind, OutputColumn, OutputSchema, Rows};
use tidegate_schemas::time::{EventTime, TimeUnit};

use super::*;

/// A small generator, so that a failing case can be run again from its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }
}

fn column(name: &str, kind: Kind) -> OutputColumn {
    OutputColumn {
        name: name.to_owned(),
        kind,
    }
}

/// Visits: a key, when, how many, identified by when.
fn visits() -> OutputSchema {
    OutputSchema {
        name: "sessions.visit".to_owned(),
        key: Some("customer_id".to_owned()),
        columns: vec![
            column("start", Kind::Time(TimeUnit::Millisecond)),
            column("rows", Kind::Int),
        ],
        identity: vec![0],
    }
}

/// Rows of [`visits`]: (key, start in ms, rows, diff).
fn visit_rows(rows: &[(&str, i64, i64, i32)]) -> Rows {
    let mut all = Rows::new(2);
    for (key, start, count, diff) in rows {
        let columns = all.begin(key, EventTime(start * 1_000), *diff);
        columns[0].push(start * 1_000);
        columns[1].push(*count);
    }
    all
}

fn spec(path: &Path, format: Format, mode: Mode) -> SinkSpec {
    SinkSpec {
        name: "visits".to_owned(),
        place: Place::Path(path.display().to_string()),
        format,
        mode,
        filter: None,
        select: None,
        roll: None,
        life: Life::Ends,
    }
}

fn open(spec: &SinkSpec) -> Result<Sink, SinkError> {
    Sink::open(spec, SinkInput::Rows(visits()), Arc::new(Names::default()))
}

/// Writes blocks, one a tick, and finishes.
fn write(spec: &SinkSpec, blocks: Vec<Rows>) -> Result<SinkReport, SinkError> {
    let mut sink = open(spec)?;
    for (tick, rows) in (0..).zip(blocks) {
        sink.rows(tick, rows)?;
        sink.complete(tick + 1)?;
        sink.flush()?;
    }
    sink.finish()
}

fn read_parquet(path: &Path) -> RecordBatch {
    let file = std::fs::File::open(path).expect("the file is there");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("it is Parquet");
    let schema = Arc::clone(reader.schema());
    let batches: Result<Vec<_>, _> = reader.build().expect("it can be read").collect();
    arrow::compute::concat_batches(&schema, &batches.expect("it is whole")).expect("one schema")
}

/// The names in a directory, in order, hidden ones too.
fn listing(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}
