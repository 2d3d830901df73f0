//! Timestamps as RFC 3339 text, without a calendar library per value.

use arrow::array::{
    Array, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray,
};
use arrow::datatypes::{DataType, TimeUnit};

/// The values of a timestamp column and how many of them make a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeText<'a> {
    values: &'a [i64],
    per_second: i64,
}

impl<'a> TimeText<'a> {
    /// The texts of a column, if it holds timestamps.
    pub(super) fn of(array: &'a dyn Array) -> Option<TimeText<'a>> {
        let any = array.as_any();
        let DataType::Timestamp(unit, _) = array.data_type() else {
            return None;
        };
        let (values, per_second) = match unit {
            TimeUnit::Second => (any.downcast_ref::<TimestampSecondArray>()?.values(), 1),
            TimeUnit::Millisecond => (
                any.downcast_ref::<TimestampMillisecondArray>()?.values(),
                1_000,
            ),
            TimeUnit::Microsecond => (
                any.downcast_ref::<TimestampMicrosecondArray>()?.values(),
                1_000_000,
            ),
            TimeUnit::Nanosecond => (
                any.downcast_ref::<TimestampNanosecondArray>()?.values(),
                1_000_000_000,
            ),
        };
        Some(TimeText { values, per_second })
    }

    /// Whether two rows have one value.
    #[inline]
    pub(super) fn same(&self, a: usize, b: usize) -> bool {
        self.values[a] == self.values[b]
    }

    /// Writes the value at `row`, null or not.
    pub(super) fn write(&self, row: usize, to: &mut Vec<u8>) {
        let value = self.values[row];
        let nanos = value.rem_euclid(self.per_second) * (1_000_000_000 / self.per_second);
        rfc3339(value.div_euclid(self.per_second), nanos, to);
    }
}

/// Writes `seconds` since the epoch and `nanos` behind them as `2024-01-01T00:00:00.125Z`: in UTC,
/// with no, three, six or nine decimals. Years outside 0000..9999 have a sign.
fn rfc3339(seconds: i64, nanos: i64, to: &mut Vec<u8>) {
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    if !(0..=9_999).contains(&year) {
        to.push(if year < 0 { b'-' } else { b'+' });
        let width = year.abs().checked_ilog10().unwrap_or(0) as usize + 1;
        digits(year.abs() / 10_000, width.saturating_sub(4), to);
    }
    // In one piece: a text is a few nanoseconds so, and tens of them digit by digit.
    let mut text = *b"0000-00-00T00:00:00";
    let years = year.abs() % 10_000;
    for (place, number) in [
        (0, years / 100),
        (2, years % 100),
        (5, month),
        (8, day),
        (11, of_day / 3_600),
        (14, of_day / 60 % 60),
        (17, of_day % 60),
    ] {
        text[place] = b'0' + (number / 10) as u8;
        text[place + 1] = b'0' + (number % 10) as u8;
    }
    to.extend_from_slice(&text);
    if nanos != 0 {
        to.push(b'.');
        if nanos % 1_000_000 == 0 {
            digits(nanos / 1_000_000, 3, to);
        } else if nanos % 1_000 == 0 {
            digits(nanos / 1_000, 6, to);
        } else {
            digits(nanos, 9, to);
        }
    }
    to.push(b'Z');
}

/// The last `width` decimal digits of a number that is not negative.
fn digits(mut number: i64, width: usize, to: &mut Vec<u8>) {
    let start = to.len();
    to.resize(start + width, b'0');
    for digit in to[start..].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar.
///
/// # Source
/// H. Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`: years begin in
/// March, so that the leap day is the last one; an era is 400 years or 146,097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_schemas::time::EventTime;

    fn text(array: &dyn Array, row: usize) -> String {
        let mut bytes = Vec::new();
        TimeText::of(array)
            .expect("a timestamp column")
            .write(row, &mut bytes);
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn texts_are_those_of_a_calendar_library() {
        let mut state = 7u64;
        let mut micros = vec![0, -1, 1, 1_704_067_200_125_000, -62_135_596_800_000_000];
        for _ in 0..20_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // The whole range, and the years people use.
            micros.push((state as i64) >> 5);
            micros.push(((state as i64) >> 12) / 1_000 * 1_000);
        }
        let array = TimestampMicrosecondArray::from(micros.clone());
        for (row, at) in micros.iter().enumerate() {
            let expected = EventTime(*at).to_string();
            // Past chrono's range there is only our own text.
            if expected.ends_with('Z') {
                assert_eq!(text(&array, row), expected, "{at}");
            }
        }
    }

    #[test]
    fn every_unit_has_the_decimals_it_needs() {
        let expect = |array: &dyn Array, expected: &str| assert_eq!(text(array, 0), expected);
        expect(
            &TimestampSecondArray::from(vec![-1]),
            "1969-12-31T23:59:59Z",
        );
        expect(
            &TimestampMillisecondArray::from(vec![1_500]),
            "1970-01-01T00:00:01.500Z",
        );
        expect(
            &TimestampNanosecondArray::from(vec![1]),
            "1970-01-01T00:00:00.000000001Z",
        );
        expect(
            &TimestampSecondArray::from(vec![253_402_300_800]),
            "+10000-01-01T00:00:00Z",
        );
        expect(
            &TimestampSecondArray::from(vec![-62_198_755_200]),
            "-0001-01-01T00:00:00Z",
        );
    }

    #[test]
    fn the_ends_of_a_word_do_not_overflow() {
        for value in [i64::MIN, i64::MAX] {
            assert!(text(&TimestampMicrosecondArray::from(vec![value]), 0).ends_with('Z'));
            assert!(text(&TimestampSecondArray::from(vec![value]), 0).ends_with('Z'));
        }
    }
}
