//! Firing on arrival: every fact is answered at once, and answers are corrected when an older fact
//! comes, one is taken back, or a table changes in the past.
//!
//! A key that has facts after the watermark keeps two states: `base`, which has seen all that can no
//! longer change, and `head`, which has seen everything; between them lie the `recent` facts in order.
//! A fact in order steps `head` once. Anything else replays the recent facts from a copy of `base`
//! and sends the difference between what that puts out now and what it put out before. A key without
//! recent facts has `base` alone.
//!
//! # State
//! Per key: its slot and `base`, until the logic forgets it; with recent facts, `head` and the facts
//! besides. What is recent is bounded by the lateness.
//!
//! # Cost
//! A fact in order is stepped twice, now and when the watermark passes it. A correction costs the
//! key's recent facts twice.

use std::ops::Range;
use std::sync::Arc;

use tidegate_schemas::fact::{Fact, FactBlock};
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::EventTime;

use super::agenda::{Agenda, Entry, time};
use super::difference::{difference, difference_to};
use super::step::{run_timers, step};
use super::store::{Slot, Store};
use crate::logic::{Logic, Outputs, Wake};
use crate::parcel::TableRow;

#[derive(Clone, Copy, Debug)]
struct RecentFact {
    at: EventTime,
    id: u64,
    bits: u64,
}

/// Facts in (time, id) order, with their words.
#[derive(Clone, Debug, Default)]
struct Facts {
    heads: Vec<RecentFact>,
    words: Vec<i64>,
    stride: usize,
}

impl Facts {
    fn fact(&self, row: usize) -> Fact<'_> {
        let RecentFact { at, id, bits } = self.heads[row];
        let words = &self.words[row * self.stride..(row + 1) * self.stride];
        Fact {
            at,
            id,
            bits,
            words,
        }
    }

    fn iter(&self) -> impl Iterator<Item = Fact<'_>> {
        (0..self.heads.len()).map(|row| self.fact(row))
    }

    /// Where (`at`, `id`) stands or would stand.
    fn place(&self, at: EventTime, id: u64) -> usize {
        self.heads
            .partition_point(|fact| (fact.at, fact.id) < (at, id))
    }

    fn insert(&mut self, fact: Fact<'_>) {
        self.stride = fact.words.len();
        let place = self
            .heads
            .partition_point(|other| (other.at, other.id) <= (fact.at, fact.id));
        self.heads.insert(
            place,
            RecentFact {
                at: fact.at,
                id: fact.id,
                bits: fact.bits,
            },
        );
        let word = place * self.stride;
        self.words.splice(word..word, fact.words.iter().copied());
    }

    fn remove(&mut self, fact: Fact<'_>) {
        let place = self.place(fact.at, fact.id);
        if self
            .heads
            .get(place)
            .is_some_and(|found| (found.at, found.id) == (fact.at, fact.id))
        {
            self.heads.remove(place);
            self.words
                .drain(place * self.stride..(place + 1) * self.stride);
        }
    }

    fn drop_first(&mut self, count: usize) {
        self.heads.drain(..count);
        self.words.drain(..count * self.stride);
    }
}

/// What a key with facts after the watermark keeps besides its base.
#[derive(Clone, Debug)]
struct Recent<S> {
    facts: Facts,
    head: S,
    /// The last instant `head` has closed.
    instant: EventTime,
    /// The time up to which `head` has run its timers.
    timers: EventTime,
}

impl<S> Recent<S> {
    /// Whether a fact at `at` comes after everything `head` has seen.
    fn in_order(&self, at: EventTime) -> bool {
        at > self.instant && at >= self.timers
    }
}

#[derive(Clone, Debug, Default)]
struct Kept<S> {
    base: S,
    recent: Option<Box<Recent<S>>>,
}

/// What some keys have put out.
struct Told {
    rows: Outputs,
    keys: Vec<u32>,
    /// Per key, where its rows of each output end.
    ends: Vec<usize>,
}

impl Told {
    /// Where the rows of a key are, by output.
    fn parts(&self, number: usize) -> impl Iterator<Item = Range<usize>> {
        let outputs = self.rows.rows.len();
        (0..outputs).map(move |output| {
            let end = number * outputs + output;
            let start = end.checked_sub(outputs).map_or(0, |start| self.ends[start]);
            start..self.ends[end]
        })
    }
}

impl<S: Clone> Kept<S> {
    /// The state that has seen most.
    fn newest(&self) -> &S {
        self.recent
            .as_ref()
            .map_or(&self.base, |recent| &recent.head)
    }

    fn recent(&mut self, watermark: EventTime) -> &mut Recent<S> {
        let base = &self.base;
        self.recent.get_or_insert_with(|| {
            Box::new(Recent {
                facts: Facts::default(),
                head: base.clone(),
                instant: EventTime::MIN,
                timers: watermark,
            })
        })
    }
}

/// Where a fact of this tick is.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    slot: u32,
    at: EventTime,
    id: u64,
    block: u32,
    row: u32,
}

