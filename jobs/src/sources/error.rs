//! What can go wrong with a source as a whole, by what was attempted. Bad rows are rejects, not errors.

use std::io;

/// A source that cannot be read, or not on. Everything readable before it has been delivered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The declaration contradicts itself.
    #[error("this source cannot be read as declared: {problem}")]
    Declaration {
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Looking for the files.
    #[error("no input at `{path}`: {problem} (relative paths start at {base})")]
    Missing {
        /// The path, directory or glob as declared.
        path: String,
        /// What was found instead.
        problem: String,
        /// The current directory.
        base: String,
    },
    /// Opening a file, or listing a directory.
    #[error("cannot open `{file}`: {source}; check that it exists and may be read by this user")]
    Open {
        /// The file or directory.
        file: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Reading a file that was opened.
    #[error(
        "cannot read `{file}` past line {line}, byte {byte}: {source}; every complete line before it was read"
    )]
    Read {
        /// The file.
        file: String,
        /// Lines begin at 1; the first line not read.
        line: u64,
        /// Bytes of (decompressed) text before that line.
        byte: u64,
        /// The system's or the decompressor's answer.
        source: io::Error,
    },
    /// Finding the declared columns in a file.
    #[error("`{file}` does not fit the declared columns: {}", problems.join("; "))]
    Columns {
        /// The file.
        file: String,
        /// One for each column that does not fit: name, expected, found, what to do.
        problems: Vec<String>,
    },
    /// Reading the end of a Parquet file, which says what is in it.
    #[error(
        "`{file}` is not a readable Parquet file: {problem}; it may be cut short or still being written: \
             copy it again, or rename it into place when it is complete"
    )]
    ParquetFooter {
        /// The file.
        file: String,
        /// The decoder's answer.
        problem: String,
    },
    /// Reading the rows of a Parquet file.
    #[error(
        "`{file}` is damaged in row group {group} of {groups}: {problem}; the {rows} rows before were read: \
             write the file again from its origin"
    )]
    ParquetGroup {
        /// The file.
        file: String,
        /// From 0.
        group: usize,
        /// In the file.
        groups: usize,
        /// Rows of this file delivered before the damage.
        rows: u64,
        /// The decoder's answer.
        problem: String,
    },
    /// Building a batch from rows already checked: not the input's fault.
    #[error("a batch of `{file}` could not be built: {source}")]
    Batch {
        /// The file.
        file: String,
        /// Arrow's answer.
        source: arrow::error::ArrowError,
    },
}
