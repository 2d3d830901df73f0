//! The job compiler: from a job file to a [`Plan`], with every name resolved and every SQL
//! expression planned.
//!
//! Only what somebody reads is compiled: outputs without a sink (or a trigger that looks at them) cost
//! nothing, and of a source only the columns that something reads are decoded.
//!
//! # Errors
//! Every problem that could be found, each with its place in the job file.

mod advice;
mod conditions;
mod detectors;
mod drift;
mod features;
mod ids;
mod journeys;
mod outputs;
mod overwrites;
mod patterns;
mod presence;
mod retrain;
mod sessions;
mod source;
mod stage;
mod tables;
mod triggers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::common::DataFusionError;
use tidegate_operators::detection::DetectionSpec;
use tidegate_operators::drift::spec::DriftSpec;
use tidegate_operators::features::spec::FeaturesSpec;
use tidegate_operators::patterns::PatternSpec;
use tidegate_operators::retrain::spec::RetrainSpec;
use tidegate_operators::sessions::SessionsSpec;
use tidegate_operators::triggers::TriggerSpec;
use tidegate_schemas::job::{self, Job, OnConflict, Output, OutputKind, Problem, Problems, Sql};
use tidegate_schemas::names::{Names, code_of};
use tidegate_schemas::rows::{Kind, OutputSchema};
use tidegate_schemas::time::Span;

use crate::expressions::{Expression, Planner, cause};
use crate::normalise::{FactsPlan, Word};
use crate::sinks::SinkSpec;
use crate::sources::Declared;
pub use journeys::{Counted, JourneysPlan, What};
use source::SourceView;

/// A job, ready to run.
pub struct Plan {
    /// The job's name.
    pub name: String,
    /// How far a row may lag behind its source's newest.
    pub lateness: Span,
    /// After this much silence a source holds the watermark back no longer.
    pub idle_timeout: Span,
    /// The dictionary of codes.
    pub names: Arc<Names>,
    /// The sources that something reads.
    pub sources: Vec<SourcePlan>,
    /// One for each entity.
    pub stages: Vec<StagePlan>,
    /// The sinks.
    pub sinks: Vec<SinkPlan>,
}

impl Plan {
    /// The sources whose late rows a sink writes.
    pub(crate) fn sources_with_late_sinks(&self) -> BTreeSet<String> {
        let late = self.sinks.iter().filter_map(|sink| match sink.feed {
            Feed::Late(source) => Some(self.sources[source].name.clone()),
            Feed::Output { .. } | Feed::Rejects(_) => None,
        });
        late.collect()
    }
}

/// A source and what becomes of its rows.
#[derive(Clone, Debug)]
pub struct SourcePlan {
    /// Its name.
    pub name: String,
    /// Where it lies and which columns are read.
    pub declared: Declared,
    /// The column of the event time.
    pub time: usize,
    /// What must hold of every row, with the text for messages.
    pub expect: Vec<(String, Expression)>,
    /// How far ahead of the newest row before it a row may be.
    pub max_ahead: Option<Span>,
    /// The columns without which a row is nobody's.
    pub needs: Vec<Need>,
    /// The stages it feeds.
    pub feeds: Vec<(usize, FactsPlan)>,
    /// The tables whose changelog it is: the stage, and what a row means there.
    pub tables: Vec<(usize, TablePlan)>,
}

impl SourcePlan {
    /// All expressions that are evaluated over its rows.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let expect = self.expect.iter().map(|(_, expression)| expression);
        let facts = self.feeds.iter().map(|(_, facts)| facts);
        let filters = facts.clone().flat_map(|facts| &facts.filters);
        let tables = self.tables.iter().map(|(_, table)| table);
        let words = tables
            .clone()
            .flat_map(|table| table.key.iter().chain(&table.columns));
        let words = words.chain(facts.flat_map(|facts| &facts.words));
        expect
            .chain(filters.map(|filter| &filter.expression))
            .chain(words.map(|word| &word.expression))
            .chain(tables.filter_map(|table| table.delete_when.as_ref()))
    }
}

/// A column in which every row must have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Which.
    pub column: usize,
    /// What it is to the job, for messages.
    pub what: &'static str,
    /// The bits that its number may have, where those are fewer than 64.
    pub bits: Option<u64>,
}

