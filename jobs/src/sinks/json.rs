//! Batches as JSON lines: one object a row, every column present, nulls as `null`.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::FieldRef;
use arrow::error::ArrowError;
use arrow::json::writer::{
    Encoder, EncoderFactory, EncoderOptions, LineDelimited, NullableEncoder, WriterBuilder,
};

use super::time_text::TimeText;

/// Appends the rows of a batch as lines.
///
/// Times are RFC 3339 in UTC. Floats that JSON has no number for (infinities) are `null`.
pub(super) fn append(batch: &RecordBatch, to: &mut Vec<u8>) -> Result<(), ArrowError> {
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .with_encoder_factory(Arc::new(Times))
        .build::<_, LineDelimited>(to);
    writer.write(batch)?;
    writer.finish()
}

/// How the values of a column, or of a list within one, are written as JSON.
pub(super) fn options() -> EncoderOptions {
    EncoderOptions::default()
        .with_explicit_nulls(true)
        .with_encoder_factory(Arc::new(Times))
}

/// Writes timestamps as RFC 3339 in UTC.
#[derive(Debug)]
struct Times;

impl EncoderFactory for Times {
    fn make_default_encoder<'a>(
        &self,
        _: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        Ok(TimeText::of(array)
            .map(|times| NullableEncoder::new(Box::new(Quoted(times)), array.nulls().cloned())))
    }
}

struct Quoted<'a>(TimeText<'a>);

impl Encoder for Quoted<'_> {
    fn encode(&mut self, row: usize, to: &mut Vec<u8>) {
        to.push(b'"');
        self.0.write(row, to);
        to.push(b'"');
    }
}
