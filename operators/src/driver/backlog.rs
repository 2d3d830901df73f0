//! The backlog: facts that wait for the watermark, in the blocks they came in.
//!
//! Most facts of a replay are before the watermark when they come. They do not wait: they lie block by
//! block, key by key, until they are stepped in the same tick.
//!
//! # State
//! Per waiting fact an entry of 24 bytes, and its row in its block; a block is dropped with its last
//! waiting fact.

use std::ops::Range;
use std::sync::Arc;

use tidegate_schemas::fact::{Fact, FactBlock, Head, Keys};
use tidegate_schemas::time::EventTime;

use super::agenda::{Agenda, Entry};
use super::by_slot::sort_mostly_sorted;

/// Where a fact is: its block and row, whether its words will be read, and whether it takes another
/// back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Spot {
    block: u32,
    /// The row, and two bits below it.
    row: u32,
}

const IS_READ: u32 = 1;
const TAKES_BACK: u32 = 2;

impl Spot {
    #[inline]
    fn new(block: u32, row: u32, is_read: bool, diff: i32) -> Spot {
        let bits = (IS_READ * u32::from(is_read)) | (TAKES_BACK * u32::from(diff < 0));
        Spot {
            block,
            row: row << 2 | bits,
        }
    }

    #[inline]
    fn block(self) -> usize {
        self.block as usize
    }

    #[inline]
    fn row(self) -> usize {
        (self.row >> 2) as usize
    }

    #[inline]
    fn is_read(self) -> bool {
        self.row & IS_READ != 0
    }

    #[inline]
    fn takes_back(self) -> bool {
        self.row & TAKES_BACK != 0
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
    /// The first of them.
    first: u32,
    count: u32,
}

impl Due {
    #[inline]
    fn range(&self) -> Range<usize> {
        let first = self.first as usize;
        first..first + self.count as usize
    }
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
    /// The facts of each key in blocks that share their keys, without the rows that were left out.
    /// Those before `passed` are due.
    pub(super) fn facts(
        keys: &Keys,
        blocks: &[Arc<FactBlock>],
        passed: EventTime,
        counts: &mut Vec<Count>,
    ) {
        counts.clear();
        counts.resize(keys.len(), Count::default());
        let heads = blocks.iter().flat_map(|block| &block.heads);
        for head in heads.filter(|head| head.diff != 0) {
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

/// A fact that is due: all but its words, which stay where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ready {
    at: EventTime,
    id: u64,
    bits: u64,
    spot: Spot,
}

impl Ready {
    const ROOM: Ready = Ready {
        at: EventTime::MIN,
        id: 0,
        bits: 0,
        spot: Spot { block: 0, row: 0 },
    };

    #[inline]
    fn new(head: &Head, spot: Spot) -> Ready {
        Ready {
            at: head.at,
            id: head.id,
            bits: head.bits,
            spot,
        }
    }

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
    ready: Vec<Ready>,
    /// Where those begin.
    waited: usize,
    /// Where they end; behind it are copies of facts of the key that is being stepped.
    end: usize,
    /// Blocks, and how many facts of each wait.
    blocks: Vec<(Arc<FactBlock>, u32)>,
    free: Vec<u32>,
}

impl Default for Backlog {
    fn default() -> Backlog {
        Backlog {
            facts: Agenda::new(),
            released: Vec::new(),
            ready: Vec::new(),
            waited: 0,
            end: 0,
            blocks: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl Backlog {
    /// Takes in blocks that share their keys, without the rows that were left out; those before
    /// `passed` go to `due`. `slots` has the slot of each key, and `counts` is what [`Count::facts`]
    /// found. The words of facts with the bits that `reads` says will be read.
    pub(super) fn add(
        &mut self,
        blocks: Vec<Arc<FactBlock>>,
        slots: &[u32],
        counts: &mut [Count],
        reads: impl Fn(u64) -> bool,
        passed: EventTime,
        due: &mut Vec<Due>,
    ) {
        // From here on, where the next fact of each key goes.
        let mut first = self.ready.len() as u32;
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
        self.ready.resize(first as usize, Ready::ROOM);
        for block in blocks {
            let index = self.room();
            let mut waiting = 0;
            let present = block.heads.iter().zip(0..);
            for (head, row) in present.filter(|(head, _)| head.diff != 0) {
                let spot = Spot::new(index, row, reads(head.bits), head.diff);
                if head.at < passed {
                    let place = &mut counts[head.key as usize].due;
                    self.ready[*place as usize] = Ready::new(head, spot);
                    *place += 1;
                } else {
                    let slot = slots[head.key as usize];
                    self.facts.push(head.at, Waiting { slot, spot });
                    waiting += 1;
                }
            }
            self.blocks[index as usize] = (block, waiting);
        }
    }

    /// An index for a block.
    fn room(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.blocks.push((Arc::default(), 0));
            self.blocks.len() as u32 - 1
        })
    }

    /// Moves the facts before the watermark to `due`; those of one moment stay in order of arrival.
    pub(super) fn release(&mut self, watermark: EventTime, due: &mut Vec<Due>) {
        self.released.clear();
        self.facts.drain_before(watermark, &mut self.released);
        self.waited = self.ready.len();
        for (_, fact) in &self.released {
            due.push(Due {
                slot: fact.slot,
                first: self.ready.len() as u32,
                count: 1,
            });
            let head = &self.blocks[fact.spot.block()].0.heads[fact.spot.row()];
            self.ready.push(Ready::new(head, fact.spot));
        }
        self.end = self.ready.len();
    }

    /// All facts that wait; those of one moment stay in order of arrival.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.facts.iter().map(|(_, fact)| fact)
    }

    /// The head of a fact that waits.
    pub(super) fn head(&self, fact: &Waiting) -> &Head {
        &self.blocks[fact.spot.block()].0.heads[fact.spot.row()]
    }

    /// What a fact that waits is.
    pub(super) fn waiting(&self, fact: &Waiting) -> Fact<'_> {
        self.blocks[fact.spot.block()].0.fact(fact.spot.row())
    }

    /// What a fact that is due is.
    #[inline]
    pub(super) fn fact(&self, fact: &Ready) -> Fact<'_> {
        Fact {
            at: fact.at,
            id: fact.id,
            bits: fact.bits,
            words: self.words(fact.spot),
        }
    }

