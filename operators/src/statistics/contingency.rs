//! Tests of counts: how likely chance alone makes two sets of counts so different.
//!
//! | | takes the reference as | library |
//! |---|---|---|
//! | [`goodness_of_fit`] | known exactly | Evidently |
//! | [`independence`] | a sample like the other | NannyML, alibi-detect; SciPy's `chi2_contingency` |
//! | [`two_proportions`] | a sample like the other; two categories only | Evidently |
//!
//! The first says "drift" far more often: counts of 50, 30, 20 against 40, 30, 30 have p = 0.030 by it,
//! and 0.211 by the second. A p-value falls with the number of rows: with enough of them, every
//! difference is significant, however small.
//!
//! Categories without rows on either side do not count. All are approximations that want about five
//! expected rows in each category.

use super::Counts;
use super::tails::{chi_square, normal_both_sides};

/// What a chi-square test found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChiSquare {
    /// Σ (observed − expected)² / expected. From 0 (as expected) to ∞; it grows with the rows.
    pub statistic: f64,
    /// Degrees of freedom: categories less one.
    pub degrees: u64,
    /// How likely chance alone goes so far: from 1 down to 0. 1 if there is one category only.
    pub p: f64,
}

impl ChiSquare {
    fn of(statistic: f64, categories: usize) -> ChiSquare {
        let degrees = categories.saturating_sub(1) as u64;
        let p = match degrees {
            0 => 1.0,
            _ => chi_square(statistic, degrees),
        };
        ChiSquare {
            statistic,
            degrees,
            p,
        }
    }
}

/// The goodness of fit of the current counts to the shares of the reference: expected are the
/// reference's shares of the current rows. A category the reference lacks makes it infinite, with p = 0.
/// `None` when one of the sides has no rows.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::contingency::goodness_of_fit;
/// use tidegate_operators::statistics::{Histogram, side_by_side};
///
/// let reference = Histogram::from_iter([(1, 50), (2, 30), (3, 20)]);
/// let current = Histogram::from_iter([(1, 40), (2, 30), (3, 30)]);
/// let test = goodness_of_fit(&side_by_side(&reference, &current)).expect("both have rows");
/// assert_eq!((test.statistic, test.degrees), (7.0, 2));
/// assert!((test.p - 0.0301973834223185).abs() < 1e-15);
/// ```
#[must_use]
pub fn goodness_of_fit(counts: &[Counts]) -> Option<ChiSquare> {
    let (counts, n, m) = with_rows(counts)?;
    let terms = counts.iter().map(|here| {
        let expected = here.reference as f64 * (m / n);
        (here.current as f64 - expected).powi(2) / expected
    });
    Some(ChiSquare::of(terms.sum(), counts.len()))
}

/// Whether the categories are independent of the side: Pearson's chi-square of the 2 × k table, where
/// expected are the shares of both sides together. With two categories each difference is half a row
/// less (Yates' correction, as in SciPy). `None` when one of the sides has no rows.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::contingency::independence;
/// use tidegate_operators::statistics::{Histogram, side_by_side};
///
/// let reference = Histogram::from_iter([(1, 50), (2, 50)]);
/// let current = Histogram::from_iter([(1, 40), (2, 60)]);
/// let test = independence(&side_by_side(&reference, &current)).expect("both have rows");
/// assert!((test.statistic - 1.6363636363636362).abs() < 1e-15);
/// assert!((test.p - 0.20082512269514174).abs() < 1e-14);
/// ```
#[must_use]
pub fn independence(counts: &[Counts]) -> Option<ChiSquare> {
    let categories = with_rows(counts)?.0.len();
    pearson(counts, if categories == 2 { 0.5 } else { 0.0 })
}

/// As [`independence`], never corrected. With two categories it is the square of [`two_proportions`].
///
/// # Example
/// ```
/// use tidegate_operators::statistics::{Counts, contingency::independence_uncorrected};
///
/// let counts = [(50, 40), (50, 60)].map(|(reference, current)| Counts { reference, current });
/// let test = independence_uncorrected(&counts).expect("both have rows");
/// assert!((test.statistic - 2.0202020202020203).abs() < 1e-14);
/// ```
#[must_use]
pub fn independence_uncorrected(counts: &[Counts]) -> Option<ChiSquare> {
    pearson(counts, 0.0)
}

fn pearson(counts: &[Counts], correction: f64) -> Option<ChiSquare> {
    let (counts, n, m) = with_rows(counts)?;
    let term = |observed: i64, expected: f64| {
        let difference = (observed as f64 - expected).abs();
        (difference - difference.min(correction)).powi(2) / expected
    };
    let terms = counts.iter().map(|here| {
        let together = (here.reference + here.current) as f64;
        term(here.reference, together * n / (n + m)) + term(here.current, together * m / (n + m))
    });
    Some(ChiSquare::of(terms.sum(), counts.len()))
}

/// What a z test found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Z {
    /// The difference of the proportions, current less reference, over its deviation by chance.
    pub z: f64,
    /// How likely chance alone goes so far on either side: from 1 down to 0.
    pub p: f64,
}

