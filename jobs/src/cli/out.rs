//! The standard output, where results go.

use std::io::{self, Write};

use super::failure::Failure;

/// Prints a result.
///
/// # Errors
/// When it cannot be written. A reader that has gone is no error, but nothing more is printed.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
