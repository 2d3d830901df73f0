//! What is kept of a key beside its first session: most keys of most jobs have rows that matter to
//! nothing else, and pay for nothing else.

use std::cell::Cell;

use smallvec::SmallVec;
use tidegate_schemas::fact::Fact;
use tidegate_schemas::time::EventTime;

use super::Entity;
use crate::codec::{CodecError, Reader, Writer};
use crate::features;
use crate::journeys::JourneyState;
use crate::logic::{Logic, Outputs, Wake};
use crate::patterns::PatternState;
use crate::sessions::SessionState;
use crate::triggers;

/// What is kept of one key beside its first session.
#[derive(Clone, Debug)]
pub(super) struct More {
    pub(super) features: SmallVec<[features::State; 1]>,
    pub(super) triggers: SmallVec<[triggers::State; 1]>,
    /// Made where there are such parts.
    rest: Option<Box<Rest>>,
    /// A moment without facts at which the triggers are still to be evaluated.
    pub(super) due: Option<EventTime>,
    pub(super) watched: Cell<Watched>,
}

/// The states of what few jobs have: other sessions, patterns and journeys.
#[derive(Clone, Debug)]
struct Rest {
    others: Box<[SessionState]>,
    patterns: SmallVec<[PatternState; 1]>,
    /// When a pattern is to be looked at, see [`Entity::patterns_due`].
    patterns_due: Option<EventTime>,
    journeys: SmallVec<[JourneyState; 1]>,
}

/// When a table that the key looks up changes next, as was found when the tables had changed so
/// often. It is not saved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    pub(super) changes: u64,
    /// `MAX` if it does not.
    pub(super) next: EventTime,
}

impl Watched {
    pub(super) const NOTHING: Watched = Watched {
        changes: 0,
        next: EventTime::MAX,
    };
}

impl More {
    pub(super) fn new(entity: &Entity) -> Box<More> {
        let (features, triggers) = (entity.features.iter(), entity.triggers.iter());
        Box::new(More {
            features: features.map(|_| features::State::default()).collect(),
            triggers: triggers.map(|_| triggers::State::default()).collect(),
            rest: entity.has_rest().then(|| {
                Box::new(Rest {
                    others: vec![SessionState::default(); entity.others.len()].into(),
                    patterns: SmallVec::from_elem(PatternState::default(), entity.patterns.len()),
                    patterns_due: None,
                    journeys: SmallVec::from_elem(JourneyState::default(), entity.journeys.len()),
                })
            }),
            due: None,
            watched: Cell::new(Watched::NOTHING),
        })
    }

    /// The states of all sessions but the first.
    pub(super) fn others(&self) -> &[SessionState] {
        self.rest.as_ref().map_or(&[], |rest| &rest.others)
    }

    /// The states of all sessions but the first.
    pub(super) fn others_mut(&mut self) -> &mut [SessionState] {
        self.rest.as_mut().map_or(&mut [], |rest| &mut rest.others)
    }

    fn patterns(&self) -> &[PatternState] {
        self.rest.as_ref().map_or(&[], |rest| &rest.patterns)
    }

    fn patterns_due(&self) -> Option<EventTime> {
        self.rest.as_ref()?.patterns_due
    }

    fn journeys(&self) -> &[JourneyState] {
        self.rest.as_ref().map_or(&[], |rest| &rest.journeys)
    }

    fn journeys_mut(&mut self) -> &mut [JourneyState] {
        self.rest
            .as_mut()
            .map_or(&mut [], |rest| &mut rest.journeys)
    }
}

impl Entity {
    fn has_rest(&self) -> bool {
        !self.others.is_empty() || !self.patterns.is_empty() || !self.journeys.is_empty()
    }

    /// Whether anything but the first session is due at `at`.
    #[inline]
    pub(super) fn more_is_due(&self, more: &More, at: EventTime) -> bool {
        let mut features = self.features.iter().zip(&more.features);
        let mut others = self.others.iter().zip(more.others());
        let mut journeys = self.journeys.iter().zip(more.journeys());
        features.any(|(features, state)| features.is_due(state, at))
            || others.any(|(sessions, state)| sessions.is_due(state, at))
            || more.patterns_due().is_some_and(|due| due <= at)
            || journeys.any(|(journeys, state)| journeys.is_due(state, at))
            || !self.triggers.is_empty() && self.a_trigger_is_due(more, at)
    }

    /// When a pattern is to be looked at: as soon as one is due that may tell news then. Those that only forget
    /// are looked at on that occasion, or when all of them have something to forget: one timer instead of one each.
    fn patterns_due(&self, states: &[PatternState]) -> Option<EventTime> {
        let (mut news, mut last) = (None::<EventTime>, None);
        for (pattern, state) in self.patterns.iter().zip(states) {
            if state.is_empty() {
                continue;
            }
            match pattern.is_punctual() {
                true => news = Some(news.map_or(state.due(), |due| due.min(state.due()))),
                false => last = last.max(Some(state.due())),
            }
        }
        news.or(last)
    }

