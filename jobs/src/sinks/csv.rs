//! Batches as CSV: a header, one line a row, lists as JSON text.
//!
//! A null is an empty field and an empty text is `""`. Fields are quoted where they must be, and
//! quotes within are doubled (RFC 4180); lines end in a single line feed.

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::json;
use super::time_text::TimeText;

/// Appends the header line.
pub(super) fn append_header(schema: &Schema, to: &mut Vec<u8>) {
    for (index, field) in schema.fields().iter().enumerate() {
        if index > 0 {
            to.push(b',');
        }
        quote(field.name().as_bytes(), to);
    }
    to.push(b'\n');
}

/// Appends the rows of a batch as lines.
pub(super) fn append(batch: &RecordBatch, to: &mut Vec<u8>) -> Result<(), ArrowError> {
    let options = json::options();
    let schema = batch.schema();
    let mut columns = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, array)| Cells::of(field, array.as_ref(), &options))
        .collect::<Result<Vec<_>, _>>()?;
    let mut scratch = Vec::new();
    for row in 0..batch.num_rows() {
        for (index, column) in columns.iter_mut().enumerate() {
            if index > 0 {
                to.push(b',');
            }
            column.append(row, &mut scratch, to)?;
        }
        to.push(b'\n');
    }
    Ok(())
}

/// One column on its way to text.
struct Cells<'a> {
    nulls: Option<NullBuffer>,
    form: Form<'a>,
}

enum Form<'a> {
    Text(&'a StringArray),
    Time(TimeText<'a>),
    /// Whole numbers, finite floats and truth values read in CSV as they do in JSON.
    Bare(NullableEncoder<'a>),
    Float(&'a dyn Array, NullableEncoder<'a>),
    /// Lists and structures.
    Json(NullableEncoder<'a>),
    Other(Box<ArrayFormatter<'a>>),
}

impl<'a> Cells<'a> {
    fn of(
        field: &'a arrow::datatypes::FieldRef,
        array: &'a dyn Array,
        options: &'a EncoderOptions,
    ) -> Result<Cells<'a>, ArrowError> {
        let form = match array.data_type() {
            DataType::Utf8 => Form::Text(array.as_string()),
            DataType::Timestamp(..) => match TimeText::of(array) {
                Some(times) => Form::Time(times),
                None => Form::Other(Box::new(formatter(array)?)),
            },
            DataType::Float64 => Form::Float(array, make_encoder(field, array, options)?),
            DataType::Boolean => Form::Bare(make_encoder(field, array, options)?),
            whole if whole.is_integer() => Form::Bare(make_encoder(field, array, options)?),
            nested if nested.is_nested() => Form::Json(make_encoder(field, array, options)?),
            _ => Form::Other(Box::new(formatter(array)?)),
        };
        Ok(Cells {
            nulls: array.logical_nulls(),
            form,
        })
    }

    fn append(
        &mut self,
        row: usize,
        scratch: &mut Vec<u8>,
        to: &mut Vec<u8>,
    ) -> Result<(), ArrowError> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(());
        }
        match &mut self.form {
            Form::Text(texts) => quote(texts.value(row).as_bytes(), to),
            Form::Time(times) => times.write(row, to),
            Form::Bare(values) => values.encode(row, to),
            Form::Float(array, values) => {
                let value = array
                    .as_primitive::<arrow::datatypes::Float64Type>()
                    .value(row);
                if value.is_finite() {
                    values.encode(row, to);
                } else {
                    to.extend_from_slice(value.to_string().as_bytes());
                }
            }
            Form::Json(values) => {
                scratch.clear();
                values.encode(row, scratch);
                quote(scratch, to);
            }
            Form::Other(values) => quote(values.value(row).try_to_string()?.as_bytes(), to),
        }
        Ok(())
    }
}

fn formatter(array: &dyn Array) -> Result<ArrayFormatter<'_>, ArrowError> {
    const PLAIN: FormatOptions<'static> = FormatOptions::new();
    ArrayFormatter::try_new(array, &PLAIN)
}

fn quote(text: &[u8], to: &mut Vec<u8>) {
    let must = text.is_empty()
        || text
            .iter()
            .any(|byte| matches!(byte, b'"' | b',' | b'\n' | b'\r'))
        || text.first() == Some(&b' ')
        || text.last() == Some(&b' ');
    if !must {
        to.extend_from_slice(text);
        return;
    }
    to.push(b'"');
    for byte in text {
        if *byte == b'"' {
            to.push(b'"');
        }
        to.push(*byte);
    }
    to.push(b'"');
}
