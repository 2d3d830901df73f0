//! One case: its job is run over its rows, in all the ways that must give the same answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tidegate_operators::triggers::Arm as HoldOutArm;
use tidegate_schemas::job::{
    Arm, EvaluateAt, Job, Mode, Output, OutputKind, OutputName, Promise, Sink, SinkFormat,
    TestCase, Text,
};

use super::compare::{Row, Told, difference};
use super::inputs::{Inputs, all_there, inputs_of, job_over};
use super::shuffle::{Dice, shuffled};
use crate::compile::{Plan, Selection, compile};
use crate::runtime::{self, Firing, Options, Stretch, Watch};

/// Other orders of arrival that are tried.
const ORDERS: u64 = 4;

/// A case and its job.
pub(super) struct Bench<'a> {
    job: &'a Job,
    case: &'a TestCase,
    seed: u64,
}

/// A way to run the job.
#[derive(Clone, Copy, Debug)]
struct Way {
    firing: Firing,
    workers: usize,
    /// What the order of arrival is drawn from; none for that of the case.
    seed: Option<u64>,
}

/// What a run gave.
struct Answers {
    /// The rows of each output.
    rows: BTreeMap<String, Vec<Row>>,
    /// Rows of the case that did not count: why others may be missing.
    left_out: Vec<String>,
}

impl Way {
    const PLAIN: Way = Way {
        firing: Firing::OnWatermark,
        workers: 1,
        seed: None,
    };
}

impl<'a> Bench<'a> {
    /// Orders of arrival are drawn from `seed`.
    pub(super) fn new(job: &'a Job, case: &'a TestCase, seed: u64) -> Bench<'a> {
        Bench { job, case, seed }
    }

    /// Everything in which the case does not hold.
    pub(super) fn failures(&self) -> BTreeSet<String> {
        let mut failures = BTreeSet::new();
        let inputs = match inputs_of(self.job, self.case) {
            Ok(inputs) => inputs,
            Err(error) => return BTreeSet::from([error]),
        };
        failures.extend(self.failure(&inputs, Way::PLAIN));
        if !failures.is_empty() {
            return failures;
        }
        for promise in &self.case.also {
            let broken = self.ways(*promise).into_iter().find_map(|way| {
                let failure = self.failure(&inputs, way)?;
                Some(format!("also {}: {failure}", told(*promise, way)))
            });
            failures.extend(broken);
        }
        failures
    }

    /// The ways to run the job that a promise is about.
    fn ways(&self, promise: Promise) -> Vec<Way> {
        let live = Way {
            firing: Firing::OnArrival,
            ..Way::PLAIN
        };
        match promise {
            Promise::ReplayEqualsLive => vec![live],
            Promise::AnyWorkers => {
                let with = |way: Way, workers| Way { workers, ..way };
                vec![
                    with(Way::PLAIN, 2),
                    with(live, 2),
                    with(Way::PLAIN, 4),
                    with(live, 4),
                ]
            }
            Promise::ShuffledArrival => (0..ORDERS)
                .map(|round| Way {
                    firing: if round % 2 == 0 {
                        Firing::OnArrival
                    } else {
                        Firing::OnWatermark
                    },
                    seed: Some(self.seed.wrapping_add(round)),
                    ..Way::PLAIN
                })
                .collect(),
        }
    }

    /// What is wrong with the answers, if anything is.
    fn failure(&self, inputs: &Inputs, way: Way) -> Option<String> {
        let answers = match self.answers(inputs, way) {
            Ok(answers) => answers,
            Err(error) => return Some(error),
        };
        let mut wrong = Vec::new();
        for (kind, names) in &self.case.expect {
            for (name, expected) in names {
                let output = format!("{kind}.{name}");
                let found = answers.rows.get(&output).map_or(&[][..], Vec::as_slice);
                let columns = self.columns(&output);
                let told_as = Told {
                    output: &output,
                    columns: &columns,
                };
                wrong.extend(difference(&told_as, expected, found));
            }
        }
        if wrong.is_empty() {
            return None;
        }
        wrong.extend(answers.left_out);
        Some(wrong.join("\n"))
    }

    fn answers(&self, inputs: &Inputs, way: Way) -> Result<Answers, String> {
        let folder = tempfile::tempdir().map_err(|e| format!("cannot make a folder: {e}"))?;
        let mut inputs = inputs.clone();
        let mut plan = self.plan(&inputs, folder.path())?;
        all_there(&plan, &inputs)?;
        if let Some(seed) = way.seed {
            let mut dice = Dice(seed);
            for source in plan
                .sources
                .iter()
                .filter(|source| !source.feeds.is_empty())
            {
                if let Some(table) = inputs.get_mut(&source.name) {
                    *table = shuffled(self.job, source, table, &mut dice)?;
                }
            }
            plan = self.plan(&inputs, folder.path())?;
        }
        let modes: Vec<Mode> = self
            .outputs()
            .iter()
            .map(|output| self.mode(output))
            .collect();
        let options = Options {
            workers: way.workers,
            firing: way.firing,
            stretch: Stretch::ALL,
        };
        let watch = Arc::new(Watch::default());
        runtime::run(plan, &options, &watch).map_err(|e| e.to_string())?;
        let outputs = self.outputs().into_iter().zip(modes).enumerate();
        let rows = outputs
            .map(|(index, (output, mode))| {
                let rows = rows_of(&folder.path().join(file(index)), mode)?;
                Ok((output.to_string(), rows))
            })
            .collect::<Result<_, String>>()?;
        let left_out = left_out(&watch, folder.path());
        Ok(Answers { rows, left_out })
    }

    /// The plan of the case's own sources and sinks.
    fn plan(&self, inputs: &Inputs, folder: &Path) -> Result<Plan, String> {
        let mut job = job_over(self.job, inputs, folder)?;
        job.sinks = self
            .outputs()
            .into_iter()
            .enumerate()
            .map(|(index, output)| {
                let sink = Sink {
                    from: OutputName(Text::from(output.to_string())),
                    format: SinkFormat::Jsonl,
                    path: Some(Text::from(folder.join(file(index)).display().to_string())),
                    mode: self.mode(&output),
                    filter: None,
                    select: Vec::new(),
                };
                (format!("expected {output}"), sink)
            })
            .collect();
        let mut plan = compile(&job, &Selection::default()).map_err(|e| e.to_string())?;
        let arm = self.case.assume.arm.map(|arm| match arm {
            Arm::Treated => HoldOutArm::Treated,
            Arm::Holdout => HoldOutArm::HeldOut,
        });
        let triggers = plan.stages.iter_mut().flat_map(|stage| &mut stage.triggers);
        for holdout in triggers.filter_map(|trigger| trigger.holdout.as_mut()) {
            holdout.assume = arm;
        }
        Ok(plan)
    }

    /// The outputs that the case speaks of.
    fn outputs(&self) -> Vec<Output> {
        let expect = self.case.expect.iter();
        let names = expect.flat_map(|(kind, names)| names.keys().map(move |name| (kind, name)));
        let outputs = names.map(|(kind, name)| format!("{kind}.{name}"));
        outputs.filter_map(|output| output.parse().ok()).collect()
    }

    /// The columns of an output in order.
    fn columns(&self, output: &str) -> Vec<String> {
        let output: Option<Output> = output.parse().ok();
        let known = output
            .as_ref()
            .and_then(|output| self.job.output_columns(output));
        let raw = || {
            let source = self.job.sources.get(&output.as_ref()?.name)?;
            Some(source.columns.names().map(str::to_owned).collect())
        };
        known.or_else(raw).unwrap_or_default()
    }

    /// Final rows where there are such; where rows come and go, all changes, of which the sum is what is
    /// left at the end.
    fn mode(&self, output: &Output) -> Mode {
        let name = &output.name;
        let anchored = || self.job.features.get(name).is_some_and(|f| f.at.is_some());
        let at_anchors = || {
            self.job
                .triggers
                .get(name)
                .is_some_and(|t| t.at == EvaluateAt::Anchors)
        };
        let settles = match output.kind {
            OutputKind::Current => false,
            OutputKind::Features => anchored(),
            OutputKind::Trigger => at_anchors(),
            _ => true,
        };
        match settles {
            true => Mode::Final,
            false => Mode::Changes,
        }
    }
}

