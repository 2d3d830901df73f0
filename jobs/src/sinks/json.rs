//! Batches as JSON lines: one object a row, every column present, nulls as `null`.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::cmp::not_distinct;
use arrow::datatypes::FieldRef;
use arrow::error::ArrowError;
use arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, NullableEncoder, make_encoder};

use super::time_text::TimeText;

/// Appends the rows of a batch as lines.
///
/// Times are RFC 3339 in UTC. Floats that JSON has no number for (infinities) are `null`.
pub(super) fn append(batch: &RecordBatch, to: &mut Vec<u8>) -> Result<(), ArrowError> {
    let (schema, options) = (batch.schema(), options());
    let columns = schema.fields().iter().zip(batch.columns());
    let comma = std::iter::once("").chain(std::iter::repeat(","));
    let members = columns
        .zip(comma)
        .map(|((field, array), comma)| Member::of(comma, field, array, &options));
    let mut line = Line {
        members: members.collect::<Result<_, _>>()?,
        starts: vec![0; batch.num_columns() + 1],
    };
    (0..batch.num_rows()).for_each(|row| line.append(row, to));
    Ok(())
}

/// A line, written again and again. Most of it is as in the line before, and is copied from there: to
/// encode it anew takes several times as long.
struct Line<'a> {
    members: Vec<Member<'a>>,
    /// Where each member begins in the last line, and where the last one ends.
    starts: Vec<usize>,
}

impl Line<'_> {
    fn append(&mut self, row: usize, to: &mut Vec<u8>) {
        to.push(b'{');
        let mut next = 0;
        while next < self.members.len() {
            let first = next;
            let members = self.members[first..].iter();
            next += members
                .take_while(|member| member.is_as_before(row))
                .count();
            if next > first {
                let start = self.starts[first];
                let moved = to.len() - start;
                to.extend_from_within(start..self.starts[next]);
                let starts = &mut self.starts[first..next];
                starts.iter_mut().for_each(|start| *start += moved);
            } else {
                self.starts[next] = to.len();
                self.members[next].append(row, to);
                next += 1;
            }
        }
        self.starts[next] = to.len();
        to.extend_from_slice(b"}\n");
    }
}

/// A member of the objects: a name and the values of a column.
struct Member<'a> {
    /// What stands before a value: the name, and what parts it from others.
    before: Vec<u8>,
    values: NullableEncoder<'a>,
    /// Whether each value but the first is that of the row before it, where that can be told for all at once.
    again: Option<BooleanBuffer>,
}

impl<'a> Member<'a> {
    fn of(
        comma: &str,
        field: &'a FieldRef,
        array: &'a dyn Array,
        options: &'a EncoderOptions,
    ) -> Result<Member<'a>, ArrowError> {
        let name = serde_json::to_string(field.name());
        let name = name.map_err(|e| ArrowError::JsonError(e.to_string()))?;
        Ok(Member {
            before: format!("{comma}{name}:").into_bytes(),
            values: make_encoder(field, array, options)?,
            again: again(array),
        })
    }

    #[inline]
    fn is_as_before(&self, row: usize) -> bool {
        let again = self.again.as_ref();
        row > 0 && again.is_some_and(|again| again.value(row - 1))
    }

    fn append(&mut self, row: usize, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.before);
        match self.values.is_null(row) {
            true => to.extend_from_slice(b"null"),
            false => self.values.encode(row, to),
        }
    }
}

/// Whether each value but the first is that of the row before it; `None` where that cannot be told.
fn again(array: &dyn Array) -> Option<BooleanBuffer> {
    let others = array.len().saturating_sub(1);
    if let Some(texts) = array.as_string_opt::<i32>() {
        // Empty texts may lie nowhere, and to compare memory there takes very long.
        let text = |row: usize| texts.is_valid(row).then(|| texts.value(row));
        let same = |row: usize| match (text(row), text(row + 1)) {
            (Some(a), Some(b)) => a.len() == b.len() && (a.is_empty() || a == b),
            (a, b) => a.is_none() && b.is_none(),
        };
        return Some(BooleanBuffer::collect_bool(others, same));
    }
    let (earlier, later) = (
        array.slice(0, others),
        array.slice(array.len() - others, others),
    );
    let again = not_distinct(&earlier, &later).ok()?;
    Some(again.values().clone())
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
        let quoted = |times| Quoted {
            times,
            last: None,
            text: Vec::new(),
        };
        Ok(TimeText::of(array)
            .map(|times| NullableEncoder::new(Box::new(quoted(times)), array.nulls().cloned())))
    }
}

struct Quoted<'a> {
    times: TimeText<'a>,
    /// The row that was written last.
    last: Option<usize>,
    /// Its text: times repeat, even where others or none stand between them.
    text: Vec<u8>,
}

impl Encoder for Quoted<'_> {
    fn encode(&mut self, row: usize, to: &mut Vec<u8>) {
        if !self.last.is_some_and(|last| self.times.same(last, row)) {
            self.text.clear();
            self.text.push(b'"');
            self.times.write(row, &mut self.text);
            self.text.push(b'"');
            self.last = Some(row);
        }
        to.extend_from_slice(&self.text);
    }
}
