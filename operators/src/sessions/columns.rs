//! The columns of a session: what each keeps, and what it shows.

use std::collections::BTreeSet;

use tidegate_schemas::fact::{Fact, NULL, float_word};
use tidegate_schemas::rows::{Column, Kind};

use super::{Measure, SessionColumn, SessionOp};
use crate::aggregate::moments::word_of_sum;
use crate::codec::{CodecError, Reader, Writer};

/// How many accumulator words a state holds without a box.
pub(super) const INLINE: usize = 4;

/// What does not fit into a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Boxed {
    slots: Box<[i64]>,
    runs: Box<[Run]>,
}

/// Everything a session keeps for its columns, wherever it is.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a> {
    slots: &'a [i64],
    runs: &'a [Run],
}

impl<'a> Kept<'a> {
    pub(super) fn of(inline: &'a [i64; INLINE], boxed: Option<&'a Boxed>) -> Kept<'a> {
        match boxed {
            None => Kept {
                slots: inline,
                runs: &[],
            },
            Some(boxed) => Kept {
                slots: &boxed.slots,
                runs: &boxed.runs,
            },
        }
    }
}

/// What a column keeps that has no fixed size.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Run {
    List(Vec<i64>),
    Distinct(BTreeSet<i64>),
}

/// How a value that takes part changes what is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fold {
    Count,
    Any,
    Sum,
    /// Divided by `unit`, the number of smallest units in one.
    Mean {
        unit: f64,
    },
    Min,
    Max,
    First,
    Last,
    /// From first to last.
    Extent,
    Distinct,
    List {
        k: usize,
    },
}

impl Fold {
    /// What the accumulator words of an empty column are. The sum's are its low and high half and
    /// the count of values.
    fn fresh(self) -> &'static [i64] {
        match self {
            Fold::Count | Fold::Any => &[0],
            Fold::Sum | Fold::Mean { .. } => &[0, 0, 0],
            Fold::Min | Fold::Max | Fold::First | Fold::Last => &[NULL],
            Fold::Extent => &[NULL, NULL],
            Fold::Distinct | Fold::List { .. } => &[],
        }
    }

    fn run(self) -> Option<Run> {
        match self {
            Fold::Distinct => Some(Run::Distinct(BTreeSet::new())),
            Fold::List { .. } => Some(Run::List(Vec::new())),
            _ => None,
        }
    }
}

/// A column, compiled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compiled {
    /// Bits a fact must have.
    mask: u64,
    /// Which word of the fact; `None`: its time.
    word: Option<usize>,
    fold: Fold,
    /// Its first accumulator word, or its run.
    place: usize,
    empty: i64,
}

impl Compiled {
    pub(crate) fn new(column: &SessionColumn) -> Compiled {
        let (fold, of) = match &column.op {
            SessionOp::Count => (Fold::Count, None),
            SessionOp::Any => (Fold::Any, None),
            SessionOp::FirstTime => (Fold::First, None),
            SessionOp::LastTime => (Fold::Last, None),
            SessionOp::Duration => (Fold::Extent, None),
            SessionOp::Sum(of) => (Fold::Sum, Some(of)),
            SessionOp::Mean(of) => (Fold::Mean { unit: unit(of) }, Some(of)),
            SessionOp::Min(of) => (Fold::Min, Some(of)),
            SessionOp::Max(of) => (Fold::Max, Some(of)),
            SessionOp::First(of) => (Fold::First, Some(of)),
            SessionOp::Last(of) => (Fold::Last, Some(of)),
            SessionOp::CountDistinct(of) => (Fold::Distinct, Some(of)),
            SessionOp::List { of, k } => (Fold::List { k: *k }, Some(of)),
        };
        let fits = |of: &Measure| match fold {
            Fold::Sum | Fold::Mean { .. } => is_number(&of.kind),
            Fold::Min | Fold::Max => {
                is_number(&of.kind) || matches!(of.kind, Kind::Float | Kind::Time(_))
            }
            _ => true,
        };
        assert!(
            of.is_none_or(fits),
            "{:?} is not made of such a word",
            column.op
        );
        assert!(
            column.filter.is_none_or(|bit| bit < 64),
            "a fact has 64 bits: {column:?}"
        );
        Compiled {
            mask: column.filter.map_or(0, |bit| 1 << bit),
            word: of.map(|of| of.word),
            fold,
            place: 0,
            empty: column.empty.word(),
        }
    }

    /// Whether words alone are kept, and no run.
    pub(crate) fn keeps_words(&self) -> bool {
        self.fold.run().is_none()
    }

    /// Keeps its words behind those that `fresh` has, which are what empty columns keep.
    pub(crate) fn place(&mut self, fresh: &mut Vec<i64>) {
        self.place = fresh.len();
        fresh.extend(self.fold.fresh());
    }

