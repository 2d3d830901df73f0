//! Numbers, sizes and spans as people read them.

use std::time::Duration;

use tidegate_schemas::time::Span;

/// A whole number with a comma between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in the largest binary unit of which there is at least one.
pub(super) fn bytes(number: u64) -> String {
    const UNITS: [(u32, &str); 3] = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    for (shift, unit) in UNITS {
        if number >> shift > 0 {
            let tenths = (u128::from(number) * 10) >> shift;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{number} B")
}

/// A length of event time in its two largest units, the rest left out: `2h 5m`, `3d`, `1.500s`.
pub(super) fn span(span: Span) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let micros = span.0.unsigned_abs();
    let seconds = micros / 1_000_000;
    if seconds < 60 {
        let millis = micros / 1_000 % 1_000;
        return match millis {
            0 => format!("{seconds}s"),
            millis => format!("{seconds}.{millis:03}s"),
        };
    }
    let first = UNITS.iter().position(|(unit, _)| seconds >= *unit);
    let first = first.unwrap_or(UNITS.len() - 1);
    let (unit, name) = UNITS[first];
    let mut text = format!("{}{name}", seconds / unit);
    if let Some((next, name)) = UNITS.get(first + 1)
        && seconds % unit / next > 0
    {
        text.push_str(&format!(" {}{name}", seconds % unit / next));
    }
    text
}

/// How long something took.
pub(super) fn took(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        seconds @ 0..60 => format!("{seconds}.{:02} s", elapsed.subsec_millis() / 10),
        seconds => span(Span::seconds(
            i64::try_from(seconds).unwrap_or(i64::MAX / 1_000_000),
        )),
    }
}

/// `rows` per second; none when no time has passed.
pub(super) fn per_second(rows: u64, elapsed: Duration) -> Option<u64> {
    let seconds = elapsed.as_secs_f64();
    (seconds > 0.0).then(|| (rows as f64 / seconds).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        let texts = [0, 12, 999, 1_000, 1_234_567, u64::MAX].map(grouped);
        assert_eq!(
            texts,
            [
                "0",
                "12",
                "999",
                "1,000",
                "1,234,567",
                "18,446,744,073,709,551,615"
            ]
        );
    }

    #[test]
    fn sizes_have_the_largest_unit_that_fits() {
        let texts = [1_023, 1_024, 1_536 << 10, u64::MAX].map(bytes);
        assert_eq!(texts, ["1023 B", "1.0 KiB", "1.5 MiB", "17179869183.9 GiB"]);
    }

    #[test]
    fn spans_have_two_units() {
        let texts = [0, 59, 60, 61, 7_500, 86_400, 90_061].map(|s| span(Span::seconds(s)));
        assert_eq!(texts, ["0s", "59s", "1m", "1m 1s", "2h 5m", "1d", "1d 1h"]);
        assert_eq!(span(Span::millis(1_500)), "1.500s");
    }

    #[test]
    fn rates_need_time() {
        assert_eq!(per_second(10, Duration::ZERO), None);
        assert_eq!(per_second(10, Duration::from_millis(500)), Some(20));
    }
}
