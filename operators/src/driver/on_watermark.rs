//! Firing on the watermark: facts wait until no earlier one can come, then step once, in order.
//!
//! This is how history is replayed and how `final` answers come about. Nothing is ever taken back,
//! so a key costs one state and every fact is stepped once.
//!
//! # State
//! Per key: its slot and the logic's state, until the logic forgets it. Per waiting fact: its row in
//! its block and an entry of 24 bytes; a block is dropped with its last waiting fact. What waits is
//! bounded by the lateness.

use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;

use tidegate_schemas::fact::{FactBlock, Head, Keys};
use tidegate_schemas::names::KeyHash;
use tidegate_schemas::time::EventTime;

use super::AHEAD;
use super::agenda::{Agenda, Entry, time};
use super::backlog::{Backlog, Count, Due, Ready, Waiting};
use super::by_slot::sort_by_slot;
use super::kept::{RecentFact, fact_from, fact_to};
use super::save::Shards;
use super::step::{run_timers, step};
use super::store::Store;
use crate::codec::{CodecError, Reader};
use crate::logic::{Logic, Outputs, Wake};
use crate::parcel::TableRow;

/// All keys of one worker, fired on the watermark.
pub(super) struct OnWatermark<L: Logic> {
    store: Store<L::State>,
    timers: Agenda<u32>,
    backlog: Backlog,
    /// Room that is kept from tick to tick.
    counts: Vec<Count>,
    /// Facts of this tick that need not wait.
    passed: Vec<Due>,
    due: Vec<Due>,
    spare: Vec<Due>,
    late: Vec<Ready>,
    due_timers: Vec<Entry<u32>>,
}

impl<L: Logic> OnWatermark<L> {
    pub(super) fn new() -> Self {
        OnWatermark {
            store: Store::new(),
            timers: Agenda::new(),
            backlog: Backlog::default(),
            counts: Vec::new(),
            passed: Vec::new(),
            due: Vec::new(),
            spare: Vec::new(),
            late: Vec::new(),
            due_timers: Vec::new(),
        }
    }

    /// Takes in the blocks of a tick whose watermark is `watermark`: most facts of a replay are before
    /// it when they come.
    pub(super) fn facts(&mut self, logic: &L, blocks: Vec<Arc<FactBlock>>, watermark: EventTime) {
        let mut blocks = blocks;
        blocks.retain(|block| !block.is_empty());
        while let Some(first) = blocks.first() {
            // What shares its keys looks them up once.
            let keys = Arc::clone(&first.keys);
            let same = |block: &mut Arc<FactBlock>| Arc::ptr_eq(&block.keys, &keys);
            let same = blocks.extract_if(.., same).collect();
            self.facts_of(logic, &keys, same, watermark);
        }
    }

    fn facts_of(
        &mut self,
        logic: &L,
        keys: &Keys,
        blocks: Vec<Arc<FactBlock>>,
        watermark: EventTime,
    ) {
        let counts = &mut self.counts;
        Count::facts(keys, &blocks, watermark, counts);
        let slots = self.store.slots_of(keys, |key| counts[key].any());
        for (slot, count) in slots.iter().zip(&*counts).filter(|(_, c)| c.waiting > 0) {
            self.store.get_mut(*slot).waiting += count.waiting;
        }
        let reads = |bits| logic.reads(bits);
        let passed = &mut self.passed;
        self.backlog
            .add(blocks, &slots, counts, reads, watermark, passed);
    }

    /// A row of a broadcast table: keys that it can matter to are looked at again when its time comes.
    pub(super) fn tables(&mut self, logic: &L, rows: &[TableRow]) {
        rows.iter().for_each(|row| logic.on_table(row));
        for (index, slot) in self.store.iter_mut() {
            if rows.iter().any(|row| logic.affected(&slot.state, row))
                && let Wake::At(at) = logic.wake(&slot.state)
                && at < slot.timer
            {
                slot.timer = at;
                self.timers.push(at, index);
            }
        }
    }

    /// The watermark has come to `watermark`: everything before it steps.
    pub(super) fn advance(&mut self, logic: &L, watermark: EventTime, out: &mut Outputs) {
        self.step_facts(logic, watermark, out);
        self.run_due_timers(logic, watermark, out);
        logic.settle_tables(watermark);
        self.shrink();
    }

    fn step_facts(&mut self, logic: &L, watermark: EventTime, out: &mut Outputs) {
        self.due.clear();
        self.backlog.release(watermark, &mut self.due);
        // What has waited came first.
        self.due.append(&mut self.passed);
        sort_by_slot(&mut self.due, &mut self.spare, |fact| fact.slot);
        let (mut start, mut touched) = (0, 0);
        while start < self.due.len() {
            if start + AHEAD > touched {
                let end = (start + 2 * AHEAD).min(self.due.len());
                self.touch(start.max(touched)..end);
                touched = end;
            }
            let slot = self.due[start].slot;
            let same = self.due[start..].iter().take_while(|due| due.slot == slot);
            let end = start + same.count();
            self.step_key(logic, slot, start..end, watermark, out);
            start = end;
        }
        self.backlog.done();
    }

