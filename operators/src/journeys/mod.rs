//! Journeys: which kind of fact follows which.
//!
//! # Meaning
//! Take the key's facts that have a kind, in (`at`, `id`) order: the *steps*. A step at `t` belongs to
//! the journey of the step before it, at `last`, when `t − last < gap`, or `t = last`; without a gap,
//! always. Else it begins a new one. A journey is *over* at `last + gap` (at the end of the input
//! without a gap); then the end mark follows its last step, as its first one follows the start mark.
//!
//! # The parts
//! - [`Journeys`] is the logic of one key. It puts out steps, with differences, that are for the
//!   operators behind it alone ([`spec::MOVES`], [`spec::STEPS`], [`spec::PATHS`]).
//! - [`transitions`] counts pairs of kinds; [`accuracy`] predicts each step from those before it, over all
//!   keys, and says how often it was right; [`holdout`] counts some journeys, and predicts the others.
//! - [`dataflow`] brings one to the other, [`oracle`] is the same in slow and obvious.
//!
//! # Why not differential's `count_total`
//! Counts leave as rows with shares: what is joined to a count is the sum of its neighbours, so that one
//! step changes all rows of its `from`. That is `count_total`, a second one, and a join: three
//! arrangements, without a codec, for a collection that is as large as the square of the kinds at most.
//! The owner of `from` has it in one small map, and counts are added up before they travel: as drift does.
//!
//! # State
//! Per key with an open journey 56 bytes, in which 3 kinds have room; it holds one kind for
//! transitions, `order` kinds for the accuracy, and for the hold-out all kinds of the journey. It ends with
//! the journey: so without a gap no key is ever forgotten. Shared state is told where it is.
//!
//! # Cost
//! Measured over 10M rows of ten kinds on one worker, reading them included: 195 ns a row for transitions, 385 for the accuracy
//! of order 3, 400 for a hold-out of order 3, where sessions alone take 100.
//!
//! # Example
//! ```
//! use tidegate_operators::journeys::{JourneyState, Journeys, spec};
//! use tidegate_operators::logic::{Logic, Outputs, Wake};
//! use tidegate_schemas::{fact::Fact, time::{EventTime, Span}};
//!
//! let journeys = Journeys::new(spec::JourneySpec {
//!     kind: 0,
//!     gap: Some(Span(10)),
//!     order: 1,
//!     moves: Some(0),
//!     steps: None,
//!     paths: None,
//! });
//! let (mut state, mut out) = (JourneyState::default(), Outputs::new(&[spec::MOVES.len()]));
//! for (id, at, kind) in [(1, 0, 70), (2, 9, 71)] {
//!     journeys.on_fact(&mut state, &Fact { at: EventTime(at), id, bits: 0, words: &[kind] }, &mut out);
//! }
//! assert_eq!(journeys.wake(&state), Wake::At(EventTime(19)));
//! journeys.on_timer(&mut state, EventTime(19), &mut out);
//! let [from, to, _] = &out.rows[0].columns[..] else { unreachable!() };
//! assert_eq!((&from.words[..], &to.words[..]), (&[spec::start(), 70, 71][..], &[70, 71, spec::end()][..]));
//! assert_eq!(journeys.wake(&state), Wake::Forget);
//! ```

pub mod accuracy;
mod contexts;
pub mod dataflow;
pub mod holdout;
pub mod oracle;
pub mod spec;
#[cfg(test)]
mod tests;

pub mod transitions;

use smallvec::SmallVec;
use tidegate_schemas::fact::{Fact, NULL};
use tidegate_schemas::time::{EventTime, Span};

use crate::codec::{CodecError, Reader, Writer};
use crate::logic::{Logic, Outputs, Wake};
use spec::JourneySpec;

/// When a journey without a gap is over: the last moment that a timer can wait for.
const END_OF_TIME: EventTime = EventTime(i64::MAX - 1);

/// The open journey of one key, if there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JourneyState {
    /// The latest kinds, as many as are needed; none: no journey is open.
    kinds: SmallVec<[i64; 3]>,
    /// The time of the last step.
    last: i64,
    /// The least id.
    first: u64,
}

impl JourneyState {
    fn is_open(&self) -> bool {
        !self.kinds.is_empty()
    }

    fn last(&self) -> EventTime {
        EventTime(self.last)
    }
}

/// The journeys of one key. The module says what they mean.
#[derive(Clone, Debug)]
pub struct Journeys {
    spec: JourneySpec,
    start: i64,
    end: i64,
}

