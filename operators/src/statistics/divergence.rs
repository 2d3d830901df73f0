//! Measures that are sums over the shares of two histograms: PSI and Kullback-Leibler, in nats.

use super::Share;

/// The population stability index: Σ (p − q) · ln(p / q), natural logarithm, with p the shares of
/// the current rows and q those of the reference.
///
/// It is the same both ways but for rounding, 0 for equal shares, and infinite where one side alone
/// has a share of zero. Without any drift it comes to about (k − 1)(1/n + 1/m) for k categories and
/// n and m rows: small samples look like drift.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::divergence::psi;
/// use tidegate_operators::statistics::{Histogram, Smoothing, shares};
///
/// let reference = Histogram::from_iter([(1, 500), (2, 500)]);
/// let current = Histogram::from_iter([(1, 60), (2, 40)]);
/// let shares = shares(&reference, &current, Smoothing::Floor(1e-4)).expect("both have rows");
/// assert!((psi(&shares) - 0.1 * (0.6f64 / 0.4).ln()).abs() < 1e-15);
/// ```
#[must_use]
pub fn psi(shares: &[Share]) -> f64 {
    shares
        .iter()
        .filter(|share| share.current != share.reference)
        .map(|share| (share.current - share.reference) * (share.current / share.reference).ln())
        .sum()
}

/// Which side a directed measure starts from. Libraries differ, and the two answers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// KL(current ‖ reference) = Σ current · ln(current / reference): what it costs to describe
    /// the current rows by the reference.
    CurrentFromReference,
    /// KL(reference ‖ current) = Σ reference · ln(reference / current).
    ReferenceFromCurrent,
}

/// The Kullback-Leibler divergence in nats: Σ p · ln(p / q), with p and q as `direction` says.
///
/// A category with p = 0 adds nothing; one with q = 0 < p makes it infinite. The shares are taken
/// as they are: with a smoothing whose shares do not add up to one it may fall below zero.
#[must_use]
pub fn kl(shares: &[Share], direction: Direction) -> f64 {
    shares
        .iter()
        .map(|share| match direction {
            Direction::CurrentFromReference => (share.current, share.reference),
            Direction::ReferenceFromCurrent => (share.reference, share.current),
        })
        .filter(|(p, _)| *p != 0.0)
        .map(|(p, q)| p * (p / q).ln())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::golden::{close, contacts as golden};
    use crate::statistics::{Histogram, Smoothing, shares};

    #[test]
    fn psi_equals_the_published_values() {
        // Evidently (a floor of 0.0001, not renormalised), Laplace, Hopsworks (a millionth on each count).
        close(psi(&golden(Smoothing::Floor(1e-4))), 1.103_601_408_044_551);
        close(
            psi(&golden(Smoothing::AddToCounts(1.0))),
            0.615_183_088_054_12,
        );
        close(
            psi(&golden(Smoothing::AddToCounts(1e-6))),
            2.025_326_135_757_022_3,
        );
        // Frouros: the smallest normal number.
        close(
            psi(&golden(Smoothing::Floor(f64::MIN_POSITIVE))),
            71.022_899_999_601_24,
        );
        assert_eq!(psi(&golden(Smoothing::Floor(0.0))), f64::INFINITY);
    }

    #[test]
    fn kl_equals_the_published_values() {
        let plain = golden(Smoothing::Floor(0.0));
        close(
            kl(&plain, Direction::ReferenceFromCurrent),
            0.319_515_929_825_088_5,
        );
        assert_eq!(kl(&plain, Direction::CurrentFromReference), f64::INFINITY);
        close(
            kl(
                &golden(Smoothing::AddToCounts(1e-6)),
                Direction::CurrentFromReference,
            ),
            1.705_810_387_662_085_4,
        );
    }

    #[test]
    fn kl_with_a_floor_equals_the_published_value_once_renormalised() {
        // Evidently lets SciPy scale the shares back to one: those of the reference add up to s
        // here, and scaling them turns KL into KL / s − ln s.
        let floored = golden(Smoothing::Floor(1e-4));
        let sum: f64 = floored.iter().map(|share| share.reference).sum();
        let answer = kl(&floored, Direction::ReferenceFromCurrent);
        close(answer / sum - sum.ln(), 0.318_693_279_969_359_8);
    }

    #[test]
    fn equal_shares_are_no_distance() {
        let same = Histogram::from_iter([(1, 5), (2, 3)]);
        for smoothing in [Smoothing::AddToCounts(0.5), Smoothing::Floor(1e-4)] {
            let shares = shares(&same, &same, smoothing).expect("rows");
            assert_eq!(psi(&shares), 0.0);
            assert_eq!(kl(&shares, Direction::CurrentFromReference), 0.0);
        }
    }

    #[test]
    fn without_shares_there_is_no_distance() {
        assert_eq!(psi(&[]), 0.0);
        assert_eq!(kl(&[], Direction::ReferenceFromCurrent), 0.0);
    }
}
