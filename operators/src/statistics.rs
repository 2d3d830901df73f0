//! Pure statistics on counts: histograms by category, and how far two of them are apart.
//!
//! One file per family of measures: [`divergence`] holds those that are sums over shares. Whoever
//! adds a family (tests, distances between distributions of numbers) adds a file.
//!
//! Every sum runs in the order of the category codes, so an answer depends on the counts alone, bit
//! for bit, and never on the order in which rows arrived.

use std::collections::BTreeMap;

use crate::codec::{CodecError, Reader, Writer};

pub mod divergence;
#[cfg(test)]
mod golden;
pub mod kolmogorov;
pub mod sample;
pub mod tails;

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

/// What a category's share is, in particular that of a category without rows: there the logarithm
/// of a plain share would be infinite, so *this choice is most of the result* when a category is
/// new or gone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Smoothing {
    /// Share = (count + c) / (rows + c · k), with k categories. The shares add up to one.
    /// 0.5 is Jeffreys' rule, 1 is Laplace's.
    AddToCounts(f64),
    /// Share = count / rows, raised to this where it is less. The shares are *not* scaled back to
    /// one. `Floor(0.0)` is no smoothing at all.
    Floor(f64),
}

impl Smoothing {
    fn share(self, count: i64, rows: i64, categories: usize) -> f64 {
        match self {
            Smoothing::AddToCounts(c) => (count as f64 + c) / (rows as f64 + c * categories as f64),
            Smoothing::Floor(least) => (count as f64 / rows as f64).max(least),
        }
    }
}

/// One category's share of the rows on both sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Its share of the reference.
    pub reference: f64,
    /// Its share of the rows that are compared with it.
    pub current: f64,
}

/// The shares of every category that has rows on either side, in the order of the codes.
/// `None` when one of the sides has no rows.
///
/// # Panics
/// When a count is negative: rows were taken back that had never been given.
#[must_use]
pub fn shares(
    reference: &Histogram,
    current: &Histogram,
    smoothing: Smoothing,
) -> Option<Vec<Share>> {
    if reference.is_empty() || current.is_empty() {
        return None;
    }
    let both = side_by_side(reference, current);
    let share = |count, rows| smoothing.share(count, rows, both.len());
    Some(
        both.iter()
            .map(|(of_reference, of_current)| Share {
                reference: share(*of_reference, reference.rows),
                current: share(*of_current, current.rows),
            })
            .collect(),
    )
}

fn side_by_side(reference: &Histogram, current: &Histogram) -> Vec<(i64, i64)> {
    let mut both = Vec::with_capacity(reference.counts.len().max(current.counts.len()));
    let (mut left, mut right) = (reference.iter().peekable(), current.iter().peekable());
    loop {
        let category = match (left.peek(), right.peek()) {
            (Some((a, _)), Some((b, _))) => *a.min(b),
            (Some((a, _)), None) => *a,
            (None, Some((b, _))) => *b,
            (None, None) => return both,
        };
        let of_reference = left.next_if(|(a, _)| *a == category).map_or(0, |(_, n)| n);
        let of_current = right.next_if(|(b, _)| *b == category).map_or(0, |(_, n)| n);
        assert!(
            of_reference >= 0 && of_current >= 0,
            "category {category} has {of_reference} rows in the reference and {of_current} beside \
             it: rows were taken back that had never been given"
        );
        both.push((of_reference, of_current));
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
    fn both_sides_share_the_union_of_their_categories() {
        let reference = Histogram::from_iter([(1, 3), (5, 1)]);
        let current = Histogram::from_iter([(5, 1), (9, 1), (-4, 2)]);
        assert_eq!(
            side_by_side(&reference, &current),
            [(0, 2), (3, 0), (1, 1), (0, 1)]
        );
        let shares = shares(&reference, &current, Smoothing::AddToCounts(0.5));
        let shares = shares.expect("both sides have rows");
        assert_eq!(shares[1].reference, 3.5 / 6.0);
        assert_eq!(shares[0].current, 2.5 / 6.0);
        assert!((shares.iter().map(|s| s.current).sum::<f64>() - 1.0).abs() < 1e-15);
    }

    #[test]
    fn a_floor_raises_small_shares_and_does_not_scale_the_others() {
        let reference = Histogram::from_iter([(1, 999), (2, 1)]);
        let current = Histogram::from_iter([(1, 1)]);
        let shares = shares(&reference, &current, Smoothing::Floor(0.01)).expect("rows");
        assert_eq!(
            shares[1],
            Share {
                reference: 0.01,
                current: 0.01
            }
        );
        assert_eq!(shares[0].reference, 0.999);
    }

    #[test]
    fn without_rows_on_both_sides_there_are_no_shares() {
        let some = Histogram::from_iter([(1, 1)]);
        let none = Histogram::default();
        for smoothing in [Smoothing::AddToCounts(0.5), Smoothing::Floor(1e-4)] {
            assert_eq!(shares(&some, &none, smoothing), None);
            assert_eq!(shares(&none, &some, smoothing), None);
        }
    }

    #[test]
    #[should_panic(expected = "never been given")]
    fn rows_taken_back_that_were_never_given_are_told() {
        let some = Histogram::from_iter([(1, 1)]);
        let _ = shares(
            &some,
            &Histogram::from_iter([(1, 1), (2, -1)]),
            Smoothing::Floor(0.0),
        );
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
