//! Normalise: from the rows of a source to facts, a batch at a time.
//!
//! Every SQL expression of the job is evaluated here, once per batch, and compiled away: a filter
//! becomes a bit, a measure a fixed-point integer, a category a code. An expression that reads a
//! single text column is evaluated once per *distinct value* of the batch (module `category`), and so is
//! everything that is done with a key (`distinct`).
//!
//! What was evaluated lies column by column. The rows of the blocks are put together from it a chunk
//! at a time, small enough to stay in the nearest cache, and dealt out to the workers (`deal`).
//!
//! # Errors
//! An expression that cannot be computed for a row, or a measure that does not fit its fixed-point number,
//! makes the row a reject; the others go on.

mod category;
mod deal;
mod distinct;
mod evaluation;
mod layout;
#[cfg(test)]
mod tests;
mod words;

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use tidegate_operators::parcel::Parcel;
use tidegate_schemas::fact::{Keys, NULL};
use tidegate_schemas::ids::Clash;
use tidegate_schemas::names::Names;
use tidegate_schemas::time::EventTime;

use category::Category;
use deal::{Chunk, Deal};
use distinct::{Numbering, Numbers};
use evaluation::Evaluation;
pub(crate) use layout::numbers;
pub use layout::{FactsPlan, Filter, IdPlan, IdTag, Word, WordKind};
pub use words::{Fault, Faults, values_of};

/// Turns batches of one source into facts of one entity. Clones, one for each worker, share the keys of dictionaries.
#[derive(Clone)]
pub struct Normaliser {
    plan: FactsPlan,
    categories: Vec<Category>,
    /// The filters and words that are evaluated row by row.
    filters: Vec<Filter>,
    words: Vec<Word>,
    names: Arc<Names>,
    workers: usize,
    /// One for the keys and one for other texts: each is as large as it was needed last.
    keys: Numbering,
    texts: Numbering,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Normalised {
    /// The facts, for the workers that come next.
    pub parcels: Vec<Parcel>,
    /// How many facts there are, seen or not.
    pub facts: usize,
    /// The rows that could not become facts.
    pub faults: Faults,
}

/// Rows that are put together at a time.
const CHUNK: usize = 512;

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
            keys: Numbering::default(),
            texts: Numbering::default(),
        }
    }

    /// The facts of a batch. `times` are its event times, none of them null; `ordinal` numbers its
    /// first row within the source, which had admitted nothing newer than `newest` before. Rows that
    /// are known to be `faulty` are left out, and are among the faults.
    ///
    /// # Errors
    /// When Arrow cannot bring columns into form.
    pub fn normalise(
        &mut self,
        batch: &RecordBatch,
        times: &[EventTime],
        ordinal: u64,
        newest: EventTime,
        faulty: Faults,
    ) -> Result<Normalised, DataFusionError> {
        let rows = batch.num_rows();
        let stride = self.plan.stride;
        let (numbers, keys) = match self.plan.key {
            None => Numbering::one("", rows),
            Some(column) => self.keys.keys(batch.column(column))?,
        };
        let mut faults = faulty;
        let evaluation = evaluate(
            &self.categories,
            (&self.filters, &self.words),
            (self.plan.key, &numbers, &keys),
            batch,
            &self.names,
            &mut self.texts,
            &mut faults,
        )?;
        let ids = self.plan.id.ids(self.plan.tag, batch, ordinal)?;
        let mut named = Vec::new();
        // No two batches of an entity begin with the same row.
        let label = self.plan.tag.put(ordinal);
        let mut deal = Deal::new(&self.plan, &keys, self.workers, label, rows);
        let (mut bits, mut words) = (vec![0; CHUNK], Vec::with_capacity(CHUNK * stride));
        let (mut newest, mut clocks) = (newest, Vec::with_capacity(CHUNK));
        for first in (0..rows).step_by(CHUNK) {
            let range = first..rows.min(first + CHUNK);
            let bits = &mut bits[..range.len()];
            words.clear();
            words.resize(range.len() * stride, NULL);
            evaluation.bits(first, bits);
            if self.plan.named != 0 {
                let is_named = |row: &usize| bits[*row - first] & self.plan.named != 0;
                named.extend(range.clone().filter(is_named));
            }
            evaluation.words(first, &mut words, stride, &mut faults);
            evaluation.presence(&words, stride, bits);
            if self
                .plan
                .key
                .is_some_and(|key| batch.column(key).is_nullable())
            {
                self.fault_null_keys(batch, first, &numbers[range.clone()], &keys, &mut faults);
            }
            if self.plan.dedupe.is_some() {
                clocks.clear();
                clocks.extend(times[range.clone()].iter().map(|at| {
                    let after = newest.max(*at);
                    std::mem::replace(&mut newest, after)
                }));
            }
            let chunk = Chunk {
                first,
                keys: &numbers[range.clone()],
                times: &times[range.clone()],
                newest: &clocks,
                ids: &ids[range],
                bits,
                words: &words,
            };
            deal.rows(&chunk, &faults);
        }
        let parcels = deal.finish();
        named.retain(|row| !faults.has(*row));
        if !named.is_empty() {
            let texts = self.plan.id.texts(batch, ordinal)?;
            let named = named.into_iter();
            let until = |row: usize| times[row].plus(self.plan.lasting);
            self.remember(named.map(|row| (ids[row], until(row), texts.value(row))));
        }
        Ok(Normalised {
            parcels,
            facts: rows - faults.len(),
            faults,
        })
    }

    /// Remembers the texts of ids for the rows that show them.
    fn remember<'t>(&self, ids: impl Iterator<Item = (u64, EventTime, &'t str)>) {
        for Clash { first, other } in self.names.ids().remember(ids) {
            tracing::warn!(
                "the ids `{first}` and `{other}` have the same 64-bit hash, so they count as one and are shown as `{first}`"
            );
        }
    }

    fn fault_null_keys(
        &self,
        batch: &RecordBatch,
        first: usize,
        numbers: &[i32],
        keys: &Keys,
        faults: &mut Faults,
    ) {
        let numbers = numbers.iter().enumerate();
        for (row, _) in numbers.filter(|(_, number)| **number as usize == keys.len()) {
            let reason = "the entity's key is null".to_owned();
            faults.add(first + row, self.plan.key_name(batch), reason);
        }
    }
}

/// Evaluates everything on a batch.
fn evaluate<'a>(
    categories: &'a [Category],
    (filters, words): (&'a [Filter], &'a [Word]),
    (key, numbers, keys): (Option<usize>, &Numbers, &Keys),
    batch: &RecordBatch,
    names: &Names,
    numbering: &mut Numbering,
    faults: &mut Faults,
) -> Result<Evaluation<'a>, DataFusionError> {
    let mut evaluation = Evaluation::default();
    for category in categories {
        let key = (Some(category.column) == key).then_some((numbers, keys));
        evaluation.append(category.evaluate(key, batch, names, numbering, faults)?);
    }
    for filter in filters {
        evaluation.filter(filter, batch, faults)?;
    }
    for word in words {
        evaluation.word(word, batch, names, numbering, faults)?;
    }
    Ok(evaluation)
}
