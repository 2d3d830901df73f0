//! Triggers: a condition over the registers of a key and over tables that fires, with a memory.
//!
//! A trigger has the shape of a [`Logic`](crate::logic::Logic), but the composer of an entity hands it
//! the registers (the values of features and sessions) and the tables, and it says when it must be
//! looked at.
//!
//! # Meaning
//! Verdicts are a function of event time alone. At a moment `t` the condition sees the registers as
//! of `t` (all facts at `t` count) and of each table the version as of `t` (one whose time is `t`
//! counts). Tables are looked up by registers and by the *segment*, an expression of its own; a key
//! with a null in it, or without a row, gives null columns. A condition that is null is not met.
//!
//! There are two kinds, by [`TriggerSpec::anchor`]:
//!
//! - *At anchors*: the condition is evaluated at the facts that pass a filter. Every anchor at which
//!   it is met fires, which is an intervention of its own (an episode without length). Anchors at
//!   one moment see the same values; the one with the smallest id fires first, and the others then
//!   only if there is no cooldown.
//! - *At changes*: it is evaluated at every moment of the key: its facts, the moments at which its
//!   features change by the passing of time, the changes of rows it looks up, and the end of its
//!   cooldown. An *episode* opens when `when` is met and closes when `clear_when` is met (by default:
//!   when `when` is not met). Where both are met it is closed, so that nothing flaps.
//!
//! A *firing* is an anchor that fires or an episode that opens. With a cooldown, a firing at `t` needs
//! `t` − the last firing ≥ the cooldown. An opening that falls inside the cooldown comes at its
//! end, if the condition is met then; an anchor inside the cooldown never fires.
//!
//! There are two outputs. *Firings* has a row per firing, which nothing that comes later changes: it
//! is what mode `final` writes. *Episodes* has the same rows, but an episode that closes is taken back
//! and comes again with its end.
//!
//! A *hold-out* gives part of the keys, by a stable hash, the arm `held_out`: all is as for the others,
//! rows and cooldown included, but the row has no action.
//!
//! # Calls
//! A composer must
//!
//! 1. give every fact to [`Trigger::on_fact`];
//! 2. call [`Trigger::evaluate`] once at each moment of the key, in time order, when nothing at that
//!    moment is missing any more: at the end of an instant with facts, or, at a moment `t` without
//!    facts, when event time has passed it (so it asks its driver for `t.next()`, because a timer
//!    comes before the facts of its time). It may leave out the moments at which
//!    [`Trigger::wants`] says no;
//! 3. come back at [`Trigger::wake`], and, as long as the key lives, at [`Trigger::watch`]. `watch` does
//!    not keep a key: what is forgotten must not depend on which versions of a table are known
//!    already. So a key ends when all its parts, with all episodes closed and cooldowns over, forget
//!    it, and tables that change later open nothing for it.
//!
//! # State
//! Per key: the end of a running cooldown; the open episode (its time, segment and reasons); the table
//! keys of the last evaluation: 88 bytes and, for an episode, an allocation of 56, and another if it has
//! more than three reasons. Forgotten when there is neither episode nor cooldown.

mod brief;
mod spec;
mod state;
mod telling;
#[cfg(test)]
mod tests;

pub use spec::{
    ACTION, ARM, Arm, CLOSED_AT, EVENT_ID, FIRED_AT, HoldOut, KeyPart, Lookup, REASONS, SEGMENT,
    STATE, SpecError, TEXTS, TriggerSpec,
};
pub use state::State;

use tidegate_schemas::fact::{Fact, NULL};
use tidegate_schemas::names::code_of;
use tidegate_schemas::time::{EventTime, Span};

use crate::codec::{CodecError, Reader, Writer};
use crate::logic::{Outputs, Wake};
use crate::parcel::TableRow;
use crate::tables::Tables;
use crate::words::same_words;
use state::{Looked, Open, Reasons};
use telling::Firing;

