//! The two-sample Kolmogorov-Smirnov test: how far apart two distributions of numbers are at most,
//! and how likely chance alone takes two samples of one distribution so far.
//!
//! With F and G the shares of rows that are at most x, D = max over x of |F(x) − G(x)|. It has no
//! unit, is the same both ways, and goes from 0 (the same shares everywhere) to 1 (the samples do
//! not overlap). Ties are no trouble for D; the p-values hold for numbers without ties, and are too
//! large with them: the test then says "drift" less often than it may.
//!
//! | | p-value |
//! |---|---|
//! | SciPy's `ks_2samp`, and with it Evidently, NannyML below 10,000 rows and river's KSWIN | [`p`] |
//! | SciPy with `method="asymp"`, NannyML from 10,000 rows | [`asymptotic_p`] |

use super::Share;
use super::sample::Sample;

mod one_sample;

pub use one_sample::one_sample_p;

/// Up to how many rows in the larger sample [`p`] is exact, as SciPy does it.
pub const EXACT_UP_TO: usize = 10_000;

/// D of two samples. A pass over both; the difference is a whole number over n · m, so that only
/// the last division rounds.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::{kolmogorov, sample::Sample};
///
/// let h = |i: u32| f64::from(7919 * i % 1000) / 1000.0;
/// let mut reference: Vec<f64> = (0..500).map(h).collect();
/// let mut current: Vec<f64> = (500..900).map(|i| h(i) * h(i) + 0.1).collect();
/// let reference = Sample::sort(&mut reference).expect("finite numbers");
/// let current = Sample::sort(&mut current).expect("finite numbers");
///
/// let d = kolmogorov::statistic(reference, current);
/// assert_eq!(d, 0.162);
/// assert!((kolmogorov::p(d, 500, 400) / 1.487578673809167e-05 - 1.0).abs() < 1e-13);
/// ```
#[must_use]
pub fn statistic(reference: Sample<'_>, current: Sample<'_>) -> f64 {
    let (left, right) = (reference.values(), current.values());
    let (n, m) = (left.len() as i128, right.len() as i128);
    let (mut i, mut j, mut furthest) = (0, 0, 0);
    // Beyond the end of one sample the difference only shrinks.
    while i < left.len() && j < right.len() {
        let at = left[i].min(right[j]);
        while i < left.len() && left[i] <= at {
            i += 1;
        }
        while j < right.len() && right[j] <= at {
            j += 1;
        }
        furthest = furthest.max((i as i128 * m - j as i128 * n).abs());
    }
    furthest as f64 / (n * m) as f64
}

/// D of two histograms over the same bins, in the order of the bins: the largest difference of the
/// shares up to the end of a bin. At most D of the numbers themselves; 0 without bins. Hopsworks
/// does it this way, and NannyML from 10,000 rows.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::{Share, kolmogorov};
///
/// let share = |reference, current| Share { reference, current };
/// let d = kolmogorov::binned(&[share(0.5, 0.25), share(0.25, 0.25), share(0.25, 0.5)]);
/// assert_eq!(d, 0.25);
/// ```
#[must_use]
pub fn binned(shares: &[Share]) -> f64 {
    let (mut difference, mut furthest) = (0.0f64, 0.0f64);
    for share in shares {
        difference += share.current - share.reference;
        furthest = furthest.max(difference.abs());
    }
    furthest
}

/// The p-value of D for samples of n and m rows: exact where that is affordable (up to
/// [`EXACT_UP_TO`] rows in the larger), else asymptotic, as SciPy's `ks_2samp` chooses.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::kolmogorov::{asymptotic_p, exact_p, p};
///
/// assert_eq!(p(0.162, 500, 400), exact_p(0.162, 500, 400));
/// assert_eq!(p(0.162, 500, 20_000), asymptotic_p(0.162, 500, 20_000));
/// ```
#[must_use]
pub fn p(d: f64, n: usize, m: usize) -> f64 {
    match n.max(m) <= EXACT_UP_TO {
        true => exact_p(d, n, m),
        false => asymptotic_p(d, n, m),
    }
}

