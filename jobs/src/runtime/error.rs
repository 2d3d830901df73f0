//! Why a run could not go on.

use datafusion::common::DataFusionError;
use thiserror::Error;
use tidegate_schemas::names::Collision;

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
    /// The rows of a source could not be brought into form, which nothing in them should prevent.
    #[error("source `{source_name}`: its rows could not be brought into form: {error}")]
    Rows {
        /// The source's name.
        source_name: String,
        /// What is wrong.
        #[source]
        error: DataFusionError,
    },
    /// Two texts of a source cannot be told apart.
    #[error("source `{source_name}`: {collision}")]
    Collision {
        /// The source's name.
        source_name: String,
        /// Which two.
        #[source]
        collision: Collision,
    },
    /// The job compiled to something that the operators refuse, or the workers could not be started.
    #[error("the job could not be started: {0}")]
    Start(String),
    /// Rows went missing on the way: an error of Tidegate's own.
    #[error("the account does not balance ({0}): this is a bug in tidegate, please report it")]
    Balance(tidegate_schemas::account::Account),
}

impl RunError {
    /// Why the rows of a source could not be brought into form.
    pub(super) fn of_rows(source: &str, error: DataFusionError) -> RunError {
        let source_name = source.to_owned();
        if let DataFusionError::External(inner) = error.find_root()
            && let Some(collision) = inner.downcast_ref::<Collision>()
        {
            let collision = collision.clone();
            return RunError::Collision {
                source_name,
                collision,
            };
        }
        RunError::Rows { source_name, error }
    }
}
