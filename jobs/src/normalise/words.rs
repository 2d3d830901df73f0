//! From Arrow values to words: whole numbers, fixed-point numbers, codes and moments.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use datafusion::common::DataFusionError;
use tidegate_schemas::fact::{NULL, float_word};
use tidegate_schemas::names::Names;

use super::distinct::{Numbering, Numbers};
use super::layout::{Word, WordKind};
use crate::expressions::{Expression, truths_of};

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
#[derive(Clone, Debug, Default)]
pub struct Faults(BTreeMap<usize, Fault>);

impl Faults {
    /// Whether one of these rows is at fault.
    pub(super) fn any(&self, mut rows: Range<usize>) -> bool {
        !self.0.is_empty() && rows.any(|row| self.has(row))
    }

    /// Whether this row is.
    #[must_use]
    pub fn has(&self, row: usize) -> bool {
        self.0.contains_key(&row)
    }

    /// Adds what is wrong with a row, unless something else was found before.
    #[cold]
    pub fn add(&mut self, row: usize, column: Option<String>, reason: String) {
        self.0.entry(row).or_insert(Fault {
            row,
            column,
            reason,
        });
    }

    /// The values of an expression. A row that it cannot be computed for is at fault, and its value null.
    ///
    /// # Errors
    /// As [`Expression::computed`].
    pub(crate) fn values(
        &mut self,
        expression: &Expression,
        batch: &RecordBatch,
    ) -> Result<ArrayRef, DataFusionError> {
        let (values, failures) = expression.computed(batch)?;
        for failure in failures {
            self.add(
                failure.row,
                Some(expression.sql().to_owned()),
                failure.reason,
            );
        }
        Ok(values)
    }

    /// For which rows an expression is true. A row that it cannot be computed for is at fault.
    ///
    /// # Errors
    /// As [`Expression::computed`].
    pub(crate) fn truths(
        &mut self,
        expression: &Expression,
        batch: &RecordBatch,
    ) -> Result<BooleanArray, DataFusionError> {
        truths_of(&self.values(expression, batch)?)
    }

    /// Adds the rows whose value is at fault; `numbers` says which of the values each has.
    pub(super) fn add_by_number(&mut self, values: &Faults, numbers: &Numbers) {
        if values.is_empty() {
            return;
        }
        for (row, number) in numbers.iter().enumerate() {
            if let Some(fault) = values.0.get(&(*number as usize)) {
                self.add(row, fault.column.clone(), fault.reason.clone());
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = usize> {
        self.0.keys().copied()
    }

    /// The faults by row.
    #[must_use]
    pub fn into_list(self) -> Vec<Fault> {
        self.0.into_values().collect()
    }
}

/// The values of a word, for every row of a batch.
pub(super) struct Column<'a> {
    word: &'a Word,
    values: Values,
    nulls: Option<NullBuffer>,
    /// What is wrong with values that their word's type cannot hold, by row.
    wrong: Vec<Fault>,
}

enum Values {
    Whole(ScalarBuffer<i64>),
    Moments(ScalarBuffer<i64>),
    /// Floats, and how many decimals they keep if not all.
    Floats(ScalarBuffer<f64>, Option<u8>),
    /// The number of each row's word, and the words.
    Numbered(Numbers, Vec<i64>),
}

impl<'a> Column<'a> {
    /// The word whose values are `array`.
    pub(super) fn of(
        word: &'a Word,
        array: &ArrayRef,
        names: &Names,
        numbering: &mut Numbering,
    ) -> Result<Column<'a>, DataFusionError> {
        let mut wrong = Vec::new();
        let mut of_type = |wanted: DataType| match *array.data_type() == wanted {
            true => Ok(ArrayRef::clone(array)),
            false => {
                let values = arrow::compute::cast(array, &wanted)?;
                wrong = misfits(word, array, &values)?;
                Ok::<_, DataFusionError>(values)
            }
        };
        let (values, nulls) = match word.kind {
            WordKind::Int => {
                let array = of_type(DataType::Int64)?;
                let array = array.as_primitive::<Int64Type>();
                (
                    Values::Whole(array.values().clone()),
                    array.nulls().cloned(),
                )
            }
            WordKind::Time => {
                let array = of_type(DataType::Timestamp(TimeUnit::Microsecond, None))?;
                let array = array.as_primitive::<TimestampMicrosecondType>();
                (
                    Values::Moments(array.values().clone()),
                    array.nulls().cloned(),
                )
            }
            WordKind::Float | WordKind::Fixed(_) => {
                let scale = match word.kind {
                    WordKind::Fixed(scale) => Some(scale),
                    _ => None,
                };
                let array = of_type(DataType::Float64)?;
                let array = array.as_primitive::<Float64Type>();
                let values = Values::Floats(array.values().clone(), scale);
                (values, array.nulls().cloned())
            }
            WordKind::Text => {
                let (numbers, texts) = numbering.of(array)?;
                let codes = texts.names.iter().map(|text| names.code(text));
                let codes = codes.chain([Ok(NULL)]).collect::<Result<_, _>>();
                let codes = codes.map_err(|error| DataFusionError::External(Box::new(error)))?;
                (Values::Numbered(numbers, codes), None)
            }
        };
        Ok(Column {
            word,
            values,
            nulls: nulls.filter(|nulls| nulls.null_count() > 0),
            wrong,
        })
    }

    /// The word.
    pub(super) fn word(&self) -> &'a Word {
        self.word
    }

