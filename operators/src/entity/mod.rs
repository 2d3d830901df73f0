//! Everything a job keeps of one entity, in one state: features, sessions, patterns, journeys and triggers.
//!
//! A fact costs one look-up of the key's state, whatever the job wants of it. Features, sessions, patterns and
//! journeys are logics of their own; triggers are conditions over what the first two show, the *registers*: the
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
//! those say, come with the first fact that matters to one of them; when one of them is next due is kept
//! beside the first session, so that facts which matter to that alone look at nothing else. All end when every part
//! forgets the key; a table that will change does not keep it alive. Where triggers follow tables, a driver that fires
//! on arrival keeps a brief of each key besides (`brief`).

mod brief;
mod evaluate;
mod more;
mod soon;
mod tracked;
mod verdicts;

use std::cell::{Cell, RefCell};

use smallvec::SmallVec;
use tidegate_schemas::fact::{Fact, NULL};
use tidegate_schemas::time::EventTime;

use crate::codec::{CodecError, Reader, Writer};
use crate::features::Features;
use crate::journeys::Journeys;
use crate::logic::{Logic, Outputs, Wake};
use crate::parcel::TableRow;
use crate::patterns::Pattern;
use crate::sessions::{SessionState, Sessions};
use crate::tables::Tables;
use crate::triggers::{self, Trigger};
use brief::Brief;
use more::More;
use soon::Soon;
pub use tracked::track_what_is_read;
use verdicts::Verdicts;

/// What is kept of one entity.
pub struct Entity {
    features: Vec<Features>,
    session: Option<Sessions>,
    /// All sessions but the first.
    others: Vec<Sessions>,
    patterns: Vec<Pattern>,
    journeys: Vec<Journeys>,
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
    /// What drivers keep of each key for such triggers.
    brief: Option<Brief>,
    /// What triggers have made of them.
    verdicts: RefCell<Verdicts>,
    tables: RefCell<Tables>,
    /// How often a table has changed.
    changes: Cell<u64>,
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
        patterns: Vec<Pattern>,
        journeys: Vec<Journeys>,
        triggers: Vec<Trigger>,
        widths: &[(usize, usize)],
    ) -> Entity {
        let at_changes = |trigger: &Trigger| trigger.spec().anchor.is_none();
        let looks_up = |trigger: &Trigger| !trigger.spec().lookups.is_empty();
        let mut sessions = sessions.into_iter();
        let session = sessions.next();
        let others: Vec<Sessions> = sessions.collect();
        Entity {
            matters: matters(&features, &patterns, &triggers)
                .filter(|_| others.is_empty() && journeys.is_empty()),
            always: !others.is_empty() || triggers.iter().any(at_changes),
            reads: session.as_ref().is_some_and(Sessions::reads),
            follows: triggers.iter().any(at_changes),
            watches: triggers.iter().any(|t| at_changes(t) && looks_up(t)),
            brief: Brief::new(&features, &triggers),
            verdicts: RefCell::default(),
            features,
            session,
            others,
            patterns,
            journeys,
            triggers,
            tables: RefCell::new(Tables::new(widths)),
            changes: Cell::new(1),
            registers: RefCell::default(),
        }
    }

    /// The same entity, but every part is given every fact: what the slow and obvious way does.
    #[cfg(test)]
    pub(crate) fn minding_every_fact(self) -> Entity {
        Entity {
            matters: None,
            always: true,
            ..self
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
            || self.patterns.iter().any(|pattern| pattern.begins(fact))
            || self.journeys.iter().any(|journeys| journeys.concerns(fact))
            || self.triggers.iter().any(|trigger| trigger.concerns(fact))
    }
}