/// All keys of one worker, fired on arrival.
pub(super) struct OnArrival<L: Logic> {
    store: Store<Kept<L::State>>,
    timers: Agenda<u32>,
    due: Vec<Entry<u32>>,
    watermark: EventTime,
    before: Outputs,
    after: Outputs,
}

impl<L: Logic> OnArrival<L> {
    pub(super) fn new(columns: &[usize]) -> Self {
        OnArrival {
            store: Store::new(),
            timers: Agenda::new(),
            due: Vec::new(),
            watermark: EventTime::MIN,
            before: Outputs::new(columns),
            after: Outputs::new(columns),
        }
    }

    /// Takes in the facts of a tick and answers them on `live`.
    pub(super) fn facts(&mut self, logic: &L, blocks: &[Arc<FactBlock>], live: &mut Outputs) {
        let mut arrived = Vec::new();
        for (b, block) in blocks.iter().enumerate() {
            let slots = self.store.slots_of(block);
            let present = block.heads.iter().enumerate();
            arrived.extend(
                present
                    .filter(|(_, head)| head.diff != 0)
                    .map(|(row, head)| Arrived {
                        slot: slots[head.key as usize],
                        at: head.at,
                        id: head.id,
                        block: b as u32,
                        row: row as u32,
                    }),
            );
        }
        // Stable, so that a fact and its taking back within one tick keep their order.
        arrived.sort_by_key(|fact| (fact.slot, fact.at, fact.id));
        for group in arrived.chunk_by(|a, b| a.slot == b.slot) {
            self.facts_of_key(logic, blocks, group, live);
        }
    }

    fn facts_of_key(
        &mut self,
        logic: &L,
        blocks: &[Arc<FactBlock>],
        group: &[Arrived],
        live: &mut Outputs,
    ) {
        let watermark = self.watermark;
        let (slot, name) = self.store.get_with_name(group[0].slot);
        let diff = |fact: &Arrived| blocks[fact.block as usize].heads[fact.row as usize].diff;
        let fact = |fact: &Arrived| blocks[fact.block as usize].fact(fact.row as usize);
        live.set_key(name);
        let recent = slot.state.recent(watermark);
        if group.iter().all(|f| diff(f) > 0) && recent.in_order(group[0].at) {
            let facts = group.iter().map(fact);
            step(
                logic,
                &mut recent.head,
                facts,
                EventTime::MIN,
                watermark,
                live,
            );
            group.iter().for_each(|f| recent.facts.insert(fact(f)));
            recent.instant = group[group.len() - 1].at;
            recent.timers = recent.timers.max(recent.instant);
        } else {
            self.before.clear();
            self.after.clear();
            self.before.set_key(name);
            self.after.set_key(name);
            replay(logic, &slot.state, &mut self.before);
            let recent = slot.state.recent(watermark);
            for f in group {
                if diff(f) > 0 {
                    recent.facts.insert(fact(f));
                } else {
                    recent.facts.remove(fact(f));
                }
            }
            let newest = recent.facts.heads.last().map_or(EventTime::MIN, |f| f.at);
            recent.timers = recent.timers.max(newest);
            recent.instant = newest;
            let head = replay(logic, &slot.state, &mut self.after);
            slot.state.recent(watermark).head = head;
            difference(&self.before, &self.after, live);
        }
        self.rest(logic, group[0].slot);
    }

    /// Takes in rows of broadcast tables: every key whose answers they alter is answered as of their
    /// time. Others are left alone: what the rows mean for them is found just as well when the
    /// watermark comes there, or the next fact.
    pub(super) fn tables(&mut self, logic: &L, rows: &[TableRow], live: &mut Outputs) {
        let times = || rows.iter().map(|row| row.at);
        let first = times().min().unwrap_or(EventTime::MAX);
        // Just behind the last change, so that what happens at its very moment is answered too.
        let last = times().max().unwrap_or(EventTime::MIN).next();
        let passed = self.replay_passed(logic, rows, first);
        rows.iter().for_each(|row| logic.on_table(row));
        for (number, &index) in passed.keys.iter().enumerate() {
            let (slot, name) = self.store.get_with_name(index);
            self.after.clear();
            self.after.set_key(name);
            let recent = slot.state.recent(self.watermark);
            recent.timers = recent.timers.max(last);
            let head = replay(logic, &slot.state, &mut self.after);
            slot.state.recent(self.watermark).head = head;
            difference_to(&passed.rows, passed.parts(number), &self.after, live);
            self.rest(logic, index);
        }
        let stirs = |slot: &Slot<Kept<L::State>>| {
            let (recent, name) = (slot.state.recent.as_ref(), self.store.name_of(slot));
            recent.is_none_or(|recent| recent.in_order(first))
                && logic.stirs(slot.state.newest(), name, rows)
        };
        let stirred = self.store.iter().filter(|(_, slot)| stirs(slot));
        let stirred: Vec<u32> = stirred.map(|(index, _)| index).collect();
        for index in stirred {
            self.stir(logic, index, first, last, live);
        }
    }

