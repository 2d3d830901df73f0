//! What a fact of an entity is made of, for one source that feeds it.

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Int64Type, UInt64Type};
use arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use tidegate_schemas::fact::Seen;
use tidegate_schemas::job::OnConflict;
use tidegate_schemas::names::stable_hash;
use tidegate_schemas::time::Span;

use crate::expressions::Expression;

/// A filter and the bit it sets.
#[derive(Clone, Debug)]
pub struct Filter {
    /// What must be true.
    pub expression: Expression,
    /// The bit.
    pub bit: u8,
}

/// How a value becomes a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordKind {
    /// A whole number, or a truth as 0 or 1.
    Int,
    /// A float as it is.
    Float,
    /// A float as a whole number of 10^-scale.
    Fixed(u8),
    /// A text as its code.
    Text,
    /// A moment in microseconds.
    Time,
}

/// A measure or category and the word it fills.
#[derive(Clone, Debug)]
pub struct Word {
    /// The value.
    pub expression: Expression,
    /// Which word.
    pub index: usize,
    /// How it reads.
    pub kind: WordKind,
    /// The bit that rows have which have a value.
    pub present: Option<u8>,
    /// How the job wrote it, for messages.
    pub text: String,
}

/// Where a fact's id comes from.
#[derive(Clone, Debug)]
pub enum IdPlan {
    /// The row's number in the source: rows at one instant are in arrival order.
    Ordinal,
    /// One column of whole numbers.
    Number(usize),
    /// Columns whose texts together are the id, as a hash.
    Hash(Vec<usize>),
}

/// What the ids of one of an entity's sources begin with, so that no two sources have one in common.
///
/// A single source takes nothing away from its ids. Of several, the first bits are the source's
/// number and the others the row's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdTag {
    first: u64,
    /// The bits that are the row's own.
    pub own: u64,
}

impl IdTag {
    /// That of source `number` of `sources`.
    #[must_use]
    pub fn new(number: usize, sources: usize) -> IdTag {
        let bits = usize::BITS - sources.saturating_sub(1).leading_zeros();
        let own = u64::MAX >> bits;
        IdTag {
            first: (number as u64).wrapping_mul(own.wrapping_add(1)),
            own,
        }
    }

    /// The id of a row; more than the row's own bits cannot be told.
    #[inline]
    #[must_use]
    pub fn put(self, id: u64) -> u64 {
        self.first | id & self.own
    }
}

/// Whole numbers as ids; what stands for a null means nothing.
pub(crate) fn numbers(array: &ArrayRef) -> Result<Vec<u64>, DataFusionError> {
    if let Some(ids) = array.as_primitive_opt::<UInt64Type>() {
        return Ok(ids.values().to_vec());
    }
    let signed = arrow::compute::cast(array, &DataType::Int64)?;
    let signed = signed.as_primitive::<Int64Type>();
    Ok(signed.values().iter().map(|id| *id as u64).collect())
}

fn texts_of(batch: &RecordBatch, columns: &[usize]) -> Result<Vec<StringArray>, DataFusionError> {
    let text = |column: &usize| {
        let text = arrow::compute::cast(batch.column(*column), &DataType::Utf8)?;
        Ok(text.as_string::<i32>().clone())
    };
    columns.iter().map(text).collect()
}

impl IdPlan {
    /// The id of every row.
    pub(crate) fn ids(
        &self,
        tag: IdTag,
        batch: &RecordBatch,
        ordinal: u64,
    ) -> Result<Vec<u64>, DataFusionError> {
        let mut ids = self.own_ids(batch, ordinal)?;
        if tag.own != u64::MAX {
            ids.iter_mut().for_each(|id| *id = tag.put(*id));
        }
        Ok(ids)
    }

    /// The id of every row as a text, as outputs show it.
    pub(crate) fn texts(
        &self,
        batch: &RecordBatch,
        ordinal: u64,
    ) -> Result<StringArray, DataFusionError> {
        let rows = batch.num_rows();
        let columns = match self {
            IdPlan::Ordinal => {
                let numbers = ordinal..ordinal + rows as u64;
                return Ok(numbers.map(|number| Some(number.to_string())).collect());
            }
            IdPlan::Number(column) => std::slice::from_ref(column),
            IdPlan::Hash(columns) => columns,
        };
        let texts = texts_of(batch, columns)?;
        if let [only] = &texts[..] {
            return Ok(only.clone());
        }
        let joined = (0..rows).map(|row| {
            let parts: Vec<&str> = texts.iter().map(|text| text.value(row)).collect();
            Some(parts.join(BETWEEN))
        });
        Ok(joined.collect())
    }

    fn own_ids(&self, batch: &RecordBatch, ordinal: u64) -> Result<Vec<u64>, DataFusionError> {
        let rows = batch.num_rows();
        match self {
            IdPlan::Ordinal => Ok((ordinal..ordinal + rows as u64).collect()),
            IdPlan::Number(column) => numbers(batch.column(*column)),
            IdPlan::Hash(columns) => {
                let texts = texts_of(batch, columns)?;
                let hash = |row: usize| {
                    texts.iter().fold(0u64, |id, text| {
                        let hash = stable_hash(text.value(row));
                        id.rotate_left(17).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ hash
                    })
                };
                Ok((0..rows).map(hash).collect())
            }
        }
    }
}

/// What stands between the parts of an id of several columns.
const BETWEEN: &str = "/";

/// What a fact of an entity is made of, for one source that feeds it.
#[derive(Clone, Debug)]
pub struct FactsPlan {
    /// The key's column; `None` when there is one nameless entity.
    pub key: Option<usize>,
    /// Where the id comes from.
    pub id: IdPlan,
    /// What it begins with.
    pub tag: IdTag,
    /// Whether ids are looked up, and what becomes of a row whose id is known.
    pub dedupe: Option<OnConflict>,
    /// Which rows are seen by somebody: others travel no further than their ids must. `None` when
    /// every row is seen.
    pub seen: Option<Seen>,
    /// The filters whose rows go out with their ids, where these are texts: such texts are remembered.
    pub named: u64,
    /// How much later than its time a row's id may still go out.
    pub lasting: Span,
    /// The filters.
    pub filters: Vec<Filter>,
    /// The measures and categories. Words that none of them fills are null.
    pub words: Vec<Word>,
    /// How many words a fact has.
    pub stride: usize,
}

impl FactsPlan {
    pub(super) fn key_name(&self, batch: &RecordBatch) -> Option<String> {
        self.key
            .map(|column| batch.schema_ref().field(column).name().clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn ids_read_as_they_came() {
        let columns: [(&str, ArrayRef); 2] = [
            ("n", Arc::new(Int64Array::from(vec![7, -1]))),
            ("t", Arc::new(StringArray::from(vec!["T-1", "Zürich"]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        for (plan, expected) in [
            (IdPlan::Ordinal, ["40", "41"]),
            (IdPlan::Number(0), ["7", "-1"]),
            (IdPlan::Hash(vec![1]), ["T-1", "Zürich"]),
            (IdPlan::Hash(vec![1, 0]), ["T-1/7", "Zürich/-1"]),
        ] {
            let texts = plan.texts(&batch, 40).unwrap();
            assert_eq!(texts.iter().flatten().collect::<Vec<_>>(), expected);
        }
    }
}
