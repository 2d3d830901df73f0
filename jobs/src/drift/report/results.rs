//! What the sinks of a job's drift have written, read back: the windows and the episodes of each column and segment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use tidegate_schemas::job::{Drift, Job, Problems};
use tidegate_schemas::time::{EventTime, Span};

use super::watched::{Episode, Line, Watched, WatchedDrift, Window};
use crate::compile::{Feed, Plan, Selection, SinkPlan, compile};
use crate::sinks::{SinkInput, SinkSpec, written_schema};
use crate::verify::VerifyError;
use crate::verify::written::{files, read, standing};

/// Said of a result in parts that has none.
const NO_PARTS: &str = "no part of its result is there: run the job with this sink first, or name the files that it \
                        went to with --result; a run without any window writes none";

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The job does not compile.
    #[error("{0}")]
    Job(Problems),
    /// Looking for what is to be reported.
    #[error(
        "the job `{0}` has no [drift.*], so there is no drift to report; two files are compared with \
         `tidegate drift report REFERENCE CURRENT`"
    )]
    NoDrift(String),
    /// Looking for who writes it.
    #[error(
        "no sink writes the output `{0}`: add a sink with `from = \"{0}\"` and a path to the job file, and run the job"
    )]
    NoSink(String),
    /// Looking for what was written.
    #[error("sink `{sink}` of `{output}`: {why}")]
    Missing {
        /// The sink.
        sink: String,
        /// What it writes.
        output: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// Reading it.
    #[error(transparent)]
    Unreadable(VerifyError),
    /// Looking for a column in it.
    #[error(
        "sink `{sink}`: the result has no column `{column}`, which the report needs: leave `select` out of the sink, \
         or add the column, and run the job again"
    )]
    Lacks {
        /// The sink.
        sink: String,
        /// The column.
        column: String,
    },
    /// A promise of our own.
    #[error("sink `{sink}`: {problem}")]
    Shape {
        /// The sink.
        sink: String,
        /// What is wrong.
        problem: String,
    },
}

/// Reads what the drift of a job has come to. `results` are where results of sinks are, if not where the job says.
///
/// # Errors
/// When the job has no drift, or what its sinks have written cannot be read. That alerts were not written is said in
/// the answer.
pub fn watched(
    job: &Job,
    results: &BTreeMap<String, Vec<PathBuf>>,
) -> Result<Watched, ReportError> {
    let plan = compile(job, &Selection::default()).map_err(ReportError::Job)?;
    let name = job.job.name.written().to_owned();
    if job.drift.is_empty() {
        return Err(ReportError::NoDrift(name));
    }
    let (mut drifts, mut unwritten) = (Vec::new(), Vec::new());
    for (name, drift) in &job.drift {
        match Table::of(&plan, &format!("drift.{name}"), results) {
            Ok(windows) => drifts.push(one_drift(&plan, name, drift, &windows, results)?),
            Err(ReportError::NoSink(output)) => unwritten.push(output),
            Err(error) => return Err(error),
        }
    }
    match unwritten.first() {
        Some(output) if drifts.is_empty() => Err(ReportError::NoSink(output.clone())),
        _ => Ok(Watched {
            job: name,
            drifts,
            unwritten,
        }),
    }
}

fn one_drift(
    plan: &Plan,
    name: &str,
    drift: &Drift,
    windows: &Table,
    results: &BTreeMap<String, Vec<PathBuf>>,
) -> Result<WatchedDrift, ReportError> {
    let mut lines = lines(drift, windows)?;
    let mut no_alerts = None;
    if drift.alert.is_some() {
        match Table::of(plan, &format!("alerts.{name}"), results) {
            Ok(alerts) => episodes(&alerts, drift, &mut lines)?,
            Err(error @ (ReportError::NoSink(_) | ReportError::Missing { .. })) => {
                no_alerts = Some(error.to_string());
            }
            Err(error) => return Err(error),
        }
    }
    lines.sort_by(|a, b| {
        let of = |line: &Line| (line.column.clone(), line.segment.clone(), line.length);
        of(a).cmp(&of(b))
    });
    let mut measures: Vec<&'static str> = Vec::new();
    for (column, _) in drift
        .measured()
        .iter()
        .flat_map(|measure| measure.columns())
    {
        measures.push(column);
    }
    Ok(WatchedDrift {
        name: name.to_owned(),
        sink: windows.sink.clone(),
        by: drift.by.as_ref().map(|by| by.as_str().to_owned()),
        alert: drift
            .alert
            .as_ref()
            .map(|alert| alert.when.as_str().to_owned()),
        filter: windows.filter.clone(),
        no_alerts,
        every: drift.every,
        measures,
        lines,
    })
}

