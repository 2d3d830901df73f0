//! A report as a table: one row for each measure of a column, and of a job's drift of each window.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
    UInt64Builder,
};
use parquet::arrow::ArrowWriter;
use tidegate_schemas::time::EventTime;

use super::compared::Compared;
use super::watched::Watched;

/// The columns while they grow.
struct Table {
    texts: [StringBuilder; 5],
    times: [TimestampMicrosecondBuilder; 2],
    numbers: [Float64Builder; 3],
    rows: [UInt64Builder; 2],
}

/// A row; what a report of its kind does not know is null.
#[derive(Clone, Default)]
struct Row<'a> {
    /// Drift, column, segment, window, measure.
    texts: [Option<&'a str>; 5],
    /// Where the window begins and ends.
    times: [Option<EventTime>; 2],
    /// Value, no-drift limit, p-value.
    numbers: [Option<f64>; 3],
    /// Current rows, those of the reference.
    rows: [u64; 2],
}

const TEXTS: [&str; 5] = ["drift", "column", "segment", "window", "measure"];
const TIMES: [&str; 2] = ["start", "end"];
const NUMBERS: [&str; 3] = ["value", "no_drift_95", "p_value"];
const ROWS: [&str; 2] = ["rows", "reference_rows"];

impl Table {
    fn new() -> Table {
        let time = || TimestampMicrosecondBuilder::new().with_timezone("UTC");
        Table {
            texts: Default::default(),
            times: [time(), time()],
            numbers: Default::default(),
            rows: Default::default(),
        }
    }

    fn add(&mut self, row: Row<'_>) {
        let Row {
            texts,
            times,
            numbers,
            rows,
        } = row;
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.append_option(text);
        }
        for (column, at) in self.times.iter_mut().zip(times) {
            column.append_option(at.map(|at| at.0));
        }
        for (column, number) in self.numbers.iter_mut().zip(numbers) {
            column.append_option(number);
        }
        for (column, rows) in self.rows.iter_mut().zip(rows) {
            column.append_value(rows);
        }
    }

    fn parquet(mut self) -> Result<Vec<u8>, String> {
        let texts = self.texts.iter_mut();
        let texts = texts.map(|column| Arc::new(column.finish()) as ArrayRef);
        let times = self.times.iter_mut();
        let times = times.map(|column| Arc::new(column.finish()) as ArrayRef);
        let numbers = self.numbers.iter_mut();
        let numbers = numbers.map(|column| Arc::new(column.finish()) as ArrayRef);
        let rows = self.rows.iter_mut();
        let rows = rows.map(|column| Arc::new(column.finish()) as ArrayRef);
        let columns = texts.chain(times).chain(numbers).chain(rows);
        let names = [&TEXTS[..], &TIMES, &NUMBERS, &ROWS].concat();
        let all = names.into_iter().zip(columns);
        let all = all.map(|(name, column)| (name, column, true));
        let batch = RecordBatch::try_from_iter_with_nullable(all).map_err(|e| e.to_string())?;
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None)
            .map_err(|error| error.to_string())?;
        writer.write(&batch).map_err(|error| error.to_string())?;
        writer.close().map_err(|error| error.to_string())?;
        Ok(bytes)
    }
}

impl Compared {
    /// The measures as a Parquet file.
    ///
    /// # Errors
    /// When it cannot be written, which would be a bug.
    pub fn parquet(&self) -> Result<Vec<u8>, String> {
        let mut table = Table::new();
        for column in &self.columns {
            for answer in &column.measures {
                let measure = answer.measure.to_string();
                table.add(Row {
                    texts: [None, Some(&column.column), None, None, Some(&measure)],
                    numbers: [answer.value, answer.no_drift_95, answer.p_value],
                    rows: [column.current.rows, column.reference.rows],
                    ..Row::default()
                });
            }
        }
        table.parquet()
    }
}

impl Watched {
    /// The measures of all windows as a Parquet file.
    ///
    /// # Errors
    /// When it cannot be written, which would be a bug.
    pub fn parquet(&self) -> Result<Vec<u8>, String> {
        let mut table = Table::new();
        for drift in &self.drifts {
            for line in &drift.lines {
                let (segment, window_of) = (line.segment.as_deref(), line.window.as_str());
                let of = [
                    Some(&*drift.name),
                    Some(&*line.column),
                    segment,
                    Some(window_of),
                ];
                for window in &line.windows {
                    for (measure, value) in drift.measures.iter().zip(&window.values) {
                        let limit = window.no_drift_95.filter(|_| *measure == "psi");
                        table.add(Row {
                            texts: [of[0], of[1], of[2], of[3], Some(measure)],
                            times: [Some(window.start), Some(window.end)],
                            numbers: [*value, limit, None],
                            rows: [window.rows, window.reference_rows],
                        });
                    }
                }
            }
        }
        table.parquet()
    }
}
