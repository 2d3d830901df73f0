//! What a trigger is told: its condition, lookups, cooldown and hold-out, and what its rows look like.

use std::fmt;

use serde::{Deserialize, Serialize};
use tidegate_schemas::names::code_of;
use tidegate_schemas::rows::{Kind, OutputColumn};
use tidegate_schemas::time::{Span, TimeUnit};

use crate::program::{Program, Type};

/// Column of the anchor's event id; null for episodes.
pub const EVENT_ID: usize = 0;
/// Column of the firing's time: the anchor's, or the opening of the episode.
pub const FIRED_AT: usize = 1;
/// Column of the episode's end; null while it is open, and for anchors.
pub const CLOSED_AT: usize = 2;
/// Column of the state: `fired` for anchors, `opened` or `closed` for episodes.
pub const STATE: usize = 3;
/// Column of the segment at the firing.
pub const SEGMENT: usize = 4;
/// Column of the arm: `treated` (everybody, without a hold-out) or `held_out`.
pub const ARM: usize = 5;
/// Column of the action; null for those held out.
pub const ACTION: usize = 6;
/// The first of the reasons: the registers that explain the firing, as they were at it.
pub const REASONS: usize = 7;

/// The texts behind the codes that triggers emit; whoever renders rows must know them.
pub const TEXTS: [&str; 5] = ["opened", "closed", "fired", "treated", "held_out"];

/// Which side of an experiment a key is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arm {
    /// It gets the action.
    Treated,
    /// It gets the row, without the action.
    HeldOut,
}

impl Arm {
    /// The arm as the code of its text.
    #[must_use]
    pub fn code(self) -> i64 {
        code_of(match self {
            Arm::Treated => "treated",
            Arm::HeldOut => "held_out",
        })
    }
}

/// Which keys are held out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HoldOut {
    /// The stable hash of the experiment's salt: another salt, another choice of keys.
    pub salt_hash: u64,
    /// The share of keys that are held out, from 0 to 100; hundredths of a percent count.
    pub percent: f64,
    /// The arm of every key, whatever its hash: for tests.
    pub assume: Option<Arm>,
}

impl HoldOut {
    /// The arm of the key with this stable hash.
    #[must_use]
    pub fn arm(&self, key_hash: u64) -> Arm {
        if let Some(arm) = self.assume {
            return arm;
        }
        // The finalizer of SplitMix64 over both hashes; its high bits choose one of 10,000 buckets.
        let mut mixed = key_hash ^ self.salt_hash.rotate_left(32);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let bucket = (u128::from(mixed) * 10_000) >> 64;
        if (bucket as f64) < (self.percent * 100.0).round() {
            Arm::HeldOut
        } else {
            Arm::Treated
        }
    }
}

/// A word of a table's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyPart {
    /// One of the inputs, by register.
    Register(usize),
    /// The trigger's segment.
    Segment,
    /// The key itself, as the code of its name.
    Entity,
}

/// A row of a table to look up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// Which table.
    pub table: usize,
    /// What its key is made of, word by word, in the table's own encoding of each.
    pub key: Vec<KeyPart>,
    /// How many columns the table has.
    pub columns: usize,
}

impl Lookup {
    /// Whether the segment must be known first.
    pub(super) fn by_segment(&self) -> bool {
        self.key.contains(&KeyPart::Segment)
    }
}

/// A trigger, by index. Its registers are the inputs, then the columns of each lookup in the order
/// of `lookups`, then the segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriggerSpec {
    /// The filter of the anchors; `None` for a trigger that is evaluated at changes.
    pub anchor: Option<u8>,
    /// How many registers features and sessions fill.
    pub inputs: usize,
    /// The rows of tables that it looks up.
    pub lookups: Vec<Lookup>,
    /// The segment. It sees the inputs and the columns of lookups that do not need it.
    pub segment: Option<Program>,
    /// The condition.
    pub when: Program,
    /// What closes an episode; `None`: the condition is not met any more.
    pub clear_when: Option<Program>,
    /// How long after a firing there is no other.
    pub cooldown: Option<Span>,
    /// Which keys get no action.
    pub holdout: Option<HoldOut>,
    /// The code of the action's name.
    pub action: Option<i64>,
    /// The registers that explain a firing.
    pub reasons: Vec<usize>,
    /// Which output has a row per firing, for good.
    pub firings: Option<usize>,
    /// Which output has every firing as it stands: opened, closed or fired.
    pub episodes: Option<usize>,
}