fn lines(drift: &Drift, table: &Table) -> Result<Vec<Line>, ReportError> {
    let (starts, columns) = (table.times("start")?, table.texts("column")?);
    let rows = starts.len();
    // Plain rows have windows of one step, and tell their number instead of their length.
    let every = drift.every.to_string();
    let (ends, segments, lengths) = match drift.is_wide() {
        true => (
            table.times("end")?,
            table.texts("segment")?,
            table.texts("window")?,
        ),
        false => (
            starts
                .iter()
                .map(|at| at.map(|at| at.plus(drift.every)))
                .collect(),
            vec![None; rows],
            vec![Some(every); rows],
        ),
    };
    let (limits, moved) = match drift.is_wide() {
        true => (table.numbers("no_drift_95")?, table.lists("moved")?),
        false => (vec![None; rows], vec![Vec::new(); rows]),
    };
    let (counts, references) = (table.numbers("rows")?, table.numbers("reference_rows")?);
    let mut measures = Vec::new();
    for (column, _) in drift
        .measured()
        .iter()
        .flat_map(|measure| measure.columns())
    {
        measures.push(table.numbers(column)?);
    }
    let mut lines: BTreeMap<(String, Option<String>, String), Line> = BTreeMap::new();
    for row in 0..rows {
        let (Some(start), Some(end)) = (starts[row], ends[row]) else {
            continue;
        };
        let column = columns[row].clone().unwrap_or_default();
        let window = lengths[row].clone().unwrap_or_default();
        let key = (column.clone(), segments[row].clone(), window.clone());
        let line = lines.entry(key).or_insert_with(|| Line {
            column,
            segment: segments[row].clone(),
            length: length_of(&window, drift),
            window,
            windows: Vec::new(),
            episodes: Vec::new(),
        });
        line.windows.push(Window {
            start,
            end,
            values: measures.iter().map(|values| values[row]).collect(),
            no_drift_95: limits[row],
            rows: counts[row].unwrap_or(0.0) as u64,
            reference_rows: references[row].unwrap_or(0.0) as u64,
            moved: moved[row].clone(),
        });
    }
    let mut lines: Vec<Line> = lines.into_values().collect();
    for line in &mut lines {
        line.windows.sort_by_key(|window| window.end);
    }
    Ok(lines)
}

fn length_of(window: &str, drift: &Drift) -> Span {
    window.parse().unwrap_or(drift.every)
}

/// Puts the episodes to their lines.
fn episodes(table: &Table, drift: &Drift, lines: &mut Vec<Line>) -> Result<(), ReportError> {
    let (columns, segments) = (table.texts("column")?, table.texts("segment")?);
    let windows = table.texts("window")?;
    let (opened, closed) = (table.times("opened_at")?, table.times("closed_at")?);
    for row in 0..opened.len() {
        let Some(opened_at) = opened[row] else {
            continue;
        };
        let column = columns[row].clone().unwrap_or_default();
        let window = windows[row].clone().unwrap_or_default();
        let episode = Episode {
            opened_at,
            closed_at: closed[row],
        };
        let found = lines.iter_mut().find(|line| {
            line.column == column && line.segment == segments[row] && line.window == window
        });
        match found {
            Some(line) => line.episodes.push(episode),
            // An episode whose windows the sink of the measures leaves out is told all the same.
            None => lines.push(Line {
                column,
                segment: segments[row].clone(),
                length: length_of(&window, drift),
                window,
                windows: Vec::new(),
                episodes: vec![episode],
            }),
        }
    }
    for line in lines {
        line.episodes.sort_by_key(|episode| episode.opened_at);
    }
    Ok(())
}

/// The rows of an output that stand.
struct Table {
    sink: String,
    filter: Option<String>,
    rows: RecordBatch,
}