/// A trigger ready to run. See the module's documentation.
#[derive(Clone, Debug)]
pub struct Trigger {
    spec: TriggerSpec,
    cooldown: Span,
    /// The lookups in the order they are made: those that need the segment come after it.
    order: Vec<usize>,
    /// How many lookups come before the segment.
    before_segment: usize,
    /// The first register of each lookup's columns.
    first: Vec<usize>,
    /// The register of the segment, and the last one.
    segment: usize,
    /// How many registers there are with the keys of all lookups behind the segment.
    width: usize,
    opened: i64,
    closed: i64,
    fired: i64,
    /// The codes of the arms.
    treated: i64,
    held_out: i64,
}

/// How a key's episode stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stance {
    /// There is one.
    Open,
    /// There is none, and one may open.
    Closed,
    /// The cooldown of the last one runs.
    Cooling,
}

/// What may become of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Opens,
    Closes,
}

impl Trigger {
    /// Makes a trigger of its specification.
    ///
    /// # Errors
    /// When the parts of the specification do not fit together.
    pub fn new(spec: TriggerSpec) -> Result<Trigger, SpecError> {
        spec.check()?;
        let (mut order, after): (Vec<_>, Vec<_>) =
            (0..spec.lookups.len()).partition(|&index| !spec.lookups[index].by_segment());
        let before_segment = order.len();
        order.extend(after);
        Ok(Trigger {
            cooldown: spec.cooldown.unwrap_or(Span::ZERO),
            order,
            before_segment,
            first: (0..spec.lookups.len())
                .map(|lookup| spec.first_register(lookup))
                .collect(),
            segment: spec.segment_register(),
            width: {
                let keys = spec.lookups.iter().map(|lookup| lookup.key.len());
                spec.segment_register() + 1 + keys.sum::<usize>()
            },
            opened: code_of("opened"),
            closed: code_of("closed"),
            fired: code_of("fired"),
            treated: Arm::Treated.code(),
            held_out: Arm::HeldOut.code(),
            spec,
        })
    }

    /// What the trigger was made of.
    #[must_use]
    pub fn spec(&self) -> &TriggerSpec {
        &self.spec
    }

    /// Whether a fact is an anchor of the trigger.
    #[inline]
    #[must_use]
    pub fn concerns(&self, fact: &Fact<'_>) -> bool {
        self.spec.anchor.is_some() && fact.passes(self.spec.anchor)
    }

    /// A fact of the key, in (time, id) order.
    #[inline]
    pub fn on_fact(&self, state: &mut State, fact: &Fact<'_>) {
        if self.concerns(fact) {
            state.anchors.push(fact.id);
        }
    }

    /// Whether [`Trigger::evaluate`] has something to do at `at`; if not, it may be left out.
    #[inline]
    #[must_use]
    pub fn wants(&self, state: &State, at: EventTime) -> bool {
        self.spec.anchor.is_none() || !state.anchors.is_empty() || self.cooled_down(state.last, at)
    }

    /// Evaluates the trigger at `at`, for the key that `out` works on.
    ///
    /// # Reads
    /// The first [`TriggerSpec::inputs`] registers, as of `at`; what follows them is overwritten with
    /// the columns of the lookups and the segment. All versions of `tables` up to `at`.
    ///
    /// # Emits
    /// Rows of [`TriggerSpec::columns`]: on both outputs a row per firing; on `episodes`, when one closes,
    /// its row is taken back and comes again with the closing time. Segment and reasons are those of the firing.
    pub fn evaluate(
        &self,
        state: &mut State,
        at: EventTime,
        registers: &mut Vec<i64>,
        tables: &Tables,
        out: &mut Outputs,
    ) {
        if self.cooled_down(state.last, at) {
            state.last = None;
        }
        if self.spec.anchor.is_none() {
            self.look_up(state, at, registers, tables, out.key());
            self.follow(state, at, registers, out);
        } else if !state.anchors.is_empty() {
            self.look_up(state, at, registers, tables, out.key());
            self.fire(state, at, registers, out);
        }
    }