    #[inline]
    fn words(&self, spot: Spot) -> &[i64] {
        self.blocks[spot.block()].0.words(spot.row())
    }

    /// How many of these facts of a key have waited.
    #[inline]
    pub(super) fn waited(&self, due: &[Due]) -> u32 {
        let waited = due.iter().filter(|due| due.first as usize >= self.waited);
        waited.count() as u32
    }

    /// Brings the first of these facts nearer to the processor.
    #[inline]
    pub(super) fn touch(&self, due: &Due) -> u64 {
        let facts = self.ready[due.range()].iter().take(FEW);
        facts.fold(0, |sum, fact| sum ^ self.touch_words(fact))
    }

    /// Brings the words of a fact nearer to the processor.
    #[inline]
    pub(super) fn touch_words(&self, fact: &Ready) -> u64 {
        if !fact.spot.is_read() {
            return fact.id;
        }
        let words = self.words(fact.spot);
        let ends = words.first().zip(words.last());
        ends.map_or(0, |(first, last)| (first ^ last) as u64)
    }

    /// The facts of one key side by side, in (time, id) order and without those that were taken back.
    /// `late` is room that is kept from call to call.
    #[inline]
    pub(super) fn gather(&mut self, due: &[Due], late: &mut Vec<Ready>) -> Range<usize> {
        self.ready.truncate(self.end);
        let takes_back = |due: &Due| {
            let mut facts = self.ready[due.range()].iter();
            facts.any(|fact| fact.spot.takes_back())
        };
        let takes_back = due.iter().any(takes_back);
        // What lies side by side already stays where it is. Other facts are copied behind all.
        let range = match due {
            [only] if !takes_back => only.range(),
            _ => {
                for due in due {
                    self.ready.extend_from_within(due.range());
                }
                self.end..self.ready.len()
            }
        };
        let facts = &mut self.ready[range.clone()];
        sort_mostly_sorted(facts, late, Ready::place);
        match takes_back {
            true => range.start..range.start + take_back(facts),
            false => range,
        }
    }

    /// What was gathered.
    #[inline]
    pub(super) fn gathered(&self, range: Range<usize>) -> &[Ready] {
        &self.ready[range]
    }

    /// What was due has been dealt with.
    pub(super) fn done(&mut self) {
        for fact in &self.ready[self.waited..self.end] {
            self.blocks[fact.spot.block()].1 -= 1;
        }
        for ((block, waiting), index) in self.blocks.iter_mut().zip(0..) {
            if *waiting == 0 && !block.is_empty() {
                *block = Arc::default();
                self.free.push(index);
            }
        }
        self.ready.clear();
        self.end = 0;
    }

    /// Slots have moved.
    pub(super) fn slots_moved(&mut self, moved: &[u32]) {
        for (_, fact) in self.facts.iter_mut() {
            fact.slot = moved[fact.slot as usize];
        }
    }
}

/// Lets facts of one key that were taken back meet their other halves; both go. Of two versions of a
/// fact the older one is taken back. Those that are left lie in front; answers how many.
#[cold]
fn take_back(facts: &mut [Ready]) -> usize {
    let mut kept: Vec<Ready> = Vec::with_capacity(facts.len());
    for fact in &*facts {
        if !fact.spot.takes_back() {
            kept.push(*fact);
            continue;
        }
        let same = |other: &&Ready| other.place() == fact.place();
        let versions = kept.iter().rev().take_while(same).count();
        if versions > 0 {
            kept.remove(kept.len() - versions);
        }
    }
    facts[..kept.len()].copy_from_slice(&kept);
    kept.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_schemas::names::KeyHash;

    #[test]
    fn a_block_is_given_back_with_its_last_fact() {
        let mut block = FactBlock::new(0);
        let key = block.own_keys().push(KeyHash::of("a"), "a");
        for at in [1, 5, 9] {
            let head = Head {
                key,
                diff: 1,
                at: EventTime(at),
                id: 0,
                bits: 0,
            };
            block.push(head, &[]);
        }
        let block = Arc::new(block);
        let (mut backlog, mut counts) = (Backlog::default(), Vec::new());
        let blocks = vec![Arc::clone(&block)];
        let (passed, mut due) = (EventTime(3), Vec::new());
        Count::facts(&block.keys, &blocks, passed, &mut counts);
        backlog.add(blocks, &[0], &mut counts, |_| false, passed, &mut due);
        for (watermark, facts, holders) in [(3, 1, 2), (6, 1, 2), (10, 1, 1)] {
            backlog.release(EventTime(watermark), &mut due);
            assert_eq!(due.len(), facts, "at {watermark}");
            backlog.done();
            due.clear();
            assert_eq!(Arc::strong_count(&block), holders, "at {watermark}");
        }
    }
}
