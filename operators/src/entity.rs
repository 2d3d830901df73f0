//! Everything a job keeps of one entity, in one state: features, sessions and triggers.
//!
//! A fact costs one look-up of the key's state, whatever the job wants of it. Features and sessions
//! are logics of their own; triggers are conditions over what those two show, the *registers*: the
//! columns of all features, then those of all sessions, in the order of the job.
//!
//! # When triggers are evaluated
//! At every instant that has facts, after features and sessions have closed it. At a moment without
//! facts (a value leaves a window, a session ends, a table changes), once event time has passed it:
//! facts of that very moment may still come, and the condition must see them. That costs one timer
//! a microsecond later.
//!
//! # State
//! Per key: the parts' states, inline where there is one of each. It ends when every part forgets it;
//! a table that will change does not keep a key alive.

use std::cell::RefCell;

use smallvec::SmallVec;
use tidegate_schemas::fact::Fact;
use tidegate_schemas::time::EventTime;

use crate::codec::{CodecError, Reader, Writer};
use crate::features::{self, Features};
use crate::logic::{Logic, Outputs, Wake};
use crate::parcel::TableRow;
use crate::sessions::{SessionState, Sessions};
use crate::tables::Tables;
use crate::triggers::{self, Trigger};

/// What is kept of one entity.
pub struct Entity {
    features: Vec<Features>,
    sessions: Vec<Sessions>,
    triggers: Vec<Trigger>,
    tables: RefCell<Tables>,
    /// Room for the registers.
    registers: RefCell<Vec<i64>>,
}

impl Entity {
    /// An entity of these parts. `widths` are (words per key, words per row) of the tables that the
    /// triggers look up.
    #[must_use]
    pub fn new(
        features: Vec<Features>,
        sessions: Vec<Sessions>,
        triggers: Vec<Trigger>,
        widths: &[(usize, usize)],
    ) -> Entity {
        Entity {
            features,
            sessions,
            triggers,
            tables: RefCell::new(Tables::new(widths)),
            registers: RefCell::default(),
        }
    }

    /// Gives the state its parts, which a default state does not have yet.
    fn prepare(&self, state: &mut State) {
        if state.features.len() != self.features.len() {
            state.features.resize_with(self.features.len(), features::State::default);
        }
        if state.sessions.len() != self.sessions.len() {
            state.sessions.resize_with(self.sessions.len(), SessionState::default);
        }
        if state.triggers.len() != self.triggers.len() {
            state.triggers.resize_with(self.triggers.len(), triggers::State::default);
        }
    }

    /// Evaluates the triggers at `at`, of which nothing is missing any more.
    fn evaluate(&self, state: &mut State, at: EventTime, out: &mut Outputs) {
        state.due = None;
        let mut wanted = self.triggers.iter().zip(&state.triggers);
        if !wanted.any(|(trigger, state)| trigger.wants(state, at)) {
            return;
        }
        let registers = &mut *self.registers.borrow_mut();
        let tables = &*self.tables.borrow();
        registers.clear();
        for (features, state) in self.features.iter().zip(&mut state.features) {
            features.values(state, at, registers);
        }
        for (sessions, state) in self.sessions.iter().zip(&state.sessions) {
            sessions.values(state, at, registers);
        }
        for (trigger, state) in self.triggers.iter().zip(&mut state.triggers) {
            if trigger.wants(state, at) {
                registers.truncate(trigger.spec().inputs);
                trigger.evaluate(state, at, registers, tables, out);
            }
        }
    }

    /// Evaluates a moment without facts that has passed before `at`.
    fn evaluate_passed(&self, state: &mut State, at: EventTime, out: &mut Outputs) {
        if let Some(due) = state.due
            && due < at
        {
            self.evaluate(state, due, out);
        }
    }

    /// When a table that the key looks up changes next.
    fn watch(&self, state: &State) -> Option<EventTime> {
        if self.triggers.is_empty() {
            return None;
        }
        let tables = self.tables.borrow();
        let watches = self.triggers.iter().zip(&state.triggers);
        let next = watches.filter_map(|(trigger, state)| trigger.watch(state, &tables)).min()?;
        (state.due.is_none_or(|due| next > due)).then_some(next)
    }
}

/// What is kept of one key.
#[derive(Clone, Debug, Default)]
pub struct State {
    features: SmallVec<[features::State; 1]>,
    sessions: SmallVec<[SessionState; 1]>,
    triggers: Vec<triggers::State>,
    /// A moment without facts at which the triggers are still to be evaluated.
    due: Option<EventTime>,
}

