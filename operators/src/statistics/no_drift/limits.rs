//! The limit of PSI without drift, by what the bins hold.
//!
//! [`psi_limit`] is exact for many rows. Where bins hold few, PSI is larger by chance: of 200 rows in 20 even
//! bins one window in twelve is above it, in 30 categories as frequent as words are, almost every second one.
//! So the mean and the variance of PSI without drift are computed from the counts of the bins, and the limit
//! is that of a gamma distribution with these:
//!
//! - A bin whose share is π has Poisson counts on both sides. With x and y what they are relative to what is
//!   expected, it adds π(x − y)(ln x − ln y), of which mean and variance follow from the moments of one side each:
//!   summed up where fewer than [`FEW`] rows are expected, else by a series in one over what is expected.
//! - All bins together hold as many rows as there are: for many rows that takes one of the B degrees of freedom, so
//!   (1/n + 1/m) goes off the mean, and twice its square off the variance.
//! - π is taken from both sides together. An empty side of a bin has the share that the smoothing gives it.
//! - The quantile is that of Wilson and Hilferty (PNAS 17, 1931), with the z that makes it exact for many rows.
//!
//! [`MARGIN`] is put on top, so that what is neglected errs to the quiet side. Simulated, less than 5% of windows are
//! above the limit of 95%, from 2 to 20 bins and with 200 as with 10,000 rows. It does not hold where categories are
//! too many for the rows of the reference: 200 rows of 30 make it 5.6%, and 200 rows of 200 most windows.

use super::psi_limit;
use crate::statistics::{Counts, Smoothing};

/// From so many expected rows on the series is used; what it neglects is at most 4% of a moment.
const FEW: f64 = 12.0;

/// What the limit is multiplied by.
const MARGIN: f64 = 1.02;

/// Computes limits of one probability, and remembers what only depends on the number of bins.
#[derive(Clone, Debug)]
pub struct PsiLimits {
    probability: f64,
    /// By the number of bins: the limit of many rows, for 1/n + 1/m = 1.
    of_many: Vec<f64>,
}

impl PsiLimits {
    /// # Panics
    /// In [`PsiLimits::of`], when `probability` is not at least 0 and less than 1.
    #[must_use]
    pub fn new(probability: f64) -> PsiLimits {
        PsiLimits {
            probability,
            of_many: Vec::new(),
        }
    }

    /// What PSI of these counts stays below with the probability if nothing has drifted. 0 with one bin,
    /// infinite without rows.
    ///
    /// # Example
    /// ```
    /// use tidegate_operators::statistics::no_drift::{PsiLimits, psi_limit};
    /// use tidegate_operators::statistics::{Counts, Smoothing};
    ///
    /// let counts = |rows| [Counts { reference: rows, current: rows }; 10];
    /// let mut limits = PsiLimits::new(0.95);
    /// let few = limits.of(&counts(20), Smoothing::Floor(1e-4)) / psi_limit(0.95, 10, 200, 200);
    /// let many = limits.of(&counts(1_000), Smoothing::Floor(1e-4)) / psi_limit(0.95, 10, 10_000, 10_000);
    /// assert!((few / 1.02 - 1.035).abs() < 1e-2);
    /// assert!((many / 1.02 - 1.0).abs() < 5e-3);
    /// ```
    #[must_use]
    pub fn of(&mut self, counts: &[Counts], smoothing: Smoothing) -> f64 {
        let sum = |side: fn(&Counts) -> i64| counts.iter().map(side).sum::<i64>() as f64;
        let (n, m) = (sum(|it| it.reference), sum(|it| it.current));
        let once = 1.0 / n + 1.0 / m;
        let of_many = self.of_many(counts.len());
        if of_many == 0.0 {
            return 0.0;
        }
        if once.is_infinite() {
            return f64::INFINITY;
        }
        let (mut mean, mut variance) = (-once, -2.0 * once * once);
        for here in counts {
            let share = (here.reference + here.current) as f64 / (n + m);
            if share == 0.0 {
                continue;
            }
            let side = |rows: f64| {
                let filled = |count| filled(smoothing, count, rows, counts.len());
                Moments::of(rows * share, |count| filled(count) / share)
            };
            let (one, other) = (side(n), side(m));
            let (here, squared) = difference(&one, &other);
            mean += share * here;
            variance += share * share * (squared - here * here);
        }
        let large = of_many * once;
        let degrees = (counts.len() - 1) as f64;
        let limit = match mean > 0.0 && variance > 0.0 {
            true => {
                let shape = mean * mean / variance;
                mean * cube(shape, z(degrees / 2.0, of_many / degrees))
            }
            false => large,
        };
        limit * MARGIN
    }

