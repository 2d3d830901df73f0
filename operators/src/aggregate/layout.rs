//! What the records of a ring hold, word by word.

use super::moments::{Moments, Wide};

/// What a record holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    pub(super) counts: bool,
    sums: bool,
    squares: bool,
    pub(super) values: bool,
    pub(super) totals: usize,
    pub(super) stride: usize,
}

/// Things a record may hold beside its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// The number of facts so far, where a record may stand for several.
    Counts,
    /// The sum so far.
    Sums,
    /// The sum of squares so far (and the sum).
    Squares,
    /// The fact's own value.
    Values,
}

impl Layout {
    /// The layout of records that hold all of these.
    #[must_use]
    pub fn new(holds: &[Holds]) -> Layout {
        let counts = holds.contains(&Holds::Counts);
        let squares = holds.contains(&Holds::Squares);
        let sums = squares || holds.contains(&Holds::Sums);
        let values = holds.contains(&Holds::Values);
        let totals = usize::from(counts) + 2 * usize::from(sums) + 3 * usize::from(squares);
        Layout {
            counts,
            sums,
            squares,
            values,
            totals,
            stride: totals + 1 + usize::from(values),
        }
    }

    /// Whether a record may stand for several facts.
    #[must_use]
    pub fn folds(&self) -> bool {
        self.counts
    }

    /// Whether records hold the fact's own value.
    #[must_use]
    pub fn has_values(&self) -> bool {
        self.values
    }

    /// What one fact adds to the totals.
    #[inline]
    pub(super) fn moments_of(&self, value: i64) -> Moments {
        if self.squares {
            return Moments::of(value);
        }
        Moments {
            n: 1,
            sum: i128::from(value),
            squares: Wide::default(),
        }
    }

    pub(super) fn load(&self, words: &[i64]) -> Moments {
        let double = |at: usize| words[at] as u64 as u128 | (words[at + 1] as u128) << 64;
        let mut moments = Moments::default();
        let mut at = 0;
        if self.counts {
            moments.n = words[at] as u64;
            at += 1;
        }
        if self.sums {
            moments.sum = double(at) as i128;
            at += 2;
        }
        if self.squares {
            moments.squares.low = double(at);
            moments.squares.high = words[at + 2] as u64 as u128;
        }
        moments
    }

    /// Writes totals to the front of `words`.
    pub(super) fn store(&self, moments: &Moments, words: &mut [i64]) {
        let mut at = 0;
        if self.counts {
            words[at] = moments.n as i64;
            at += 1;
        }
        if self.sums {
            words[at] = moments.sum as i64;
            words[at + 1] = (moments.sum >> 64) as i64;
            at += 2;
        }
        if self.squares {
            let Wide { high, low } = moments.squares;
            words[at] = low as i64;
            words[at + 1] = (low >> 64) as i64;
            words[at + 2] = high as i64;
        }
    }
}
