//! Dealing: which rows become facts of which worker's block.

use std::sync::Arc;

use tidegate_operators::dedup::{fingerprint, id_shard};
use tidegate_operators::parcel::{Arrived, Content, Dealt, Parcel, Place, SHARDS, owner_of};
use tidegate_schemas::fact::{FactBlock, Head, Keys};
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
///
/// With deduplication the rows are parted by the owners of their ids first; without it, all are in
/// one part. Each part has a block for every owner of keys.
pub(super) struct Deal<'a> {
    plan: &'a FactsPlan,
    keys: &'a Arc<Keys>,
    workers: usize,
    parts: Vec<Dealt>,
    /// By key: the worker that owns it, and its number among the keys of that.
    homes: Vec<(u16, u32)>,
    /// By owner: the keys of its blocks, the same in all parts.
    owned: Vec<Keys>,
    /// By shard: the worker that owns it.
    shards: Vec<u16>,
}

impl<'a> Deal<'a> {
    pub(super) fn new(
        plan: &'a FactsPlan,
        keys: &'a Arc<Keys>,
        workers: usize,
        rows: usize,
    ) -> Deal<'a> {
        let count = if plan.deduplicated { workers } else { 1 };
        let mut parts = vec![Dealt::new(workers, plan.stride); count];
        let share = match count * workers {
            1 => rows,
            blocks => rows / blocks + rows / blocks / 4,
        };
        for part in &mut parts {
            if plan.deduplicated {
                part.rows.reserve(share * workers);
                if count * workers > 1 {
                    part.places.reserve(share * workers);
                }
            }
            for block in &mut part.blocks {
                block.heads.reserve(share);
                block.words.reserve(share * plan.stride);
            }
        }
        let mut deal = Deal {
            plan,
            keys,
            workers,
            parts,
            homes: Vec::new(),
            owned: Vec::new(),
            shards: Vec::new(),
        };
        if deal.is_whole() {
            deal.parts[0].blocks[0].keys = Arc::clone(keys);
        } else {
            deal.owned = vec![Keys::default(); workers];
            let home = |key: usize| {
                let hash = keys.hash(key as u32);
                let owner = owner_of(hash.hash, workers);
                let number = deal.owned[owner].push(hash, keys.names.get(key));
                (owner as u16, number)
            };
            deal.homes = (0..keys.len()).map(home).collect();
            deal.shards = (0..SHARDS)
                .map(|shard| (shard % workers as u64) as u16)
                .collect();
        }
        deal
    }

    /// Whether everything goes into one block.
    fn is_whole(&self) -> bool {
        self.workers == 1 && self.plan.seen.is_none()
    }

    /// Deals out the rows that are not at fault.
    pub(super) fn rows(&mut self, chunk: &Chunk<'_>, faults: &Faults) {
        let rows = 0..chunk.keys.len();
        if faults.any(chunk.first..chunk.first + rows.end) {
            let present = rows.filter(|row| !faults.has(chunk.first + row));
            present.for_each(|row| self.row(chunk, row));
        } else if self.is_whole() {
            self.whole(chunk);
        } else {
            rows.for_each(|row| self.row(chunk, row));
        }
    }

    /// Appends all rows to the only block.
    fn whole(&mut self, chunk: &Chunk<'_>) {
        let part = &mut self.parts[0];
        let block = &mut part.blocks[0];
        let rows = (chunk.keys.iter().zip(chunk.times)).zip(chunk.ids.iter().zip(chunk.bits));
        block.heads.extend(rows.map(|((key, at), (id, bits))| Head {
            key: *key as u32,
            diff: 1,
            at: *at,
            id: *id,
            bits: *bits,
        }));
        block.words.extend_from_slice(chunk.words);
        if self.plan.deduplicated {
            let rows = 0..chunk.keys.len();
            (part.rows).extend(rows.map(|row| arrived(chunk, row, self.plan, self.keys)));
        }
    }

    /// Appends a row to the block that it belongs to.
    #[inline]
    fn row(&mut self, chunk: &Chunk<'_>, row: usize) {
        let (key, id) = (chunk.keys[row] as usize, chunk.ids[row]);
        let (at, bits) = (chunk.times[row], chunk.bits[row]);
        let number = match self.parts.len() {
            1 => 0,
            _ => usize::from(self.shards[id_shard(id) as usize]),
        };
        let part = &mut self.parts[number];
        if self.plan.deduplicated {
            (part.rows).push(arrived(chunk, row, self.plan, self.keys));
        }
        let words = words(chunk, row, self.plan);
        if (self.plan.seen.as_ref()).is_some_and(|seen| !seen.sees(bits, words)) {
            if self.plan.deduplicated {
                part.places.push(Place::HIDDEN);
            }
            return;
        }
        let (mut to, mut local) = (0, key as u32);
        if let Some((owner, number)) = self.homes.get(key) {
            (to, local) = (usize::from(*owner), *number);
            if self.plan.deduplicated {
                part.places.push(Place {
                    block: *owner,
                    row: part.blocks[to].len() as u32,
                });
            }
        }
        let head = Head {
            key: local,
            diff: 1,
            at,
            id,
            bits,
        };
        part.blocks[to].push(head, words);
    }

    /// The parcels, and how many facts are in them or were hidden.
    pub(super) fn finish(mut self) -> Vec<Parcel> {
        for (to, keys) in self.owned.into_iter().map(Arc::new).enumerate() {
            let blocks = self.parts.iter_mut().map(|part| &mut part.blocks[to]);
            blocks.for_each(|block| block.keys = Arc::clone(&keys));
        }
        if self.plan.deduplicated {
            let parts = self.parts.into_iter().enumerate();
            let parts = parts.filter(|(_, part)| !part.rows.is_empty());
            let parcel = |(to, part)| Parcel {
                to,
                content: Content::Dealt(part),
            };
            return parts.map(parcel).collect();
        }
        let blocks = self.parts.into_iter().flat_map(|part| part.blocks);
        let blocks = blocks.enumerate().filter(|(_, block)| !block.is_empty());
        let parcel = |(to, block): (usize, FactBlock)| Parcel {
            to,
            content: Content::Facts(Arc::new(block)),
        };
        blocks.map(parcel).collect()
    }
}

#[inline]
fn words<'a>(chunk: &Chunk<'a>, row: usize, plan: &FactsPlan) -> &'a [i64] {
    &chunk.words[row * plan.stride..(row + 1) * plan.stride]
}

#[inline]
fn arrived(chunk: &Chunk<'_>, row: usize, plan: &FactsPlan, keys: &Keys) -> Arrived {
    let (hash, at) = (keys.hashes[chunk.keys[row] as usize], chunk.times[row]);
    Arrived {
        id: chunk.ids[row],
        at,
        print: fingerprint(hash, at, chunk.bits[row], words(chunk, row, plan)),
        newest: chunk.newest[row],
    }
}
