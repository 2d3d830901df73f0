//! What a drift job declares: its monitors, its windows, its reference, and when rows leave.

use tidegate_schemas::rows::{Kind, OutputColumn, OutputSchema};
use tidegate_schemas::time::{EventTime, Span, TimeUnit};

use crate::statistics::Smoothing;
use crate::statistics::divergence::Direction;

/// What becomes of a fact that has no value in the monitored column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nulls {
    /// It does not count.
    Skip,
    /// "No value" is a category like any other.
    Category,
}

/// One column that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Monitor {
    /// The code of its name, as it is shown.
    pub name: i64,
    /// Which word of a fact it is: the code of a category, or a whole number. Every distinct value
    /// is a category.
    pub column: usize,
    /// Count only facts that pass this filter.
    pub filter: Option<u8>,
    /// What becomes of missing values.
    pub nulls: Nulls,
}

/// Tumbling windows: number i is `[origin + i · every, origin + (i + 1) · every)`, for every whole
/// number i. A fact exactly at a boundary belongs to the window that begins there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Where window 0 begins.
    pub origin: EventTime,
    /// How long each is; more than zero.
    pub every: Span,
}

impl Windows {
    /// The number of the window that holds `at`.
    #[must_use]
    pub fn index(&self, at: EventTime) -> i64 {
        let passed = i128::from(at.0) - i128::from(self.origin.0);
        clamp(passed.div_euclid(i128::from(self.every.0)))
    }

    /// The first moment of a window.
    #[must_use]
    pub fn start(&self, index: i64) -> EventTime {
        self.boundary(i128::from(index))
    }

    /// The first moment after a window.
    #[must_use]
    pub fn end(&self, index: i64) -> EventTime {
        self.boundary(i128::from(index) + 1)
    }

    fn boundary(&self, index: i128) -> EventTime {
        EventTime(clamp(
            i128::from(self.origin.0) + index * i128::from(self.every.0),
        ))
    }
}

fn clamp(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// What the windows are compared with: a stretch of time, frozen when the watermark has passed it.
/// No row leaves before that.
///
/// Others (a sliding stretch, a stored profile) are further variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// All facts with `from <= at < until`. It need not begin or end with a window.
    Stretch {
        /// Its first moment.
        from: EventTime,
        /// The first moment after it.
        until: EventTime,
    },
    /// So long from the beginning of the window of the earliest fact that the monitor counts; a
    /// whole number of windows. Once it is frozen, it stays where it is, even if that fact is
    /// taken back.
    First(Span),
}

impl Reference {
    /// Whether `at` is inside, if that can be said of a time by itself, and the part of
    /// `[start, end)` around `at` of which the same is true.
    pub(super) fn part(
        &self,
        at: EventTime,
        (start, end): (EventTime, EventTime),
    ) -> (bool, EventTime, EventTime) {
        match *self {
            Reference::Stretch { from, .. } if at < from => (false, start, end.min(from)),
            Reference::Stretch { from, until } if at < until => {
                (true, start.max(from), end.min(until))
            }
            Reference::Stretch { until, .. } => (false, start.max(until), end),
            Reference::First(_) => (false, start, end),
        }
    }
}

/// When rows leave, and what becomes of corrections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firing {
    /// A window's row leaves once, when the watermark has passed its end and that of the reference,
    /// and its counts are forgotten then. What still arrives for it is ignored.
    Final,
    /// From when the watermark has passed the end of the reference, every window has its row,
    /// revised at each tick in which its counts or those of the reference change.
    Changes {
        /// How long after the end of a window (and of the reference) corrections are still taken.
        /// Then its counts are forgotten and its row stands.
        keep: Span,
    },
}

/// What a drift operator is to do. All settings are stated; there are no defaults here.
#[derive(Clone, Debug, PartialEq)]
pub struct DriftSpec {
    /// The columns that are watched, each by itself.
    pub monitors: Vec<Monitor>,
    /// The stretches of time that are compared with the reference.
    pub windows: Windows,
    /// What they are compared with.
    pub reference: Reference,
    /// The share of a category that one side lacks.
    pub smoothing: Smoothing,
    /// Which side Kullback-Leibler starts from.
    pub direction: Direction,
    /// A window with fewer rows than this, or none, has no row in the output.
    pub min_rows: u64,
    /// When rows leave.
    pub firing: Firing,
}

