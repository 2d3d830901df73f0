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
//! Per key: the state of its first sessions, 72 bytes. The other parts' states, 256 bytes and what
//! those say, come with the first fact that matters to one of them. All end when every part forgets
//! the key; a table that will change does not keep it alive.

use std::cell::{Cell, RefCell};

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
    session: Option<Sessions>,
    /// All sessions but the first.
    others: Vec<Sessions>,
    triggers: Vec<Trigger>,
    /// A fact with none of these bits matters to the first session alone; `None`: every fact may
    /// matter.
    matters: Option<u64>,
    /// Whether every fact matters to more than the first session.
    always: bool,
    /// Whether the first session looks at words.
    reads: bool,
    /// Whether a trigger wants to be evaluated at changes.
    follows: bool,
    /// Whether such a trigger looks rows up: it wants to be evaluated when they change, too.
    watches: bool,
    tables: RefCell<Tables>,
    /// How often a table has changed.
    changes: Cell<u64>,
    /// Room for the registers.
    registers: RefCell<Vec<i64>>,
    /// The moment of which the registers were foretold last.
    foretold: Cell<Option<EventTime>>,
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
        let at_changes = |trigger: &Trigger| trigger.spec().anchor.is_none();
        let looks_up = |trigger: &Trigger| !trigger.spec().lookups.is_empty();
        let mut sessions = sessions.into_iter();
        let session = sessions.next();
        let others: Vec<Sessions> = sessions.collect();
        Entity {
            matters: matters(&features, &triggers).filter(|_| others.is_empty()),
            always: !others.is_empty() || triggers.iter().any(at_changes),
            reads: session.as_ref().is_some_and(Sessions::reads),
            follows: triggers.iter().any(at_changes),
            watches: triggers.iter().any(|t| at_changes(t) && looks_up(t)),
            features,
            session,
            others,
            triggers,
            tables: RefCell::new(Tables::new(widths)),
            changes: Cell::new(1),
            registers: RefCell::default(),
            foretold: Cell::default(),
        }
    }

    /// Whether a fact with these bits may matter to more than the first session.
    #[inline]
    fn may_matter(&self, bits: u64) -> bool {
        self.matters.is_none_or(|matters| bits & matters != 0)
    }

    /// Whether a fact that may matter does.
    fn concerns_more(&self, fact: &Fact<'_>) -> bool {
        self.always
            || self.features.iter().any(|features| features.concerns(fact))
            || self.triggers.iter().any(|trigger| trigger.concerns(fact))
    }

    /// Evaluates the triggers at `at`, of which nothing is missing any more. The features whose bits
    /// are in `shown` have just emitted a row of their values.
    fn evaluate(&self, state: &mut State, at: EventTime, shown: u64, out: &mut Outputs) {
        let State { session, more } = state;
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
        for (sessions, state) in self.others.iter().zip(&more.others) {
            sessions.values(state, at, registers);
        }
        self.judge(more, at, registers, out);
    }

    /// Evaluates the triggers that want it over the registers as of `at`.
    fn judge(&self, more: &mut More, at: EventTime, registers: &mut Vec<i64>, out: &mut Outputs) {
        more.watched.set(Watched::default());
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
    fn foretell(
        &self,
        state: &State,
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
        for (sessions, state) in sessions.zip([&state.session].into_iter().chain(&more.others)) {
            sessions.values(state, at, registers);
        }
        true
    }

    /// Evaluates a moment without facts that has passed before `at`.
    #[inline]
    fn evaluate_passed(&self, state: &mut State, at: EventTime, out: &mut Outputs) {
        let due = state.more.as_ref().and_then(|more| more.due);
        if let Some(due) = due
            && due < at
        {
            self.evaluate(state, due, 0, out);
        }
    }

    /// Whether a cooldown or a table makes `at` a moment of a trigger.
    fn triggers_are_due(&self, more: &More, at: EventTime) -> bool {
        let mut triggers = self.triggers.iter().zip(&more.triggers);
        triggers.any(|(trigger, state)| trigger.is_due(state, at))
            || self.watch(more).is_some_and(|change| change <= at)
    }

    /// When a table that the key looks up changes next.
    fn watch(&self, more: &More) -> Option<EventTime> {
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
                next: next.min(),
            };
            more.watched.set(watched);
        }
        let next = watched.next?;
        (more.due.is_none_or(|due| next > due)).then_some(next)
    }

    /// Whether anything but the first session is due at `at`.
    #[inline]
    fn more_is_due(&self, more: &More, at: EventTime) -> bool {
        let mut features = self.features.iter().zip(&more.features);
        let mut others = self.others.iter().zip(&more.others);
        features.any(|(features, state)| features.is_due(state, at))
            || others.any(|(sessions, state)| sessions.is_due(state, at))
            || !self.triggers.is_empty() && self.a_trigger_is_due(more, at)
    }

    #[inline]
    fn a_trigger_is_due(&self, more: &More, at: EventTime) -> bool {
        let mut triggers = self.triggers.iter().zip(&more.triggers);
        more.due.is_some_and(|pending| pending < at)
            || triggers.any(|(trigger, state)| trigger.is_due(state, at))
            || self.watches && self.watch(more).is_some_and(|change| change <= at)
    }

    /// When the key is next due, if all but its first session were all there is.
    fn wake_more(&self, more: &More) -> Wake {
        let mut wake = Wake::Forget;
        for (features, state) in self.features.iter().zip(&more.features) {
            wake = wake.sooner(features.wake(state));
        }
        for (sessions, state) in self.others.iter().zip(&more.others) {
            wake = wake.sooner(sessions.wake(state));
        }
        for (trigger, state) in self.triggers.iter().zip(&more.triggers) {
            wake = wake.sooner(match trigger.wake(state) {
                // What ends at a moment that is still to be evaluated ends by that evaluation.
                Wake::At(at) if more.due.is_some_and(|due| at <= due) => Wake::Idle,
                wake => wake,
            });
        }
        match more.due {
            Some(due) => wake.sooner(Wake::At(due.next())),
            None => wake,
        }
    }

    /// What every part but the first session does with a fact.
    fn more_on_fact(&self, more: &mut More, fact: &Fact<'_>, out: &mut Outputs) {
        for (features, state) in self.features.iter().zip(&mut more.features) {
            features.on_fact(state, fact, out);
        }
        for (sessions, state) in self.others.iter().zip(&mut more.others) {
            sessions.on_fact(state, fact, out);
        }
        for (trigger, state) in self.triggers.iter().zip(&mut more.triggers) {
            trigger.on_fact(state, fact);
        }
    }

    /// The timers of every part but the first session: whether one of them was due.
    fn more_on_timer(&self, more: &mut More, at: EventTime, out: &mut Outputs) -> bool {
        let mut moves = false;
        for (features, state) in self.features.iter().zip(&mut more.features) {
            if features.is_due(state, at) {
                features.on_timer(state, at, out);
                moves = true;
            }
        }
        for (sessions, state) in self.others.iter().zip(&mut more.others) {
            if sessions.is_due(state, at) {
                sessions.on_timer(state, at, out);
                moves = true;
            }
        }
        moves
    }
}

