//! Decimal numbers as they are written: read exactly, never rounded on the way to an integer.

/// The largest power of ten a `u64` holds.
const LARGEST_POWER: u32 = 19;
/// Powers of ten that an `f64` holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// How strictly a number must be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grammar {
    /// As in JSON.
    Json,
    /// As people and programs write them in text: a leading `+`, leading zeros, `.5` and `5.` too.
    Text,
}

/// A number token: `± mantissa × 10^(exponent − fraction)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'a> {
    /// As written.
    pub(super) text: &'a str,
    negative: bool,
    /// All digits as one integer; none when they do not fit.
    mantissa: Option<u64>,
    /// Digits after the point.
    fraction: u32,
    exponent: i32,
}

impl<'a> Number<'a> {
    /// The number at the start of `text` and nothing else, blanks around it ignored.
    pub(super) fn whole(text: &'a str) -> Option<Self> {
        let text = text.trim_ascii();
        let number = Self::scan(text, Grammar::Text)?;
        (number.text.len() == text.len()).then_some(number)
    }

    /// The longest number at the start of `text`.
    pub(super) fn scan(text: &'a str, grammar: Grammar) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut at = 0;
        let negative = bytes.first() == Some(&b'-');
        if negative || (grammar == Grammar::Text && bytes.first() == Some(&b'+')) {
            at += 1;
        }
        let mut mantissa = Some(0);
        let first = at;
        at = digits(bytes, at, &mut mantissa);
        let whole_digits = at - first;
        if grammar == Grammar::Json
            && (whole_digits == 0 || (whole_digits > 1 && bytes[first] == b'0'))
        {
            return None;
        }
        let mut fraction = 0;
        if bytes.get(at) == Some(&b'.') {
            let end = digits(bytes, at + 1, &mut mantissa);
            fraction = end - at - 1;
            if fraction == 0 && grammar == Grammar::Json {
                return None;
            }
            at = end;
        }
        if whole_digits + fraction == 0 {
            return None;
        }
        let mut exponent = 0;
        if let Some(b'e' | b'E') = bytes.get(at) {
            let down = bytes.get(at + 1) == Some(&b'-');
            let from = at + 1 + usize::from(down || bytes.get(at + 1) == Some(&b'+'));
            let mut size = Some(0);
            let end = digits(bytes, from, &mut size);
            if end == from {
                return None;
            }
            let size = size
                .and_then(|size| i32::try_from(size).ok())
                .unwrap_or(i32::MAX);
            exponent = if down { -size } else { size };
            at = end;
        }
        let fraction = u32::try_from(fraction).ok()?;
        Some(Self {
            text: &text[..at],
            negative,
            mantissa,
            fraction,
            exponent,
        })
    }

    /// The value when it is a whole number within 64 bits and a sign.
    #[inline]
    pub(super) fn integer(&self) -> Option<i128> {
        let mantissa = self.mantissa?;
        let magnitude = if self.fraction == 0 && self.exponent == 0 {
            mantissa
        } else {
            self.scaled(mantissa)?
        };
        let magnitude = i128::from(magnitude);
        Some(if self.negative { -magnitude } else { magnitude })
    }

    fn scaled(&self, mantissa: u64) -> Option<u64> {
        let power = i64::from(self.exponent) - i64::from(self.fraction);
        let ten = |power: i64| {
            u32::try_from(power)
                .ok()
                .filter(|power| *power <= LARGEST_POWER)
                .map(|power| 10u64.pow(power))
        };
        match (mantissa, power) {
            (0, _) => Some(0),
            (_, 0..) => mantissa.checked_mul(ten(power)?),
            _ => {
                let divisor = ten(-power)?;
                mantissa.is_multiple_of(divisor).then(|| mantissa / divisor)
            }
        }
    }

