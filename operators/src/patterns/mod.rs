//! Patterns: steps that rows of one key go through in order, each in time, and rows that stay away.
//!
//! # Meaning
//! Take the key's facts in (`at`, `id`) order. Each fact that satisfies the first step, in that order,
//! is tried as the *start* of a match. An attempt stands at a step `s` that has had `c` rows: at its
//! start at the first one, with one row. It goes through the facts behind its start, and for each
//! the first of these rules holds that applies:
//!
//! ```text
//! 1  at ≥ start + within, or c ≥ at_least of s and at ≥ last row + within of the next step: it ended before
//!    the fact, at the first of these times. It failed, unless it waits (below).
//! 2  c ≥ at_least, and the fact is one that must be absent behind s: it failed.
//! 3  c ≥ at_least, and the fact satisfies the next step: that one has its first row.
//! 4  the fact satisfies s, and c < at_most: s has one row more.
//! 5  else the fact is passed over.
//! ```
//!
//! The attempt is a match, *completed*, at the fact that gives the last step its `at_least`th row, if
//! nothing must be absent behind that. Else it *waits* from there on (and the last step goes on taking
//! rows), and is a match, *timed out*, when its time is: at `start + within`, or, where the absent
//! step has a `within`, that long after the last row, whichever is first. What must be absent between
//! two steps, and has a `within`, may come so long after the last row or later.
//!
//! Behind a match the next start is the first one after its last row, behind a failure the next one
//! after its start. So no row is in two matches, unless one match waits while the next begins.
//!
//! # Side by side
//! The open attempts of a key are kept side by side, oldest first, as if none failed. That gives the same
//! matches, because of two open attempts the older is always at least as far: its (s, c) is not
//! the smaller one. For that holds when the younger one starts, with the least (s, c) there is, by a
//! fact that satisfies step 1, by which the older stays at step 1 or beyond. Say it holds
//! before a fact, and both stay open. If both are at one step, the older has c ≥ that of the
//! younger: it may do what the younger does, unless it has `at_most` rows and still no fewer, or goes on.
//! If the older is ahead and the younger goes on, then by one step, with the first row of that, where
//! the older is or has been. So when the younger one would complete, the older one has done so: at the same fact
//! or before. And when two are at one step, the older's last row is not behind the younger's: what the
//! younger takes, the older takes, too, or has `at_most` rows already, or leaves the step. So of two that wait the
//! older one's time is out first, or at the same time. The oldest match thus is known first, and
//! it drops all attempts that began at or before its last row: what comes first in the order
//! of starts is never known later. The oracle goes through the starts one after the other, and asserts it.
//!
//! `most_open` bounds the attempts of a key. A row that satisfies the first step while so many are open, after the row
//! was given to them, begins none: a match that began with it would be missed if all of them failed.
//!
//! # Emits
//! Columns: `start_id` and `start` of the first row, `end` (of the last row, or when the time was out), how (`completed`
//! or `timed_out`), the number of rows of each step, those of the job, and `skipped`: how many rows
//! between start and end began no attempt, because `most_open` were open. One row a match, at its
//! end, added once and never changed: facts that come late are the driver's affair, which takes back what
//! they change. Fired on settled facts alone it is what no permitted fact can change.
//!
//! # State
//! Per key 16 bytes, and while attempts are open one allocation of 104 bytes, which has room for one attempt of six
//! words; more attempts take 40 bytes and their words each. The words are one for each step and column, three for a
//! sum or a mean. `most_open` bounds the attempts, and `within` their lives: a silent key leaves nothing behind.
//! A fact that no step asks for costs 1.5 ns; another one 8 ns, and for each open attempt 5 ns if it is passed over and
//! 10 if it is taken, with a column. With 20,000 keys in random order, where memory is waited for, it costs 75 ns, and an
//! attempt from its first row to its time-out 220.
//! Timers come only when a waiting attempt's time is out, and when the last attempt's is.
//!
//! # Example
//! Two errors, and then nothing for ten seconds:
//! ```
//! use tidegate_operators::logic::{Logic, Outputs, Wake};
//! use tidegate_operators::patterns::*;
//! use tidegate_schemas::{fact::Fact, time::{EventTime, Span}};
//!
//! let absent = Absent { filter: None, within: Some(Span::seconds(10)) };
//! let errors = Step { filter: Some(0), at_least: 2, at_most: Some(2), within: None, absent: Some(absent) };
//! let pattern = Pattern::new(PatternSpec {
//!     within: Span::seconds(60),
//!     steps: vec![errors],
//!     columns: vec![],
//!     most_open: 16,
//!     output: Some(0),
//! });
//! let (mut state, mut out) = (PatternState::default(), Outputs::new(&[pattern.spec().width()]));
//! for (id, second, bits) in [(7, 0, 0b1), (8, 4, 0b0), (9, 5, 0b1)] {
//!     let at = EventTime(second * 1_000_000);
//!     pattern.on_fact(&mut state, &Fact { at, id, bits, words: &[] }, &mut out);
//! }
//! let over = EventTime(15_000_000);
//! assert_eq!(pattern.wake(&state), Wake::At(over));
//! pattern.on_timer(&mut state, over, &mut out);
//! let row: Vec<i64> = out.rows[0].columns.iter().map(|c| c.words[0]).collect();
//! assert_eq!(row[..3], [7, 0, 15_000_000]); // the first row's id, its time, the time-out
//! assert_eq!(row[4..], [2, 0]); // errors, skipped
//! assert_eq!(pattern.wake(&state), Wake::Forget);
//! ```