/// Facts with none of these bits matter to none of these; `None`: any fact may.
fn matters(features: &[Features], triggers: &[Trigger]) -> Option<u64> {
    let seen = features.iter().map(|features| {
        let seen = features.seen()?;
        seen.words.is_empty().then_some(seen.bits)
    });
    let anchors = triggers.iter().map(|trigger| {
        let bit = trigger.spec().anchor?;
        Some(1 << bit)
    });
    seen.chain(anchors)
        .try_fold(0, |all, bits| Some(all | bits?))
}

/// What is kept of one key.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// That of the entity's first sessions.
    session: SessionState,
    /// Made when a fact comes that matters to anything else.
    more: Option<Box<More>>,
}

/// What is kept of one key beside its first session.
#[derive(Clone, Debug)]
struct More {
    features: SmallVec<[features::State; 1]>,
    triggers: SmallVec<[triggers::State; 1]>,
    others: Vec<SessionState>,
    /// A moment without facts at which the triggers are still to be evaluated.
    due: Option<EventTime>,
    watched: Cell<Watched>,
}

/// When a table that the key looks up changes next, as was found when the tables had changed so
/// often. It is not saved.
#[derive(Clone, Copy, Debug, Default)]
struct Watched {
    changes: u64,
    next: Option<EventTime>,
}