    fn of_many(&mut self, bins: usize) -> f64 {
        if self.of_many.len() <= bins {
            self.of_many.resize(bins + 1, f64::NAN);
        }
        let limit = &mut self.of_many[bins];
        if limit.is_nan() {
            *limit = psi_limit(self.probability, bins, 1, 1) / 2.0;
        }
        *limit
    }
}

/// A quantile of the gamma distribution with mean 1 and this shape, by Wilson and Hilferty.
fn cube(shape: f64, z: f64) -> f64 {
    (1.0 - 1.0 / (9.0 * shape) + z / (3.0 * shape.sqrt())).powi(3)
}

/// The z for which [`cube`] gives this quantile.
fn z(shape: f64, quantile: f64) -> f64 {
    (quantile.cbrt() - 1.0 + 1.0 / (9.0 * shape)) * 3.0 * shape.sqrt()
}

/// The share that a smoothing makes of a count, as far as it can be told without the other bins.
fn filled(smoothing: Smoothing, count: f64, rows: f64, bins: usize) -> f64 {
    let share = count / rows;
    match smoothing {
        Smoothing::AddToCounts(more) => (count + more) / (rows + more * bins as f64),
        Smoothing::AddToShares(more) => share + more,
        Smoothing::Floor(least) | Smoothing::FloorToOne(least) => share.max(least),
        Smoothing::FillEmpty if count == 0.0 => 1e-4,
        Smoothing::MoveToEmpty(least) if count == 0.0 => least,
        Smoothing::FillEmpty | Smoothing::MoveToEmpty(_) => share,
    }
}

/// What is expected of products of a = x − 1 and l = ln x, where x is a count over what is expected of it.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    a: f64,
    l: f64,
    aa: f64,
    al: f64,
    ll: f64,
    aal: f64,
    all: f64,
    aall: f64,
}

impl Moments {
    /// Of a Poisson count; `relative` makes x of it.
    fn of(expected: f64, relative: impl Fn(f64) -> f64) -> Moments {
        match expected < FEW {
            true => Moments::summed(expected, relative),
            false => Moments::series(1.0 / expected),
        }
    }

    fn summed(expected: f64, relative: impl Fn(f64) -> f64) -> Moments {
        let last = (expected + 8.0 * expected.sqrt() + 10.0) as u32;
        let mut sums = Moments::default();
        let mut weight = (-expected).exp();
        for count in 0..=last {
            let x = relative(f64::from(count));
            // Without smoothing PSI is infinite where a bin is empty: that is no matter of a limit.
            if x > 0.0 {
                sums.add(weight, x - 1.0, x.ln());
            }
            weight *= expected / f64::from(count + 1);
        }
        sums
    }

    fn add(&mut self, weight: f64, a: f64, l: f64) {
        self.a += weight * a;
        self.l += weight * l;
        self.aa += weight * a * a;
        self.al += weight * a * l;
        self.ll += weight * l * l;
        self.aal += weight * a * a * l;
        self.all += weight * a * l * l;
        self.aall += weight * a * a * l * l;
    }

    /// From the series of the logarithm and the central moments of the Poisson distribution, in v, one over what is
    /// expected. Smoothing is left out: of so many rows it changes little, and makes PSI smaller.
    fn series(v: f64) -> Moments {
        let sum = |terms: [f64; 5]| terms.iter().rev().fold(0.0, |sum, term| (sum + term) * v);
        Moments {
            a: 0.0,
            l: sum([-0.5, -5.0 / 12.0, -0.75, -251.0 / 120.0, -95.0 / 12.0]),
            aa: v,
            al: sum([1.0, 0.5, 5.0 / 6.0, 2.25, 251.0 / 30.0]),
            ll: sum([1.0, 1.75, 4.0, 1837.0 / 144.0, 1903.0 / 36.0]),
            aal: sum([0.0, -0.5, -11.0 / 12.0, -29.0 / 12.0, -1061.0 / 120.0]),
            all: sum([0.0, -2.0, -13.0 / 3.0, -13.5, -4969.0 / 90.0]),
            aall: sum([0.0, 3.0, 4.75, 43.0 / 3.0, 8317.0 / 144.0]),
        }
    }
}

