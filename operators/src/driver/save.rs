//! What a driver holds as bytes, by shard, so that any number of workers can go on from it.

use std::collections::BTreeMap;

use super::{Driver, Keys};
use crate::codec::{CodecError, Reader, Writer};
use crate::logic::Logic;

/// What a driver holds between two ticks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// What the drivers of all workers have alike: the way of firing, the watermark, the tables.
    pub common: Vec<u8>,
    /// The keys with what came for them, by shard. A shard without keys is left out.
    pub shards: BTreeMap<u64, Vec<u8>>,
}

/// Shards being written.
#[derive(Debug, Default)]
pub(super) struct Shards(BTreeMap<u64, Writer>);

impl Shards {
    /// Where the keys of a shard go.
    pub(super) fn of(&mut self, shard: u64) -> &mut Writer {
        self.0.entry(shard).or_default()
    }
}

impl<L: Logic> Driver<L> {
    /// Writes what the driver holds. The head of a key that fires on arrival is not written: it follows
    /// from the base and the facts since.
    #[must_use]
    pub fn save(&self) -> Saved {
        let (mut common, mut shards) = (Writer::default(), Shards::default());
        common.option(
            match &self.keys {
                Keys::OnArrival(keys) => Some(keys.watermark()),
                Keys::OnWatermark(_) => None,
            },
            Writer::time,
        );
        self.logic.encode_tables(&mut common);
        match &self.keys {
            Keys::OnArrival(keys) => keys.save(&self.logic, &mut shards),
            Keys::OnWatermark(keys) => keys.save(&self.logic, &mut shards),
        }
        let shards = shards.0.into_iter().map(|(shard, to)| (shard, to.bytes));
        Saved {
            common: common.bytes,
            shards: shards.collect(),
        }
    }

    /// Goes on from what drivers of the same job and firing have saved after the same tick: `common` of
    /// any of them, and the shards that this worker owns. The driver must be new.
    ///
    /// # Errors
    /// When the bytes are not those of such drivers; the driver is of no use then. That no bit has changed
    /// since they were saved is for those to check who kept them.
    pub fn load<'a>(
        &mut self,
        common: &[u8],
        shards: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), CodecError> {
        let mut from = Reader::new(common);
        let watermark = from.option("the watermark", |from| from.time("the watermark"))?;
        match (&mut self.keys, watermark) {
            (Keys::OnArrival(keys), Some(watermark)) => keys.start_at(watermark),
            (Keys::OnWatermark(_), None) => {}
            _ => return Err(from.error("what was saved with the same way of firing")),
        }
        self.logic.decode_tables(&mut from)?;
        if !from.is_empty() {
            return Err(from.error("the end of the tables"));
        }
        for shard in shards {
            let from = &mut Reader::new(shard);
            match &mut self.keys {
                Keys::OnArrival(keys) => keys.load(&self.logic, from)?,
                Keys::OnWatermark(keys) => keys.load(&self.logic, from)?,
            }
        }
        Ok(())
    }
}
