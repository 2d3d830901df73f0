//! Why results could not be verified at all. What does not agree is no error, but the answer.

use std::io;

use datafusion::common::DataFusionError;
use thiserror::Error;
use tidegate_schemas::job::Problems;

use crate::sources::SourceError;

/// Why results could not be verified.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The job does not compile.
    #[error("{0}")]
    Job(Problems),
    /// The raw rows could not be read again.
    #[error("source `{source_name}`: {error}")]
    Source {
        /// The source's name.
        source_name: String,
        /// What is wrong.
        #[source]
        error: SourceError,
    },
    /// A result could not be read.
    #[error(
        "sink `{sink}`: the result {path} cannot be read: {problem}; write it again, or name \
         another file of the same sink"
    )]
    Result {
        /// The sink's name.
        sink: String,
        /// The file, or where files were looked for.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// DataFusion could not answer.
    #[error("DataFusion could not compute {what}: {error}")]
    Query {
        /// What was asked for.
        what: String,
        /// The query.
        sql: String,
        /// DataFusion's answer.
        #[source]
        error: Box<DataFusionError>,
    },
    /// The thread that queries run on could not be started.
    #[error("the verifier could not be started: {0}")]
    Start(#[source] io::Error),
    /// Answers did not have the shape that was asked for: an error of Tidegate's own.
    #[error("{0}: this is a bug in tidegate, please report it")]
    Shape(String),
}
