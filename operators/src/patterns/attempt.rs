//! One attempt at a match: where it stands, and what a fact does to it.

use smallvec::SmallVec;
use tidegate_schemas::fact::Fact;
use tidegate_schemas::time::{EventTime, Span};

use super::spec::{PatternSpec, Step};
use crate::codec::{CodecError, Reader, Writer};
use crate::sessions::columns::Compiled;

/// Where a fact is among those of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) at: EventTime,
    pub(super) id: u64,
}

impl Position {
    fn of(fact: &Fact<'_>) -> Position {
        Position {
            at: fact.at,
            id: fact.id,
        }
    }
}

/// An attempt that is open. The rows of its steps are counted in its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) start: Position,
    /// The last row that a step took.
    pub(super) last: Position,
    step: u32,
    /// How many facts since its start began nothing.
    pub(super) skipped: u32,
}

impl Attempt {
    pub(super) fn new(fact: &Fact<'_>) -> Attempt {
        let start = Position::of(fact);
        Attempt {
            start,
            last: start,
            step: 0,
            skipped: 0,
        }
    }

    /// The step it stands at.
    pub(super) fn step(&self) -> usize {
        self.step as usize
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        to.time(self.start.at);
        to.unsigned(self.start.id.into());
        to.unsigned(self.last.at.0.abs_diff(self.start.at.0).into());
        to.unsigned(self.last.id.into());
        to.unsigned(self.step.into());
        to.unsigned(self.skipped.into());
    }

    pub(super) fn decode(from: &mut Reader<'_>, steps: usize) -> Result<Attempt, CodecError> {
        let start = Position {
            at: from.time("start of an attempt")?,
            id: from.number("id of a start")?,
        };
        let length = from.number("length of an attempt")?;
        let last = Position {
            at: start.at.plus(Span(length)),
            id: from.number("id of a last row")?,
        };
        let step = from.number("step of an attempt")?;
        if step as usize >= steps {
            return Err(from.error("step of an attempt"));
        }
        Ok(Attempt {
            start,
            last,
            step,
            skipped: from.number("rows that began nothing")?,
        })
    }
}

/// The open attempts of a key, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) attempts: SmallVec<[Attempt; 1]>,
    /// The words of each: a count for each step, and what the columns keep.
    pub(super) slots: SmallVec<[i64; 6]>,
}

impl Open {
    /// Forgets `n` attempts from the `from`th on.
    pub(super) fn remove(&mut self, from: usize, n: usize) {
        let stride = self.slots.len() / self.attempts.len();
        self.attempts.drain(from..from + n);
        self.slots.drain(from * stride..(from + n) * stride);
    }
}

/// What a fact made of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    Failed,
    Completed,
}

/// The steps and columns of a pattern, and where each keeps its words.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    within: Span,
    steps: Box<[Step]>,
    /// Each with the index of its step.
    pub(super) columns: Box<[(usize, Compiled)]>,
    /// The words of a new attempt: a count for each step, then what its columns keep.
    pub(super) fresh: Box<[i64]>,
}

impl Plan {
    pub(super) fn new(spec: &PatternSpec) -> Plan {
        let absent = spec.steps.iter().filter_map(|step| step.absent);
        let steps = spec.steps.iter();
        let mut filters = steps
            .filter_map(|step| step.filter)
            .chain(absent.filter_map(|absent| absent.filter));
        assert!(
            !spec.steps.is_empty() && filters.all(|bit| bit < 64),
            "a pattern has a step, and a fact 64 bits: {spec:?}"
        );
        let mut fresh = vec![0; spec.steps.len()];
        let columns = spec.columns.iter().map(|column| {
            let mut compiled = Compiled::new(&column.column);
            assert!(
                compiled.keeps_words() && column.step < spec.steps.len(),
                "a column is of words and of a step: {column:?}"
            );
            compiled.place(&mut fresh);
            (column.step, compiled)
        });
        Plan {
            within: spec.within,
            steps: spec.steps.as_slice().into(),
            columns: columns.collect(),
            fresh: fresh.into(),
        }
    }

    /// The words of attempt `i`.
    pub(super) fn slots<'a>(&self, slots: &'a [i64], i: usize) -> &'a [i64] {
        let stride = self.fresh.len();
        &slots[i * stride..(i + 1) * stride]
    }

    /// The words of attempt `i`.
    pub(super) fn slots_mut<'a>(&self, slots: &'a mut [i64], i: usize) -> &'a mut [i64] {
        let stride = self.fresh.len();
        &mut slots[i * stride..(i + 1) * stride]
    }

    /// Whether the attempt's step has the rows that it needs.
    fn is_full(&self, attempt: &Attempt, slots: &[i64]) -> bool {
        let step = attempt.step();
        slots[step] >= i64::from(self.steps[step].at_least)
    }

    /// Whether nothing is missing but that its time is out.
    pub(super) fn waits(&self, attempt: &Attempt, slots: &[i64]) -> bool {
        let last = attempt.step() + 1 == self.steps.len();
        last && self.is_full(attempt, slots)
    }

    /// When the attempt ends, if no fact ends it before.
    pub(super) fn deadline(&self, attempt: &Attempt, slots: &[i64]) -> EventTime {
        let end = attempt.start.at.plus(self.within);
        if !self.is_full(attempt, slots) {
            return end;
        }
        let within = match self.steps.get(attempt.step() + 1) {
            Some(next) => next.within,
            None => self.steps[attempt.step()].absent.and_then(|a| a.within),
        };
        within.map_or(end, |within| end.min(attempt.last.at.plus(within)))
    }

    /// What a fact, at which the attempt's time is not out, makes of it.
    pub(super) fn step(&self, attempt: &mut Attempt, slots: &mut [i64], fact: &Fact<'_>) -> Fate {
        let step = &self.steps[attempt.step()];
        if self.is_full(attempt, slots) {
            if let Some(absent) = step.absent
                && fact.passes(absent.filter)
                && (absent.within).is_none_or(|within| fact.at < attempt.last.at.plus(within))
            {
                return Fate::Failed;
            }
            if let Some(next) = self.steps.get(attempt.step() + 1)
                && fact.passes(next.filter)
            {
                attempt.step += 1;
                return self.take(attempt, slots, fact);
            }
        }
        let room = |most| slots[attempt.step()] < i64::from(most);
        if fact.passes(step.filter) && step.at_most.is_none_or(room) {
            return self.take(attempt, slots, fact);
        }
        Fate::Open
    }

    /// Gives a fact to the attempt's step as its next row.
    pub(super) fn take(&self, attempt: &mut Attempt, slots: &mut [i64], fact: &Fact<'_>) -> Fate {
        let step = attempt.step();
        attempt.last = Position::of(fact);
        slots[step] += 1;
        for (_, column) in self.columns.iter().filter(|(of, _)| *of == step) {
            column.add_words(slots, fact);
        }
        if self.steps[step].absent.is_none() && self.waits(attempt, slots) {
            return Fate::Completed;
        }
        Fate::Open
    }
}
