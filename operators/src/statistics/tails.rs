//! Tails of known distributions: how likely it is that chance alone goes so far.
//!
//! Probabilities of single outcomes are computed by C. Loader's saddle-point expansion ("Fast and
//! accurate computation of binomial probabilities", 2000), which neither overflows nor cancels; tails
//! are sums of them, all of one sign. So small tails keep their relative precision, to about 1e-14.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// P(|Z| ≥ |z|) of a standard normal Z: the two-sided tail. From 1 at z = 0 down to 0.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::tails::normal_both_sides;
///
/// let p = normal_both_sides(-1.959963984540054);
/// assert!((p - 0.05).abs() < 1e-15);
/// ```
#[must_use]
pub fn normal_both_sides(z: f64) -> f64 {
    libm::erfc(z.abs() * FRAC_1_SQRT_2)
}

/// P(X ≥ x) of a chi-square X with so many degrees of freedom: the upper tail. From 1 at x ≤ 0 down
/// to 0. Without degrees of freedom X is 0.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::tails::chi_square;
///
/// // With two degrees of freedom it is exp(−x / 2).
/// assert!((chi_square(7.0, 2) - 0.0301973834223185).abs() < 1e-16);
/// ```
#[must_use]
pub fn chi_square(x: f64, degrees: u64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    if degrees == 0 || x == f64::INFINITY {
        return 0.0;
    }
    // With h = x / 2 and a = degrees / 2 the tail is Σ e^−h h^k / Γ(k + 1) over k = a − 1, a − 2, …
    // down to 0, or to 1/2 and then erfc(√h); the other side of 1 is the same sum over k = a, a + 1, ….
    // The one whose terms shrink is taken, so that what is small is summed, not subtracted.
    let (half, mut k) = (x / 2.0, degrees as f64 / 2.0);
    let mut sum = 0.0;
    if k > half {
        let mut term = poisson(k, half);
        while term > sum * f64::EPSILON / 8.0 {
            sum += term;
            k += 1.0;
            term *= half / k;
        }
        return 1.0 - sum;
    }
    k -= 1.0;
    let mut term = if k >= 0.0 { poisson(k, half) } else { 0.0 };
    while k >= 0.0 && term > sum * f64::EPSILON / 8.0 {
        sum += term;
        term *= k / half;
        k -= 1.0;
    }
    match degrees % 2 {
        0 => sum,
        _ => sum + libm::erfc(half.sqrt()),
    }
}

/// The x that a chi-square with so many degrees of freedom stays below with this probability: the
/// inverse of 1 − [`chi_square`], to the last bit but a few.
///
/// # Panics
/// When `probability` is not at least 0 and less than 1.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::tails::chi_square_quantile;
///
/// assert!((chi_square_quantile(0.95, 9) - 16.918977604620448).abs() < 1e-13);
/// ```
#[must_use]
pub fn chi_square_quantile(probability: f64, degrees: u64) -> f64 {
    assert!(
        (0.0..1.0).contains(&probability),
        "a quantile has a probability of at least 0 and less than 1, not {probability}"
    );
    if degrees == 0 {
        return 0.0;
    }
    let above = |x: f64| chi_square(x, degrees) <= 1.0 - probability;
    let (mut low, mut high) = (0.0, degrees as f64);
    while !above(high) {
        (low, high) = (high, high * 2.0);
    }
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return high;
        }
        match above(middle) {
            true => high = middle,
            false => low = middle,
        }
    }
}

/// e^−mean · mean^k / Γ(k + 1), for any k ≥ 0 and mean > 0.
fn poisson(k: f64, mean: f64) -> f64 {
    if k == 0.0 {
        return (-mean).exp();
    }
    (-stirling_error(k) - deviance(k, mean)).exp() / (TAU * k).sqrt()
}

/// The probability of k successes in n trials of probability `mean` / n each, for 0 ≤ k ≤ n and
/// 0 < mean < n. `rest` is n − mean, which the caller may know better than as a difference.
pub(super) fn binomial(k: f64, n: f64, mean: f64, rest: f64) -> f64 {
    let failures = n - k;
    if k == 0.0 || failures == 0.0 {
        let (all, of) = if k == 0.0 { (rest, mean) } else { (mean, rest) };
        // (all / n)^n, where all + of = n.
        let log = if of < all {
            (-of / n).ln_1p()
        } else {
            (all / n).ln()
        };
        return (n * log).exp();
    }
    let exponent = stirling_error(n)
        - stirling_error(k)
        - stirling_error(failures)
        - deviance(k, mean)
        - deviance(failures, rest);
    exponent.exp() * (n / (TAU * k * failures)).sqrt()
}