/// What a changelog's row means to a table.
#[derive(Clone, Debug)]
pub struct TablePlan {
    /// Which table of the stage.
    pub table: usize,
    /// The words of the key.
    pub key: Vec<Word>,
    /// The words of the other columns.
    pub columns: Vec<Word>,
    /// When the row removes its key.
    pub delete_when: Option<Expression>,
}

/// All that is kept of one entity.
pub struct StagePlan {
    /// The entity's name; empty for rows that belong to nobody in particular.
    pub name: String,
    /// How rows are deduplicated.
    pub dedupe: Option<(Span, OnConflict)>,
    /// The features.
    pub features: Vec<FeaturesSpec>,
    /// The sessions.
    pub sessions: Vec<SessionsSpec>,
    /// The patterns.
    pub patterns: Vec<PatternSpec>,
    /// The triggers.
    pub triggers: Vec<TriggerSpec>,
    /// (Words per key, words per row) of the tables.
    pub tables: Vec<(usize, usize)>,
    /// The journeys.
    pub journeys: JourneysPlan,
    /// Drift.
    pub drift: Vec<DriftPlan>,
    /// Detectors.
    pub detectors: Vec<DetectionPlan>,
    /// The models that are to be trained again.
    pub retrain: Vec<RetrainPlan>,
    /// The outputs, first those of the entity's logic, then those of drift, of models, of detectors, and of what is
    /// counted of journeys.
    pub outputs: Vec<OutputSchema>,
    /// How many of the outputs are the logic's.
    pub logic_outputs: usize,
}

/// A drift and its outputs.
pub struct DriftPlan {
    /// Its name.
    pub name: String,
    /// How segments read, if there are any.
    pub segment: Option<Kind>,
    /// What it does.
    pub spec: DriftSpec,
    /// The output of its rows, if somebody reads it.
    pub rows: Option<usize>,
    /// That of its alerts.
    pub alerts: Option<usize>,
}

/// A model that is to be trained again.
pub struct RetrainPlan {
    /// When.
    pub spec: RetrainSpec,
    /// The drifts of the stage whose alerts ask, as the spec has them.
    pub drifts: Vec<usize>,
    /// The output.
    pub output: usize,
}

/// A detector over the rows of a stage.
pub struct DetectionPlan {
    /// Its name.
    pub name: String,
    /// What it watches.
    pub spec: DetectionSpec,
    /// Its output.
    pub output: usize,
}

/// A sink and what feeds it.
pub struct SinkPlan {
    /// Where and how it writes.
    pub spec: SinkSpec,
    /// What it writes.
    pub feed: Feed,
}

/// What a sink writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// An output of a stage.
    Output {
        /// The stage.
        stage: usize,
        /// The output.
        output: usize,
    },
    /// The late rows of a source.
    Late(usize),
    /// The rejects of a source.
    Rejects(usize),
}

/// What of a job to compile.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// These sinks only; all when empty.
    pub sinks: BTreeSet<String>,
}

impl Selection {
    fn has(&self, sink: &str) -> bool {
        self.sinks.is_empty() || self.sinks.contains(sink)
    }
}

/// Compiles a job.
///
/// # Errors
/// Everything that is wrong with it.
pub fn compile(job: &Job, selection: &Selection) -> Result<Plan, Problems> {
    // Once to see which columns are read, and once to read only those.
    let mut compiler = Compiler::new(job, selection, None);
    compiler.run();
    std::mem::take(&mut compiler.problems).into_result(())?;
    let used = compiler.used_columns();
    let mut compiler = Compiler::new(job, selection, Some(used));
    compiler.run();
    let Compiler { problems, plan, .. } = compiler;
    problems.into_result(plan)
}

/// A job being compiled.
struct Compiler<'a> {
    job: &'a Job,
    selection: &'a Selection,
    planner: Planner,
    /// The columns to read of each source; all when not known yet.
    columns: Option<BTreeMap<String, BTreeSet<String>>>,
    views: BTreeMap<String, SourceView>,
    problems: Problems,
    plan: Plan,
}