    /// Reads a little of these facts and of their keys.
    fn touch(&self, range: Range<usize>) {
        let mut sum = 0;
        for due in &self.due[range] {
            sum ^= self.backlog.touch(due) ^ self.store.touch(due.slot);
        }
        black_box(sum);
    }

    fn step_key(
        &mut self,
        logic: &L,
        index: u32,
        range: Range<usize>,
        watermark: EventTime,
        out: &mut Outputs,
    ) {
        let due = &self.due[range];
        let waited = self.backlog.waited(due);
        let range = self.backlog.gather(due, &mut self.late);
        let (slot, name) = self.store.get_with_name(index);
        slot.waiting -= waited;
        let quiet = slot.timer;
        out.set_key(name);
        let backlog = &self.backlog;
        let group = backlog.gathered(range);
        let facts = group.iter().enumerate().map(|(place, fact)| {
            if place % AHEAD == 0 {
                let ahead = group.iter().skip(place + AHEAD).take(AHEAD);
                black_box(ahead.fold(0, |sum, fact| sum ^ backlog.touch_words(fact)));
            }
            backlog.fact(fact)
        });
        let wake = step(logic, &mut slot.state, facts, quiet, watermark, out);
        self.rest(index, wake);
    }

    fn run_due_timers(&mut self, logic: &L, watermark: EventTime, out: &mut Outputs) {
        let mut due = std::mem::take(&mut self.due_timers);
        self.timers.drain_until(watermark, &mut due);
        for (place, (at, index)) in due.iter().enumerate() {
            if place % AHEAD == 0 {
                let ahead = due.iter().skip(place + AHEAD).take(AHEAD);
                black_box(ahead.fold(0, |sum, (_, slot)| sum ^ self.store.touch(*slot)));
            }
            let Some((slot, name)) = self.store.due(*index, time(*at)) else {
                continue;
            };
            slot.timer = EventTime::MAX;
            out.set_key(name);
            let wake = run_timers(logic, &mut slot.state, watermark, out);
            self.rest(*index, wake);
        }
        due.clear();
        self.due_timers = due;
    }

    /// Remembers when the key is next due, or drops it.
    #[inline]
    fn rest(&mut self, index: u32, wake: Wake) {
        let slot = self.store.get_mut(index);
        match wake {
            Wake::At(at) if at < slot.timer => {
                slot.timer = at;
                self.timers.push(at, index);
            }
            Wake::Forget if slot.waiting == 0 => self.store.remove(index),
            _ => {}
        }
    }

    /// Gives memory back when most keys are gone.
    fn shrink(&mut self) {
        let Some(moved) = self.store.shrink() else {
            return;
        };
        self.backlog.slots_moved(&moved);
        self.timers.clear();
        for (index, slot) in self.store.iter() {
            if slot.timer != EventTime::MAX {
                self.timers.push(slot.timer, index);
            }
        }
    }

    /// Writes every key, and its facts that wait, to its shard.
    pub(super) fn save(&self, logic: &L, shards: &mut Shards) {
        let mut waiting: Vec<&Waiting> = self.backlog.iter().collect();
        // Stable, so that those of one moment stay in order of arrival.
        waiting.sort_by_key(|fact| (fact.slot, self.backlog.head(fact).at));
        let mut waiting = waiting.into_iter().peekable();
        for (index, slot) in self.store.iter() {
            let to = shards.of(slot.shard());
            to.text(self.store.name_of(slot));
            logic.encode(&slot.state, to);
            to.unsigned(u128::from(slot.waiting));
            while let Some(fact) = waiting.next_if(|fact| fact.slot == index) {
                to.bool(self.backlog.head(fact).diff < 0);
                fact_to(self.backlog.waiting(fact), to);
            }
        }
    }

    /// Reads the keys of a shard.
    ///
    /// # Errors
    /// When the bytes are not such a shard.
    pub(super) fn load(&mut self, logic: &L, from: &mut Reader<'_>) -> Result<(), CodecError> {
        let mut block = FactBlock::default();
        let mut loaded = Vec::new();
        while !from.is_empty() {
            let name = from.text("a key")?;
            let hash = KeyHash::of(name);
            let index = self.store.find_or_add(hash, name);
            self.store.get_mut(index).state = logic.decode(from)?;
            loaded.push(index);
            let key = block.own_keys().push(hash, name);
            for _ in 0..from.unsigned("how many facts of a key wait")? {
                let diff = if from.bool("what a fact does")? {
                    -1
                } else {
                    1
                };
                let (RecentFact { at, id, bits }, words) = fact_from(from)?;
                if block.is_empty() {
                    block.stride = words.len();
                }
                if words.len() != block.stride {
                    return Err(from.error("facts of one width"));
                }
                let head = Head {
                    key,
                    diff,
                    at,
                    id,
                    bits,
                };
                block.push(head, &words);
            }
        }
        self.facts(logic, vec![Arc::new(block)], EventTime::MIN);
        for index in loaded {
            let wake = logic.wake(&self.store.get_mut(index).state);
            self.rest(index, wake);
        }
        Ok(())
    }

    pub(super) fn keys(&self) -> usize {
        self.store.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.store.bytes() + self.timers.bytes()
    }
}