    /// Adds a fact, if it takes part, to a column that keeps words alone.
    pub(crate) fn add_words(&self, slots: &mut [i64], fact: &Fact<'_>) {
        self.add(slots, &mut [], fact);
    }

    /// What a column shows that keeps words alone.
    pub(crate) fn word_of(&self, slots: &[i64]) -> i64 {
        self.word(Kept { slots, runs: &[] })
    }

    fn takes(&self, fact: &Fact<'_>) -> bool {
        fact.bits & self.mask == self.mask
    }

    /// What the fact brings to the column, if it takes part.
    fn value(&self, fact: &Fact<'_>) -> Option<i64> {
        if !self.takes(fact) {
            return None;
        }
        let value = self.word.map_or(fact.at.0, |word| fact.words[word]);
        (value != NULL).then_some(value)
    }

    /// Adds a fact, if it takes part.
    fn add(&self, slots: &mut [i64], runs: &mut [Run], fact: &Fact<'_>) {
        // The common columns take every fact, without a branch on its bits.
        match self.fold {
            Fold::Count | Fold::Any => slots[self.place] += i64::from(self.takes(fact)),
            _ => {
                if let Some(value) = self.value(fact) {
                    self.add_value(slots, runs, value);
                }
            }
        }
    }

    fn add_value(&self, slots: &mut [i64], runs: &mut [Run], value: i64) {
        let place = self.place;
        match self.fold {
            Fold::Count | Fold::Any => slots[place] += 1,
            Fold::Sum | Fold::Mean { .. } => {
                let slots = &mut slots[place..place + 3];
                // A session has fewer than 2^63 facts, so 128 bits hold the sum of their words.
                let sum = joined(slots[0], slots[1]) + i128::from(value);
                slots[0] = sum as i64;
                slots[1] = (sum >> 64) as i64;
                slots[2] += 1;
            }
            Fold::Min if slots[place] == NULL => slots[place] = value,
            Fold::Min => slots[place] = slots[place].min(value),
            // NULL is the least of all words.
            Fold::Max => slots[place] = slots[place].max(value),
            Fold::First if slots[place] == NULL => slots[place] = value,
            Fold::First => {}
            Fold::Last => slots[place] = value,
            Fold::Extent => {
                if slots[place] == NULL {
                    slots[place] = value;
                }
                slots[place + 1] = value;
            }
            Fold::Distinct | Fold::List { .. } => match (&mut runs[place], self.fold) {
                (Run::List(list), Fold::List { k }) if list.len() < k => list.push(value),
                (Run::List(_), _) => {}
                (Run::Distinct(set), _) => {
                    set.insert(value);
                }
            },
        }
    }

    /// What the column shows; null for a list.
    pub(super) fn word(&self, kept: Kept<'_>) -> i64 {
        let (slots, place) = (kept.slots, self.place);
        let shown = match self.fold {
            Fold::Count | Fold::Any if slots[place] == 0 => NULL,
            Fold::Any => 1,
            Fold::Sum | Fold::Mean { .. } if slots[place + 2] == 0 => NULL,
            Fold::Sum => return word_of_sum(joined(slots[place], slots[place + 1])),
            Fold::Mean { unit } => {
                let sum = joined(slots[place], slots[place + 1]);
                float_word(sum as f64 / (slots[place + 2] as f64 * unit))
            }
            Fold::Extent if slots[place] == NULL => NULL,
            Fold::Extent => slots[place + 1].saturating_sub(slots[place]),
            Fold::Distinct => match &kept.runs[place] {
                Run::Distinct(set) if !set.is_empty() => set.len() as i64,
                _ => NULL,
            },
            Fold::List { .. } => return NULL,
            Fold::Count | Fold::Min | Fold::Max | Fold::First | Fold::Last => slots[place],
        };
        if shown == NULL { self.empty } else { shown }
    }

    /// Adds what the column shows to `to`.
    #[inline]
    pub(super) fn show(&self, kept: Kept<'_>, to: &mut Column) {
        match self.fold {
            Fold::Count => {
                let count = kept.slots[self.place];
                to.push(if count == 0 { self.empty } else { count });
            }
            Fold::List { .. } => match &kept.runs[self.place] {
                Run::List(list) => to.push_list(list.iter().copied()),
                Run::Distinct(_) => to.push_list([]),
            },
            _ => to.push(self.word(kept)),
        }
    }
}

/// What a fact is counted for, if all columns only count and fit into a state.
fn counts(columns: &[Compiled]) -> Option<[(u64, u64); INLINE]> {
    // Words that no column has count nothing: no bits are ever 1 of none.
    let mut counts = [(0, 1); INLINE];
    for column in columns {
        let counter = matches!(column.fold, Fold::Count | Fold::Any);
        *counts.get_mut(column.place).filter(|_| counter)? = (column.mask, column.mask);
    }
    Some(counts)
}

