//! Changed tables: who is answered, and how those are found.
//!
//! A key is answered up to the moment of the rows. Where one comes that is older than others, what it alters behind
//! these is found when event time comes there, unless they have been answered already.

use std::collections::HashSet;
use std::hint::black_box;
use std::sync::Arc;

use tidegate_schemas::fact::FactBlock;
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::EventTime;

use super::super::AHEAD;
use super::super::difference::difference_to;
#[cfg(test)]
use super::super::kept::Kept;
use super::super::kept::{Told, replay};
use super::super::step::run_timers;
use super::{OnArrival, raise, sooner};
use crate::logic::{Logic, Outputs};
use crate::parcel::TableRow;

/// So many rows of an output are handed on before all keys have been gone through: what comes behind has room that
/// has been used before, and sinks write beside.
const PIECE: usize = if cfg!(test) { 3 } else { 1 << 13 };

/// So many slots are looked at before the first of them is answered: what they need lies scattered.
const STRIDE: u32 = 4 * AHEAD as u32;

/// Rows of tables that are being answered, key by key.
#[derive(Debug)]
pub(super) struct Stirring {
    rows: Vec<TableRow>,
    first: EventTime,
    last: EventTime,
    /// The next slot.
    next: u32,
    /// The tags of keys that have facts in the same tick.
    busy: HashSet<u32>,
    /// Timers up to this are run in the same tick.
    watermark: EventTime,
}

impl<L: Logic> OnArrival<L> {
    /// Takes in rows of broadcast tables: every key whose answers they alter is answered as of their
    /// time, here or by [`OnArrival::stir`]. Others are left alone: what the rows mean for them is found just as well when
    /// the watermark comes there, or the next fact. `facts` and `watermark` are those of the same tick.
    pub(in super::super) fn tables(
        &mut self,
        logic: &L,
        rows: Vec<TableRow>,
        facts: &[Arc<FactBlock>],
        watermark: Option<EventTime>,
        live: &mut Outputs,
    ) {
        let times = || rows.iter().map(|row| row.at);
        let first = times().min().unwrap_or(EventTime::MAX);
        // Just behind the last change, so that what happens at its very moment is answered too.
        let last = times().max().unwrap_or(EventTime::MIN).next();
        let passed = self.replay_passed(logic, &rows, first);
        rows.iter().for_each(|row| logic.on_table(row));
        for (number, &index) in passed.keys.iter().enumerate() {
            let (slot, name) = self.store.get_with_name(index);
            self.after.clear();
            self.after.set_key(name);
            slot.state.tell(last);
            let head = replay(logic, &slot.state, &mut self.after);
            self.briefs.note_state(logic, index, &head, last);
            slot.state.keep(head);
            difference_to(&passed.rows, passed.parts(number), &self.after, live);
            self.rest(logic, index);
        }
        #[cfg(test)]
        self.check_the_others(logic, &rows);
        let keys_of = |block: &Arc<FactBlock>| {
            let hashes = block.keys.hashes.iter().zip(block.present_keys());
            let tags = hashes.filter_map(|(hash, present)| present.then_some((hash >> 32) as u32));
            tags.collect::<Vec<u32>>()
        };
        self.stirring = Some(Stirring {
            rows,
            first,
            last,
            next: 0,
            busy: facts.iter().flat_map(keys_of).collect(),
            watermark: watermark.unwrap_or(EventTime::MIN),
        });
    }

    /// Answers the next of the keys that rows of tables stir. `whole` gets the rows of keys of which no others come in
    /// this tick, `live` those of the others. Answers whether all have been gone through; before that, whenever
    /// there are many rows.
    pub(in super::super) fn stir(
        &mut self,
        logic: &L,
        live: &mut Outputs,
        whole: &mut Outputs,
    ) -> bool {
        let Some(mut stirring) = self.stirring.take() else {
            return true;
        };
        let (slots, mut stirred) = (self.store.slots(), Vec::with_capacity(STRIDE as usize));
        while stirring.next < slots {
            let stride = stirring.next..slots.min(stirring.next + STRIDE);
            stirring.next = stride.end;
            self.briefs
                .may_stir(logic, &stirring.rows, stride, &mut stirred);
            self.keep_in_order(stirring.first, &mut stirred);
            for index in stirred.drain(..) {
                let Some((slot, _)) = self.store.live(index) else {
                    continue;
                };
                let due = slot.timer.min(stirring.last);
                let others = stirring.busy.contains(&slot.tag()) || due <= stirring.watermark;
                let out = if others { &mut *live } else { &mut *whole };
                self.stir_key(logic, index, &stirring, out);
            }
            if whole.rows.iter().any(|rows| rows.len() >= PIECE) {
                self.stirring = Some(stirring);
                return false;
            }
        }
        true
    }

    /// Leaves out those that have passed `first`, and brings the slots of the others nearer to the processor.
    fn keep_in_order(&mut self, first: EventTime, slots: &mut Vec<u32>) {
        let touched = slots.iter().map(|index| self.store.touch(*index));
        black_box(touched.fold(0, |sum, word| sum ^ word));
        slots.retain(|index| {
            let passed = self.passed.get(*index as usize / AHEAD);
            passed.is_none_or(|passed| *passed < first)
                || (self.store.live(*index)).is_some_and(|(slot, _)| slot.state.in_order(first))
        });
    }

