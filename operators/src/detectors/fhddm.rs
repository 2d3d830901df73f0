//! FHDDM: the share of ones among the newest rows, against the largest it has been.
//!
//! **1 is right, every other value is wrong**: it sees the share of ones *fall*, so what is given is
//! whether an answer was right, and not whether it was an error. (river's page says the opposite of
//! what its code does.)
//!
//! ```text
//! share = ones among the last w rows / w, from row w on
//! a drift when the largest share so far − share > ε = √(ln(1 / confidence) / 2w)
//! ```
//!
//! With a `short_window` its share, its largest share and its ε are looked at as well, also from row
//! w on. After a drift the next row is the first.
//!
//! # State
//! One byte for each row of the window and of the short window. A value costs a division for each.
//!
//! # Source
//! A. Pesaranghader, H. Viktor: Fast Hoeffding drift detection method for evolving data streams.
//! ECML-PKDD 2016; with a short window: A. Pesaranghader and others: Reservoir of diverse adaptive
//! learners and stacking fast Hoeffding drift detection methods for evolving data streams. Machine
//! Learning 107 (2018). Defaults and arithmetic are those of river 0.26.1, `drift.binary.FHDDM`.
//!
//! # Example
//! ```
//! use tidegate_operators::detectors::{Signal, fhddm};
//!
//! let mut detector = fhddm::Fhddm::new(&fhddm::Settings::default());
//! let errors_each = |row: u32| if row < 1000 { 10 } else { 2 };
//! let right = |row: u32| f64::from(u8::from(row % errors_each(row) != 0));
//! let drift = (0..2000).find(|row| detector.add(right(*row)) == Signal::Drift);
//! assert_eq!(drift, Some(1066));
//! ```

use std::collections::VecDeque;

use super::Signal;
use super::settings::{Named, Parameter, must, must_be_at_least, must_be_probability};
use crate::codec::{CodecError, Reader, Writer};

/// What a [`Fhddm`] is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// w: how many rows are compared. Default 100.
    pub window: u32,
    /// How likely a window without any change may be a drift. Default 0.000001.
    pub confidence: f64,
    /// How many rows are compared besides. Default: none are.
    pub short_window: Option<u32>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            window: 100,
            confidence: 1e-6,
            short_window: None,
        }
    }
}

impl Settings {
    pub(super) fn parameters(&mut self) -> Vec<Named<'_>> {
        vec![
            ("window", Parameter::Count(&mut self.window)),
            ("confidence", Parameter::Number(&mut self.confidence)),
            (
                "short_window",
                Parameter::OptionalCount(&mut self.short_window),
            ),
        ]
    }

    pub(super) fn check(&self) -> Result<(), String> {
        must_be_at_least("window", self.window, 1)?;
        must_be_probability("confidence", self.confidence)?;
        let Some(short) = self.short_window else {
            return Ok(());
        };
        must_be_at_least("short_window", short, 1)?;
        let most = format!("at most `window`, which is {}", self.window);
        must(short <= self.window, "short_window", short, &most)
    }
}

/// The newest rows.
#[derive(Clone, Debug, Default, PartialEq)]
struct Window {
    bits: VecDeque<bool>,
    /// How many of them are 1.
    ones: u32,
    /// The most there have been.
    most: u32,
}

impl Window {
    fn push(&mut self, bit: bool, size: u32) {
        self.bits.push_back(bit);
        self.ones += u32::from(bit);
        if self.bits.len() > size as usize && self.bits.pop_front() == Some(true) {
            self.ones -= 1;
        }
    }

    /// Whether the share of ones is now too far below the largest.
    fn has_fallen(&mut self, size: u32, confidence: f64) -> bool {
        self.most = self.most.max(self.ones);
        let size = f64::from(size);
        let most = f64::from(self.most) / size;
        most - f64::from(self.ones) / size > ((1.0 / confidence).ln() / (2.0 * size)).sqrt()
    }

    fn encode(&self, to: &mut Writer) {
        to.length(self.bits.len());
        for bit in &self.bits {
            to.bool(*bit);
        }
        to.unsigned(u128::from(self.most));
    }

    fn decode(size: u32, from: &mut Reader<'_>) -> Result<Window, CodecError> {
        let mut window = Window::default();
        let length = from.length("the rows of a window")?;
        if length > size as usize {
            return Err(from.error("a window that is not too long"));
        }
        for _ in 0..length {
            window.push(from.bool("a row of a window")?, size);
        }
        match from.unsigned("the most ones of a window")? {
            most if most <= u128::from(size) => window.most = most as u32,
            _ => return Err(from.error("the most ones of a window")),
        }
        Ok(window)
    }
}

/// The detector.
#[derive(Clone, Debug, PartialEq)]
pub struct Fhddm {
    settings: Settings,
    long: Window,
    /// Empty when there is none.
    short: Window,
}

impl Fhddm {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(settings: &Settings) -> Fhddm {
        Fhddm {
            settings: settings.clone(),
            long: Window::default(),
            short: Window::default(),
        }
    }

    /// Takes the next value.
    pub fn add(&mut self, value: f64) -> Signal {
        let Settings {
            window,
            confidence,
            short_window,
        } = self.settings;
        let bit = value == 1.0;
        self.long.push(bit, window);
        if let Some(size) = short_window {
            self.short.push(bit, size);
        }
        if self.long.bits.len() < window as usize {
            return Signal::Quiet;
        }
        let fallen = self.long.has_fallen(window, confidence);
        let short = short_window.is_some_and(|size| self.short.has_fallen(size, confidence));
        if fallen || short {
            *self = Fhddm::new(&self.settings);
        }
        Signal::drift_if(fallen || short)
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        self.long.encode(to);
        self.short.encode(to);
    }

    pub(super) fn decode(settings: &Settings, from: &mut Reader<'_>) -> Result<Fhddm, CodecError> {
        Ok(Fhddm {
            settings: settings.clone(),
            long: Window::decode(settings.window, from)?,
            short: Window::decode(settings.short_window.unwrap_or(0), from)?,
        })
    }
}