mod attempt;
pub mod oracle;
mod spec;
#[cfg(test)]
mod tests;

use tidegate_schemas::fact::Fact;
use tidegate_schemas::names::code_of;
use tidegate_schemas::time::EventTime;

use crate::codec::{CodecError, Reader, Writer};
use crate::logic::{Logic, Outputs, Wake};
use attempt::{Attempt, Fate, Open, Plan};
pub use spec::{Absent, COMPLETED, PatternSpec, Step, StepColumn, TEXTS, TIMED_OUT};

/// The open attempts of one key, if there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternState {
    open: Option<Box<Open>>,
    /// When the key is next to be looked at; `MAX` without attempts.
    due: EventTime,
}

impl Default for PatternState {
    fn default() -> PatternState {
        PatternState {
            open: None,
            due: EventTime::MAX,
        }
    }
}

impl PatternState {
    /// How many attempts are open, or have failed by time since the last call.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.attempts.len())
    }

    /// When the key is next to be looked at; `MAX` without attempts.
    #[must_use]
    pub fn due(&self) -> EventTime {
        self.due
    }

    /// Whether no attempt is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_none()
    }
}

/// A pattern of one key. The module says what it means.
#[derive(Clone, Debug)]
pub struct Pattern {
    spec: PatternSpec,
    plan: Plan,
    /// A fact with none of these bits changes nothing; `None`: any may.
    seen: Option<u64>,
    completed: i64,
    timed_out: i64,
}

impl Pattern {
    /// The pattern that `spec` tells.
    ///
    /// # Panics
    /// When there is no step, a filter is not a bit of a fact, or a column is not made of words: the job's
    /// compiler reports these before.
    #[must_use]
    pub fn new(spec: PatternSpec) -> Pattern {
        Pattern {
            plan: Plan::new(&spec),
            seen: spec.seen(),
            completed: code_of(COMPLETED),
            timed_out: code_of(TIMED_OUT),
            spec,
        }
    }

    /// What was asked for.
    #[must_use]
    pub fn spec(&self) -> &PatternSpec {
        &self.spec
    }

    /// The bits of facts that change anything; `None`: any fact may.
    #[must_use]
    pub fn seen(&self) -> Option<u64> {
        self.seen
    }

