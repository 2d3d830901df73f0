//! Why a sink could not write, where, and what to do about it.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::error::ArrowError;
use parquet::errors::ParquetError;
use thiserror::Error;
use tidegate_schemas::time::EventTime;

/// A sink failed. The run ends with it: rows that cannot be written are never dropped in silence.
#[derive(Clone, Debug, Error)]
#[error("sink `{sink}`: {problem}")]
pub struct SinkError {
    /// The sink's name in the job.
    pub sink: String,
    /// What happened.
    pub problem: Problem,
}

impl SinkError {
    /// Whether the reader at the other end of a pipe has gone, as when output is piped to `head`.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(&self.problem, Problem::File { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// What a sink was doing with a file when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Making the directory that the file goes into.
    MakeDirectory,
    /// Looking at what is there already.
    Inspect,
    /// Creating or opening the file.
    Open,
    /// Writing to it.
    Write,
    /// Making its bytes durable.
    Sync,
    /// Giving the finished file its name.
    Publish,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Attempt::MakeDirectory => "make the directory",
            Attempt::Inspect => "look at",
            Attempt::Open => "open",
            Attempt::Write => "write to",
            Attempt::Sync => "sync",
            Attempt::Publish => "give the finished file its name",
        })
    }
}

/// What went wrong in a sink.
#[derive(Clone, Debug, Error)]
pub enum Problem {
    /// The settings contradict each other or the output.
    #[error("{what}; {hint}")]
    Settings {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// An expression of `select` or `where` cannot be understood.
    #[error("{key}: {what}; {hint}")]
    Select {
        /// The sink's key in the job, `select[0]` being the first of its list.
        key: String,
        /// The expression as the job says it, and what is wrong with it.
        what: String,
        /// What to do.
        hint: String,
    },
    /// An expression of `select` or `where` cannot be computed for a row.
    #[error("{key}: {what}")]
    Uncomputed {
        /// As of [`Problem::Select`].
        key: String,
        /// The expression, the values that it read, what is wrong, and what to do.
        what: String,
    },
    /// The file system said no.
    #[error("cannot {attempt} {}: {source}; {}", path.display(), hint(source.kind()))]
    File {
        /// What was attempted.
        attempt: Attempt,
        /// With which file or directory.
        path: PathBuf,
        /// What the system answered.
        source: Arc<io::Error>,
    },
    /// Rows could not be brought into the sink's format.
    #[error("cannot encode rows for {}: {source}; this is a defect of the sink or of the values of one column: leave columns out with `select` to find which", path.display())]
    Encode {
        /// For which file.
        path: PathBuf,
        /// What the encoder answered.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// Rows do not fit the schema of their output.
    #[error("the rows do not fit their output: {what}; this is a defect of the operator")]
    Shape {
        /// In what way.
        what: String,
    },
    /// A row came back to a sink of mode `final`.
    #[error(
        "a final row of key `{key}` at {at} was taken back; use mode `changes` or `upserts` for outputs that are not settled"
    )]
    TakenBack {
        /// The row's key.
        key: String,
        /// The event time it spoke of.
        at: EventTime,
    },
    /// A text's code that no thread has ever coded.
    #[error(
        "column `{column}` has the code {code}, whose text is not known; the dictionary of names was not restored with the state"
    )]
    UnknownCode {
        /// The column.
        column: String,
        /// The code.
        code: i64,
    },
    /// The sink's thread broke: a defect.
    #[error("its thread broke: {0}; this is a defect, please report it")]
    Broken(String),
    /// The sink was already finished or aborted.
    #[error("rows came after it was closed; this is a defect of the run, please report it")]
    Closed,
}

impl Problem {
    pub(super) fn of(self, sink: &str) -> SinkError {
        SinkError {
            sink: sink.to_owned(),
            problem: self,
        }
    }

    pub(super) fn settings(what: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem::Settings {
            what: what.into(),
            hint: hint.into(),
        }
    }

    pub(super) fn shape(source: &ArrowError) -> Problem {
        Problem::Shape {
            what: source.to_string(),
        }
    }

    /// For `map_err` of file operations.
    pub(super) fn file(attempt: Attempt, path: &Path) -> impl FnOnce(io::Error) -> Problem {
        let path = path.to_owned();
        move |source| Problem::File {
            attempt,
            path,
            source: Arc::new(source),
        }
    }

    /// An encoder's error: the file system's, if that is what is behind it.
    pub(super) fn arrow(path: &Path, error: ArrowError) -> Problem {
        match error {
            ArrowError::IoError(_, source) => Problem::file(Attempt::Write, path)(source),
            ArrowError::ExternalError(source) => Problem::external(path, source),
            other => Problem::Encode {
                path: path.to_owned(),
                source: Arc::new(other),
            },
        }
    }

    /// As [`Problem::arrow`], for Parquet.
    pub(super) fn parquet(path: &Path, error: ParquetError) -> Problem {
        match error {
            ParquetError::External(source) => Problem::external(path, source),
            other => Problem::Encode {
                path: path.to_owned(),
                source: Arc::new(other),
            },
        }
    }

    fn external(path: &Path, source: Box<dyn Error + Send + Sync>) -> Problem {
        match source.downcast::<io::Error>() {
            Ok(source) => Problem::file(Attempt::Write, path)(*source),
            Err(source) => Problem::Encode {
                path: path.to_owned(),
                source: Arc::from(source),
            },
        }
    }
}

/// What a person can do about an answer of the file system.
fn hint(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space or write to another disk; nothing half-written was left behind"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "check who may write to this directory, or set another `path`"
        }
        io::ErrorKind::AlreadyExists => {
            "another run writes parts of the same name: give each run its own `path`"
        }
        io::ErrorKind::NotADirectory => "a part of the path is a file: set another `path`",
        io::ErrorKind::IsADirectory => "end the path in `/` to write parts into the directory",
        io::ErrorKind::BrokenPipe => "the program reading this output has gone",
        io::ErrorKind::FileTooLarge => {
            "a file-size limit was reached: raise it, or write parts with `roll`"
        }
        _ => "check the path and the disk",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_sink_attempt_path_and_what_to_do() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let problem = Problem::parquet(
            Path::new("out/q1.parquet"),
            ParquetError::External(Box::new(full())),
        );
        let text = problem.of("q1").to_string();
        for part in ["sink `q1`", "write to out/q1.parquet", "free some space"] {
            assert!(text.contains(part), "{text}");
        }
        let arrow = Problem::arrow(
            Path::new("x"),
            ArrowError::IoError("disk".to_owned(), full()),
        );
        assert!(matches!(arrow, Problem::File { .. }), "{arrow}");
    }
}
