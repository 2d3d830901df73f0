//! Where an axis of time has its marks: at round moments of the calendar, in UTC.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime};

/// An axis has at most so many marks.
const MOST: i64 = 9;
const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Steps of one length, with how their marks read.
const STEPS: [(i64, &str); 19] = [
    (1, "%H:%M:%S%.6f"),
    (1_000, "%H:%M:%S%.3f"),
    (SECOND, "%H:%M:%S"),
    (5 * SECOND, "%H:%M:%S"),
    (15 * SECOND, "%H:%M:%S"),
    (MINUTE, "%m-%d %H:%M"),
    (5 * MINUTE, "%m-%d %H:%M"),
    (15 * MINUTE, "%m-%d %H:%M"),
    (HOUR, "%m-%d %H:%M"),
    (3 * HOUR, "%m-%d %H:%M"),
    (6 * HOUR, "%m-%d %H:%M"),
    (12 * HOUR, "%m-%d %H:%M"),
    (DAY, "%Y-%m-%d"),
    (2 * DAY, "%Y-%m-%d"),
    (4 * DAY, "%Y-%m-%d"),
    (7 * DAY, "%Y-%m-%d"),
    (10 * DAY, "%Y-%m-%d"),
    (14 * DAY, "%Y-%m-%d"),
    (20 * DAY, "%Y-%m-%d"),
];

/// The marks from one moment to another, in microseconds since 1970, and how they read.
pub(super) fn ticks(from: i64, until: i64) -> (Vec<i64>, &'static str) {
    let length = until.saturating_sub(from);
    if let Some((step, format)) = STEPS.into_iter().find(|(step, _)| length / step < MOST) {
        let first = -(-from).div_euclid(step) * step;
        let marks = (0..=MOST).map(|mark| first + mark * step);
        return (marks.filter(|at| *at <= until).collect(), format);
    }
    let mut months = [1, 2, 3, 6]
        .into_iter()
        .chain((0..5).flat_map(|power| [12, 24, 60].map(|years| years * 10_u32.pow(power))));
    let fits = |months: &u32| length / (i64::from(*months) * 30 * DAY) < MOST;
    let months = months.find(fits).unwrap_or(1_200_000);
    let format = if months < 12 { "%Y-%m" } else { "%Y" };
    (by_months(from, until, months), format)
}

fn by_months(from: i64, until: i64, months: u32) -> Vec<i64> {
    let Some(begin) = moment(from) else {
        return Vec::new();
    };
    let month = begin.year() * 12 + begin.month0() as i32;
    let first = month.div_euclid(months as i32) * months as i32;
    let day = NaiveDate::from_ymd_opt(first.div_euclid(12), first.rem_euclid(12) as u32 + 1, 1);
    let days = std::iter::successors(day, |day| day.checked_add_months(Months::new(months)));
    let at = days.map(|day| {
        day.and_time(chrono::NaiveTime::MIN)
            .and_utc()
            .timestamp_micros()
    });
    at.skip_while(|at| *at < from)
        .take_while(|at| *at <= until)
        .collect()
}

fn moment(at: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_micros(at).map(|at| at.naive_utc())
}

/// How a moment reads.
pub(super) fn label(at: i64, format: &str) -> String {
    moment(at).map_or(String::new(), |at| at.format(format).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(from: &str, until: &str) -> Vec<String> {
        let at = |text: &str| {
            let at = DateTime::parse_from_rfc3339(text).expect("a time");
            at.timestamp_micros()
        };
        let (marks, format) = ticks(at(from), at(until));
        marks.into_iter().map(|at| label(at, format)).collect()
    }

    #[test]
    fn marks_are_round_and_not_too_many() {
        assert_eq!(
            labels("2010-01-20T00:00:00Z", "2013-11-01T00:00:00Z"),
            [
                "2010-07", "2011-01", "2011-07", "2012-01", "2012-07", "2013-01", "2013-07"
            ]
        );
        assert_eq!(
            labels("2026-01-01T22:30:00Z", "2026-01-02T04:00:00Z"),
            [
                "01-01 23:00",
                "01-02 00:00",
                "01-02 01:00",
                "01-02 02:00",
                "01-02 03:00",
                "01-02 04:00"
            ]
        );
        assert_eq!(
            labels("1969-12-31T23:59:59Z", "1970-01-01T00:00:01Z").len(),
            3
        );
        assert_eq!(
            labels("1969-06-01T00:00:00Z", "1970-06-01T00:00:00Z").len(),
            6
        );
    }

    #[test]
    fn any_stretch_has_marks_but_few() {
        let mut length: i64 = 1;
        while length < 8_000_000_000_000_000_000 {
            for from in [0, -length / 2, 1_700_000_000_000_000] {
                let (marks, _) = ticks(from, from.saturating_add(length));
                assert!(marks.len() <= 12, "{length} from {from}: {}", marks.len());
            }
            length = length.saturating_mul(3);
        }
    }
}
