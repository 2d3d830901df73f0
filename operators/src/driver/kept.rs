//! What is kept of a key that fires on arrival, and what it has put out.

use std::ops::Range;

use tidegate_schemas::fact::Fact;
use tidegate_schemas::time::EventTime;

use super::step::step;
use crate::logic::{Logic, Outputs};

#[derive(Clone, Copy, Debug)]
pub(super) struct RecentFact {
    pub(super) at: EventTime,
    pub(super) id: u64,
    pub(super) bits: u64,
}

/// Facts in (time, id) order, with their words.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) heads: Vec<RecentFact>,
    pub(super) words: Vec<i64>,
    pub(super) stride: usize,
}

impl Facts {
    pub(super) fn fact(&self, row: usize) -> Fact<'_> {
        let RecentFact { at, id, bits } = self.heads[row];
        let words = &self.words[row * self.stride..(row + 1) * self.stride];
        Fact {
            at,
            id,
            bits,
            words,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Fact<'_>> {
        (0..self.heads.len()).map(|row| self.fact(row))
    }

    /// Where (`at`, `id`) stands or would stand.
    pub(super) fn place(&self, at: EventTime, id: u64) -> usize {
        self.heads
            .partition_point(|fact| (fact.at, fact.id) < (at, id))
    }

    pub(super) fn insert(&mut self, fact: Fact<'_>) {
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

    pub(super) fn remove(&mut self, fact: Fact<'_>) {
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

    pub(super) fn drop_first(&mut self, count: usize) {
        self.heads.drain(..count);
        self.words.drain(..count * self.stride);
    }
}

/// What a key with facts after the watermark keeps besides its base.
#[derive(Clone, Debug)]
pub(super) struct Recent<S> {
    pub(super) facts: Facts,
    pub(super) head: S,
    /// The last instant `head` has closed.
    pub(super) instant: EventTime,
    /// The time up to which `head` has run its timers.
    pub(super) timers: EventTime,
}

impl<S> Recent<S> {
    /// Whether a fact at `at` comes after everything `head` has seen.
    pub(super) fn in_order(&self, at: EventTime) -> bool {
        at > self.instant && at >= self.timers
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Kept<S> {
    pub(super) base: S,
    pub(super) recent: Option<Box<Recent<S>>>,
}

/// What some keys have put out.
pub(super) struct Told {
    pub(super) rows: Outputs,
    pub(super) keys: Vec<u32>,
    /// Per key, where its rows of each output end.
    pub(super) ends: Vec<usize>,
}

impl Told {
    /// Where the rows of a key are, by output.
    pub(super) fn parts(&self, number: usize) -> impl Iterator<Item = Range<usize>> {
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
    pub(super) fn newest(&self) -> &S {
        self.recent
            .as_ref()
            .map_or(&self.base, |recent| &recent.head)
    }

    pub(super) fn recent(&mut self, watermark: EventTime) -> &mut Recent<S> {
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

/// Steps a copy of the base through the recent facts, putting out all that `head` has put out since.
pub(super) fn replay<L: Logic>(logic: &L, kept: &Kept<L::State>, out: &mut Outputs) -> L::State {
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