impl DriftSpec {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// What is wrong, in plain words.
    pub fn check(&self) -> Result<(), String> {
        if self.windows.every <= Span::ZERO {
            return Err(format!(
                "windows of {} hold nothing: `every` must be more than zero",
                self.windows.every
            ));
        }
        match self.reference {
            Reference::Stretch { from, until } if from >= until => {
                return Err(format!(
                    "the reference ends ({until}) before it begins ({from})"
                ));
            }
            Reference::First(span) if span <= Span::ZERO || span.0 % self.windows.every.0 != 0 => {
                return Err(format!(
                    "a reference of the first {span} is not a whole number of windows of {}; \
                     say when it begins, or take a multiple",
                    self.windows.every
                ));
            }
            _ => {}
        }
        if !self.smoothing.is_valid() {
            return Err(format!(
                "a smoothing by {:?} gives no shares: its amount is a number of at least 0",
                self.smoothing
            ));
        }
        Ok(())
    }

    /// What the rows look like; times are shown in `unit`. Rows have no key: a row is told from
    /// another by its window and its monitor.
    #[must_use]
    pub fn output(name: &str, unit: TimeUnit) -> OutputSchema {
        let column = |name: &str, kind| OutputColumn {
            name: name.to_owned(),
            kind,
        };
        OutputSchema {
            name: name.to_owned(),
            key: None,
            columns: vec![
                column("start", Kind::Time(unit)),
                column("window", Kind::Int),
                column("column", Kind::Text),
                column("psi", Kind::Float),
                column("kl", Kind::Float),
                column("rows", Kind::Int),
                column("reference_rows", Kind::Int),
                column("categories", Kind::Int),
            ],
            identity: vec![0, 2],
        }
    }

    /// The watermark from which on a stretch that ends at `end` takes no more corrections.
    pub(super) fn settled_from(&self, end: EventTime) -> EventTime {
        match self.firing {
            Firing::Final => end,
            Firing::Changes { keep } => end.plus(keep),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: Windows = Windows {
        origin: EventTime(100),
        every: Span(10),
    };

    #[test]
    fn a_boundary_belongs_to_the_window_that_begins_there() {
        for (at, index) in [(100, 0), (109, 0), (110, 1), (99, -1), (90, -1), (89, -2)] {
            assert_eq!(WINDOWS.index(EventTime(at)), index, "{at}");
            assert!(WINDOWS.start(index).0 <= at && at < WINDOWS.end(index).0);
        }
    }

    #[test]
    fn the_ends_of_time_have_windows() {
        for at in [EventTime::MIN, EventTime::MAX] {
            let index = WINDOWS.index(at);
            assert!(WINDOWS.start(index) <= at && at <= WINDOWS.end(index));
        }
    }

    #[test]
    fn senseless_settings_are_told() {
        let good = DriftSpec {
            monitors: vec![],
            windows: WINDOWS,
            reference: Reference::Stretch {
                from: EventTime(0),
                until: EventTime(1),
            },
            smoothing: Smoothing::AddToCounts(0.5),
            direction: Direction::CurrentFromReference,
            min_rows: 0,
            firing: Firing::Final,
        };
        assert_eq!(good.check(), Ok(()));
        let empty = Reference::Stretch {
            from: EventTime(1),
            until: EventTime(1),
        };
        let none = Windows {
            every: Span::ZERO,
            ..WINDOWS
        };
        #[rustfmt::skip]
        let bad = [
            DriftSpec { reference: empty, ..good.clone() },
            DriftSpec { windows: none, ..good.clone() },
            DriftSpec { reference: Reference::First(Span(25)), ..good.clone() },
            DriftSpec { reference: Reference::First(Span::ZERO), ..good.clone() },
            DriftSpec { smoothing: Smoothing::Floor(f64::NAN), ..good.clone() },
            DriftSpec { smoothing: Smoothing::AddToCounts(-0.5), ..good.clone() },
        ];
        for spec in bad {
            assert!(spec.check().is_err(), "{spec:?}");
        }
    }
}
