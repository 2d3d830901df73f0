//! What PSI comes to by chance alone, and which categories made it.
//!
//! A fixed limit of PSI means nothing without the number of rows: 200 rows against 200 in ten equal
//! bins go above 0.1 by chance in one of three cases, 10,000 against 10,000 never.

pub use self::limits::PsiLimits;
use super::Share;
use super::divergence::psi_of;
use super::tails::chi_square_quantile;

mod limits;

/// What PSI stays below with this probability if nothing has drifted: χ²(probability; B − 1) ·
/// (1/n + 1/m), with B bins, and n and m rows. 0 with one bin, infinite without rows.
///
/// It is a large-sample formula, a little low where bins hold few rows: simulated with ten equal bins and
/// 0.95, 0.176 for 200 against 200 rows (here 0.169), 0.0336 for 1000 against 1000 (0.0338). [`PsiLimits`] minds
/// what bins hold.
///
/// # Panics
/// When `probability` is not at least 0 and less than 1.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::no_drift::psi_limit;
///
/// assert!((psi_limit(0.95, 10, 200, 200) - 0.16918977604620448).abs() < 1e-15);
/// ```
#[must_use]
pub fn psi_limit(probability: f64, bins: usize, n: u64, m: u64) -> f64 {
    let degrees = bins.saturating_sub(1) as u64;
    if degrees == 0 {
        return 0.0;
    }
    chi_square_quantile(probability, degrees) * (1.0 / n as f64 + 1.0 / m as f64)
}

/// What each category adds to PSI, in nats, with its place among the shares: the largest first, equal
/// ones in their order. They add up to PSI, and none is negative.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::{Share, no_drift::contributions};
///
/// let share = |reference, current| Share { reference, current };
/// let moved = contributions(&[share(0.5, 0.4), share(0.3, 0.3), share(0.2, 0.3)]);
/// assert_eq!(moved.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [2, 0, 1]);
/// assert!((moved[0].1 - 0.1 * 1.5f64.ln()).abs() < 1e-15);
/// ```
#[must_use]
pub fn contributions(shares: &[Share]) -> Vec<(usize, f64)> {
    let mut terms: Vec<(usize, f64)> = shares.iter().map(psi_of).enumerate().collect();
    terms.sort_by(|(_, left), (_, right)| right.total_cmp(left));
    terms
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::statistics::divergence::psi;
    use crate::statistics::golden::{channels, close};
    use crate::statistics::{Counts, Smoothing, shares_of};

    #[test]
    fn limits_equal_the_published_ones() {
        for (bins, n, m, expected) in [
            (10, 200, 200, 0.169),
            (10, 1000, 1000, 0.0338),
            (10, 10_000, 1000, 0.0186),
            (20, 200, 200, 0.301),
            (20, 1000, 1000, 0.0603),
            (20, 10_000, 1000, 0.0332),
        ] {
            let limit = psi_limit(0.95, bins, n, m);
            assert!(
                (limit / expected - 1.0).abs() < 3e-3,
                "{bins} {n} {m}: {limit}"
            );
        }
        assert_eq!(psi_limit(0.95, 1, 200, 200), 0.0);
        assert_eq!(psi_limit(0.95, 10, 0, 200), f64::INFINITY);
    }

    #[test]
    fn without_drift_about_one_in_twenty_is_above_the_limit() {
        let seed = 7;
        let mut rng = SmallRng::seed_from_u64(seed);
        let limit = psi_limit(0.95, 10, 1000, 1000);
        let above = (0..4000).filter(|_| {
            let mut counts = [Counts {
                reference: 0,
                current: 0,
            }; 10];
            for _ in 0..1000 {
                counts[rng.random_range(0..10)].reference += 1;
                counts[rng.random_range(0..10)].current += 1;
            }
            let shares = shares_of(&counts, Smoothing::Floor(1e-4)).expect("rows");
            psi(&shares) > limit
        });
        let above = above.count();
        assert!((150..250).contains(&above), "seed {seed}: {above} of 4000");
    }

    #[test]
    fn contributions_add_up_to_psi_and_the_largest_is_first() {
        let shares = channels(Smoothing::Floor(1e-4));
        let terms = contributions(&shares);
        let places: Vec<usize> = terms.iter().map(|(place, _)| *place).collect();
        // App is new, chat is half as frequent, voice is twice, email is the same.
        assert_eq!(places, [3, 0, 2, 1]);
        close(terms.iter().map(|(_, term)| term).sum(), psi(&shares));
        assert_eq!(terms[3].1, 0.0);
        assert!(contributions(&[]).is_empty());
    }
}
