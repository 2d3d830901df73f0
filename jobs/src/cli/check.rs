//! `tidegate check`: what a job means, or everything that is wrong with it.

use clap::Args;

use super::failure::Failure;
use super::job_file::JobFile;
use crate::compile::{Selection, compile};

const HELP: &str = "\
Examples:
  tidegate check job.toml

Exit codes: 0 done; 2 wrong usage or job file.";

/// Tell everything that is wrong with a job.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Check {
    #[command(flatten)]
    job: JobFile,
}

impl Check {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let job = self.job.load()?;
        compile(&job, &Selection::default())?;
        super::out::print(&format!("job `{}` is well\n", job.job.name.written()))
    }
}