    /// When the trigger must be evaluated, facts or not. `Forget`: it holds nothing that matters.
    #[inline]
    #[must_use]
    pub fn wake(&self, state: &State) -> Wake {
        match (&state.open, state.last) {
            (None, None) => Wake::Forget,
            (None, Some(last)) if last.plus(self.cooldown) < EventTime::MAX => {
                Wake::At(last.plus(self.cooldown))
            }
            _ => Wake::Idle,
        }
    }

    /// Whether [`Trigger::wake`] asks for a time up to `at`.
    #[inline]
    #[must_use]
    pub fn is_due(&self, state: &State, at: EventTime) -> bool {
        state.last.is_some() && matches!(self.wake(state), Wake::At(due) if due <= at)
    }

    /// When a row that the key looks up changes next: if the key lives until then, it must be evaluated.
    #[must_use]
    pub fn watch(&self, state: &State, tables: &Tables) -> Option<EventTime> {
        let looked = state.looked.as_ref()?;
        if self.spec.anchor.is_some() {
            return None;
        }
        self.keys(&looked.keys)
            .filter_map(|(table, key)| tables.tables[table].next_change(key, looked.at))
            .min()
    }

    /// Whether a row of a table can matter to what this key was or will be told. The row may be in
    /// `tables` already, or not yet.
    #[must_use]
    pub fn affected(&self, state: &State, row: &TableRow) -> bool {
        let Some(looked) = &state.looked else {
            return false;
        };
        if self.spec.anchor.is_some() && row.at > looked.at {
            return false;
        }
        // Before `since` other keys were looked up, and they are not remembered.
        self.keys(&looked.keys).any(|(table, key)| {
            table == row.table && (row.at < looked.since || same_words(key, &row.key))
        })
    }

    /// How an episode stands at `at` of which this is remembered.
    #[inline]
    fn stance(&self, opened: Option<EventTime>, last: Option<EventTime>, at: EventTime) -> Stance {
        match opened {
            Some(_) => Stance::Open,
            None if last.is_none() || self.cooled_down(last, at) => Stance::Closed,
            None => Stance::Cooling,
        }
    }

    /// Writes the state.
    pub fn encode(&self, state: &State, to: &mut Writer) {
        state.encode(to);
    }

    /// Reads a state that `encode` wrote.
    ///
    /// # Errors
    /// When the bytes are not such a state.
    pub fn decode(&self, from: &mut Reader<'_>) -> Result<State, CodecError> {
        let keys = self.spec.lookups.iter().map(|lookup| lookup.key.len());
        State::decode(from, self.spec.reasons.len(), keys.sum())
    }

    /// Whether a cooldown was running and is over at `at`.
    #[inline]
    fn cooled_down(&self, last: Option<EventTime>, at: EventTime) -> bool {
        last.is_some_and(|last| at - last >= self.cooldown)
    }

    /// Fills the registers behind the inputs and remembers what was looked up.
    fn look_up(
        &self,
        state: &mut State,
        at: EventTime,
        registers: &mut Vec<i64>,
        tables: &Tables,
        key_name: &str,
    ) {
        self.find(at, registers, tables, key_name);
        if !self.order.is_empty() {
            Looked::remember(&mut state.looked, at, &registers[self.segment + 1..]);
        }
        registers.truncate(self.segment + 1);
    }

