//! What of a key is enough to tell that changed tables leave it as it is.
//!
//! A table may be looked up by every key, and a change of it turn few of them. A driver keeps these words of all keys
//! side by side, so that it need not go to the state of a key, which lies in many places, to find that out.

use tidegate_schemas::fact::NULL;
use tidegate_schemas::time::EventTime;

use super::{Entity, State};
use crate::features::Features;
use crate::logic::{Logic, Wake};
use crate::parcel::TableRow;
use crate::triggers::{KeyPart, Stance, Trigger};

/// The words of a brief: up to when it holds, the open episodes (a bit each), and the registers that are read.
///
/// # State
/// 16 bytes a key and 8 for each register.
#[derive(Clone, Debug)]
pub(super) struct Brief {
    /// The triggers that follow tables, by index.
    triggers: Vec<usize>,
    /// The registers that they read, in order.
    reads: Vec<usize>,
}

/// Where the words are that are not registers.
const UNTIL: usize = 0;
const OPEN: usize = 1;
const READS: usize = 2;

impl Brief {
    /// The brief of an entity; `None` where there is nothing to tell, or not enough could be told: values move
    /// with the clock, or tables are looked up by the key's name.
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
        if by_name || !steady || !(1..=64).contains(&followers.len()) {
            return None;
        }
        let mut reads: Vec<usize> = specs().flat_map(|spec| spec.reads()).collect();
        reads.sort_unstable();
        reads.dedup();
        Some(Brief {
            triggers: followers,
            reads,
        })
    }

    pub(super) fn words(&self) -> usize {
        READS + self.reads.len()
    }
}

impl Entity {
    pub(super) fn write_brief(&self, state: &State, at: EventTime, to: &mut [i64]) {
        let Some(brief) = &self.brief else {
            return;
        };
        to.fill(NULL);
        to[OPEN] = 0;
        let Some(more) = &state.more else {
            // Nothing of it was ever evaluated.
            to[UNTIL] = EventTime::MAX.0;
            return;
        };
        to[UNTIL] = EventTime::MIN.0;
        let registers = &mut *self.registers.borrow_mut();
        if !self.foretell(&state.session, more, at, registers) {
            return;
        }
        // One whose cooldown runs counts as closed: it may be asked about in vain.
        for (bit, index) in brief.triggers.iter().enumerate() {
            let stance = self.triggers[*index].stance(&more.triggers[*index], at);
            to[OPEN] |= i64::from(stance == Stance::Open) << bit;
        }
        for (to, register) in to[READS..].iter_mut().zip(&brief.reads) {
            *to = registers[*register];
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
        let (registers, tables) = (&mut *self.registers.borrow_mut(), &*self.tables.borrow());
        brief.triggers.iter().enumerate().any(|(bit, index)| {
            let trigger = &self.triggers[*index];
            let stance = match words[OPEN] >> bit & 1 {
                0 => Stance::Closed,
                _ => Stance::Open,
            };
            rows.iter().any(|row| {
                // The others are looked at by nobody.
                registers.resize(trigger.spec().inputs, NULL);
                for (register, word) in brief.reads.iter().zip(&words[READS..]) {
                    registers[*register] = *word;
                }
                trigger.versions_turn(stance, row.at, registers, tables, "")
            })
        })
    }
}
