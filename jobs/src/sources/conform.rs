//! Arrow columns of a file made the declared ones: type, nulls and ranges, value by value only where they differ.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Date32Array, DictionaryArray,
    Float32Array, Float64Array, Int32Array, PrimitiveArray, StringArray,
};
use arrow::compute::kernels::cmp;
use arrow::compute::{CastOptions, cast_with_options, nullif};
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;

use super::columns::{Column, Reason, shown};
use super::declare::{ColumnType, DeclaredColumn};
use super::time_cells::unit_name;
use super::times::{day_range, time_range};

/// The rows of a batch that do not fit, with the first column at fault and why.
pub(super) type Misfits = BTreeMap<usize, (usize, Reason)>;

/// How a column of a file becomes the declared one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By a cast that must lose nothing.
    Exactly,
    /// By a cast that may round, or does not change the values.
    Cast,
    /// Numbers become times since 1970.
    Count,
    /// Times become microseconds, finer digits cut.
    Cut,
    /// Text is read as the declared type.
    Parse,
}

/// The way from a type to the declared one, if there is any.
pub(super) fn way(from: &DataType, kind: &ColumnType) -> Option<Way> {
    use ColumnType as Kind;
    use DataType as From;
    let text =
        matches!(from, From::Utf8 | From::LargeUtf8 | From::Utf8View) || is_text_dictionary(from);
    let decimal = matches!(
        from,
        From::Decimal32(..) | From::Decimal64(..) | From::Decimal128(..) | From::Decimal256(..)
    );
    match kind {
        Kind::I8
        | Kind::I16
        | Kind::I32
        | Kind::I64
        | Kind::U8
        | Kind::U16
        | Kind::U32
        | Kind::U64 => (from.is_integer() || from.is_floating() || decimal).then_some(Way::Exactly),
        Kind::F32 | Kind::F64 if from.is_integer() => Some(Way::Exactly),
        Kind::F32 | Kind::F64 => (from.is_floating() || decimal).then_some(Way::Cast),
        Kind::Bool => (*from == From::Boolean).then_some(Way::Cast),
        Kind::Text => {
            let bytes = matches!(from, From::Binary | From::LargeBinary | From::BinaryView);
            (text || bytes || from.is_integer() || *from == From::Boolean).then_some(Way::Cast)
        }
        Kind::Date if text => Some(Way::Parse),
        Kind::Date => matches!(from, From::Date32 | From::Date64).then_some(Way::Exactly),
        Kind::Epoch(_) | Kind::Rfc3339 | Kind::TimeFormat(_) if text => Some(Way::Parse),
        Kind::Epoch(_) if from.is_integer() || from.is_floating() => Some(Way::Count),
        Kind::Epoch(_) => matches!(from, From::Timestamp(..) | From::Date32 | From::Date64)
            .then_some(Way::Exactly),
        Kind::Rfc3339 | Kind::TimeFormat(_) => {
            matches!(from, From::Timestamp(..) | From::Date32 | From::Date64).then_some(Way::Cut)
        }
    }
}

fn is_text_dictionary(from: &DataType) -> bool {
    matches!(from, DataType::Dictionary(_, values) if matches!(**values, DataType::Utf8 | DataType::LargeUtf8))
}

/// Makes `array` the declared column, the `index`-th; rows that do not fit are added to `misfits` and hold anything.
pub(super) fn conform(
    array: &ArrayRef,
    declared: &DeclaredColumn,
    way: Way,
    index: usize,
    misfits: &mut Misfits,
) -> Result<ArrayRef, ArrowError> {
    let to = match declared.dictionary {
        true => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        false => declared.kind.data_type(),
    };
    let source = without_nan(&without_zone(array)?)?;
    let mut unfit = |row: usize, reason: Reason| {
        misfits.entry(row).or_insert((index, reason));
    };
    let out = match way {
        Way::Parse => parse(&source, declared, &mut unfit)?,
        Way::Cut => {
            let out = cut(&source)?;
            lost(&source, &out, declared, &mut unfit);
            out
        }
        _ if *source.data_type() == to => Arc::clone(&source),
        Way::Cast if declared.repeats && *source.data_type() == DataType::Utf8 => {
            each_its_own(&source)?
        }
        Way::Count => exactly(
            &exactly(&source, &DataType::Int64, declared, &mut unfit)?,
            &to,
            declared,
            &mut unfit,
        )?,
        Way::Exactly => exactly(&source, &to, declared, &mut unfit)?,
        Way::Cast => {
            let out = cast(&source, &to)?;
            lost(&source, &out, declared, &mut unfit);
            out
        }
    };
    check_range(&out, &mut unfit);
    if !declared.nullable && out.null_count() > 0 {
        // A row that is null here but was not in the file already has its reason.
        for row in (0..out.len()).filter(|row| out.is_null(*row)) {
            unfit(row, "is null or NaN, and the column may not be null".into());
        }
    }
    Ok(out)
}

