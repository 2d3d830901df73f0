//! `tidegate drift`: whether data moves, looked at by hand, without a job.

mod asked;
mod compare;
mod detect;
mod report;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::failure::Failure;
use crate::drift::ColumnError;

const HELP: &str = "\
Examples:
  tidegate drift compare last-month.parquet this-month.parquet --column handle_secs
  tidegate drift detect errors.csv --column error --detector ddm
  tidegate drift report last-month.parquet this-month.parquet --out report.html

Exit codes: 0 done; 2 wrong usage; 3 input cannot be read; 4 output cannot be written; 101 internal error.";

/// Look at columns of files by hand: how far two are apart, where one changes, or all of it on a page.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Drift {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Compare(compare::Compare),
    Detect(detect::Detect),
    Report(report::Report),
}

impl Drift {
    pub(super) fn execute(self) -> Result<(), Failure> {
        match self.verb {
            Verb::Compare(verb) => verb.execute(),
            Verb::Detect(verb) => verb.execute(),
            Verb::Report(verb) => verb.execute(),
        }
    }
}

/// An answer for other programs.
fn json(answer: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(answer).map_err(Failure::internal)
}

impl From<ColumnError> for Failure {
    fn from(error: ColumnError) -> Failure {
        match error {
            ColumnError::Source(error) => error.into(),
            ColumnError::Format(_) => Failure::usage(error.to_string()),
            ColumnError::Unknown { .. } | ColumnError::Footer(_) => {
                Failure::input(error.to_string())
            }
        }
    }
}
