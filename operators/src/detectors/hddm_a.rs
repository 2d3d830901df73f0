//! HDDM_A: the mean of all rows against that of the first rows, those where it was lowest.
//!
//! **1 is an error, 0 is none.** A value in between counts as that part of an error, one outside as
//! the nearer of the two. So it is also a detector of any numbers scaled to 0 … 1.
//!
//! ```text
//! z = mean of all N rows,   x = mean of the first n rows, with n where x + ε(n) was last the least
//! ε(n) = √(ln(1 / drift_confidence) / 2n)
//! a drift when z − x ≥ √((N − n) / (n · N) / 2 · ln(2 / drift_confidence)), a warning likewise
//! ```
//!
//! Falls are found as rises of −x. After a drift the next row is the first.
//!
//! # State
//! 64 bytes. A value costs a few square roots and logarithms for each direction.
//!
//! # Source
//! I. Frías-Blanco and others: Online and non-parametric drift detection methods based on
//! Hoeffding's bounds. IEEE Transactions on Knowledge and Data Engineering 27 (2015), the A-test.
//! Defaults and arithmetic are those of river 0.26.1, `drift.binary.HDDMA`, whose `two_sided_test`
//! is here the direction `both`.
//!
//! # Example
//! ```
//! use tidegate_operators::detectors::{Signal, hddm_a};
//!
//! let mut detector = hddm_a::HddmA::new(&hddm_a::Settings::default());
//! let errors_each = |row: u32| if row < 1000 { 10 } else { 3 };
//! let error = |row: u32| f64::from(u8::from(row % errors_each(row) == 0));
//! let drift = (0..2000).find(|row| detector.add(error(*row)) == Signal::Drift);
//! assert_eq!(drift, Some(1071));
//! ```

use super::hoeffding::Confidences;
use super::running::Mean;
use super::settings::{Named, Parameter};
use super::{Direction, Signal};
use crate::codec::{CodecError, Reader, Writer};

/// What a [`HddmA`] is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How likely a drift and a warning may be where there is none.
    pub confidences: Confidences,
    /// Which way the mean has to go. Default: up.
    pub direction: Direction,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            confidences: Confidences::default(),
            direction: Direction::Up,
        }
    }
}

impl Settings {
    pub(super) fn parameters(&mut self) -> Vec<Named<'_>> {
        let mut all = Vec::from(self.confidences.parameters());
        all.push(("direction", Parameter::Direction(&mut self.direction)));
        all
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.confidences.check()
    }
}

/// What is known of rises.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Side {
    all: Mean,
    first: Mean,
}

impl Side {
    fn add(&mut self, value: f64, settings: &Settings) -> Signal {
        let drift = settings.confidences.drift;
        let highest = |of: Mean| of.mean + (1.0 / (2.0 * of.n as f64) * (1.0 / drift).ln()).sqrt();
        self.all.add(value);
        if self.first.n == 0 || highest(self.first) >= highest(self.all) {
            self.first = self.all;
        }
        let has_risen = |confidence| self.has_risen(confidence);
        settings.confidences.signal(has_risen)
    }

    fn has_risen(&self, confidence: f64) -> bool {
        let (all, first) = (self.all.n as f64, self.first.n as f64);
        let m = (all - first) / first * (1.0 / all);
        first < all && self.all.mean - self.first.mean >= (m / 2.0 * (2.0 / confidence).ln()).sqrt()
    }
}

/// The detector.
#[derive(Clone, Debug, PartialEq)]
pub struct HddmA {
    settings: Settings,
    up: Side,
    /// The same of the values below zero.
    down: Side,
}

impl HddmA {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(settings: &Settings) -> HddmA {
        HddmA {
            settings: settings.clone(),
            up: Side::default(),
            down: Side::default(),
        }
    }

    /// Takes the next value.
    pub fn add(&mut self, value: f64) -> Signal {
        let value = value.clamp(0.0, 1.0);
        let up = self.up.add(value, &self.settings);
        let down = self.down.add(-value, &self.settings);
        let signal = self.settings.direction.of(up, down);
        if signal == Signal::Drift {
            *self = HddmA::new(&self.settings);
        }
        signal
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        for side in [self.up, self.down] {
            side.all.encode(to);
            side.first.encode(to);
        }
    }

    pub(super) fn decode(settings: &Settings, from: &mut Reader<'_>) -> Result<HddmA, CodecError> {
        let mut side = || {
            let side = Side {
                all: Mean::decode(from)?,
                first: Mean::decode(from)?,
            };
            match side.first.n <= side.all.n {
                true => Ok(side),
                false => Err(from.error("first rows that are some of all rows")),
            }
        };
        Ok(HddmA {
            settings: settings.clone(),
            up: side()?,
            down: side()?,
        })
    }
}