/// Texts as a dictionary in which every row has a value of its own.
pub(crate) fn each_its_own(texts: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let rows = i32::try_from(texts.len()).map_err(|_| ArrowError::DictionaryKeyOverflowError)?;
    let keys = Int32Array::new((0..rows).collect(), texts.nulls().cloned());
    Ok(Arc::new(DictionaryArray::try_new(keys, Arc::clone(texts))?))
}

fn cast(array: &dyn Array, to: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(
        array,
        to,
        &CastOptions {
            safe: true,
            ..CastOptions::default()
        },
    )
}

/// A cast whose way back leads to the same value.
fn exactly(
    source: &ArrayRef,
    to: &DataType,
    declared: &DeclaredColumn,
    unfit: &mut impl FnMut(usize, Reason),
) -> Result<ArrayRef, ArrowError> {
    let out = cast(source, to)?;
    let back = cast(&out, source.data_type())?;
    lost(source, &out, declared, unfit);
    lost(source, &back, declared, unfit);
    let differs = cmp::neq(&back.as_ref(), &source.as_ref())?;
    if differs.true_count() > 0 {
        for row in (0..differs.len()).filter(|row| differs.is_valid(*row) && differs.value(*row)) {
            unfit(row, misfit(source, row, declared));
        }
    }
    Ok(out)
}

/// Finds the values a cast could not keep.
fn lost(
    source: &ArrayRef,
    out: &ArrayRef,
    declared: &DeclaredColumn,
    unfit: &mut impl FnMut(usize, Reason),
) {
    if out.null_count() > source.null_count() {
        for row in (0..out.len()).filter(|row| out.is_null(*row) && source.is_valid(*row)) {
            unfit(row, misfit(source, row, declared));
        }
    }
}

fn misfit(source: &ArrayRef, row: usize, declared: &DeclaredColumn) -> Reason {
    let value = shown(&array_value_to_string(source, row).unwrap_or_default());
    match declared.kind {
        ColumnType::Text => "is not valid UTF-8".into(),
        ColumnType::Epoch(unit) => format!(
            "{value} is not a whole number of {}; declare a finer unit",
            unit_name(unit)
        ),
        _ => format!("{value} does not fit {} without loss", declared.kind),
    }
}

/// Text read as the declared type, as it would be from a text file.
fn parse(
    source: &ArrayRef,
    declared: &DeclaredColumn,
    unfit: &mut impl FnMut(usize, Reason),
) -> Result<ArrayRef, ArrowError> {
    let source = cast(source, &DataType::Utf8)?;
    let texts: &StringArray = source.as_string();
    let mut column = Column::new(&declared.clone().nullable());
    for (row, text) in texts.iter().enumerate() {
        let pushed = match text {
            Some(text) => column.push_text(text),
            None => column.push_null(),
        };
        if let Err(reason) = pushed {
            unfit(row, reason);
            column
                .push_null()
                .map_err(ArrowError::InvalidArgumentError)?;
        }
    }
    column.finish()
}

/// Times in microseconds; nanoseconds are cut towards the past.
fn cut(source: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match source.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let nanos = source.as_primitive::<TimestampNanosecondType>();
            let micros: PrimitiveArray<TimestampMicrosecondType> =
                nanos.unary(|nanos| nanos.div_euclid(1_000));
            Ok(Arc::new(micros))
        }
        _ => cast(source, &DataType::Timestamp(TimeUnit::Microsecond, None)),
    }
}

