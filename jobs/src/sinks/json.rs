//! Batches as JSON lines: one object a row, every column present, nulls as `null`.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
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
    let members = members.collect::<Result<Vec<_>, _>>()?;
    let mut line = Line {
        same: [0, 1].map(|back| same(&members, back, batch.num_rows())),
        members,
        starts: [0, 1].map(|_| vec![0; batch.num_columns() + 1]),
    };
    (0..batch.num_rows()).for_each(|row| line.append(row, to));
    Ok(())
}

/// A line, written again and again. Most of it is as in one of the two lines before, and is copied from there: to
/// encode it anew takes several times as long. Two, because a row that is taken back and comes again with another
/// value, and then the next one, make two kinds of lines by turns.
struct Line<'a> {
    members: Vec<Member<'a>>,
    /// Of the row before and of the one before that, for 64 members at a time: by row, a bit for each that is the same.
    same: [Vec<Vec<u64>>; 2],
    /// Where each member begins in the last line and in the one before it, and where the last one ends.
    starts: [Vec<usize>; 2],
}

impl Line<'_> {
    fn append(&mut self, row: usize, to: &mut Vec<u8>) {
        to.push(b'{');
        let mut next = 0;
        while next < self.members.len() {
            let first = next;
            let (back, count) = self.as_before(first, row);
            next += count.max(1);
            if count == 0 {
                self.starts[1][first] = to.len();
                self.members[first].append(row, to);
                continue;
            }
            let start = self.starts[back][first];
            let moved = to.len() - start;
            to.extend_from_within(start..self.starts[back][next]);
            for member in first..next {
                self.starts[1][member] = self.starts[back][member] + moved;
            }
        }
        self.starts[1][next] = to.len();
        self.starts.swap(0, 1);
        to.extend_from_slice(b"}\n");
    }

    /// In which line before more members from one on are the same, and how many are.
    #[inline]
    fn as_before(&self, first: usize, row: usize) -> (usize, usize) {
        let same = |back: usize| {
            let same = self.same[back][first / 64][row] >> (first % 64);
            same.trailing_ones() as usize
        };
        let (last, earlier) = (same(0), same(1));
        match earlier > last {
            true => (1, earlier),
            false => (0, last),
        }
    }
}

/// Which members are as in the row before (`back` 0) or in the one before that, as [`Line`] keeps it.
fn same(members: &[Member<'_>], back: usize, rows: usize) -> Vec<Vec<u64>> {
    let of_some = |members: &[Member<'_>]| {
        let (mut always, mut same) = (0, vec![0; rows]);
        for (member, bit) in members.iter().zip(0..) {
            let Some(again) = &member.again[back] else {
                continue;
            };
            match again.count_set_bits() {
                0 => {}
                all if all == again.len() => always |= 1 << bit,
                _ => {
                    let rows = same.iter_mut().skip(back + 1);
                    rows.zip(again)
                        .for_each(|(same, again)| *same |= u64::from(again) << bit);
                }
            }
        }
        same.iter_mut()
            .skip(back + 1)
            .for_each(|same| *same |= always);
        same
    };
    members.chunks(64).map(of_some).collect()
}

/// A member of the objects: a name and the values of a column.
struct Member<'a> {
    /// What stands before a value: the name, and what parts it from others.
    before: Vec<u8>,
    values: NullableEncoder<'a>,
    /// Whether each value but the first is that of the row before it, and each but the first two that of the row before
    /// that, where that can be told for all at once.
    again: [Option<BooleanBuffer>; 2],
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
            again: [again(array, 1), again(array, 2)],
        })
    }

    fn append(&mut self, row: usize, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.before);
        match self.values.is_null(row) {
            true => to.extend_from_slice(b"null"),
            false => self.values.encode(row, to),
        }
    }
}

/// Whether each value but the first ones is that so many rows before it; `None` where that cannot be told.
fn again(array: &dyn Array, back: usize) -> Option<BooleanBuffer> {
    let others = array.len().saturating_sub(back);
    if let Some(texts) = array.as_string_opt::<i32>() {
        return Some(texts_again(texts, back));
    }
    let (earlier, later) = (
        array.slice(0, others),
        array.slice(array.len() - others, others),
    );
    let again = not_distinct(&earlier, &later).ok()?;
    Some(again.values().clone())
}

fn texts_again(texts: &StringArray, back: usize) -> BooleanBuffer {
    let others = texts.len().saturating_sub(back);
    // Many columns say the same in every line, or two things by turns: that is told by one look at all of them.
    let ends = texts.value_offsets();
    let shift = (ends[texts.len() - others] - ends[0]) as usize;
    let bytes = &texts.value_data()[ends[0] as usize..ends[texts.len()] as usize];
    let lengths = |ends: &[i32]| ends.windows(2).map(|ends| ends[1] - ends[0]).collect();
    let (earlier, later): (Vec<i32>, Vec<i32>) = (
        lengths(&ends[..=others]),
        lengths(&ends[texts.len() - others..]),
    );
    let all = texts.null_count() == texts.len()
        || texts.null_count() == 0
            && earlier == later
            && bytes[..bytes.len() - shift] == bytes[shift..];
    if all {
        return BooleanBuffer::new_set(others);
    }
    // Empty texts may lie nowhere, and to compare memory there takes very long.
    let text = |row: usize| texts.is_valid(row).then(|| texts.value(row));
    BooleanBuffer::collect_bool(others, |row| match (text(row), text(row + back)) {
        (Some(a), Some(b)) => a.len() == b.len() && (a.is_empty() || a == b),
        (a, b) => a.is_none() && b.is_none(),
    })
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
