//! What is kept of a key that fires on arrival, and what it has put out.

use std::ops::Range;

use tidegate_schemas::fact::Fact;
use tidegate_schemas::time::EventTime;

use super::step::{run_timers, step};
use crate::codec::{CodecError, Reader, Writer};
use crate::logic::{Logic, Outputs};

#[derive(Clone, Copy, Debug)]
pub(super) struct RecentFact {
    pub(super) at: EventTime,
    pub(super) id: u64,
    pub(super) bits: u64,
}

impl RecentFact {
    /// The fact with its words.
    pub(super) fn fact(self, words: &[i64]) -> Fact<'_> {
        let RecentFact { at, id, bits } = self;
        Fact {
            at,
            id,
            bits,
            words,
        }
    }
}

/// Writes a fact.
pub(super) fn fact_to(fact: Fact<'_>, to: &mut Writer) {
    to.time(fact.at);
    to.unsigned(u128::from(fact.id));
    to.unsigned(u128::from(fact.bits));
    to.length(fact.words.len());
    fact.words.iter().for_each(|word| to.word(*word));
}

/// Reads a fact that [`fact_to`] wrote.
pub(super) fn fact_from(from: &mut Reader<'_>) -> Result<(RecentFact, Vec<i64>), CodecError> {
    let head = RecentFact {
        at: from.time("a fact's time")?,
        id: from.unsigned("a fact's id")? as u64,
        bits: from.unsigned("a fact's bits")? as u64,
    };
    let words = 0..from.length("a fact's words")?;
    let words: Result<_, _> = words.map(|_| from.word("a fact's word")).collect();
    Ok((head, words?))
}

/// Facts in (time, id) order, with their words.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) heads: Vec<RecentFact>,
    pub(super) words: Vec<i64>,
    pub(super) stride: usize,
}

impl Facts {
    pub(super) fn fact(&self, row: usize) -> Fact<'_> {
        self.heads[row].fact(&self.words[row * self.stride..(row + 1) * self.stride])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Fact<'_>> {
        (0..self.heads.len()).map(|row| self.fact(row))
    }

    /// Where (`at`, `id`) stands or would stand.
    pub(super) fn place(&self, at: EventTime, id: u64) -> usize {
        self.heads
            .partition_point(|fact| (fact.at, fact.id) < (at, id))
    }

    pub(super) fn insert(&mut self, fact: Fact<'_>) {
        self.stride = fact.words.len();
        let place = self
            .heads
            .partition_point(|other| (other.at, other.id) <= (fact.at, fact.id));
        self.heads.insert(
            place,
            RecentFact {
                at: fact.at,
                id: fact.id,
                bits: fact.bits,
            },
        );
        let word = place * self.stride;
        self.words.splice(word..word, fact.words.iter().copied());
    }

    pub(super) fn remove(&mut self, fact: Fact<'_>) {
        let place = self.place(fact.at, fact.id);
        if self
            .heads
            .get(place)
            .is_some_and(|found| (found.at, found.id) == (fact.at, fact.id))
        {
            self.heads.remove(place);
            self.words
                .drain(place * self.stride..(place + 1) * self.stride);
        }
    }

    pub(super) fn drop_first(&mut self, count: usize) {
        self.heads.drain(..count);
        self.words.drain(..count * self.stride);
    }
}

/// What a key with facts after the watermark keeps besides its base.
#[derive(Clone, Debug)]
pub(super) struct Recent<S> {
    pub(super) facts: Facts,
    pub(super) head: S,
    /// The last instant `head` has closed.
    pub(super) instant: EventTime,
    /// The time up to which `head` has run its timers.
    pub(super) timers: EventTime,
}

impl<S> Recent<S> {
    /// Whether a fact at `at` comes after everything `head` has seen.
    pub(super) fn in_order(&self, at: EventTime) -> bool {
        at > self.instant && at >= self.timers
    }

    /// The last time that it has come to.
    pub(super) fn passed(&self) -> EventTime {
        self.instant.max(self.timers)
    }

    /// When the first of what is recent settles, or what was told.
    fn settles(&self, told: EventTime) -> EventTime {
        let first = self.facts.heads.first();
        first.map_or(self.timers.max(told), |fact| fact.at.next())
    }
}

#[derive(Clone, Debug)]
pub(super) struct Kept<S> {
    /// The time up to which was told what timers put out that the newest state has not run, for the sake of tables;
    /// [`EventTime::MIN`] if there are none. What they left is not kept: it follows from that state, and many keys may
    /// have to say something when a table changes.
    pub(super) told: EventTime,
    pub(super) recent: Option<Box<Recent<S>>>,
    pub(super) base: S,
}

impl<S: Default> Default for Kept<S> {
    fn default() -> Kept<S> {
        Kept {
            base: S::default(),
            told: EventTime::MIN,
            recent: None,
        }
    }
}

impl<S> Kept<S> {
    /// Whether something at `at` comes after everything that was put out.
    pub(super) fn in_order(&self, at: EventTime) -> bool {
        at >= self.told && (self.recent.as_ref()).is_none_or(|recent| recent.in_order(at))
    }

    /// The last time that it has come to ahead of the base, if it has.
    pub(super) fn passed(&self) -> Option<EventTime> {
        let recent = self.recent.as_ref().map(|recent| recent.passed());
        recent.max(self.ahead())
    }

