//! What can go wrong in a measurement, by what was being attempted.

use std::{error::Error as StdError, fmt, io, path::Path, path::PathBuf};

/// A measurement that could not be taken.
#[derive(Debug)]
pub enum Error {
    /// A file could not be written.
    Write {
        /// The file.
        path: PathBuf,
        /// What the system or the format said.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A file could not be read.
    Read {
        /// The file.
        path: PathBuf,
        /// What the system or the format said.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A program could not be started or spoken to.
    Start {
        /// The command line.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program ended with a failure, or said something that could not be understood.
    Program {
        /// The command line.
        command: String,
        /// The status, and the end of what it said.
        said: String,
    },
    /// What was asked for makes no sense or cannot be had.
    Asked(String),
    /// Answers differ where they must be equal.
    Differs(String),
}

impl Error {
    /// A function for `map_err` on writes to `path`.
    pub fn write<E: Into<Box<dyn StdError + Send + Sync>>>(path: &Path) -> impl FnOnce(E) -> Error {
        move |source| Error::Write {
            path: path.to_owned(),
            source: source.into(),
        }
    }

    /// A function for `map_err` on reads of `path`.
    pub fn read<E: Into<Box<dyn StdError + Send + Sync>>>(path: &Path) -> impl FnOnce(E) -> Error {
        move |source| Error::Read {
            path: path.to_owned(),
            source: source.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Write { path, .. } => write!(f, "cannot write {}", path.display()),
            Error::Read { path, .. } => write!(f, "cannot read {}", path.display()),
            Error::Start { command, .. } => write!(f, "cannot run `{command}`"),
            Error::Program { command, said } => write!(f, "`{command}` failed: {said}"),
            Error::Asked(what) | Error::Differs(what) => f.write_str(what),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Write { source, .. } | Error::Read { source, .. } => Some(source.as_ref()),
            Error::Start { source, .. } => Some(source),
            Error::Program { .. } | Error::Asked(_) | Error::Differs(_) => None,
        }
    }
}
