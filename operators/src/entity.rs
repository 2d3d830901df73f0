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
    #[inline]
    fn prepare(&self, state: &mut State) {
        if state.features.len() != self.features.len() {
            state
                .features
                .resize_with(self.features.len(), features::State::default);
        }
        if state.sessions.len() != self.sessions.len() {
            state
                .sessions
                .resize_with(self.sessions.len(), SessionState::default);
        }
        if state.triggers.len() != self.triggers.len() {
            state
                .triggers
                .resize_with(self.triggers.len(), triggers::State::default);
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

    /// Whether a cooldown or a table makes `at` a moment of a trigger.
    fn triggers_are_due(&self, state: &State, at: EventTime) -> bool {
        let mut triggers = self.triggers.iter().zip(&state.triggers);
        triggers.any(|(trigger, state)| is_due(trigger.wake(state), at))
            || self.watch(state).is_some_and(|change| change <= at)
    }

    /// When a table that the key looks up changes next.
    fn watch(&self, state: &State) -> Option<EventTime> {
        if self.triggers.is_empty() {
            return None;
        }
        let tables = self.tables.borrow();
        let watches = self.triggers.iter().zip(&state.triggers);
        let next = watches
            .filter_map(|(trigger, state)| trigger.watch(state, &tables))
            .min()?;
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
        // A timer that only lets a passed moment be evaluated makes no new one.
        let mut moves = false;
        for (features, state) in self.features.iter().zip(&mut state.features) {
            if is_due(features.wake(state), at) {
                features.on_timer(state, at, out);
                moves = !self.triggers.is_empty();
            }
        }
        for (sessions, state) in self.sessions.iter().zip(&mut state.sessions) {
            if is_due(sessions.wake(state), at) {
                sessions.on_timer(state, at, out);
                moves = !self.triggers.is_empty();
            }
        }
        if moves || self.triggers_are_due(state, at) {
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
            features: self
                .features
                .iter()
                .map(|f| f.decode(from))
                .collect::<Result<_, _>>()?,
            sessions: self
                .sessions
                .iter()
                .map(|s| s.decode(from))
                .collect::<Result<_, _>>()?,
            triggers: self
                .triggers
                .iter()
                .map(|t| t.decode(from))
                .collect::<Result<_, _>>()?,
            due: from.option("a moment to evaluate", |from| from.time("a time"))?,
        })
    }
}

fn is_due(wake: Wake, at: EventTime) -> bool {
    matches!(wake, Wake::At(due) if due <= at)
}

#[cfg(test)]
mod tests {
    use tidegate_schemas::rows::Kind;
    use tidegate_schemas::time::Span;

    use super::*;
    use crate::program::{Comparison, Expr, Program};
    use crate::triggers::{CLOSED_AT, FIRED_AT, KeyPart, Lookup, REASONS, TriggerSpec};

    /// Open while the only limit is at most 3, and at most once in 20.
    fn low_limit() -> Trigger {
        let compiled = |expr: &Expr| {
            Program::compile(expr, &[Kind::Int, Kind::Int]).expect("it has a meaning")
        };
        let (limit, three) = (Box::new(Expr::Register(0)), Box::new(Expr::Int(3)));
        let spec = TriggerSpec {
            anchor: None,
            inputs: 0,
            lookups: vec![Lookup {
                table: 0,
                key: vec![KeyPart::Segment],
                columns: 1,
            }],
            segment: Some(compiled(&Expr::Int(7))),
            when: compiled(&Expr::Compare(Comparison::LessEqual, limit, three)),
            clear_when: None,
            cooldown: Some(Span(20)),
            holdout: None,
            action: None,
            reasons: vec![],
            firings: None,
            episodes: Some(0),
        };
        Trigger::new(spec).expect("it fits together")
    }

    #[test]
    fn timers_come_for_the_moments_of_a_trigger_and_then_no_more() {
        let entity = Entity::new(vec![], vec![], vec![low_limit()], &[(1, 1)]);
        let limits = [(0, 5), (20, 3), (30, 5), (35, 2), (50, 9)];
        for (id, (at, limit)) in limits.into_iter().enumerate() {
            entity.on_table(&TableRow {
                table: 0,
                key: [7].into(),
                at: EventTime(at),
                id: id as u64,
                row: Some([limit].into()),
                diff: 1,
            });
        }
        let mut state = State::default();
        let mut out = Outputs::new(&[REASONS]);
        let fact = Fact {
            at: EventTime(20),
            id: 1,
            bits: 0,
            words: &[],
        };
        entity.on_fact(&mut state, fact, &mut out);
        entity.on_instant(&mut state, EventTime(20), &mut out);
        let mut timers = Vec::new();
        while let Wake::At(at) = entity.wake(&state) {
            assert!(timers.len() < 100, "no end of timers: {timers:?}");
            timers.push(at.0);
            entity.on_timer(&mut state, at, &mut out);
        }
        // Each moment without facts is one timer, and one behind it to look back at it.
        assert_eq!(timers, [30, 31, 35, 36, 40, 41, 50, 51, 60, 61]);
        assert_eq!(entity.wake(&state), Wake::Forget);
        let rows = &out.rows[0];
        let column = |column: usize| rows.columns[column].words.clone();
        let closed: Vec<_> = column(CLOSED_AT).into_iter().filter(|at| *at > 0).collect();
        assert_eq!(column(FIRED_AT), [20, 20, 20, 40, 40, 40]);
        assert_eq!(closed, [30, 50]);
    }
}
