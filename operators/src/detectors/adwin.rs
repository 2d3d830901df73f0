//! ADWIN: a window of the newest values that is as long as they have one mean.
//!
//! The window is cut in two, older and newer, wherever its buckets allow. While for some cut
//!
//! ```text
//! |mean of the older − mean of the newer| > √(2 · v · δ′ · m) + ⅔ · δ′ · m
//! m  = 1 / (n older − min_window_length + 1) + 1 / (n newer − min_window_length + 1)
//! δ′ = ln(2 · ln(n) / δ),   v = Σ(x − mean)² / n, of the whole window
//! ```
//!
//! the oldest bucket is forgotten, and the row is a drift. It sees rises and falls.
//!
//! A bucket stands for 1, 2, 4, … values. When there are more than `max_buckets` of one size, the
//! two oldest become one of the next; so a long window is remembered coarsely where it is old.
//!
//! # State
//! 16 bytes for each of at most `max_buckets` · (log₂(n / `max_buckets`) + 1) buckets: with two million
//! values in the window 1.3 KB when saved, about 3 KB in memory. A value costs a merge of buckets or
//! two, and every `clock`-th one a pass over all of them, or one for each bucket forgotten.
//!
//! # Source
//! A. Bifet, R. Gavaldà: Learning from time-changing data with adaptive windowing. SDM 2007, the
//! algorithm ADWIN2, with the bound of its section 4. Defaults and arithmetic are those of river
//! 0.26.1, `drift.ADWIN`.
//!
//! # Example
//! ```
//! use tidegate_operators::detectors::{Signal, adwin};
//!
//! let mut adwin = adwin::Adwin::new(&adwin::Settings::default());
//! let level = |row: u32| if row < 1000 { 0.0 } else { 1.0 };
//! let drift = (0..2000).find(|row| adwin.add(level(*row)) == Signal::Drift);
//! // Rows are counted from 0: every 32nd one is looked at.
//! assert_eq!(drift, Some(1023));
//! ```

use std::collections::VecDeque;

use super::settings::{Named, Parameter, must_be_at_least, must_be_probability};
use super::{After, Signal};
use crate::codec::{CodecError, Reader, Writer};

/// So many sizes of buckets are more than any stream fills.
const MOST_SIZES: usize = 48;

/// What an [`Adwin`] is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// δ: about the share of rows that may be called a drift where there is none. Default 0.002.
    pub delta: f64,
    /// Each how manieth row looks for cuts. Default 32.
    pub clock: u32,
    /// How many buckets of one size there are at most. Default 5.
    pub max_buckets: u32,
    /// How many values are on each side of a cut at least. Default 5.
    pub min_window_length: u32,
    /// Windows of so many values and less are not looked at. Default 10.
    pub grace_period: u32,
    /// What is left after a drift: nothing, as in river (the default), or the values that are no
    /// longer different, as in the paper. The rest of a large change is then often found in steps,
    /// a drift each.
    pub after: After,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            delta: 0.002,
            clock: 32,
            max_buckets: 5,
            min_window_length: 5,
            grace_period: 10,
            after: After::Restart,
        }
    }
}

impl Settings {
    pub(super) fn parameters(&mut self) -> Vec<Named<'_>> {
        vec![
            ("delta", Parameter::Number(&mut self.delta)),
            ("clock", Parameter::Count(&mut self.clock)),
            ("max_buckets", Parameter::Count(&mut self.max_buckets)),
            (
                "min_window_length",
                Parameter::Count(&mut self.min_window_length),
            ),
            ("grace_period", Parameter::Count(&mut self.grace_period)),
            ("after", Parameter::After(&mut self.after)),
        ]
    }

    pub(super) fn check(&self) -> Result<(), String> {
        must_be_probability("delta", self.delta)?;
        for (name, count) in [
            ("clock", self.clock),
            ("max_buckets", self.max_buckets),
            ("min_window_length", self.min_window_length),
        ] {
            must_be_at_least(name, count, 1)?;
        }
        Ok(())
    }
}

/// Some values that follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    total: f64,
    /// The sum of their squared deviations from their mean.
    squares: f64,
}

/// The detector.
#[derive(Clone, Debug, PartialEq)]
pub struct Adwin {
    settings: Settings,
    /// Row `i` has the buckets of 2ⁱ values, oldest first; they are all older than those of row
    /// `i − 1`. The last row is not empty.
    rows: Vec<VecDeque<Bucket>>,
    width: u64,
    total: f64,
    squares: f64,
    /// How many rows came since cuts were looked for.
    tick: u32,
}

impl Adwin {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(settings: &Settings) -> Adwin {
        Adwin {
            settings: settings.clone(),
            rows: Vec::new(),
            width: 0,
            total: 0.0,
            squares: 0.0,
            tick: 0,
        }
    }

    /// How many values are in the window.
    #[must_use]
    pub fn width(&self) -> u64 {
        self.width
    }

