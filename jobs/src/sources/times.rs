//! Times and days written as text, and the range a time must lie in.

use arrow::datatypes::TimeUnit;
use chrono::format::{Item, Parsed, StrftimeItems, parse};

/// 0000-01-01T00:00:00Z, in seconds since 1970.
const FIRST_SECOND: i64 = -62_167_219_200;
/// 9999-12-31T23:59:59Z.
const LAST_SECOND: i64 = 253_402_300_799;
const DAY: i64 = 86_400;

/// Units in a second.
pub(super) fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// The first and last times allowed, in `unit`: years 0000 to 9999, so that nothing behind can overflow.
/// (Nanoseconds in 64 bits only reach from 1677 to 2262.)
pub(super) fn time_range(unit: TimeUnit) -> (i64, i64) {
    let scale = per_second(unit);
    let first = FIRST_SECOND.saturating_mul(scale);
    let last = LAST_SECOND.saturating_mul(scale).saturating_add(scale - 1);
    (first, last)
}

/// Days since 1970 of the first and last day allowed.
pub(super) fn day_range() -> (i32, i32) {
    ((FIRST_SECOND / DAY) as i32, (LAST_SECOND / DAY) as i32)
}

/// Days since 1970-01-01 of `2024-01-31`, or none when it is no such text or no such day.
pub(super) fn parse_day(text: &[u8]) -> Option<i32> {
    match text.first_chunk::<10>() {
        Some(day) if text.len() == 10 => day_of(day).map(|days| days as i32),
        _ => None,
    }
}