/// What is expected of (x − y)(ln x − ln y) and of its square, of independent sides.
fn difference(x: &Moments, y: &Moments) -> (f64, f64) {
    let mean = x.al + y.al - x.a * y.l - y.a * x.l;
    let squared = x.aall + y.aall + x.aa * y.ll + y.aa * x.ll + 4.0 * x.al * y.al
        - 2.0 * (x.aal * y.l + y.aal * x.l + x.all * y.a + y.all * x.a);
    (mean, squared)
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::statistics::divergence::psi;
    use crate::statistics::shares_of;

    #[test]
    fn sums_and_series_meet() {
        let summed = Moments::summed(FEW, |count| (count / FEW).max(1e-4));
        let series = Moments::series(1.0 / FEW);
        for (name, summed, series) in [
            ("l", summed.l, series.l),
            ("aa", summed.aa, series.aa),
            ("al", summed.al, series.al),
            ("ll", summed.ll, series.ll),
            ("aal", summed.aal, series.aal),
            ("all", summed.all, series.all),
            ("aall", summed.aall, series.aall),
        ] {
            assert!(
                (summed / series - 1.0).abs() < 0.04,
                "{name}: {summed} {series}"
            );
        }
    }

    /// How many windows in 1,000 are above the limit, each with a reference of its own.
    fn above(weights: &[f64], reference: usize, rows: usize, rng: &mut SmallRng) -> f64 {
        let total: f64 = weights.iter().sum();
        // Drawing a bin in constant time: a table of 4,096 places.
        let mut places = Vec::new();
        for (bin, weight) in weights.iter().enumerate() {
            let until = weights[..bin].iter().sum::<f64>() + weight;
            places.resize((until / total * 4096.0).round() as usize, bin);
        }
        let mut limits = PsiLimits::new(0.95);
        let windows = (4_000_000 / (reference + rows)).max(4_000);
        let mut found = 0;
        for _ in 0..windows {
            let mut counts = vec![
                Counts {
                    reference: 0,
                    current: 0
                };
                weights.len()
            ];
            for _ in 0..reference {
                counts[places[rng.random_range(0..places.len())]].reference += 1;
            }
            for _ in 0..rows {
                counts[places[rng.random_range(0..places.len())]].current += 1;
            }
            counts.retain(|it| it.reference + it.current > 0);
            let fill = Smoothing::Floor(1e-4);
            let shares = shares_of(&counts, fill).expect("there are rows");
            found += u32::from(psi(&shares) > limits.of(&counts, fill));
        }
        f64::from(found) / windows as f64 * 1e3
    }

    #[test]
    fn at_most_one_window_in_twenty_is_above_the_limit_without_drift() {
        let mut rng = SmallRng::seed_from_u64(11);
        let frequent = |bins: u32| (1..=bins).map(|rank| 1.0 / f64::from(rank)).collect();
        let shapes: [Vec<f64>; 5] = [
            vec![1.0; 10],
            vec![1.0; 20],
            vec![9.0, 1.0],
            frequent(10),
            frequent(30),
        ];
        for weights in shapes {
            for (reference, rows) in [(200, 200), (2_000, 200), (10_000, 10_000)] {
                // 30 categories are too many for 200 rows on both sides: 56 in 1,000.
                if weights.len() == 30 && reference == 200 {
                    continue;
                }
                let found = above(&weights, reference, rows, &mut rng);
                let case = format!("{} bins, {reference}, {rows}", weights.len());
                assert!((30.0..=50.0).contains(&found), "{case}: {found} in 1,000");
            }
        }
    }

    #[test]
    fn what_has_no_rows_or_one_bin_has_the_limit_of_many_rows() {
        let counts = |reference, current| Counts { reference, current };
        let mut limits = PsiLimits::new(0.95);
        let fill = Smoothing::Floor(0.0);
        assert_eq!(limits.of(&[counts(5, 9)], fill), 0.0);
        assert_eq!(limits.of(&[], fill), 0.0);
        assert_eq!(
            limits.of(&[counts(0, 5), counts(0, 4)], fill),
            f64::INFINITY
        );
        let unfilled = limits.of(&[counts(3, 0), counts(0, 4)], fill);
        assert!(unfilled.is_finite() && unfilled > 0.0);
    }
}
