//! Dealing: which rows become facts of which worker's block.
//!
//! Facts go straight to the owner of their key. With deduplication their ids go to those who know them beside
//! that, with where their facts are; all in order of arrival.

use std::sync::Arc;

use tidegate_operators::dedup::{fingerprint, id_shard};
use tidegate_operators::parcel::{Arrived, Content, Ids, Parcel, Pending, Place, SHARDS, owner_of};
use tidegate_schemas::fact::{FactBlock, Head, Keys};
use tidegate_schemas::job::OnConflict;
use tidegate_schemas::time::EventTime;

use super::layout::FactsPlan;
use super::words::Faults;

/// Rows of a batch that lie beside each other, with everything that was found out about them.
pub(super) struct Chunk<'a> {
    /// The number of the first in the batch.
    pub(super) first: usize,
    /// The number of each row's key.
    pub(super) keys: &'a [i32],
    pub(super) times: &'a [EventTime],
    /// With deduplication: the newest event time before each row.
    pub(super) newest: &'a [EventTime],
    pub(super) ids: &'a [u64],
    pub(super) bits: &'a [u64],
    pub(super) words: &'a [i64],
}

/// The blocks of a batch while rows are dealt out to them.
pub(super) struct Deal<'a> {
    plan: &'a FactsPlan,
    keys: &'a Arc<Keys>,
    batch: u64,
    /// By owner of keys.
    blocks: Vec<FactBlock>,
    /// By key: its owner. Empty when there is one worker.
    owners: Vec<u16>,
    /// By owner of ids; none without deduplication.
    ids: Vec<Ids>,
    /// By shard: the worker that owns it.
    shards: Vec<u16>,
    /// Whether where the fact of a row is does not go without saying.
    has_places: bool,
    /// Room that is kept from chunk to chunk.
    parts: Parts,
}

/// Rows of a chunk by whom they are for.
struct Parts {
    of_keys: Vec<Vec<u32>>,
    /// With where their facts are.
    of_ids: Vec<Vec<(u32, Place)>>,
}

impl Parts {
    fn new(workers: usize) -> Parts {
        Parts {
            of_keys: vec![Vec::new(); workers],
            of_ids: vec![Vec::new(); workers],
        }
    }

    fn clear(&mut self) {
        self.of_keys.iter_mut().for_each(Vec::clear);
        self.of_ids.iter_mut().for_each(Vec::clear);
    }
}

impl<'a> Deal<'a> {
    /// The blocks for `rows` rows with these keys. No other batch of the tick is called `batch`.
    pub(super) fn new(
        plan: &'a FactsPlan,
        keys: &'a Arc<Keys>,
        workers: usize,
        batch: u64,
        rows: usize,
    ) -> Deal<'a> {
        let share = match workers {
            1 => rows,
            _ => rows / workers + rows / workers / 4,
        };
        let block = || FactBlock {
            keys: Arc::clone(keys),
            heads: Vec::with_capacity(share),
            words: Vec::with_capacity(share * plan.stride),
            stride: plan.stride,
        };
        let has_places = workers > 1 || plan.seen.is_some();
        let ids = || Ids {
            batch,
            rows: Vec::with_capacity(share),
            places: Vec::with_capacity(if has_places { share } else { 0 }),
            facts: (plan.dedupe == Some(OnConflict::Latest)).then(block),
        };
        let owner = |hash: &u64| owner_of(*hash, workers) as u16;
        Deal {
            plan,
            keys,
            batch,
            blocks: (0..workers).map(|_| block()).collect(),
            owners: match workers {
                1 => Vec::new(),
                _ => keys.hashes.iter().map(owner).collect(),
            },
            ids: match plan.dedupe {
                Some(_) => (0..workers).map(|_| ids()).collect(),
                None => Vec::new(),
            },
            shards: (0..SHARDS)
                .map(|shard| (shard % workers as u64) as u16)
                .collect(),
            has_places,
            parts: Parts::new(workers),
        }
    }

    /// Deals out the rows that are not at fault.
    pub(super) fn rows(&mut self, chunk: &Chunk<'_>, faults: &Faults) {
        let rows = 0..chunk.keys.len();
        let has_faults = faults.any(chunk.first..chunk.first + rows.end);
        if !has_faults && self.owners.is_empty() && self.plan.seen.is_none() {
            self.whole(chunk);
            return;
        }
        self.part(
            chunk,
            rows.filter(|row| !has_faults || !faults.has(chunk.first + row)),
        );
    }

    /// Appends all rows to the only block.
    fn whole(&mut self, chunk: &Chunk<'_>) {
        let block = &mut self.blocks[0];
        let keys = chunk.keys.iter().zip(chunk.times);
        let rows = keys.zip(chunk.ids.iter().zip(chunk.bits));
        let heads = rows.map(|((key, at), (id, bits))| Head {
            key: *key as u32,
            diff: 1,
            at: *at,
            id: *id,
            bits: *bits,
        });
        block.heads.extend(heads.clone());
        block.words.extend_from_slice(chunk.words);
        if let Some(ids) = self.ids.first_mut() {
            let rows = 0..chunk.keys.len();
            let arrived = |row| arrived(chunk, row, self.plan, self.keys);
            ids.rows.extend(rows.map(arrived));
            if let Some(facts) = &mut ids.facts {
                facts.heads.extend(heads);
                facts.words.extend_from_slice(chunk.words);
            }
        }
    }

    /// Appends rows to the blocks that they belong to.
    ///
    /// Which rows those are is found out first: a row that is made and appended by itself is written to the
    /// stack and read back in larger pieces, for which the processor waits.
    fn part(&mut self, chunk: &Chunk<'_>, rows: impl Iterator<Item = usize>) {
        let Deal {
            plan,
            blocks,
            ids,
            parts,
            ..
        } = self;
        parts.clear();
        let mut sizes: Vec<u32> = blocks.iter().map(|block| block.len() as u32).collect();
        for row in rows {
            let seen = plan.seen.as_ref();
            let mut place = Place::HIDDEN;
            if seen.is_none_or(|seen| seen.sees(chunk.bits[row], words(chunk, row, plan.stride))) {
                let owner = self.owners.get(chunk.keys[row] as usize);
                let owner = owner.copied().unwrap_or_default();
                let size = &mut sizes[usize::from(owner)];
                place = Place { owner, row: *size };
                *size += 1;
                parts.of_keys[usize::from(owner)].push(row as u32);
            }
            if !ids.is_empty() {
                let shard = id_shard(chunk.ids[row]) as usize;
                let owner = usize::from(self.shards[shard]);
                parts.of_ids[owner].push((row as u32, place));
            }
        }
        for (block, rows) in blocks.iter_mut().zip(&parts.of_keys) {
            append(block, chunk, rows.iter().map(|row| *row as usize));
        }
        for (ids, part) in ids.iter_mut().zip(&parts.of_ids) {
            let rows = part.iter().map(|(row, _)| *row as usize);
            let arrived = |row| arrived(chunk, row, plan, self.keys);
            ids.rows.extend(rows.clone().map(arrived));
            if self.has_places {
                ids.places.extend(part.iter().map(|(_, place)| *place));
            }
            if let Some(facts) = &mut ids.facts {
                append(facts, chunk, rows);
            }
        }
    }

    /// The parcels.
    pub(super) fn finish(self) -> Vec<Parcel> {
        let batch = self.batch;
        let content = |block| Content::Pending(Pending { batch, block });
        let blocks = self.blocks.into_iter().enumerate();
        let blocks = blocks.filter(|(_, block)| !block.is_empty());
        let blocks = blocks.map(|(to, block)| (to, content(block)));
        let ids = self.ids.into_iter().enumerate();
        let ids = ids.filter(|(_, ids)| !ids.rows.is_empty());
        let ids = ids.map(|(to, ids)| (to, Content::Ids(ids)));
        blocks
            .chain(ids)
            .map(|(to, content)| Parcel { to, content })
            .collect()
    }
}

