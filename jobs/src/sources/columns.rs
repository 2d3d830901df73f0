//! Columns under construction: one typed value a row, from text or JSON, that can be taken back.

use std::sync::Arc;

use arrow::array::builder::NullBufferBuilder;
use arrow::array::{Array, ArrayRef, BooleanArray, Date32Array, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use tidegate_schemas::job::closest;

use super::declare::{ColumnType, DeclaredColumn};
use super::numbers::Number;
use super::texts::{Dictionary, Texts};
use super::time_cells::{Times, Written};
use super::times::{TimeFormat, day_range, parse_day};

/// Why a value does not fit its column, in plain words.
pub(super) type Reason = String;

/// The values of one column, growing by one a row.
#[derive(Debug)]
pub(super) struct Column {
    nullable: bool,
    cells: Cells,
    nulls: NullBufferBuilder,
}

#[derive(Debug)]
enum Cells {
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bool(Vec<bool>),
    Text(Texts),
    Dictionary(Dictionary),
    Date(Vec<i32>),
    Time(Times),
}

/// The same expression for the cells of every kind.
macro_rules! each_kind {
    ($cells:expr, $values:ident => $body:expr) => {
        match $cells {
            Cells::I8($values) => $body,
            Cells::I16($values) => $body,
            Cells::I32($values) => $body,
            Cells::I64($values) => $body,
            Cells::U8($values) => $body,
            Cells::U16($values) => $body,
            Cells::U32($values) => $body,
            Cells::U64($values) => $body,
            Cells::F32($values) => $body,
            Cells::F64($values) => $body,
            Cells::Bool($values) => $body,
            Cells::Text($values) => $body,
            Cells::Dictionary($values) => $body,
            Cells::Date($values) => $body,
            Cells::Time($values) => $body,
        }
    };
}

impl Column {
    /// An empty column of the declared kind.
    pub(super) fn new(declared: &DeclaredColumn) -> Self {
        let time = |unit, written| Cells::Time(Times::new(unit, written));
        let cells = match &declared.kind {
            ColumnType::I8 => Cells::I8(Vec::new()),
            ColumnType::I16 => Cells::I16(Vec::new()),
            ColumnType::I32 => Cells::I32(Vec::new()),
            ColumnType::I64 => Cells::I64(Vec::new()),
            ColumnType::U8 => Cells::U8(Vec::new()),
            ColumnType::U16 => Cells::U16(Vec::new()),
            ColumnType::U32 => Cells::U32(Vec::new()),
            ColumnType::U64 => Cells::U64(Vec::new()),
            ColumnType::F32 => Cells::F32(Vec::new()),
            ColumnType::F64 => Cells::F64(Vec::new()),
            ColumnType::Bool => Cells::Bool(Vec::new()),
            ColumnType::Text if declared.dictionary => Cells::Dictionary(Dictionary::default()),
            ColumnType::Text => Cells::Text(Texts::default()),
            ColumnType::Date => Cells::Date(Vec::new()),
            ColumnType::Epoch(unit) => time(*unit, Written::Epoch),
            ColumnType::Rfc3339 => time(TimeUnit::Microsecond, Written::Rfc3339),
            ColumnType::TimeFormat(format) => match TimeFormat::new(format) {
                Ok(parsed) => time(TimeUnit::Microsecond, Written::As(parsed, format.clone())),
                Err(problem) => unreachable!("the declaration was checked: {problem}"),
            },
        };
        Self {
            nullable: declared.nullable,
            cells,
            nulls: NullBufferBuilder::new(0),
        }
    }

    /// Rows so far.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.nulls.len()
    }

    /// Drops every row from `len` on.
    pub(super) fn truncate(&mut self, len: usize) {
        self.nulls.truncate(len);
        each_kind!(&mut self.cells, values => values.truncate(len));
    }

    /// Adds a null.
    #[inline]
    pub(super) fn push_null(&mut self) -> Result<(), Reason> {
        if !self.nullable {
            return Err("is null or missing, and the column may not be null".into());
        }
        self.nulls.append_null();
        match &mut self.cells {
            Cells::Text(texts) => texts.push_empty(),
            Cells::Dictionary(dictionary) => dictionary.push_empty(),
            Cells::Bool(values) => values.push(false),
            Cells::I8(values) => values.push(0),
            Cells::I16(values) => values.push(0),
            Cells::I32(values) | Cells::Date(values) => values.push(0),
            Cells::I64(values) => values.push(0),
            Cells::Time(times) => times.push_null(),
            Cells::U8(values) => values.push(0),
            Cells::U16(values) => values.push(0),
            Cells::U32(values) => values.push(0),
            Cells::U64(values) => values.push(0),
            Cells::F32(values) => values.push(0.0),
            Cells::F64(values) => values.push(0.0),
        }
        Ok(())
    }

    /// Adds a number.
    #[inline]
    pub(super) fn push_number(&mut self, number: &Number<'_>) -> Result<(), Reason> {
        match &mut self.cells {
            Cells::I8(values) => values.push(integer(number)?),
            Cells::I16(values) => values.push(integer(number)?),
            Cells::I32(values) => values.push(integer(number)?),
            Cells::I64(values) => values.push(integer(number)?),
            Cells::U8(values) => values.push(integer(number)?),
            Cells::U16(values) => values.push(integer(number)?),
            Cells::U32(values) => values.push(integer(number)?),
            Cells::U64(values) => values.push(integer(number)?),
            Cells::F32(values) => values.push(
                number
                    .f32()
                    .ok_or_else(|| out_of_range(number.text, "f32"))?,
            ),
            Cells::F64(values) => values.push(
                number
                    .f64()
                    .ok_or_else(|| out_of_range(number.text, "f64"))?,
            ),
            Cells::Time(times) => times.push_number(number)?,
            Cells::Text(texts) => texts.push(number.text),
            Cells::Dictionary(dictionary) => dictionary.push(number.text),
            Cells::Bool(_) => {
                return Err(format!(
                    "{} is a number, not true or false",
                    shown(number.text)
                ));
            }
            Cells::Date(_) => {
                return Err(format!(
                    "{} is a number, not a day such as 2024-01-31",
                    shown(number.text)
                ));
            }
        }
        self.nulls.append_non_null();
        Ok(())
    }

    /// Adds a JSON `true` or `false`.
    pub(super) fn push_bool(&mut self, value: bool) -> Result<(), Reason> {
        let text = if value { "true" } else { "false" };
        match &mut self.cells {
            Cells::Bool(values) => values.push(value),
            Cells::Text(texts) => texts.push(text),
            Cells::Dictionary(dictionary) => dictionary.push(text),
            _ => return Err(format!("{text} does not fit the column")),
        }
        self.nulls.append_non_null();
        Ok(())
    }

    /// Adds a value written as text: for a text column itself, for any other what it says.
    #[inline]
    pub(super) fn push_text(&mut self, text: &str) -> Result<(), Reason> {
        match &mut self.cells {
            Cells::Text(texts) => texts.push(text),
            Cells::Dictionary(dictionary) => dictionary.push(text),
            Cells::Time(times) => times.push_text(text)?,
            Cells::Date(values) => values.push(day(text)?),
            Cells::Bool(values) => values.push(truth(text)?),
            Cells::F32(_) | Cells::F64(_) if text.trim_ascii().eq_ignore_ascii_case("nan") => {
                return self.push_null();
            }
            _ => {
                let number = Number::whole(text)
                    .ok_or_else(|| format!("{} is not a number", shown(text)))?;
                return self.push_number(&number);
            }
        }
        self.nulls.append_non_null();
        Ok(())
    }

    /// Adds a field of delimited text: an empty one is null, or empty text where null is not allowed.
    #[inline]
    pub(super) fn push_field(&mut self, field: &str) -> Result<(), Reason> {
        if field.is_empty()
            && (self.nullable || !matches!(self.cells, Cells::Text(_) | Cells::Dictionary(_)))
        {
            return self.push_null();
        }
        self.push_text(field)
    }

    /// The column so far as an array, leaving it empty.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.nulls.finish();
        Ok(match &mut self.cells {
            Cells::I8(values) => array::<Int8Type>(values, nulls)?,
            Cells::I16(values) => array::<Int16Type>(values, nulls)?,
            Cells::I32(values) => array::<Int32Type>(values, nulls)?,
            Cells::I64(values) => array::<Int64Type>(values, nulls)?,
            Cells::U8(values) => array::<UInt8Type>(values, nulls)?,
            Cells::U16(values) => array::<UInt16Type>(values, nulls)?,
            Cells::U32(values) => array::<UInt32Type>(values, nulls)?,
            Cells::U64(values) => array::<UInt64Type>(values, nulls)?,
            Cells::F32(values) => array::<Float32Type>(values, nulls)?,
            Cells::F64(values) => array::<Float64Type>(values, nulls)?,
            Cells::Bool(values) => {
                let bits = BooleanBuffer::from(values.as_slice());
                values.clear();
                Arc::new(BooleanArray::new(bits, nulls))
            }
            Cells::Text(texts) => Arc::new(texts.finish(nulls)?),
            Cells::Dictionary(dictionary) => Arc::new(dictionary.finish(nulls)?),
            Cells::Date(values) => Arc::new(Date32Array::try_new(take(values).into(), nulls)?),
            Cells::Time(times) => times.finish(nulls)?,
        })
    }
}

