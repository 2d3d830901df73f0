//! `tidegate explain`: which rows and which versions of tables made an answer.

mod features;
mod gather;
mod ledger;
mod pattern;
mod replayed;
mod session;
mod shown;
mod trigger;

use clap::Args;
use indicatif::ProgressBar;
use tidegate_schemas::job::{
    Job, Mode, Output, OutputKind, OutputName, Sink, SinkFormat, Text, Trigger,
};
use tidegate_schemas::rows::{OutputSchema, Rows};
use tidegate_schemas::time::EventTime;

use super::failure::Failure;
use super::job_file::JobFile;
use super::logging::{self, Loudness};
use super::out::print;
use super::replay::moment;
use crate::compile::{Feed, Plan, Selection, compile};
use gather::{Gathered, gather};
use replayed::Replayed;

const HELP: &str = "\
Examples:
  tidegate explain job.toml c0001234 features.contact 2026-01-31T09:30:00Z
  tidegate explain job.toml c0001234 current.contact 2026-01-31
  tidegate explain job.toml c0001234 sessions.visit 2026-01-31T09:30:00Z
  tidegate explain job.toml c0001234 pattern.stuck 2026-01-31T09:30:00Z
  tidegate explain job.toml c0001234 trigger.rescue 2026-01-31T09:30:00Z --rows 200

TIME is an anchor row's time, any time for current values, any time inside a session or a match of a
pattern, the time of a firing or any inside an episode. The sources are read again from their beginning; only the rows of the
one key are computed.

Exit codes: 0 explained; 1 there is no such answer; 2 wrong usage or job file; 3 input cannot be read;
101 internal error.";

/// Show which rows and which versions of tables made an answer, step by step.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Explain {
    #[command(flatten)]
    job: JobFile,
    /// The entity's key, such as a customer's id.
    key: String,
    /// The output, such as features.contact.
    output: String,
    /// The moment: RFC 3339, or a date for its first moment in UTC.
    #[arg(value_parser = moment)]
    time: EventTime,
    /// How many rows to show at most.
    #[arg(long, value_name = "N", default_value_t = 50)]
    rows: usize,
}

/// What is asked, and what is known of it.
pub(super) struct Question<'a> {
    job: &'a Job,
    plan: &'a Plan,
    /// The stage of the plan that computes the output.
    stage: usize,
    output: &'a Output,
    key: &'a str,
    at: EventTime,
    gathered: &'a Gathered,
    /// How many rows to show at most.
    most: usize,
}

impl Explain {
    pub(super) fn execute(self) -> Result<(), Failure> {
        logging::start(Loudness::Quiet, &ProgressBar::hidden());
        let job = self.job.load()?;
        print(&explained(
            &job,
            &self.key,
            &self.output,
            self.time,
            self.rows,
        )?)
    }
}

fn explained(
    job: &Job,
    key: &str,
    output: &str,
    at: EventTime,
    most: usize,
) -> Result<String, Failure> {
    let output = known_output(job, output)?;
    let plan = compile(&narrowed(job, &output), &Selection::default())?;
    let stage = plan.sinks.iter().find_map(|sink| match sink.feed {
        Feed::Output { stage, .. } => Some(stage),
        _ => None,
    });
    let stage = stage.ok_or_else(|| Failure::internal("an output that no stage computes"))?;
    let gathered = gather(&plan, stage, key)?;
    let question = Question {
        job,
        plan: &plan,
        stage,
        output: &output,
        key,
        at,
        gathered: &gathered,
        most,
    };
    if gathered.facts.is_empty() {
        return Err(Failure::not_found(format!(
            "no row of the key `{key}` counts\n  {}",
            shown::became(&question).trim()
        )));
    }
    match output.kind {
        OutputKind::Sessions => session::explained(&question),
        OutputKind::Pattern => pattern::explained(&question),
        OutputKind::Trigger => trigger::explained(&question),
        _ => features::explained(&question),
    }
}

/// The output, if it is one of an entity.
fn known_output(job: &Job, text: &str) -> Result<Output, Failure> {
    let outputs: Vec<Output> = job
        .outputs()
        .into_iter()
        .filter(|output| {
            matches!(
                output.kind,
                OutputKind::Features
                    | OutputKind::Current
                    | OutputKind::Sessions
                    | OutputKind::Pattern
                    | OutputKind::Trigger
            )
        })
        .collect();
    let found = outputs.iter().find(|output| output.to_string() == text);
    found.cloned().ok_or_else(|| {
        let known: Vec<String> = outputs.iter().map(ToString::to_string).collect();
        Failure::usage(format!(
            "`{text}` is no output of an entity in this job; it has {}",
            known.join(", ")
        ))
    })
}

/// The job with sinks for the output and for what it looks at, and no others.
fn narrowed(job: &Job, output: &Output) -> Job {
    let mut narrowed = job.clone();
    let trigger = job
        .triggers
        .get(&output.name)
        .filter(|_| output.kind == OutputKind::Trigger);
    let looked_at = trigger
        .map(|trigger| looked_at(job, trigger))
        .unwrap_or_default();
    narrowed.sinks = std::iter::once(output.clone())
        .chain(looked_at)
        .map(|output| {
            let name = output.to_string();
            let sink = Sink {
                from: OutputName(Text::from(name.clone())),
                format: SinkFormat::Jsonl,
                path: Some(Text::from("-")),
                mode: match output.kind {
                    OutputKind::Features if anchored(job, &output) => Mode::Final,
                    OutputKind::Sessions if trigger.is_none() => Mode::Final,
                    OutputKind::Pattern => Mode::Final,
                    _ => Mode::Changes,
                },
                filter: None,
                select: Vec::new(),
            };
            (name, sink)
        })
        .collect();
    narrowed
}

fn anchored(job: &Job, output: &Output) -> bool {
    job.features
        .get(&output.name)
        .is_some_and(|features| features.at.is_some())
}

/// The outputs that show what a trigger sees.
fn looked_at(job: &Job, trigger: &Trigger) -> Vec<Output> {
    let of = |kind, name: &Text| Output {
        kind,
        name: name.as_str().to_owned(),
    };
    let outputs = trigger.on.iter().filter_map(|on| {
        if job.features.contains_key(on.as_str()) {
            return Some(of(OutputKind::Current, on));
        }
        job.sessions
            .contains_key(on.as_str())
            .then(|| of(OutputKind::Sessions, on))
    });
    outputs.collect()
}

impl Question<'_> {
    /// What the engine makes of the key's rows up to a moment.
    fn replayed(&self, until: EventTime) -> Result<Replayed<'_>, Failure> {
        Replayed::new(self.plan, self.stage, self.key, self.gathered, until)
    }

    /// The rows of the output that is asked for, when all is in.
    fn answers(&self) -> Result<(OutputSchema, Rows), Failure> {
        let output = self.output.to_string();
        let replayed = self.replayed(EventTime::MAX)?;
        let (schema, rows) = replayed
            .standing(&output)
            .ok_or_else(|| Failure::internal(format!("no output {output}")))?;
        Ok((schema.clone(), rows))
    }

    fn headline(&self, at: EventTime) -> String {
        let entity = &self.plan.stages[self.stage].name;
        format!("{} of the {entity} {} at {at}\n", self.output, self.key)
    }
}

#[cfg(test)]
mod tests;
