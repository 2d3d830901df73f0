//! What of a key is enough to say what changed tables do to it.
//!
//! A table may be looked up by every key, and a change of it turn few of them, or many. A driver keeps these words of
//! all keys side by side, so that it need not go to the state of a key, which lies in many places, to find out whom it
//! turns, nor to tell their episodes: the state is brought there when something else comes for the key.

use tidegate_schemas::fact::NULL;
use tidegate_schemas::time::EventTime;

use super::verdicts::Question;
use super::{Entity, State};
use crate::features::Features;
use crate::logic::{Logic, Outputs, UNKNOWN, Wake};
use crate::parcel::TableRow;
use crate::tables::Tables;
use crate::triggers::{KeyPart, Trigger, Turn};

/// The words of a brief: up to when it holds, up to when tables have been looked at, the registers that are read, and
/// how the episode of each trigger stands that follows tables.
///
/// # State
/// 16 bytes a key, 8 for each register, and for each trigger 24 and 8 for each of its reasons.
#[derive(Clone, Debug)]
pub(super) struct Brief {
    /// The triggers that follow tables, by index, and where the words of each begin.
    triggers: Vec<(usize, usize)>,
    /// The registers that they read, in order.
    reads: Vec<usize>,
    /// How many registers there are.
    inputs: usize,
    words: usize,
}

/// Where the words are that are not registers.
const UNTIL: usize = 0;
const SINCE: usize = 1;
const READS: usize = 2;

impl Brief {
    /// The brief of an entity; `None` where there is nothing to tell, or not enough could be told: values move
    /// with the clock, or tables are looked up by the key's name, or triggers do not see the same registers.
    pub(super) fn new(features: &[Features], triggers: &[Trigger]) -> Option<Brief> {
        let follows = |index: &usize| {
            let spec = triggers[*index].spec();
            spec.anchor.is_none() && !spec.lookups.is_empty()
        };
        let followers: Vec<usize> = (0..triggers.len()).filter(follows).collect();
        let specs = || followers.iter().map(|index| triggers[*index].spec());
        let mut lookups = specs().flat_map(|spec| &spec.lookups);
        let by_name = lookups.any(|lookup| lookup.key.contains(&KeyPart::Entity));
        let steady = features.iter().all(Features::are_steady);
        let inputs = specs().map(|spec| spec.inputs).min()?;
        if by_name || !steady || specs().any(|spec| spec.inputs != inputs) {
            return None;
        }
        let mut reads: Vec<usize> = specs().flat_map(|spec| spec.reads()).collect();
        reads.sort_unstable();
        reads.dedup();
        let mut words = READS + reads.len();
        let placed = followers.iter().map(|index| {
            let start = words;
            words += triggers[*index].brief_words();
            (*index, start)
        });
        Some(Brief {
            triggers: placed.collect(),
            reads,
            inputs,
            words,
        })
    }

    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// Fills the registers that are read; the others are looked at by nobody.
    fn registers(&self, words: &[i64], registers: &mut Vec<i64>) {
        registers.resize(self.inputs, NULL);
        for (register, word) in self.reads.iter().zip(&words[READS..]) {
            registers[*register] = *word;
        }
    }
}

impl Entity {
    pub(super) fn write_brief(&self, state: &State, at: EventTime, to: &mut [i64]) {
        let Some(brief) = &self.brief else {
            return;
        };
        to.fill(NULL);
        let Some(more) = &state.more else {
            // Nothing of it was ever evaluated: there is nothing to look at again.
            (to[UNTIL], to[SINCE]) = (EventTime::MAX.0, EventTime::MAX.0);
            return;
        };
        to[UNTIL] = UNKNOWN;
        // All of them are evaluated at the same moments.
        let first = brief.triggers[0].0;
        let looked = self.triggers[first].looked_at(&more.triggers[first]);
        let (Some(looked), None) = (looked, more.due) else {
            return;
        };
        to[SINCE] = looked.0;
        let registers = &mut *self.registers.borrow_mut();
        if !self.foretell(&state.session, more, at, registers) {
            return;
        }
        for (to, register) in to[READS..].iter_mut().zip(&brief.reads) {
            *to = registers[*register];
        }
        for (index, start) in &brief.triggers {
            let trigger = &self.triggers[*index];
            let words = &mut to[*start..][..trigger.brief_words()];
            trigger.brief(&more.triggers[*index], words);
        }
        let session = self.session.as_ref().map(|s| s.wake(&state.session));
        let more = state.soon.wake().unwrap_or_else(|| self.wake_more(more));
        to[UNTIL] = match more.sooner(session.unwrap_or(Wake::Forget)) {
            Wake::At(due) => due.0,
            Wake::Idle | Wake::Forget => EventTime::MAX.0,
        };
    }

