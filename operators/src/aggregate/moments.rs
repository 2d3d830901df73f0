//! Exact moments: how many values, their sum, and the sum of their squares, as integers.
//!
//! Integer moments are free of order and can be subtracted, so a window's moments are the running
//! totals at its head less those at its tail. Floats appear only in [`Moments::mean`] and
//! [`Moments::variance`], by one division at the end.

use serde::{Deserialize, Serialize};
use tidegate_schemas::fact::NULL;

/// Which variance is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// Σ(x − mean)² ÷ n.
    Population,
    /// Σ(x − mean)² ÷ (n − 1); none for a single value.
    Sample,
}

/// A whole number below 2²⁵⁶, wide enough for the sum of any 2⁶⁴ squares of words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wide {
    /// The upper 128 bits.
    pub high: u128,
    /// The lower 128 bits.
    pub low: u128,
}

impl Wide {
    /// The product of two numbers, in full.
    #[must_use]
    pub fn product(a: u128, b: u128) -> Wide {
        const HALF: u128 = u64::MAX as u128;
        let (a1, a0, b1, b0) = (a >> 64, a & HALF, b >> 64, b & HALF);
        let middle = a1 * b0 + ((a0 * b0) >> 64);
        let carried = a0 * b1 + (middle & HALF);
        Wide {
            high: a1 * b1 + (middle >> 64) + (carried >> 64),
            low: carried << 64 | ((a0 * b0) & HALF),
        }
    }

    /// The sum, wrapping at 2²⁵⁶.
    #[must_use]
    pub fn plus(self, other: Wide) -> Wide {
        let (low, carry) = self.low.overflowing_add(other.low);
        let high = self.high.wrapping_add(other.high);
        Wide {
            high: high.wrapping_add(u128::from(carry)),
            low,
        }
    }

    /// The difference, wrapping at zero.
    #[must_use]
    pub fn minus(self, other: Wide) -> Wide {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        let high = self.high.wrapping_sub(other.high);
        Wide {
            high: high.wrapping_sub(u128::from(borrow)),
            low,
        }
    }

    /// The nearest float, or one next to it.
    #[must_use]
    pub fn to_float(self) -> f64 {
        // 2^128 as a float.
        const STEP: f64 = 340_282_366_920_938_463_463_374_607_431_768_211_456.0;
        self.high as f64 * STEP + self.low as f64
    }
}

/// Count, sum and sum of squares of some words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    /// How many.
    pub n: u64,
    /// Their sum.
    pub sum: i128,
    /// The sum of their squares; only kept where a column needs it.
    pub squares: Wide,
}

impl Moments {
    /// The moments of one word.
    #[must_use]
    pub fn of(word: i64) -> Moments {
        let size = u128::from(word.unsigned_abs());
        Moments {
            n: 1,
            sum: i128::from(word),
            squares: Wide {
                high: 0,
                low: size * size,
            },
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Moments) -> Moments {
        Moments {
            n: self.n.wrapping_add(other.n),
            sum: self.sum.wrapping_add(other.sum),
            squares: self.squares.plus(other.squares),
        }
    }

    /// These without some of them.
    #[must_use]
    pub fn minus(self, other: Moments) -> Moments {
        Moments {
            n: self.n.wrapping_sub(other.n),
            sum: self.sum.wrapping_sub(other.sum),
            squares: self.squares.minus(other.squares),
        }
    }

    /// The sum as a word ([`word_of_sum`]); none without values.
    #[must_use]
    pub fn sum_word(&self) -> Option<i64> {
        (self.n > 0).then(|| word_of_sum(self.sum))
    }

    /// Σx ÷ n ÷ 10^scale; none without values.
    #[must_use]
    pub fn mean(&self, scale: u8) -> Option<f64> {
        (self.n > 0).then(|| self.sum as f64 / (self.n as f64 * ten_to(scale)))
    }

    /// (n·Σx² − (Σx)²) ÷ (n·d) ÷ 10^(2·scale) with d = n or n − 1. The numerator is exact.
    #[must_use]
    pub fn variance(&self, spread: Spread, scale: u8) -> Option<f64> {
        let freedom = match spread {
            Spread::Population => self.n,
            Spread::Sample => self.n.saturating_sub(1),
        };
        if freedom == 0 {
            return None;
        }
        let n = u128::from(self.n);
        let size = self.sum.unsigned_abs();
        let times_n = Wide::product(self.squares.low, n);
        let upper = self.squares.high.wrapping_mul(n);
        let times_n = times_n.plus(Wide {
            high: upper,
            low: 0,
        });
        let numerator = times_n.minus(Wide::product(size, size)).to_float();
        let denominator = (n * u128::from(freedom)) as f64;
        Some(numerator / denominator / ten_to(scale) / ten_to(scale))
    }
}

/// A sum as a word; one beyond the range of words is null, because any number would be wrong.
#[must_use]
pub fn word_of_sum(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(NULL)
}

/// 10 to the power of a scale, exact for every scale up to 22.
#[must_use]
pub fn ten_to(scale: u8) -> f64 {
    10f64.powi(i32::from(scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(words: &[i64]) -> Moments {
        words
            .iter()
            .fold(Moments::default(), |m, w| m.plus(Moments::of(*w)))
    }

    #[test]
    fn empty_and_single_values() {
        let none = Moments::default();
        assert_eq!((none.sum_word(), none.mean(0)), (None, None));
        assert_eq!(none.variance(Spread::Population, 0), None);
        let one = moments(&[250]);
        assert_eq!(one.mean(2), Some(2.5));
        assert_eq!(one.variance(Spread::Population, 2), Some(0.0));
        assert_eq!(one.variance(Spread::Sample, 2), None);
    }

    #[test]
    fn variance_is_exact_where_floats_cancel() {
        // A large offset leaves a float formula nothing; the integer one keeps 2/3 and 1.
        let base = 1_000_000_000_000_000_000;
        let m = moments(&[base, base + 1, base + 2]);
        assert_eq!(m.variance(Spread::Population, 0), Some(2.0 / 3.0));
        assert_eq!(m.variance(Spread::Sample, 0), Some(1.0));
    }

    #[test]
    fn the_extremes_of_words_do_not_overflow() {
        let m = moments(&[i64::MAX, i64::MIN + 1, i64::MAX, i64::MIN + 1]);
        assert_eq!(m.sum_word(), Some(0));
        let squared = (i64::MAX as f64) * (i64::MAX as f64);
        assert_eq!(m.variance(Spread::Population, 0), Some(squared));
        for word in [i64::MAX, i64::MIN + 1] {
            assert_eq!(moments(&[word]).sum_word(), Some(word));
            assert_eq!(moments(&[word; 2]).sum_word(), Some(NULL));
        }
        let rest = m.minus(moments(&[i64::MAX, i64::MIN + 1]));
        assert_eq!(rest, moments(&[i64::MAX, i64::MIN + 1]));
    }

    #[test]
    fn wide_products_carry() {
        let max = Wide::product(u128::MAX, u128::MAX);
        assert_eq!((max.high, max.low), (u128::MAX - 1, 1));
        let one_less = max.minus(Wide { high: 0, low: 2 });
        assert_eq!((one_less.high, one_less.low), (u128::MAX - 2, u128::MAX));
        assert_eq!(one_less.plus(Wide { high: 0, low: 2 }), max);
    }
}
