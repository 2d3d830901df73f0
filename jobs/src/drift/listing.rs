//! Which columns a file has.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::column::{ColumnError, format_of};
use crate::sources::{CsvOptions, Format, arrow_cause, parquet_columns};
use crate::verify::written::open;

/// So many rows of JSON lines are looked at for their keys.
const ROWS: usize = 1_000;
/// A header or a line that is longer is none.
const MOST_BYTES: u64 = 16 << 20;

/// The columns of a file that can be compared, in its order; of JSON lines the keys of the first 1,000 rows that hold no
/// object and no array, by name.
///
/// # Errors
/// When the file cannot be read.
pub fn columns_of(path: &str) -> Result<Vec<String>, ColumnError> {
    let failed = |problem: String| {
        ColumnError::Footer(format!(
            "the columns of `{path}` cannot be read: {problem}; mend the file, or name columns with --column"
        ))
    };
    let names = match format_of(path)? {
        Format::Parquet => {
            let columns = parquet_columns(path).map_err(ColumnError::Footer)?;
            return Ok(columns.into_iter().map(|column| column.name).collect());
        }
        Format::Csv(options) => reader(path).and_then(|reader| header(reader, &options)),
        Format::JsonLines => reader(path).and_then(keys),
    };
    match names {
        Ok(names) if names.is_empty() => Err(failed("it has none".to_owned())),
        names => names.map_err(failed),
    }
}

/// The text of a file, or of the first of those that a pattern names.
fn reader(path: &str) -> Result<BufReader<Box<dyn Read>>, String> {
    let matching = glob::glob(path).into_iter().flatten().flatten();
    let first = matching.min().unwrap_or_else(|| PathBuf::from(path));
    Ok(BufReader::new(open(&first)?))
}

fn header(reader: BufReader<Box<dyn Read>>, options: &CsvOptions) -> Result<Vec<String>, String> {
    let format = arrow::csv::reader::Format::default()
        .with_header(true)
        .with_delimiter(options.delimiter);
    let (schema, _) = format
        .infer_schema(reader.take(MOST_BYTES), Some(0))
        .map_err(|error| arrow_cause(&error))?;
    let fields = schema.fields().iter();
    let name = |name: &str| name.trim_start_matches('\u{feff}').trim().to_owned();
    Ok(fields.map(|field| name(field.name())).collect())
}

fn keys(mut reader: BufReader<Box<dyn Read>>) -> Result<Vec<String>, String> {
    let mut keys: Vec<(String, bool)> = Vec::new();
    let mut line = Vec::new();
    for _ in 0..ROWS {
        line.clear();
        let read = (&mut reader).take(MOST_BYTES).read_until(b'\n', &mut line);
        if read.map_err(|error| error.to_string())? == 0 {
            break;
        }
        // Rows that cannot be read are told where their values are.
        let row: Map<String, Value> = serde_json::from_slice(&line).unwrap_or_default();
        for (key, value) in row {
            let plain = !value.is_object() && !value.is_array();
            match keys.iter_mut().find(|(known, _)| *known == key) {
                Some((_, all)) => *all &= plain,
                None => keys.push((key, plain)),
            }
        }
    }
    let plain = keys.into_iter().filter(|(_, plain)| *plain);
    Ok(plain.map(|(key, _)| key).collect())
}
