//! Code of others: when it panics, as decoders do on damaged input, that becomes an error, and its errors are told
//! without the names of libraries.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread, now, is caught and becomes an error. A panic hook that ends the
/// process has to let such a panic pass.
pub fn panic_is_contained() -> bool {
    CONTAINED.get()
}

/// Runs foreign code; what it was working on must not be used again when it panicked.
pub(crate) fn contain<T>(decode: impl FnOnce() -> T) -> Result<T, String> {
    CONTAINED.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(decode));
    CONTAINED.set(false);
    outcome.map_err(|panic| {
        let said = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        format!("it gave up: {}", said.unwrap_or("no reason given"))
    })
}

/// What Arrow complains of.
pub(crate) fn arrow_cause(error: &ArrowError) -> String {
    const OVERFLOW: &str = "Overflow happened on: ";
    match error {
        ArrowError::DivideByZero => "division by zero".to_owned(),
        ArrowError::ArithmeticOverflow(text) => match text.strip_prefix(OVERFLOW) {
            Some(what) => format!("{what} overflows"),
            None => text.clone(),
        },
        ArrowError::CastError(text)
        | ArrowError::ParseError(text)
        | ArrowError::ComputeError(text)
        | ArrowError::JsonError(text)
        | ArrowError::CsvError(text)
        | ArrowError::ParquetError(text)
        | ArrowError::SchemaError(text)
        | ArrowError::InvalidArgumentError(text)
        | ArrowError::NotYetImplemented(text) => text.clone(),
        ArrowError::ExternalError(inner) => match inner.downcast_ref::<ParquetError>() {
            Some(inner) => parquet_cause(inner),
            None => inner.to_string(),
        },
        other => other.to_string(),
    }
}

/// What a Parquet decoder complains of.
pub(crate) fn parquet_cause(error: &ParquetError) -> String {
    match error {
        ParquetError::General(text)
        | ParquetError::NYI(text)
        | ParquetError::EOF(text)
        | ParquetError::ArrowError(text) => text.clone(),
        ParquetError::External(inner) => match inner.downcast_ref::<ArrowError>() {
            Some(inner) => arrow_cause(inner),
            None => inner.to_string(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_not_named() {
        let cut = || ParquetError::EOF("the footer is cut".to_owned());
        assert_eq!(parquet_cause(&cut()), "the footer is cut");
        let wrapped = ArrowError::ExternalError(Box::new(cut()));
        assert_eq!(arrow_cause(&wrapped), "the footer is cut");
        let cast = ArrowError::CastError("Cannot cast 'x'".to_owned());
        let wrapped = ParquetError::External(Box::new(cast));
        assert_eq!(parquet_cause(&wrapped), "Cannot cast 'x'");
    }

    #[test]
    fn a_panic_becomes_an_error_and_only_there() {
        assert_eq!(contain(|| (7, panic_is_contained())), Ok((7, true)));
        let failed: Result<(), String> = contain(|| panic!("at byte {}", 9));
        assert_eq!(failed, Err("it gave up: at byte 9".into()));
        assert!(!panic_is_contained());
    }
}
