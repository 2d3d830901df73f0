//! The backlog: facts that wait for the watermark, in the blocks they came in.
//!
//! # State
//! Per waiting fact an entry of 24 bytes, and its row in its block; a block is dropped with its last
//! waiting fact.

use std::sync::Arc;

use tidegate_schemas::fact::{Fact, FactBlock, Head};
use tidegate_schemas::time::EventTime;

use super::agenda::{Agenda, Entry};

/// Where a fact is: its block and row, and whether its words will be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Spot {
    block: u32,
    /// The lowest bit is set if the words will be read.
    row: u32,
}

impl Spot {
    fn new(block: u32, row: u32, is_read: bool) -> Spot {
        Spot {
            block,
            row: row << 1 | u32::from(is_read),
        }
    }

    #[inline]
    fn block(self) -> usize {
        self.block as usize
    }

    #[inline]
    fn row(self) -> usize {
        (self.row >> 1) as usize
    }

    #[inline]
    fn is_read(self) -> bool {
        self.row & 1 == 1
    }
}

/// A fact that waits: whose it is, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) slot: u32,
    spot: Spot,
}

/// A fact of the key that is being stepped, with what it is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gathered {
    at: EventTime,
    id: u64,
    spot: Spot,
}

impl Gathered {
    /// Facts of a key are in this order.
    #[inline]
    pub(super) fn place(&self) -> (EventTime, u64) {
        (self.at, self.id)
    }
}

/// The facts that wait.
#[derive(Debug)]
pub(super) struct Backlog {
    facts: Agenda<Waiting>,
    /// Room that is kept from tick to tick.
    released: Vec<Entry<Waiting>>,
    /// Blocks, and how many facts of each wait.
    blocks: Vec<(Arc<FactBlock>, u32)>,
    free: Vec<u32>,
}

impl Default for Backlog {
    fn default() -> Backlog {
        Backlog {
            facts: Agenda::new(),
            released: Vec::new(),
            blocks: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl Backlog {
    /// Takes in a block, without the rows that were left out; those before `passed` do not wait and go
    /// to `due`. `slots` has the slot of each of its keys; how many facts each has is added there. The
    /// words of facts with the bits that `reads` says will be read.
    pub(super) fn add(
        &mut self,
        block: Arc<FactBlock>,
        slots: &mut [(u32, u32)],
        reads: impl Fn(u64) -> bool,
        passed: EventTime,
        due: &mut Vec<Waiting>,
    ) {
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
            let fact = Waiting {
                slot: *slot,
                spot: Spot::new(index, row, reads(head.bits)),
            };
            if head.at < passed {
                due.push(fact);
            } else {
                self.facts.push(head.at, fact);
            }
        }
        match count {
            0 => self.free.push(index),
            _ => self.blocks[index as usize] = (block, count),
        }
    }

    /// Moves the facts before the watermark to `due`; those of one moment stay in order of arrival.
    pub(super) fn release(&mut self, watermark: EventTime, due: &mut Vec<Waiting>) {
        self.released.clear();
        self.facts.drain_before(watermark, &mut self.released);
        due.extend(self.released.iter().map(|(_, fact)| *fact));
    }

    /// All facts that wait; those of one moment stay in order of arrival.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.facts.iter().map(|(_, fact)| fact)
    }

    /// The head of a fact, as long as it is not done.
    #[inline]
    pub(super) fn head(&self, fact: &Waiting) -> &Head {
        &self.blocks[fact.spot.block()].0.heads[fact.spot.row()]
    }

    /// What a fact is, as long as it is not done.
    #[inline]
    pub(super) fn fact(&self, fact: &Gathered) -> Fact<'_> {
        self.blocks[fact.spot.block()].0.fact(fact.spot.row())
    }

    /// What a fact that waits is.
    pub(super) fn waiting(&self, fact: &Waiting) -> Fact<'_> {
        self.blocks[fact.spot.block()].0.fact(fact.spot.row())
    }

    /// Brings a fact nearer to the processor.
    #[inline]
    pub(super) fn touch(&self, fact: &Waiting) -> u64 {
        self.head(fact).id ^ self.touch_spot(fact.spot)
    }

    /// Brings the words of a fact nearer to the processor.
    #[inline]
    pub(super) fn touch_words(&self, fact: &Gathered) -> u64 {
        self.touch_spot(fact.spot)
    }

    #[inline]
    fn touch_spot(&self, spot: Spot) -> u64 {
        if !spot.is_read() {
            return 0;
        }
        let words = self.blocks[spot.block()].0.words(spot.row());
        let ends = words.first().zip(words.last());
        ends.map_or(0, |(first, last)| (first ^ last) as u64)
    }

    /// Facts of one key with what they are sorted by; answers whether one takes another back.
    #[inline]
    pub(super) fn gather(&self, facts: &[Waiting], into: &mut Vec<Gathered>) -> bool {
        into.clear();
        let mut takes_back = false;
        into.extend(facts.iter().map(|fact| {
            let head = self.head(fact);
            takes_back |= head.diff < 0;
            Gathered {
                at: head.at,
                id: head.id,
                spot: fact.spot,
            }
        }));
        takes_back
    }

    /// These facts have been dealt with.
    pub(super) fn done(&mut self, facts: &[Waiting]) {
        for run in facts.chunk_by(|a, b| a.spot.block == b.spot.block) {
            let spot = run[0].spot;
            let (block, left) = &mut self.blocks[spot.block()];
            *left -= run.len() as u32;
            if *left == 0 {
                *block = Arc::default();
                self.free.push(spot.block);
            }
        }
    }

    /// Lets facts of one key that were taken back meet their other halves; both go. Of two versions
    /// of a fact the older one is taken back.
    pub(super) fn take_back(&self, facts: &mut Vec<Gathered>) {
        let mut kept: Vec<Gathered> = Vec::with_capacity(facts.len());
        for fact in facts.drain(..) {
            let block = &self.blocks[fact.spot.block()].0;
            if block.heads[fact.spot.row()].diff > 0 {
                kept.push(fact);
                continue;
            }
            let same = |other: &&Gathered| other.place() == fact.place();
            let versions = kept.iter().rev().take_while(same).count();
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
