//! Changed tables: who is answered, and how those are found.
//!
//! A key is answered up to the moment of the rows. Where one comes that is older than others, what it alters behind
//! these is found when event time comes there, unless they have been answered already.

use std::hint::black_box;

use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::EventTime;

use super::super::AHEAD;
use super::super::difference::difference_to;
use super::super::kept::{Told, replay};
use super::super::step::run_timers;
use super::{OnArrival, sooner};
use crate::logic::{Logic, Outputs};
use crate::parcel::TableRow;

/// So many rows of an output are handed on before all keys have been gone through.
const PIECE: usize = if cfg!(test) { 3 } else { 1 << 16 };

impl<L: Logic> OnArrival<L> {
    /// Takes in rows of broadcast tables: every key whose answers they alter is answered as of their
    /// time. Others are left alone: what the rows mean for them is found just as well when the
    /// watermark comes there, or the next fact. `full` gets what is in `live` whenever that is much: a table
    /// may concern every key, and one large piece of memory that grows costs more than several.
    pub(in super::super) fn tables(
        &mut self,
        logic: &L,
        rows: &[TableRow],
        live: &mut Outputs,
        mut full: impl FnMut(Vec<Rows>),
    ) {
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
            slot.state.tell(last);
            let head = replay(logic, &slot.state, &mut self.after);
            self.briefs.note_state(logic, index, &head, last);
            slot.state.keep(head);
            difference_to(&passed.rows, passed.parts(number), &self.after, live);
            self.rest(logic, index);
        }
        let stirred = self.briefs.may_stir(logic, rows, self.store.slots());
        #[cfg(test)]
        self.check_the_others(logic, rows, &stirred);
        for (place, &index) in stirred.iter().enumerate() {
            self.touch_ahead(logic, &stirred[place..]);
            let Some((slot, name)) = self.store.live(index) else {
                continue;
            };
            let kept = &mut slot.state;
            if !kept.in_order(first) {
                continue;
            }
            let mut made = kept.is_told().then(|| {
                self.after.clear();
                self.after.set_key(name);
                replay(logic, kept, &mut self.after)
            });
            if !logic.stirs(made.as_ref().unwrap_or(kept.newest()), name, rows) {
                continue;
            }
            live.set_key(name);
            kept.tell(last);
            let head = match &mut kept.recent {
                Some(recent) => &mut recent.head,
                None => made.get_or_insert_with(|| kept.base.clone()),
            };
            logic.turn(head, live);
            let wake = run_timers(logic, head, last, live);
            self.briefs.note_state(logic, index, head, last);
            // The base is as it was, and what it waited for is remembered. It need not be looked at for
            // the rows before all facts that are older than these have settled.
            let wake = sooner(wake, kept.settles());
            self.wait(index, wake);
            if live.rows.iter().any(|rows| rows.len() >= PIECE) {
                full(live.take());
            }
        }
    }

    /// What [`Logic::may_stir`] has left out must not stir.
    #[cfg(test)]
    fn check_the_others(&self, logic: &L, rows: &[TableRow], stirred: &[u32]) {
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

    /// Brings what lies ahead of a slot nearer to the processor, when many are gone through.
    #[inline]
    fn touch_ahead(&self, logic: &L, slots: &[u32]) {
        if slots.len().is_multiple_of(AHEAD) {
            let ahead = slots.iter().skip(AHEAD).take(AHEAD);
            let ahead = ahead.filter_map(|index| self.store.get(*index));
            let newest = ahead.map(|slot| logic.touch(slot.state.newest()));
            black_box(newest.fold(0, |sum, word| sum ^ word));
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
