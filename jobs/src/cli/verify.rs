//! `tidegate verify`: what a run wrote against a second opinion.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use tidegate_schemas::time::EventTime;

use super::failure::Failure;
use super::job_file::{JobFile, key_and_value};
use super::logging::{self, Loudness};
use super::out::print;
use super::replay::{moment, stretch};
use crate::verify::{VerifyError, VerifyOptions, VerifyReport, verify};

const HELP: &str = "\
Examples:
  tidegate verify job.toml
  tidegate verify job.toml --only visits --result visits=old/visits.parquet
  tidegate verify job.toml --from 2026-01-01 --to 2026-02-01

Run the job first, with the same --only, --from, --to and --set. Features at anchors, sessions and
triggers at anchors are computed again; what is not is said.

Exit codes: 0 all that was compared agrees; 1 it does not, a result is missing, or nothing could be
compared; 2 wrong usage or job file; 3 raw rows or results cannot be read; 101 internal error.";

/// Compute features, sessions and triggers at anchors again from the raw rows, in SQL, and compare them
/// with what a run wrote, row by row.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Verify {
    #[command(flatten)]
    job: JobFile,
    /// Only these sinks, as in the run. May be repeated.
    #[arg(long, value_name = "SINK", value_delimiter = ',')]
    only: Vec<String>,
    /// Where the result of a sink is, if not where the job file says. May be repeated.
    #[arg(long, value_name = "SINK=FILE", value_parser = key_and_value)]
    result: Vec<(String, String)>,
    /// The run's --from.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<EventTime>,
    /// The run's --to.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<EventTime>,
    /// How many rows that do not agree to show of each output.
    #[arg(long, value_name = "N", default_value_t = VerifyOptions::default().examples)]
    examples: usize,
    /// How many pairs of rows of one key may be joined; keys with more are not checked in full.
    #[arg(long, value_name = "N", default_value_t = VerifyOptions::default().most_pairs)]
    most_pairs: u64,
}

impl Verify {
    pub(super) fn execute(self) -> Result<(), Failure> {
        logging::start(Loudness::Terminal, &ProgressBar::hidden());
        let job = self.job.load()?;
        self.job.has_sinks(&job, &self.only)?;
        let mut results: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for (sink, file) in &self.result {
            self.job.has_sinks(&job, std::slice::from_ref(sink))?;
            results.entry(sink.clone()).or_default().push(file.into());
        }
        let options = VerifyOptions {
            sinks: BTreeSet::from_iter(self.only),
            results,
            stretch: stretch(self.from, self.to)?,
            examples: self.examples,
            most_pairs: self.most_pairs,
        };
        let name = job.job.name.written();
        let report = verify(&job, &options)
            .map_err(|error| Failure::from(error).while_doing(format!("cannot verify `{name}`")))?;
        print(&report.to_string())?;
        conclusion(&report)
    }
}

/// The answer is yes only if something was compared and all of it agrees.
fn conclusion(report: &VerifyReport) -> Result<(), Failure> {
    match report.agrees() && !report.outputs.is_empty() {
        true => Ok(()),
        false => Err(Failure::found()),
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Failure {
        match error {
            VerifyError::Job(problems) => problems.into(),
            VerifyError::Source { source_name, error } => {
                Failure::from(error).while_doing(format!("source `{source_name}`"))
            }
            VerifyError::Result { .. } => Failure::input(error.to_string()),
            VerifyError::Query { .. } | VerifyError::Start(_) | VerifyError::Shape(_) => {
                Failure::internal(error)
            }
        }
    }
}
