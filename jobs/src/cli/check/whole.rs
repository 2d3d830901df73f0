//! A job compiled as a whole: every output, whether a sink writes it or not.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use tidegate_schemas::job::{
    Job, Mode, Output, OutputKind, OutputName, Problem, Problems, Sink, SinkFormat, Text,
};
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::OutputSchema;

use crate::cli::failure::Failure;
use crate::compile::{Feed, Plan, Selection, compile};
use crate::runtime::reject_schema;
use crate::sinks::{SinkInput, written_schema};

/// A job and what it compiles to.
pub(super) struct Whole<'a> {
    pub(super) job: &'a Job,
    pub(super) plan: Plan,
    /// What each sink of the job writes, by name.
    pub(super) written: BTreeMap<String, SchemaRef>,
}

impl<'a> Whole<'a> {
    /// Compiles every output of the job.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn new(job: &'a Job) -> Result<Whole<'a>, Failure> {
        let mut all = job.clone();
        let unwritten = job
            .outputs()
            .into_iter()
            .filter(|output| !is_written(job, output));
        all.sinks.extend(unwritten.map(|output| {
            let sink = Sink {
                from: OutputName(Text::from(output.to_string())),
                format: SinkFormat::Jsonl,
                path: Some(Text::from("-")),
                mode: mode(job, &output),
                filter: None,
                select: Vec::new(),
            };
            // A name that no sink of a job file can have.
            (format!("unwritten {output}"), sink)
        }));
        let plan = compile(&all, &Selection::default())?;
        let written = written(job, &plan)?;
        Ok(Whole { job, plan, written })
    }

    /// The columns of an output.
    pub(super) fn schema(&self, output: &Output) -> Option<&OutputSchema> {
        let name = output.to_string();
        let mut schemas = self.plan.stages.iter().flat_map(|stage| &stage.outputs);
        schemas.find(|schema| schema.name == name)
    }

    /// The columns of the rows of a source, as they are read.
    pub(super) fn rows(&self, source: &str) -> Option<SchemaRef> {
        let plan = self.plan.sources.iter().find(|plan| plan.name == source)?;
        Some(plan.declared.schema())
    }
}

/// Whether a sink of the job writes an output.
pub(super) fn is_written(job: &Job, output: &Output) -> bool {
    job.sinks
        .values()
        .any(|sink| sink.from.output().as_ref() == Some(output))
}

fn mode(job: &Job, output: &Output) -> Mode {
    let anchored = job
        .features
        .get(&output.name)
        .is_some_and(|features| features.at.is_some());
    match output.kind {
        OutputKind::Current | OutputKind::Trigger => Mode::Upserts,
        OutputKind::Features if !anchored => Mode::Upserts,
        _ => Mode::Final,
    }
}

/// What each sink of the job writes.
fn written(job: &Job, plan: &Plan) -> Result<BTreeMap<String, SchemaRef>, Problems> {
    let mut problems = Vec::new();
    let mut schemas = BTreeMap::new();
    for sink in &plan.sinks {
        let Some(declared) = job.sinks.get(&sink.spec.name) else {
            continue;
        };
        let input = match sink.feed {
            Feed::Output { stage, output } => {
                SinkInput::Rows(plan.stages[stage].outputs[output].clone())
            }
            Feed::Late(source) => SinkInput::Batches(plan.sources[source].declared.schema()),
            Feed::Rejects(_) => SinkInput::Batches(reject_schema()),
        };
        match written_schema(&sink.spec, input, Arc::new(Names::default())) {
            Ok(schema) => {
                schemas.insert(sink.spec.name.clone(), schema);
            }
            Err(error) => problems.push(problem(job, declared, &error.to_string())),
        }
    }
    Problems(problems).into_result(schemas)
}

/// A problem with what a sink selects, at the expression that it names.
fn problem(job: &Job, sink: &Sink, message: &str) -> Problem {
    let said = sink.select.iter().chain(&sink.filter);
    let culprit = said
        .clone()
        .find(|sql| message.contains(&format!("`{}`", sql.as_str())));
    let place = culprit.or(said.clone().next()).and_then(|sql| sql.place());
    job.origin.problem(place.or(sink.from.0.place()), message)
}