/// Whether two proportions differ, by the pooled z test: of `n` and `m` rows, those that have some
/// property. `None` when one of the sides has no rows. If all rows have it, or none, p is 1.
///
/// # Panics
/// When more rows have the property than there are.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::contingency::two_proportions;
///
/// let test = two_proportions((50, 100), (40, 100)).expect("both have rows");
/// assert!((test.z * test.z - 2.0202020202020203).abs() < 1e-14);
/// assert!((test.p - 0.15521848968468005).abs() < 1e-14);
/// ```
#[must_use]
pub fn two_proportions(reference: (u64, u64), current: (u64, u64)) -> Option<Z> {
    let ((of_reference, n), (of_current, m)) = (reference, current);
    assert!(
        of_reference <= n && of_current <= m,
        "{of_reference} of {n} rows, and {of_current} of {m}"
    );
    if n == 0 || m == 0 {
        return None;
    }
    let (n, m) = (n as f64, m as f64);
    let together = (of_reference + of_current) as f64 / (n + m);
    let difference = of_current as f64 / m - of_reference as f64 / n;
    if difference == 0.0 {
        return Some(Z { z: 0.0, p: 1.0 });
    }
    let z = difference / (together * (1.0 - together) * (1.0 / n + 1.0 / m)).sqrt();
    Some(Z {
        z,
        p: normal_both_sides(z),
    })
}

/// The categories with rows on either side, and the rows of both; `None` if one has none.
fn with_rows(counts: &[Counts]) -> Option<(Vec<Counts>, f64, f64)> {
    let some = |here: &&Counts| here.reference != 0 || here.current != 0;
    let counts: Vec<Counts> = counts.iter().filter(some).copied().collect();
    let n: i64 = counts.iter().map(|here| here.reference).sum();
    let m: i64 = counts.iter().map(|here| here.current).sum();
    (n > 0 && m > 0).then_some((counts, n as f64, m as f64))
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::statistics::golden::close;

    fn both(counts: &[(i64, i64)]) -> Vec<Counts> {
        let pair = |&(reference, current)| Counts { reference, current };
        counts.iter().map(pair).collect()
    }

    #[test]
    fn three_categories_equal_the_published_values() {
        let counts = both(&[(50, 40), (30, 30), (20, 30)]);
        let fit = goodness_of_fit(&counts).expect("rows");
        close(fit.p, 0.030_197_383_422_318_5);
        let test = independence(&counts).expect("rows");
        close(test.statistic, 3.111_111_111_111_111);
        close(test.p, 0.211_072_087_791_090_3);
        assert_eq!(Some(test), independence_uncorrected(&counts));
    }

    #[test]
    fn two_categories_equal_the_published_values() {
        let counts = both(&[(50, 40), (0, 0), (50, 60)]);
        let test = independence(&counts).expect("rows");
        close(test.statistic, 1.636_363_636_363_636_2);
        close(test.p, 0.200_825_122_695_141_74);
        let plain = independence_uncorrected(&counts).expect("rows");
        close(plain.statistic, 2.020_202_020_202_020_3);
        close(plain.p, 0.155_218_489_684_680_05);
        let z = two_proportions((50, 100), (40, 100)).expect("rows");
        close(z.p, 0.155_218_489_684_680_05);
        assert!(z.z < 0.0);
    }

    #[test]
    fn a_category_the_reference_lacks_cannot_be_chance() {
        let fit = goodness_of_fit(&both(&[(10, 10), (0, 1)])).expect("rows");
        assert_eq!((fit.statistic, fit.p), (f64::INFINITY, 0.0));
        assert!(independence(&both(&[(10, 10), (0, 1)])).expect("rows").p > 0.3);
    }

    #[test]
    fn one_category_or_equal_proportions_differ_in_nothing() {
        for test in [goodness_of_fit, independence, independence_uncorrected] {
            let one = test(&both(&[(10, 3)])).expect("rows");
            assert_eq!((one.statistic, one.degrees, one.p), (0.0, 0, 1.0));
            let same = test(&both(&[(10, 5), (2, 1), (4, 2)])).expect("rows");
            assert_eq!((same.statistic, same.p), (0.0, 1.0));
            assert_eq!(test(&both(&[(10, 0)])), None);
            assert_eq!(test(&[]), None);
        }
        for all in [(0, 7), (7, 7)] {
            assert_eq!(two_proportions(all, all), Some(Z { z: 0.0, p: 1.0 }));
        }
        assert_eq!(two_proportions((0, 0), (1, 2)), None);
    }

    #[test]
    fn independence_is_the_same_both_ways_and_with_two_categories_the_square_of_z() {
        for seed in 0..300 {
            let mut rng = SmallRng::seed_from_u64(seed);
            let counts: Vec<(i64, i64)> = (0..rng.random_range(2..12))
                .map(|_| (rng.random_range(1..200), rng.random_range(0..200)))
                .collect();
            let swapped: Vec<(i64, i64)> = counts.iter().map(|(a, b)| (*b, *a)).collect();
            let (Some(one), Some(other)) =
                (independence(&both(&counts)), independence(&both(&swapped)))
            else {
                continue;
            };
            assert!(
                (one.statistic - other.statistic).abs() <= 1e-13 * one.statistic,
                "seed {seed}"
            );
            let [first, second] = [counts[0], counts[1]];
            let plain = independence_uncorrected(&both(&[first, second]));
            let z = two_proportions(
                (first.0 as u64, (first.0 + second.0) as u64),
                (first.1 as u64, (first.1 + second.1) as u64),
            );
            if let (Some(plain), Some(z)) = (plain, z) {
                assert!((plain.statistic - z.z * z.z).abs() <= 1e-12 * plain.statistic.max(1.0));
                assert!((plain.p - z.p).abs() <= 1e-12, "seed {seed}");
            }
        }
    }
}
