//! What a set of features is made of: one specification per output column, by index.
//!
//! # Rules for all columns
//! - A column sees the facts of the key that pass its `filter`, whose measure is not null (where it
//!   has one), and that are inside its window. Only [`Nulls::Keep`] makes null a value like others,
//!   which sorts before them.
//! - Facts are in (time, id) order; "first", "last" and every list go by it.
//! - Where a column has nothing to say it shows `empty`; each [`Op`] names the usual word for it.
//! - A list has no null: with nothing to list it is empty.

use std::fmt;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tidegate_schemas::fact::NULL;
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::Span;

use crate::aggregate::moments::Spread;
use crate::aggregate::window::Bounds;

/// The features of one entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeaturesSpec {
    /// One per output column.
    pub features: Vec<FeatureSpec>,
    /// The filter bit of facts that get a row on `anchor_output`.
    pub anchor: Option<u8>,
    /// Words of an anchor fact that its row shows.
    pub carry: Vec<Measure>,
    /// Which ends of the windows belong to them.
    pub bounds: Bounds,
    /// Where anchor rows go.
    pub anchor_output: Option<usize>,
    /// Where current rows go.
    pub current_output: Option<usize>,
    /// The columns that somebody (a trigger) reads as they change: every change of theirs needs its
    /// timer. With a `current_output` that is so of all columns.
    pub tracked: BTreeSet<usize>,
}

/// One output column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureSpec {
    /// What is computed.
    pub op: Op,
    /// The bit of the filter that a fact must pass; none lets every fact pass.
    pub filter: Option<u8>,
    /// The measure or category it is computed of.
    pub of: Option<Measure>,
    /// Whether a fact whose measure is null counts.
    pub nulls: Nulls,
    /// How far back it looks; none is the key's lifetime.
    pub window: Option<Span>,
    /// The hop of the window's tail ([`crate::aggregate::window::Window`]); none is exact.
    pub hop: Option<Span>,
    /// The word shown where there is nothing; see [`Op::usual_empty`].
    pub empty: i64,
}

/// A word of the facts, and how it reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    /// Which word.
    pub word: usize,
    /// How it reads.
    pub kind: Kind,
}

/// What a null measure does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nulls {
    /// The fact does not count.
    #[default]
    Skip,
    /// Null is a value like others; only for columns that show values and do not calculate.
    Keep,
}

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Newest first.
    NewestFirst,
    /// Oldest first.
    OldestFirst,
}

/// What a column computes. `xᵢ` are the values in its window in (time, id) order, n of them, and t
/// is the time at which it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// n. Without a measure it counts facts, with one the values that are not null. Empty: 0.
    Count,
    /// Whether n > 0. Empty: false.
    Any,
    /// Σ xᵢ, exact; beyond the range of words null, whatever `empty` is. Empty: null.
    Sum,
    /// Σ xᵢ ÷ n, one division of exact integers. Empty: null.
    Mean,
    /// The least value. Empty: null.
    Min,
    /// The greatest value. Empty: null.
    Max,
    /// (n·Σxᵢ² − (Σxᵢ)²) ÷ (n·d), with an exact numerator; d = n (population) or n − 1 (sample).
    /// Empty, and for a sample of one: null.
    Variance(Spread),
    /// The square root of the variance. Empty, and for a sample of one: null.
    Deviation(Spread),
    /// The oldest value; at equal times that of the smallest id. Empty: null.
    First,
    /// The newest value; at equal times that of the greatest id. Empty: null.
    Last,
    /// The k oldest values, as a list. Empty: an empty list.
    FirstK {
        /// The most values listed.
        k: u32,
        /// In which order they are listed; which ones are listed does not depend on it.
        order: Order,
    },
    /// The k newest values, as a list. Empty: an empty list.
    LastK {
        /// The most values listed.
        k: u32,
        /// In which order they are listed; which ones are listed does not depend on it.
        order: Order,
    },
    /// How many different values there are. Empty: 0.
    CountDistinct,
    /// The k different values that were seen last, ordered by when each was last seen. Empty: an
    /// empty list.
    DistinctK {
        /// The most values listed.
        k: u32,
        /// In which order they are listed; which ones are listed does not depend on it.
        order: Order,
    },
    /// The k most frequent values with their counts, most frequent first; at equal counts the
    /// smaller text (or number) first. Empty: an empty list.
    Histogram {
        /// The most values listed.
        k: u32,
    },
    /// The count of the most frequent value. Empty: 0.
    MaxCountBy,
    /// Facts that pass `filter` ÷ facts that pass `over`, in the same window. Empty, which is when
    /// no fact passes `over`: null.
    Ratio {
        /// The filter of the denominator; none counts every fact.
        over: Option<u8>,
    },
    /// t − the time of the newest fact before t; facts at t itself do not count, so that an anchor
    /// tells how long ago the one before it was. It grows with the clock: see
    /// [`Op::moves_with_the_clock`]. Empty: null.
    TimeSinceLast,
    /// The longest time between two successive facts that are both inside; the time since the
    /// last one is not a gap yet. Empty, which is with fewer than two facts: null.
    LongestGap,
    /// −Σ p·ln p in nats over the shares p of the different values, added up from the most frequent
    /// to the rarest. 0 where there is one value. Empty: null.
    Entropy,
    /// Σ xᵢ·2^(−(t − tᵢ) ÷ half-life) over the lifetime, folded in fact order. It fades with the
    /// clock: see [`Op::moves_with_the_clock`]. Empty: null.
    DecayedSum {
        /// After this time a value counts half.
        half_life: Span,
    },
}

