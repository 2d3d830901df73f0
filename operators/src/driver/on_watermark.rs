//! Firing on the watermark: facts wait until no earlier one can come, then step once, in order.
//!
//! This is how history is replayed and how `final` answers come about. Nothing is ever taken back,
//! so a key costs one state and every fact is stepped once.
//!
//! # State
//! Per key: its slot and the logic's state, until the logic forgets it. Per waiting fact: its row in
//! its block and a reference of 32 bytes; a block is dropped with its last waiting fact. What waits is
//! bounded by the lateness.

use std::sync::Arc;

use tidegate_schemas::fact::FactBlock;
use tidegate_schemas::time::EventTime;

use super::step::{run_timers, step};
use super::store::Store;
use super::timers::Timers;
use crate::logic::{Logic, Outputs, Wake};
use crate::parcel::TableRow;

/// A fact that waits: where it is, and what it is sorted by.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    at: EventTime,
    id: u64,
    slot: u32,
    block: u32,
    row: u32,
}

/// The facts that wait, by the block they came in.
#[derive(Debug, Default)]
struct Backlog {
    facts: Vec<Waiting>,
    blocks: Vec<(Arc<FactBlock>, u32)>,
    free: Vec<u32>,
}

impl Backlog {
    fn add(&mut self, block: Arc<FactBlock>) -> u32 {
        // One more than its facts, until it has been taken in.
        let entry = (block, 1);
        match self.free.pop() {
            Some(index) => {
                self.blocks[index as usize] = entry;
                index
            }
            None => {
                self.blocks.push(entry);
                self.blocks.len() as u32 - 1
            }
        }
    }

    /// A fact of block `index` has been dealt with.
    fn done(&mut self, index: u32) {
        let (block, left) = &mut self.blocks[index as usize];
        *left -= 1;
        if *left == 0 {
            *block = Arc::default();
            self.free.push(index);
        }
    }
}

/// All keys of one worker, fired on the watermark.
pub(super) struct OnWatermark<L: Logic> {
    store: Store<L::State>,
    timers: Timers,
    backlog: Backlog,
    /// Room that is kept from tick to tick.
    order: Vec<(u32, u32)>,
    spare: Vec<(u32, u32)>,
    due: Vec<Waiting>,
    group: Vec<Waiting>,
}

impl<L: Logic> OnWatermark<L> {
    pub(super) fn new() -> Self {
        OnWatermark {
            store: Store::new(),
            timers: Timers::new(),
            backlog: Backlog::default(),
            order: Vec::new(),
            spare: Vec::new(),
            due: Vec::new(),
            group: Vec::new(),
        }
    }

    /// Takes in a block. A fact that is taken back (diff −1) meets its other half while both wait.
    pub(super) fn facts(&mut self, logic: &L, block: Arc<FactBlock>) {
        if block.is_empty() {
            return;
        }
        let slots: Vec<u32> = (0..block.keys.len() as u32)
            .map(|key| {
                self.store
                    .find_or_add(block.keys.hash(key), block.keys.names.get(key as usize))
            })
            .collect();
        let mut taken_back = Vec::new();
        let index = self.backlog.add(block);
        let (block, left) = &mut self.backlog.blocks[index as usize];
        for (row, head) in block.heads.iter().enumerate() {
            let slot = slots[head.key as usize];
            let fact = Waiting {
                at: head.at,
                id: head.id,
                slot,
                block: index,
                row: row as u32,
            };
            if head.diff > 0 {
                self.store.get_mut(slot).waiting += 1;
                self.backlog.facts.push(fact);
                *left += 1;
            } else {
                taken_back.push(fact);
            }
        }
        self.take_back(logic, &taken_back);
        self.backlog.done(index);
    }

