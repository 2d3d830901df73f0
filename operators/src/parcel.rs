//! What travels between workers: blocks of facts, rows of broadcast tables, and the watermark.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidegate_schemas::fact::{FactBlock, Head};
use tidegate_schemas::time::EventTime;

use crate::dedup::fingerprint;

/// Shards are the unit of ownership: a fixed number, so that state saved by some number of workers
/// can be read back by another.
pub const SHARDS: u64 = 1024;

/// The shard of a hash. It uses bits that hash tables do not choose their buckets by.
#[inline]
#[must_use]
pub fn shard_of(hash: u64) -> u64 {
    (hash >> 32) % SHARDS
}

/// The worker that owns a hash.
#[inline]
#[must_use]
pub fn owner_of(hash: u64, workers: usize) -> usize {
    (shard_of(hash) % workers as u64) as usize
}

/// One version of one row of a broadcast table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRow {
    /// Which table.
    pub table: usize,
    /// The key's words.
    pub key: Box<[i64]>,
    /// From when on it holds.
    pub at: EventTime,
    /// Orders versions of the same moment.
    pub id: u64,
    /// The other columns' words; `None` when the key is deleted.
    pub row: Option<Box<[i64]>>,
    /// +1, or −1 to take the version back.
    pub diff: i32,
}

/// Facts for the worker that knows their ids, dealt out to the workers that own their keys: what
/// deduplication leaves of a block goes on as it is.
///
/// Which of two rows is the first depends on the order of `rows` alone, not on how many blocks there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dealt {
    /// One block for each worker, each in arrival order.
    pub blocks: Vec<FactBlock>,
    /// What there is to know of each row, in arrival order.
    pub rows: Vec<Arrived>,
    /// Where each row is, in arrival order. Empty when there is one block and nothing is hidden.
    pub places: Vec<Place>,
}

/// Where a row is among dealt blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The number of its block.
    pub block: u16,
    /// Its row there.
    pub row: u32,
}

impl Place {
    /// Nowhere: a hidden row.
    pub const HIDDEN: Place = Place {
        block: u16::MAX,
        row: u32::MAX,
    };
}

/// What deduplication looks at of a row. It is all there is of a hidden row, which nobody else looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrived {
    /// The event's id.
    pub id: u64,
    /// Event time.
    pub at: EventTime,
    /// What the row says, as [`fingerprint`].
    pub print: u64,
    /// The newest event time that its source had admitted before it.
    pub newest: EventTime,
}

impl Dealt {
    /// No rows yet, for `workers` workers and facts of `stride` words.
    #[must_use]
    pub fn new(workers: usize, stride: usize) -> Dealt {
        Dealt {
            blocks: vec![FactBlock::new(stride); workers],
            ..Dealt::default()
        }
    }

    /// The block and row of row `number`; `None` when it is hidden.
    #[inline]
    #[must_use]
    pub fn place(&self, number: usize) -> Option<(usize, usize)> {
        if self.places.is_empty() {
            return Some((0, number));
        }
        let place = self.places[number];
        (place != Place::HIDDEN).then_some((usize::from(place.block), place.row as usize))
    }

    /// The rows of a block, none of them hidden, of a source that had shown nothing before.
    #[must_use]
    pub fn of(block: &FactBlock, workers: usize) -> Dealt {
        let mut dealt = Dealt::new(workers, block.stride);
        for (row, head) in block.heads.iter().enumerate() {
            let (hash, words) = (block.keys.hash(head.key), block.words(row));
            let print = fingerprint(hash.hash, head.at, head.bits, words);
            let to = owner_of(hash.hash, workers);
            let name = block.keys.names.get(head.key as usize);
            let key = dealt.blocks[to].own_keys().push(hash, name);
            dealt.rows.push(Arrived {
                id: head.id,
                at: head.at,
                print,
                newest: EventTime::MIN,
            });
            dealt.places.push(Place {
                block: to as u16,
                row: dealt.blocks[to].len() as u32,
            });
            dealt.blocks[to].push(Head { key, ..*head }, words);
        }
        dealt
    }
}

/// What one parcel holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Content {
    /// Facts, in arrival order. Shared, so that a second reader costs no copy.
    Facts(#[serde(with = "shared")] Arc<FactBlock>),
    /// Facts that are to be deduplicated first.
    Dealt(Dealt),
    /// Rows of broadcast tables.
    Tables(Vec<TableRow>),
    /// The watermark after this tick: no row older than it will count any more.
    Watermark(EventTime),
}

/// Something for one worker, at the tick under which it travels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parcel {
    /// The worker it is for.
    pub to: usize,
    /// What it holds.
    pub content: Content,
}

/// A shared block travels as the block.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use tidegate_schemas::fact::FactBlock;

    pub(super) fn serialize<S: Serializer>(
        block: &Arc<FactBlock>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        block.as_ref().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Arc<FactBlock>, D::Error> {
        FactBlock::deserialize(from).map(Arc::new)
    }
}
