//! Where rows come from: Parquet, delimited text and JSON lines, from files, globs, directories and pipes.
//!
//! A [`Source`] yields batches of the declared columns in the order of arrival, each with its position, and the rows that
//! did not fit beside them: nothing read is dropped, `rows_in` of a batch always counts its good rows and its rejects.
//!
//! | Input | Becomes |
//! |---|---|
//! | a value that is no number, time, … as declared; out of range; null where null is not allowed | a [`Reject`] naming the column |
//! | broken JSON, invalid UTF-8, a wrong number of fields, a line past the limit | a [`Reject`] of the line |
//! | blank lines | nothing; they still count as lines |
//! | a missing, unreadable, damaged or truncated file; a declared column that is not there | a [`SourceError`], after everything readable |
//!
//! The rules of each type are with [`ColumnType`]. An empty CSV field is null, or empty text in a text column that may not be
//! null. A followed file is read in whole lines: a last line without line end waits for it.

use std::sync::Arc;
use std::time::Duration;

use self::numbered::Numbered;

mod batch;
mod columns;
mod compression;
mod conform;
mod csv_records;
mod declare;
mod error;
mod files;
mod foreign;
mod input;
mod json_lines;
mod json_scan;
mod numbered;
mod numbers;
mod parquet_columns;
mod parquet_groups;
mod parquet_plan;
mod pipe;
mod text;
mod text_file;
mod texts;
mod time_cells;
mod times;

pub use batch::{Position, Reject, RowNumbers, SourceBatch};
pub(crate) use conform::each_its_own;
pub use declare::{ColumnType, CsvOptions, Declared, DeclaredColumn, Format, Lifetime};
pub use error::SourceError;
pub use files::warning;
pub use foreign::panic_is_contained;
pub(crate) use foreign::{arrow_cause, contain, parquet_cause};
pub use parquet_columns::parquet_columns;

/// A source that waits this long for something new says that it is idle.
pub const IDLE_AFTER: Duration = Duration::from_millis(20);

/// What a source has to say.
#[derive(Debug)]
pub enum Event {
    /// The next rows.
    Batch(SourceBatch),
    /// Nothing came for [`IDLE_AFTER`]; more may come.
    Idle,
    /// There is no more. Said again when asked again.
    End,
}

/// How far a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read, as they lie on disk.
    pub bytes: u64,
    /// Bytes there are; none when that cannot be known.
    pub total_bytes: Option<u64>,
    /// Rows and rejects delivered.
    pub rows: u64,
}

/// An open source.
pub trait Source: Send {
    /// The next batch as soon as there is one: of live input what is there now, otherwise a full one where possible. Returns
    /// within about [`IDLE_AFTER`] when nothing comes.
    ///
    /// # Errors
    /// When the input cannot be read on. What was read before has been delivered, and the source ends.
    fn next(&mut self) -> Result<Event, SourceError>;

    /// How far it is.
    fn progress(&self) -> Progress;
}

/// Opens a source on a text at hand, such as the rows of a test. The paths of the declaration are not looked at;
/// `name` takes the place of the file's.
///
/// # Errors
/// When the declaration contradicts itself, or is not of a text format.
pub fn open_text(
    declared: Declared,
    name: &str,
    text: impl Into<Vec<u8>>,
) -> Result<Box<dyn Source>, SourceError> {
    declared.check()?;
    if declared.format == Format::Parquet {
        let problem = "Parquet is no text format".into();
        return Err(SourceError::Declaration { problem });
    }
    let in_text = Arc::new(Declared {
        paths: Vec::new(),
        ..Numbered::in_files(&declared)
    });
    let source = text::TextSource::of_text(in_text, name, text.into())?;
    Ok(Numbered::around(&declared, Box::new(source)))
}

/// Opens a source.
///
/// # Errors
/// When the declaration contradicts itself, or a path leads nowhere. Files are opened one by one as they are read.
pub fn open(declared: Declared) -> Result<Box<dyn Source>, SourceError> {
    declared.check()?;
    if declared.paths.is_empty() {
        let problem = "no path is given".into();
        return Err(SourceError::Declaration { problem });
    }
    let in_files = Arc::new(Numbered::in_files(&declared));
    let source: Box<dyn Source> = match declared.format {
        Format::Parquet => Box::new(parquet_groups::ParquetSource::new(in_files)?),
        Format::Csv(_) | Format::JsonLines => Box::new(text::TextSource::new(in_files)?),
    };
    Ok(Numbered::around(&declared, source))
}

#[cfg(test)]
mod tests;