    /// The sum of the values in the window.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.total
    }

    /// The sum of the squared deviations of the values in the window from their mean.
    #[must_use]
    pub fn squares(&self) -> f64 {
        self.squares
    }

    /// Takes the next value.
    pub fn add(&mut self, value: f64) -> Signal {
        self.insert(value);
        self.tick += 1;
        if self.tick < self.settings.clock {
            return Signal::Quiet;
        }
        self.tick = 0;
        if self.width <= u64::from(self.settings.grace_period) {
            return Signal::Quiet;
        }
        if !self.is_of_two_parts() {
            return Signal::Quiet;
        }
        match self.settings.after {
            After::Restart => *self = Adwin::new(&self.settings),
            After::Keep => {
                while self.is_of_two_parts() {
                    self.forget_oldest();
                }
            }
        }
        Signal::Drift
    }

    fn insert(&mut self, value: f64) {
        let mut bucket = Bucket {
            total: value,
            squares: 0.0,
        };
        self.widen(0, bucket);
        for row in 0.. {
            if row == self.rows.len() {
                self.rows.push(VecDeque::new());
            }
            let buckets = &mut self.rows[row];
            buckets.push_back(bucket);
            if buckets.len() <= self.settings.max_buckets as usize {
                return;
            }
            let (Some(a), Some(b)) = (buckets.pop_front(), buckets.pop_front()) else {
                return;
            };
            let size = size(row);
            let apart = a.total / size - b.total / size;
            bucket = Bucket {
                total: a.total + b.total,
                squares: a.squares + b.squares + size * 0.5 * apart * apart,
            };
        }
    }

    /// Takes a bucket of a row into the sums of the whole window.
    fn widen(&mut self, row: usize, bucket: Bucket) {
        if self.width > 0 {
            let (before, size) = (self.width as f64, size(row));
            let apart = bucket.total / size - self.total / before;
            self.squares += before * size * apart * apart / (before + size);
        }
        self.width += 1 << row;
        self.total += bucket.total;
        self.squares += bucket.squares;
    }

    fn is_of_two_parts(&self) -> bool {
        let Settings {
            delta,
            min_window_length,
            ..
        } = self.settings;
        let least = f64::from(min_window_length);
        let width = self.width as f64;
        let variance = self.squares / width;
        let doubt = (2.0 * width.ln() / delta).ln();
        let (mut older, mut older_total) = (0.0, 0.0);
        let (mut newer, mut newer_total) = (width, self.total);
        for (row, buckets) in self.rows.iter().enumerate().rev() {
            for bucket in buckets {
                older += size(row);
                newer -= size(row);
                older_total += bucket.total;
                newer_total -= bucket.total;
                if newer < least {
                    return false;
                }
                if older < least {
                    continue;
                }
                let m = 1.0 / (older - least + 1.0) + 1.0 / (newer - least + 1.0);
                let bound = (2.0 * m * variance * doubt).sqrt() + 2.0 / 3.0 * doubt * m;
                if (older_total / older - newer_total / newer).abs() > bound {
                    return true;
                }
            }
        }
        false
    }

    /// The sums are taken anew, so that a large value that is gone leaves no rounding behind.
    fn forget_oldest(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        if let Some(oldest) = rows.last_mut() {
            oldest.pop_front();
        }
        while rows.last().is_some_and(VecDeque::is_empty) {
            rows.pop();
        }
        (self.width, self.total, self.squares) = (0, 0.0, 0.0);
        for (row, buckets) in rows.iter().enumerate().rev() {
            for bucket in buckets {
                self.widen(row, *bucket);
            }
        }
        self.rows = rows;
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        to.unsigned(u128::from(self.tick));
        to.float(self.total);
        to.float(self.squares);
        to.length(self.rows.len());
        for buckets in &self.rows {
            to.length(buckets.len());
            for bucket in buckets {
                to.float(bucket.total);
                to.float(bucket.squares);
            }
        }
    }

    pub(super) fn decode(settings: &Settings, from: &mut Reader<'_>) -> Result<Adwin, CodecError> {
        let mut adwin = Adwin::new(settings);
        let tick = from.unsigned("rows since the last look")?;
        if tick >= u128::from(settings.clock) {
            return Err(from.error("fewer rows since the last look than `clock`"));
        }
        adwin.tick = tick as u32;
        adwin.total = from.float("the total of a window")?;
        adwin.squares = from.float("the squared deviations of a window")?;
        let rows = from.length("the sizes of buckets")?;
        if rows > MOST_SIZES {
            return Err(from.error("the sizes of buckets"));
        }
        for row in 0..rows {
            let count = from.length("the buckets of a size")?;
            if count > settings.max_buckets as usize || (count == 0 && row + 1 == rows) {
                return Err(from.error("at most `max_buckets` buckets of a size"));
            }
            let mut buckets = VecDeque::with_capacity(count);
            for _ in 0..count {
                buckets.push_back(Bucket {
                    total: from.float("the total of a bucket")?,
                    squares: from.float("the squared deviations of a bucket")?,
                });
            }
            adwin.width += (count as u64) << row;
            adwin.rows.push(buckets);
        }
        Ok(adwin)
    }
}

/// How many values a bucket of a row stands for.
fn size(row: usize) -> f64 {
    (1u64 << row) as f64
}