    /// What those keys have put out whose facts or timers have passed the first of the rows: it may
    /// no longer hold.
    fn replay_passed(&self, logic: &L, rows: &[TableRow], first: EventTime) -> Told {
        let columns = self.before.rows.iter().map(|rows| rows.columns.len());
        let mut told = Told {
            rows: Outputs::new(&columns.collect::<Vec<_>>()),
            keys: Vec::new(),
            ends: Vec::new(),
        };
        for (index, slot) in self.store.iter() {
            let recent = slot.state.recent.as_ref();
            if recent.is_some_and(|recent| {
                !recent.in_order(first) && rows.iter().any(|row| logic.affected(&recent.head, row))
            }) {
                told.rows.set_key(self.store.name_of(slot));
                replay(logic, &slot.state, &mut told.rows);
                told.keys.push(index);
                told.ends.extend(told.rows.rows.iter().map(Rows::len));
            }
        }
        told
    }

    /// Lets a key's timers run to `last`, if they put out anything that they have not put out at `first`.
    fn stir(
        &mut self,
        logic: &L,
        index: u32,
        first: EventTime,
        last: EventTime,
        live: &mut Outputs,
    ) {
        let (slot, name) = self.store.get_with_name(index);
        self.after.clear();
        self.after.set_key(name);
        let mut head = slot.state.newest().clone();
        let rows = |out: &Outputs| out.rows.iter().map(Rows::len).sum::<usize>();
        // A moment without facts is evaluated when it has passed: what comes up to `first` is of before.
        run_timers(logic, &mut head, first, &mut self.after);
        let before = rows(&self.after);
        run_timers(logic, &mut head, last, &mut self.after);
        if rows(&self.after) == before {
            return;
        }
        live.set_key(name);
        append(&self.after, live);
        match &mut slot.state.recent {
            Some(recent) => {
                recent.head = head;
                recent.timers = recent.timers.max(last);
            }
            none => {
                *none = Some(Box::new(Recent {
                    facts: Facts::default(),
                    head,
                    instant: EventTime::MIN,
                    timers: last.max(self.watermark),
                }));
            }
        }
        self.rest(logic, index);
    }

    /// The watermark has come to `watermark`: timers run, and what can no longer change settles.
    ///
    /// `live` gets what the passing of time changes; `settled` gets every row that is final.
    pub(super) fn advance(
        &mut self,
        logic: &L,
        watermark: EventTime,
        live: &mut Outputs,
        settled: &mut Outputs,
    ) {
        self.watermark = watermark;
        let mut due = std::mem::take(&mut self.due);
        self.timers.drain_until(watermark, &mut due);
        for (at, index) in due.drain(..) {
            let Some((slot, name)) = self.store.due(index, time(at)) else {
                continue;
            };
            slot.timer = EventTime::MAX;
            live.set_key(name);
            settled.set_key(name);
            self.after.set_key(name);
            let Kept { base, recent } = &mut slot.state;
            match recent {
                Some(open) => {
                    run_timers(logic, &mut open.head, watermark, live);
                    open.timers = open.timers.max(watermark);
                    let count = open.facts.heads.partition_point(|fact| fact.at < watermark);
                    let facts = (0..count).map(|row| open.facts.fact(row));
                    step(logic, base, facts, EventTime::MIN, watermark, settled);
                    open.facts.drop_first(count);
                    if open.facts.heads.is_empty() && open.timers <= watermark {
                        *recent = None;
                    }
                }
                None => {
                    self.after.clear();
                    run_timers(logic, base, watermark, &mut self.after);
                    append(&self.after, live);
                    append(&self.after, settled);
                }
            }
            self.rest(logic, index);
        }
        self.due = due;
        logic.settle_tables(watermark);
        self.shrink();
    }

    /// Remembers when the key is next due, or drops it.
    fn rest(&mut self, logic: &L, index: u32) {
        let slot = self.store.get_mut(index);
        let wake = match &slot.state.recent {
            None => logic.wake(&slot.state.base),
            Some(recent) => {
                let settles = match recent.facts.heads.first() {
                    Some(fact) => fact.at.next(),
                    None => recent.timers,
                };
                // The head may have gone on to a later wish while the base still waits for its own.
                logic
                    .wake(&recent.head)
                    .sooner(logic.wake(&slot.state.base))
                    .sooner(Wake::At(settles))
            }
        };
        match wake {
            Wake::At(at) if at < slot.timer => {
                slot.timer = at;
                self.timers.push(at, index);
            }
            Wake::Forget => self.store.remove(index),
            _ => {}
        }
    }

    /// Gives memory back when most keys are gone.
    fn shrink(&mut self) {
        if self.store.shrink().is_none() {
            return;
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

/// Steps a copy of the base through the recent facts, putting out all that `head` has put out since.
fn replay<L: Logic>(logic: &L, kept: &Kept<L::State>, out: &mut Outputs) -> L::State {
    let mut state = kept.base.clone();
    if let Some(recent) = &kept.recent {
        step(
            logic,
            &mut state,
            recent.facts.iter(),
            EventTime::MIN,
            recent.timers,
            out,
        );
    }
    state
}

fn append(from: &Outputs, to: &mut Outputs) {
    for (from, to) in from.rows.iter().zip(&mut to.rows) {
        for row in 0..from.len() {
            to.append_row(from, row, from.heads[row].diff);
        }
    }
}
