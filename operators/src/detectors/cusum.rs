//! CUSUM: deviations from the first rows' mean, in their standard deviations, summed up until they
//! go one way too far.
//!
//! ```text
//! mean, σ = those of the first min_instances values (σ of a sample), fixed from there on
//! up   ← max(0, up   + (x − mean) − slack · σ),   a drift when up   > threshold · σ
//! down ← max(0, down − (x − mean) − slack · σ),   a drift when down > threshold · σ
//! ```
//!
//! The sums begin with the last of the first values. After a drift the next rows are the first. When
//! all first values are equal, σ is 0 and any other value is a drift. By default about one row in
//! a few hundred is a drift without any change: that is how the chart is made.
//!
//! # State
//! 40 bytes. A value costs a few additions.
//!
//! # Source
//! E. S. Page: Continuous inspection schemes. Biometrika 41 (1954), the tabular chart of two sides.
//! Defaults and arithmetic are those of river's `drift.CUSUM`, which is newer than 0.26.1.
//!
//! # Example
//! ```
//! use tidegate_operators::detectors::{Signal, cusum};
//!
//! let mut detector = cusum::Cusum::new(&cusum::Settings::default());
//! let noise = |row: u32| f64::from(row % 7);
//! let level = |row: u32| if row < 1000 { 0.0 } else { 6.0 };
//! let drift = (0..2000).find(|row| detector.add(level(*row) + noise(*row)) == Signal::Drift);
//! assert_eq!(drift, Some(1001));
//! ```

use super::running::Spread;
use super::settings::{Named, Parameter, must_be_above_0, must_be_at_least, must_be_at_least_0};
use super::{Direction, Signal};
use crate::codec::{CodecError, Reader, Writer};

/// What a [`Cusum`] is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How many values the mean and σ are taken from. Default 30.
    pub min_instances: u32,
    /// What a value may be off the mean, in σ. Default 0.5.
    pub slack: f64,
    /// How large a sum may be, in σ. Default 5.
    pub threshold: f64,
    /// Which way the values have to go. Default: either.
    pub direction: Direction,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            min_instances: 30,
            slack: 0.5,
            threshold: 5.0,
            direction: Direction::Both,
        }
    }
}

impl Settings {
    pub(super) fn parameters(&mut self) -> Vec<Named<'_>> {
        vec![
            ("min_instances", Parameter::Count(&mut self.min_instances)),
            ("slack", Parameter::Number(&mut self.slack)),
            ("threshold", Parameter::Number(&mut self.threshold)),
            ("direction", Parameter::Direction(&mut self.direction)),
        ]
    }

    pub(super) fn check(&self) -> Result<(), String> {
        must_be_at_least("min_instances", self.min_instances, 2)?;
        must_be_at_least_0("slack", self.slack)?;
        must_be_above_0("threshold", self.threshold)
    }
}

/// The detector.
#[derive(Clone, Debug, PartialEq)]
pub struct Cusum {
    settings: Settings,
    /// Of the first values.
    first: Spread,
    up: f64,
    down: f64,
}

impl Cusum {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(settings: &Settings) -> Cusum {
        Cusum {
            settings: settings.clone(),
            first: Spread::default(),
            up: 0.0,
            down: 0.0,
        }
    }

    /// Takes the next value.
    pub fn add(&mut self, value: f64) -> Signal {
        let enough = u64::from(self.settings.min_instances);
        if self.first.mean.n < enough {
            self.first.add(value);
        }
        if self.first.mean.n < enough {
            return Signal::Quiet;
        }
        let sigma = self.first.deviation();
        let slack = self.settings.slack * sigma;
        let deviation = value - self.first.mean.mean;
        self.up = (self.up + deviation - slack).max(0.0);
        self.down = (self.down - deviation - slack).max(0.0);
        let drift = |sum| Signal::drift_if(sum > self.settings.threshold * sigma);
        let signal = self.settings.direction.of(drift(self.up), drift(self.down));
        if signal == Signal::Drift {
            *self = Cusum::new(&self.settings);
        }
        signal
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        self.first.encode(to);
        to.float(self.up);
        to.float(self.down);
    }

    pub(super) fn decode(settings: &Settings, from: &mut Reader<'_>) -> Result<Cusum, CodecError> {
        Ok(Cusum {
            settings: settings.clone(),
            first: Spread::decode(from)?,
            up: from.float("the sum of deviations up")?,
            down: from.float("the sum of deviations down")?,
        })
    }
}