/// The rows that were late or rejected, and the first of these; they lay in `folder`.
fn left_out(watch: &Watch, folder: &Path) -> Vec<String> {
    let mut told = Vec::new();
    let place = folder.display().to_string();
    for (name, source) in watch.sources() {
        if source.rejected > 0 {
            told.push(format!("rejected rows of {name}: {}", source.rejected));
            told.extend(source.first.values().map(|row| {
                let at = row.strip_prefix(&place).unwrap_or(row);
                format!("  {}", at.trim_start_matches('/'))
            }));
        }
        if source.late > 0 {
            told.push(format!("late rows of {name}: {}", source.late));
        }
    }
    told
}

fn file(output: usize) -> String {
    format!("answers-{output}.jsonl")
}

fn told(promise: Promise, way: Way) -> String {
    let firing = match way.firing {
        Firing::OnArrival => "live",
        Firing::OnWatermark => "replayed",
    };
    match promise {
        Promise::ReplayEqualsLive => "live".to_owned(),
        Promise::AnyWorkers => format!("with {} workers, {firing}", way.workers),
        Promise::ShuffledArrival => match way.seed {
            Some(seed) => format!("in another order of arrival (--seed {seed}), {firing}"),
            None => firing.to_owned(),
        },
    }
}

/// The rows of a file of JSON lines; of changes what is left at the end.
fn rows_of(path: &Path, mode: Mode) -> Result<Vec<Row>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| failed(&e))?;
    let read = |line| serde_json::from_str::<Row>(line).map_err(|e| failed(&e));
    let rows = text
        .lines()
        .map(read)
        .collect::<Result<Vec<Row>, String>>()?;
    match mode {
        Mode::Changes => left_at_the_end(rows),
        Mode::Final | Mode::Upserts => Ok(rows),
    }
}