    /// Whether table rows may make an episode open or close.
    pub(super) fn brief_may_stir(&self, words: &[i64], rows: &[TableRow]) -> bool {
        let Some(brief) = &self.brief else {
            return true;
        };
        if rows.iter().any(|row| row.at.0 >= words[UNTIL]) {
            return true;
        }
        let tables = &*self.tables.borrow();
        let mut places = brief.triggers.iter();
        places.any(|place| {
            let mut rows = rows.iter();
            rows.any(|row| self.verdict(*place, words, row.at, tables).is_some())
        })
    }

    /// What a trigger makes of a brief at `at`, if that holds so long.
    #[inline]
    fn verdict(
        &self,
        (index, start): (usize, usize),
        words: &[i64],
        at: EventTime,
        tables: &Tables,
    ) -> Option<Turn> {
        let brief = self.brief.as_ref()?;
        let trigger = &self.triggers[index];
        let question = Question {
            trigger: index,
            at,
            stance: trigger.stance_of(&words[start..], at),
            changes: self.changes.get(),
        };
        let reads = &words[READS..][..brief.reads.len()];
        self.verdicts.borrow_mut().of(question, reads, || {
            let registers = &mut *self.registers.borrow_mut();
            brief.registers(words, registers);
            trigger.turn_at(question.stance, at, registers, tables, "")
        })
    }

    /// When a row changes next that one of the triggers has looked up at `since`.
    fn next_change(&self, words: &[i64], since: EventTime, tables: &Tables) -> EventTime {
        let Some(brief) = &self.brief else {
            return EventTime::MAX;
        };
        let registers = &mut *self.registers.borrow_mut();
        brief.registers(words, registers);
        let triggers = brief
            .triggers
            .iter()
            .map(|(index, _)| &self.triggers[*index]);
        let changes = triggers.filter_map(|t| t.next_change(since, registers, tables, ""));
        changes.min().unwrap_or(EventTime::MAX)
    }

    /// Evaluates the triggers at the moments before `until` at which tables change. Answers how far it has come: not all
    /// the way where something else happens before; nowhere where that is not known.
    pub(super) fn answer_brief(
        &self,
        words: &mut [i64],
        until: EventTime,
        out: &mut Outputs,
    ) -> Option<EventTime> {
        let brief = self.brief.as_ref()?;
        let tables = &*self.tables.borrow();
        // To evaluate where nothing has changed for the key alters nothing.
        let next = |words: &[i64], since| {
            let moment = tables.next_moment(since, until);
            moment.unwrap_or_else(|| self.next_change(words, since, tables))
        };
        let mut change = next(words, EventTime(words[SINCE]));
        let mut come = None;
        while until.0 < words[UNTIL] {
            if change >= until {
                return Some(until);
            }
            let at = change;
            words[SINCE] = at.0;
            for place in &brief.triggers {
                let turn = self.verdict(*place, words, at, tables);
                let trigger = &self.triggers[place.0];
                let registers = &mut *self.registers.borrow_mut();
                if turn.is_some() {
                    brief.registers(words, registers);
                }
                let of_trigger = &mut words[place.1..][..trigger.brief_words()];
                trigger.evaluate_brief(of_trigger, turn, at, registers, tables, out);
                let cools = trigger.cools_until(of_trigger);
                words[UNTIL] = cools.map_or(words[UNTIL], |until| until.0.min(words[UNTIL]));
            }
            change = next(words, at);
            come = Some(at.next());
        }
        come
    }
}
