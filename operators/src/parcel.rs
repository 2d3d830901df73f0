//! What travels between workers: blocks of facts, rows of broadcast tables, and the watermark.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidegate_schemas::fact::FactBlock;
use tidegate_schemas::time::EventTime;

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

/// Facts for the owner of their keys, as they come. Some may not count: where ids are looked up, that is not
/// known yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The batch that they are of. Batches have the order of their numbers, whichever worker they come from, and
    /// no two of a tick have the same.
    pub batch: u64,
    /// The facts, in arrival order.
    pub block: FactBlock,
}

/// Rows of a batch for the worker that knows their ids, in arrival order.
///
/// Which of two rows is the first depends on this order and that of the batches alone, not on how many workers
/// there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ids {
    /// The batch.
    pub batch: u64,
    /// What there is to know of each row.
    pub rows: Vec<Arrived>,
    /// Where the fact of each row is. Empty when that is the row of the same number of worker 0's block.
    pub places: Vec<Place>,
    /// What each row says, if that must be known to take it back.
    pub facts: Option<FactBlock>,
}

impl Ids {
    /// Where the fact of row `number` is.
    #[inline]
    #[must_use]
    pub fn place(&self, number: usize) -> Place {
        let row = number as u32;
        let place = self.places.get(number);
        place.copied().unwrap_or(Place { owner: 0, row })
    }
}

/// Facts of a batch that do not count, since their ids are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The batch.
    pub batch: u64,
    /// Rows of the block that it has for this worker.
    pub rows: Vec<u32>,
}

/// Where the fact of a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The worker that owns its key.
    pub owner: u16,
    /// The row of the block that the batch has for that worker.
    pub row: u32,
}

impl Place {
    /// Nowhere: a hidden row.
    pub const HIDDEN: Place = Place {
        owner: u16::MAX,
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
    /// What the row says, as [`crate::dedup::fingerprint`].
    pub print: u64,
    /// The newest event time that its source had admitted before it.
    pub newest: EventTime,
}

/// What one parcel holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Content {
    /// Facts, in arrival order. Shared, so that a second reader costs no copy.
    Facts(#[serde(with = "shared")] Arc<FactBlock>),
    /// Facts of a batch, some of which may not count.
    Pending(Pending),
    /// Ids that are to be looked up.
    Ids(Ids),
    /// What came of that.
    Known(Known),
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
