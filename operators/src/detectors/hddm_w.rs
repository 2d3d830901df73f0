//! HDDM_W: the weighted mean of the newest rows against that of the rows before, up to where it was
//! lowest.
//!
//! **1 is an error, 0 is none.** A value in between counts as that part of an error, one outside as
//! the nearer of the two. So it is also a detector of any numbers scaled to 0 … 1.
//!
//! ```text
//! mean ← λ · x + (1 − λ) · mean,   b ← λ² + (1 − λ)² · b from b = 1;   ε(b, c) = √(b · ln(1 / c) / 2)
//! where mean + ε(b, drift_confidence) of all rows is less than ever, they become the rows before,
//! and there are no rows since
//! a drift when mean since − mean before > ε(b since + b before, drift_confidence), a warning likewise
//! ```
//!
//! Falls are found as rises of −x. After a drift the next row is the first.
//!
//! # State
//! 160 bytes. A value costs a few square roots and logarithms for each direction.
//!
//! # Source
//! I. Frías-Blanco and others: Online and non-parametric drift detection methods based on
//! Hoeffding's bounds. IEEE Transactions on Knowledge and Data Engineering 27 (2015), the W-test.
//! Defaults and arithmetic are those of river 0.26.1, `drift.binary.HDDMW`, whose `two_sided_test`
//! is here the direction `both`.
//!
//! # Example
//! ```
//! use tidegate_operators::detectors::{Signal, hddm_w};
//!
//! let mut detector = hddm_w::HddmW::new(&hddm_w::Settings::default());
//! let errors_each = |row: u32| if row < 1000 { 10 } else { 2 };
//! let error = |row: u32| f64::from(u8::from(row % errors_each(row) == 0));
//! let drift = (0..2000).find(|row| detector.add(error(*row)) == Signal::Drift);
//! assert_eq!(drift, Some(1066));
//! ```

use super::hoeffding::Confidences;
use super::settings::{Named, Parameter, must_be_a_part};
use super::{Direction, Signal};
use crate::codec::{CodecError, Reader, Writer};

/// What a [`HddmW`] is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How likely a drift and a warning may be where there is none.
    pub confidences: Confidences,
    /// λ: the weight of a new row. Default 0.05.
    pub lambda: f64,
    /// Which way the mean has to go. Default: up.
    pub direction: Direction,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            confidences: Confidences::default(),
            lambda: 0.05,
            direction: Direction::Up,
        }
    }
}

impl Settings {
    pub(super) fn parameters(&mut self) -> Vec<Named<'_>> {
        let mut all = Vec::from(self.confidences.parameters());
        all.extend([
            ("lambda", Parameter::Number(&mut self.lambda)),
            ("direction", Parameter::Direction(&mut self.direction)),
        ]);
        all
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.confidences.check()?;
        must_be_a_part("lambda", self.lambda)
    }
}

/// A weighted mean of some rows.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Weighted {
    /// None before the first row.
    mean: Option<f64>,
    /// The sum of the squared weights.
    weights: f64,
}

impl Weighted {
    const NEW: Weighted = Weighted {
        mean: None,
        weights: 1.0,
    };

    fn add(&mut self, value: f64, lambda: f64) {
        let rest = 1.0 - lambda;
        self.mean = Some(self.mean.map_or(value, |mean| lambda * value + rest * mean));
        self.weights = lambda * lambda + rest * rest * self.weights;
    }

    fn encode(&self, to: &mut Writer) {
        to.option(self.mean, Writer::float);
        to.float(self.weights);
    }

    fn decode(from: &mut Reader<'_>) -> Result<Weighted, CodecError> {
        Ok(Weighted {
            mean: from.option("a weighted mean", |from| from.float("a weighted mean"))?,
            weights: from.float("squared weights")?,
        })
    }
}

fn bound(weights: f64, confidence: f64) -> f64 {
    (weights * (1.0 / confidence).ln() / 2.0).sqrt()
}

/// What is known of rises.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Side {
    all: Weighted,
    before: Weighted,
    since: Weighted,
    /// The least that mean + ε of all rows has been.
    least: f64,
}

impl Side {
    const NEW: Side = Side {
        all: Weighted::NEW,
        before: Weighted::NEW,
        since: Weighted::NEW,
        least: f64::INFINITY,
    };

    fn add(&mut self, value: f64, settings: &Settings) -> Signal {
        self.all.add(value, settings.lambda);
        let highest = self
            .all
            .mean
            .map(|mean| mean + bound(self.all.weights, settings.confidences.drift));
        match highest {
            Some(highest) if highest < self.least => {
                self.least = highest;
                self.before = self.all;
                self.since = Weighted::NEW;
            }
            _ => self.since.add(value, settings.lambda),
        }
        let has_risen = |confidence| self.has_risen(confidence);
        settings.confidences.signal(has_risen)
    }

    fn has_risen(&self, confidence: f64) -> bool {
        let weights = self.before.weights + self.since.weights;
        let rise = self.since.mean.zip(self.before.mean);
        rise.is_some_and(|(since, before)| since - before > bound(weights, confidence))
    }
}

/// The detector.
#[derive(Clone, Debug, PartialEq)]
pub struct HddmW {
    settings: Settings,
    up: Side,
    /// The same of the values below zero.
    down: Side,
}

impl HddmW {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(settings: &Settings) -> HddmW {
        HddmW {
            settings: settings.clone(),
            up: Side::NEW,
            down: Side::NEW,
        }
    }

    /// Takes the next value.
    pub fn add(&mut self, value: f64) -> Signal {
        let value = value.clamp(0.0, 1.0);
        let up = self.up.add(value, &self.settings);
        let down = self.down.add(-value, &self.settings);
        let signal = self.settings.direction.of(up, down);
        if signal == Signal::Drift {
            *self = HddmW::new(&self.settings);
        }
        signal
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        for side in [self.up, self.down] {
            side.all.encode(to);
            side.before.encode(to);
            side.since.encode(to);
            to.float(side.least);
        }
    }

    pub(super) fn decode(settings: &Settings, from: &mut Reader<'_>) -> Result<HddmW, CodecError> {
        let mut side = || {
            Ok(Side {
                all: Weighted::decode(from)?,
                before: Weighted::decode(from)?,
                since: Weighted::decode(from)?,
                least: from.float("the least bound")?,
            })
        };
        Ok(HddmW {
            settings: settings.clone(),
            up: side()?,
            down: side()?,
        })
    }
}
