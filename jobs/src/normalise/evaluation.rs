//! What the filters and words of a plan are for the rows of a batch, handed out a chunk at a time.

use arrow::buffer::BooleanBuffer;
use arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use tidegate_schemas::fact::NULL;
use tidegate_schemas::names::Names;

use super::distinct::{Numbering, Numbers};
use super::layout::{Filter, Word};
use super::words::{Column, Faults};

/// Evaluated filters and words.
#[derive(Default)]
pub(super) struct Evaluation<'a> {
    /// The bits of every row by the number of its text.
    masks: Vec<(Numbers, Vec<u64>)>,
    /// The rows that have a bit.
    truths: Vec<(u8, BooleanBuffer)>,
    columns: Vec<Column<'a>>,
}

impl<'a> Evaluation<'a> {
    /// Evaluates a filter row by row.
    pub(super) fn filter(
        &mut self,
        filter: &Filter,
        batch: &RecordBatch,
        faults: &mut Faults,
    ) -> Result<(), DataFusionError> {
        let truths = faults.truths(&filter.expression, batch)?;
        self.truths.push((filter.bit, truths.values().clone()));
        Ok(())
    }

    /// Evaluates a word row by row.
    pub(super) fn word(
        &mut self,
        word: &'a Word,
        batch: &RecordBatch,
        names: &Names,
        numbering: &mut Numbering,
        faults: &mut Faults,
    ) -> Result<(), DataFusionError> {
        let array = faults.values(&word.expression, batch)?;
        let column = Column::of(word, &array, names, numbering)?;
        self.columns.push(column);
        Ok(())
    }

    /// Adds what was evaluated elsewhere.
    pub(super) fn append(&mut self, mut other: Evaluation<'a>) {
        self.masks.append(&mut other.masks);
        self.truths.append(&mut other.truths);
        self.columns.append(&mut other.columns);
    }

    /// Adds bits that follow from the text of a row.
    pub(super) fn masks(&mut self, numbers: Numbers, masks: Vec<u64>) {
        self.masks.push((numbers, masks));
    }

    /// Adds a word.
    pub(super) fn column(&mut self, column: Column<'a>) {
        self.columns.push(column);
    }

    /// Sets the bits of the rows from `first` on.
    pub(super) fn bits(&self, first: usize, bits: &mut [u64]) {
        bits.fill(0);
        for (numbers, masks) in &self.masks {
            let numbers = &numbers[first..first + bits.len()];
            for (bits, number) in bits.iter_mut().zip(numbers) {
                *bits |= masks[*number as usize];
            }
        }
        for (bit, truths) in &self.truths {
            let truths = truths.slice(first, bits.len());
            truths.set_indices().for_each(|row| bits[row] |= 1 << bit);
        }
    }

    /// Sets the words of the rows from `first` on, `stride` a row. What is not set is null.
    pub(super) fn words(
        &self,
        first: usize,
        words: &mut [i64],
        stride: usize,
        faults: &mut Faults,
    ) {
        for column in &self.columns {
            column.write(first, words, stride, faults);
        }
    }

    /// Sets the bits that say which of these words have a value.
    pub(super) fn presence(&self, words: &[i64], stride: usize, bits: &mut [u64]) {
        for word in self.columns.iter().map(Column::word) {
            if let Some(bit) = word.present {
                for (bits, words) in bits.iter_mut().zip(words.chunks_exact(stride)) {
                    *bits |= u64::from(words[word.index] != NULL) << bit;
                }
            }
        }
    }
}