    /// Answers the rows for a key that they may stir.
    fn stir_key(&mut self, logic: &L, index: u32, stirring: &Stirring, live: &mut Outputs) {
        let last = stirring.last;
        let (slot, name) = self.store.get_with_name(index);
        let kept = &mut slot.state;
        live.set_key(name);
        #[cfg(test)]
        let before = live.rows.iter().map(Rows::len).collect();
        let answered = self.briefs.answer(logic, index, last, live);
        #[cfg(test)]
        check_the_answer(logic, (kept, name), answered, before, live);
        answered.into_iter().for_each(|until| kept.tell(until));
        if answered == Some(last) {
            // The timer of a key with recent facts is before that already.
            raise(&mut self.passed, index, last);
            self.look_at(index, last);
            return;
        }
        self.after.clear();
        self.after.set_key(name);
        let mut made = None;
        if kept.is_told() {
            match kept.recent.is_some() {
                true => _ = kept.recent(logic, self.watermark, &mut self.after),
                false => made = Some(replay(logic, kept, &mut self.after)),
            }
        }
        let newest = made.as_ref().unwrap_or(kept.newest());
        if answered.is_none() && !logic.stirs(newest, name, &stirring.rows) {
            return;
        }
        let head = match &mut kept.recent {
            Some(recent) => &mut recent.head,
            None => made.get_or_insert_with(|| kept.base.clone()),
        };
        let wake = run_timers(logic, head, last, live);
        self.briefs.note_state(logic, index, head, last);
        // The base is as it was, and what it waited for is remembered. It need not be looked at for
        // the rows before all facts that are older than these have settled.
        kept.tell(last);
        let wake = sooner(wake, kept.settles());
        self.wait(index, wake);
    }

    /// What [`Logic::may_stir`] has left out must not stir.
    #[cfg(test)]
    fn check_the_others(&self, logic: &L, rows: &[TableRow]) {
        let mut stirred = Vec::new();
        let slots = 0..self.store.slots();
        self.briefs.may_stir(logic, rows, slots, &mut stirred);
        let first = rows.iter().map(|row| row.at).min();
        for (index, slot) in self.store.iter() {
            let name = self.store.name_of(slot);
            let mut out = Outputs::new(&self.columns());
            out.set_key(name);
            let newest = replay(logic, &slot.state, &mut out);
            let in_order = first.is_some_and(|first| slot.state.in_order(first));
            let stirs = in_order && logic.stirs(&newest, name, rows);
            assert!(
                !stirs || stirred.contains(&index),
                "{name} was left out of {rows:?}"
            );
        }
    }

    /// What those keys have put out whose facts or timers have passed the first of the rows: it may
    /// no longer hold.
    fn replay_passed(&self, logic: &L, rows: &[TableRow], first: EventTime) -> Told {
        let mut told = Told {
            rows: Outputs::new(&self.columns()),
            keys: Vec::new(),
            ends: Vec::new(),
        };
        let mut again = Outputs::new(&self.columns());
        let passed = self.passed.iter().zip(0..);
        let passed = passed.filter(|(passed, _)| **passed >= first);
        let slots = passed.flat_map(|(_, part)| self.store.part(part * AHEAD));
        for (index, slot) in slots.filter(|(_, slot)| !slot.state.in_order(first)) {
            let name = self.store.name_of(slot);
            let made = slot.state.is_told().then(|| {
                again.clear();
                again.set_key(name);
                replay(logic, &slot.state, &mut again)
            });
            let newest = made.as_ref().unwrap_or(slot.state.newest());
            if rows.iter().any(|row| logic.affected(newest, row)) {
                told.rows.set_key(name);
                replay(logic, &slot.state, &mut told.rows);
                told.keys.push(index);
                told.ends.extend(told.rows.rows.iter().map(Rows::len));
            }
        }
        told
    }

    /// How many columns each output has.
    fn columns(&self) -> Vec<usize> {
        let outputs = self.before.rows.iter();
        outputs.map(|rows| rows.columns.len()).collect()
    }
}

/// What the brief has answered is what timers of the state put out.
#[cfg(test)]
fn check_the_answer<L: Logic>(
    logic: &L,
    (kept, name): (&Kept<L::State>, &str),
    answered: Option<EventTime>,
    before: Vec<usize>,
    live: &Outputs,
) {
    let columns: Vec<usize> = live.rows.iter().map(|rows| rows.columns.len()).collect();
    let mut out = Outputs::new(&columns);
    out.set_key(name);
    let mut state = replay(logic, kept, &mut out);
    out.clear();
    if let Some(until) = answered {
        run_timers(logic, &mut state, until, &mut out);
    }
    for (rows, (all, before)) in out.rows.iter().zip(live.rows.iter().zip(before)) {
        assert_eq!(
            rows.len(),
            all.len() - before,
            "{name} up to {answered:?}: {rows:?}"
        );
        for row in 0..rows.len() {
            assert!(rows.same_row(row, all, before + row), "{name}: {rows:?}");
            assert_eq!(rows.heads[row].diff, all.heads[before + row].diff);
        }
    }
}