impl Logic for Entity {
    type State = State;

    fn on_fact(&self, state: &mut State, fact: Fact<'_>, out: &mut Outputs) {
        self.prepare(state);
        self.evaluate_passed(state, fact.at, out);
        for (features, state) in self.features.iter().zip(&mut state.features) {
            features.on_fact(state, fact, out);
        }
        for (sessions, state) in self.sessions.iter().zip(&mut state.sessions) {
            sessions.on_fact(state, fact, out);
        }
        for (trigger, state) in self.triggers.iter().zip(&mut state.triggers) {
            trigger.on_fact(state, fact);
        }
    }

    fn on_instant(&self, state: &mut State, at: EventTime, out: &mut Outputs) {
        for (features, state) in self.features.iter().zip(&mut state.features) {
            features.on_instant(state, at, out);
        }
        for (sessions, state) in self.sessions.iter().zip(&mut state.sessions) {
            sessions.on_instant(state, at, out);
        }
        if !self.triggers.is_empty() {
            self.evaluate(state, at, out);
        }
    }

    fn on_timer(&self, state: &mut State, at: EventTime, out: &mut Outputs) {
        self.prepare(state);
        self.evaluate_passed(state, at, out);
        for (features, state) in self.features.iter().zip(&mut state.features) {
            if is_due(features.wake(state), at) {
                features.on_timer(state, at, out);
            }
        }
        for (sessions, state) in self.sessions.iter().zip(&mut state.sessions) {
            if is_due(sessions.wake(state), at) {
                sessions.on_timer(state, at, out);
            }
        }
        if !self.triggers.is_empty() && state.due.is_none_or(|due| due < at) {
            state.due = Some(at);
        }
    }

    fn wake(&self, state: &State) -> Wake {
        let mut wake = Wake::Forget;
        for (features, state) in self.features.iter().zip(&state.features) {
            wake = wake.sooner(features.wake(state));
        }
        for (sessions, state) in self.sessions.iter().zip(&state.sessions) {
            wake = wake.sooner(sessions.wake(state));
        }
        if self.triggers.is_empty() {
            return wake;
        }
        for (trigger, trigger_state) in self.triggers.iter().zip(&state.triggers) {
            wake = wake.sooner(match trigger.wake(trigger_state) {
                // What ends at a moment that is still to be evaluated ends by that evaluation.
                Wake::At(at) if state.due.is_some_and(|due| at <= due) => Wake::Idle,
                wake => wake,
            });
        }
        if let Some(due) = state.due {
            wake = wake.sooner(Wake::At(due.next()));
        }
        match (wake, self.watch(state)) {
            (Wake::Forget, _) | (_, None) => wake,
            (wake, Some(change)) => wake.sooner(Wake::At(change)),
        }
    }

    fn on_table(&self, row: &TableRow) {
        self.tables.borrow_mut().apply(row);
    }

    fn affected(&self, state: &State, row: &TableRow) -> bool {
        let mut triggers = self.triggers.iter().zip(&state.triggers);
        triggers.any(|(trigger, state)| trigger.affected(state, row))
    }

    fn settle_tables(&self, watermark: EventTime) {
        if !self.triggers.is_empty() {
            self.tables.borrow_mut().settle(watermark);
        }
    }

    fn encode(&self, state: &State, to: &mut Writer) {
        let mut state = state.clone();
        self.prepare(&mut state);
        for (features, state) in self.features.iter().zip(&state.features) {
            features.encode(state, to);
        }
        for (sessions, state) in self.sessions.iter().zip(&state.sessions) {
            sessions.encode(state, to);
        }
        for (trigger, state) in self.triggers.iter().zip(&state.triggers) {
            trigger.encode(state, to);
        }
        to.option(state.due, Writer::time);
    }

    fn decode(&self, from: &mut Reader<'_>) -> Result<State, CodecError> {
        Ok(State {
            features: self.features.iter().map(|f| f.decode(from)).collect::<Result<_, _>>()?,
            sessions: self.sessions.iter().map(|s| s.decode(from)).collect::<Result<_, _>>()?,
            triggers: self.triggers.iter().map(|t| t.decode(from)).collect::<Result<_, _>>()?,
            due: from.option("a moment to evaluate", |from| from.time("a time"))?,
        })
    }
}

fn is_due(wake: Wake, at: EventTime) -> bool {
    matches!(wake, Wake::At(due) if due <= at)
}
