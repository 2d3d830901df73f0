//! Firing on arrival: every fact is answered at once, and answers are corrected when an older fact
//! comes, one is taken back, or a table changes in the past.
//!
//! A key that has facts after the watermark keeps two states: `base`, which has seen all that can no
//! longer change, and `head`, which has seen everything; between them lie the `recent` facts in order.
//! A fact in order steps `head` once. Anything else replays the recent facts from a copy of `base`
//! and sends the difference between what that puts out now and what it put out before. A key without
//! recent facts has `base` alone. A changed table is answered from the key's brief where that tells enough, and then
//! only the time is kept up to which that was done: the state follows when something else comes for the key.
//!
//! # State
//! Per key: its slot, its brief ([`Logic::brief`]) and `base`, until the logic forgets it; with recent facts, `head`
//! and the facts besides. What is recent is bounded by the lateness.
//!
//! # Cost
//! A fact in order is stepped twice, now and when the watermark passes it. A correction costs the
//! key's recent facts twice. A changed table goes through the briefs of all keys, which lie side by side, and to
//! the states of those only whose briefs do not tell enough.

mod tables;

use std::sync::Arc;

use tidegate_schemas::fact::FactBlock;
use tidegate_schemas::names::KeyHash;
use tidegate_schemas::time::EventTime;

use super::AHEAD;
use super::agenda::{Agenda, Entry, time};
use super::briefs::Briefs;
use super::difference::difference;
use super::kept::{Kept, replay};
use super::save::Shards;
use super::step::{run_timers, step};
use super::store::Store;
use crate::codec::{CodecError, Reader};
use crate::logic::{Logic, Outputs, Wake};
use tables::Stirring;

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
    /// Of each [`AHEAD`] slots, the last time that a fact or a timer of theirs may have passed: whoever looks for
    /// keys that have passed some time need not look at the others.
    passed: Vec<EventTime>,
    briefs: Briefs,
    stirring: Option<Stirring>,
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
            passed: Vec::new(),
            briefs: Briefs::default(),
            stirring: None,
            watermark: EventTime::MIN,
            before: Outputs::new(columns),
            after: Outputs::new(columns),
        }
    }

    /// Takes in the facts of a tick and answers them on `live`.
    pub(super) fn facts(&mut self, logic: &L, blocks: &[Arc<FactBlock>], live: &mut Outputs) {
        let mut arrived = Vec::new();
        for (b, block) in blocks.iter().enumerate() {
            let present = block.present_keys();
            let slots = self.store.slots_of(&block.keys, |key| present[key]);
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
        if slot.state.is_told() {
            self.after.clear();
            self.after.set_key(name);
        }
        let recent = slot.state.recent(logic, watermark, &mut self.after);
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
            let recent = slot.state.recent(logic, watermark, &mut self.after);
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
            slot.state.keep(head);
            difference(&self.before, &self.after, live);
        }
        self.rest(logic, group[0].slot);
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
            if slot.state.is_told() {
                // What its timers have put out so far is not put out again.
                self.after.clear();
                if slot.state.recent.is_some() {
                    slot.state.recent(logic, watermark, &mut self.after);
                } else if slot.state.told <= watermark {
                    let mut head = replay(logic, &slot.state, &mut self.after);
                    run_timers(logic, &mut head, watermark, live);
                }
            }
            let Kept { base, told, recent } = &mut slot.state;
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
                None if *told > EventTime::MIN => {
                    run_timers(logic, base, watermark, settled);
                    if *told <= watermark {
                        *told = EventTime::MIN;
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
        self.shrink(logic);
    }

    /// Remembers when the key is next due and what its state says of tables, or drops it.
    fn rest(&mut self, logic: &L, index: u32) {
        let slot = self.store.get_mut(index);
        let kept = &slot.state;
        self.briefs.note(logic, index, kept, self.watermark);
        let base = logic.wake(&kept.base);
        let wake = match &kept.recent {
            // The head may have gone on to a later wish while the base still waits for its own.
            Some(recent) => logic.wake(&recent.head).sooner(base),
            None => base,
        };
        let wake = sooner(wake, kept.settles());
        self.wait(index, wake);
    }

    /// Remembers what the key has passed and when it is due, or drops it.
    fn wait(&mut self, index: u32, wake: Wake) {
        if let Some(at) = self.store.get_mut(index).state.passed() {
            raise(&mut self.passed, index, at);
        }
        match wake {
            Wake::At(at) => self.look_at(index, at),
            Wake::Forget => self.store.remove(index),
            Wake::Idle => {}
        }
    }

    /// Remembers that the key is due then, if it is not due before.
    fn look_at(&mut self, index: u32, at: EventTime) {
        let slot = self.store.get_mut(index);
        if at < slot.timer {
            slot.timer = at;
            self.timers.push(at, index);
        }
    }

    /// Gives memory back when most keys are gone.
    fn shrink(&mut self, logic: &L) {
        if self.store.shrink().is_none() {
            return;
        }
        self.timers.clear();
        self.passed.clear();
        self.briefs.clear();
        for (index, slot) in self.store.iter_mut() {
            self.briefs.note(logic, index, &slot.state, self.watermark);
            if let Some(at) = slot.state.passed() {
                raise(&mut self.passed, index, at);
            }
            if slot.timer != EventTime::MAX {
                self.timers.push(slot.timer, index);
            }
        }
    }

    /// Writes every key to its shard.
    pub(super) fn save(&self, logic: &L, shards: &mut Shards) {
        for (_, slot) in self.store.iter() {
            let to = shards.of(slot.shard());
            to.text(self.store.name_of(slot));
            slot.state.encode(logic, to);
        }
    }

    /// Goes on at a watermark, with no keys yet.
    pub(super) fn start_at(&mut self, watermark: EventTime) {
        self.watermark = watermark;
    }

    /// Where the watermark is.
    pub(super) fn watermark(&self) -> EventTime {
        self.watermark
    }

    /// Reads the keys of a shard.
    ///
    /// # Errors
    /// When the bytes are not such a shard.
    pub(super) fn load(&mut self, logic: &L, from: &mut Reader<'_>) -> Result<(), CodecError> {
        while !from.is_empty() {
            let name = from.text("a key")?;
            self.after.clear();
            self.after.set_key(name);
            let kept = Kept::decode(logic, from, &mut self.after)?;
            let index = self.store.find_or_add(KeyHash::of(name), name);
            self.store.get_mut(index).state = kept;
            self.rest(logic, index);
        }
        Ok(())
    }

    pub(super) fn keys(&self) -> usize {
        self.store.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.store.bytes() + self.timers.bytes() + self.briefs.bytes()
    }
}

/// A wish, or a time if that is before it.
fn sooner(wake: Wake, at: Option<EventTime>) -> Wake {
    at.map_or(wake, |at| wake.sooner(Wake::At(at)))
}

/// A slot's key has passed a time.
fn raise(passed: &mut Vec<EventTime>, index: u32, at: EventTime) {
    let part = index as usize / AHEAD;
    if part >= passed.len() {
        passed.resize(part + 1, EventTime::MIN);
    }
    passed[part] = passed[part].max(at);
}

fn append(from: &Outputs, to: &mut Outputs) {
    for (from, to) in from.rows.iter().zip(&mut to.rows) {
        for row in 0..from.len() {
            to.append_row(from, row, from.heads[row].diff);
        }
    }
}
