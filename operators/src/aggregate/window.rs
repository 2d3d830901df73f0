//! Windows: which facts are inside at a time, and when each of them leaves.

use serde::{Deserialize, Serialize};
use tidegate_schemas::time::{EventTime, Span};

/// Which ends of a window belong to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bounds {
    /// `(t - w, t]`: a fact at t0 counts from t0 until just before t0 + w.
    #[default]
    OpenClosed,
    /// `[t - w, t]`: a fact at t0 counts from t0 up to and at t0 + w.
    ClosedClosed,
    /// `[t - w, t)`: a fact at t0 counts from just after t0 up to and at t0 + w.
    ClosedOpen,
}

impl Bounds {
    /// Whether a fact counts at its own time.
    #[must_use]
    pub fn counts_at_once(self) -> bool {
        self != Bounds::ClosedOpen
    }

    /// Whether a fact exactly `w` old is still inside.
    #[must_use]
    pub fn keeps_the_oldest(self) -> bool {
        self != Bounds::OpenClosed
    }
}

/// A rolling window: its width, the hop of its tail, and its ends.
///
/// With a hop h the tail moves in steps (a sawtooth): the window at t starts at ⌊t − w⌋ rounded down
/// to a multiple of h, so it is between w and w + h wide, and all facts of one bucket of width h
/// leave together. The head is always exact. Without a hop the tail is exact to the microsecond,
/// which is the same as a hop of one microsecond.
///
/// Buckets are `(k·h, (k+1)·h]` where the start is open and `[k·h, (k+1)·h)` where it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    width: i64,
    hop: i64,
    bounds: Bounds,
}

impl Window {
    /// A window of a width; a hop below one microsecond means an exact tail.
    #[must_use]
    pub fn new(width: Span, hop: Option<Span>, bounds: Bounds) -> Window {
        Window {
            width: width.0,
            hop: hop.map_or(1, |hop| hop.0.max(1)),
            bounds,
        }
    }

    /// The newest time that is outside at `t`: a fact that has entered is inside if it is later.
    #[must_use]
    #[inline]
    pub fn cut(&self, t: EventTime) -> EventTime {
        let start = t.0.saturating_sub(self.width);
        let start = match self.hop {
            1 => start,
            hop => start.saturating_sub(start.rem_euclid(hop)),
        };
        EventTime(start.saturating_sub(i64::from(self.bounds.keeps_the_oldest())))
    }

    /// The first time at which a fact at `at` is outside again.
    #[must_use]
    #[inline]
    pub fn leaves(&self, at: EventTime) -> EventTime {
        let past_hop = match self.hop {
            1 => 0,
            hop => at.0.rem_euclid(hop),
        };
        let to_end = if self.bounds.keeps_the_oldest() || past_hop > 0 {
            self.hop - past_hop
        } else {
            0
        };
        EventTime(at.0.saturating_add(to_end).saturating_add(self.width))
    }

    /// Whether everything inside another window is inside this one too, at any time.
    #[must_use]
    pub fn covers(&self, other: &Window) -> bool {
        self.hop == other.hop && self.bounds == other.bounds && self.width >= other.width
    }

    /// Whether two facts leave this window at the same time.
    #[must_use]
    pub fn same_bucket(&self, a: EventTime, b: EventTime) -> bool {
        self.leaves(a) == self.leaves(b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Span = Span::hours(1);
    const MINUTES_5: Span = Span::seconds(300);

    fn minute(m: i64) -> EventTime {
        EventTime(Span::seconds(60 * m).0)
    }

    #[test]
    fn a_fact_leaves_exactly_when_the_cut_reaches_it() {
        for bounds in [Bounds::OpenClosed, Bounds::ClosedClosed, Bounds::ClosedOpen] {
            for hop in [None, Some(MINUTES_5), Some(Span(7))] {
                let window = Window::new(HOUR, hop, bounds);
                for at in [
                    -601_000_001,
                    -300_000_000,
                    -1,
                    0,
                    1,
                    299_999_999,
                    300_000_000,
                ] {
                    let at = EventTime(at);
                    let gone = window.leaves(at);
                    assert!(window.cut(gone) >= at, "{window:?} {at:?}");
                    assert!(window.cut(EventTime(gone.0 - 1)) < at, "{window:?} {at:?}");
                }
            }
        }
    }

    #[test]
    fn the_ends_are_as_declared() {
        let leaves = |bounds| Window::new(HOUR, None, bounds).leaves(minute(10));
        assert_eq!(leaves(Bounds::OpenClosed), minute(70));
        assert_eq!(leaves(Bounds::ClosedClosed), minute(70).next());
        assert_eq!(leaves(Bounds::ClosedOpen), minute(70).next());
    }

    #[test]
    fn a_hop_rounds_the_start_down() {
        // 14:27 with one hour and five minutes starts at 13:25, as published for sawtooth windows.
        let window = Window::new(HOUR, Some(MINUTES_5), Bounds::ClosedOpen);
        let t = minute(14 * 60 + 27);
        assert_eq!(window.cut(t).next(), minute(13 * 60 + 25));
        assert!(window.same_bucket(minute(13 * 60 + 25), minute(13 * 60 + 29)));
        assert!(!window.same_bucket(minute(13 * 60 + 29), minute(13 * 60 + 30)));
    }

    #[test]
    fn the_ends_of_time_do_not_wrap() {
        let window = Window::new(HOUR, Some(MINUTES_5), Bounds::ClosedClosed);
        assert_eq!(window.leaves(EventTime::MAX), EventTime::MAX);
        assert_eq!(window.cut(EventTime::MIN), EventTime::MIN);
    }
}
