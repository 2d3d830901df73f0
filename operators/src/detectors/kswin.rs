//! KSWIN: the newest values of a window against as many of its older ones, by the two-sample test
//! of Kolmogorov and Smirnov.
//!
//! ```text
//! newer = the last r = stat_size values of the window
//! older = r of the n = window_size − r values before: those with the numbers ⌊i · n / r⌋, i = 0 … r − 1
//! D = the largest difference of their two shares of values up to x, over all x
//! a drift when the window is full, P(D or more) ≤ alpha, and D > 0.1
//! ```
//!
//! **This is a deterministic variant.** The paper and river draw the older values at random, so that
//! their answers depend on a seed; here they are spread evenly. With values that repeat in a pattern
//! whose length goes with n / r, choose another `window_size`. P is [`p`]: exact for samples without
//! ties, up to 10,000 values each.
//!
//! # State
//! 8 bytes for each value of the window. A value costs sorting 2r values once the window is full.
//!
//! # Source
//! C. Raab, M. Heusinger, F.-M. Schleif: Reactive soft prototype computing for concept drift streams.
//! Neurocomputing 416 (2020). But for the draw, defaults and arithmetic are those of river 0.26.1,
//! `drift.KSWIN`: its text says that it keeps the newest values after a drift, its code drops them
//! with the next row.
//!
//! # Example
//! ```
//! use tidegate_operators::detectors::{Signal, kswin};
//!
//! let mut detector = kswin::Kswin::new(&kswin::Settings::default());
//! let noise = |row: u32| f64::from(row * 7919 % 1000) / 1000.0;
//! let level = |row: u32| if row < 1000 { 0.0 } else { 0.5 };
//! let drift = (0..2000).find(|row| detector.add(level(*row) + noise(*row)) == Signal::Drift);
//! assert_eq!(drift, Some(1026));
//! ```

use std::collections::VecDeque;

use super::settings::{Named, Parameter, must, must_be_at_least, must_be_probability};
use super::{After, Signal};
use crate::codec::{CodecError, Reader, Writer};
use crate::statistics::kolmogorov::p;

/// What a [`Kswin`] is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How likely a drift may be where there is none, at each row. Default 0.005.
    pub alpha: f64,
    /// How many values there are, older and newer. Default 100.
    pub window_size: u32,
    /// How many of them are newer, and how many of the others they are compared with. Default 30.
    pub stat_size: u32,
    /// What is left after a drift: nothing, as in river (the default), or the newer values, as in
    /// the paper.
    pub after: After,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            alpha: 0.005,
            window_size: 100,
            stat_size: 30,
            after: After::Restart,
        }
    }
}

impl Settings {
    pub(super) fn parameters(&mut self) -> Vec<Named<'_>> {
        vec![
            ("alpha", Parameter::Number(&mut self.alpha)),
            ("window_size", Parameter::Count(&mut self.window_size)),
            ("stat_size", Parameter::Count(&mut self.stat_size)),
            ("after", Parameter::After(&mut self.after)),
        ]
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let Settings {
            alpha,
            window_size,
            stat_size,
            ..
        } = *self;
        must_be_probability("alpha", alpha)?;
        must_be_at_least("stat_size", stat_size, 1)?;
        let most = format!("at most half of `window_size`, which is {window_size}");
        must(stat_size <= window_size / 2, "stat_size", stat_size, &most)?;
        let never = format!(
            "more: samples of {stat_size} never differ so much that it is as unlikely as `alpha`, \
             which is {alpha}"
        );
        must(self.least().is_some(), "stat_size", stat_size, &never)
    }

    /// The least D that is a drift, in steps of 1 / `stat_size`.
    fn least(&self) -> Option<usize> {
        let n = self.stat_size as usize;
        let steps: Vec<_> = (1..=n).collect();
        let drift = |d: usize| d * 10 > n && p(d as f64 / n as f64, n, n) <= self.alpha;
        let least = steps.partition_point(|d| !drift(*d));
        steps.get(least).copied()
    }
}

/// The detector.
#[derive(Clone, Debug, PartialEq)]
pub struct Kswin {
    settings: Settings,
    /// The least distance that is a drift.
    least: usize,
    /// The newest values, oldest first; one less than a whole window at most.
    window: VecDeque<f64>,
}

impl Kswin {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(settings: &Settings) -> Kswin {
        Kswin {
            settings: settings.clone(),
            least: settings.least().unwrap_or(usize::MAX),
            window: VecDeque::new(),
        }
    }

    /// Takes the next value.
    pub fn add(&mut self, value: f64) -> Signal {
        self.window.push_back(value);
        if self.window.len() < self.settings.window_size as usize {
            return Signal::Quiet;
        }
        let newer = self.settings.stat_size as usize;
        let before = self.window.len() - newer;
        if self.distance(before, newer) < self.least {
            self.window.pop_front();
            return Signal::Quiet;
        }
        match self.settings.after {
            After::Restart => self.window.clear(),
            After::Keep => drop(self.window.drain(..before)),
        }
        Signal::Drift
    }

    /// D of the two samples of `count` values, in steps of 1 / `count`.
    fn distance(&self, before: usize, count: usize) -> usize {
        let sorted = |values: &mut Vec<f64>| values.sort_unstable_by(f64::total_cmp);
        let mut older: Vec<_> = (0..count)
            .map(|i| self.window[i * before / count])
            .collect();
        let mut newer: Vec<_> = self.window.range(before..).copied().collect();
        sorted(&mut older);
        sorted(&mut newer);
        let (mut i, mut j, mut distance) = (0, 0, 0);
        while i < count && j < count {
            let value = older[i].min(newer[j]);
            while i < count && older[i] <= value {
                i += 1;
            }
            while j < count && newer[j] <= value {
                j += 1;
            }
            distance = distance.max(i.abs_diff(j));
        }
        distance
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        to.length(self.window.len());
        for value in &self.window {
            to.float(*value);
        }
    }

    pub(super) fn decode(settings: &Settings, from: &mut Reader<'_>) -> Result<Kswin, CodecError> {
        let mut kswin = Kswin::new(settings);
        let length = from.length("the values of a window")?;
        if length >= settings.window_size as usize {
            return Err(from.error("a window that is not full"));
        }
        for _ in 0..length {
            kswin.window.push_back(from.float("a value of a window")?);
        }
        Ok(kswin)
    }
}
