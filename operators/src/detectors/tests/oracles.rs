//! Detectors against slow and obvious computations from all values they have.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::{levels, random_values};
use crate::bed::seeds;
use crate::detectors::{After, Detector, Direction, Settings, Signal};
use crate::detectors::{adwin, cusum, kswin, page_hinkley};

/// Half of the cases that are tried.
fn half() -> u64 {
    seeds(100).count() as u64 / 2
}

/// Gives random values to the detector, and compares it with `drifts`, which is given the values
/// since the last drift, the newest at the end, and keeps what is left after one.
fn compare(settings: &Settings, seed: u64, mut drifts: impl FnMut(&mut Vec<f64>) -> bool) -> u64 {
    let random = &mut SmallRng::seed_from_u64(seed);
    let mut detector = Detector::new(settings);
    let mut values = Vec::new();
    let mut found = 0;
    for (row, value) in random_values(random, 800).into_iter().enumerate() {
        values.push(value);
        let drift = drifts(&mut values);
        found += u64::from(drift);
        let expected = if drift { Signal::Drift } else { Signal::Quiet };
        let signal = detector.add(value);
        assert_eq!(signal, expected, "seed {seed}, row {row}: {settings}");
    }
    found
}

/// The window as lists of values, oldest first.
struct Window {
    settings: adwin::Settings,
    /// Whether the newest bucket of each size is never looked at, as in river up to 0.21.2.
    skips_newest: bool,
    buckets: Vec<Vec<f64>>,
    rows: u32,
}

impl Window {
    fn new(settings: adwin::Settings) -> Window {
        Window {
            settings,
            skips_newest: false,
            buckets: Vec::new(),
            rows: 0,
        }
    }

    fn add(&mut self, value: f64) -> bool {
        self.buckets.push(vec![value]);
        for size in (0..20).map(|power| 1 << power) {
            let same = |bucket: &&Vec<f64>| bucket.len() == size;
            if self.buckets.iter().filter(same).count() > self.settings.max_buckets as usize {
                let oldest = self.buckets.iter().position(|bucket| bucket.len() == size);
                let oldest = oldest.unwrap();
                let next = self.buckets.remove(oldest + 1);
                self.buckets[oldest].extend(next);
            }
        }
        self.rows += 1;
        let enough = self.buckets.concat().len() > self.settings.grace_period as usize;
        if !self.rows.is_multiple_of(self.settings.clock) || !enough {
            return false;
        }
        let mut drift = false;
        while self.is_of_two_parts() {
            self.buckets.remove(0);
            drift = true;
        }
        if drift && self.settings.after == After::Restart {
            self.buckets.clear();
            self.rows = 0;
        }
        drift
    }

    fn is_of_two_parts(&self) -> bool {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let all = self.buckets.concat();
        let middle = mean(&all);
        let squares: Vec<_> = all.iter().map(|x| (x - middle).powi(2)).collect();
        let variance = mean(&squares);
        let doubt = (2.0 * (all.len() as f64).ln() / self.settings.delta).ln();
        let least = self.settings.min_window_length as usize;
        let newest = |at: &usize| {
            let next = self.buckets.get(at + 1).map(Vec::len);
            next != Some(self.buckets[*at].len())
        };
        let places = 0..self.buckets.len();
        let looked_at: Vec<usize> = places
            .clone()
            .filter(|at| !self.skips_newest || !newest(at))
            .collect();
        (1..=looked_at.len()).any(|cut| {
            let is_older = |at: &usize| looked_at[..cut].contains(at);
            let (older, newer): (Vec<usize>, Vec<usize>) = places.clone().partition(is_older);
            let [older, newer] = [older, newer].map(|part| {
                let buckets: Vec<_> = part.iter().map(|at| self.buckets[*at].clone()).collect();
                buckets.concat()
            });
            if older.len() < least || newer.len() < least {
                return false;
            }
            let part = |n: usize| 1.0 / (n - least + 1) as f64;
            let m = part(older.len()) + part(newer.len());
            let bound = (2.0 * m * variance * doubt).sqrt() + 2.0 / 3.0 * doubt * m;
            (mean(&older) - mean(&newer)).abs() > bound
        })
    }
}

#[test]
fn adwin_equals_its_rule_on_lists_of_values() {
    let mut found = 0;
    for seed in seeds(100) {
        let random = &mut SmallRng::seed_from_u64(seed);
        let settings = adwin::Settings {
            delta: [0.002, 0.05, 0.5][random.random_range(0..3)],
            clock: [1, 5, 32][random.random_range(0..3)],
            max_buckets: random.random_range(1..7),
            min_window_length: random.random_range(1..20),
            grace_period: random.random_range(0..60),
            after: [After::Restart, After::Keep][random.random_range(0..2)],
        };
        let mut window = Window::new(settings.clone());
        found += compare(&Settings::Adwin(settings), seed, |values| {
            window.add(values[values.len() - 1])
        });
    }
    assert!(found > half(), "only {found} drifts were compared");
}

/// So a reader of older results knows where they differ.
#[test]
fn adwin_of_older_rivers_is_this_rule_without_the_newest_buckets() {
    let drifts = |skips_newest| {
        let mut window = Window {
            skips_newest,
            ..Window::new(adwin::Settings::default())
        };
        let values = (0..).zip(levels());
        values
            .filter_map(|(row, value)| window.add(value).then_some(row))
            .collect::<Vec<i32>>()
    };
    assert_eq!(drifts(false), [2079, 3039]);
    assert_eq!(drifts(true), [2207, 3103]);
}

