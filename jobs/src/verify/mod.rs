//! Verify: features, sessions and triggers computed again from the raw rows, in SQL, and compared row
//! by row with what a run wrote.
//!
//! It is the second opinion: nothing of the operators is used. What it shares with a run is the job
//! file's compiler (which columns a source has), the reading of raw rows, and the `select` of sinks.
//!
//! # What is compared
//! - `features.*` at anchors, `sessions.*`, and `trigger.*` at anchors, in every mode: of `changes` the
//!   rows that stand at the end, of `upserts` the newest versions.
//! - Whole numbers, texts, times and lists exactly, floats within 1e-9 of their size. In a CSV file an
//!   empty text cannot be told from a null.
//!
//! # What is not
//! Current values, triggers that look at every change or at open sessions, who is held out, patterns, drift, journeys, and
//! late and rejected rows; results on the standard output whose file was not named; columns of keys
//! with so many rows that joining them would take too long. All that is named in the report, and
//! never counted as equal. A result that could be compared and is not there does not agree.
//!
//! # Assumptions
//! The run has read all of its input to the end. A row that was late only because its source had been
//! silent for the idle timeout shows up as missing.

mod aggregate;
mod compare;
mod database;
mod entity;
mod error;
mod expected;
mod facts;
mod features;
mod ledger;
mod needs;
mod pairs;
mod raw;
mod report;
mod sessions;
mod shares;
mod shown;
mod tables;
mod tallies;
#[cfg(test)]
mod tests;
mod triggers;
pub(crate) mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use tidegate_schemas::job::{EvaluateAt, Job, Trigger};

pub use error::VerifyError;
pub use report::{Difference, Fault, OutputReport, Unchecked, VerifyReport};

use crate::compile::{Feed, Plan, Selection, SinkPlan, compile};
use crate::runtime::Stretch;
use compare::Chosen;
use entity::{Entity, Known, query_failure};
use expected::Expected;

/// What to verify.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// These sinks only; all when empty. The same as those of the run: which rows count can depend on
    /// what is computed of them.
    pub sinks: BTreeSet<String>,
    /// Where results are, by sink; those of other sinks are looked for where the sink writes.
    pub results: BTreeMap<String, Vec<PathBuf>>,
    /// The stretch of event time that the run looked at.
    pub stretch: Stretch,
    /// How many differences to tell of each output.
    pub examples: usize,
    /// How many pairs of rows a key may take where anchors are joined with rows.
    pub most_pairs: u64,
}

impl Default for VerifyOptions {
    fn default() -> VerifyOptions {
        VerifyOptions {
            sinks: BTreeSet::new(),
            results: BTreeMap::new(),
            stretch: Stretch::ALL,
            examples: 5,
            most_pairs: 20_000_000,
        }
    }
}

/// Computes the outputs of a job again and compares them with what its sinks wrote.
///
/// # Errors
/// When nothing can be said: the job does not compile, raw rows or a result cannot be read. That
/// results do not agree, or could not be compared, is in the report.
pub fn verify(job: &Job, options: &VerifyOptions) -> Result<VerifyReport, VerifyError> {
    let selection = Selection {
        sinks: options.sinks.clone(),
    };
    let plan = compile(job, &selection).map_err(VerifyError::Job)?;
    let mut report = VerifyReport::default();
    let mut by_stage: BTreeMap<usize, Vec<Claim>> = BTreeMap::new();
    for sink in &plan.sinks {
        match looked_for(job, &plan, sink, options) {
            Ok(result) => by_stage.entry(result.stage).or_default().push(result),
            Err(gap) => gap.tell(&plan, sink, &mut report),
        }
    }
    for (stage, results) in by_stage {
        let mut asked: Vec<usize> = results.iter().map(|result| result.output).collect();
        asked.sort_unstable();
        asked.dedup();
        let limits = (options.stretch, options.most_pairs);
        let expected = Entity::new(job, &plan, stage, &asked, limits)
            .and_then(|mut entity| entity.compute())
            .map(|known| Ok(BTreeMap::from_iter(known)));
        let expected: Result<BTreeMap<usize, Known>, String> = query_failure(expected)?;
        for result in results {
            let expected = match &expected {
                Ok(expected) => expected.get(&result.output).map(Known::as_ref),
                Err(why) => Some(Err(why)),
            };
            if let Some(expected) = expected {
                result.compare(expected, options.examples, &mut report)?;
            }
        }
    }
    report.outputs.sort_by(|a, b| a.sink.cmp(&b.sink));
    report.missing.sort_by(|a, b| a.what.cmp(&b.what));
    report.unchecked.sort_by(|a, b| a.what.cmp(&b.what));
    Ok(report)
}

/// A result that can be compared.
struct Claim<'a> {
    sink: &'a SinkPlan,
    stage: usize,
    output: usize,
    name: &'a str,
    files: Vec<PathBuf>,
}

/// Why a result cannot be compared.
pub(crate) enum Gap {
    /// It should be there and is not.
    Missing(String),
    /// It is not looked at.
    Unchecked(String),
}

