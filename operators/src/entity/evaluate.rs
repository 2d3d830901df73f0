//! When an entity's triggers are evaluated, and over what.

use tidegate_schemas::time::EventTime;

use super::more::{More, Watched};
use super::soon::Soon;
use super::{Entity, State};
use crate::logic::Outputs;
use crate::sessions::SessionState;

impl Entity {
    /// Evaluates the triggers at `at`, of which nothing is missing any more. The features whose bits
    /// are in `shown` have just emitted a row of their values.
    pub(super) fn evaluate(&self, state: &mut State, at: EventTime, shown: u64, out: &mut Outputs) {
        let State { session, more, .. } = state;
        let Some(more) = more else {
            return;
        };
        more.due = None;
        let mut wanted = self.triggers.iter().zip(&more.triggers);
        if !wanted.any(|(trigger, state)| trigger.wants(state, at)) {
            return;
        }
        let registers = &mut *self.registers.borrow_mut();
        registers.clear();
        for (features, (state, index)) in
            self.features.iter().zip(more.features.iter_mut().zip(0..))
        {
            if index < 64 && shown >> index & 1 == 1 {
                features.values_of_last_row(out, registers);
            } else {
                features.values(state, at, registers);
            }
        }
        for (sessions, state) in self.session.iter().zip([&*session]) {
            sessions.values(state, at, registers);
        }
        for (sessions, state) in self.others.iter().zip(more.others()) {
            sessions.values(state, at, registers);
        }
        self.judge(more, at, registers, out);
    }

    /// Evaluates the triggers that want it over the registers as of `at`.
    pub(super) fn judge(
        &self,
        more: &mut More,
        at: EventTime,
        registers: &mut Vec<i64>,
        out: &mut Outputs,
    ) {
        more.watched.set(Watched::NOTHING);
        let tables = &*self.tables.borrow();
        for (trigger, state) in self.triggers.iter().zip(&mut more.triggers) {
            if trigger.wants(state, at) {
                registers.truncate(trigger.spec().inputs);
                trigger.evaluate(state, at, registers, tables, out);
            }
        }
    }

    /// Fills the registers as they will stand at `at` if nothing comes, as far as that can be said
    /// without touching the state.
    pub(super) fn foretell(
        &self,
        session: &SessionState,
        more: &More,
        at: EventTime,
        registers: &mut Vec<i64>,
    ) -> bool {
        registers.clear();
        let mut features = self.features.iter().zip(&more.features);
        if !features.all(|(features, state)| features.foretell(state, at, registers)) {
            return false;
        }
        let sessions = self.session.iter().chain(&self.others);
        for (sessions, state) in sessions.zip([session].into_iter().chain(more.others())) {
            sessions.values(state, at, registers);
        }
        true
    }

    /// Evaluates a moment without facts that has passed before `at`.
    #[inline]
    pub(super) fn evaluate_passed(&self, state: &mut State, at: EventTime, out: &mut Outputs) {
        if !state.soon.may_be(at) {
            return;
        }
        let due = state.more.as_ref().and_then(|more| more.due);
        if let Some(due) = due
            && due < at
        {
            self.evaluate(state, due, 0, out);
            state.soon = Soon::UNKNOWN;
        }
    }

    /// Whether a cooldown or a table makes `at` a moment of a trigger.
    pub(super) fn triggers_are_due(&self, more: &More, at: EventTime) -> bool {
        let mut triggers = self.triggers.iter().zip(&more.triggers);
        triggers.any(|(trigger, state)| trigger.is_due(state, at))
            || self.watch(more).is_some_and(|change| change <= at)
    }

    /// When a table that the key looks up changes next.
    pub(super) fn watch(&self, more: &More) -> Option<EventTime> {
        if !self.watches {
            return None;
        }
        let mut watched = more.watched.get();
        if watched.changes != self.changes.get() {
            let tables = self.tables.borrow();
            let watches = self.triggers.iter().zip(&more.triggers);
            let next = watches.filter_map(|(trigger, state)| trigger.watch(state, &tables));
            watched = Watched {
                changes: self.changes.get(),
                next: next.min().unwrap_or(EventTime::MAX),
            };
            more.watched.set(watched);
        }
        let next = watched.next;
        (next < EventTime::MAX && more.due.is_none_or(|due| next > due)).then_some(next)
    }

    #[inline]
    pub(super) fn a_trigger_is_due(&self, more: &More, at: EventTime) -> bool {
        let mut triggers = self.triggers.iter().zip(&more.triggers);
        more.due.is_some_and(|pending| pending < at)
            || triggers.any(|(trigger, state)| trigger.is_due(state, at))
            || self.watches && self.watch(more).is_some_and(|change| change <= at)
    }
}
