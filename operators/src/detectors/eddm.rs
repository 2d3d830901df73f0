//! EDDM: how far errors are apart, against the farthest they have been.
//!
//! **1 is an error, every other value is none.**
//!
//! ```text
//! p′, s′ = mean and standard deviation (of a sample) of the rows from error to error
//! level  = (p′ + 2s′) / the largest p′ + 2s′ before
//! a drift when level < beta, a warning when level < alpha
//! ```
//!
//! Only at errors after row `warm_start`, and only after more than `warm_start` errors. A warning
//! stands, at rows without an error and at new largest ones too, until a level is not below alpha.
//! After a drift the next row is the first.
//!
//! # State
//! 49 bytes. A value costs an addition, an error two divisions and a square root.
//!
//! # Source
//! M. Baena-García and others: Early drift detection method. Fourth International Workshop on
//! Knowledge Discovery from Data Streams, 2006. Defaults and arithmetic are those of river 0.26.1,
//! `drift.binary.EDDM`.
//!
//! # Example
//! ```
//! use tidegate_operators::detectors::{Signal, eddm};
//!
//! let mut detector = eddm::Eddm::new(&eddm::Settings::default());
//! let errors_of_1000 = |row: u32| if row < 1000 { 100 } else { 300 };
//! let error = |row: u32| f64::from(u8::from(row * 7919 % 1000 < errors_of_1000(row)));
//! let drift = (0..2000).find(|row| detector.add(error(*row)) == Signal::Drift);
//! assert_eq!(drift, Some(1182));
//! ```

use super::Signal;
use super::running::{Spread, count};
use super::settings::{Named, Parameter, must, must_be_a_part, must_be_at_least};
use crate::codec::{CodecError, Reader, Writer};

/// What an [`Eddm`] is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Only rows after so many, and errors after so many, are looked at. Default 30.
    pub warm_start: u32,
    /// Below which part of the largest distance there is a warning. Default 0.95.
    pub alpha: f64,
    /// Below which part of the largest distance there is a drift. Default 0.9.
    pub beta: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            warm_start: 30,
            alpha: 0.95,
            beta: 0.9,
        }
    }
}

impl Settings {
    pub(super) fn parameters(&mut self) -> Vec<Named<'_>> {
        vec![
            ("warm_start", Parameter::Count(&mut self.warm_start)),
            ("alpha", Parameter::Number(&mut self.alpha)),
            ("beta", Parameter::Number(&mut self.beta)),
        ]
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let (alpha, beta) = (self.alpha, self.beta);
        must_be_at_least("warm_start", self.warm_start, 1)?;
        must_be_a_part("alpha", alpha)?;
        let most = format!("above 0 and at most `alpha`, which is {alpha}");
        must(0.0 < beta && beta <= alpha, "beta", beta, &most)
    }
}

/// The detector.
#[derive(Clone, Debug, PartialEq)]
pub struct Eddm {
    settings: Settings,
    rows: u64,
    /// The row of the last error, counted from 1.
    last: u64,
    /// The rows from error to error, the first from the beginning.
    distances: Spread,
    largest: f64,
    /// [`Signal::Warning`] while a warning stands.
    signal: Signal,
}

impl Eddm {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(settings: &Settings) -> Eddm {
        Eddm {
            settings: settings.clone(),
            rows: 0,
            last: 0,
            distances: Spread::default(),
            largest: 0.0,
            signal: Signal::Quiet,
        }
    }

    /// Takes the next value.
    pub fn add(&mut self, value: f64) -> Signal {
        self.rows += 1;
        if value != 1.0 {
            return self.signal;
        }
        self.distances.add((self.rows - self.last) as f64);
        self.last = self.rows;
        let warm_start = u64::from(self.settings.warm_start);
        if self.rows <= warm_start {
            return self.signal;
        }
        let distance = self.distances.mean.mean + 2.0 * self.distances.deviation();
        if distance > self.largest {
            self.largest = distance;
        } else if self.distances.mean.n > warm_start {
            let level = distance / self.largest;
            if level < self.settings.beta {
                *self = Eddm::new(&self.settings);
                return Signal::Drift;
            }
            self.signal = match level < self.settings.alpha {
                true => Signal::Warning,
                false => Signal::Quiet,
            };
        }
        self.signal
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        to.unsigned(u128::from(self.rows));
        to.unsigned(u128::from(self.last));
        self.distances.encode(to);
        to.float(self.largest);
        to.bool(self.signal == Signal::Warning);
    }

    pub(super) fn decode(settings: &Settings, from: &mut Reader<'_>) -> Result<Eddm, CodecError> {
        let rows = count(from, "a number of rows")?;
        let last = count(from, "the row of the last error")?;
        if last > rows {
            return Err(from.error("a last error that is one of the rows"));
        }
        Ok(Eddm {
            settings: settings.clone(),
            rows,
            last,
            distances: Spread::decode(from)?,
            largest: from.float("the largest distance of errors")?,
            signal: match from.bool("whether a warning stands")? {
                true => Signal::Warning,
                false => Signal::Quiet,
            },
        })
    }
}