/// A value as it appears in a reason: quoted and short.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn out_of_range(text: &str, kind: &str) -> Reason {
    format!("{} is out of the range of {kind}", shown(text))
}

fn integer<T: TryFrom<i128>>(number: &Number<'_>) -> Result<T, Reason> {
    match number.integer().map(T::try_from) {
        Some(Ok(value)) => Ok(value),
        _ => Err(misfit::<T>(number)),
    }
}

#[cold]
fn misfit<T>(number: &Number<'_>) -> Reason {
    match number.f64() {
        Some(value) if value.fract() != 0.0 => {
            format!("{} is not a whole number", shown(number.text))
        }
        _ => out_of_range(number.text, std::any::type_name::<T>()),
    }
}

fn day(text: &str) -> Result<i32, Reason> {
    let (first, last) = day_range();
    match parse_day(text.trim_ascii().as_bytes()) {
        Some(day) if (first..=last).contains(&day) => Ok(day),
        _ => Err(format!("{} is not a day such as 2024-01-31", shown(text))),
    }
}

fn truth(text: &str) -> Result<bool, Reason> {
    let text = text.trim_ascii();
    let among = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    match (
        among(&["true", "t", "yes", "y", "1"]),
        among(&["false", "f", "no", "n", "0"]),
    ) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(format!("{} is not true or false", shown(text))),
    }
}

/// The values, leaving room for as many.
pub(super) fn take<T>(values: &mut Vec<T>) -> Vec<T> {
    let capacity = values.len();
    std::mem::replace(values, Vec::with_capacity(capacity))
}

fn array<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError>
where
    arrow::buffer::ScalarBuffer<T::Native>: From<Vec<T::Native>>,
{
    let array = PrimitiveArray::<T>::try_new(take(values).into(), nulls)?;
    debug_assert!(array.nulls().is_none_or(|nulls| nulls.len() == array.len()));
    Ok(Arc::new(array))
}
/// What may be meant by the name of a column that is not among `names`.
pub(super) fn meant(name: &str, names: &[String]) -> String {
    match closest(name, names.iter().map(String::as_str)) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => String::new(),
    }
}