impl More {
    fn new(entity: &Entity) -> Box<More> {
        let (features, triggers) = (entity.features.iter(), entity.triggers.iter());
        Box::new(More {
            features: features.map(|_| features::State::default()).collect(),
            triggers: triggers.map(|_| triggers::State::default()).collect(),
            others: vec![SessionState::default(); entity.others.len()],
            due: None,
            watched: Cell::default(),
        })
    }
}

impl Logic for Entity {
    type State = State;

    #[inline]
    fn reads(&self, bits: u64) -> bool {
        self.reads || self.may_matter(bits)
    }

    #[inline]
    fn on_fact(&self, state: &mut State, fact: &Fact<'_>, out: &mut Outputs) {
        self.evaluate_passed(state, fact.at, out);
        if self.may_matter(fact.bits) && (state.more.is_some() || self.concerns_more(fact)) {
            let more = state.more.get_or_insert_with(|| More::new(self));
            self.more_on_fact(more, fact, out);
        }
        if let Some(sessions) = &self.session {
            sessions.on_fact(&mut state.session, fact, out);
        }
    }

    #[inline]
    fn on_instant(&self, state: &mut State, at: EventTime, out: &mut Outputs) {
        if let Some(sessions) = &self.session {
            sessions.on_instant(&mut state.session, at, out);
        }
        let Some(more) = &mut state.more else {
            return;
        };
        let mut shown = 0;
        for (features, (state, index)) in
            self.features.iter().zip(more.features.iter_mut().zip(0..))
        {
            if features.will_show(state) && index < 64 {
                shown |= 1 << index;
            }
            features.on_instant(state, at, out);
        }
        for (sessions, state) in self.others.iter().zip(&mut more.others) {
            sessions.on_instant(state, at, out);
        }
        let anchored = || more.triggers.iter().any(triggers::State::has_anchors);
        if self.follows || more.due.is_some() || anchored() {
            self.evaluate(state, at, shown, out);
        }
    }

    fn on_timer(&self, state: &mut State, at: EventTime, out: &mut Outputs) {
        self.evaluate_passed(state, at, out);
        // A timer that only lets a passed moment be evaluated makes no new one.
        let mut moves = false;
        if let Some(sessions) = &self.session
            && sessions.is_due(&state.session, at)
        {
            sessions.on_timer(&mut state.session, at, out);
            moves = true;
        }
        if let Some(more) = &mut state.more {
            moves |= self.more_on_timer(more, at, out);
            if (moves && self.follows) || self.triggers_are_due(more, at) {
                more.due = Some(at);
            }
        }
    }

    #[inline]
    fn wake(&self, state: &State) -> Wake {
        let wake = match &self.session {
            Some(sessions) => sessions.wake(&state.session),
            None => Wake::Forget,
        };
        let Some(more) = &state.more else {
            return wake;
        };
        match (wake.sooner(self.wake_more(more)), self.watch(more)) {
            (Wake::Forget, _) => Wake::Forget,
            (wake, None) => wake,
            (wake, Some(change)) => wake.sooner(Wake::At(change)),
        }
    }