/// The same times; they are UTC whether a zone is named or not.
fn without_zone(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    fn bare<T: arrow::datatypes::ArrowTimestampType>(array: &ArrayRef) -> ArrayRef {
        Arc::new(
            array
                .as_primitive::<T>()
                .clone()
                .with_timezone_opt::<Arc<str>>(None),
        )
    }
    Ok(match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, Some(_)) => bare::<TimestampSecondType>(array),
        DataType::Timestamp(TimeUnit::Millisecond, Some(_)) => {
            bare::<TimestampMillisecondType>(array)
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            bare::<TimestampMicrosecondType>(array)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, Some(_)) => {
            bare::<TimestampNanosecondType>(array)
        }
        _ => Arc::clone(array),
    })
}

/// NaN becomes null.
fn without_nan(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    fn masked<T: ArrowPrimitiveType>(
        array: &ArrayRef,
        nan: impl Fn(T::Native) -> bool,
    ) -> Result<ArrayRef, ArrowError> {
        let floats = array.as_primitive::<T>();
        // Without an early exit the search is vectorised, and there is none as a rule.
        if !floats
            .values()
            .iter()
            .fold(false, |any, value| any | nan(*value))
        {
            return Ok(Arc::clone(array));
        }
        let mask: BooleanArray = floats
            .values()
            .iter()
            .map(|value| Some(nan(*value)))
            .collect();
        nullif(array, &mask)
    }
    match array.data_type() {
        DataType::Float32 => masked::<Float32Type>(array, f32::is_nan),
        DataType::Float64 => masked::<Float64Type>(array, f64::is_nan),
        _ => Ok(Arc::clone(array)),
    }
}

/// Finds infinities, and times and days outside the years 0000 to 9999.
fn check_range(array: &ArrayRef, unfit: &mut impl FnMut(usize, Reason)) {
    match array.data_type() {
        DataType::Float32 => {
            let floats: &Float32Array = array.as_primitive();
            each_outside(floats, |value| value.is_infinite(), "is infinite", unfit);
        }
        DataType::Float64 => {
            let floats: &Float64Array = array.as_primitive();
            each_outside(floats, |value| value.is_infinite(), "is infinite", unfit);
        }
        DataType::Date32 => {
            let days: &Date32Array = array.as_primitive::<Date32Type>();
            let (first, last) = day_range();
            each_outside(days, |day| day < first || day > last, OUTSIDE, unfit);
        }
        DataType::Timestamp(unit, _) => {
            let (first, last) = time_range(*unit);
            let outside = |time: i64| time < first || time > last;
            match unit {
                TimeUnit::Second => each_outside(
                    array.as_primitive::<TimestampSecondType>(),
                    outside,
                    OUTSIDE,
                    unfit,
                ),
                TimeUnit::Millisecond => {
                    each_outside(
                        array.as_primitive::<TimestampMillisecondType>(),
                        outside,
                        OUTSIDE,
                        unfit,
                    );
                }
                TimeUnit::Microsecond => {
                    each_outside(
                        array.as_primitive::<TimestampMicrosecondType>(),
                        outside,
                        OUTSIDE,
                        unfit,
                    );
                }
                // Every 64-bit number of nanoseconds lies within.
                TimeUnit::Nanosecond => {}
            }
        }
        _ => {}
    }
}

const OUTSIDE: &str = "lies outside the years 0000 to 9999";

fn each_outside<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    outside: impl Fn(T::Native) -> bool,
    reason: &str,
    unfit: &mut impl FnMut(usize, Reason),
) {
    // Almost always none is, and one pass without branches tells.
    if !array
        .values()
        .iter()
        .fold(false, |any, value| any | outside(*value))
    {
        return;
    }
    for row in (0..array.len()).filter(|row| array.is_valid(*row) && outside(array.value(*row))) {
        unfit(row, format!("{:?} {reason}", array.value(row)));
    }
}
