//! Verdicts on briefs that say the same are found once.
//!
//! When a table changes, all keys are asked about, and most say one of few things: so many contacts of such a topic, and an
//! episode that is open or not. What a trigger makes of that is the same for all of them.

use std::hash::Hasher;

use smallvec::SmallVec;
use tidegate_schemas::time::EventTime;

use crate::triggers::{Stance, Turn};
use crate::words::{WordHasher, same_words};

/// So many verdicts are kept.
const PLACES: usize = 64;

/// What a verdict depends on besides the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// Whose verdict.
    pub(super) trigger: usize,
    /// Of which moment.
    pub(super) at: EventTime,
    /// How the key's episode stands then.
    pub(super) stance: Stance,
    /// How often tables had changed.
    pub(super) changes: u64,
}

#[derive(Debug)]
struct Verdict {
    question: Question,
    registers: SmallVec<[i64; 4]>,
    turn: Option<Turn>,
}

/// Verdicts that were found.
///
/// # State
/// 64 of them at most; one that comes to the place of another takes it.
#[derive(Debug)]
pub(super) struct Verdicts {
    known: Vec<Option<Verdict>>,
}

impl Default for Verdicts {
    fn default() -> Verdicts {
        let known = (0..PLACES).map(|_| None).collect();
        Verdicts { known }
    }
}

impl Verdicts {
    /// The verdict on registers, found if it is not known.
    #[inline]
    pub(super) fn of(
        &mut self,
        question: Question,
        registers: &[i64],
        find: impl FnOnce() -> Option<Turn>,
    ) -> Option<Turn> {
        let mut hasher = WordHasher::default();
        hasher.write_usize(question.trigger * 4 + question.stance as usize);
        hasher.write_i64(question.at.0);
        registers.iter().for_each(|word| hasher.write_i64(*word));
        let place = &mut self.known[hasher.finish() as usize % PLACES];
        let same = |known: &&Verdict| {
            known.question == question && same_words(&known.registers, registers)
        };
        if let Some(known) = place.as_ref().filter(same) {
            return known.turn;
        }
        let turn = find();
        *place = Some(Verdict {
            question,
            registers: SmallVec::from_slice(registers),
            turn,
        });
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_found_once_and_again_when_anything_differs() {
        let mut verdicts = Verdicts::default();
        let asked = Question {
            trigger: 1,
            at: EventTime(5),
            stance: Stance::Open,
            changes: 1,
        };
        let others = [
            Question {
                trigger: 0,
                ..asked
            },
            Question {
                at: EventTime(6),
                ..asked
            },
            Question {
                stance: Stance::Closed,
                ..asked
            },
            Question {
                changes: 2,
                ..asked
            },
        ];
        let closes = Some(Turn::Closes);
        assert_eq!(verdicts.of(asked, &[3, 4], || closes), closes);
        for question in others {
            assert_eq!(
                verdicts.of(question, &[3, 4], || Some(Turn::Opens)),
                Some(Turn::Opens)
            );
        }
        assert_eq!(verdicts.of(asked, &[3, 5], || None), None);
        assert_eq!(verdicts.of(asked, &[3, 5], || unreachable!()), None);
        // Some of the others may have taken its place.
        assert_eq!(verdicts.of(asked, &[3, 4], || closes), closes);
    }
}