    /// When the key is next due, if all but its first session were all there is.
    pub(super) fn wake_more(&self, more: &More) -> Wake {
        let mut wake = Wake::Forget;
        for (features, state) in self.features.iter().zip(&more.features) {
            wake = wake.sooner(features.wake(state));
        }
        for (sessions, state) in self.others.iter().zip(more.others()) {
            wake = wake.sooner(sessions.wake(state));
        }
        if let Some(due) = more.patterns_due() {
            wake = wake.sooner(Wake::At(due));
        }
        for (journeys, state) in self.journeys.iter().zip(more.journeys()) {
            wake = wake.sooner(journeys.wake(state));
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
    pub(super) fn more_on_fact(&self, more: &mut More, fact: &Fact<'_>, out: &mut Outputs) {
        for (features, state) in self.features.iter().zip(&mut more.features) {
            features.on_fact(state, fact, out);
        }
        for (sessions, state) in self.others.iter().zip(more.others_mut()) {
            sessions.on_fact(state, fact, out);
        }
        if let Some(rest) = more.rest.as_mut().filter(|_| !self.patterns.is_empty()) {
            for (pattern, state) in self.patterns.iter().zip(&mut rest.patterns) {
                pattern.on_fact(state, fact, out);
            }
            rest.patterns_due = self.patterns_due(&rest.patterns);
        }
        for (journeys, state) in self.journeys.iter().zip(more.journeys_mut()) {
            journeys.on_fact(state, fact, out);
        }
        for (trigger, state) in self.triggers.iter().zip(&mut more.triggers) {
            trigger.on_fact(state, fact);
        }
    }

    /// The timers of every part but the first session: whether one of them was due that triggers look at.
    pub(super) fn more_on_timer(&self, more: &mut More, at: EventTime, out: &mut Outputs) -> bool {
        let mut moves = false;
        for (features, state) in self.features.iter().zip(&mut more.features) {
            if features.is_due(state, at) {
                features.on_timer(state, at, out);
                moves = true;
            }
        }
        for (sessions, state) in self.others.iter().zip(more.others_mut()) {
            if sessions.is_due(state, at) {
                sessions.on_timer(state, at, out);
                moves = true;
            }
        }
        let due = more.patterns_due().is_some_and(|due| due <= at);
        if let Some(rest) = more.rest.as_mut().filter(|_| due) {
            for (pattern, state) in self.patterns.iter().zip(&mut rest.patterns) {
                if pattern.is_due(state, at) {
                    pattern.on_timer(state, at, out);
                }
            }
            rest.patterns_due = self.patterns_due(&rest.patterns);
        }
        for (journeys, state) in self.journeys.iter().zip(more.journeys_mut()) {
            journeys.on_timer(state, at, out);
        }
        moves
    }

    /// Writes all but the first session.
    pub(super) fn encode_more(&self, more: &More, to: &mut Writer) {
        for (features, state) in self.features.iter().zip(&more.features) {
            features.encode(state, to);
        }
        for (sessions, state) in self.others.iter().zip(more.others()) {
            sessions.encode(state, to);
        }
        for (pattern, state) in self.patterns.iter().zip(more.patterns()) {
            pattern.encode(state, to);
        }
        for (journeys, state) in self.journeys.iter().zip(more.journeys()) {
            journeys.encode(state, to);
        }
        for (trigger, state) in self.triggers.iter().zip(&more.triggers) {
            trigger.encode(state, to);
        }
        to.option(more.due, Writer::time);
    }

    /// Reads what [`Entity::encode_more`] wrote.
    ///
    /// # Errors
    /// When the bytes are not such a state.
    pub(super) fn decode_more(&self, from: &mut Reader<'_>) -> Result<Box<More>, CodecError> {
        let features = self.features.iter().map(|part| part.decode(from));
        let features = features.collect::<Result<_, _>>()?;
        let others = self.others.iter().map(|part| part.decode(from));
        let others = others.collect::<Result<_, _>>()?;
        let patterns = self.patterns.iter().map(|part| part.decode(from));
        let patterns: SmallVec<[PatternState; 1]> = patterns.collect::<Result<_, _>>()?;
        let journeys = self.journeys.iter().map(|part| part.decode(from));
        let journeys = journeys.collect::<Result<_, _>>()?;
        let triggers = self.triggers.iter().map(|part| part.decode(from));
        Ok(Box::new(More {
            features,
            triggers: triggers.collect::<Result<_, _>>()?,
            rest: (self.has_rest()).then(|| {
                Box::new(Rest {
                    others,
                    patterns_due: self.patterns_due(&patterns),
                    patterns,
                    journeys,
                })
            }),
            due: from.option("a moment to evaluate", |from| from.time("a time"))?,
            watched: Cell::new(Watched::NOTHING),
        }))
    }
}
