//! The backlog: facts that wait for the watermark, in the blocks they came in.
//!
//! Most facts of a replay are before the watermark when they come. They do not wait: they lie block by
//! block, key by key, until they are stepped in the same tick.
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

/// Facts of one key that will be stepped in this tick, in order of arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) slot: u32,
    /// The first of its spots.
    first: u32,
    count: u32,
}

/// How many facts a key of a block has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Those that wait.
    pub(super) waiting: u32,
    /// Those that are due.
    due: u32,
}

impl Count {
    /// The facts of each key of a block, without the rows that were left out. Those before `passed`
    /// are due.
    pub(super) fn facts(block: &FactBlock, passed: EventTime, counts: &mut Vec<Count>) {
        counts.clear();
        counts.resize(block.keys.len(), Count::default());
        for head in block.heads.iter().filter(|head| head.diff != 0) {
            let count = &mut counts[head.key as usize];
            let is_due = head.at < passed;
            count.due += u32::from(is_due);
            count.waiting += u32::from(!is_due);
        }
    }

    /// Whether there is a fact.
    pub(super) fn any(self) -> bool {
        self != Count::default()
    }
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

/// So many facts of a key are touched ahead, before it is known how many it has.
const FEW: usize = 4;

/// The facts that wait.
#[derive(Debug)]
pub(super) struct Backlog {
    facts: Agenda<Waiting>,
    /// Room that is kept from tick to tick.
    released: Vec<Entry<Waiting>>,
    /// The facts that are due; those that have waited are behind the others.
    spots: Vec<Spot>,
    /// Where those begin.
    waited: usize,
    /// Blocks, and how many facts of each wait.
    blocks: Vec<(Arc<FactBlock>, u32)>,
    free: Vec<u32>,
}

impl Default for Backlog {
    fn default() -> Backlog {
        Backlog {
            facts: Agenda::new(),
            released: Vec::new(),
            spots: Vec::new(),
            waited: 0,
            blocks: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl Backlog {
    /// Takes in a block, without the rows that were left out; those before `passed` go to `due`.
    /// `slots` has the slot of each of its keys, and `counts` is what [`Count::facts`] found. The
    /// words of facts with the bits that `reads` says will be read.
    pub(super) fn add(
        &mut self,
        block: Arc<FactBlock>,
        slots: &[u32],
        counts: &mut [Count],
        reads: impl Fn(u64) -> bool,
        passed: EventTime,
        due: &mut Vec<Due>,
    ) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.blocks.push((Arc::default(), 0));
            self.blocks.len() as u32 - 1
        });
        // From here on, where the next fact of each key goes.
        let mut first = self.spots.len() as u32;
        for (slot, Count { due: count, .. }) in slots.iter().zip(&mut *counts) {
            if *count > 0 {
                due.push(Due {
                    slot: *slot,
                    first,
                    count: *count,
                });
            }
            first += std::mem::replace(count, first);
        }
        self.spots.resize(first as usize, Spot::default());
        let mut facts = 0;
        let present = block.heads.iter().zip(0..);
        for (head, row) in present.filter(|(head, _)| head.diff != 0) {
            facts += 1;
            let spot = Spot::new(index, row, reads(head.bits));
            if head.at < passed {
                let place = &mut counts[head.key as usize].due;
                self.spots[*place as usize] = spot;
                *place += 1;
            } else {
                let slot = slots[head.key as usize];
                self.facts.push(head.at, Waiting { slot, spot });
            }
        }
        match facts {
            0 => self.free.push(index),
            _ => self.blocks[index as usize] = (block, facts),
        }
    }

    /// Moves the facts before the watermark to `due`; those of one moment stay in order of arrival.
    pub(super) fn release(&mut self, watermark: EventTime, due: &mut Vec<Due>) {
        self.released.clear();
        self.facts.drain_before(watermark, &mut self.released);
        self.waited = self.spots.len();
        for (_, fact) in &self.released {
            due.push(Due {
                slot: fact.slot,
                first: self.spots.len() as u32,
                count: 1,
            });
            self.spots.push(fact.spot);
        }
    }

    /// All facts that wait; those of one moment stay in order of arrival.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.facts.iter().map(|(_, fact)| fact)
    }

    /// The head of a fact that waits.
    pub(super) fn head(&self, fact: &Waiting) -> &Head {
        self.head_at(fact.spot)
    }

    #[inline]
    fn head_at(&self, spot: Spot) -> &Head {
        &self.blocks[spot.block()].0.heads[spot.row()]
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

    /// How many of these facts of a key have waited.
    #[inline]
    pub(super) fn waited(&self, due: &[Due]) -> u32 {
        let waited = due.iter().filter(|due| due.first as usize >= self.waited);
        waited.count() as u32
    }

    #[inline]
    fn spots(&self, due: &Due) -> &[Spot] {
        &self.spots[due.first as usize..][..due.count as usize]
    }

    /// Brings the first of these facts nearer to the processor.
    #[inline]
    pub(super) fn touch(&self, due: &Due) -> u64 {
        let spots = self.spots(due).iter().take(FEW);
        spots.fold(0, |sum, spot| {
            sum ^ self.head_at(*spot).id ^ self.touch_spot(*spot)
        })
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
    pub(super) fn gather(&self, due: &[Due], into: &mut Vec<Gathered>) -> bool {
        into.clear();
        let mut takes_back = false;
        for due in due {
            into.extend(self.spots(due).iter().map(|spot| {
                let head = self.head_at(*spot);
                takes_back |= head.diff < 0;
                Gathered {
                    at: head.at,
                    id: head.id,
                    spot: *spot,
                }
            }));
        }
        takes_back
    }

    /// What was due has been dealt with.
    pub(super) fn done(&mut self) {
        for run in self.spots.chunk_by(|a, b| a.block == b.block) {
            let spot = run[0];
            let (block, left) = &mut self.blocks[spot.block()];
            *left -= run.len() as u32;
            if *left == 0 {
                *block = Arc::default();
                self.free.push(spot.block);
            }
        }
        self.spots.clear();
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