/// ln Γ(x + 1) less Stirling's (x + ½) ln x − x + ½ ln 2π, for x > 0.
fn stirling_error(x: f64) -> f64 {
    if x < 16.0 {
        return stirling_error(x + 1.0) + (x + 0.5) * (1.0 / x).ln_1p() - 1.0;
    }
    let (r, r2) = (1.0 / x, 1.0 / (x * x));
    r * (1.0 / 12.0
        - r2 * (1.0 / 360.0
            - r2 * (1.0 / 1260.0
                - r2 * (1.0 / 1680.0 - r2 * (1.0 / 1188.0 - r2 * 691.0 / 360_360.0)))))
}

/// x ln(x / mean) + mean − x, without cancellation where x is about the mean.
fn deviance(x: f64, mean: f64) -> f64 {
    let (difference, sum) = (x - mean, x + mean);
    let v = difference / sum;
    if v.abs() >= 0.1 {
        return x * (x / mean).ln() - difference;
    }
    // ln(x / mean) = 2 artanh v, and 2 x v − difference = difference · v.
    let (mut total, mut power) = (difference * v, 2.0 * x * v);
    for odd in (3..).step_by(2) {
        power *= v * v;
        let next = total + power / f64::from(odd);
        if next == total {
            break;
        }
        total = next;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(answer: f64, expected: f64) {
        assert!(
            (answer - expected).abs() <= 5e-14 * expected.abs(),
            "{answer} is not {expected}"
        );
    }

    #[test]
    fn chi_square_equals_scipy() {
        close(
            chi_square(1.636_363_636_363_636_2, 1),
            0.200_825_122_695_141_74,
        );
        close(
            chi_square(2.020_202_020_202_020_3, 1),
            0.155_218_489_684_680_05,
        );
        close(chi_square(7.0, 2), 0.030_197_383_422_318_5);
        close(
            chi_square(3.111_111_111_111_111, 2),
            0.211_072_087_791_090_3,
        );
        assert_eq!(chi_square(0.0, 3), 1.0);
        assert_eq!(chi_square(f64::INFINITY, 3), 0.0);
        assert_eq!(chi_square(1.0, 0), 0.0);
    }

    #[test]
    fn chi_square_is_right_to_the_last_digits() {
        // By arithmetic of 30 digits; SciPy's own errors here are 2.6e-14 and 1.9e-14.
        let near =
            |answer: f64, exact: f64| assert!((answer / exact - 1.0).abs() < 1e-15, "{answer}");
        near(
            chi_square(2.020_202_020_202_020_3, 1),
            0.155_218_489_684_684_02,
        );
        near(
            chi_square(1.636_363_636_363_636_2, 1),
            0.200_825_122_695_145_4,
        );
    }

    #[test]
    fn chi_square_with_few_degrees_has_a_closed_form() {
        for x in [1e-9, 0.3, 1.0, 5.0, 40.0, 700.0] {
            let half: f64 = x / 2.0;
            close(chi_square(x, 1), libm::erfc(half.sqrt()));
            close(chi_square(x, 2), (-half).exp());
            close(chi_square(x, 4), (-half).exp() * (1.0 + half));
            close(
                chi_square(x, 6),
                (-half).exp() * (1.0 + half + half * half / 2.0),
            );
        }
    }

    #[test]
    fn the_tail_does_not_break_where_the_sum_changes_sides_and_with_many_degrees() {
        for degrees in [1, 2, 3, 10, 51, 10_000, 1_000_001] {
            let x = degrees as f64;
            let (below, at, above) = (
                chi_square(x * (1.0 - 1e-9), degrees),
                chi_square(x, degrees),
                chi_square(x * (1.0 + 1e-9), degrees),
            );
            assert!(below >= at && at >= above && below - above < 1e-5);
            assert!((0.3..0.5).contains(&at));
        }
    }

    #[test]
    fn quantiles_invert_the_tail() {
        for degrees in [1, 2, 9, 19, 100, 5000] {
            for probability in [0.0, 0.01, 0.5, 0.95, 0.999_999] {
                let x = chi_square_quantile(probability, degrees);
                let back = 1.0 - chi_square(x, degrees);
                assert!(
                    (back - probability).abs() < 1e-13,
                    "{degrees} {probability}"
                );
            }
        }
        assert_eq!(chi_square_quantile(0.95, 0), 0.0);
    }

    #[test]
    fn binomial_probabilities_are_those_of_pascals_triangle() {
        for (n, mean) in [(1.0, 0.25), (7.0, 2.0), (30.0, 29.9), (60.0, 0.01)] {
            let p: f64 = mean / n;
            let mut choose = 1.0;
            for k in 0..=n as i32 {
                let direct = choose * p.powi(k) * (1.0 - p).powi(n as i32 - k);
                let answer = binomial(f64::from(k), n, mean, n - mean);
                assert!(
                    (answer - direct).abs() <= 1e-12 * direct,
                    "{answer} {direct}"
                );
                choose *= (n - f64::from(k)) / f64::from(k + 1);
            }
        }
    }
}