    fn take_back(&mut self, logic: &L, facts: &[Waiting]) {
        for gone in facts {
            let found =
                self.backlog.facts.iter().position(|fact| {
                    (fact.slot, fact.at, fact.id) == (gone.slot, gone.at, gone.id)
                });
            if let Some(found) = found {
                // The others stay in order: of two versions of a fact the older one is taken back.
                let fact = self.backlog.facts.remove(found);
                self.store.get_mut(fact.slot).waiting -= 1;
                self.backlog.done(fact.block);
            }
        }
        // A key of which nothing is left is dropped.
        for gone in facts {
            if let Some(slot) = self.store.get_if_alive(gone.slot) {
                let wake = logic.wake(&slot.state);
                self.rest(gone.slot, wake);
            }
        }
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
        self.release(watermark);
        self.sort_by_slot();
        let mut start = 0;
        while start < self.order.len() {
            let slot = self.order[start].0;
            let length = self.order[start..]
                .iter()
                .take_while(|(s, _)| *s == slot)
                .count();
            self.step_key(logic, slot, start..start + length, watermark, out);
            start += length;
        }
        for fact in &self.due {
            self.backlog.done(fact.block);
        }
        while let Some((at, index)) = self.timers.pop(watermark) {
            let Some(slot) = self.store.get_if_alive(index) else {
                continue;
            };
            if slot.timer != at {
                continue;
            }
            slot.timer = EventTime::MAX;
            out.set_key(&slot.name);
            let wake = run_timers(logic, &mut slot.state, watermark, out);
            self.rest(index, wake);
        }
        logic.settle_tables(watermark);
        self.shrink();
    }

    /// Moves the facts before the watermark from the backlog to `due`.
    fn release(&mut self, watermark: EventTime) {
        self.due.clear();
        let due = &mut self.due;
        self.backlog.facts.retain(|fact| {
            let waits = fact.at >= watermark;
            if !waits {
                due.push(*fact);
            }
            waits
        });
    }

    /// Lists the due facts by slot, in arrival order within a slot: a radix sort of 11 bits a pass.
    fn sort_by_slot(&mut self) {
        const BITS: u32 = 11;
        self.order.clear();
        self.order.extend(
            self.due
                .iter()
                .enumerate()
                .map(|(i, fact)| (fact.slot, i as u32)),
        );
        let largest = self.due.iter().map(|fact| fact.slot).max().unwrap_or(0);
        let mut shift = 0;
        while shift < 32 && largest >> shift > 0 {
            let digit = |slot: u32| (slot >> shift) as usize & ((1 << BITS) - 1);
            let mut starts = [0u32; 1 << BITS];
            for (slot, _) in &self.order {
                starts[digit(*slot)] += 1;
            }
            let mut sum = 0;
            for start in &mut starts {
                sum += std::mem::replace(start, sum);
            }
            self.spare.clear();
            self.spare.resize(self.order.len(), (0, 0));
            for entry in &self.order {
                let place = &mut starts[digit(entry.0)];
                self.spare[*place as usize] = *entry;
                *place += 1;
            }
            std::mem::swap(&mut self.order, &mut self.spare);
            shift += BITS;
        }
    }

    fn step_key(
        &mut self,
        logic: &L,
        index: u32,
        range: std::ops::Range<usize>,
        watermark: EventTime,
        out: &mut Outputs,
    ) {
        self.group.clear();
        self.group
            .extend(self.order[range].iter().map(|(_, i)| self.due[*i as usize]));
        if !self.group.is_sorted_by_key(|fact| (fact.at, fact.id)) {
            self.group.sort_by_key(|fact| (fact.at, fact.id));
        }
        let slot = self.store.get_mut(index);
        slot.waiting -= self.group.len() as u32;
        out.set_key(&slot.name);
        let blocks = &self.backlog.blocks;
        let facts = self
            .group
            .iter()
            .map(|fact| blocks[fact.block as usize].0.fact(fact.row as usize));
        let wake = step(logic, &mut slot.state, facts, watermark, out);
        self.rest(index, wake);
    }

    /// Remembers when the key is next due, or drops it.
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
        for fact in &mut self.backlog.facts {
            fact.slot = moved[fact.slot as usize];
        }
        self.timers.clear();
        for (index, slot) in self.store.iter_mut() {
            if slot.timer != EventTime::MAX {
                self.timers.push(slot.timer, index);
            }
        }
    }

    pub(super) fn keys(&self) -> usize {
        self.store.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.store.bytes() + self.timers.bytes()
    }
}