/// Adds up the differences of equal rows.
fn left_at_the_end(rows: Vec<Row>) -> Result<Vec<Row>, String> {
    let mut sums: BTreeMap<String, (Row, i64)> = BTreeMap::new();
    for mut row in rows {
        let diff = row
            .remove("diff")
            .as_ref()
            .and_then(Value::as_i64)
            .unwrap_or(0);
        row.remove("tick");
        let text = Value::Object(row.clone()).to_string();
        sums.entry(text).or_insert((row, 0)).1 += diff;
    }
    let mut left = Vec::new();
    for (text, (row, count)) in sums {
        let count = usize::try_from(count)
            .map_err(|_| format!("a row was taken back more often than it was added: {text}"))?;
        left.extend(std::iter::repeat_n(row, count));
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_schemas::job::load;

    const JOB: &str = r#"
[job]
name = "t"
event_time = "ts"
lateness = "10m"
[source.events]
format = "jsonl"
path = "nowhere.jsonl"
dedupe = { key = "id", keep = "1h" }
columns = { id = "u64", ts = "timestamp_ms", user = "text", kind = "text" }
[entity.user]
key = "user"
[features.f]
from = "events"
at = "kind = 'ask'"
add = [{ name = "asks", op = "count", where = "kind = 'ask'", windows = ["1h"] }]
[[test]]
name = "asks count within the hour"
rows = """
id,ts,user,kind
1,2026-01-01T09:00:00Z,a,ask
2,2026-01-01T09:20:00Z,a,look
3,2026-01-01T09:15:00Z,a,ask
4,2026-01-01T10:00:00Z,a,ask
5,2026-01-01T09:40:00Z,a,ask
"""
expect.late.events = [{ id = 5, user = "a" }]
"#;

    fn failures(rest: &str) -> BTreeSet<String> {
        let text = format!("{JOB}{rest}");
        let job = load("t.toml", text.as_bytes(), &[], &|_| None).unwrap();
        Bench::new(&job, &job.tests[0], 1).failures()
    }

    #[test]
    fn a_case_that_holds_holds_in_every_way() {
        let also = r#"
expect.features.f = [
  { id = 1, user = "a", asks_1h = 1 },
  { id = 3, asks_1h = 2 },
  { id = 4, ts = 2026-01-01T10:00:00Z, asks_1h = 2 },
]
expect.current.f = []
also = ["replay equals live", "shuffled arrival within lateness gives the same rows", "any number of workers gives the same rows"]
"#;
        assert_eq!(failures(also), BTreeSet::new());
    }

    #[test]
    fn a_case_that_does_not_hold_shows_the_rows() {
        let told =
            failures("expect.features.f = [{ id = 1, asks_1h = 1 }, { id = 3, asks_1h = 3 }]");
        let told: Vec<String> = told.into_iter().collect();
        assert_eq!(
            told,
            ["features.f: 2 rows expected, 3 found\n\
              - id = 3, asks_1h = 3\n\
              + id = 3, asks_1h = 2\n    asks_1h: 3 expected, 2 found\n\
              + id = 4, asks_1h = 2\n\
              late rows of events: 1"]
        );
    }

    #[test]
    fn a_case_that_does_not_hold_tells_of_rows_that_did_not_count() {
        let text = format!("{JOB}expect.features.f = [{{ id = 1 }}, {{ id = 3 }}, {{ id = 4 }}]");
        let text = text
            .replace("4,2026", "four,2026")
            .replace("3,2026", ",2026");
        let job = load("t.toml", text.as_bytes(), &[], &|_| None).unwrap();
        let told = Bench::new(&job, &job.tests[0], 1).failures();
        let told = told.first().expect("it does not hold");
        let null = "is null or missing, and the column may not be null";
        let rejected = format!(
            "rejected rows of events: 2\n  events.csv:4 rejected for `id`: {null}\n  \
             events.csv:5 rejected for `id`: "
        );
        assert!(told.contains(&rejected), "{told}");
    }

    #[test]
    fn a_column_that_may_not_be_left_out_is_told() {
        let text = format!("{JOB}expect.features.f = []");
        let rows = text
            .split_once("id,ts,user,kind\n")
            .expect("there are rows")
            .0;
        let text =
            format!("{rows}id,ts,user\n1,2026-01-01T09:00:00Z,a\n\"\"\"\nexpect.features.f = []");
        let job = load("t.toml", text.as_bytes(), &[], &|_| None).unwrap();
        let told = Bench::new(&job, &job.tests[0], 1).failures();
        assert_eq!(
            told.first().expect("it does not hold"),
            "rows of `events` leave out `kind`: a column may only be left out when it may be null, \
             that is when its type ends in `?`"
        );
    }
}
