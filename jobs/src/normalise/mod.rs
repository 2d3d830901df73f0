//! Normalise: from the rows of a source to facts, a batch at a time.
//!
//! Every SQL expression of the job is evaluated here, once per batch, and compiled away: a filter
//! becomes a bit, a measure a fixed-point integer, a category a code. An expression that reads a
//! single text column is evaluated once per *distinct value* of the batch (module `category`).
//!
//! # Errors
//! A measure that does not fit its fixed-point number makes its row a reject; the others go on.

mod category;
mod layout;
mod words;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use hashbrown::HashTable;
use tidegate_operators::dedup::id_owner;
use tidegate_operators::parcel::{Content, Parcel, owner_of};
use tidegate_schemas::fact::{FactBlock, Head};
use tidegate_schemas::names::{KeyHash, Names};
use tidegate_schemas::time::EventTime;

use category::Category;
pub use layout::{FactsPlan, Filter, IdPlan, Word, WordKind};
use words::Faults;
pub use words::{Fault, values_of};

/// Turns batches of one source into facts of one entity.
pub struct Normaliser {
    plan: FactsPlan,
    categories: Vec<Category>,
    /// The filters and words that are evaluated row by row.
    filters: Vec<Filter>,
    words: Vec<Word>,
    names: Arc<Names>,
    workers: usize,
    /// Room that is kept from batch to batch.
    bits: Vec<u64>,
    values: Vec<i64>,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Normalised {
    /// The facts, for the workers that come next.
    pub parcels: Vec<Parcel>,
    /// How many facts there are.
    pub facts: usize,
    /// The rows that could not become facts.
    pub faults: Vec<Fault>,
}

impl Normaliser {
    /// A normaliser for `workers` workers.
    #[must_use]
    pub fn new(plan: FactsPlan, names: Arc<Names>, workers: usize) -> Normaliser {
        let (categories, filters, words) = category::split(&plan);
        Normaliser {
            plan,
            categories,
            filters,
            words,
            names,
            workers,
            bits: Vec::new(),
            values: Vec::new(),
        }
    }

    /// The facts of a batch. `times` are its event times, none of them null; `ordinal` numbers its
    /// first row within the source.
    ///
    /// # Errors
    /// When DataFusion cannot evaluate an expression.
    pub fn normalise(
        &mut self,
        batch: &RecordBatch,
        times: &[EventTime],
        ordinal: u64,
    ) -> Result<Normalised, DataFusionError> {
        let rows = batch.num_rows();
        let stride = self.plan.stride;
        self.bits.clear();
        self.bits.resize(rows, 0);
        self.values.clear();
        self.values
            .resize(rows * stride, tidegate_schemas::fact::NULL);
        let mut faults = Faults::default();
        for category in &self.categories {
            category.evaluate(batch, &self.names, &mut self.bits, &mut self.values, stride)?;
        }
        for filter in &self.filters {
            let truths = filter.expression.truths(batch)?;
            let bit = 1u64 << filter.bit;
            truths
                .values()
                .set_indices()
                .for_each(|row| self.bits[row] |= bit);
        }
        for word in &self.words {
            let array = word.expression.values(batch)?;
            words::fill(
                &array,
                word,
                &self.names,
                &mut self.values,
                stride,
                &mut faults,
            )?;
        }
        let ids = self.plan.id.ids(batch, ordinal)?;
        let mut split = Split::new(&self.plan, self.workers, rows);
        let keys = KeyColumn::of(&self.plan, batch)?;
        for row in 0..rows {
            if faults.has(row) {
                continue;
            }
            let Some(key) = keys.name(row) else {
                faults.add(
                    row,
                    self.plan.key_name(batch),
                    "the entity's key is null".to_owned(),
                );
                continue;
            };
            let head = Head {
                key: 0,
                diff: 1,
                at: times[row],
                id: ids[row],
                bits: self.bits[row],
            };
            split.push(key, head, &self.values[row * stride..(row + 1) * stride]);
        }
        let (parcels, facts) = split.finish();
        Ok(Normalised {
            parcels,
            facts,
            faults: faults.into_list(),
        })
    }
}

/// The names of the keys of a batch.
enum KeyColumn {
    /// All rows belong to one entity that has no name.
    Nobody,
    Text(ArrayRef),
}

impl KeyColumn {
    fn of(plan: &FactsPlan, batch: &RecordBatch) -> Result<KeyColumn, DataFusionError> {
        let Some(column) = plan.key else {
            return Ok(KeyColumn::Nobody);
        };
        // Numbers and dictionaries become text: the key is a name.
        let text = arrow::compute::cast(batch.column(column), &DataType::Utf8)?;
        Ok(KeyColumn::Text(text))
    }

    fn name(&self, row: usize) -> Option<&str> {
        match self {
            KeyColumn::Nobody => Some(""),
            KeyColumn::Text(array) => {
                let array = array.as_string::<i32>();
                array.is_valid(row).then(|| array.value(row))
            }
        }
    }
}

/// Facts being dealt out to the workers that come next.
struct Split {
    workers: usize,
    by_id: bool,
    blocks: Vec<FactBlock>,
    /// Key hash -> index in the block, for each block.
    keys: Vec<HashTable<(KeyHash, u32)>>,
}

impl Split {
    fn new(plan: &FactsPlan, workers: usize, rows: usize) -> Split {
        let mut blocks = vec![FactBlock::new(plan.stride); workers];
        for block in &mut blocks {
            block.heads.reserve(rows / workers + rows / 8);
            block
                .words
                .reserve((rows / workers + rows / 8) * plan.stride);
        }
        let keys = (0..workers)
            .map(|_| HashTable::with_capacity(rows / 4))
            .collect();
        Split {
            workers,
            by_id: plan.deduplicated,
            blocks,
            keys,
        }
    }

    fn push(&mut self, name: &str, head: Head, words: &[i64]) {
        let hash = KeyHash::of(name);
        let to = match (self.workers, self.by_id) {
            (1, _) => 0,
            (workers, true) => id_owner(head.id, workers),
            (workers, false) => owner_of(hash.hash, workers),
        };
        let block = &mut self.blocks[to];
        let (_, key) = *self.keys[to]
            .entry(
                hash.hash,
                |(known, _)| *known == hash,
                |(known, _)| known.hash,
            )
            .or_insert_with(|| (hash, block.keys.push(hash, name)))
            .get();
        block.push(Head { key, ..head }, words);
    }

    fn finish(self) -> (Vec<Parcel>, usize) {
        let facts = self.blocks.iter().map(FactBlock::len).sum();
        let parcels = self
            .blocks
            .into_iter()
            .enumerate()
            .filter(|(_, block)| !block.is_empty())
            .map(|(to, block)| Parcel {
                to,
                content: Content::Facts(Arc::new(block)),
            })
            .collect();
        (parcels, facts)
    }
}
