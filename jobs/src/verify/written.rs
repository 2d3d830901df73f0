//! Results as they were written: found, read back, and brought to the rows that stand.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{CastOptions, cast_with_options, concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, UInt64Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::Gap;
use super::error::VerifyError;
use crate::sinks::{Format, Mode, Place, SinkSpec};
use crate::sources::{arrow_cause, parquet_cause};

/// The files of a sink's result. A result in parts has none when no row was written.
pub(crate) fn files(spec: &SinkSpec) -> Result<Vec<PathBuf>, Gap> {
    let Place::Path(path) = &spec.place else {
        return Err(Gap::Unchecked(
            "it was written to the standard output: name the file that it went to".into(),
        ));
    };
    let whole = Path::new(path);
    match path.split_once("{part}") {
        Some((before, after)) => Ok(parts(before, after)),
        None if whole.is_dir() || path.ends_with('/') => {
            let directory = path.trim_end_matches('/');
            Ok(parts(
                &format!("{directory}/part-"),
                &format!(".{}", spec.format.ending()),
            ))
        }
        None if whole.is_file() => Ok(vec![whole.to_owned()]),
        None if whole.exists() => Err(Gap::Unchecked(format!(
            "{path} is no file that can be read again: name the file that it went to"
        ))),
        None => Err(Gap::Missing(format!(
            "there is no result at {path}: run the job with this sink first, or name the file \
             that it went to with --result"
        ))),
    }
}

/// The numbered files `before…after`, in order.
fn parts(before: &str, after: &str) -> Vec<PathBuf> {
    let pattern = format!(
        "{}*{}",
        glob::Pattern::escape(before),
        glob::Pattern::escape(after)
    );
    let found = glob::glob(&pattern).into_iter().flatten().flatten();
    let prefix = before.rsplit('/').next().unwrap_or_default();
    let numbered = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = name
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_suffix(after));
        number.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let mut found: Vec<PathBuf> = found.filter(numbered).collect();
    found.sort();
    found
}

/// Reads the rows of a result as `schema` has them.
pub(crate) fn read(
    spec: &SinkSpec,
    files: &[PathBuf],
    schema: &SchemaRef,
) -> Result<RecordBatch, VerifyError> {
    let schema = nullable(schema);
    let mut batches = Vec::new();
    for path in files {
        let read = match spec.format {
            Format::Parquet => parquet(path, &schema),
            Format::Jsonl => lines(path, &schema),
            Format::Csv => csv(path, &schema),
        };
        batches.extend(read.map_err(|problem| wrong(spec, path, problem))?);
    }
    let all = concat_batches(&schema, &batches);
    all.map_err(|error| wrong(spec, &files[0], arrow(error)))
}

fn wrong(spec: &SinkSpec, path: &Path, problem: String) -> VerifyError {
    VerifyError::Result {
        sink: spec.name.clone(),
        path: path.display().to_string(),
        problem,
    }
}

/// The schema with nulls allowed everywhere: what is not there must not stop the reading.
fn nullable(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter();
    let fields = fields.map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn arrow(error: ArrowError) -> String {
    arrow_cause(&error)
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// The columns that are there must be those that the sink writes.
fn same_names<'a>(
    schema: &Schema,
    found: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), String> {
    let known = |name: &str| schema.column_with_name(name).is_some();
    if let Some(more) = found.clone().find(|name| !known(name)) {
        return Err(format!(
            "it has a column `{more}`, which the sink does not write"
        ));
    }
    for field in schema.fields() {
        let times = found.clone().filter(|name| name == field.name()).count();
        if times != 1 {
            return Err(format!("it has {times} columns `{}`", field.name()));
        }
    }
    Ok(())
}

fn strictly(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(array, to, &options)
}

fn parquet(path: &Path, schema: &SchemaRef) -> Result<Vec<RecordBatch>, String> {
    let file = File::open(path).map_err(text)?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| parquet_cause(&e))?;
    let names: Vec<String> = builder
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    same_names(schema, names.iter().map(String::as_str))?;
    let mut batches = Vec::new();
    for batch in builder
        .with_batch_size(65_536)
        .build()
        .map_err(|e| parquet_cause(&e))?
    {
        let batch = batch.map_err(arrow)?;
        let column = |field: &Arc<Field>| {
            let found = batch.column_by_name(field.name());
            let found = found.ok_or_else(|| format!("no column `{}`", field.name()))?;
            strictly(found, field.data_type()).map_err(arrow)
        };
        let columns: Result<Vec<ArrayRef>, String> = schema.fields().iter().map(column).collect();
        batches.push(RecordBatch::try_new(Arc::clone(schema), columns?).map_err(arrow)?);
    }
    Ok(batches)
}