/// What a column is computed of must be so.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Number,
    Ordered,
    Value,
}

impl Op {
    /// The word a column usually shows where it has nothing to say: 0 for counts, null otherwise.
    #[must_use]
    pub fn usual_empty(self) -> i64 {
        match self {
            Op::Count | Op::Any | Op::CountDistinct | Op::MaxCountBy => 0,
            _ => NULL,
        }
    }

    /// Whether the value moves without any fact entering or leaving. A current row shows such a
    /// column as of the row's time; its moving alone makes no new row.
    #[must_use]
    pub fn moves_with_the_clock(self) -> bool {
        matches!(self, Op::TimeSinceLast | Op::DecayedSum { .. })
    }

    /// Whether a row shows a list.
    #[must_use]
    pub fn is_list(self) -> bool {
        matches!(
            self,
            Op::FirstK { .. } | Op::LastK { .. } | Op::DistinctK { .. } | Op::Histogram { .. }
        )
    }

    fn needs(self) -> Needs {
        match self {
            Op::Count | Op::Any | Op::Ratio { .. } | Op::TimeSinceLast | Op::LongestGap => {
                Needs::Nothing
            }
            Op::Sum | Op::Mean | Op::Variance(_) | Op::Deviation(_) | Op::DecayedSum { .. } => {
                Needs::Number
            }
            Op::Min | Op::Max => Needs::Ordered,
            _ => Needs::Value,
        }
    }
}

impl FeatureSpec {
    /// How the column's words read.
    #[must_use]
    pub fn kind(&self) -> Kind {
        let of = || self.of.as_ref().map_or(Kind::Int, |m| m.kind.clone());
        match self.op {
            Op::Count | Op::CountDistinct | Op::MaxCountBy => Kind::Int,
            Op::Any => Kind::Bool,
            Op::Sum if self.scale() > 0 => Kind::Fixed {
                scale: self.scale(),
            },
            Op::Sum => Kind::Int,
            Op::Mean
            | Op::Variance(_)
            | Op::Deviation(_)
            | Op::Ratio { .. }
            | Op::Entropy
            | Op::DecayedSum { .. } => Kind::Float,
            Op::Min | Op::Max | Op::First | Op::Last => of(),
            Op::FirstK { .. } | Op::LastK { .. } | Op::DistinctK { .. } => {
                Kind::List(Box::new(of()))
            }
            Op::Histogram { .. } => Kind::Histogram(Box::new(of())),
            Op::TimeSinceLast | Op::LongestGap => Kind::Span,
        }
    }

    /// Digits behind the point of the measure.
    #[must_use]
    pub fn scale(&self) -> u8 {
        match self.of.as_ref().map(|m| &m.kind) {
            Some(Kind::Fixed { scale }) => *scale,
            _ => 0,
        }
    }

    /// Whether this can be computed; the answer says in plain words why not.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let kind = self.of.as_ref().map(|m| &m.kind);
        let number = matches!(kind, Some(Kind::Int | Kind::Fixed { .. } | Kind::Bool));
        let ordered = number || matches!(kind, Some(Kind::Float | Kind::Time(_) | Kind::Span));
        if matches!(kind, Some(Kind::List(_) | Kind::Histogram(_))) {
            return Err("it is computed of a list");
        }
        match self.op.needs() {
            needs if needs != Needs::Value && self.nulls == Nulls::Keep => {
                return Err("it cannot count nulls as values");
            }
            Needs::Value if kind.is_none() => return Err("it needs a measure or category"),
            Needs::Number if !number => return Err("it needs a number"),
            Needs::Ordered if !ordered => return Err("it needs a number or a time"),
            _ => {}
        }
        let over = match self.op {
            Op::Ratio { over } => over,
            _ => None,
        };
        if [self.filter, over]
            .into_iter()
            .flatten()
            .any(|bit| bit > 63)
        {
            return Err("its filter is not one of 64 bits");
        }
        if let Op::FirstK { k: 0, .. } | Op::LastK { k: 0, .. } = self.op {
            return Err("it lists no values");
        }
        match (self.op, self.window, self.hop) {
            (Op::DecayedSum { .. }, Some(_), _) => Err("a decayed sum has a half-life, no window"),
            (Op::DecayedSum { half_life }, _, _) if half_life <= Span::ZERO => {
                Err("its half-life is not longer than nothing")
            }
            (_, Some(window), _) if window <= Span::ZERO => {
                Err("its window is not longer than nothing")
            }
            (_, Some(window), Some(hop)) if hop <= Span::ZERO || hop > window => {
                Err("its hop is not longer than nothing and at most its window")
            }
            (_, None, Some(_)) => Err("it has a hop but no window"),
            _ => Ok(()),
        }
    }
}

/// A specification that cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    /// Which column, from 0.
    pub column: usize,
    /// Why, in plain words.
    pub why: &'static str,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "feature column {}: {}", self.column, self.why)
    }
}

impl std::error::Error for SpecError {}