/// Why a specification makes no trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecError {
    /// A condition's value is not a truth.
    NotATruth {
        /// Which condition.
        what: &'static str,
        /// What its value is.
        found: Type,
    },
    /// A part reads a register that it cannot see.
    Register {
        /// Which part.
        what: &'static str,
        /// The register.
        register: usize,
    },
    /// A table is looked up by the segment, and there is none.
    NoSegment,
    /// Anchors fire and are over: nothing can be cleared.
    ClearAtAnchors,
    /// The share of a hold-out is not from 0 to 100.
    Share,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpecError::NotATruth { what, found } => {
                write!(f, "`{what}` must be true or false, and is {found}")
            }
            SpecError::Register { what, register } => {
                write!(f, "`{what}` cannot see register {register}")
            }
            SpecError::NoSegment => {
                f.write_str("a table is looked up by the segment, but there is no `segment`")
            }
            SpecError::ClearAtAnchors => {
                f.write_str("`clear_when` closes episodes, and a trigger at anchors has none")
            }
            SpecError::Share => f.write_str("the `percent` of a hold-out is from 0 to 100"),
        }
    }
}

impl std::error::Error for SpecError {}

impl TriggerSpec {
    /// The inputs that it looks at, some more than once.
    pub fn reads(&self) -> impl Iterator<Item = usize> {
        let programs = [
            Some(&self.when),
            self.clear_when.as_ref(),
            self.segment.as_ref(),
        ];
        let programs = programs.into_iter().flatten().flat_map(Program::reads);
        let keys = self.lookups.iter().flat_map(|lookup| &lookup.key);
        let keys = keys.filter_map(|part| match part {
            KeyPart::Register(register) => Some(*register),
            KeyPart::Segment | KeyPart::Entity => None,
        });
        let all = programs.chain(keys).chain(self.reasons.iter().copied());
        all.filter(|register| *register < self.inputs)
    }

    /// The register of a lookup's first column.
    #[must_use]
    pub fn first_register(&self, lookup: usize) -> usize {
        let before = self.lookups[..lookup].iter();
        self.inputs + before.map(|lookup| lookup.columns).sum::<usize>()
    }

    /// The register of the segment, the last one.
    #[must_use]
    pub fn segment_register(&self) -> usize {
        self.first_register(self.lookups.len())
    }

    /// The columns of the trigger's rows: times in `unit`, the segment as `segment`, and the reasons.
    #[must_use]
    pub fn columns(
        &self,
        unit: TimeUnit,
        segment: Kind,
        reasons: Vec<OutputColumn>,
    ) -> Vec<OutputColumn> {
        let event_id = match self.anchor {
            Some(_) => Kind::Id { shown: u64::MAX },
            None => Kind::Int,
        };
        let fixed = [
            ("event_id", event_id),
            ("fired_at", Kind::Time(unit)),
            ("closed_at", Kind::Time(unit)),
            ("state", Kind::Text),
            ("segment", segment),
            ("arm", Kind::Text),
            ("action", Kind::Text),
        ];
        let fixed = fixed.into_iter().map(|(name, kind)| OutputColumn {
            name: name.to_owned(),
            kind,
        });
        fixed.chain(reasons).collect()
    }

    /// Which columns, beside the key, tell one firing from another.
    #[must_use]
    pub fn identity(&self) -> Vec<usize> {
        match self.anchor {
            Some(_) => vec![EVENT_ID],
            None => vec![FIRED_AT],
        }
    }

    pub(super) fn check(&self) -> Result<(), SpecError> {
        let end = self.segment_register();
        let conditions = [
            ("when", Some(&self.when)),
            ("clear_when", self.clear_when.as_ref()),
        ];
        for (what, program) in conditions {
            let Some(program) = program else { continue };
            if program.result() != Type::Bool {
                let found = program.result();
                return Err(SpecError::NotATruth { what, found });
            }
            sees(what, program.reads(), |register| register <= end)?;
        }
        let early = |register| {
            let late = |lookup: usize| {
                let first = self.first_register(lookup);
                self.lookups[lookup].by_segment()
                    && (first..first + self.lookups[lookup].columns).contains(&register)
            };
            register < end && !(0..self.lookups.len()).any(late)
        };
        let segment = self.segment.iter().flat_map(Program::reads);
        sees("segment", segment, early)?;
        sees("explain", self.reasons.iter().copied(), |r| r <= end)?;
        let keys = self.lookups.iter().flat_map(|lookup| &lookup.key);
        let keys = keys.filter_map(|part| match part {
            KeyPart::Register(register) => Some(*register),
            KeyPart::Segment | KeyPart::Entity => None,
        });
        sees("key", keys, |register| register < self.inputs)?;
        if self.segment.is_none() && self.lookups.iter().any(Lookup::by_segment) {
            return Err(SpecError::NoSegment);
        }
        if self.anchor.is_some() && self.clear_when.is_some() {
            return Err(SpecError::ClearAtAnchors);
        }
        match &self.holdout {
            Some(holdout) if !(0.0..=100.0).contains(&holdout.percent) => Err(SpecError::Share),
            _ => Ok(()),
        }
    }
}

fn sees(
    what: &'static str,
    mut registers: impl Iterator<Item = usize>,
    visible: impl Fn(usize) -> bool,
) -> Result<(), SpecError> {
    match registers.find(|register| !visible(*register)) {
        Some(register) => Err(SpecError::Register { what, register }),
        None => Ok(()),
    }
}