fn random_direction(random: &mut SmallRng) -> Direction {
    [Direction::Up, Direction::Down, Direction::Both][random.random_range(0..3)]
}

/// Whether a chart of rises or falls is a drift, by the direction that counts.
fn drifts(direction: Direction, chart: impl Fn(f64) -> bool) -> bool {
    match direction {
        Direction::Up => chart(1.0),
        Direction::Down => chart(-1.0),
        Direction::Both => chart(1.0) || chart(-1.0),
    }
}

#[test]
fn page_hinkley_equals_its_formula() {
    let mut found = 0;
    for seed in seeds(100) {
        let random = &mut SmallRng::seed_from_u64(seed);
        let settings = page_hinkley::Settings {
            min_instances: random.random_range(1..50),
            delta: random.random_range(0.0..0.1),
            threshold: random.random_range(2.0..20.0),
            alpha: random.random_range(0.99..1.0),
            direction: random_direction(random),
        };
        let given = Settings::PageHinkley(settings.clone());
        found += compare(&given, seed, |values| {
            let chart = |sign: f64| {
                let (mut total, mut sum, mut least) = (0.0, 0.0, f64::INFINITY);
                for (row, value) in values.iter().enumerate() {
                    total += value;
                    let deviation = sign * (value - total / (row + 1) as f64);
                    sum = settings.alpha * sum + deviation - settings.delta;
                    least = least.min(sum);
                }
                sum - least > settings.threshold
            };
            let drift = values.len() >= settings.min_instances as usize
                && drifts(settings.direction, chart);
            if drift {
                values.clear();
            }
            drift
        });
    }
    assert!(found > half(), "only {found} drifts were compared");
}

#[test]
fn cusum_equals_the_largest_sum_of_the_newest_values() {
    let mut found = 0;
    for seed in seeds(100) {
        let random = &mut SmallRng::seed_from_u64(seed);
        let settings = cusum::Settings {
            min_instances: random.random_range(2..50),
            slack: random.random_range(0.0..1.0),
            threshold: random.random_range(2.0..10.0),
            direction: random_direction(random),
        };
        let given = Settings::Cusum(settings.clone());
        found += compare(&given, seed, |values| {
            let n = settings.min_instances as usize;
            if values.len() < n {
                return false;
            }
            let mean = values[..n].iter().sum::<f64>() / n as f64;
            let squares = values[..n].iter().map(|x| (x - mean).powi(2)).sum::<f64>();
            let sigma = (squares / (n - 1) as f64).sqrt();
            let chart = |sign: f64| {
                let (mut sum, mut largest) = (0.0, f64::NEG_INFINITY);
                for value in values[n - 1..].iter().rev() {
                    sum += sign * (value - mean) - settings.slack * sigma;
                    largest = sum.max(largest);
                }
                largest.max(0.0) > settings.threshold * sigma
            };
            let drift = drifts(settings.direction, chart);
            if drift {
                values.clear();
            }
            drift
        });
    }
    assert!(found > half(), "only {found} drifts were compared");
}

/// How many of all ways to mix two samples of `n` values keep them less than `d` apart.
fn closer(n: usize, d: usize) -> f64 {
    let mut ways = vec![vec![0.0; n + 1]; n + 1];
    for i in 0..=n {
        for j in 0..=n {
            ways[i][j] = match (i, j) {
                _ if i.abs_diff(j) >= d => 0.0,
                (0, _) | (_, 0) => 1.0,
                _ => ways[i - 1][j] + ways[i][j - 1],
            };
        }
    }
    ways[n][n]
}

#[test]
fn kswin_equals_the_test_of_two_lists() {
    let mut found = 0;
    for seed in seeds(100) {
        let random = &mut SmallRng::seed_from_u64(seed);
        let stat_size = random.random_range(6..40);
        let settings = kswin::Settings {
            alpha: [0.005, 0.05][random.random_range(0..2)],
            window_size: random.random_range(2 * stat_size..150),
            stat_size,
            after: [After::Restart, After::Keep][random.random_range(0..2)],
        };
        let n = stat_size as usize;
        let never = closer(n, n + 1);
        found += compare(&Settings::Kswin(settings.clone()), seed, |values| {
            let size = settings.window_size as usize;
            if values.len() < size {
                return false;
            }
            values.drain(..values.len() - size);
            let newer = &values[size - n..];
            let older: Vec<_> = (0..n).map(|i| values[i * (size - n) / n]).collect();
            let up_to = |sample: &[f64], x| sample.iter().filter(|value| **value <= x).count();
            let apart = |x: &f64| up_to(&older, *x).abs_diff(up_to(newer, *x));
            let d = values.iter().map(apart).max().unwrap();
            let p = 1.0 - closer(n, d) / never;
            let drift = p <= settings.alpha && d as f64 / n as f64 > 0.1;
            if drift && settings.after == After::Keep {
                values.drain(..size - n);
            } else if drift {
                values.clear();
            }
            drift
        });
    }
    assert!(found > half(), "only {found} drifts were compared");
}