/// Facts with none of these bits matter to none of these; `None`: any fact may.
fn matters(features: &[Features], patterns: &[Pattern], triggers: &[Trigger]) -> Option<u64> {
    let seen = features.iter().map(|features| {
        let seen = features.seen()?;
        seen.words.is_empty().then_some(seen.bits)
    });
    let anchors = triggers.iter().map(|trigger| {
        let bit = trigger.spec().anchor?;
        Some(1 << bit)
    });
    let steps = patterns.iter().map(Pattern::seen);
    seen.chain(steps)
        .chain(anchors)
        .try_fold(0, |all, bits| Some(all | bits?))
}

/// What is kept of one key.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// That of the entity's first sessions.
    session: SessionState,
    /// Made when a fact comes that matters to anything else.
    more: Option<Box<More>>,
    /// When that is next due.
    soon: Soon,
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
            state.soon = Soon::UNKNOWN;
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
        if state.soon != Soon::UNKNOWN && !self.follows {
            return;
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
        for (sessions, state) in self.others.iter().zip(more.others_mut()) {
            sessions.on_instant(state, at, out);
        }
        let anchored = || more.triggers.iter().any(triggers::State::has_anchors);
        if self.follows || more.due.is_some() || anchored() {
            self.evaluate(state, at, shown, out);
        }
        state.soon = state
            .more
            .as_ref()
            .map_or(Soon::NEVER, |more| Soon::of(self.wake_more(more)));
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
        let looks = state.soon.may_be(at) || moves && self.follows || self.watches;
        if let Some(more) = state.more.as_mut().filter(|_| looks) {
            moves |= self.more_on_timer(more, at, out);
            if (moves && self.follows) || self.triggers_are_due(more, at) {
                more.due = Some(at);
            }
            state.soon = Soon::UNKNOWN;
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
        let rest = state.soon.wake().unwrap_or_else(|| self.wake_more(more));
        match (wake.sooner(rest), self.watch(more)) {
            (Wake::Forget, _) => Wake::Forget,
            (wake, None) => wake,
            (wake, Some(change)) => wake.sooner(Wake::At(change)),
        }
    }

    #[inline]
    fn is_due(&self, state: &State, at: EventTime) -> bool {
        let session = self.session.as_ref();
        if session.is_some_and(|sessions| sessions.is_due(&state.session, at)) {
            return true;
        }
        let more = || state.more.as_ref();
        (state.soon.may_be(at) || self.watches)
            && more().is_some_and(|more| self.more_is_due(more, at))
    }

    fn on_table(&self, row: &TableRow) {
        self.changes.set(self.changes.get() + 1);
        self.tables.borrow_mut().apply(row);
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
        let mut brief = SmallVec::<[i64; 8]>::new();
        follow.any(|(trigger, told)| {
            brief.resize(trigger.brief_words(), NULL);
            trigger.brief(told, &mut brief);
            let mut affect = rows.iter().filter(|row| trigger.affected(told, row));
            affect.any(|row| {
                let foretold = self.foretell(&state.session, more, row.at, registers);
                !foretold || trigger.turns_at(&brief, row.at, registers, tables, key)
            })
        })
    }

    fn brief_words(&self) -> usize {
        self.brief.as_ref().map_or(0, Brief::words)
    }

    #[inline]
    fn brief(&self, state: &State, at: EventTime, to: &mut [i64]) {
        self.write_brief(state, at, to);
    }

    #[inline]
    fn may_stir(&self, brief: &[i64], rows: &[TableRow]) -> bool {
        self.brief_may_stir(brief, rows)
    }

    fn answer(&self, brief: &mut [i64], until: EventTime, out: &mut Outputs) -> Option<EventTime> {
        self.answer_brief(brief, until, out)
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
        to.option(state.more.as_ref(), |to, more| self.encode_more(more, to));
    }

    fn decode(&self, from: &mut Reader<'_>) -> Result<State, CodecError> {
        let session = match &self.session {
            Some(sessions) => sessions.decode(from)?,
            None => SessionState::default(),
        };
        let more = from.option("all but the first session", |from| self.decode_more(from))?;
        let soon = Soon::UNKNOWN;
        Ok(State {
            session,
            more,
            soon,
        })
    }
}

#[cfg(test)]
mod tests;
