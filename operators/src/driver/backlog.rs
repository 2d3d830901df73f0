//! The backlog: facts that wait for the watermark, in the blocks they came in.
//!
//! # State
//! Per waiting fact an entry of 40 bytes, and its row in its block; a block is dropped with its last
//! waiting fact.

use std::sync::Arc;

use tidegate_schemas::fact::{Fact, FactBlock};
use tidegate_schemas::time::EventTime;

use super::agenda::{Agenda, Entry, time};

/// A fact that waits: where it is, and what, beside its time, it is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) id: u64,
    bits: u64,
    pub(super) slot: u32,
    block: u32,
    /// Its row in the block, and above that whether it takes an equal fact back.
    row: u32,
}

/// The bit of a fact that takes an equal one back.
const TAKES_BACK: u32 = 1 << 31;

impl Waiting {
    /// Whether it takes an equal fact back.
    #[inline]
    pub(super) fn takes_back(&self) -> bool {
        self.row & TAKES_BACK != 0
    }

    #[inline]
    fn row(&self) -> usize {
        (self.row & !TAKES_BACK) as usize
    }
}

/// The facts that wait.
#[derive(Debug)]
pub(super) struct Backlog {
    facts: Agenda<Waiting>,
    /// Blocks, and how many facts of each wait.
    blocks: Vec<(Arc<FactBlock>, u32)>,
    free: Vec<u32>,
}

impl Default for Backlog {
    fn default() -> Backlog {
        Backlog {
            facts: Agenda::new(),
            blocks: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl Backlog {
    /// Takes in a block, without the rows that were left out. `slots` has the slot of each of its keys;
    /// how many facts each has is added there.
    pub(super) fn add(&mut self, block: Arc<FactBlock>, slots: &mut [(u32, u32)]) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.blocks.push((Arc::default(), 0));
            self.blocks.len() as u32 - 1
        });
        let mut count = 0;
        let present = block.heads.iter().zip(0..);
        for (head, row) in present.filter(|(head, _)| head.diff != 0) {
            count += 1;
            let (slot, facts) = &mut slots[head.key as usize];
            *facts += 1;
            let takes_back = if head.diff < 0 { TAKES_BACK } else { 0 };
            let fact = Waiting {
                id: head.id,
                bits: head.bits,
                slot: *slot,
                block: index,
                row: row | takes_back,
            };
            self.facts.push(head.at, fact);
        }
        match count {
            0 => self.free.push(index),
            _ => self.blocks[index as usize] = (block, count),
        }
    }

    /// Moves the facts before the watermark to `due`; those of one moment stay in order of arrival.
    pub(super) fn release(&mut self, watermark: EventTime, due: &mut Vec<Entry<Waiting>>) {
        self.facts.drain_before(watermark, due);
    }

    /// All facts that wait; those of one moment stay in order of arrival.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry<Waiting>> {
        self.facts.iter()
    }

    /// What a fact is, as long as it is not done.
    #[inline]
    pub(super) fn fact(&self, (at, fact): &Entry<Waiting>) -> Fact<'_> {
        Fact {
            at: time(*at),
            id: fact.id,
            bits: fact.bits,
            words: self.blocks[fact.block as usize].0.words(fact.row()),
        }
    }

    /// Brings a fact nearer to the processor.
    #[inline]
    pub(super) fn touch(&self, fact: &Waiting) -> u64 {
        let block = &self.blocks[fact.block as usize].0;
        let words = block.words(fact.row());
        let ends = words.first().zip(words.last());
        ends.map_or(0, |(first, last)| (first ^ last) as u64)
    }

    /// These facts have been dealt with.
    pub(super) fn done(&mut self, facts: &[Entry<Waiting>]) {
        for run in facts.chunk_by(|(_, a), (_, b)| a.block == b.block) {
            let index = run[0].1.block;
            let (block, left) = &mut self.blocks[index as usize];
            *left -= run.len() as u32;
            if *left == 0 {
                *block = Arc::default();
                self.free.push(index);
            }
        }
    }

    /// Lets facts of one key that were taken back meet their other halves; both go. Of two versions
    /// of a fact the older one is taken back.
    #[inline]
    pub(super) fn take_back(&self, facts: &mut Vec<Entry<Waiting>>) {
        if !facts.iter().any(|(_, fact)| fact.takes_back()) {
            return;
        }
        let mut kept: Vec<Entry<Waiting>> = Vec::with_capacity(facts.len());
        for (at, fact) in facts.drain(..) {
            if !fact.takes_back() {
                kept.push((at, fact));
                continue;
            }
            let same = |(t, other): &Entry<Waiting>| *t == at && other.id == fact.id;
            let versions = kept.iter().rev().take_while(|entry| same(entry)).count();
            if versions > 0 {
                kept.remove(kept.len() - versions);
            }
        }
        *facts = kept;
    }

    /// Slots have moved.
    pub(super) fn slots_moved(&mut self, moved: &[u32]) {
        for (_, fact) in self.facts.iter_mut() {
            fact.slot = moved[fact.slot as usize];
        }
    }
}