    /// The nearest `f64`; none when out of range.
    #[inline]
    pub(super) fn f64(&self) -> Option<f64> {
        // Both operands are exact, so the one operation rounds correctly (W. Clinger's fast path).
        if let Some(mantissa) = self.mantissa
            && mantissa <= 1 << 53
        {
            let power = i64::from(self.exponent) - i64::from(self.fraction);
            let size = mantissa as f64;
            let size = match power {
                0 => Some(size),
                -22..0 => Some(size / EXACT_POWERS[power.unsigned_abs() as usize]),
                1..=22 => Some(size * EXACT_POWERS[power as usize]),
                _ => None,
            };
            if let Some(size) = size {
                return Some(if self.negative { -size } else { size });
            }
        }
        self.text
            .parse()
            .ok()
            .filter(|value: &f64| value.is_finite())
    }

    /// The nearest `f32`; none when out of range.
    pub(super) fn f32(&self) -> Option<f32> {
        self.text
            .parse()
            .ok()
            .filter(|value: &f32| value.is_finite())
    }
}

/// Adds the digits from `at` on to the mantissa, and returns where they end.
#[inline]
fn digits(bytes: &[u8], mut at: usize, mantissa: &mut Option<u64>) -> usize {
    let first = at;
    if let Some(mut value) = *mantissa {
        // Below this bound one more digit always fits.
        while let Some(digit) = digit(bytes, at)
            && value < u64::MAX / 10
        {
            value = value * 10 + digit;
            at += 1;
        }
        *mantissa = Some(value);
    }
    while let Some(digit) = digit(bytes, at) {
        *mantissa = mantissa.and_then(|value| value.checked_mul(10)?.checked_add(digit));
        at += 1;
    }
    debug_assert!(at >= first);
    at
}

#[inline]
fn digit(bytes: &[u8], at: usize) -> Option<u64> {
    let digit = bytes.get(at)?.wrapping_sub(b'0');
    (digit < 10).then_some(u64::from(digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::prelude::*;

    fn integer(text: &str) -> Option<i128> {
        Number::whole(text)?.integer()
    }

    #[test]
    fn integers_are_exact_or_none() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("+7", 7),
            ("007", 7),
            ("18446744073709551615", u64::MAX.into()),
            ("-9223372036854775808", i64::MIN.into()),
            ("1.0", 1),
            ("1e3", 1000),
            ("1.5e1", 15),
            ("1200e-2", 12),
            ("0e999999999999", 0),
            (" 5 ", 5),
        ] {
            assert_eq!(integer(text), Some(value), "{text}");
        }
        for text in [
            "18446744073709551616",
            "1.5",
            "1e-1",
            "1e20",
            "1e99999999999",
            "",
            "-",
            "+",
            ".",
            "1e",
            "1x",
            "0x10",
            "--1",
            "1 2",
        ] {
            assert_eq!(integer(text), None, "{text}");
        }
    }

    #[test]
    fn json_numbers_keep_the_grammar() {
        let scanned = |text| Number::scan(text, Grammar::Json).map(|number| number.text.len());
        for text in ["0", "-0", "10", "1.5", "-1.5e+10", "1E-2"] {
            assert_eq!(scanned(text), Some(text.len()), "{text}");
        }
        for text in ["01", "+1", ".5", "5.", "-", "1e", "1e+", "x", ""] {
            assert_eq!(scanned(text), None, "{text}");
        }
        assert_eq!(scanned("12,"), Some(2));
    }

    #[test]
    fn floats_equal_the_standard_library_bit_for_bit() {
        let seed = rand::random();
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..50_000 {
            let mantissa = random.random::<u64>() >> random.random_range(0..64);
            let text = match random.random_range(0..4) {
                0 => format!("{mantissa}"),
                1 => format!("-{}.{:03}", mantissa % 1_000_000, mantissa % 1000),
                2 => format!("{}e{}", mantissa, random.random_range(-340..300)),
                _ => format!("{:?}", f64::from_bits(random.random())),
            };
            let Some(number) = Number::whole(&text) else {
                continue;
            };
            let expected: f64 = text.parse().unwrap();
            assert_eq!(
                number.f64().unwrap_or(expected).to_bits(),
                expected.to_bits(),
                "{text}, seed {seed}"
            );
            assert_eq!(
                number.f64().is_some(),
                expected.is_finite(),
                "{text}, seed {seed}"
            );
        }
    }
}
