//! The distribution of the one-sample Kolmogorov-Smirnov statistic, the p-value of large samples.
//!
//! Which formula serves where follows R. Simard and P. L'Ecuyer, "Computing the two-sided
//! Kolmogorov-Smirnov distribution" (2011), as SciPy's `kstwo` does, but for Pomeranz' recursion: where
//! they use it, the matrix gives the same to rounding.

use std::f64::consts::{PI, TAU};

use crate::statistics::tails::binomial;

/// P(D ≥ d) where D is how far the distribution of n numbers is at most from the one they were drawn
/// from, on either side. From 1 down to 0; 1 without numbers.
///
/// Exact where d is small or at least one half. Where d² n is large (above 4, or 2.2 from 141 numbers
/// on) it is twice the one-sided tail, which counts what goes too far on both sides twice: too large
/// by a factor of at most 1 + e^(−6 d² n), so 1 + 2e-6. Between them, from 141 numbers on, good to
/// about seven digits. All of this as SciPy has it.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::kolmogorov::one_sample_p;
///
/// // A single number u is at most max(u, 1 − u) from uniform.
/// assert_eq!(one_sample_p(0.75, 1), 0.5);
/// ```
#[must_use]
pub fn one_sample_p(d: f64, n: u64) -> f64 {
    let rows = n as f64;
    let scaled = rows * d;
    if scaled <= 0.5 {
        return 1.0;
    }
    if d >= 1.0 {
        return 0.0;
    }
    if scaled <= 1.0 {
        // n! / nⁿ (2 n d − 1)ⁿ stay closer.
        let closer = |i: u64| i as f64 / rows * (2.0 * scaled - 1.0);
        return 1.0 - (1..=n).map(closer).product::<f64>();
    }
    if scaled >= rows - 1.0 {
        return 2.0 * (1.0 - d).powf(rows);
    }
    let squared = scaled * d;
    let p = match n {
        _ if d >= 0.5 => 2.0 * one_sided(n, d),
        0..=140 if squared <= 4.0 => 1.0 - matrix(n, d),
        0..=140 => 2.0 * one_sided(n, d),
        _ if squared >= 370.0 => 0.0,
        _ if squared >= 2.2 => 2.0 * one_sided(n, d),
        ..=100_000 if rows * d.powf(1.5) <= 1.4 => 1.0 - matrix(n, d),
        _ => 1.0 - pelz_good(n, d),
    };
    p.clamp(0.0, 1.0)
}

/// P(D⁺ ≥ d), on one side only: Smirnov's d Σ C(n, v) (d + v/n)^(v−1) (1 − d − v/n)^(n−v), exact. Each
/// term is d / (d + v/n) times the probability of v in n where each has probability d + v/n.
fn one_sided(n: u64, d: f64) -> f64 {
    let (n, offset) = (n as f64, n as f64 * d);
    let (mut sum, mut v) = (0.0, 0.0);
    while n - v > offset {
        let mean = v + offset;
        sum += offset / mean * binomial(v, n, mean, n - v - offset);
        v += 1.0;
    }
    sum
}