/// The exact p-value of D: the share of all orders in which n and m rows without ties can be mixed
/// that take the two distributions at least so far apart. From 1 down to 0; 1 if a sample is empty.
///
/// An order is a path on a grid from (0, 0) to (n, m), and it counts if it touches one of the two
/// lines |i / n − j / m| = D. Samples of one size have a closed form: about n steps. Others take about
/// 2 D · n · m steps of a recursion on the *touching* share (T. Viehmann, arXiv 2102.08037), which
/// unlike the count of paths that stay inside does not cancel where p is small.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::kolmogorov::exact_p;
///
/// // Two rows and one: in 2 of the 3 orders the single one is at an end, and D = 1.
/// assert!((exact_p(1.0, 2, 1) - 2.0 / 3.0).abs() < 1e-15);
/// // The two sides of river's KSWIN, at the limit of its default.
/// assert!(exact_p(14.0 / 30.0, 30, 30) < 0.005 && exact_p(13.0 / 30.0, 30, 30) > 0.005);
/// ```
#[must_use]
pub fn exact_p(d: f64, n: usize, m: usize) -> f64 {
    if n == 0 || m == 0 {
        return 1.0;
    }
    let divisor = greatest_common_divisor(n, m);
    // D is a whole number of these.
    let steps = (d * (n / divisor) as f64 * m as f64).round_ties_even() as i64;
    match steps {
        ..=0 => 1.0,
        _ if n == m => touching_of_equal_sizes(n as f64, steps as f64),
        _ => touching(n as i64, m as i64, divisor as i64, steps),
    }
    .min(1.0)
}

/// 2 · (1 − A₁ · (1 − A₂ · (…))) · A₀, by reflection: the number of paths that touch one of the lines
/// is 2 Σ ± C(2n, n − k·steps), and each A is the ratio of a term to the one before it.
fn touching_of_equal_sizes(n: f64, steps: f64) -> f64 {
    let mut p = 0.0;
    for k in (0..=(n / steps) as u64).rev() {
        let passed = k as f64 * steps;
        let (mut ratio, mut j) = (1.0, 0.0);
        while j < steps {
            ratio *= (n - passed - j) / (n + passed + j + 1.0);
            j += 1.0;
        }
        p = ratio * (1.0 - p);
    }
    2.0 * p
}

/// The share of paths from (0, 0) to (n, m) that touch |i · m' − j · n'| = steps, where n' and m' are
/// n and m over their common divisor.
///
/// A path comes to (i, j) by a step from (i − 1, j) with probability i / (i + j), else from
/// (i, j − 1). All points with the same i + j are computed at once: they depend on those before only.
fn touching(n: i64, m: i64, divisor: i64, steps: i64) -> f64 {
    let (n_part, m_part) = (n / divisor, m / divisor);
    let both = n_part + m_part;
    // By i. What was never inside the lines, or is no longer, has touched them: 1.
    let mut before = vec![1.0; n as usize + 2];
    let mut after = before.clone();
    before[0] = 0.0;
    for sum in 1..=n + m {
        // |i · m' − (sum − i) · n'| < steps, within the grid.
        let low = ((sum * n_part - steps).div_euclid(both) + 1)
            .max(sum - m)
            .max(0);
        let high = (sum * n_part + steps - 1).div_euclid(both).min(sum).min(n);
        if low > high {
            return 1.0;
        }
        let (first, last) = (low as usize, high as usize);
        let total = sum as f64;
        if first == 0 {
            after[0] = before[0];
        }
        let from = first.max(1);
        let (sources, targets) = (&before[from - 1..=last], &mut after[from..=last]);
        for (place, (pair, target)) in sources.windows(2).zip(targets).enumerate() {
            let i = (from + place) as f64;
            *target = (i * pair[0] + (total - i) * pair[1]) / total;
        }
        if first > 0 {
            after[first - 1] = 1.0;
        }
        std::mem::swap(&mut before, &mut after);
    }
    before[n as usize]
}

/// The p-value of D for large samples: that of a one-sample test with n m / (n + m) rows, rounded (half
/// to even). From 1 down to 0; 1 if a sample is empty.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::kolmogorov::asymptotic_p;
///
/// let p = asymptotic_p(0.162, 500, 400);
/// assert!((p / 1.4737544876057412e-05 - 1.0).abs() < 1e-13);
/// ```
#[must_use]
pub fn asymptotic_p(d: f64, n: usize, m: usize) -> f64 {
    let (n, m) = (n.max(m) as f64, n.min(m) as f64);
    let rows = (m * n / (m + n)).round_ties_even();
    one_sample_p(d, rows as u64)
}

fn greatest_common_divisor(mut n: usize, mut m: usize) -> usize {
    while m > 0 {
        (n, m) = (m, n % m);
    }
    n
}

#[cfg(test)]
mod tests;