    /// Whether the time of an attempt that is out may be news; else it may stay unnoticed until the next fact.
    #[inline]
    #[must_use]
    pub fn is_punctual(&self) -> bool {
        self.spec.steps.last().is_some_and(|it| it.absent.is_some())
    }

    /// Whether a fact may begin an attempt.
    #[inline]
    #[must_use]
    pub fn begins(&self, fact: &Fact<'_>) -> bool {
        fact.passes(self.spec.steps[0].filter)
    }

    /// The step that takes each fact of the attempt that begins with the first of these, up to its end: what
    /// explains a match.
    pub fn taken<'f>(&self, facts: impl IntoIterator<Item = Fact<'f>>) -> Vec<Option<usize>> {
        let mut facts = facts.into_iter();
        let Some(first) = facts.next() else {
            return Vec::new();
        };
        let (mut attempt, mut slots) = (Attempt::new(&first), self.plan.fresh.clone());
        let mut fate = self.plan.take(&mut attempt, &mut slots, &first);
        let mut taken = vec![Some(0)];
        for fact in facts {
            if fate != Fate::Open || fact.at >= self.plan.deadline(&attempt, &slots) {
                break;
            }
            let last = attempt.last;
            fate = self.plan.step(&mut attempt, &mut slots, &fact);
            taken.push((attempt.last != last).then(|| attempt.step()));
        }
        taken
    }

    fn row(&self, attempt: &Attempt, slots: &[i64], end: EventTime, how: i64, out: &mut Outputs) {
        let Some(output) = self.spec.output else {
            return;
        };
        let into = out.begin(output, end, 1);
        let (first, rest) = into.split_at_mut(PatternSpec::COUNTS);
        first[PatternSpec::START_ID].push(attempt.start.id as i64);
        first[PatternSpec::START].push(attempt.start.at.0);
        first[PatternSpec::END].push(end.0);
        first[PatternSpec::HOW].push(how);
        let (counts, rest) = rest.split_at_mut(self.spec.steps.len());
        for (count, into) in slots.iter().zip(counts) {
            into.push(*count);
        }
        let (columns, skipped) = rest.split_at_mut(self.spec.columns.len());
        for ((_, column), into) in self.plan.columns.iter().zip(columns) {
            into.push(column.word_of(slots));
        }
        skipped[0].push(attempt.skipped.into());
    }

    /// Ends the attempts whose time is out at `at`.
    fn expire(&self, open: &mut Open, at: EventTime, out: &mut Outputs) {
        let mut i = 0;
        while let Some(attempt) = open.attempts.get(i).copied() {
            let slots = self.plan.slots(&open.slots, i);
            let deadline = self.plan.deadline(&attempt, slots);
            if deadline > at {
                i += 1;
            } else if self.plan.waits(&attempt, slots) {
                self.row(&attempt, slots, deadline, self.timed_out, out);
                let rest = open.attempts[i..].iter();
                let dropped = rest.take_while(|other| other.start <= attempt.last);
                open.remove(i, dropped.count());
            } else {
                open.remove(i, 1);
            }
        }
    }

    /// Gives a fact to every open attempt: whether it completed one.
    fn advance(&self, open: &mut Open, fact: &Fact<'_>, out: &mut Outputs) -> bool {
        let mut i = 0;
        while let Some(attempt) = open.attempts.get_mut(i) {
            let slots = self.plan.slots_mut(&mut open.slots, i);
            match self.plan.step(attempt, slots, fact) {
                Fate::Open => i += 1,
                Fate::Failed => open.remove(i, 1),
                Fate::Completed => {
                    debug_assert!(i == 0, "the oldest attempt is the furthest");
                    self.row(attempt, slots, fact.at, self.completed, out);
                    // All began at or before this fact, the match's last row.
                    open.remove(0, open.attempts.len());
                    return true;
                }
            }
        }
        false
    }

    /// Begins an attempt with a fact, unless too many are open.
    fn begin(&self, open: &mut Open, fact: &Fact<'_>, out: &mut Outputs) {
        let i = open.attempts.len();
        if i >= self.spec.most_open as usize {
            for attempt in &mut open.attempts {
                attempt.skipped = attempt.skipped.saturating_add(1);
            }
            return;
        }
        let mut attempt = Attempt::new(fact);
        open.slots.extend_from_slice(&self.plan.fresh);
        let slots = self.plan.slots_mut(&mut open.slots, i);
        let fate = self.plan.take(&mut attempt, slots, fact);
        if fate == Fate::Completed {
            self.row(&attempt, slots, fact.at, self.completed, out);
        }
        open.attempts.push(attempt);
        if fate == Fate::Completed {
            open.remove(i, 1);
        }
    }

    /// What is left of a state behind a call, with the time of the next one: when the first of those that
    /// wait is a match, or, if none does, when all have failed.
    fn settle(&self, state: &mut PatternState) {
        let Some(open) = state
            .open
            .as_deref_mut()
            .filter(|open| !open.attempts.is_empty())
        else {
            *state = PatternState::default();
            return;
        };
        let mut waiting: Option<EventTime> = None;
        let mut last = EventTime::MIN;
        for (i, attempt) in open.attempts.iter().enumerate() {
            let slots = self.plan.slots(&open.slots, i);
            let deadline = self.plan.deadline(attempt, slots);
            last = last.max(deadline);
            if self.plan.waits(attempt, slots) {
                waiting = Some(waiting.map_or(deadline, |other| other.min(deadline)));
            }
        }
        state.due = waiting.unwrap_or(last);
    }
}

