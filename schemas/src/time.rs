//! Time as types: event time, spans of it, and the tick of the dataflow.
//!
//! Event time is counted in microseconds since 1970-01-01T00:00:00Z, which reaches every year a
//! calendar library can name. Nanosecond sources are floored to microseconds at the edge.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A moment in event time: microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventTime(pub i64);

impl EventTime {
    /// Before every fact.
    pub const MIN: EventTime = EventTime(i64::MIN);
    /// After every fact: the watermark of an input that has ended.
    pub const MAX: EventTime = EventTime(i64::MAX);

    /// The moment `span` later, stopping at the ends of time.
    #[must_use]
    pub fn plus(self, span: Span) -> EventTime {
        EventTime(self.0.saturating_add(span.0))
    }

    /// The moment `span` earlier, stopping at the ends of time; the ends themselves do not move.
    #[must_use]
    pub fn minus(self, span: Span) -> EventTime {
        match self {
            EventTime::MIN | EventTime::MAX => self,
            EventTime(at) => EventTime(at.saturating_sub(span.0)),
        }
    }

    /// The smallest moment after this one.
    #[must_use]
    pub fn next(self) -> EventTime {
        EventTime(self.0.saturating_add(1))
    }
}

impl fmt::Display for EventTime {
    /// RFC 3339 in UTC, with as many decimals of a second as it needs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match chrono::DateTime::from_timestamp_micros(self.0) {
            Some(time) => write!(
                f,
                "{}",
                time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
            ),
            None if self.0 < 0 => f.write_str("the beginning of time"),
            None => f.write_str("the end of time"),
        }
    }
}

impl Sub for EventTime {
    type Output = Span;
    fn sub(self, earlier: EventTime) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

/// A length of event time in microseconds. Written `30m`, `7d`, `1h 30m` or `500ms` in job files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub i64);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// A span of whole milliseconds.
    #[must_use]
    pub const fn millis(n: i64) -> Span {
        Span(n * 1_000)
    }

    /// A span of whole seconds.
    #[must_use]
    pub const fn seconds(n: i64) -> Span {
        Span(n * 1_000_000)
    }

    /// A span of whole hours.
    #[must_use]
    pub const fn hours(n: i64) -> Span {
        Span::seconds(n * 3_600)
    }

    /// A span of whole days of 24 hours.
    #[must_use]
    pub const fn days(n: i64) -> Span {
        Span::hours(n * 24)
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl FromStr for Span {
    type Err = String;

    /// Reads `30m`, `7d`, `1h 30m`, `500ms`, `250us`. `Err` says what is wrong, in plain words.
    fn from_str(text: &str) -> Result<Span, String> {
        let length = humantime::parse_duration(text).map_err(|e| {
            format!("`{text}` is not a duration ({e}); write it like 30m, 24h or 7d")
        })?;
        i64::try_from(length.as_micros())
            .map(Span)
            .map_err(|_| format!("`{text}` is longer than 292,000 years"))
    }
}

impl fmt::Display for Span {
    /// The shortest single unit that is exact: `90m`, `24h`, `7d` (whole days from two days up).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: i64 = 86_400_000_000;
        const UNITS: [(i64, &str); 5] = [
            (3_600_000_000, "h"),
            (60_000_000, "m"),
            (1_000_000, "s"),
            (1_000, "ms"),
            (1, "us"),
        ];
        if self.0 % DAY == 0 && self.0.abs() >= 2 * DAY {
            return write!(f, "{}d", self.0 / DAY);
        }
        for (unit, suffix) in UNITS {
            if self.0 % unit == 0 && self.0 != 0 {
                return write!(f, "{}{suffix}", self.0 / unit);
            }
        }
        f.write_str("0s")
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A duration such as 30m, 24h, 7d or 1h 30m.",
            "pattern": "^([0-9]+ ?[a-zA-Z]+ ?)+$"
        })
    }
}

/// The dataflow's own clock: it only ever grows, and one tick holds one batch of input.
pub type Tick = u64;

/// The unit a source declared for its times, and in which they leave again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeUnit {
    /// Seconds.
    Second,
    /// Milliseconds.
    Millisecond,
    /// Microseconds.
    Microsecond,
    /// Nanoseconds.
    Nanosecond,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_print_in_the_shortest_exact_unit() {
        for text in ["30m", "24h", "7d", "90s", "500ms", "0s", "36h"] {
            assert_eq!(
                text.parse::<Span>().map(|s| s.to_string()),
                Ok(text.to_owned())
            );
        }
        assert_eq!("1d".parse::<Span>(), Ok(Span::hours(24)));
        assert!("a while".parse::<Span>().is_err());
    }

    #[test]
    fn the_ends_of_time_do_not_wrap() {
        assert_eq!(EventTime::MAX.plus(Span::days(1)), EventTime::MAX);
        assert_eq!(EventTime::MIN.minus(Span::days(1)), EventTime::MIN);
        assert_eq!(EventTime::MAX.minus(Span::days(1)), EventTime::MAX);
        assert_eq!(EventTime(0).to_string(), "1970-01-01T00:00:00Z");
    }
}
