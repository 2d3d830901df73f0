//! From what SQL computes to what an output shows: whole numbers and texts as typed columns.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, ListArray, StructArray,
    UInt32Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, UInt64Type};
use tidegate_schemas::job::Empty;
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::TimeUnit;

use super::error::VerifyError;
use crate::sinks::{arrow_type, bar_fields, item_field};

fn shape(what: impl ToString) -> VerifyError {
    VerifyError::Shape(what.to_string())
}

/// Whole numbers of any width that SQL answers with.
pub(super) fn wholes(array: &ArrayRef) -> Result<Vec<Option<i128>>, VerifyError> {
    if let Some(narrow) = array.as_primitive_opt::<Int64Type>() {
        return Ok(narrow.iter().map(|word| word.map(i128::from)).collect());
    }
    if let Some(wide) = array.as_primitive_opt::<Decimal128Type>() {
        return Ok(wide.iter().collect());
    }
    let narrow = cast(array, &DataType::Int64).map_err(shape)?;
    let narrow = narrow.as_primitive::<Int64Type>();
    Ok(narrow.iter().map(|word| word.map(i128::from)).collect())
}

/// Floats that SQL answers with.
pub(super) fn floats(array: &ArrayRef) -> Result<Vec<Option<f64>>, VerifyError> {
    let floats = cast(array, &DataType::Float64).map_err(shape)?;
    let floats = floats.as_primitive::<arrow::datatypes::Float64Type>();
    Ok(floats.iter().collect())
}

/// What stands where there is nothing.
pub(super) fn empty_whole(empty: Empty) -> Option<i128> {
    match empty {
        Empty::Null => None,
        Empty::Zero => Some(0),
    }
}

/// Whole numbers as values of a kind: fixed-point numbers, microseconds, truths.
pub(super) fn shown(kind: &Kind, words: &[Option<i128>]) -> Result<ArrayRef, VerifyError> {
    let narrow = |by: i128, times: i128| -> Int64Array {
        let fit = |word: i128| word.clamp(-i128::from(i64::MAX), i128::from(i64::MAX)) as i64;
        let narrow = |word: &Option<i128>| word.map(|word| fit(word.div_euclid(by) * times));
        words.iter().map(narrow).collect()
    };
    let decimals = |scale: u8| -> ArrayRef {
        let power = 10f64.powi(i32::from(scale));
        let shown = words
            .iter()
            .map(|word| word.map(|word| word as f64 / power));
        Arc::new(shown.collect::<Float64Array>())
    };
    Ok(match kind {
        Kind::Int => Arc::new(narrow(1, 1)),
        Kind::Fixed { scale } => decimals(*scale),
        Kind::Span => decimals(6),
        Kind::Float => decimals(0),
        Kind::Bool => {
            let truths = words.iter().map(|word| word.map(|word| word != 0));
            Arc::new(truths.collect::<BooleanArray>())
        }
        Kind::Time(unit) => {
            let counted = match unit {
                TimeUnit::Second => narrow(1_000_000, 1),
                TimeUnit::Millisecond => narrow(1_000, 1),
                TimeUnit::Microsecond => narrow(1, 1),
                TimeUnit::Nanosecond => narrow(1, 1_000),
            };
            cast(&counted, &arrow_type(kind)).map_err(shape)?
        }
        Kind::Id { .. } | Kind::IdText | Kind::Text | Kind::List(_) | Kind::Histogram(_) => {
            return Err(shape(format!("whole numbers shown as {kind:?}")));
        }
    })
}

/// A column that SQL answers with, texts or whole numbers, as values of a kind.
pub(super) fn values(kind: &Kind, array: &ArrayRef) -> Result<ArrayRef, VerifyError> {
    match kind {
        Kind::Text | Kind::IdText | Kind::Float => cast(array, &arrow_type(kind)).map_err(shape),
        Kind::Id { shown } => {
            let ids = cast(array, &arrow_type(kind)).map_err(shape)?;
            let ids = ids.as_primitive::<UInt64Type>();
            Ok(Arc::new(ids.unary::<_, UInt64Type>(|id| id & shown)))
        }
        _ => shown(kind, &wholes(array)?),
    }
}

/// The column of the facts that holds their ids as a kind shows them.
pub(super) fn id_column(kind: &Kind) -> &'static str {
    match kind {
        Kind::IdText => "named",
        _ => "id",
    }
}

/// The rows of an output by the numbers that name them, in order.
#[derive(Clone, Debug)]
pub(super) struct Owners(pub(super) Vec<i64>);

impl Owners {
    /// A column that SQL answers with, whose rows belong to `of` (in order), brought to all owners:
    /// null for those that have none, the first for those that have several.
    pub(super) fn spread(&self, of: &ArrayRef, column: &ArrayRef) -> Result<ArrayRef, VerifyError> {
        let found = of.as_primitive::<Int64Type>().values();
        let mut next = 0;
        let place = |owner: &i64| {
            while found.get(next).is_some_and(|other| other < owner) {
                next += 1;
            }
            (found.get(next) == Some(owner)).then_some(next as u32)
        };
        let places: UInt32Array = self.0.iter().map(place).collect();
        take(column, &places, None).map_err(shape)
    }

    /// The rows of `items`, whose owners are `of` (in order), as one list for each owner.
    pub(super) fn lists(&self, of: &ArrayRef, items: ArrayRef) -> Result<ArrayRef, VerifyError> {
        let found = of.as_primitive::<Int64Type>().values();
        let mut next = 0;
        let mut lengths = Vec::with_capacity(self.0.len());
        for owner in &self.0 {
            let begin = next;
            while found.get(next) == Some(owner) {
                next += 1;
            }
            lengths.push(next - begin);
        }
        if next != found.len() {
            return Err(shape("a list belongs to no row"));
        }
        let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
        let field = item_field(items.data_type().clone());
        let lists = ListArray::try_new(field, offsets, items, None).map_err(shape)?;
        Ok(Arc::new(lists))
    }
}

/// Values and their counts as the items of a histogram.
pub(super) fn bars(
    value: &Kind,
    values: ArrayRef,
    counts: &ArrayRef,
) -> Result<ArrayRef, VerifyError> {
    let counts = cast(counts, &DataType::Int64).map_err(shape)?;
    let bars = StructArray::try_new(bar_fields(value), vec![values, counts], None);
    Ok(Arc::new(bars.map_err(shape)?))
}
