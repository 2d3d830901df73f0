//! One column of a file, whole: its numbers in the order of the rows, or how many rows each category has.

use std::collections::BTreeMap;
use std::fmt;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type};
use serde::Serialize;

use crate::sources::{
    ColumnType, CsvOptions, Declared, DeclaredColumn, Event, Format, SourceBatch, SourceError,
    open, parquet_columns,
};

/// What the values of a column are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Each distinct value by itself.
    Category,
    /// Places on a line.
    Number,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Category => "categories",
            Kind::Number => "numbers",
        })
    }
}

/// The values of a column; rows without one are counted apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// How many rows each category has.
    Categories(BTreeMap<String, u64>),
    /// In the order of the rows. None is NaN or infinite.
    Numbers(Vec<f64>),
}

/// One column of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// What it holds.
    pub values: Values,
    /// The rows without a value: their numbers, ascending, from 0, over the rows that were not rejected.
    pub missing: Vec<u64>,
    /// How many rows could not be read.
    pub rejected: u64,
    /// The first of them and why, in plain words.
    pub first_reject: Option<String>,
}

/// A column that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ColumnError {
    /// Telling the format.
    #[error(
        "how `{0}` is written is told by its name: it should end in .parquet, .csv, .tsv, .jsonl or .ndjson, text also \
         in .gz or .zst behind that"
    )]
    Format(String),
    /// Reading the rows.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Looking for the columns of a Parquet file.
    #[error("{0}")]
    Footer(String),
    /// Looking for the column among them.
    #[error("`{path}` has no column `{name}` that can be read; it has {known}")]
    Unknown {
        /// The file.
        path: String,
        /// The column.
        name: String,
        /// Those that there are.
        known: String,
    },
}

/// How a file is written, by its name.
///
/// # Errors
/// When the name says nothing.
pub(super) fn format_of(path: &str) -> Result<Format, ColumnError> {
    let lower = path.to_ascii_lowercase();
    let plain = lower.strip_suffix(".gz").or(lower.strip_suffix(".zst"));
    let ending = plain.unwrap_or(&lower).rsplit('.').next();
    Ok(match ending {
        Some("parquet" | "pq") => Format::Parquet,
        Some("csv" | "txt") => Format::Csv(CsvOptions::default()),
        Some("tsv") => Format::Csv(CsvOptions {
            delimiter: b'\t',
            ..CsvOptions::default()
        }),
        Some("jsonl" | "ndjson" | "json") => Format::JsonLines,
        _ => return Err(ColumnError::Format(path.to_owned())),
    })
}

/// What the values of a column look like: in Parquet by its type; in text they are numbers when each of the first rows
/// that has one has a number.
///
/// # Errors
/// When the file cannot be read, or does not have the column.
pub fn kind_of(path: &str, name: &str) -> Result<Kind, ColumnError> {
    if format_of(path)? == Format::Parquet {
        let columns = parquet_columns(path).map_err(ColumnError::Footer)?;
        let Some(column) = columns.iter().find(|column| column.name == name) else {
            let known: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            return Err(ColumnError::Unknown {
                path: path.to_owned(),
                name: name.to_owned(),
                known: known.join(", "),
            });
        };
        return Ok(match column.kind {
            ColumnType::Text | ColumnType::Bool => Kind::Category,
            _ => Kind::Number,
        });
    }
    let mut source = open(declared(path, name, Kind::Category)?)?;
    loop {
        match source.next()? {
            Event::Batch(batch) if batch.batch.num_rows() == 0 => {}
            Event::Batch(batch) => return Ok(kind_of_texts(&batch.batch)),
            Event::Idle => {}
            Event::End => return Ok(Kind::Category),
        }
    }
}

fn kind_of_texts(batch: &RecordBatch) -> Kind {
    let texts = batch.column(0).as_dictionary::<Int32Type>();
    let mut texts = texts.values().as_string::<i32>().iter().flatten();
    let number = |text: &str| text.is_empty() || text.trim().parse::<f64>().is_ok();
    match batch.column(0).null_count() < batch.num_rows() && texts.all(number) {
        true => Kind::Number,
        false => Kind::Category,
    }
}

fn declared(path: &str, name: &str, kind: Kind) -> Result<Declared, ColumnError> {
    let column = match kind {
        Kind::Category => DeclaredColumn::new(name, ColumnType::Text).dictionary(),
        Kind::Number => DeclaredColumn::new(name, ColumnType::F64),
    };
    let (paths, format) = (vec![path.to_owned()], format_of(path)?);
    Ok(Declared::new(paths, format, vec![column.nullable()]))
}

/// Reads a column of a file to its end.
///
/// # Errors
/// When the file cannot be read, or does not have the column. Rows that do not fit are counted, not errors.
pub fn read(path: &str, name: &str, kind: Kind) -> Result<Column, ColumnError> {
    let mut source = open(declared(path, name, kind)?)?;
    let mut column = Column {
        values: match kind {
            Kind::Category => Values::Categories(BTreeMap::new()),
            Kind::Number => Values::Numbers(Vec::new()),
        },
        missing: Vec::new(),
        rejected: 0,
        first_reject: None,
    };
    let mut rows = 0;
    loop {
        match source.next()? {
            Event::Batch(batch) => {
                column.take(&batch, rows);
                rows += batch.batch.num_rows() as u64;
            }
            Event::Idle => {}
            Event::End => return Ok(column),
        }
    }
}

impl Column {
    /// Rows with a value.
    pub fn rows(&self) -> u64 {
        match &self.values {
            Values::Categories(counts) => counts.values().sum(),
            Values::Numbers(numbers) => numbers.len() as u64,
        }
    }

    /// Whether every row has a whole number, as in a column of integers.
    pub(super) fn is_whole(&self) -> bool {
        let Values::Numbers(numbers) = &self.values else {
            return false;
        };
        self.missing.is_empty() && numbers.iter().all(|number| number.fract() == 0.0)
    }

    /// Takes a batch that begins at this row.
    fn take(&mut self, batch: &SourceBatch, first: u64) {
        self.rejected += batch.rejects.len() as u64;
        if let (None, Some(reject)) = (&self.first_reject, batch.rejects.first()) {
            let what = format!("row {} of `{}`: {}", reject.row, reject.file, reject.reason);
            self.first_reject = Some(what);
        }
        let values = batch.batch.column(0);
        if let Some(nulls) = values.nulls() {
            let missing = (first..).zip(nulls.iter()).filter(|(_, valid)| !valid);
            self.missing.extend(missing.map(|(row, _)| row));
        }
        match &mut self.values {
            Values::Numbers(numbers) => {
                let values = values.as_primitive::<Float64Type>();
                match values.null_count() {
                    0 => numbers.extend_from_slice(values.values()),
                    _ => numbers.extend(values.iter().flatten()),
                }
            }
            Values::Categories(counts) => {
                let values = values.as_dictionary::<Int32Type>();
                let mut by_code = vec![0; values.values().len()];
                let codes = values.keys().iter().flatten();
                codes.for_each(|code| by_code[code as usize] += 1);
                let names = values.values().as_string::<i32>().iter();
                for (name, count) in names.zip(by_code).filter(|(_, count)| *count > 0) {
                    *counts
                        .entry(name.unwrap_or_default().to_owned())
                        .or_default() += count;
                }
            }
        }
    }
}
