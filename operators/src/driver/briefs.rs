//! What the logic says of every key's state for the time when tables change, side by side.

use std::ops::Range;

use tidegate_schemas::time::EventTime;

use super::kept::Kept;
use crate::logic::{Logic, Outputs, UNKNOWN};
use crate::parcel::TableRow;

/// The briefs of a worker's keys ([`Logic::brief`]), by slot. An empty slot has that of the key it had.
#[derive(Debug, Default)]
pub(super) struct Briefs {
    words: Vec<i64>,
}

impl Briefs {
    /// Keeps what the newest state of a slot's key says. Where that is not at hand, what was said of it last holds.
    #[inline]
    pub(super) fn note<L: Logic>(
        &mut self,
        logic: &L,
        index: u32,
        kept: &Kept<L::State>,
        watermark: EventTime,
    ) {
        match kept.is_told() {
            true => _ = self.of(logic, index),
            false => {
                let at = kept.passed().unwrap_or(watermark);
                self.note_state(logic, index, kept.newest(), at);
            }
        }
    }

    /// Keeps what the newest state of a slot's key says, which has come to `at`.
    #[inline]
    pub(super) fn note_state<L: Logic>(
        &mut self,
        logic: &L,
        index: u32,
        state: &L::State,
        at: EventTime,
    ) {
        if logic.brief_words() > 0 {
            logic.brief(state, at, self.of(logic, index));
        }
    }

    /// Puts out what timers up to `until` would for a slot's key, as far as its brief tells; answers how far that is.
    pub(super) fn answer<L: Logic>(
        &mut self,
        logic: &L,
        index: u32,
        until: EventTime,
        live: &mut Outputs,
    ) -> Option<EventTime> {
        match logic.brief_words() {
            0 => None,
            _ => logic.answer(self.of(logic, index), until, live),
        }
    }

    /// The words of a slot.
    fn of<L: Logic>(&mut self, logic: &L, index: u32) -> &mut [i64] {
        let width = logic.brief_words();
        let start = index as usize * width;
        if self.words.len() < start + width {
            self.words.resize(start + width, UNKNOWN);
        }
        &mut self.words[start..][..width]
    }

    /// Adds those of `slots` whose keys table rows may stir, if these have not passed any of the rows.
    pub(super) fn may_stir<L: Logic>(
        &self,
        logic: &L,
        rows: &[TableRow],
        slots: Range<u32>,
        to: &mut Vec<u32>,
    ) {
        let width = logic.brief_words();
        if width == 0 {
            to.extend(slots);
            return;
        }
        let words = self.words.get(slots.start as usize * width..);
        let briefs = slots.zip(words.unwrap_or(&[]).chunks_exact(width));
        let stirred = briefs.filter(|(_, brief)| logic.may_stir(brief, rows));
        to.extend(stirred.map(|(index, _)| index));
    }

    /// Forgets all and gives the room back: slots have moved.
    pub(super) fn clear(&mut self) {
        self.words = Vec::new();
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<i64>()
    }
}