    /// The word whose value in a row is what value `numbers` says of `count` values; those that do not
    /// fit are among the faults.
    pub(super) fn by_number(
        self,
        numbers: Numbers,
        count: usize,
        faults: &mut Faults,
    ) -> Column<'a> {
        let mut words = vec![NULL; count];
        let alone = Word {
            index: 0,
            ..self.word.clone()
        };
        let column = Column {
            word: &alone,
            values: self.values,
            nulls: self.nulls,
            wrong: self.wrong,
        };
        column.write(0, &mut words, 1, faults);
        Column {
            word: self.word,
            values: Values::Numbered(numbers, words),
            nulls: None,
            wrong: Vec::new(),
        }
    }

    /// Writes the word of the rows from `first` on; `words` has `stride` words a row, this one null.
    pub(super) fn write(
        &self,
        first: usize,
        words: &mut [i64],
        stride: usize,
        faults: &mut Faults,
    ) {
        let rows = first..first + words.len() / stride;
        for fault in self.wrong.iter().filter(|wrong| rows.contains(&wrong.row)) {
            self.fault(faults, fault.row, fault.reason.clone());
        }
        match &self.values {
            Values::Moments(values) => self.put(values, first, words, stride, |_, value| value),
            Values::Whole(values) => self.put(values, first, words, stride, |row, value| {
                if value == NULL {
                    self.fault(faults, row, "-2^63 is out of range".to_owned());
                }
                value
            }),
            Values::Floats(values, None) => {
                self.put(values, first, words, stride, |_, value| float_word(value));
            }
            Values::Floats(values, Some(scale)) => {
                let unit = unit_of(*scale);
                self.put(values, first, words, stride, |row, value| {
                    fixed(value, unit).unwrap_or_else(|| {
                        self.fault(faults, row, does_not_fit(value, *scale));
                        NULL
                    })
                });
            }
            Values::Numbered(numbers, codes) => {
                self.put(numbers, first, words, stride, |_, number| {
                    codes[number as usize]
                });
            }
        }
    }

    #[inline]
    fn put<T: Copy>(
        &self,
        values: &[T],
        first: usize,
        words: &mut [i64],
        stride: usize,
        mut word_of: impl FnMut(usize, T) -> i64,
    ) {
        let index = self.word.index;
        let rows = words.len() / stride;
        let values = &values[first..first + rows];
        match &self.nulls {
            None => {
                for ((row, value), words) in
                    (values.iter().enumerate()).zip(words.chunks_exact_mut(stride))
                {
                    words[index] = word_of(first + row, *value);
                }
            }
            Some(nulls) => {
                for row in nulls.inner().slice(first, rows).set_indices() {
                    words[row * stride + index] = word_of(first + row, values[row]);
                }
            }
        }
    }

    #[cold]
    fn fault(&self, faults: &mut Faults, row: usize, reason: String) {
        faults.add(row, Some(self.word.text.clone()), reason);
    }
}

/// The words of every row of a batch, row by row. A row with a value that cannot be computed, or does not
/// fit, is a fault.
///
/// # Errors
/// When Arrow cannot bring values to the type of their word.
pub fn values_of(
    words: &[Word],
    batch: &RecordBatch,
    names: &Names,
    faults: &mut Faults,
) -> Result<Vec<i64>, DataFusionError> {
    let mut values = vec![NULL; batch.num_rows() * words.len()];
    for word in words {
        let array = faults.values(&word.expression, batch)?;
        let column = Column::of(word, &array, names, &mut Numbering::default())?;
        column.write(0, &mut values, words.len(), faults);
    }
    Ok(values)
}

/// The values that were lost when they were made those of their word.
fn misfits(
    word: &Word,
    array: &ArrayRef,
    values: &ArrayRef,
) -> Result<Vec<Fault>, DataFusionError> {
    let known = array.logical_nulls();
    if values.null_count() == known.as_ref().map_or(0, NullBuffer::null_count) {
        return Ok(Vec::new());
    }
    let known = |row: &usize| known.as_ref().is_none_or(|nulls| nulls.is_valid(*row));
    let what = match word.kind {
        WordKind::Time => "a time in microseconds",
        _ => "a whole number of 64 bits",
    };
    let fault = |row: usize| {
        let value = array_value_to_string(array, row)?;
        Ok(Fault {
            row,
            column: None,
            reason: format!("{value} does not fit {what}; filter it out, or cast it"),
        })
    };
    let rows = (0..array.len()).filter(known);
    rows.filter(|row| values.is_null(*row)).map(fault).collect()
}

/// What a number with `scale` decimals is multiplied by.
fn unit_of(scale: u8) -> f64 {
    10f64.powi(i32::from(scale))
}

fn does_not_fit(value: f64, scale: u8) -> String {
    format!(
        "{value} does not fit a number with {scale} decimals (at most ±{:e}); \
         filter it out, or set a smaller scale",
        i64::MAX as f64 / unit_of(scale),
    )
}

/// `value` as a whole number of `1 / unit`, rounded half away from zero; `None` when it does not fit.
#[inline]
fn fixed(value: f64, unit: f64) -> Option<i64> {
    let scaled = value * unit;
    // Comparing this way also refuses NaN.
    (scaled.abs() < 9.2e18).then(|| (scaled + 0.5f64.copysign(scaled)) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_become_whole_numbers() {
        let fixed = |value, scale| fixed(value, unit_of(scale));
        assert_eq!(fixed(12.34, 2), Some(1234));
        assert_eq!(fixed(-0.125, 2), Some(-13));
        assert_eq!(fixed(0.1 + 0.2, 6), Some(300_000));
        assert_eq!(fixed(f64::NAN, 2), None);
        assert_eq!(fixed(f64::INFINITY, 2), None);
        assert_eq!(fixed(1e15, 6), None);
    }
}