/// Appends facts to a block.
fn append(block: &mut FactBlock, chunk: &Chunk<'_>, rows: impl Iterator<Item = usize> + Clone) {
    block.heads.extend(rows.clone().map(|row| head(chunk, row)));
    let (words, stride) = (&mut block.words, block.stride);
    // A copy of a few words whose number is known needs no call.
    match stride {
        0 => {}
        1 => append_words::<1>(words, chunk, rows),
        2 => append_words::<2>(words, chunk, rows),
        3 => append_words::<3>(words, chunk, rows),
        4 => append_words::<4>(words, chunk, rows),
        5 => append_words::<5>(words, chunk, rows),
        6 => append_words::<6>(words, chunk, rows),
        7 => append_words::<7>(words, chunk, rows),
        8 => append_words::<8>(words, chunk, rows),
        _ => rows.for_each(|row| words.extend_from_slice(self::words(chunk, row, stride))),
    }
}

#[inline]
fn append_words<const STRIDE: usize>(
    words: &mut Vec<i64>,
    chunk: &Chunk<'_>,
    rows: impl Iterator<Item = usize>,
) {
    let (from, _) = chunk.words.as_chunks::<STRIDE>();
    rows.for_each(|row| words.extend_from_slice(&from[row]));
}

#[inline]
fn head(chunk: &Chunk<'_>, row: usize) -> Head {
    Head {
        key: chunk.keys[row] as u32,
        diff: 1,
        at: chunk.times[row],
        id: chunk.ids[row],
        bits: chunk.bits[row],
    }
}

#[inline]
fn words<'a>(chunk: &Chunk<'a>, row: usize, stride: usize) -> &'a [i64] {
    &chunk.words[row * stride..(row + 1) * stride]
}

#[inline(always)]
fn arrived(chunk: &Chunk<'_>, row: usize, plan: &FactsPlan, keys: &Keys) -> Arrived {
    let (hash, at) = (keys.hashes[chunk.keys[row] as usize], chunk.times[row]);
    Arrived {
        id: chunk.ids[row],
        at,
        print: fingerprint(hash, at, chunk.bits[row], words(chunk, row, plan.stride)),
        newest: chunk.newest[row],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_any_number_of_words_are_appended() {
        let rows = [3, 0, 3, 2];
        let times: Vec<EventTime> = (0..4).map(|row| EventTime(10 + row)).collect();
        for stride in 0..12 {
            let all: Vec<i64> = (0..4 * stride).map(|word| word as i64).collect();
            let chunk = Chunk {
                first: 0,
                keys: &[0, 1, 2, 3],
                times: &times,
                newest: &[],
                ids: &[5, 6, 7, 8],
                bits: &[1, 2, 3, 4],
                words: &all,
            };
            let mut block = FactBlock::new(stride);
            append(&mut block, &chunk, rows.into_iter());
            for (place, row) in rows.into_iter().enumerate() {
                assert_eq!(block.words(place), words(&chunk, row, stride));
                let head = block.heads[place];
                assert_eq!((head.key, head.id), (row as u32, chunk.ids[row]));
            }
            assert_eq!(block.words.len(), rows.len() * stride);
        }
    }
}
