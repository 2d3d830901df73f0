//! Pure statistics: how far two sets of rows are apart, by their counts or by their numbers.
//!
//! One file per family of measures, all functions of what they are given:
//!
//! | | measures |
//! |---|---|
//! | [`divergence`] | PSI, Kullback-Leibler, Jensen-Shannon, Hellinger, total variation, largest difference of shares |
//! | [`contingency`] | chi-square and z tests of counts |
//! | [`kolmogorov`] | Kolmogorov-Smirnov: statistic and p-values |
//! | [`wasserstein`] | how far numbers moved, in their own unit |
//! | [`shift`] | missing values, new categories, mean, quantiles |
//! | [`no_drift`] | what PSI comes to by chance alone, and which categories made it |
//!
//! They stand on [`Histogram`] (counts by category), [`bins`] (numbers to categories), [`shares`]
//! (counts to shares, with the rule for empty categories), [`sample`] (sorted numbers) and [`tails`]
//! (probabilities).
//!
//! Every sum runs in the order of the categories, the bins or the sorted numbers, so an answer depends
//! on the rows alone, bit for bit, and never on the order in which they arrived.
//!
//! Two libraries that give a measure the same name often compute different things: other bins, other
//! shares for empty ones, another direction, another logarithm. Here each choice is an argument, and
//! the documentation says whose it is.

use std::collections::BTreeMap;

use crate::codec::{CodecError, Reader, Writer};

pub mod bins;
pub mod contingency;
pub mod divergence;
#[cfg(test)]
mod golden;
pub mod kolmogorov;
pub mod no_drift;
pub mod sample;
mod share;
pub mod shift;
pub mod tails;
pub mod wasserstein;

pub use share::{Counts, Share, Smoothing, shares, shares_of, side_by_side, to_one};

/// How many rows there are of each category.
///
/// Counts are signed, since rows that are taken back may be counted before those they take back;
/// once all rows of a tick are in, none is negative.
///
/// # State
/// One count per category that has rows. A category whose count returns to zero leaves nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: BTreeMap<i64, i64>,
    rows: i64,
}

impl Histogram {
    /// Adds `count` rows (less than none to take rows back) to a category.
    pub fn add(&mut self, category: i64, count: i64) {
        self.rows += count;
        let here = self.counts.entry(category).or_default();
        *here += count;
        if *here == 0 {
            self.counts.remove(&category);
        }
    }

    /// How many rows there are in all categories.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.rows
    }

    /// How many categories have rows.
    #[must_use]
    pub fn categories(&self) -> usize {
        self.counts.len()
    }

    /// Whether every category is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The categories that have rows, in the order of their codes, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (i64, i64)> {
        self.counts
            .iter()
            .map(|(category, count)| (*category, *count))
    }

    /// Writes the histogram.
    pub fn encode(&self, to: &mut Writer) {
        to.length(self.counts.len());
        for (category, count) in self.iter() {
            to.word(category);
            to.word(count);
        }
    }

    /// Reads a histogram that [`Histogram::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not a histogram.
    pub fn decode(from: &mut Reader<'_>) -> Result<Histogram, CodecError> {
        let mut histogram = Histogram::default();
        for _ in 0..from.length("the number of categories")? {
            let category = from.word("a category")?;
            let count = from.word("the rows of a category")?;
            if count == 0 || histogram.rows.checked_add(count).is_none() {
                return Err(CodecError {
                    what: "rows of categories that add up",
                    left: 0,
                });
            }
            histogram.add(category, count);
        }
        Ok(histogram)
    }
}

impl Extend<(i64, i64)> for Histogram {
    fn extend<I: IntoIterator<Item = (i64, i64)>>(&mut self, counts: I) {
        for (category, count) in counts {
            self.add(category, count);
        }
    }
}

impl FromIterator<(i64, i64)> for Histogram {
    fn from_iter<I: IntoIterator<Item = (i64, i64)>>(counts: I) -> Histogram {
        let mut histogram = Histogram::default();
        histogram.extend(counts);
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_that_returns_to_zero_leaves_nothing() {
        let mut histogram = Histogram::default();
        histogram.add(7, -2);
        histogram.add(7, 2);
        assert_eq!(histogram, Histogram::default());
    }

    #[test]
    fn histograms_survive_their_codec() {
        let histogram = Histogram::from_iter([(i64::MIN, 3), (0, 1), (i64::MAX, 1 << 40)]);
        let mut to = Writer::default();
        histogram.encode(&mut to);
        assert_eq!(
            Histogram::decode(&mut Reader::new(&to.bytes)),
            Ok(histogram)
        );
        assert!(Histogram::decode(&mut Reader::new(&to.bytes[..5])).is_err());
        let mut to = Writer::default();
        to.length(2);
        for word in [1, i64::MAX, 2, 1] {
            to.word(word);
        }
        assert!(Histogram::decode(&mut Reader::new(&to.bytes)).is_err());
    }
}
