//! `tidegate test`: the cases in a job file, and what they promise besides.

mod case;
mod compare;
mod inputs;
mod shuffle;
mod table;

use std::collections::BTreeSet;

use clap::Args;
use indicatif::ProgressBar;

use super::failure::Failure;
use super::job_file::JobFile;
use super::logging::{self, Loudness};
use super::out::print;
use case::Bench;

const HELP: &str = "\
Examples:
  tidegate test job.toml
  tidegate test job.toml --only \"third contact\"
  tidegate test job.toml --seed 7

A case is a [[test]] of the job file: rows that come in, and the rows that must come of them. Its
sources and sinks are the case's own; nothing outside is read or written.

Exit codes: 0 all cases hold; 1 a case does not; 2 wrong usage or job file; 101 internal error.";

/// Run the cases in a job file.
///
/// Each case is run as a replay; what it promises in `also` is checked by running it live, with its
/// rows in other orders within lateness, and with more workers.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Test {
    #[command(flatten)]
    job: JobFile,
    /// Only cases with this text in their name.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// What the shuffled orders are drawn from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

impl Test {
    pub(super) fn execute(self) -> Result<(), Failure> {
        logging::start(Loudness::Quiet, &ProgressBar::hidden());
        let job = self.job.load()?;
        let is_meant = |name: &str| self.only.as_ref().is_none_or(|text| name.contains(text));
        let cases = job.tests.iter();
        let mut cases = cases.filter(|case| is_meant(case.name.as_str())).peekable();
        if let (Some(text), None) = (&self.only, cases.peek()) {
            let names = job.tests.iter().map(|case| case.name.written());
            return Err(Failure::usage(nothing_of(text, names)));
        }
        let (mut held, mut failed) = (0, 0);
        for case in cases {
            let failures = Bench::new(&job, case, self.seed).failures();
            print(&told(case.name.written(), &failures))?;
            match failures.is_empty() {
                true => held += 1,
                false => failed += 1,
            }
        }
        print(&summary(held, failed))?;
        match failed {
            0 => Ok(()),
            _ => Err(Failure::found()),
        }
    }
}

/// That no case has this text in its name, and which names there are.
fn nothing_of<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.is_empty() {
        true => format!("no test has `{text}` in its name: the job file has no [[test]]"),
        false => format!(
            "no test has `{text}` in its name; there are:\n  {}",
            names.join("\n  ")
        ),
    }
}

/// A case's line, and what is wrong with it below.
fn told(name: &str, failures: &BTreeSet<String>) -> String {
    if failures.is_empty() {
        return format!("ok      {name}\n");
    }
    let mut text = format!("FAILED  {name}\n");
    for failure in failures {
        for line in failure.lines() {
            text.push_str(&format!("        {line}\n"));
        }
    }
    text
}

fn summary(held: usize, failed: usize) -> String {
    match (held, failed) {
        (0, 0) => "the job file has no [[test]], so nothing was tested\n".to_owned(),
        (held, 0) => format!("{held} ok\n"),
        (held, failed) => format!("{held} ok, {failed} failed\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_below_its_case() {
        assert_eq!(told("gap", &BTreeSet::new()), "ok      gap\n");
        let failures = BTreeSet::from(["sessions.visit:\n  - x".to_owned()]);
        assert_eq!(
            told("gap", &failures),
            "FAILED  gap\n        sessions.visit:\n          - x\n"
        );
        let nothing = nothing_of("day", ["gap", "two weeks"].into_iter());
        let told = "no test has `day` in its name; there are:\n  gap\n  two weeks";
        assert_eq!(nothing, told);
        assert_eq!(summary(2, 0), "2 ok\n");
        assert_eq!(summary(2, 1), "2 ok, 1 failed\n");
    }
}
