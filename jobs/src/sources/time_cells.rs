//! Times under construction: numbers or text, in one unit, within the years 0000 to 9999.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::TimeUnit;
use arrow::error::ArrowError;

use super::columns::{Reason, shown, take};
use super::numbers::Number;
use super::times::{TimeFormat, parse_rfc3339, time_range};

/// Times since 1970 in one unit.
#[derive(Debug)]
pub(super) struct Times {
    values: Vec<i64>,
    unit: TimeUnit,
    first: i64,
    last: i64,
    written: Written,
}

/// How a time is written.
#[derive(Debug)]
pub(super) enum Written {
    /// As a whole number of units since 1970.
    Epoch,
    Rfc3339,
    /// In a declared format.
    As(TimeFormat, String),
}

impl Times {
    pub(super) fn new(unit: TimeUnit, written: Written) -> Self {
        let (first, last) = time_range(unit);
        Self {
            values: Vec::new(),
            unit,
            first,
            last,
            written,
        }
    }

    pub(super) fn push_null(&mut self) {
        self.values.push(0);
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.values.truncate(len);
    }

    pub(super) fn push_number(&mut self, number: &Number<'_>) -> Result<(), Reason> {
        if !matches!(self.written, Written::Epoch) {
            return Err(format!(
                "{} is a number, not a time as text; declare timestamp_s, _ms, _us or _ns for epoch numbers",
                shown(number.text)
            ));
        }
        let value = number.integer().ok_or_else(|| {
            format!(
                "{} is not a whole number of {}; declare a finer unit",
                shown(number.text),
                unit_name(self.unit)
            )
        })?;
        match i64::try_from(value) {
            Ok(value) => self.push(value, number.text),
            Err(_) => Err(out_of_years(number.text)),
        }
    }

    pub(super) fn push_text(&mut self, text: &str) -> Result<(), Reason> {
        let text = text.trim_ascii();
        let (value, layout) = match &self.written {
            Written::Epoch => match Number::whole(text) {
                Some(number) => return self.push_number(&number),
                None => {
                    return Err(format!(
                        "{} is not a number of {}; declare `timestamp` for RFC 3339 text, or `timestamp:FORMAT`",
                        shown(text),
                        unit_name(self.unit)
                    ));
                }
            },
            Written::Rfc3339 => (parse_rfc3339(text.as_bytes()), "2024-01-31T10:00:00Z"),
            Written::As(format, layout) => (format.parse(text), layout.as_str()),
        };
        match value {
            Some(value) => self.push(value, text),
            None => Err(format!("{} is not a time like {layout}", shown(text))),
        }
    }

    fn push(&mut self, value: i64, text: &str) -> Result<(), Reason> {
        if value < self.first || value > self.last {
            return Err(out_of_years(text));
        }
        self.values.push(value);
        Ok(())
    }
    /// The times so far as an array, leaving none.
    pub(super) fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        let values = take(&mut self.values).into();
        Ok(match self.unit {
            TimeUnit::Second => Arc::new(TimestampSecondArray::try_new(values, nulls)?),
            TimeUnit::Millisecond => Arc::new(TimestampMillisecondArray::try_new(values, nulls)?),
            TimeUnit::Microsecond => Arc::new(TimestampMicrosecondArray::try_new(values, nulls)?),
            TimeUnit::Nanosecond => Arc::new(TimestampNanosecondArray::try_new(values, nulls)?),
        })
    }
}

fn out_of_years(text: &str) -> Reason {
    format!("{} lies outside the years 0000 to 9999", shown(text))
}

/// The plural of a time unit.
pub(super) fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "seconds",
        TimeUnit::Millisecond => "milliseconds",
        TimeUnit::Microsecond => "microseconds",
        TimeUnit::Nanosecond => "nanoseconds",
    }
}