/// Microseconds since 1970 of `2024-01-31T10:00:00[.digits][Z|+01:00|+0100]`, a blank for `T`
/// allowed, UTC without offset. Digits past microseconds are cut; a leap second counts as the next second.
pub(super) fn parse_rfc3339(text: &[u8]) -> Option<i64> {
    let seconds = seconds_of(text.first_chunk::<19>()?)?;
    let mut rest = &text[19..];
    let mut micros = 0;
    if let [b'.' | b',', digits @ ..] = rest {
        let count = digits
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if count == 0 {
            return None;
        }
        for place in 0..6 {
            let digit = digits[..count].get(place).map_or(0, |digit| digit - b'0');
            micros = micros * 10 + i64::from(digit);
        }
        rest = &digits[count..];
    }
    let offset = match rest {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] | [sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
            let (hours, minutes) = (two(*h1, *h2)?, two(*m1, *m2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3_600 + minutes * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    Some((seconds - offset) * 1_000_000 + micros)
}

/// Seconds of the fixed layout `2024-01-31T10:00:00`.
fn seconds_of(text: &[u8; 19]) -> Option<i64> {
    let days = day_of(text.first_chunk()?)?;
    if !matches!(text[10], b'T' | b't' | b' ') || text[13] != b':' || text[16] != b':' {
        return None;
    }
    let (hour, minute, second) = (
        two(text[11], text[12])?,
        two(text[14], text[15])?,
        two(text[17], text[18])?,
    );
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(days * DAY + hour * 3_600 + minute * 60 + second)
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens * 10 + ones))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (H. Hinnant, `days_from_civil`).
fn day_of(text: &[u8; 10]) -> Option<i64> {
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let year = two(text[0], text[1])? * 100 + two(text[2], text[3])?;
    let (month, day) = (two(text[5], text[6])?, two(text[8], text[9])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day == 0 || day > length {
        return None;
    }
    // Counted from March, so that the leap day is the last of the year.
    let years = year - i64::from(month <= 2);
    let era = years.div_euclid(400);
    let year_of_era = years.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// A declared chrono format, parsed once.
#[derive(Debug, Clone)]
pub(super) struct TimeFormat {
    items: Vec<Item<'static>>,
    /// The format is the fixed layout `%Y-%m-%d %H:%M:%S` (or with `T`), which has a fast reader.
    separator: Option<u8>,
}

impl TimeFormat {
    /// The format, or what is wrong with it.
    pub(super) fn new(format: &str) -> Result<Self, String> {
        let items = StrftimeItems::new(format).parse_to_owned().map_err(|_| {
            format!("`{format}` is not a chrono time format, such as `%Y-%m-%d %H:%M:%S`")
        })?;
        if !items
            .iter()
            .any(|item| matches!(item, Item::Numeric(..) | Item::Fixed(_)))
        {
            return Err(format!(
                "`{format}` names no part of a time; write it as `%Y-%m-%d %H:%M:%S`"
            ));
        }
        let separator = match format {
            "%Y-%m-%d %H:%M:%S" | "%F %T" => Some(b' '),
            "%Y-%m-%dT%H:%M:%S" | "%FT%T" => Some(b'T'),
            _ => None,
        };
        Ok(Self { items, separator })
    }

    /// Microseconds since 1970; without offset UTC, without a time of day midnight.
    pub(super) fn parse(&self, text: &str) -> Option<i64> {
        if let (Some(separator), Some(fixed)) =
            (self.separator, text.as_bytes().first_chunk::<19>())
            && text.len() == 19
            && fixed[10] == separator
            && let Some(seconds) = seconds_of(fixed)
        {
            return Some(seconds * 1_000_000);
        }
        let mut parsed = Parsed::new();
        parse(&mut parsed, text, self.items.iter()).ok()?;
        if parsed.hour_mod_12().is_some() && parsed.minute().is_none() {
            parsed.set_minute(0).ok()?;
        }
        let time = match parsed.offset() {
            Some(_) => parsed.to_datetime().ok()?.naive_utc(),
            None => match parsed.to_naive_datetime_with_offset(0) {
                Ok(time) => time,
                Err(_) if parsed.to_naive_time().is_ok() => return None,
                Err(_) => parsed.to_naive_date().ok()?.and_hms_opt(0, 0, 0)?,
            },
        };
        Some(time.and_utc().timestamp_micros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, NaiveDate};

    #[test]
    fn every_day_of_ten_thousand_years_equals_chrono() {
        let (first, last) = day_range();
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        for day in (first..=last).step_by(7) {
            let date = epoch + chrono::Duration::days(i64::from(day));
            let text = date.format("%Y-%m-%d").to_string();
            assert_eq!(parse_day(text.as_bytes()), Some(day), "{text}");
        }
        for no_day in [
            "2023-02-29",
            "2024-02-30",
            "2024-04-31",
            "2024-00-01",
            "2024-13-01",
            "2024-1-01",
            "",
            "2024-01-01 ",
        ] {
            assert_eq!(parse_day(no_day.as_bytes()), None, "{no_day}");
        }
    }

    #[test]
    fn rfc3339_equals_chrono_and_allows_a_blank_and_no_offset() {
        for text in [
            "2024-01-31T10:00:00Z",
            "2024-01-31T10:00:00.5+01:00",
            "1969-12-31T23:59:59.999999-23:59",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999Z",
            "2000-02-29t12:34:56z",
        ] {
            let expected = DateTime::parse_from_rfc3339(text)
                .unwrap()
                .timestamp_micros();
            assert_eq!(parse_rfc3339(text.as_bytes()), Some(expected), "{text}");
        }
        let whole = parse_rfc3339(b"2024-01-31T10:00:00Z").unwrap();
        assert_eq!(parse_rfc3339(b"2024-01-31 10:00:00"), Some(whole));
        assert_eq!(
            parse_rfc3339(b"2024-01-31 10:00:00,1234567899"),
            Some(whole + 123_456)
        );
        assert_eq!(parse_rfc3339(b"2024-01-31 11:30:00+0130"), Some(whole));
        assert_eq!(
            parse_rfc3339(b"2016-12-31T23:59:60Z"),
            parse_rfc3339(b"2017-01-01T00:00:00Z")
        );
        for wrong in [
            "2024-01-31",
            "2024-01-31T24:00:00Z",
            "2024-01-31T10:00:00.Z",
            "2024-01-31T10:00:00+1",
            "2024-01-31T10:00:00 UTC",
            "x",
        ] {
            assert_eq!(parse_rfc3339(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn declared_formats_read_dates_offsets_and_seconds() {
        let micros = |format: &str, text: &str| TimeFormat::new(format).unwrap().parse(text);
        let expected = parse_rfc3339(b"2012-04-03T16:55:38Z");
        assert_eq!(micros("%Y-%m-%d %H:%M:%S", "2012-04-03 16:55:38"), expected);
        assert_eq!(micros("%d/%m/%Y %H:%M:%S", "03/04/2012 16:55:38"), expected);
        assert_eq!(
            micros("%d/%m/%Y %H:%M:%S %z", "03/04/2012 18:55:38 +0200"),
            expected
        );
        assert_eq!(micros("%s", "1333472138"), expected);
        assert_eq!(
            micros("%Y-%m-%d %H", "2012-04-03 05"),
            parse_rfc3339(b"2012-04-03T05:00:00Z")
        );
        assert_eq!(
            micros("%Y-%m-%d", "2012-04-03"),
            parse_rfc3339(b"2012-04-03T00:00:00Z")
        );
        assert_eq!(micros("%Y-%m-%d %H:%M:%S", "2012-04-03 16:55"), None);
        assert!(TimeFormat::new("%Q").is_err());
        assert!(TimeFormat::new("noon").is_err());
    }

    #[test]
    fn the_range_covers_years_0_to_9999_in_every_unit() {
        let micros = time_range(TimeUnit::Microsecond);
        assert_eq!(Some(micros.0), parse_rfc3339(b"0000-01-01T00:00:00Z"));
        assert_eq!(
            Some(micros.1),
            parse_rfc3339(b"9999-12-31T23:59:59.999999Z")
        );
        assert_eq!(time_range(TimeUnit::Nanosecond), (i64::MIN, i64::MAX));
    }
}
