//! What of a trigger's state is enough to say what changed tables do to its episode.
//!
//! A driver keeps these words of all keys side by side ([`Logic::brief`](crate::logic::Logic::brief)): then a table
//! that every key looks up is answered without going to their states.

use tidegate_schemas::fact::NULL;
use tidegate_schemas::time::EventTime;

use super::telling::Firing;
use super::{Stance, State, Trigger, Turn};
use crate::logic::Outputs;
use crate::tables::Tables;

/// The word with the time at which the open episode opened; null if none is open.
const OPENED: usize = 0;
/// The word with [`State::last`].
const LAST: usize = 1;
/// The words of the open episode's segment and reasons.
const SEGMENT: usize = 2;
const REASONS: usize = 3;

fn time(word: i64) -> Option<EventTime> {
    (word != NULL).then_some(EventTime(word))
}

impl Trigger {
    /// How many words the brief of a key has.
    pub(crate) fn brief_words(&self) -> usize {
        REASONS + self.spec.reasons.len()
    }

    /// Writes the brief of a key.
    pub(crate) fn brief(&self, state: &State, to: &mut [i64]) {
        to.fill(NULL);
        to[LAST] = state.last.map_or(NULL, |last| last.0);
        if let Some(open) = &state.open {
            to[OPENED] = open.at.0;
            to[SEGMENT] = open.segment;
            to[REASONS..].copy_from_slice(&open.reasons);
        }
    }

    /// The last evaluation that looked anything up.
    #[inline]
    pub(crate) fn looked_at(&self, state: &State) -> Option<EventTime> {
        state.looked.as_ref().map(|looked| looked.at)
    }

    /// Whether the versions at `at` make the episode open or close then, if it stands until then
    /// as its brief says. What is read is as for [`Trigger::evaluate`].
    pub(crate) fn turns_at(
        &self,
        brief: &[i64],
        at: EventTime,
        registers: &mut Vec<i64>,
        tables: &Tables,
        key_name: &str,
    ) -> bool {
        let stance = self.stance_of(brief, at);
        self.turn_at(stance, at, registers, tables, key_name)
            .is_some()
    }

    /// How the episode stands at `at` if nothing comes between.
    #[inline]
    pub(crate) fn stance_of(&self, brief: &[i64], at: EventTime) -> Stance {
        self.stance(time(brief[OPENED]), time(brief[LAST]), at)
    }

    /// What the versions at `at` make of an episode that stands like this.
    pub(crate) fn turn_at(
        &self,
        stance: Stance,
        at: EventTime,
        registers: &mut Vec<i64>,
        tables: &Tables,
        key_name: &str,
    ) -> Option<Turn> {
        self.find(at, registers, tables, key_name);
        registers.truncate(self.segment + 1);
        self.turn(stance, registers)
    }

    /// When a row changes next that the key has looked up at `since`.
    pub(crate) fn next_change(
        &self,
        since: EventTime,
        registers: &mut Vec<i64>,
        tables: &Tables,
        key_name: &str,
    ) -> Option<EventTime> {
        self.find(since, registers, tables, key_name);
        self.keys(&registers[self.segment + 1..])
            .filter_map(|(table, key)| tables.tables[table].next_change(key, since))
            .min()
    }

    /// Does to the brief and puts out what [`Trigger::evaluate`] would do to the state at `at`, where [`Trigger::turn_at`]
    /// has said what that is.
    pub(crate) fn evaluate_brief(
        &self,
        brief: &mut [i64],
        turn: Option<Turn>,
        at: EventTime,
        registers: &mut Vec<i64>,
        tables: &Tables,
        out: &mut Outputs,
    ) {
        if self.cooled_down(time(brief[LAST]), at) {
            brief[LAST] = NULL;
        }
        match (time(brief[OPENED]), turn) {
            (Some(opened), Some(Turn::Closes)) => {
                let firing = Firing::of_episode(opened, brief[SEGMENT], &brief[REASONS..]);
                let last = self.close(firing, at, out);
                brief.fill(NULL);
                brief[LAST] = last.map_or(NULL, |last| last.0);
            }
            (None, Some(Turn::Opens)) => {
                self.find(at, registers, tables, out.key());
                brief[OPENED] = at.0;
                brief[SEGMENT] = registers[self.segment];
                for (to, register) in brief[REASONS..].iter_mut().zip(&self.spec.reasons) {
                    *to = registers[*register];
                }
                let firing = Firing::of_episode(at, brief[SEGMENT], &brief[REASONS..]);
                self.announce(firing, out);
            }
            _ => {}
        }
    }

    /// When the cooldown that runs is over.
    pub(crate) fn cools_until(&self, brief: &[i64]) -> Option<EventTime> {
        time(brief[LAST]).map(|last| last.plus(self.cooldown))
    }
}
