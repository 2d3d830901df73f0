//! DDM: the share of errors against the least it has been.
//!
//! **1 is an error, 0 is none.** A value in between counts as that part of an error, one outside as
//! the nearer of the two.
//!
//! ```text
//! p = errors / n,   s = √(p · (1 − p) / n),   p_min and s_min where p + s was least
//! a drift when p + s > p_min + drift_threshold · s_min, a warning likewise
//! ```
//!
//! for n > `warm_start`, the least being searched among these rows, the present one included. After a
//! drift the next row is the first. Who begins with more than `warm_start` rows without an error has
//! p_min = s_min = 0, and the first error is a drift.
//!
//! # State
//! 32 bytes. A value costs a division and a square root.
//!
//! # Source
//! J. Gama, P. Medas, G. Castillo, P. Rodrigues: Learning with drift detection. SBIA 2004. Defaults
//! and arithmetic are those of river 0.26.1, `drift.binary.DDM`: the paper says ≥ where this says >.
//!
//! # Example
//! ```
//! use tidegate_operators::detectors::{Signal, ddm};
//!
//! let mut detector = ddm::Ddm::new(&ddm::Settings::default());
//! let errors_each = |row: u32| if row < 1000 { 10 } else { 3 };
//! let error = |row: u32| f64::from(u8::from(row % errors_each(row) == 0));
//! let drift = (0..2000).find(|row| detector.add(error(*row)) == Signal::Drift);
//! assert_eq!(drift, Some(1086));
//! ```

use super::Signal;
use super::running::Mean;
use super::settings::{Named, Parameter, must, must_be_above_0, must_be_at_least};
use crate::codec::{CodecError, Reader, Writer};

/// What a [`Ddm`] is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Only rows after so many are looked at. Default 30.
    pub warm_start: u32,
    /// How many s_min above the least is a warning. Default 2.
    pub warning_threshold: f64,
    /// How many s_min above the least is a drift. Default 3.
    pub drift_threshold: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            warm_start: 30,
            warning_threshold: 2.0,
            drift_threshold: 3.0,
        }
    }
}

impl Settings {
    pub(super) fn parameters(&mut self) -> Vec<Named<'_>> {
        vec![
            ("warm_start", Parameter::Count(&mut self.warm_start)),
            (
                "warning_threshold",
                Parameter::Number(&mut self.warning_threshold),
            ),
            (
                "drift_threshold",
                Parameter::Number(&mut self.drift_threshold),
            ),
        ]
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let (warning, drift) = (self.warning_threshold, self.drift_threshold);
        must_be_at_least("warm_start", self.warm_start, 1)?;
        must_be_above_0("warning_threshold", warning)?;
        let least = format!("at least `warning_threshold`, which is {warning}");
        must(
            drift >= warning && drift.is_finite(),
            "drift_threshold",
            drift,
            &least,
        )
    }
}

/// Where p + s was least.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Least {
    p: f64,
    s: f64,
}

/// The detector.
#[derive(Clone, Debug, PartialEq)]
pub struct Ddm {
    settings: Settings,
    errors: Mean,
    least: Least,
}

impl Ddm {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(settings: &Settings) -> Ddm {
        Ddm {
            settings: settings.clone(),
            errors: Mean::default(),
            least: Least {
                p: f64::INFINITY,
                s: f64::INFINITY,
            },
        }
    }

    /// Takes the next value.
    pub fn add(&mut self, value: f64) -> Signal {
        self.errors.add(value.clamp(0.0, 1.0));
        let Mean { n, mean: p } = self.errors;
        if n <= u64::from(self.settings.warm_start) {
            return Signal::Quiet;
        }
        let s = (p * (1.0 - p) / n as f64).sqrt();
        if p + s <= self.least.p + self.least.s {
            self.least = Least { p, s };
        }
        let above = |threshold| p + s > self.least.p + threshold * self.least.s;
        if above(self.settings.drift_threshold) {
            *self = Ddm::new(&self.settings);
            Signal::Drift
        } else if above(self.settings.warning_threshold) {
            Signal::Warning
        } else {
            Signal::Quiet
        }
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        self.errors.encode(to);
        to.float(self.least.p);
        to.float(self.least.s);
    }

    pub(super) fn decode(settings: &Settings, from: &mut Reader<'_>) -> Result<Ddm, CodecError> {
        Ok(Ddm {
            settings: settings.clone(),
            errors: Mean::decode(from)?,
            least: Least {
                p: from.float("the least share of errors")?,
                s: from.float("the deviation of the least share of errors")?,
            },
        })
    }
}
