//! Data whose measures are known: other libraries computed the values that tests assert of them.

use super::{Histogram, Share, Smoothing, shares};

/// Chat 50, email 30, voice 20, app 0 against 20, 30, 40, 10: every measure by category.
pub(super) fn channels(smoothing: Smoothing) -> Vec<Share> {
    let reference = Histogram::from_iter([(1, 50), (2, 30), (3, 20)]);
    let current = Histogram::from_iter([(1, 20), (2, 30), (3, 40), (4, 10)]);
    shares(&reference, &current, smoothing).expect("both sides have rows")
}

/// ((7919 · i) mod 1000) / 1000: numbers without a random generator.
pub(super) fn number(i: u32) -> f64 {
    f64::from(7919 * i % 1000) / 1000.0
}

/// The reference of the numbers, ascending: 500 rows spread evenly.
pub(super) fn reference() -> Vec<f64> {
    let mut values: Vec<f64> = (0..500).map(number).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// What it is compared with, ascending: 400 rows, squared and shifted.
pub(super) fn current() -> Vec<f64> {
    let mut values: Vec<f64> = (500..900).map(|i| number(i) * number(i) + 0.1).collect();
    values.sort_by(f64::total_cmp);
    values
}

#[track_caller]
pub(super) fn close(answer: f64, expected: f64) {
    assert!(
        (answer - expected).abs() <= 1e-13 * expected.abs(),
        "{answer} is not {expected}"
    );
}
