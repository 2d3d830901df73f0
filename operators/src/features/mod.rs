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
//!     track_changes: false,
//! };
//! let features = Features::new(&spec, Arc::new(Names::default()))?;
//! let mut out = Outputs::new(&[features.anchor_width()]);
//! let mut state = State::default();
//! for (hour, id) in [(0, 1), (1, 2), (24, 3)] {
//!     let at = EventTime(0).plus(Span::hours(hour));
//!     features.on_fact(&mut state, Fact { at, id, bits: 1, words: &[] }, &mut out);
//!     features.on_instant(&mut state, at, &mut out);
//! }
//! // At 24:00 the fact of 0:00 has just left.
//! assert_eq!(out.rows[0].columns[2].words, [1, 2, 2]);
//! # Ok::<(), tidegate_operators::features::spec::SpecError>(())
//! ```

use std::sync::Arc;

use tidegate_schemas::fact::{Fact, NULL};
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::{EventTime, TimeUnit};

use crate::codec::{CodecError, Reader, Writer};
use crate::logic::{Logic, Outputs, Wake};

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
use lane::LanePlan;
use spec::{FeaturesSpec, Measure, Nulls, SpecError};

/// The test a fact must pass for a lane, all lanes side by side.
#[derive(Clone, Copy, Debug)]
struct Gate {
    bits: u64,
    of: Option<u32>,
    nulls: Nulls,
}

/// The features of one entity, compiled.
///
/// # State
/// Per key [`State`]: 80 B, a lane of 56 B per filter and measure that the key has facts of, and
/// 8 to 24 B per fact inside the widest window (see the lane's and the ring's documentation). A
/// fact that passes no filter costs a mask test and touches nothing. Other facts cost O(1) amortised
/// per lane; a value costs O(log facts), and O(categories) for histograms and entropies. A key is
/// forgotten when its newest fact has left the widest window; with lifetime columns it is kept.
#[derive(Clone, Debug)]
pub struct Features {
    columns: Vec<Column>,
    kinds: Vec<Kind>,
    lanes: Vec<LanePlan>,
    gates: Vec<Gate>,
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
        let bit = |filter: Option<u8>| filter.map_or(0, |bit| 1u64 << bit);
        let gate = |lane: &LanePlan| Gate {
            bits: bit(lane.filter),
            of: lane.of.map(|of| of as u32),
            nulls: lane.nulls,
        };
        let gates: Vec<Gate> = lanes.iter().map(gate).collect();
        let anchor = bit(spec.anchor.filter(|_| spec.anchor_output.is_some()));
        let unfiltered = gates.iter().any(|gate| gate.bits == 0);
        let filters = gates.iter().fold(anchor, |mask, gate| mask | gate.bits);
        Ok(Features {
            kinds: spec.features.iter().map(|f| f.kind()).collect(),
            mask: if unfiltered { u64::MAX } else { filters },
            columns,
            lanes,
            gates,
            anchor,
            anchor_output: spec.anchor_output,
            carry: spec.carry.clone(),
            current_output: spec.current_output,
            tracks: spec.track_changes || spec.current_output.is_some(),
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
        [Kind::Id, Kind::Time(unit)]
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
        for column in &self.columns {
            if column.op.is_list() {
                into.push(NULL);
            } else {
                self.append(state, column, at, into);
            }
        }
    }

    /// The facts that a fact's lanes get: none if it passes no gate.
    fn enter(&self, state: &mut State, fact: Fact<'_>) {
        let mut position = 0;
        for (index, gate) in self.gates.iter().enumerate() {
            if fact.bits & gate.bits != gate.bits {
                continue;
            }
            let value = gate.of.map_or(0, |of| fact.words[of as usize]);
            if value == NULL && gate.nulls == Nulls::Skip {
                continue;
            }
            state.dirty |= self.tracks;
            if self.counts_at_once {
                position = state.lane_position(&self.lanes, index, position);
                state.lanes[position].enter(&self.lanes[index], fact.at, value);
            } else {
                state.wait(fact.at, index as u32, value);
            }
        }
    }

    /// Brings the state to `at`: facts before it that were waiting enter.
    fn settle(&self, state: &mut State, at: EventTime) {
        state.now = state.now.max(at);
        let due = state
            .waiting
            .as_ref()
            .is_some_and(|waiting| waiting.at < at);
        if due && let Some(mut waiting) = state.waiting.take() {
            for (index, value) in waiting.facts.drain(..) {
                let index = index as usize;
                let position = state.lane_position(&self.lanes, index, 0);
                state.lanes[position].enter(&self.lanes[index], waiting.at, value);
            }
        }
    }

    /// The moment after which nothing in any window is left; `None` where there is nothing.
    fn gone(&self, state: &State) -> Option<EventTime> {
        let lanes = state.lanes.iter();
        let entered = lanes.filter_map(|lane| lane.gone(&self.lanes[lane.index as usize]));
        let waiting = state.waiting.iter().flat_map(|waiting| {
            let lanes = waiting.facts.iter().map(|(index, _)| *index as usize);
            lanes.map(|index| self.lanes[index].gone(waiting.at))
        });
        entered.chain(waiting).max()
    }

    fn has_life(&self, state: &State) -> bool {
        let waiting = state
            .waiting
            .iter()
            .flat_map(|w| w.facts.iter().map(|(i, _)| *i));
        let mut lanes = state.lanes.iter().map(|lane| lane.index).chain(waiting);
        lanes.any(|index| self.lanes[index as usize].for_life)
    }

    fn emit_anchors(&self, state: &mut State, at: EventTime, output: usize, out: &mut Outputs) {
        let mut pending = std::mem::take(&mut state.pending);
        for anchor in pending.chunks_exact(1 + self.carry.len()) {
            let row = out.begin(output, at, 1);
            row[0].push(anchor[0]);
            row[1].push(at.0);
            let (carried, features) = row[2..].split_at_mut(self.carry.len());
            for (word, to) in anchor[1..].iter().zip(carried) {
                to.push(*word);
            }
            for (column, to) in self.columns.iter().zip(features) {
                self.append(state, column, at, &mut to.words);
                if column.op.is_list() {
                    to.ends.push(to.words.len() as u32);
                }
            }
        }
        pending.clear();
        state.pending = pending;
    }
}

impl Logic for Features {
    type State = State;

