//! The facts of a stretch of time, counted by category, by bin, or by value until bins are known.

use super::bag::Bag;
use super::cuts::{Bins, Cuts, Number};
use super::ledger::{Delta, Form};
use super::measures::{Side, Words};
use super::spec::Values;
use crate::codec::{CodecError, Reader, Writer};

/// How the values of a page become bins.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Binning {
    /// They are categories.
    Categories(tidegate_schemas::rows::Kind),
    /// They are numbers.
    Numbers {
        number: Number,
        rule: Bins,
        /// The edges by the reference as it is; `None` until it is frozen.
        cuts: Option<Cuts>,
        /// Whether they can still change. As long as they can, values are kept.
        fixed: bool,
    },
}

impl Binning {
    pub(super) fn of(values: &Values) -> Binning {
        match values {
            Values::Categories(kind) => Binning::Categories(kind.clone()),
            Values::Numbers(number, rule) => {
                let cuts = rule.known(*number);
                Binning::Numbers {
                    number: *number,
                    rule: rule.clone(),
                    fixed: cuts.is_some(),
                    cuts,
                }
            }
        }
    }

    /// The bin of a word, if bins are known.
    fn bin(&self, word: i64) -> Option<i64> {
        match self {
            Binning::Categories(_) => Some(word),
            Binning::Numbers { cuts, .. } => Some(cuts.as_ref()?.bin(word) as i64),
        }
    }

    /// Whether values must be kept.
    fn keeps_values(&self) -> bool {
        matches!(self, Binning::Numbers { fixed: false, .. })
    }

    /// Cuts anew by the reference. Answers whether bins became others.
    pub(super) fn cut(&mut self, reference: &mut Counts) -> bool {
        let Binning::Numbers {
            number,
            rule,
            cuts,
            fixed: false,
        } = self
        else {
            return false;
        };
        let new = rule.of(*number, reference.values.counts());
        let changed = cuts.as_ref() != Some(&new);
        *cuts = Some(new);
        if changed {
            reference.bin(self);
        }
        changed
    }

    /// Makes the edges final. Answers whether they were not before.
    pub(super) fn fix(&mut self) -> bool {
        match self {
            Binning::Numbers { fixed, .. } => !std::mem::replace(fixed, true),
            Binning::Categories(_) => false,
        }
    }

    /// The edges that never change again.
    pub(super) fn fixed(&self) -> Option<&Cuts> {
        match self {
            Binning::Numbers {
                fixed: true, cuts, ..
            } => cuts.as_ref(),
            _ => None,
        }
    }

    /// What bins are called; to be asked when they are known.
    pub(super) fn words(&self) -> Words<'_> {
        match self {
            Binning::Categories(kind) => Words::Categories(kind),
            Binning::Numbers { number, cuts, .. } => match cuts {
                Some(cuts) => Words::Bins(cuts, *number),
                None => panic!("numbers are measured when there are bins"),
            },
        }
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        if let Binning::Numbers { cuts, fixed, .. } = self {
            to.bool(*fixed);
            to.option(cuts.as_ref(), |to, cuts| cuts.encode(to));
        }
    }

    /// Reads what was saved of one that was declared so.
    pub(super) fn decode(&mut self, from: &mut Reader<'_>) -> Result<(), CodecError> {
        if let Binning::Numbers { cuts, fixed, .. } = self {
            *fixed = from.bool("whether the bins are fixed")?;
            *cuts = from.option("the edges", Cuts::decode)?;
            if *fixed && cuts.is_none() {
                return Err(from.error("the edges of fixed bins"));
            }
        }
        Ok(())
    }
}

/// The counts of a step, or of the reference.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counts {
    /// By category or bin, once bins are known.
    pub(super) bins: Bag,
    /// By value, as long as bins are not fixed.
    pub(super) values: Bag,
    /// Without a value.
    pub(super) missing: i64,
}

impl Counts {
    pub(super) fn add(&mut self, delta: &Delta, binning: &Binning) {
        self.missing += delta.missing;
        if delta.form == Form::Values && binning.keeps_values() {
            for (word, count) in &delta.counts {
                self.values.add(*word, *count);
            }
        }
        add_bins(&mut self.bins, delta, binning);
    }

    pub(super) fn add_counts(&mut self, other: &Counts) {
        self.bins.add_all(&other.bins, 1);
        self.values.add_all(&other.values, 1);
        self.missing += other.missing;
    }

    /// Puts all values into bins anew.
    pub(super) fn bin(&mut self, binning: &Binning) {
        self.bins = Bag::default();
        for (word, count) in self.values.counts() {
            if let Some(bin) = binning.bin(*word) {
                self.bins.add(bin, *count);
            }
        }
    }

    pub(super) fn drop_values(&mut self) {
        self.values = Bag::default();
    }

    /// How many rows have a value.
    pub(super) fn rows(&self) -> i64 {
        self.values.rows().max(self.bins.rows())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows() == 0 && self.missing == 0
    }

    pub(super) fn side(&mut self) -> Side<'_> {
        Side {
            bins: self.bins.counts(),
            missing: self.missing,
        }
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        self.bins.encode(to);
        self.values.encode(to);
        to.word(self.missing);
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Counts, CodecError> {
        Ok(Counts {
            bins: Bag::decode(from)?,
            values: Bag::decode(from)?,
            missing: from.word("the rows without a value")?,
        })
    }
}

/// Adds the bins of what is counted, if bins are known.
pub(super) fn add_bins(bins: &mut Bag, delta: &Delta, binning: &Binning) {
    match (delta.form, binning) {
        (Form::Bins, _) | (Form::Values, Binning::Categories(_)) => {
            for (bin, count) in &delta.counts {
                bins.add(*bin, *count);
            }
        }
        (Form::Values, Binning::Numbers { cuts: None, .. }) => {}
        (
            Form::Values,
            Binning::Numbers {
                cuts: Some(cuts), ..
            },
        ) => {
            for (word, count) in &delta.counts {
                bins.add(cuts.bin(*word) as i64, *count);
            }
        }
    }
}
