//! Change detectors: one stream of numbers in, a [`Signal`] for each.
//!
//! | name | looks at | parameters and their defaults | source | ns a value |
//! |---|---|---|---|---|
//! | [`adwin`] | a mean, by a window of changing length | `delta` 0.002, `clock` 32, `max_buckets` 5, `min_window_length` 5, `grace_period` 10, `after` restart | Bifet and Gavaldà 2007 | 20, with `clock` 1 290 |
//! | [`page_hinkley`] | a mean, in the unit of the values | `min_instances` 30, `delta` 0.005, `threshold` 50, `alpha` 0.9999, `direction` both | Page 1954, Hinkley 1971 | 7 |
//! | [`cusum`] | a mean, in the first rows' deviations | `min_instances` 30, `slack` 0.5, `threshold` 5, `direction` both | Page 1954 | 5 |
//! | [`kswin`] | a whole distribution | `alpha` 0.005, `window_size` 100, `stat_size` 30, `after` restart | Raab and others 2020 | 700 |
//! | [`ddm`] | a rising share of errors | `warm_start` 30, `warning_threshold` 2, `drift_threshold` 3 | Gama and others 2004 | 4 |
//! | [`eddm`] | errors coming closer together | `warm_start` 30, `alpha` 0.95, `beta` 0.9 | Baena-García and others 2006 | 3 |
//! | [`fhddm`] | a falling share of *right* answers | `window` 100, `confidence` 0.000001, `short_window` none | Pesaranghader and Viktor 2016 | 10 |
//! | [`hddm_a`] | a share, all rows against the first | `drift_confidence` 0.001, `warning_confidence` 0.005, `direction` up | Frías-Blanco and others 2015 | 30 |
//! | [`hddm_w`] | a share, newest rows against those before | `drift_confidence` 0.001, `warning_confidence` 0.005, `lambda` 0.05, `direction` up | Frías-Blanco and others 2015 | 23 |
//!
//! Behaviour and defaults are those of river 0.26.1, row for row, but for the draw of [`kswin`], and
//! for [`cusum`], which is in later versions only. What river calls `mode` or `two_sided_test` is
//! `direction`, `sliding_window_size` is `window`, `confidence_level` is `confidence`,
//! `short_window_size` is `short_window`, `lambda_val` is `lambda`.
//!
//! # Order
//! A detector depends on the order of its values, and **none can take a value back**. So its rows are
//! those that the watermark has passed, by event time and then id; then the answers are the same
//! however the rows arrived. Sums are floats that are rounded in that order.
//!
//! # Values
//! Every number up to [`LARGEST`] either way. NaN and numbers beyond are not taken: whoever has the
//! rows asks [`takes`], leaves such a row out, and counts it. Detectors of bits say what 1 means, and
//! what they make of other values.
//!
//! # State
//! For each stream a [`Detector`] of 192 bytes, its settings included, and the windows: those of
//! [`kswin`] and [`fhddm`] are as long as they are told, that of [`adwin`] grows with the logarithm of
//! its length, to 3 KB at two million values. A drift starts a detector anew, unless `after` says that
//! it keeps what is no longer different. Whoever has the stream says when it is forgotten.
//!
//! # Example
//! ```
//! use tidegate_operators::detectors::{Detector, Settings, Signal};
//!
//! let settings = Settings::named("page_hinkley", [("threshold", "10")]).unwrap();
//! let mut detector = Detector::new(&settings);
//! assert!((0..1000).all(|_| detector.add(0.25) == Signal::Quiet));
//! let after = (0..1000).find(|_| detector.add(0.75) == Signal::Drift);
//! assert_eq!(after, Some(20));
//! ```

use crate::codec::{CodecError, Reader, Writer};

pub mod adwin;
pub mod cusum;
pub mod ddm;
pub mod eddm;
pub mod fhddm;
pub mod hddm_a;
pub mod hddm_w;
pub mod hoeffding;
pub mod kswin;
pub mod page_hinkley;
mod running;
mod settings;
#[cfg(test)]
mod tests;

pub use settings::Settings;

/// The largest value that detectors take, and less zero the least: sums of squares of as many as
/// there can be stay finite.
pub const LARGEST: f64 = 1e100;

/// Whether detectors take a value: a number, and not beyond [`LARGEST`].
#[must_use]
pub fn takes(value: f64) -> bool {
    value.abs() <= LARGEST
}

/// What a detector says to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// Nothing changed, as far as can be told.
    Quiet,
    /// Something may have changed. Only detectors of two levels say so.
    Warning,
    /// Something changed.
    Drift,
}

impl Signal {
    fn drift_if(drift: bool) -> Signal {
        match drift {
            true => Signal::Drift,
            false => Signal::Quiet,
        }
    }
}

/// Which changes count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Rises.
    Up,
    /// Falls.
    Down,
    /// Rises and falls.
    Both,
}

impl Direction {
    fn of(self, up: Signal, down: Signal) -> Signal {
        match self {
            Direction::Up => up,
            Direction::Down => down,
            Direction::Both => up.max(down),
        }
    }
}