impl Logic for Pattern {
    type State = PatternState;

    #[inline]
    fn on_fact(&self, state: &mut PatternState, fact: &Fact<'_>, out: &mut Outputs) {
        if self.seen.is_some_and(|seen| fact.bits & seen == 0) {
            return;
        }
        let begins = self.begins(fact);
        if state.is_empty() && !begins {
            return;
        }
        let open = state.open.get_or_insert_default();
        self.expire(open, fact.at, out);
        if !self.advance(open, fact, out) && begins {
            self.begin(open, fact, out);
        }
        self.settle(state);
    }

    fn on_instant(&self, _state: &mut PatternState, _at: EventTime, _out: &mut Outputs) {}

    fn on_timer(&self, state: &mut PatternState, at: EventTime, out: &mut Outputs) {
        if let Some(open) = &mut state.open {
            self.expire(open, at, out);
            self.settle(state);
        }
    }

    #[inline]
    fn wake(&self, state: &PatternState) -> Wake {
        match state.is_empty() {
            true => Wake::Forget,
            false => Wake::At(state.due),
        }
    }

    #[inline]
    fn is_due(&self, state: &PatternState, at: EventTime) -> bool {
        !state.is_empty() && state.due <= at
    }

    fn encode(&self, state: &PatternState, to: &mut Writer) {
        to.length(state.len());
        let Some(open) = &state.open else {
            return;
        };
        for (i, attempt) in open.attempts.iter().enumerate() {
            attempt.encode(to);
            let slots = self.plan.slots(&open.slots, i).iter();
            for (slot, fresh) in slots.zip(&self.plan.fresh) {
                // As the distance from an empty column, so that what holds nothing takes one byte.
                to.word(slot.wrapping_sub(*fresh));
            }
        }
    }

    fn decode(&self, from: &mut Reader<'_>) -> Result<PatternState, CodecError> {
        let mut open = Open::default();
        for _ in 0..from.length("number of attempts")? {
            let attempt = Attempt::decode(from, self.spec.steps.len())?;
            open.attempts.push(attempt);
            for fresh in &self.plan.fresh {
                let distance = from.word("a column of an attempt")?;
                open.slots.push(fresh.wrapping_add(distance));
            }
        }
        let mut state = PatternState {
            open: Some(Box::new(open)),
            ..PatternState::default()
        };
        self.settle(&mut state);
        Ok(state)
    }
}
