//! Expressions over a single text column, evaluated once per distinct value.
//!
//! `kind = 'contact_opened'` has ten answers, not ten million. The column is read as a dictionary
//! (or made into one), every filter and word that reads nothing else is evaluated on the distinct
//! values, and the rows look the answer up: all filters of the column are one mask per value. The
//! entity's key is such a column, too.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use tidegate_schemas::fact::Keys;
use tidegate_schemas::names::Names;

use super::distinct::{Numbering, Numbers, array_of, as_it_is};
use super::evaluation::Evaluation;
use super::layout::{FactsPlan, Filter, Word};
use super::words::{Column, Faults};
use crate::sources::each_its_own;

/// What is evaluated on the values of one text column.
#[derive(Clone)]
pub(super) struct Category {
    pub(super) column: usize,
    filters: Vec<Filter>,
    words: Vec<Word>,
}

/// Parts the plan into what can be evaluated per distinct value and what cannot.
pub(super) fn split(plan: &FactsPlan) -> (Vec<Category>, Vec<Filter>, Vec<Word>) {
    let mut categories: Vec<Category> = Vec::new();
    let (mut filters, mut words) = (Vec::new(), Vec::new());
    let mut category = |column: usize| {
        if let Some(found) = categories.iter().position(|c| c.column == column) {
            return found;
        }
        categories.push(Category {
            column,
            filters: Vec::new(),
            words: Vec::new(),
        });
        categories.len() - 1
    };
    let mut placed = Vec::new();
    for filter in &plan.filters {
        match filter.expression.only_text_column() {
            Some(column) => placed.push((category(column), Ok(filter.clone()))),
            None => filters.push(filter.clone()),
        }
    }
    for word in &plan.words {
        match word.expression.only_text_column() {
            Some(column) => placed.push((category(column), Err(word.clone()))),
            None => words.push(word.clone()),
        }
    }
    for (index, part) in placed {
        match part {
            Ok(filter) => categories[index].filters.push(filter),
            Err(word) => categories[index].words.push(word),
        }
    }
    (categories, filters, words)
}

impl Category {
    /// Evaluates everything on the distinct values of the column. Where it is the key's, `key` are the number of each
    /// row's value, and the values.
    pub(super) fn evaluate<'a>(
        &'a self,
        key: Option<(&Numbers, &Keys)>,
        batch: &RecordBatch,
        names: &Names,
        numbering: &mut Numbering,
        faults: &mut Faults,
    ) -> Result<Evaluation<'a>, DataFusionError> {
        let column = batch.column(self.column);
        let array = |keys: &Keys| array_of(&keys.names, column.is_nullable());
        let (numbers, texts) = match (as_it_is(column), key) {
            (Some(found), _) if column.null_count() == 0 => found,
            (Some((numbers, texts)), _) => (numbers, texts.iter().chain([None]).collect()),
            (None, Some((numbers, keys))) => (numbers.clone(), array(keys)?),
            (None, None) => {
                let (numbers, keys) = numbering.of(column)?;
                (numbers, array(&keys)?)
            }
        };
        let mut to = Evaluation::default();
        // Also of texts that no row has: a dictionary may hold such.
        let mut wrong = Faults::default();
        let distinct = self.batch_of(batch, &texts)?;
        if !self.filters.is_empty() {
            let mut masks = vec![0u64; distinct.num_rows()];
            for filter in &self.filters {
                let truths = wrong.truths(&filter.expression, &distinct)?;
                truths
                    .values()
                    .set_indices()
                    .for_each(|value| masks[value] |= 1 << filter.bit);
            }
            to.masks(numbers.clone(), masks);
        }
        for word in &self.words {
            let array = wrong.values(&word.expression, &distinct)?;
            let column = Column::of(word, &array, names, numbering)?;
            to.column(column.by_number(numbers.clone(), distinct.num_rows(), &mut wrong));
        }
        faults.add_by_number(&wrong, &numbers);
        Ok(to)
    }

    /// The distinct values as a batch like `batch` in which only this column counts.
    fn batch_of(
        &self,
        batch: &RecordBatch,
        texts: &StringArray,
    ) -> Result<RecordBatch, DataFusionError> {
        let schema = batch.schema_ref();
        let field = |(index, field): (usize, &Arc<Field>)| match index == self.column {
            true => Field::new(field.name(), field.data_type().clone(), true),
            false => Field::new(field.name(), DataType::Null, true),
        };
        let fields: Vec<Field> = schema.fields().iter().enumerate().map(field).collect();
        let column = |(index, field): (usize, &Field)| -> Result<ArrayRef, DataFusionError> {
            Ok(match index == self.column {
                true if matches!(field.data_type(), DataType::Dictionary(..)) => {
                    each_its_own(&(Arc::new(texts.clone()) as ArrayRef))?
                }
                true => arrow::compute::cast(texts, field.data_type())?,
                false => arrow::array::new_null_array(&DataType::Null, texts.len()),
            })
        };
        let columns = fields
            .iter()
            .enumerate()
            .map(column)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(RecordBatch::try_new(
            Arc::new(Schema::new(fields)),
            columns,
        )?)
    }
}