impl<'a> Compiler<'a> {
    fn new(
        job: &'a Job,
        selection: &'a Selection,
        columns: Option<BTreeMap<String, BTreeSet<String>>>,
    ) -> Compiler<'a> {
        let plan = Plan {
            name: job.job.name.as_str().to_owned(),
            lateness: job.job.lateness,
            idle_timeout: job.job.idle_timeout,
            names: Arc::new(Names::default()),
            sources: Vec::new(),
            stages: Vec::new(),
            sinks: Vec::new(),
        };
        Compiler {
            job,
            selection,
            planner: Planner::new(),
            columns,
            views: BTreeMap::new(),
            problems: Problems::default(),
            plan,
        }
    }

    fn run(&mut self) {
        for sink in &self.selection.sinks {
            if !self.job.sinks.contains_key(sink) {
                let known: Vec<_> = self.job.sinks.keys().map(String::as_str).collect();
                let message = format!(
                    "there is no sink `{sink}`; the job has {}",
                    known.join(", ")
                );
                self.problem(job_place(self.job), message);
            }
        }
        self.open_sources();
        for entity in self.job.entities.keys() {
            self.stage(Some(entity));
        }
        self.stage(None);
        self.raw_sinks();
        self.refuse_overwriting();
        self.refuse_sharing();
        self.close_sources();
    }

    /// The sinks that write an output of this kind and name.
    fn sinks_of(&self, kind: OutputKind, name: &str) -> Vec<(&'a String, &'a job::Sink)> {
        let wanted = Output {
            kind,
            name: name.to_owned(),
        };
        let sinks = self.job.sinks.iter();
        sinks
            .filter(|(sink, _)| self.selection.has(sink))
            .filter(|(_, sink)| sink.from.output().as_ref() == Some(&wanted))
            .collect()
    }

    fn problem(&mut self, place: Option<job::Place>, message: impl Into<String>) {
        let problem = self.job.origin.problem(place, message);
        self.push(problem);
    }

    fn push(&mut self, problem: Problem) {
        if !self.problems.0.contains(&problem) {
            self.problems.0.push(problem);
        }
    }

    /// The code of a text of the job file; one that another text has becomes a problem.
    fn code(&mut self, text: &str, place: Option<job::Place>) -> i64 {
        self.plan.names.code(text).unwrap_or_else(|collision| {
            self.problem(place, collision.to_string());
            code_of(text)
        })
    }

    /// Plans an expression over the rows of a source; what is wrong with it becomes a problem.
    fn expression(&mut self, source: &str, sql: &Sql, text: &str) -> Option<Expression> {
        let view = self.views.get(source)?;
        match self.planner.plan(text, &view.schema) {
            Ok(expression) => {
                if let Some(view) = self.views.get_mut(source) {
                    view.used.extend(expression.columns.iter().copied());
                }
                // What came from the environment is not to be seen.
                let written = match sql.is_from_environment() {
                    true => sql.written(),
                    false => text,
                };
                let place = sql.place().and_then(|place| self.job.origin.told(place));
                Some(expression.told_as(written, place))
            }
            Err(error) => {
                let names: Vec<String> = view
                    .schema
                    .fields()
                    .iter()
                    .map(|field| field.name().clone())
                    .collect();
                let problem = self.sql_problem(sql, source, &error, &names);
                self.push(problem);
                None
            }
        }
    }

    /// Plans an expression that must be true or false.
    fn truth(&mut self, source: &str, sql: &Sql) -> Option<Expression> {
        let expression = self.expression(source, sql, sql.as_str())?;
        if expression.data_type != arrow::datatypes::DataType::Boolean {
            let found = match &expression.data_type {
                arrow::datatypes::DataType::Dictionary(..) => "text".to_owned(),
                other => other.to_string(),
            };
            let message = format!("`{}` must be true or false, and is {found}", sql.written());
            self.problem(sql.place(), message);
            return None;
        }
        Some(expression)
    }

    fn sql_problem(
        &self,
        sql: &Sql,
        source: &str,
        error: &DataFusionError,
        names: &[String],
    ) -> Problem {
        let error = cause(error);
        let message = format!("in `{}`, over the rows of {source}: {error}", sql.written());
        let problem = self.job.origin.problem(sql.place(), message);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        problem.help(advice::advice(sql.as_str(), &error, &names))
    }

    /// The columns of each source that something reads.
    fn used_columns(&self) -> BTreeMap<String, BTreeSet<String>> {
        let names = |view: &SourceView| {
            let field = |index: &usize| view.schema.field(*index).name().clone();
            view.used.iter().map(field).collect()
        };
        self.views
            .iter()
            .map(|(name, view)| (name.clone(), names(view)))
            .collect()
    }
}

fn job_place(job: &Job) -> Option<job::Place> {
    job.job.name.place()
}
