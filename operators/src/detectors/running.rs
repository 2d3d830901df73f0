//! Running moments of a stream: the mean, and the variance beside it, each by one step a value.
//!
//! The steps run in the order of the rows, so what they round to is the same wherever the same rows
//! come in the same order. They are [`crate::aggregate::moments`] for numbers that are no integers
//! and are never taken back.

use crate::codec::{CodecError, Reader, Writer};

/// Every whole number up to here is a float.
const MOST: u64 = 1 << 53;

/// Reads a number of rows.
pub(super) fn count(from: &mut Reader<'_>, what: &'static str) -> Result<u64, CodecError> {
    match from.number(what)? {
        count if count < MOST => Ok(count),
        _ => Err(from.error(what)),
    }
}

/// How many values there were, and their mean: mean ← mean + 1/n · (x − mean).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Mean {
    pub(super) n: u64,
    pub(super) mean: f64,
}

impl Mean {
    pub(super) fn add(&mut self, value: f64) {
        self.n += 1;
        self.mean += 1.0 / self.n as f64 * (value - self.mean);
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        to.unsigned(u128::from(self.n));
        to.float(self.mean);
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Mean, CodecError> {
        Ok(Mean {
            n: count(from, "how many values a mean has")?,
            mean: from.float("a mean")?,
        })
    }
}

/// A mean, and the squared deviations from it: Σ ← Σ + (x − mean before) · (x − mean after).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spread {
    pub(super) mean: Mean,
    squares: f64,
}

impl Spread {
    pub(super) fn add(&mut self, value: f64) {
        let before = self.mean.mean;
        self.mean.add(value);
        self.squares += (value - before) * (value - self.mean.mean);
    }

    /// The standard deviation of a sample: √(Σ ÷ (n − 1)), and 0 for less than two values.
    pub(super) fn deviation(&self) -> f64 {
        if self.mean.n < 2 {
            return 0.0;
        }
        (self.squares / (self.mean.n - 1) as f64).sqrt()
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        self.mean.encode(to);
        to.float(self.squares);
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Spread, CodecError> {
        Ok(Spread {
            mean: Mean::decode(from)?,
            squares: from.float("squared deviations")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moments_are_those_of_all_values_at_once() {
        let mut spread = Spread::default();
        assert_eq!(spread.deviation(), 0.0);
        for value in [3.0, 5.0, 4.0, 7.0, 10.0, 12.0] {
            spread.add(value);
        }
        assert_eq!(spread.mean.n, 6);
        assert!((spread.mean.mean - 41.0 / 6.0).abs() < 1e-15);
        let variance = (343.0 - 41.0 * 41.0 / 6.0) / 5.0;
        assert!((spread.deviation() - f64::sqrt(variance)).abs() < 1e-15);
    }
}
