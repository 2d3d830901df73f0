//! Expressions over a single text column, evaluated once per distinct value.
//!
//! `kind = 'contact_opened'` has ten answers, not ten million. The column is read as a dictionary
//! (or made into one), every filter and word that reads nothing else is evaluated on the distinct
//! values, and the rows look the answer up: all filters of the column are one mask per value.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use hashbrown::HashTable;
use tidegate_schemas::fact::NULL;
use tidegate_schemas::names::{Names, stable_hash};

use super::layout::{FactsPlan, Filter, Word, WordKind};
use super::words::{self, Faults};

/// What is evaluated on the values of one text column.
pub(super) struct Category {
    column: usize,
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
            // Faults are found row by row: floats stay with the rows.
            Some(column)
                if !matches!(word.kind, WordKind::Fixed(_)) && Some(column) != plan.key =>
            {
                placed.push((category(column), Err(word.clone())));
            }
            _ => words.push(word.clone()),
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
    pub(super) fn evaluate(
        &self,
        batch: &RecordBatch,
        names: &Names,
        bits: &mut [u64],
        values: &mut [i64],
        stride: usize,
    ) -> Result<(), DataFusionError> {
        let (keys, texts) = dictionary(batch.column(self.column));
        // One more value, null, for the rows that have none.
        let distinct = self.batch_of(batch, &texts)?;
        let mut masks = vec![0u64; distinct.num_rows()];
        for filter in &self.filters {
            let truths = filter.expression.truths(&distinct)?;
            truths
                .values()
                .set_indices()
                .for_each(|value| masks[value] |= 1 << filter.bit);
        }
        if !self.filters.is_empty() {
            for (row, key) in keys.iter().enumerate() {
                bits[row] |= masks[*key as usize];
            }
        }
        for word in &self.words {
            let array = word.expression.values(&distinct)?;
            let mut codes = vec![NULL; distinct.num_rows()];
            let word_alone = Word {
                index: 0,
                ..word.clone()
            };
            words::fill(
                &array,
                &word_alone,
                names,
                &mut codes,
                1,
                &mut Faults::default(),
            )?;
            for (row, key) in keys.iter().enumerate() {
                values[row * stride + word.index] = codes[*key as usize];
            }
        }
        Ok(())
    }

    /// The distinct values, and null, as a batch like `batch` in which only this column counts.
    fn batch_of(
        &self,
        batch: &RecordBatch,
        texts: &StringArray,
    ) -> Result<RecordBatch, DataFusionError> {
        let schema = batch.schema_ref();
        let with_null: StringArray = texts.iter().chain([None]).collect();
        let field = |(index, field): (usize, &Arc<Field>)| match index == self.column {
            true => Field::new(field.name(), field.data_type().clone(), true),
            false => Field::new(field.name(), DataType::Null, true),
        };
        let fields: Vec<Field> = schema.fields().iter().enumerate().map(field).collect();
        let column = |(index, field): (usize, &Field)| -> Result<ArrayRef, DataFusionError> {
            Ok(match index == self.column {
                true => arrow::compute::cast(&with_null, field.data_type())?,
                false => arrow::array::new_null_array(&DataType::Null, with_null.len()),
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

/// A text column as (value of each row, distinct values); a null row has the value after the last.
fn dictionary(array: &ArrayRef) -> (Vec<u32>, StringArray) {
    if let Some(dictionary) = array.as_dictionary_opt::<Int32Type>() {
        let texts = dictionary.values().as_string::<i32>().clone();
        let none = texts.len() as u32;
        let keys = dictionary.keys();
        let keys = match keys.null_count() {
            0 => keys.values().iter().map(|key| *key as u32).collect(),
            _ => keys
                .iter()
                .map(|key| key.map_or(none, |key| key as u32))
                .collect(),
        };
        return (keys, texts);
    }
    let texts = array.as_string::<i32>();
    let mut table: HashTable<(u64, u32)> = HashTable::new();
    let mut distinct: Vec<&str> = Vec::new();
    let mut keys = Vec::with_capacity(texts.len());
    for text in texts {
        let Some(text) = text else {
            keys.push(u32::MAX);
            continue;
        };
        let hash = stable_hash(text);
        let entry = table
            .entry(
                hash,
                |(h, key)| *h == hash && distinct[*key as usize] == text,
                |(h, _)| *h,
            )
            .or_insert_with(|| (hash, u32::MAX));
        let key = match entry.get().1 {
            u32::MAX => {
                let (_, key) = entry.into_mut();
                *key = distinct.len() as u32;
                distinct.push(text);
                *key
            }
            known => known,
        };
        keys.push(key);
    }
    let none = distinct.len() as u32;
    keys.iter_mut()
        .filter(|key| **key == u32::MAX)
        .for_each(|key| *key = none);
    (keys, StringArray::from(distinct))
}