    /// Fills the registers behind the inputs; behind those stand the keys of all lookups.
    fn find(&self, at: EventTime, registers: &mut Vec<i64>, tables: &Tables, key_name: &str) {
        assert!(
            registers.len() >= self.spec.inputs,
            "a trigger reads {} registers and was given {}",
            self.spec.inputs,
            registers.len()
        );
        registers.truncate(self.spec.inputs);
        registers.resize(self.width, NULL);
        let mut start = self.segment + 1;
        for (turn, &index) in self.order.iter().enumerate() {
            if turn == self.before_segment {
                registers[self.segment] = self.segment(registers);
            }
            let lookup = &self.spec.lookups[index];
            let (registers, key) = registers.split_at_mut(start);
            let key = &mut key[..lookup.key.len()];
            start += key.len();
            for (word, part) in key.iter_mut().zip(&lookup.key) {
                *word = match part {
                    KeyPart::Register(register) => registers[*register],
                    KeyPart::Segment => registers[self.segment],
                    KeyPart::Entity => code_of(key_name),
                };
            }
            if key.contains(&NULL) {
                continue;
            }
            if let Some(row) = tables.as_of(lookup.table, key, at) {
                let columns = &mut registers[self.first[index]..][..lookup.columns];
                columns
                    .iter_mut()
                    .zip(row)
                    .for_each(|(to, word)| *to = *word);
            }
        }
        if self.before_segment == self.order.len() {
            registers[self.segment] = self.segment(registers);
        }
    }

    fn segment(&self, registers: &[i64]) -> i64 {
        let program = self.spec.segment.as_ref();
        program.map_or(NULL, |program| program.run(registers))
    }

    /// At anchors: each fires if the condition is met and the cooldown is over.
    fn fire(&self, state: &mut State, at: EventTime, registers: &[i64], out: &mut Outputs) {
        let anchors = std::mem::take(&mut state.anchors);
        if !self.spec.when.holds(registers) {
            return;
        }
        let reasons = self.reasons(registers);
        for event in anchors {
            if state.last.is_some() {
                break;
            }
            let firing = Firing {
                event: Some(event),
                at,
                closed: None,
                segment: registers[self.segment],
                reasons: &reasons,
            };
            self.announce(firing, out);
            state.last = (self.cooldown > Span::ZERO).then_some(at);
        }
    }

    /// At changes: the episode opens, closes, or goes on as it was.
    fn follow(&self, state: &mut State, at: EventTime, registers: &[i64], out: &mut Outputs) {
        let opened = state.open.as_ref().map(|open| open.at);
        let stance = self.stance(opened, state.last, at);
        match (&state.open, self.turn(stance, registers)) {
            (Some(open), Some(Turn::Closes)) => {
                state.last = self.close(open.firing(), at, out);
                state.open = None;
            }
            (None, Some(Turn::Opens)) => {
                let open = Box::new(Open {
                    at,
                    segment: registers[self.segment],
                    reasons: self.reasons(registers),
                });
                self.announce(open.firing(), out);
                state.open = Some(open);
            }
            _ => {}
        }
    }

    /// What becomes of an episode that stands like this.
    fn turn(&self, stance: Stance, registers: &[i64]) -> Option<Turn> {
        let met = self.spec.when.holds(registers);
        let clear = match &self.spec.clear_when {
            Some(clear_when) => clear_when.holds(registers),
            None => !met,
        };
        match stance {
            Stance::Open => clear.then_some(Turn::Closes),
            Stance::Closed => (met && !clear).then_some(Turn::Opens),
            Stance::Cooling => None,
        }
    }

    fn reasons(&self, registers: &[i64]) -> Reasons {
        let mut reasons = Reasons::with_capacity(self.spec.reasons.len());
        let registers = self
            .spec
            .reasons
            .iter()
            .map(|register| registers[*register]);
        registers.for_each(|word| reasons.push(word));
        reasons
    }

    /// The tables and keys of lookups, whose words stand end to end in the order these are made.
    fn keys<'a>(&'a self, mut words: &'a [i64]) -> impl Iterator<Item = (usize, &'a [i64])> {
        self.order.iter().map(move |&index| {
            let lookup = &self.spec.lookups[index];
            let (key, rest) = words.split_at(lookup.key.len());
            words = rest;
            (lookup.table, key)
        })
    }
}
