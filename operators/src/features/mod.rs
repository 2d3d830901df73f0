//! Features: exact aggregates of one key's facts, through windows and over its lifetime.
//!
//! [`Features`] is a logic of one key ([`crate::logic::Logic`]). It speaks in three ways:
//!
//! - **Anchor rows** (point in time): each fact with the anchor bit gets one row with the values at
//!   its time, where *all* facts of that time count. Columns: event id, event time, what it
//!   carries, then the features. Rows of one instant come in id order.
//! - **Current rows**: one row per key with the values as they are, from the time at which they
//!   became so. Columns: that time, then the features. When a value changes, because a fact came
//!   or because one left a window, the old row is taken back and the new one added. When nothing is
//!   left in any window, the row is only taken back. A value that falls by the clock and rises
//!   again by a fact of the same instant makes a new row at that instant.
//! - **Values**: [`Features::values`], for conditions.
//!
//! ```
//! use std::sync::Arc;
//! use tidegate_operators::aggregate::window::Bounds;
//! use tidegate_operators::features::spec::{FeatureSpec, FeaturesSpec, Nulls, Op};
//! use tidegate_operators::features::{Features, State};
//! use tidegate_operators::logic::{Logic, Outputs};
//! use tidegate_schemas::{fact::Fact, names::Names, time::{EventTime, Span}};
//!
//! let contacts_24h = FeatureSpec {
//!     op: Op::Count,
//!     filter: Some(0),
//!     of: None,
//!     nulls: Nulls::Skip,
//!     window: Some(Span::hours(24)),
//!     hop: None,
//!     empty: Op::Count.usual_empty(),
//! };
//! let spec = FeaturesSpec {
//!     features: vec![contacts_24h],
//!     anchor: Some(0),
//!     carry: vec![],
//!     bounds: Bounds::OpenClosed,
//!     anchor_output: Some(0),
//!     current_output: None,
//!     tracked: Default::default(),
//! };
//! let features = Features::new(&spec, Arc::new(Names::default()))?;
//! let mut out = Outputs::new(&[features.anchor_width()]);
//! let mut state = State::default();
//! for (hour, id) in [(0, 1), (1, 2), (24, 3)] {
//!     let at = EventTime(0).plus(Span::hours(hour));
//!     features.on_fact(&mut state, &Fact { at, id, bits: 1, words: &[] }, &mut out);
//!     features.on_instant(&mut state, at, &mut out);
//! }
//! // At 24:00 the fact of 0:00 has just left.
//! assert_eq!(out.rows[0].columns[2].words, [1, 2, 2]);
//! # Ok::<(), tidegate_operators::features::spec::SpecError>(())
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use tidegate_schemas::fact::{Fact, NULL, Seen};
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::{EventTime, TimeUnit};

use crate::codec::{CodecError, Reader, Writer};
use crate::logic::{Logic, Outputs, Wake};

mod anchors;
mod compile;
mod current;
mod lane;
pub mod oracle;
mod part;
mod read;
mod save;
pub mod spec;
mod state;
#[cfg(test)]
mod tests;

pub use state::State;

use compile::Column;
use lane::{Lane, LanePlan};
use spec::{FeaturesSpec, Measure, Nulls, SpecError};
use state::Rare;

/// The test a fact must pass for a lane.
#[derive(Clone, Copy, Debug)]
struct Gate {
    lane: usize,
    bits: u64,
    of: Option<u32>,
    nulls: Nulls,
}

impl Gate {
    /// The value with which a fact enters the lane, if it does.
    #[inline]
    fn lets_in(&self, fact: &Fact<'_>) -> Option<i64> {
        if fact.bits & self.bits != self.bits {
            return None;
        }
        let value = self.of.map_or(0, |of| fact.words[of as usize]);
        (value != NULL || self.nulls == Nulls::Keep).then_some(value)
    }
}

/// The features of one entity, compiled.
///
/// # State
/// Per key [`State`]: 64 B, a lane of 72 B per filter and measure that the key has facts of, and
/// mostly 8 to 24 B per fact inside the widest window, with room for at most twice as many: a key
/// with two facts that are only counted takes 152 B. Copies share all but the newest few hundred
/// facts. A key is forgotten when its newest fact has left the widest window; with lifetime columns
/// it is kept.
///
/// # Cost
/// A fact that passes no filter costs a mask test and touches nothing. Others cost O(1) amortised
/// per lane and part. A value costs O(log facts), and O(categories) where it is about categories.
/// Six columns on three lanes of 500,000 keys, where a third of the rows enters a lane and each
/// sixteenth is an anchor: 50 to 65 ns a row, timers included; where every change is tracked, 180 ns.
#[derive(Clone, Debug)]
pub struct Features {
    columns: Vec<Column>,
    kinds: Vec<Kind>,
    lanes: Vec<LanePlan>,
    /// The tests of the lanes without a filter.
    open: Vec<Gate>,
    /// The tests of those with one.
    filtered: Vec<Gate>,
    /// A fact with none of these bits passes no filter.
    mask: u64,
    anchor: u64,
    anchor_output: Option<usize>,
    carry: Vec<Measure>,
    current_output: Option<usize>,
    tracks: bool,
    counts_at_once: bool,
    names: Arc<Names>,
}

