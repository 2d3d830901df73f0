//! What a fact of an entity is made of, for one source that feeds it.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, UInt64Type};
use arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use tidegate_schemas::names::stable_hash;

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
    /// How the job wrote it, for messages.
    pub text: String,
}

/// Where a fact's id comes from.
#[derive(Clone, Debug)]
pub enum IdPlan {
    /// The row's number in the source: rows at one instant are in arrival order.
    Ordinal {
        /// Tells the sources of an entity apart.
        source: u8,
    },
    /// One column of whole numbers.
    Number(usize),
    /// Columns whose texts together are the id, as a hash.
    Hash(Vec<usize>),
}

impl IdPlan {
    /// The id of every row.
    pub(crate) fn ids(
        &self,
        batch: &RecordBatch,
        ordinal: u64,
    ) -> Result<Vec<u64>, DataFusionError> {
        let rows = batch.num_rows();
        match self {
            IdPlan::Ordinal { source } => {
                let first = (u64::from(*source) << 56) + ordinal;
                Ok((first..first + rows as u64).collect())
            }
            IdPlan::Number(column) => {
                let array = batch.column(*column);
                if let Some(ids) = array.as_primitive_opt::<UInt64Type>() {
                    return Ok(ids.values().to_vec());
                }
                let signed = arrow::compute::cast(array, &DataType::Int64)?;
                let signed = signed.as_primitive::<arrow::datatypes::Int64Type>();
                Ok(signed.values().iter().map(|id| *id as u64).collect())
            }
            IdPlan::Hash(columns) => {
                let texts = columns
                    .iter()
                    .map(|column| arrow::compute::cast(batch.column(*column), &DataType::Utf8))
                    .collect::<Result<Vec<_>, _>>()?;
                let hash = |row: usize| {
                    texts.iter().fold(0u64, |id, text| {
                        let text = text.as_string::<i32>();
                        let hash = if text.is_valid(row) {
                            stable_hash(text.value(row))
                        } else {
                            1
                        };
                        id.rotate_left(17).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ hash
                    })
                };
                Ok((0..rows).map(hash).collect())
            }
        }
    }
}

/// What a fact of an entity is made of, for one source that feeds it.
#[derive(Clone, Debug)]
pub struct FactsPlan {
    /// The key's column; `None` when there is one nameless entity.
    pub key: Option<usize>,
    /// Where the id comes from.
    pub id: IdPlan,
    /// Whether the facts go to the worker that knows their id first.
    pub deduplicated: bool,
    /// A row with none of these bits is seen by nobody and travels no further than its id must;
    /// `None` when every row is seen.
    pub seen: Option<u64>,
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