    #[inline]
    fn is_due(&self, state: &State, at: EventTime) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|sessions| sessions.is_due(&state.session, at))
            || state
                .more
                .as_ref()
                .is_some_and(|more| self.more_is_due(more, at))
    }

    fn on_table(&self, row: &TableRow) {
        self.changes.set(self.changes.get() + 1);
        self.tables.borrow_mut().apply(row);
    }

    #[inline]
    fn touch(&self, state: &State) -> u64 {
        state
            .more
            .as_ref()
            .map_or(0, |more| more.watched.get().changes)
    }

    fn affected(&self, state: &State, row: &TableRow) -> bool {
        let Some(more) = &state.more else {
            return false;
        };
        let mut triggers = self.triggers.iter().zip(&more.triggers);
        triggers.any(|(trigger, state)| trigger.affected(state, row))
    }

    fn stirs(&self, state: &State, key: &str, rows: &[TableRow]) -> bool {
        let Some(more) = &state.more else {
            return false;
        };
        let (registers, tables) = (&mut *self.registers.borrow_mut(), &*self.tables.borrow());
        let triggers = self.triggers.iter().zip(&more.triggers);
        let mut follow = triggers.filter(|(trigger, _)| trigger.spec().anchor.is_none());
        follow.any(|(trigger, told)| {
            let mut affect = rows.iter().filter(|row| trigger.affected(told, row));
            affect.any(|row| {
                let foretold = self.foretell(state, more, row.at, registers);
                self.foretold.set(foretold.then_some(row.at));
                !foretold || trigger.turns_by_tables(told, row.at, registers, tables, key)
            })
        })
    }

    fn turn(&self, state: &mut State, out: &mut Outputs) {
        let (Some(at), Some(more)) = (self.foretold.take(), &mut state.more) else {
            return;
        };
        let session = self.session.as_ref().map(|s| s.wake(&state.session));
        let is_next = match self.wake_more(more).sooner(session.unwrap_or(Wake::Forget)) {
            Wake::At(due) => due > at,
            Wake::Idle => true,
            Wake::Forget => false,
        };
        if is_next && self.watch(more) == Some(at) {
            self.judge(more, at, &mut self.registers.borrow_mut(), out);
        }
    }

    fn settle_tables(&self, watermark: EventTime) {
        if !self.triggers.is_empty() {
            self.tables.borrow_mut().settle(watermark);
        }
    }

    fn encode_tables(&self, to: &mut Writer) {
        self.tables.borrow().encode(to);
    }

    fn decode_tables(&self, from: &mut Reader<'_>) -> Result<(), CodecError> {
        let widths = self.tables.borrow().widths();
        *self.tables.borrow_mut() = Tables::decode(&widths, from)?;
        self.changes.set(self.changes.get() + 1);
        Ok(())
    }

    fn encode(&self, state: &State, to: &mut Writer) {
        if let Some(sessions) = &self.session {
            sessions.encode(&state.session, to);
        }
        to.option(state.more.as_ref(), |to, more| {
            for (features, state) in self.features.iter().zip(&more.features) {
                features.encode(state, to);
            }
            for (sessions, state) in self.others.iter().zip(&more.others) {
                sessions.encode(state, to);
            }
            for (trigger, state) in self.triggers.iter().zip(&more.triggers) {
                trigger.encode(state, to);
            }
            to.option(more.due, Writer::time);
        });
    }

    fn decode(&self, from: &mut Reader<'_>) -> Result<State, CodecError> {
        let session = match &self.session {
            Some(sessions) => sessions.decode(from)?,
            None => SessionState::default(),
        };
        let (features, others) = (self.features.iter(), self.others.iter());
        let more = from.option("all but the first session", |from| {
            Ok(Box::new(More {
                features: features.map(|f| f.decode(from)).collect::<Result<_, _>>()?,
                others: others.map(|s| s.decode(from)).collect::<Result<_, _>>()?,
                triggers: self
                    .triggers
                    .iter()
                    .map(|t| t.decode(from))
                    .collect::<Result<_, _>>()?,
                due: from.option("a moment to evaluate", |from| from.time("a time"))?,
                watched: Cell::default(),
            }))
        })?;
        Ok(State { session, more })
    }
}

#[cfg(test)]
mod tests;