impl Features {
    /// Compiles a specification. `names` are the texts behind category codes.
    ///
    /// # Errors
    /// When a column cannot be computed as specified.
    pub fn new(spec: &FeaturesSpec, names: Arc<Names>) -> Result<Features, SpecError> {
        let (lanes, columns) = compile::compile(spec)?;
        let bit = |filter: Option<u8>| {
            filter.map_or(0, |bit| 1u64.checked_shl(u32::from(bit)).unwrap_or(0))
        };
        let gate = |(index, lane): (usize, &LanePlan)| Gate {
            lane: index,
            bits: bit(lane.filter),
            of: lane.of.map(|of| of as u32),
            nulls: lane.nulls,
        };
        let gates = lanes.iter().enumerate().map(gate);
        let (open, filtered): (Vec<Gate>, Vec<Gate>) = gates.partition(|gate| gate.bits == 0);
        let anchor = bit(spec.anchor.filter(|_| spec.anchor_output.is_some()));
        Ok(Features {
            kinds: spec.features.iter().map(|f| f.kind()).collect(),
            mask: filtered.iter().fold(anchor, |mask, gate| mask | gate.bits),
            columns,
            lanes,
            open,
            filtered,
            anchor,
            anchor_output: spec.anchor_output,
            carry: spec.carry.clone(),
            current_output: spec.current_output,
            tracks: !spec.tracked.is_empty() || spec.current_output.is_some(),
            counts_at_once: spec.bounds.counts_at_once(),
            names,
        })
    }

    /// How the feature columns read.
    #[must_use]
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// How the columns of anchor rows read: event id, event time, carried words, features.
    #[must_use]
    pub fn anchor_kinds(&self, unit: TimeUnit) -> Vec<Kind> {
        let carry = self.carry.iter().map(|measure| &measure.kind);
        let shown = carry.chain(&self.kinds).cloned();
        [Kind::Id { shown: u64::MAX }, Kind::Time(unit)]
            .into_iter()
            .chain(shown)
            .collect()
    }

    /// How many columns anchor rows have.
    #[must_use]
    pub fn anchor_width(&self) -> usize {
        2 + self.carry.len() + self.kinds.len()
    }

    /// How many columns current rows have.
    #[must_use]
    pub fn current_width(&self) -> usize {
        1 + self.kinds.len()
    }

    /// How the columns of current rows read: since when it is so, features.
    #[must_use]
    pub fn current_kinds(&self, unit: TimeUnit) -> Vec<Kind> {
        std::iter::once(Kind::Time(unit))
            .chain(self.kinds.iter().cloned())
            .collect()
    }

    /// Appends all columns' words as of `at`, which must not lie before any call so far. Lists are
    /// null.
    pub fn values(&self, state: &mut State, at: EventTime, into: &mut Vec<i64>) {
        self.settle(state, at);
        let mut reading = self.reading(at);
        for column in &self.columns {
            if column.op.is_list() {
                into.push(NULL);
            } else {
                reading.append(state, column, into);
            }
        }
    }

    /// Appends what [`Features::values`] would of tracked columns, and leaves the state as it is; others
    /// are null. `false` when that cannot be done, because facts wait to enter or categories are about to leave.
    #[must_use]
    pub fn foretell(&self, state: &State, at: EventTime, into: &mut Vec<i64>) -> bool {
        if !state.waiting().is_empty() {
            return false;
        }
        let mut reading = self.reading(at);
        for column in &self.columns {
            if column.op.is_list() || !column.tracked {
                into.push(NULL);
            } else if reading.is_level(state, column) {
                reading.append_as_is(state, column, into);
            } else {
                return false;
            }
        }
        true
    }

    /// Whether no column moves with the clock: between two of their changes all stand as they are.
    #[must_use]
    pub fn are_steady(&self) -> bool {
        let mut columns = self.columns.iter();
        !columns.any(|column| column.op.moves_with_the_clock())
    }

    /// Whether a fact enters any column or has a row of its own: others leave no trace.
    #[inline]
    #[must_use]
    pub fn concerns(&self, fact: &Fact<'_>) -> bool {
        let admits = |gate: &Gate| gate.lets_in(fact).is_some();
        fact.bits & self.anchor != 0
            || fact.bits & self.mask != 0 && self.filtered.iter().any(admits)
            || self.open.iter().any(admits)
    }

    /// Which facts can concern these features at all; `None` when every fact can.
    #[must_use]
    pub fn seen(&self) -> Option<Seen> {
        let mut seen = Seen {
            bits: self.mask,
            words: BTreeSet::new(),
        };
        for gate in &self.open {
            match gate.nulls {
                Nulls::Skip => seen.words.insert(gate.of? as usize),
                Nulls::Keep => return None,
            };
        }
        Some(seen)
    }