/// The columns of a session and where each keeps its words.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) columns: Box<[Compiled]>,
    /// The accumulator words of a new session.
    fresh: Box<[i64]>,
    /// How many columns have a run.
    runs: usize,
    /// By inline word, the bits that a fact must have and have got to be counted there, if all
    /// columns count.
    counts: Option<[(u64, u64); INLINE]>,
}

impl Plan {
    pub(super) fn new(columns: &[SessionColumn]) -> Plan {
        let mut columns: Box<[Compiled]> = columns.iter().map(Compiled::new).collect();
        let mut fresh = Vec::new();
        let mut runs = 0;
        for column in &mut columns {
            if column.keeps_words() {
                column.place(&mut fresh);
            } else {
                column.place = runs;
                runs += 1;
            }
        }
        if runs == 0 && fresh.len() <= INLINE {
            fresh.resize(INLINE, 0);
        }
        Plan {
            counts: counts(&columns),
            columns,
            fresh: fresh.into(),
            runs,
        }
    }

    /// Whether only the bits of facts are looked at.
    pub(super) fn only_counts(&self) -> bool {
        self.counts.is_some()
    }

    /// The inline words of a new session, if its columns need no box.
    fn inline(&self) -> Option<&[i64; INLINE]> {
        match self.runs {
            0 => (*self.fresh).try_into().ok(),
            _ => None,
        }
    }

    fn new_box(&self) -> Box<Boxed> {
        Box::new(Boxed {
            slots: self.fresh.clone(),
            runs: self.columns.iter().filter_map(|c| c.fold.run()).collect(),
        })
    }

    /// Makes the accumulators those of a session without facts.
    pub(super) fn begin(&self, inline: &mut [i64; INLINE], boxed: &mut Option<Box<Boxed>>) {
        match self.inline() {
            Some(fresh) => *inline = *fresh,
            None => *boxed = Some(self.new_box()),
        }
    }

    /// Adds a fact to every column it takes part in.
    #[inline]
    pub(super) fn add(
        &self,
        inline: &mut [i64; INLINE],
        boxed: Option<&mut Boxed>,
        fact: &Fact<'_>,
    ) {
        if let Some(counts) = &self.counts {
            for (slot, (mask, wanted)) in inline.iter_mut().zip(counts) {
                *slot += i64::from(fact.bits & mask == *wanted);
            }
            return;
        }
        let (slots, runs): (&mut [i64], &mut [Run]) = match boxed {
            None => (inline, &mut []),
            Some(boxed) => (&mut boxed.slots, &mut boxed.runs),
        };
        for column in &self.columns {
            column.add(slots, runs, fact);
        }
    }

    pub(super) fn encode(&self, kept: Kept<'_>, to: &mut Writer) {
        for (slot, fresh) in kept.slots.iter().zip(&self.fresh) {
            // As the distance from an empty column, so that what holds nothing takes one byte.
            to.word(slot.wrapping_sub(*fresh));
        }
        for run in kept.runs {
            match run {
                Run::List(list) => write_words(list.len(), list, to),
                Run::Distinct(set) => write_words(set.len(), set, to),
            }
        }
    }

    pub(super) fn decode(
        &self,
        inline: &mut [i64; INLINE],
        boxed: &mut Option<Box<Boxed>>,
        from: &mut Reader<'_>,
    ) -> Result<(), CodecError> {
        self.begin(inline, boxed);
        let (slots, runs): (&mut [i64], &mut [Run]) = match boxed.as_deref_mut() {
            None => (inline, &mut []),
            Some(boxed) => (&mut boxed.slots, &mut boxed.runs),
        };
        for slot in slots {
            *slot = slot.wrapping_add(from.word("a column of a session")?);
        }
        for run in runs {
            let length = from.length("length of a list")?;
            let words = (0..length).map(|_| from.word("a value of a list"));
            match run {
                Run::List(list) => *list = words.collect::<Result<_, _>>()?,
                Run::Distinct(set) => *set = words.collect::<Result<_, _>>()?,
            }
        }
        Ok(())
    }
}

fn write_words<'a>(length: usize, words: impl IntoIterator<Item = &'a i64>, to: &mut Writer) {
    to.length(length);
    for word in words {
        to.word(*word);
    }
}

/// Whether words of this kind can be added and compared as integers.
fn is_number(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Int | Kind::Fixed { .. } | Kind::Span | Kind::Bool
    )
}

/// How many of the smallest units of a measure make one.
fn unit(of: &Measure) -> f64 {
    match of.kind {
        Kind::Fixed { scale } => 10f64.powi(scale.into()),
        Kind::Span => 1e6,
        _ => 1.0,
    }
}

fn joined(low: i64, high: i64) -> i128 {
    i128::from(high) << 64 | i128::from(low as u64)
}