impl Gap {
    /// In plain words, with what to do.
    pub(crate) fn why(self) -> String {
        match self {
            Gap::Missing(why) | Gap::Unchecked(why) => why,
        }
    }

    fn tell(self, plan: &Plan, sink: &SinkPlan, report: &mut VerifyReport) {
        let name = match sink.feed {
            Feed::Output { stage, output } => plan.stages[stage].outputs[output].name.as_str(),
            Feed::Late(_) | Feed::Rejects(_) => "raw rows",
        };
        let list = match self {
            Gap::Missing(_) => &mut report.missing,
            Gap::Unchecked(_) => &mut report.unchecked,
        };
        let why = self.why();
        list.push(Unchecked {
            what: format!("{} ({name})", sink.spec.name),
            rows: None,
            why,
        });
    }
}

/// Where the result of a sink is, or why it is not compared.
fn looked_for<'a>(
    job: &Job,
    plan: &'a Plan,
    sink: &'a SinkPlan,
    options: &VerifyOptions,
) -> Result<Claim<'a>, Gap> {
    let unchecked = |why: &str| Gap::Unchecked(why.to_owned());
    let Feed::Output { stage, output } = sink.feed else {
        return Err(unchecked("late and rejected rows are not computed again"));
    };
    let name = plan.stages[stage].outputs[output].name.as_str();
    if let Some(why) = not_computed(job, name) {
        return Err(unchecked(why));
    }
    let from_pipe = plan.sources.iter().find(|source| {
        let feeds = source.feeds.iter().any(|(to, _)| *to == stage);
        let tables = source.tables.iter().any(|(to, _)| *to == stage);
        (feeds || tables && name.starts_with("trigger."))
            && source.declared.paths.iter().any(|path| path == "-")
    });
    if let Some(source) = from_pipe {
        let why = format!(
            "source `{}` is the standard input, which is gone",
            source.name
        );
        return Err(Gap::Unchecked(why));
    }
    let files = match options.results.get(&sink.spec.name) {
        Some(given) => given.clone(),
        None => written::files(&sink.spec)?,
    };
    Ok(Claim {
        sink,
        stage,
        output,
        name,
        files,
    })
}

/// Why an output is not computed again.
fn not_computed(job: &Job, output: &str) -> Option<&'static str> {
    let (kind, name) = output.split_once('.').unwrap_or((output, ""));
    let features = job.features.get(name);
    if job
        .sources
        .values()
        .any(|source| source.max_ahead.is_some())
    {
        return Some("a source has `max_ahead`, and which of its rows count is not computed again");
    }
    let sees_sessions = |trigger: &Trigger| {
        let mut on = trigger.on.iter();
        on.any(|on| job.sessions.contains_key(on.as_str()))
    };
    match (kind, job.triggers.get(name)) {
        ("sessions", _) => None,
        ("features", _) if features.is_some_and(|features| features.at.is_some()) => None,
        ("pattern", _) => Some("patterns are not computed again"),
        ("features" | "current", _) => Some("current values are not computed again"),
        ("trigger", Some(trigger)) if trigger.at != EvaluateAt::Anchors => {
            Some("triggers that look at every change are not computed again")
        }
        ("trigger", Some(trigger)) if sees_sessions(trigger) => {
            Some("triggers that look at open sessions are not computed again")
        }
        ("trigger", Some(_)) => None,
        _ => Some("it is not computed again"),
    }
}

impl Claim<'_> {
    /// Adds what this result holds, beside what it should hold, to the report.
    fn compare(
        self,
        expected: Result<&Expected, &String>,
        examples: usize,
        report: &mut VerifyReport,
    ) -> Result<(), VerifyError> {
        let spec = &self.sink.spec;
        let unchecked = |rows: Option<u64>, why: &str| Unchecked {
            what: format!("{} ({})", spec.name, self.name),
            rows,
            why: why.to_owned(),
        };
        let expected = match expected {
            Ok(expected) => expected,
            Err(why) => {
                report.unchecked.push(unchecked(None, why));
                return Ok(());
            }
        };
        let kept = spec.filter.as_ref().map(|filter| expected.kept(filter));
        let kept = match kept.transpose()? {
            None => None,
            Some(Ok(kept)) => Some(kept),
            Some(Err(why)) => {
                report.unchecked.push(unchecked(None, &why));
                return Ok(());
            }
        };
        let chosen = Chosen::of(kept.as_ref().unwrap_or(expected), spec)?;
        let rows = written::read(spec, &self.files, &chosen.schema)?;
        let standing = match written::standing(spec.mode, &rows, chosen.identity.as_deref()) {
            Ok(standing) => standing,
            Err(why) => {
                let rows = rows.num_rows() as u64;
                report.unchecked.push(unchecked(Some(rows), &why));
                return Ok(());
            }
        };
        let mut compared = compare::compare(&chosen, &standing, spec, examples)?;
        compared.output = self.name.to_owned();
        compared.files = self.files;
        report.outputs.push(compared);
        Ok(())
    }
}
