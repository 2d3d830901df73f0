//! From Arrow values to words: whole numbers, fixed-point numbers, codes and moments.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::DataFusionError;
use tidegate_schemas::fact::NULL;
use tidegate_schemas::names::Names;

use super::layout::{Word, WordKind};

/// A row that cannot become a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The row of the batch.
    pub row: usize,
    /// The column or expression at fault, if there is one.
    pub column: Option<String>,
    /// What is wrong, in plain words.
    pub reason: String,
}

/// The rows of a batch that cannot become facts, with the first thing wrong with each.
#[derive(Debug, Default)]
pub(super) struct Faults(BTreeMap<usize, Fault>);

impl Faults {
    pub(super) fn has(&self, row: usize) -> bool {
        !self.0.is_empty() && self.0.contains_key(&row)
    }

    pub(super) fn add(&mut self, row: usize, column: Option<String>, reason: String) {
        self.0.entry(row).or_insert(Fault {
            row,
            column,
            reason,
        });
    }

    pub(super) fn into_list(self) -> Vec<Fault> {
        self.0.into_values().collect()
    }
}

/// Writes the values of `array` into word `word.index` of each row.
pub(super) fn fill(
    array: &ArrayRef,
    word: &Word,
    names: &Names,
    values: &mut [i64],
    stride: usize,
    faults: &mut Faults,
) -> Result<(), DataFusionError> {
    let mut put = |row: usize, value: i64| values[row * stride + word.index] = value;
    match word.kind {
        WordKind::Int => {
            let array = arrow::compute::cast(array, &DataType::Int64)?;
            let array = array.as_primitive::<Int64Type>();
            for row in (0..array.len()).filter(|row| array.is_valid(*row)) {
                match array.value(row) {
                    NULL => faults.add(row, Some(word.text.clone()), out_of_range("-2^63")),
                    value => put(row, value),
                }
            }
        }
        WordKind::Time => {
            let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
            let array = arrow::compute::cast(array, &micros)?;
            let array = array.as_primitive::<TimestampMicrosecondType>();
            for row in (0..array.len()).filter(|row| array.is_valid(*row)) {
                put(row, array.value(row));
            }
        }
        WordKind::Fixed(scale) => {
            let array = arrow::compute::cast(array, &DataType::Float64)?;
            let array = array.as_primitive::<Float64Type>();
            for row in (0..array.len()).filter(|row| array.is_valid(*row)) {
                match fixed(array.value(row), scale) {
                    Some(value) => put(row, value),
                    None => {
                        let reason = format!(
                            "{} does not fit a number with {scale} decimals (at most ±{:e}); \
                             filter it out, or set a smaller scale",
                            array.value(row),
                            i64::MAX as f64 / 10f64.powi(i32::from(scale)),
                        );
                        faults.add(row, Some(word.text.clone()), reason);
                    }
                }
            }
        }
        WordKind::Text => {
            let array = arrow::compute::cast(array, &DataType::Utf8)?;
            let array = array.as_string::<i32>();
            for row in (0..array.len()).filter(|row| array.is_valid(*row)) {
                put(row, names.code(array.value(row)));
            }
        }
    }
    Ok(())
}

fn out_of_range(what: &str) -> String {
    format!("{what} is out of range")
}

/// `value` as a whole number of 10^-scale, rounded half away from zero; `None` when it does not fit.
pub(super) fn fixed(value: f64, scale: u8) -> Option<i64> {
    let scaled = value * 10f64.powi(i32::from(scale));
    // Comparing this way also refuses NaN.
    (scaled.abs() < 9.2e18).then(|| (scaled + 0.5f64.copysign(scaled)) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_become_whole_numbers() {
        assert_eq!(fixed(12.34, 2), Some(1234));
        assert_eq!(fixed(-0.125, 2), Some(-13));
        assert_eq!(fixed(0.1 + 0.2, 6), Some(300_000));
        assert_eq!(fixed(f64::NAN, 2), None);
        assert_eq!(fixed(f64::INFINITY, 2), None);
        assert_eq!(fixed(1e15, 6), None);
    }
}
