//! The Wasserstein-1 distance: how far numbers have moved, in their own unit.
//!
//! It is the area between two distribution functions, and the least mean distance by which the rows of
//! one sample must be moved to lie as those of the other. From 0 (the same distribution) without bound;
//! the same both ways. It sees how *far* values moved, which no measure of bins does, and one row far
//! out can make it large.

use super::Share;
use super::sample::Sample;

/// ∫ |F − G|, exact on the samples, in the unit of the column: SciPy's `wasserstein_distance`. NannyML
/// has it so for fewer than 10,000 rows in the reference.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::{sample::Sample, wasserstein};
///
/// let (left, right) = ([0.0, 1.0, 3.0], [5.0, 6.0, 8.0]);
/// let left = Sample::sorted(&left).expect("ascending");
/// let right = Sample::sorted(&right).expect("ascending");
/// assert_eq!(wasserstein::distance(left, right), 5.0);
/// ```
#[must_use]
pub fn distance(reference: Sample<'_>, current: Sample<'_>) -> f64 {
    let (left, right) = (reference.values(), current.values());
    let (n, m) = (left.len() as i128, right.len() as i128);
    let (mut i, mut j) = (0, 0);
    let mut at = left[0].min(right[0]);
    let mut area = 0.0;
    loop {
        let next = match (left.get(i), right.get(j)) {
            (Some(a), Some(b)) => a.min(*b),
            (Some(a), None) => *a,
            (None, Some(b)) => *b,
            (None, None) => break,
        };
        // From `at` to here the difference of the shares is a whole number over n · m.
        let between = (i as i128 * m - j as i128 * n).unsigned_abs();
        area += between as f64 * (next - at);
        at = next;
        i += left[i..].iter().take_while(|value| **value <= at).count();
        j += right[j..].iter().take_while(|value| **value <= at).count();
    }
    area / (n * m) as f64
}

/// The distance over the population's deviation of the reference, or over 0.001 if that is less: in
/// deviations, so that columns can be compared. Evidently.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::{sample::Sample, wasserstein};
///
/// let (left, right) = ([-1.0, 1.0], [-0.5, 1.5]);
/// let left = Sample::sorted(&left).expect("ascending");
/// let right = Sample::sorted(&right).expect("ascending");
/// assert_eq!(wasserstein::in_deviations(left, right), 0.5);
/// ```
#[must_use]
pub fn in_deviations(reference: Sample<'_>, current: Sample<'_>) -> f64 {
    distance(reference, current) / reference.deviation().max(0.001)
}

/// The distance of two histograms over the same bins, each row taken to be at the centre of its bin
/// ([`Edges::centres`](super::bins::Edges::centres)), in the unit of the column. Hopsworks.
///
/// # Panics
/// When there are not as many centres as shares.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::{Share, wasserstein};
///
/// let share = |reference, current| Share { reference, current };
/// let shares = [share(1.0, 0.5), share(0.0, 0.0), share(0.0, 0.5)];
/// assert_eq!(wasserstein::binned(&[0.5, 1.5, 2.5], &shares), 1.0);
/// ```
#[must_use]
pub fn binned(centres: &[f64], shares: &[Share]) -> f64 {
    assert_eq!(centres.len(), shares.len(), "one centre for each share");
    let (mut difference, mut area) = (0.0f64, 0.0);
    for (pair, share) in centres.windows(2).zip(shares) {
        difference += share.current - share.reference;
        area += difference.abs() * (pair[1] - pair[0]);
    }
    area
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::statistics::bins::Edges;
    use crate::statistics::golden;
    use crate::statistics::{Smoothing, shares_of};

    fn sample(values: &[f64]) -> Sample<'_> {
        Sample::sorted(values).expect("ascending numbers")
    }

    #[test]
    fn numbers_equal_the_published_values() {
        let (reference, current) = (golden::reference(), golden::current());
        let (reference, current) = (sample(&reference), sample(&current));
        golden::close(distance(reference, current), 0.091_847_302);
        golden::close(in_deviations(reference, current), 0.317_692_364_135_336_1);
    }

    #[test]
    fn the_distance_is_what_moving_the_rows_in_order_costs() {
        for seed in 0..300 {
            let mut rng = SmallRng::seed_from_u64(seed);
            let (n, m) = (rng.random_range(1..30), rng.random_range(1..30));
            let mut values = |rows: usize| {
                let mut values: Vec<f64> = (0..rows)
                    .map(|_| f64::from(rng.random_range(-20..20)))
                    .collect();
                values.sort_by(f64::total_cmp);
                values
            };
            let (left, right) = (values(n), values(m));
            // Each row m times, or n times, so that both sides have as many.
            let cost: f64 = (0..n * m).map(|k| (left[k / m] - right[k / n]).abs()).sum();
            let answer = distance(sample(&left), sample(&right));
            let expected = cost / (n * m) as f64;
            assert!(
                (answer - expected).abs() < 1e-12,
                "seed {seed}: {answer} {expected}"
            );
            assert_eq!(
                answer,
                distance(sample(&right), sample(&left)),
                "seed {seed}"
            );
            assert_eq!(distance(sample(&left), sample(&left)), 0.0, "seed {seed}");

            // A bin around each whole number has it as its centre.
            let edges = Edges::even(-20.5, 20.5, 41);
            let centres = edges.centres().expect("closed");
            let shares =
                shares_of(&edges.count_both(&left, &right), Smoothing::Floor(0.0)).expect("rows");
            assert!(
                (binned(&centres, &shares) - expected).abs() < 1e-12,
                "seed {seed}"
            );
        }
    }

    #[test]
    fn a_constant_reference_has_a_thousandth_for_its_deviation() {
        assert_eq!(in_deviations(sample(&[1.0]), sample(&[1.5])), 500.0);
    }

    #[test]
    fn without_bins_nothing_moved() {
        assert_eq!(binned(&[], &[]), 0.0);
    }
}