/// What a window has left after a drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing: the next row is the first.
    Restart,
    /// The newer values, those after the change.
    Keep,
}

/// A detector and what it has seen of its stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Detector {
    /// See [`adwin`].
    Adwin(adwin::Adwin),
    /// See [`page_hinkley`].
    PageHinkley(page_hinkley::PageHinkley),
    /// See [`cusum`].
    Cusum(cusum::Cusum),
    /// See [`kswin`].
    Kswin(kswin::Kswin),
    /// See [`ddm`].
    Ddm(ddm::Ddm),
    /// See [`eddm`].
    Eddm(eddm::Eddm),
    /// See [`fhddm`].
    Fhddm(fhddm::Fhddm),
    /// See [`hddm_a`].
    HddmA(hddm_a::HddmA),
    /// See [`hddm_w`].
    HddmW(hddm_w::HddmW),
}

impl Detector {
    /// One that has seen nothing.
    ///
    /// # Panics
    /// When [`Settings::check`] has something against the settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Detector {
        if let Err(problem) = settings.check() {
            panic!("{problem}");
        }
        match settings {
            Settings::Adwin(settings) => Detector::Adwin(adwin::Adwin::new(settings)),
            Settings::PageHinkley(settings) => {
                Detector::PageHinkley(page_hinkley::PageHinkley::new(settings))
            }
            Settings::Cusum(settings) => Detector::Cusum(cusum::Cusum::new(settings)),
            Settings::Kswin(settings) => Detector::Kswin(kswin::Kswin::new(settings)),
            Settings::Ddm(settings) => Detector::Ddm(ddm::Ddm::new(settings)),
            Settings::Eddm(settings) => Detector::Eddm(eddm::Eddm::new(settings)),
            Settings::Fhddm(settings) => Detector::Fhddm(fhddm::Fhddm::new(settings)),
            Settings::HddmA(settings) => Detector::HddmA(hddm_a::HddmA::new(settings)),
            Settings::HddmW(settings) => Detector::HddmW(hddm_w::HddmW::new(settings)),
        }
    }

    /// Takes the next value of the stream.
    ///
    /// # Panics
    /// When it is not one that a detector [`takes`].
    pub fn add(&mut self, value: f64) -> Signal {
        assert!(
            takes(value),
            "{value} was given to a detector, which takes numbers up to {LARGEST}"
        );
        match self {
            Detector::Adwin(detector) => detector.add(value),
            Detector::PageHinkley(detector) => detector.add(value),
            Detector::Cusum(detector) => detector.add(value),
            Detector::Kswin(detector) => detector.add(value),
            Detector::Ddm(detector) => detector.add(value),
            Detector::Eddm(detector) => detector.add(value),
            Detector::Fhddm(detector) => detector.add(value),
            Detector::HddmA(detector) => detector.add(value),
            Detector::HddmW(detector) => detector.add(value),
        }
    }

    /// Writes what the detector has seen. Its settings are the job's, and are not written.
    pub fn encode(&self, to: &mut Writer) {
        match self {
            Detector::Adwin(detector) => detector.encode(to),
            Detector::PageHinkley(detector) => detector.encode(to),
            Detector::Cusum(detector) => detector.encode(to),
            Detector::Kswin(detector) => detector.encode(to),
            Detector::Ddm(detector) => detector.encode(to),
            Detector::Eddm(detector) => detector.encode(to),
            Detector::Fhddm(detector) => detector.encode(to),
            Detector::HddmA(detector) => detector.encode(to),
            Detector::HddmW(detector) => detector.encode(to),
        }
    }

    /// Reads what [`Detector::encode`] wrote of a detector with the same settings.
    ///
    /// # Errors
    /// When the bytes are not a state of it.
    pub fn decode(settings: &Settings, from: &mut Reader<'_>) -> Result<Detector, CodecError> {
        Ok(match settings {
            Settings::Adwin(settings) => Detector::Adwin(adwin::Adwin::decode(settings, from)?),
            Settings::PageHinkley(settings) => {
                Detector::PageHinkley(page_hinkley::PageHinkley::decode(settings, from)?)
            }
            Settings::Cusum(settings) => Detector::Cusum(cusum::Cusum::decode(settings, from)?),
            Settings::Kswin(settings) => Detector::Kswin(kswin::Kswin::decode(settings, from)?),
            Settings::Ddm(settings) => Detector::Ddm(ddm::Ddm::decode(settings, from)?),
            Settings::Eddm(settings) => Detector::Eddm(eddm::Eddm::decode(settings, from)?),
            Settings::Fhddm(settings) => Detector::Fhddm(fhddm::Fhddm::decode(settings, from)?),
            Settings::HddmA(settings) => Detector::HddmA(hddm_a::HddmA::decode(settings, from)?),
            Settings::HddmW(settings) => Detector::HddmW(hddm_w::HddmW::decode(settings, from)?),
        })
    }
}