impl Journeys {
    /// Journeys as `spec` wants them.
    #[must_use]
    pub fn new(spec: JourneySpec) -> Journeys {
        Journeys {
            spec,
            start: spec::start(),
            end: spec::end(),
        }
    }

    /// What was asked for.
    #[must_use]
    pub fn spec(&self) -> &JourneySpec {
        &self.spec
    }

    /// Whether a fact is a step.
    #[inline]
    #[must_use]
    pub fn concerns(&self, fact: &Fact<'_>) -> bool {
        fact.words[self.spec.kind] != NULL
    }

    fn over_at(&self, state: &JourneyState) -> EventTime {
        let over = |gap: Span| state.last().plus(gap.max(Span(1))).min(END_OF_TIME);
        self.spec.gap.map_or(END_OF_TIME, over)
    }

    /// The journey is over.
    fn finish(&self, state: &mut JourneyState, out: &mut Outputs) {
        let over = self.over_at(state);
        let last = state.kinds.last().copied();
        if let (Some(output), Some(last)) = (self.spec.moves, last) {
            push(out.begin(output, over, 1), [last, self.end, NULL]);
        }
        if let Some(output) = self.spec.paths {
            let [first, kinds] = out.begin(output, over, 1) else {
                unreachable!("paths have {} columns", spec::PATHS.len());
            };
            first.push(state.first as i64);
            kinds.push_list(state.kinds.iter().copied());
        }
        *state = JourneyState::default();
    }

    /// A fact of this kind follows an open journey, or begins one.
    fn step(&self, state: &JourneyState, kind: i64, fact: &Fact<'_>, out: &mut Outputs) {
        let last = state.kinds.last().copied();
        if let Some(output) = self.spec.moves {
            let words = match last {
                None => [self.start, kind, NULL],
                Some(last) => [last, kind, (fact.at - state.last()).0],
            };
            push(out.begin(output, fact.at, 1), words);
        }
        if let (Some(output), Some(_)) = (self.spec.steps, last) {
            let [id, to, context] = out.begin(output, fact.at, 1) else {
                unreachable!("steps have {} columns", spec::STEPS.len());
            };
            id.push(fact.id as i64);
            to.push(kind);
            context.push_list(state.kinds.iter().rev().take(self.spec.order).copied());
        }
    }
}

fn push(columns: &mut [tidegate_schemas::rows::Column], words: [i64; 3]) {
    for (column, word) in columns.iter_mut().zip(words) {
        column.push(word);
    }
}

impl Logic for Journeys {
    type State = JourneyState;

    fn on_fact(&self, state: &mut JourneyState, fact: &Fact<'_>, out: &mut Outputs) {
        let kind = fact.words[self.spec.kind];
        if kind == NULL {
            return;
        }
        if state.is_open() && fact.at >= self.over_at(state) {
            self.finish(state, out);
        }
        self.step(state, kind, fact, out);
        state.first = match state.is_open() {
            true => state.first.min(fact.id),
            false => fact.id,
        };
        state.last = fact.at.0;
        if state.kinds.len() >= self.spec.keep() {
            state.kinds.remove(0);
        }
        state.kinds.push(kind);
    }

    #[inline]
    fn on_instant(&self, _state: &mut JourneyState, _at: EventTime, _out: &mut Outputs) {}

    fn on_timer(&self, state: &mut JourneyState, at: EventTime, out: &mut Outputs) {
        if self.is_due(state, at) {
            self.finish(state, out);
        }
    }

    #[inline]
    fn wake(&self, state: &JourneyState) -> Wake {
        match state.is_open() {
            true => Wake::At(self.over_at(state)),
            false => Wake::Forget,
        }
    }

    #[inline]
    fn is_due(&self, state: &JourneyState, at: EventTime) -> bool {
        state.is_open() && at >= self.over_at(state)
    }

    fn encode(&self, state: &JourneyState, to: &mut Writer) {
        to.length(state.kinds.len());
        if state.is_open() {
            state.kinds.iter().for_each(|kind| to.word(*kind));
            to.time(state.last());
            to.unsigned(state.first.into());
        }
    }

    fn decode(&self, from: &mut Reader<'_>) -> Result<JourneyState, CodecError> {
        let kinds = from.length("the number of kinds of a journey")?;
        if kinds == 0 {
            return Ok(JourneyState::default());
        }
        let kinds = (0..kinds).map(|_| from.word("a kind"));
        Ok(JourneyState {
            kinds: kinds.collect::<Result<_, _>>()?,
            last: from.time("the time of a step")?.0,
            first: from.number("the id of a step")?,
        })
    }
}
