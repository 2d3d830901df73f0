//! What the logic says of every key's state for the time when tables change, side by side.

use tidegate_schemas::time::EventTime;

use super::kept::Kept;
use crate::logic::Logic;
use crate::parcel::TableRow;

/// The briefs of a worker's keys ([`Logic::brief`]), by slot. An empty slot has that of the key it had.
#[derive(Debug, Default)]
pub(super) struct Briefs {
    words: Vec<i64>,
}

impl Briefs {
    /// Keeps what the newest state of a slot's key says.
    #[inline]
    pub(super) fn note<L: Logic>(
        &mut self,
        logic: &L,
        index: u32,
        kept: &Kept<L::State>,
        watermark: EventTime,
    ) {
        let width = logic.brief_words();
        if width == 0 {
            return;
        }
        let start = index as usize * width;
        if self.words.len() < start + width {
            self.words.resize(start + width, 0);
        }
        let recent = kept.recent.as_ref();
        let at = recent.map_or(watermark, |recent| recent.passed());
        logic.brief(kept.newest(), at, &mut self.words[start..][..width]);
    }

    /// Those of `slots` whose keys table rows may stir, if these have not passed any of the rows.
    pub(super) fn may_stir<L: Logic>(&self, logic: &L, rows: &[TableRow], slots: u32) -> Vec<u32> {
        let width = logic.brief_words();
        if width == 0 {
            return (0..slots).collect();
        }
        let briefs = (0..slots).zip(self.words.chunks_exact(width));
        let stirred = briefs.filter(|(_, brief)| logic.may_stir(brief, rows));
        stirred.map(|(index, _)| index).collect()
    }

    pub(super) fn clear(&mut self) {
        self.words = Vec::new();
    }

    pub(super) fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<i64>()
    }
}