    /// When the first of what the base has not seen settles.
    pub(super) fn settles(&self) -> Option<EventTime> {
        match &self.recent {
            Some(recent) => Some(recent.settles(self.told)),
            None => self.ahead(),
        }
    }

    /// Whether what was put out is ahead of the newest state.
    pub(super) fn is_told(&self) -> bool {
        self.told > EventTime::MIN
    }

    /// What timers put out up to `at` has been put out.
    pub(super) fn tell(&mut self, at: EventTime) {
        self.told = at.max(self.told);
    }

    /// Up to when timers were run of what comes after the base.
    fn timers(&self) -> Option<EventTime> {
        let recent = self.recent.as_ref().map(|recent| recent.timers);
        recent.max(self.ahead())
    }

    fn ahead(&self) -> Option<EventTime> {
        self.is_told().then_some(self.told)
    }

    /// Writes the base and what came after it; the head follows from these.
    pub(super) fn encode<L: Logic<State = S>>(&self, logic: &L, to: &mut Writer) {
        logic.encode(&self.base, to);
        let facts = self.recent.as_ref().map(|recent| &recent.facts);
        to.option(self.timers(), |to, timers| {
            to.time(timers);
            to.length(facts.map_or(0, |facts| facts.heads.len()));
            let facts = facts.into_iter().flat_map(Facts::iter);
            facts.for_each(|fact| fact_to(fact, to));
        });
    }

    /// Reads what `encode` wrote. The logic must have its tables; what `out` is given has been put
    /// out before.
    pub(super) fn decode<L: Logic<State = S>>(
        logic: &L,
        from: &mut Reader<'_>,
        out: &mut Outputs,
    ) -> Result<Kept<S>, CodecError>
    where
        S: Clone,
    {
        let base = logic.decode(from)?;
        let saved = from.option("what is recent", |from| {
            let timers = from.time("a key's timers")?;
            let mut facts = Facts::default();
            for _ in 0..from.length("a key's facts")? {
                let (head, words) = fact_from(from)?;
                if !facts.heads.is_empty() && words.len() != facts.stride {
                    return Err(from.error("facts of one width"));
                }
                facts.insert(head.fact(&words));
            }
            Ok((timers, facts))
        })?;
        let (told, recent) = (EventTime::MIN, None);
        let mut kept = Kept { base, told, recent };
        let Some((timers, facts)) = saved else {
            return Ok(kept);
        };
        let Some(instant) = facts.heads.last().map(|fact| fact.at) else {
            kept.told = timers;
            return Ok(kept);
        };
        let recent = kept.recent(logic, timers, out);
        (recent.facts, recent.instant) = (facts, instant);
        let head = replay(logic, &kept, out);
        kept.keep(head);
        Ok(kept)
    }
}

/// What some keys have put out.
pub(super) struct Told {
    pub(super) rows: Outputs,
    pub(super) keys: Vec<u32>,
    /// Per key, where its rows of each output end.
    pub(super) ends: Vec<usize>,
}

impl Told {
    /// Where the rows of a key are, by output.
    pub(super) fn parts(&self, number: usize) -> impl Iterator<Item = Range<usize>> {
        let outputs = self.rows.rows.len();
        (0..outputs).map(move |output| {
            let end = number * outputs + output;
            let start = end.checked_sub(outputs).map_or(0, |start| self.ends[start]);
            start..self.ends[end]
        })
    }
}

impl<S: Clone> Kept<S> {
    /// The state that has seen most of those that are kept.
    pub(super) fn newest(&self) -> &S {
        self.recent
            .as_ref()
            .map_or(&self.base, |recent| &recent.head)
    }

    /// What is recent, made if there is nothing, with a head that has come to all that was put out. What `out` is given
    /// has been put out before.
    pub(super) fn recent<L: Logic<State = S>>(
        &mut self,
        logic: &L,
        watermark: EventTime,
        out: &mut Outputs,
    ) -> &mut Recent<S> {
        let told = std::mem::replace(&mut self.told, EventTime::MIN);
        let base = &self.base;
        let recent = self.recent.get_or_insert_with(|| {
            Box::new(Recent {
                facts: Facts::default(),
                head: base.clone(),
                instant: EventTime::MIN,
                timers: watermark,
            })
        });
        if told > EventTime::MIN {
            run_timers(logic, &mut recent.head, told, out);
            recent.timers = recent.timers.max(told);
        }
        recent
    }

    /// Keeps the state that has come to all that was put out, if it does not follow from the base alone.
    pub(super) fn keep(&mut self, head: S) {
        if let Some(recent) = &mut self.recent {
            let told = std::mem::replace(&mut self.told, EventTime::MIN);
            (recent.head, recent.timers) = (head, recent.timers.max(told));
        }
    }
}

/// Takes a copy of the base to where what was put out is, and puts out all of that once more.
pub(super) fn replay<L: Logic>(logic: &L, kept: &Kept<L::State>, out: &mut Outputs) -> L::State {
    let mut state = kept.base.clone();
    if let Some(timers) = kept.timers() {
        let facts = kept.recent.iter().flat_map(|recent| recent.facts.iter());
        step(logic, &mut state, facts, EventTime::MIN, timers, out);
    }
    state
}