/// Opens a text, which may be compressed.
pub(crate) fn open(path: &Path) -> Result<Box<dyn Read>, String> {
    let mut file = File::open(path).map_err(text)?;
    let mut start = [0; 4];
    let read = file.read(&mut start).map_err(text)?;
    file.rewind().map_err(text)?;
    Ok(match &start[..read] {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::Decoder::new(file).map_err(text)?),
        _ => Box::new(file),
    })
}

fn lines(path: &Path, schema: &SchemaRef) -> Result<Vec<RecordBatch>, String> {
    let reader = arrow::json::ReaderBuilder::new(Arc::clone(schema))
        .with_strict_mode(true)
        .build(BufReader::new(open(path)?))
        .map_err(arrow)?;
    reader.collect::<Result<_, _>>().map_err(arrow)
}

/// Every field is read as a text first, so that the header can be looked at.
fn csv(path: &Path, schema: &SchemaRef) -> Result<Vec<RecordBatch>, String> {
    let fields = schema.fields().iter();
    let texts = fields.map(|field| Field::new(field.name(), DataType::Utf8, true));
    let texts = Arc::new(Schema::new(texts.collect::<Vec<_>>()));
    let reader = arrow::csv::ReaderBuilder::new(texts)
        .with_header(false)
        .build(open(path)?)
        .map_err(arrow)?;
    let mut batches = Vec::new();
    let mut places: Vec<usize> = Vec::new();
    for batch in reader {
        let mut batch = batch.map_err(arrow)?;
        if batches.is_empty() && places.is_empty() {
            let header = batch
                .columns()
                .iter()
                .map(|column| column.as_string::<i32>());
            let header: Vec<&str> = header.map(|column| column.value(0)).collect();
            same_names(schema, header.iter().copied())?;
            let place = |field: &Arc<Field>| header.iter().position(|name| name == field.name());
            places = schema.fields().iter().filter_map(place).collect();
            batch = batch.slice(1, batch.num_rows() - 1);
        }
        let columns: Result<Vec<ArrayRef>, String> = places
            .iter()
            .zip(schema.fields())
            .map(|(place, field)| from_text(batch.column(*place), field))
            .collect();
        batches.push(RecordBatch::try_new(Arc::clone(schema), columns?).map_err(arrow)?);
    }
    match places.is_empty() {
        true => Err("it has no header".to_owned()),
        false => Ok(batches),
    }
}

fn from_text(column: &ArrayRef, field: &Arc<Field>) -> Result<ArrayRef, String> {
    if !field.data_type().is_nested() {
        return strictly(column, field.data_type())
            .map_err(|error| format!("column `{}`: {}", field.name(), arrow_cause(&error)));
    }
    // Lists are JSON texts.
    let mut json = Vec::new();
    for value in column.as_string::<i32>() {
        json.extend_from_slice(b"{\"v\":");
        json.extend_from_slice(value.unwrap_or("null").as_bytes());
        json.extend_from_slice(b"}\n");
    }
    let lists = Field::new("v", field.data_type().clone(), true);
    let schema = Arc::new(Schema::new(vec![lists]));
    let reader = arrow::json::ReaderBuilder::new(Arc::clone(&schema));
    let reader = reader.build(Cursor::new(json)).map_err(arrow)?;
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().map_err(arrow)?;
    let all = concat_batches(&schema, &batches).map_err(arrow)?;
    Ok(Arc::clone(all.column(0)))
}