impl Table {
    /// What the fittest sink of an output has written: the first whose result is there, one of all rows and columns
    /// before others.
    fn of(
        plan: &Plan,
        output: &str,
        results: &BTreeMap<String, Vec<PathBuf>>,
    ) -> Result<Table, ReportError> {
        let of_output = |sink: &&SinkPlan| match sink.feed {
            Feed::Output { stage, output: at } => plan.stages[stage].outputs[at].name == output,
            Feed::Late(_) | Feed::Rejects(_) => false,
        };
        let mut sinks: Vec<&SinkPlan> = plan.sinks.iter().filter(of_output).collect();
        sinks.sort_by_key(|sink| (sink.spec.filter.is_some(), sink.spec.select.is_some()));
        let mut missing = None;
        for sink in sinks {
            let spec = &sink.spec;
            let found = match results.get(&spec.name) {
                Some(named) => Ok(named.clone()),
                None => files(spec).map_err(|gap| gap.why()),
            };
            let found =
                found.and_then(
                    |found| match found.is_empty() && output.starts_with("drift.") {
                        true => Err(NO_PARTS.to_owned()),
                        false => Ok(found),
                    },
                );
            match found {
                Ok(found) => return Table::read(plan, sink, &found),
                Err(why) => {
                    missing.get_or_insert(ReportError::Missing {
                        sink: spec.name.clone(),
                        output: output.to_owned(),
                        why,
                    });
                }
            }
        }
        Err(missing.unwrap_or_else(|| ReportError::NoSink(output.to_owned())))
    }

    fn read(plan: &Plan, sink: &SinkPlan, found: &[PathBuf]) -> Result<Table, ReportError> {
        let spec: &SinkSpec = &sink.spec;
        let broken = |problem: &dyn std::fmt::Display| ReportError::Shape {
            sink: spec.name.clone(),
            problem: problem.to_string(),
        };
        let Feed::Output { stage, output } = sink.feed else {
            return Err(broken(&"raw rows are no output"));
        };
        let output = &plan.stages[stage].outputs[output];
        let input = SinkInput::Rows(output.clone());
        let schema = written_schema(spec, input, std::sync::Arc::clone(&plan.names))
            .map_err(|error| broken(&error))?;
        let rows = read(spec, found, &schema).map_err(ReportError::Unreadable)?;
        let place = |column: &usize| schema.index_of(&output.columns[*column].name).ok();
        let identity: Option<Vec<usize>> = output.identity.iter().map(place).collect();
        let rows = standing(spec.mode, &rows, identity.as_deref()).map_err(|why| {
            let place = found.first().map(|path| path.display().to_string());
            ReportError::Unreadable(VerifyError::Result {
                sink: spec.name.clone(),
                path: place.unwrap_or_default(),
                problem: why,
            })
        })?;
        Ok(Table {
            sink: spec.name.clone(),
            filter: spec.filter.clone(),
            rows,
        })
    }

    fn column(&self, name: &str) -> Result<&arrow::array::ArrayRef, ReportError> {
        let lacks = || ReportError::Lacks {
            sink: self.sink.clone(),
            column: name.to_owned(),
        };
        self.rows.column_by_name(name).ok_or_else(lacks)
    }

    fn broken(&self, name: &str, problem: impl std::fmt::Display) -> ReportError {
        ReportError::Shape {
            sink: self.sink.clone(),
            problem: format!("column `{name}`: {problem}"),
        }
    }

    fn times(&self, name: &str) -> Result<Vec<Option<EventTime>>, ReportError> {
        let to = DataType::Timestamp(TimeUnit::Microsecond, None);
        let times = cast(self.column(name)?, &to).map_err(|error| self.broken(name, error))?;
        let times = times.as_primitive::<TimestampMicrosecondType>();
        Ok(times.iter().map(|at| at.map(EventTime)).collect())
    }

    fn numbers(&self, name: &str) -> Result<Vec<Option<f64>>, ReportError> {
        let numbers = cast(self.column(name)?, &DataType::Float64);
        let numbers = numbers.map_err(|error| self.broken(name, error))?;
        Ok(numbers.as_primitive::<Float64Type>().iter().collect())
    }

    fn texts(&self, name: &str) -> Result<Vec<Option<String>>, ReportError> {
        let values = self.column(name)?;
        let text = |row: usize| match values.is_null(row) {
            true => Ok(None),
            false => array_value_to_string(values, row).map(Some),
        };
        let texts: Result<_, _> = (0..values.len()).map(text).collect();
        texts.map_err(|error| self.broken(name, error))
    }

    fn lists(&self, name: &str) -> Result<Vec<Vec<String>>, ReportError> {
        let values = self.column(name)?;
        let lists = values.as_list_opt::<i32>();
        let lists = lists.ok_or_else(|| self.broken(name, "it holds no lists"))?;
        let texts = |list: arrow::array::ArrayRef| {
            let texts = (0..list.len()).map(|place| array_value_to_string(&list, place));
            texts.collect::<Result<Vec<String>, _>>()
        };
        let texts = lists.iter().map(|list| list.map_or(Ok(Vec::new()), texts));
        let texts: Result<Vec<_>, _> = texts.collect();
        texts.map_err(|error| self.broken(name, error))
    }
}
