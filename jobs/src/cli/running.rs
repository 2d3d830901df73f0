//! What `run` and `replay` have in common: from a job to a closing account.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::account::Closing;
use super::failure::Failure;
use super::job_file::JobFile;
use super::progress::Progress;
use super::signals::Signals;
use crate::compile::{Plan, Selection, compile};
use crate::runtime::{self, Options, Watch};

/// What can be said of any run.
#[derive(Clone, Debug, Args)]
pub(super) struct Running {
    #[command(flatten)]
    pub(super) job: JobFile,
    /// How many workers, up to 256. Default: one for each processor.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) workers: Option<u16>,
    /// Write only these sinks, and compute only what they need. May be repeated.
    #[arg(long, value_name = "SINK", value_delimiter = ',')]
    pub(super) only: Vec<String>,
    /// Write the closing account to this file as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub(super) account: Option<PathBuf>,
    /// Fail with exit code 1 if more rows than this are rejected; results are written all the same.
    #[arg(long, value_name = "N")]
    pub(super) max_rejects: Option<u64>,
    /// Say nothing but errors: no progress, no account.
    #[arg(long)]
    pub(super) quiet: bool,
}

impl Running {
    /// Reads and compiles the job.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        let job = self.job.load()?;
        if job.sinks.is_empty() {
            return Err(Failure::usage(format!(
                "the job file `{}` has no sink, so there is nothing to compute\n  \
                 add one, such as [sink.out] with from, format and path",
                self.job.path.display()
            )));
        }
        self.job.has_sinks(&job, &self.only)?;
        let sinks: BTreeSet<String> = self.only.iter().cloned().collect();
        Ok(compile(&job, &Selection { sinks })?)
    }

    /// How many workers are meant.
    pub(super) fn workers(&self) -> usize {
        let all = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.workers.map_or_else(all, usize::from)
    }

    /// Carries the plan out, shows how it gets on, and gives account of it.
    ///
    /// # Errors
    /// What ended it early: an error or a signal.
    pub(super) fn carry_out(&self, plan: Plan, options: &Options) -> Result<(), Failure> {
        let name = plan.name.clone();
        let late_written = plan.sources_with_late_sinks();
        let watch = Arc::new(Watch::default());
        let progress = Progress::start(&watch, self.quiet);
        let signals = Signals::stop(&watch)
            .map_err(|error| Failure::internal(format!("cannot listen to signals: {error}")))?;
        let outcome = runtime::run(plan, options, &watch);
        progress.finish();
        let report = outcome.map_err(|error| {
            let attempt = format!("cannot carry out the job `{name}`");
            Failure::from(error).while_doing(attempt)
        })?;
        let closing = Closing::new(&name, options, &report, late_written);
        if !self.quiet {
            // Results are safe by now; an account that nobody can read is not worth a failure.
            let _ = writeln!(io::stderr().lock(), "{closing}");
        }
        if let Some(path) = &self.account {
            closing.write(path)?;
        }
        if !report.account.balances() {
            let account = report.account;
            return Err(Failure::internal(format!(
                "the account does not balance: {account}"
            )));
        }
        let rejected = report.account.rejected;
        if let Some(most) = self.max_rejects.filter(|most| rejected > *most) {
            return Err(Failure::refused(format!(
                "rejected rows: {rejected}, more than --max-rejects {most}; the results are written"
            )));
        }
        let account = report.account;
        if account.rows_in > 0 && account.rejected + account.late == account.rows_in {
            return Err(Failure::refused(format!(
                "no row was accepted: {account}; the results, which lack them all, are written"
            )));
        }
        match signals.received().filter(|_| report.stopped) {
            Some(signal) => Err(Failure::signal(signal)),
            None => Ok(()),
        }
    }
}