/// The rows that stand at the end: after all changes, or the newest version of each. `identity` are
/// the columns that tell one row from another over its versions.
pub(crate) fn standing(
    mode: Mode,
    rows: &RecordBatch,
    identity: Option<&[usize]>,
) -> Result<RecordBatch, String> {
    let kept = match mode {
        Mode::Final => return Ok(rows.clone()),
        Mode::Changes => after_changes(rows)?,
        Mode::Upserts => {
            let identity = identity.ok_or(
                "the sink does not write the columns that tell its rows apart, so versions \
                 cannot be put in order",
            )?;
            newest(rows, identity)?
        }
    };
    take_record_batch(rows, &UInt32Array::from(kept)).map_err(arrow)
}

fn after_changes(rows: &RecordBatch) -> Result<Vec<u32>, String> {
    let schema = rows.schema();
    let content: Vec<usize> = (0..schema.fields().len())
        .filter(|column| !matches!(schema.field(*column).name().as_str(), "tick" | "diff"))
        .collect();
    let diffs = rows
        .column_by_name("diff")
        .ok_or("it has no column `diff`")?;
    let diffs = diffs
        .as_primitive_opt::<Int32Type>()
        .ok_or("`diff` is no number")?;
    let encoded = encode(rows, &content)?;
    let mut counts: HashMap<&[u8], (i64, u32)> = HashMap::new();
    for (row, diff) in diffs.values().iter().enumerate() {
        let count = counts
            .entry(encoded.row(row).data())
            .or_insert((0, row as u32));
        count.0 += i64::from(*diff);
    }
    if let Some((_, (count, row))) = counts.iter().find(|(_, (count, _))| *count < 0) {
        return Err(format!(
            "row {row} was taken back {} times more than it was added",
            -count
        ));
    }
    let mut kept: Vec<u32> = counts
        .into_values()
        .flat_map(|(count, row)| std::iter::repeat_n(row, count as usize))
        .collect();
    kept.sort_unstable();
    Ok(kept)
}

fn newest(rows: &RecordBatch, identity: &[usize]) -> Result<Vec<u32>, String> {
    let versions = rows
        .column_by_name("version")
        .ok_or("it has no column `version`")?;
    let versions = versions
        .as_primitive_opt::<UInt64Type>()
        .ok_or("`version` is no number")?;
    let status = rows
        .column_by_name("status")
        .ok_or("it has no column `status`")?;
    let status: &StringArray = status.as_string_opt().ok_or("`status` is no text")?;
    let encoded = encode(rows, identity)?;
    let mut newest: HashMap<&[u8], u32> = HashMap::new();
    for row in 0..rows.num_rows() as u32 {
        let version = |row: u32| versions.value(row as usize);
        let known = newest
            .entry(encoded.row(row as usize).data())
            .or_insert(row);
        if version(row) >= version(*known) {
            *known = row;
        }
    }
    let mut kept: Vec<u32> = newest
        .into_values()
        .filter(|row| status.value(*row as usize) == "live")
        .collect();
    kept.sort_unstable();
    Ok(kept)
}

/// Some columns of each row as bytes, equal where the values are.
pub(super) fn encode(rows: &RecordBatch, columns: &[usize]) -> Result<Rows, String> {
    let arrays: Vec<ArrayRef> = columns
        .iter()
        .map(|c| Arc::clone(rows.column(*c)))
        .collect();
    let fields = arrays
        .iter()
        .map(|array| SortField::new(array.data_type().clone()));
    let converter = RowConverter::new(fields.collect()).map_err(arrow)?;
    converter.convert_columns(&arrays).map_err(arrow)
}
