//! Why a run could not go on.

use datafusion::common::DataFusionError;
use thiserror::Error;

use crate::sinks::SinkError;
use crate::sources::SourceError;

/// Why a run ended early. What had not appeared whole by then does not appear.
#[derive(Debug, Error)]
pub enum RunError {
    /// A source could not be opened or read on.
    #[error("source `{source_name}`: {error}")]
    Source {
        /// The source's name.
        source_name: String,
        /// What is wrong.
        #[source]
        error: SourceError,
    },
    /// A sink could not be opened or written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// An expression could not be evaluated over the rows of a source.
    #[error(
        "source `{source_name}`: an expression could not be computed: {error}; let it not fail (for example with try_cast), or filter such rows out with `expect`"
    )]
    Expression {
        /// The source's name.
        source_name: String,
        /// What is wrong.
        #[source]
        error: DataFusionError,
    },
    /// The job compiled to something that the operators refuse, or the workers could not be started.
    #[error("the job could not be started: {0}")]
    Start(String),
    /// Rows went missing on the way: an error of Tidegate's own.
    #[error("the account does not balance ({0}): this is a bug in tidegate, please report it")]
    Balance(tidegate_schemas::account::Account),
}