/// P(D < d) by Durbin's matrix, as Marsaglia, Tsang and Wang ("Evaluating Kolmogorov's distribution",
/// 2003) give it: exact. With d = (k − h) / n the matrix has 2k − 1 rows.
fn matrix(n: u64, d: f64) -> f64 {
    let scaled = n as f64 * d;
    let k = scaled.ceil();
    let h = k - scaled;
    let size = 2 * k as usize - 1;
    let middle = (k as usize - 1) * size + k as usize - 1;

    let mut inverse_factorials = vec![1.0; size + 1];
    for i in 1..=size {
        inverse_factorials[i] = inverse_factorials[i - 1] / i as f64;
    }
    let mut base = vec![0.0; size * size];
    for row in 0..size {
        for column in 0..=(row + 1).min(size - 1) {
            let mut entry = 1.0;
            if column == 0 {
                entry -= h.powi(row as i32 + 1);
            }
            if row == size - 1 {
                entry -= h.powi((size - column) as i32);
            }
            if column == 0 && row == size - 1 {
                entry += (2.0 * h - 1.0).max(0.0).powi(size as i32);
            }
            base[row * size + column] = entry * inverse_factorials[row + 1 - column];
        }
    }

    // The n-th power, by squaring, with powers of two set aside lest it overflow.
    const SET_ASIDE: i32 = 128;
    let (large, small) = (2f64.powi(SET_ASIDE), 2f64.powi(-SET_ASIDE));
    let (mut base_exponent, mut exponent) = (0, 0);
    let mut power: Option<Vec<f64>> = None;
    let mut left = n;
    while left > 0 {
        if left % 2 == 1 {
            power = Some(power.map_or_else(|| base.clone(), |power| product(&power, &base, size)));
            exponent += base_exponent;
        }
        left /= 2;
        if left > 0 {
            base = product(&base, &base, size);
            base_exponent *= 2;
            if base[middle] > large {
                base.iter_mut().for_each(|entry| *entry *= small);
                base_exponent += SET_ASIDE;
            }
        }
    }

    // Times n! / nⁿ.
    let mut p = power.map_or(1.0, |power| power[middle]);
    for i in 1..=n {
        p *= i as f64 / n as f64;
        if p < small {
            p *= large;
            exponent -= SET_ASIDE;
        }
    }
    p * 2f64.powi(exponent)
}

fn product(left: &[f64], right: &[f64], size: usize) -> Vec<f64> {
    let mut answer = vec![0.0; size * size];
    for (row, to) in left.chunks_exact(size).zip(answer.chunks_exact_mut(size)) {
        for (factor, from) in row.iter().zip(right.chunks_exact(size)) {
            for (sum, entry) in to.iter_mut().zip(from) {
                *sum += factor * entry;
            }
        }
    }
    answer
}

/// P(D < d) to about n^−2: W. Pelz and I. J. Good, "Approximating the lower tail-areas of the
/// Kolmogorov-Smirnov one-sample statistic" (1976): K₀(z) + K₁(z)/√n + K₂(z)/n + K₃(z)/n^1.5 with
/// z = d√n, each a series that converges fast for small z.
fn pelz_good(n: u64, d: f64) -> f64 {
    let root = (n as f64).sqrt();
    let z = d * root;
    let (z2, pi2) = (z * z, PI * PI);
    let (z4, z6, pi4, pi6) = (z2 * z2, z2 * z2 * z2, pi2 * pi2, pi2 * pi2 * pi2);

    let (mut k0, mut k1, mut k2, mut k3) = (0.0, 0.0, 0.0, 0.0);
    // From the smallest term to the largest; those left out are less than rounding.
    let terms = (16.0 * z / PI).ceil() as u32;
    for k in (1..=terms).rev() {
        // Over odd numbers: c = k + ½, as squares.
        let half = f64::from(k) - 0.5;
        let (c2, c4) = (half * half, half.powi(4));
        let weight = (-pi2 * c2 / (2.0 * z2)).exp();
        k0 += weight;
        k1 += weight * (pi2 * c2 - z2);
        k2 += weight
            * (6.0 * z6
                + 2.0 * z4
                + pi2 * (2.0 * z4 - 5.0 * z2) * c2
                + pi4 * (1.0 - 2.0 * z2) * c4);
        k3 += weight
            * (pi6 * (5.0 - 30.0 * z2) * c4 * c2
                + pi4 * (212.0 * z4 - 60.0 * z2) * c4
                + pi2 * (135.0 * z4 - 96.0 * z6) * c2
                - 30.0 * z6
                - 90.0 * z4 * z4);
    }
    k1 /= 6.0 * z2 * z;
    k2 /= 72.0 * z6;
    k3 /= 6480.0 * z6 * z2 * z;

    let (mut more2, mut more3) = (0.0, 0.0);
    for k in (1..=terms).rev() {
        let k = f64::from(k) * f64::from(k);
        let weight = k * (-pi2 * k / (2.0 * z2)).exp();
        more2 += weight;
        more3 += weight * (3.0 * z2 - pi2 * k);
    }
    k2 -= pi2 * more2 / (36.0 * z2);
    k3 += pi2 * more3 / (216.0 * z2 * z2 * z);

    TAU.sqrt() / z * (k0 + k1 / root + k2 / (root * root) + k3 / (root * root * root))
}
