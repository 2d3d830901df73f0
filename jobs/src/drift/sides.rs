//! Both sides of a column side by side: sorted numbers or counts of categories, and their bins.

use std::collections::BTreeMap;

use tidegate_operators::statistics::Counts;
use tidegate_operators::statistics::bins::Numbers;
use tidegate_operators::statistics::sample::Sample;

use super::bins::{Binned, Bins};
use super::column::{Column, Values};

/// Both sides of a column; each has rows.
pub(super) enum Sides<'a> {
    Numbers {
        reference: Sample<'a>,
        current: Sample<'a>,
        numbers: Numbers,
    },
    Categories(BTreeMap<&'a str, Counts>),
}

impl<'a> Sides<'a> {
    /// Both sides, numbers sorted. `None` when one has no rows with a value, or they are of two kinds.
    pub(super) fn new(reference: &'a mut Column, current: &'a mut Column) -> Option<Sides<'a>> {
        let numbers = match reference.is_whole() && current.is_whole() {
            true => Numbers::Whole,
            false => Numbers::Real,
        };
        match (&mut reference.values, &mut current.values) {
            (Values::Numbers(reference), Values::Numbers(current)) => Some(Sides::Numbers {
                reference: Sample::sort(reference)?,
                current: Sample::sort(current)?,
                numbers,
            }),
            (Values::Categories(reference), Values::Categories(current)) => {
                if reference.is_empty() || current.is_empty() {
                    return None;
                }
                let none = Counts {
                    reference: 0,
                    current: 0,
                };
                let mut both = BTreeMap::new();
                for (name, count) in reference {
                    both.entry(name.as_str()).or_insert(none).reference = *count as i64;
                }
                for (name, count) in current {
                    both.entry(name.as_str()).or_insert(none).current = *count as i64;
                }
                Some(Sides::Categories(both))
            }
            _ => None,
        }
    }

    /// Counts both sides by these bins, which are of the column's kind.
    pub(super) fn counted(&self, bins: &Bins) -> Binned {
        match self {
            Sides::Numbers {
                reference,
                current,
                numbers,
            } => bins.count(*reference, *current, *numbers),
            Sides::Categories(both) => categories_counted(both, bins),
        }
    }
}

fn categories_counted(both: &BTreeMap<&str, Counts>, bins: &Bins) -> Binned {
    let apart = *bins == Bins::Reference;
    let known = both.iter().filter(|(_, n)| !apart || n.reference > 0);
    let (mut labels, mut counts): (Vec<String>, Vec<Counts>) = known
        .map(|(name, counts)| ((*name).to_owned(), *counts))
        .unzip();
    let others = both.values().filter(|n| apart && n.reference == 0);
    let current: i64 = others.map(|n| n.current).sum();
    if current > 0 {
        labels.push("(other)".to_owned());
        counts.push(Counts {
            reference: 0,
            current,
        });
    }
    Binned {
        labels,
        counts,
        centres: None,
    }
}
