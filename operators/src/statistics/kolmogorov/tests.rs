//! The test against published values, against every order and every point, and where formulas meet.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::statistics::golden;

fn sample(values: &[f64]) -> Sample<'_> {
    Sample::sorted(values).expect("ascending numbers")
}

fn random(rng: &mut SmallRng) -> Vec<f64> {
    let rows = rng.random_range(1..40);
    // Few values, so that many are equal.
    let mut values: Vec<f64> = (0..rows)
        .map(|_| f64::from(rng.random_range(0..25)))
        .collect();
    values.sort_by(f64::total_cmp);
    values
}

#[test]
fn numbers_equal_the_published_values() {
    let (reference, current) = (golden::reference(), golden::current());
    let d = statistic(sample(&reference), sample(&current));
    assert_eq!(d, 0.162);
    golden::close(exact_p(d, 500, 400), 1.487_578_673_809_167e-5);
    golden::close(asymptotic_p(d, 500, 400), 1.473_754_487_605_741_2e-5);
    assert_eq!(p(d, 500, 400), exact_p(d, 500, 400));
    assert_eq!(p(d, 500, 10_001), asymptotic_p(d, 500, 10_001));
}

#[test]
fn the_statistic_is_the_largest_difference_at_any_value() {
    for seed in 0..500 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let (left, right) = (random(&mut rng), random(&mut rng));
        let up_to = |values: &[f64], at: f64| {
            values.iter().filter(|value| **value <= at).count() as f64 / values.len() as f64
        };
        let furthest = left
            .iter()
            .chain(&right)
            .map(|at| (up_to(&left, *at) - up_to(&right, *at)).abs())
            .fold(0.0, f64::max);
        let d = statistic(sample(&left), sample(&right));
        assert!((d - furthest).abs() < 1e-15, "seed {seed}: {d} {furthest}");
        assert_eq!(d, statistic(sample(&right), sample(&left)), "seed {seed}");
        assert_eq!(statistic(sample(&left), sample(&left)), 0.0, "seed {seed}");
        let shares: Vec<Share> = (0..25)
            .map(|value| {
                let part = |values: &[f64]| {
                    let here = values.iter().filter(|v| **v == f64::from(value)).count();
                    here as f64 / values.len() as f64
                };
                Share {
                    reference: part(&left),
                    current: part(&right),
                }
            })
            .collect();
        assert!((binned(&shares) - d).abs() < 1e-14, "seed {seed}");
    }
}

/// How many of all orders of n and m rows take the distributions at least `steps` / (n m) apart.
fn by_trying_all(n: i64, m: i64, steps: i64) -> f64 {
    let (mut touching, mut all) = (0, 0);
    for order in 0u32..1 << (n + m) {
        if i64::from(order.count_ones()) != n {
            continue;
        }
        let (mut i, mut j, mut furthest) = (0, 0, 0);
        for place in 0..n + m {
            match order >> place & 1 {
                1 => i += 1,
                _ => j += 1,
            }
            furthest = furthest.max((i * m - j * n).abs());
        }
        all += 1;
        touching += i64::from(furthest >= steps);
    }
    touching as f64 / f64::from(all)
}

#[test]
fn exact_p_is_the_share_of_all_orders() {
    for (n, m) in [
        (1, 1),
        (1, 5),
        (2, 2),
        (3, 2),
        (4, 6),
        (5, 5),
        (7, 4),
        (6, 6),
        (8, 6),
    ] {
        for steps in 0..=n * m {
            let d = steps as f64 / (n * m) as f64;
            // Only whole steps of the common divisor can be reached; between them p rounds.
            if steps % greatest_common_divisor(n as usize, m as usize) as i64 != 0 {
                continue;
            }
            let expected = by_trying_all(n, m, steps);
            let answer = exact_p(d, n as usize, m as usize);
            assert!(
                (answer - expected).abs() < 1e-14,
                "{n} {m} {steps}: {answer} {expected}"
            );
        }
    }
}

#[test]
fn both_ways_to_count_orders_agree_and_p_is_the_same_both_ways() {
    for n in [1, 2, 7, 30, 100, 999] {
        for steps in [1, 2, 5, n / 3 + 1, n] {
            let closed = touching_of_equal_sizes(n as f64, steps as f64);
            let counted = touching(n, n, n, steps);
            assert!(
                (closed - counted).abs() <= 1e-12 * counted,
                "{n} {steps}: {closed} {counted}"
            );
        }
    }
    for (n, m) in [(500, 400), (13, 77), (1000, 10)] {
        for d in [0.0, 0.05, 0.162, 0.5, 0.9, 1.0] {
            let (one, other) = (exact_p(d, n, m), exact_p(d, m, n));
            assert!(
                (one - other).abs() <= 1e-12 * one,
                "{n} {m} {d}: {one} {other}"
            );
        }
    }
}

#[test]
fn p_falls_from_one_to_almost_nothing() {
    for (n, m) in [(30, 30), (500, 400), (20_000, 30_000), (200_000, 300_000)] {
        assert_eq!(p(0.0, n, m), 1.0);
        let all: Vec<f64> = (0..=100).map(|i| p(f64::from(i) / 100.0, n, m)).collect();
        assert!(all.is_sorted_by(|a, b| a >= b), "{n} {m}: {all:?}");
        assert!(all[100] < 1e-10);
    }
    assert_eq!(exact_p(0.5, 0, 3), 1.0);
    assert_eq!(asymptotic_p(0.5, 0, 3), 1.0);
}

#[test]
fn the_one_sample_distribution_equals_scipy_in_every_region() {
    for (d, n, expected) in ONE_SAMPLE {
        let answer = one_sample_p(d, n);
        // Rounding of numbers about 1, where the answer is taken from 1.
        let allowed = 1e-14 + 2e-13 * expected;
        assert!(
            (answer - expected).abs() <= allowed.min(0.1 * expected),
            "{d} {n}: {answer} is not {expected}"
        );
    }
}

/// d, n, and `scipy.stats.kstwo.sf` of them.
const ONE_SAMPLE: [(f64, u64, f64); 21] = [
    (0.04, 12, 1.0),
    (0.06, 12, 0.9999999971712529),
    (0.95, 12, 4.882812500000052e-16),
    (0.6, 12, 0.00011635930561193362),
    (0.2, 12, 0.6531903820667508),
    (0.4, 100, 5.947617451361663e-15),
    (0.06, 100, 0.8428847956274123),
    (0.15, 100, 0.019839242125641813),
    (0.25, 100, 5.408871776434847e-06),
    (0.0004, 2000, 1.0),
    (0.005, 150, 1.0),
    (0.01, 150, 1.0),
    (0.05, 2000, 8.74309579589503e-05),
    (0.02, 2000, 0.3953133626892045),
    (0.012, 2000, 0.9322014100608377),
    (0.002, 99999, 0.8178455266238389),
    (0.0003, 100001, 1.0),
    (0.003, 200000, 0.0545369786611305),
    (0.0008, 1000000, 0.5438713666611479),
    (0.8, 5000, 0.0),
    (0.5, 300, 7.063417378483843e-70),
];