    /// Gives a value to a lane, now or when its instant has passed.
    #[inline(never)]
    fn admit(&self, state: &mut State, index: usize, at: EventTime, value: i64) {
        state.dirty |= self.tracks;
        if self.counts_at_once {
            self.enter(state, index, at, value);
        } else {
            state.wait(at, index as u32, value);
            let due = match self.lanes[index].tracks {
                true => at.next(),
                false => self.due_after(index, at),
            };
            state.due = self.first_due(state.due, due);
        }
    }

    fn enter(&self, state: &mut State, index: usize, at: EventTime, value: i64) {
        let due = self.due_after(index, at);
        state.due = self.first_due(state.due, due);
        let lane = state.lane_or_new(&self.lanes, index);
        lane.enter(&self.lanes[index], at, value);
        lane.due = match self.lanes[index].tracks {
            true => lane.due.min(due),
            false => due,
        };
    }

    /// When a lane must be looked at again because of a fact at `at`.
    fn due_after(&self, index: usize, at: EventTime) -> EventTime {
        let plan = &self.lanes[index];
        match (plan.tracks, plan.for_life) {
            (true, _) => plan.leaves(at),
            (false, true) => EventTime::MAX,
            (false, false) => plan.gone(at),
        }
    }

    /// The first change of two where changes are tracked, otherwise the last end of two.
    fn first_due(&self, known: EventTime, new: EventTime) -> EventTime {
        match self.tracks {
            true if known != State::NOTHING => known.min(new),
            _ => known.max(new),
        }
    }

    /// Brings the state to `at`: facts before it that were waiting enter.
    fn settle(&self, state: &mut State, at: EventTime) {
        let due = |rare: &Rare| rare.waits_at < at && !rare.waiting.is_empty();
        if !state.rare.as_deref().is_some_and(due) {
            return;
        }
        let Some(mut rare) = state.rare.take() else {
            return;
        };
        for (index, value) in rare.waiting.drain(..) {
            self.enter(state, index as usize, rare.waits_at, value);
        }
        state.rare = Some(rare);
    }

    /// Looks at a lane again whose time has come: whether anything is left in it.
    fn has_more(&self, lane: &mut Lane, at: EventTime) -> bool {
        if lane.due > at {
            return true;
        }
        let plan = &self.lanes[lane.index as usize];
        if !plan.tracks {
            // Each fact has moved the time to when it is gone, and the newest one's has come.
            lane.due = EventTime::MAX;
            return plan.for_life;
        }
        let next = lane.next_change(plan, at).or_else(|| {
            let newest = lane.ring.newest(&plan.layout)?;
            Some(plan.gone(newest)).filter(|gone| *gone > at)
        });
        lane.due = next.unwrap_or(EventTime::MAX);
        plan.for_life || next.is_some()
    }

    #[inline(never)]
    fn close_instant(&self, state: &mut State, at: EventTime, out: &mut Outputs) {
        self.settle(state, at);
        if let Some(output) = self.anchor_output {
            self.emit_anchors(state, at, output, out);
        }
        state.dirty = false;
        if let Some(output) = self.current_output {
            self.emit_current(state, at, output, out);
        }
    }
}

impl Logic for Features {
    type State = State;

    #[inline]
    fn on_fact(&self, state: &mut State, fact: &Fact<'_>, _: &mut Outputs) {
        if !self.counts_at_once {
            self.settle(state, fact.at);
        }
        for gate in &self.open {
            if let Some(value) = gate.lets_in(fact) {
                self.admit(state, gate.lane, fact.at, value);
            }
        }
        if fact.bits & self.mask == 0 {
            return;
        }
        for gate in &self.filtered {
            if let Some(value) = gate.lets_in(fact) {
                self.admit(state, gate.lane, fact.at, value);
            }
        }
        if fact.bits & self.anchor != 0 {
            state.pending.push(fact.id as i64);
            for measure in &self.carry {
                state.pending.push(fact.words[measure.word]);
            }
        }
    }

    #[inline]
    fn on_instant(&self, state: &mut State, at: EventTime, out: &mut Outputs) {
        if state.dirty || !state.pending.is_empty() {
            self.close_instant(state, at, out);
        }
    }

    fn on_timer(&self, state: &mut State, at: EventTime, out: &mut Outputs) {
        self.settle(state, at);
        state.keep_lanes(|lane| self.has_more(lane, at));
        let lanes = state.lanes.iter().map(|lane| lane.due);
        state.due = lanes.fold(State::NOTHING, |due, new| self.first_due(due, new));
        if let Some(output) = self.current_output {
            self.emit_current(state, at, output, out);
        }
    }

    #[inline]
    fn wake(&self, state: &State) -> Wake {
        match state.due {
            State::NOTHING | EventTime::MAX if state.is_blank() => Wake::Forget,
            State::NOTHING | EventTime::MAX => Wake::Idle,
            at => Wake::At(at),
        }
    }

    #[inline]
    fn is_due(&self, state: &State, at: EventTime) -> bool {
        // Nothing is the least of all times, and never the greatest.
        state.due <= at && state.due != State::NOTHING && state.due != EventTime::MAX
    }

    fn encode(&self, state: &State, to: &mut Writer) {
        self.write(state, to);
    }

    fn decode(&self, from: &mut Reader<'_>) -> Result<State, CodecError> {
        self.read(from)
    }
}