    fn on_fact(&self, state: &mut State, fact: Fact<'_>, _: &mut Outputs) {
        if fact.bits & self.mask == 0 && self.mask != u64::MAX {
            return;
        }
        if !self.counts_at_once {
            self.settle(state, fact.at);
        }
        self.enter(state, fact);
        if fact.bits & self.anchor != 0 {
            let carried = self.carry.iter().map(|measure| fact.words[measure.word]);
            state.pending.push(fact.id as i64);
            state.pending.extend(carried);
        }
    }

    fn on_instant(&self, state: &mut State, at: EventTime, out: &mut Outputs) {
        if !state.dirty && state.pending.is_empty() {
            return;
        }
        self.settle(state, at);
        if let Some(output) = self.anchor_output {
            self.emit_anchors(state, at, output, out);
        }
        state.dirty = false;
        if let Some(output) = self.current_output {
            self.emit_current(state, at, output, out);
        }
    }

    fn on_timer(&self, state: &mut State, at: EventTime, out: &mut Outputs) {
        self.settle(state, at);
        state.lanes.retain(|lane| {
            let plan = &self.lanes[lane.index as usize];
            plan.for_life || lane.gone(plan).is_some_and(|gone| gone > at)
        });
        if let Some(output) = self.current_output {
            self.emit_current(state, at, output, out);
        }
    }

    fn wake(&self, state: &State) -> Wake {
        let at = if self.tracks {
            let lanes = state.lanes.iter();
            let leaving =
                lanes.filter_map(|l| l.next_change(&self.lanes[l.index as usize], state.now));
            leaving
                .chain(state.waiting.as_ref().map(|w| w.at.next()))
                .min()
        } else if self.has_life(state) {
            None
        } else {
            self.gone(state)
        };
        match at {
            Some(at) => Wake::At(at),
            None if self.has_life(state) || !state.pending.is_empty() => Wake::Idle,
            None => Wake::Forget,
        }
    }

    fn encode(&self, state: &State, to: &mut Writer) {
        self.write(state, to);
    }

    fn decode(&self, from: &mut Reader<'_>) -> Result<State, CodecError> {
        self.read(from)
    }
}
