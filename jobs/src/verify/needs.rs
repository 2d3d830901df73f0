//! What the outputs of an entity need: its sources, the expressions they read, and which measures can
//! make a row a reject.

use arrow::datatypes::DataType;
use tidegate_schemas::job::{self, Features, Job, Op, Sessions, Trigger};
use tidegate_schemas::rows::{Kind, OutputSchema};
use tidegate_schemas::time::{EventTime, TimeUnit};

use super::aggregate::Wanted;
use super::database::quoted;
use super::error::VerifyError;
use super::facts::Feeding;
use super::ledger::{Ledger, Measure, time_unit};
use super::raw::{FAILED, KeyNames, RawRows};
use super::tables::Table;
use super::triggers::Watched;
use crate::compile::{Need, Plan, SourcePlan};
use crate::runtime::Stretch;

/// An output that is to be computed.
pub(super) enum Block<'a> {
    /// Features at their anchors.
    Features {
        /// The job's section.
        features: &'a Features,
        /// The condition that a fact is an anchor.
        anchor: String,
        /// What anchors carry.
        carry: Vec<Measure>,
        /// The aggregates.
        wanted: Vec<Wanted>,
    },
    /// Sessions.
    Sessions {
        /// The job's section.
        sessions: &'a Sessions,
        /// The condition that a fact belongs to sessions.
        belongs: String,
        /// The aggregates.
        wanted: Vec<Wanted>,
    },
    /// A trigger at anchors.
    Trigger {
        /// The job's section.
        trigger: &'a Trigger,
        /// The condition that a fact is an anchor.
        anchor: String,
        /// The features that it looks at.
        watched: Vec<Watched>,
        /// The tables that it looks at.
        tables: Vec<Table>,
    },
}

/// The sources of a stage.
pub(super) fn feeding(
    job: &Job,
    plan: &Plan,
    stage: usize,
    (stretch, keys): (Stretch, &KeyNames),
) -> Vec<Feeding> {
    let mut feeding = Vec::new();
    for source in &plan.sources {
        let Some((_, facts)) = source.feeds.iter().find(|(to, _)| *to == stage) else {
            continue;
        };
        let mut expect = expectations(job, &source.name);
        expect.extend(source.needs.iter().map(|need| needed(source, need)));
        if stretch.from != EventTime::MIN {
            expect.push(format!("\"$at\" >= {}", stretch.from.0));
        }
        if stretch.to != EventTime::MAX {
            expect.push(format!("\"$at\" < {}", stretch.to.0));
        }
        feeding.push(Feeding {
            name: source.name.clone(),
            rows: RawRows::new(source, facts, keys),
            time: time_of(source),
            expect,
            id: (facts.id.clone(), facts.tag),
            named: facts.named != 0,
        });
    }
    feeding
}

/// What must hold of the rows of a source; those that cannot be computed have been looked at.
pub(super) fn expectations(job: &Job, source: &str) -> Vec<String> {
    let expect = job.sources.get(source).into_iter();
    let expect = expect.flat_map(|source| &source.expect);
    expect
        .map(|sql| format!("\"{FAILED}\" OR ({}\n)", sql.as_str()))
        .collect()
}

/// That a row has what is needed of it.
fn needed(source: &SourcePlan, need: &Need) -> String {
    let column = quoted(source.declared.schema().field(need.column).name());
    match need.bits {
        None => format!("\"{FAILED}\" OR {column} IS NOT NULL"),
        Some(most) => format!("\"{FAILED}\" OR {column} BETWEEN 0 AND {most}"),
    }
}

/// The column of the event time, and how many of its units make a second.
pub(super) fn time_of(source: &SourcePlan) -> (String, i64) {
    let schema = source.declared.schema();
    let time = schema.field(source.time);
    let per_second = match time.data_type() {
        DataType::Timestamp(unit, _) => match time_unit(*unit) {
            TimeUnit::Second => 1,
            TimeUnit::Millisecond => 1_000,
            TimeUnit::Microsecond => 1_000_000,
            TimeUnit::Nanosecond => 1_000_000_000,
        },
        _ => 1_000_000,
    };
    (time.name().clone(), per_second)
}

fn texts(from: &[job::Text]) -> Vec<String> {
    from.iter()
        .map(|source| source.as_str().to_owned())
        .collect()
}

/// What an output needs.
///
/// # Errors
/// When an expression cannot be planned again.
pub(super) fn block<'a>(
    job: &'a Job,
    plan: &Plan,
    schema: &OutputSchema,
    ledger: &mut Ledger,
) -> Result<Block<'a>, VerifyError> {
    let planned = |name: &str| {
        let mut columns = schema.columns.iter();
        let column = columns.find(|column| column.name == name);
        column.map(|column| column.kind.clone())
    };
    match schema.name.split_once('.') {
        Some(("sessions", name)) if job.sessions.contains_key(name) => {
            sessions(&job.sessions[name], &planned, ledger)
        }
        Some(("trigger", name)) if job.triggers.contains_key(name) => {
            trigger(job, plan, &job.triggers[name], ledger)
        }
        Some(("features", name)) if job.features.contains_key(name) => {
            let id = &schema.columns[0].name;
            features(&job.features[name], id, &planned, ledger)
        }
        _ => Err(VerifyError::Shape(format!(
            "{} is not computed",
            schema.name
        ))),
    }
}

fn sessions<'a>(
    sessions: &'a Sessions,
    planned: &dyn Fn(&str) -> Option<Kind>,
    ledger: &mut Ledger,
) -> Result<Block<'a>, VerifyError> {
    let from = texts(&sessions.from);
    let filter = sessions.filter.as_ref().map(|sql| sql.as_str());
    let belongs = ledger.filter(&from, filter);
    let mut wanted = Vec::new();
    for aggregate in &sessions.add {
        wanted.extend(Wanted::of(ledger, &from, aggregate, planned)?);
    }
    Ok(Block::Sessions {
        sessions,
        belongs,
        wanted,
    })
}

fn features<'a>(
    features: &'a Features,
    id: &str,
    planned: &dyn Fn(&str) -> Option<Kind>,
    ledger: &mut Ledger,
) -> Result<Block<'a>, VerifyError> {
    let from = texts(&features.from);
    let at = features.at.as_ref();
    let at = at.ok_or_else(|| VerifyError::Shape("features have no anchors".to_owned()))?;
    let anchor = ledger.filter(&from, Some(at.as_str()));
    let mut carry = Vec::new();
    for column in features.carry.iter().filter(|column| column.as_str() != id) {
        carry.push(ledger.measure(&from, &quoted(column.as_str()), None)?);
    }
    let mut wanted = Vec::new();
    for aggregate in &features.add {
        wanted.extend(Wanted::of(ledger, &from, aggregate, planned)?);
    }
    Ok(Block::Features {
        features,
        anchor,
        carry,
        wanted,
    })
}

fn trigger<'a>(
    job: &'a Job,
    plan: &Plan,
    trigger: &'a Trigger,
    ledger: &mut Ledger,
) -> Result<Block<'a>, VerifyError> {
    let mut anchor = None;
    let (mut watched, mut tables) = (Vec::new(), Vec::new());
    for on in trigger.on.iter().map(|on| on.as_str()) {
        if let Some(features) = job.features.get(on) {
            let from = texts(&features.from);
            if let (None, Some(at)) = (&anchor, &features.at) {
                anchor = Some(ledger.filter(&from, Some(at.as_str())));
            }
            let mut wanted = Vec::new();
            for aggregate in &features.add {
                wanted.extend(Wanted::of(ledger, &from, aggregate, &|_| None)?);
            }
            // Conditions see no lists.
            wanted.retain(|wanted| !matches!(wanted.kind, Kind::List(_) | Kind::Histogram(_)));
            watched.push(Watched {
                name: on.to_owned(),
                bounds: features.bounds,
                wanted,
            });
        } else if job.all_tables().contains_key(on) {
            tables.push(Table::new(job, plan, on)?);
        }
    }
    let anchor = anchor.ok_or_else(|| VerifyError::Shape("a trigger has no anchors".to_owned()))?;
    Ok(Block::Trigger {
        trigger,
        anchor,
        watched,
        tables,
    })
}

/// Tells the ledger which measures of other outputs, of any entity, can make a row a reject: it counts
/// nowhere then.
///
/// # Errors
/// When one cannot be planned again.
pub(super) fn faults(job: &Job, plan: &Plan, ledger: &mut Ledger) -> Result<(), VerifyError> {
    let outputs = plan.stages.iter().flat_map(|stage| &stage.outputs);
    let made: Vec<&str> = outputs.map(|output| output.name.as_str()).collect();
    let makes = |kinds: &[&str], name: &str| {
        let is = |kind: &&str| made.contains(&format!("{kind}.{name}").as_str());
        kinds.iter().any(is)
    };
    let watched = |name: &str| {
        let mut triggers = job.triggers.iter();
        triggers.any(|(trigger, spec)| {
            makes(&["trigger"], trigger) && spec.on.iter().any(|on| *on == *name)
        })
    };
    for (name, features) in &job.features {
        if makes(&["features", "current"], name) || watched(name) {
            let from = texts(&features.from);
            let carried = features.carry.iter();
            for column in carried.map(|column| quoted(column.as_str())) {
                ledger.may_fault(&from, &column, None)?;
            }
            for aggregate in &features.add {
                if let Some(of) = &aggregate.of {
                    ledger.may_fault(&from, of.as_str(), aggregate.decimals())?;
                }
            }
        }
    }
    let sessions = job.sessions.iter();
    let sessions = sessions.filter(|(name, _)| makes(&["sessions"], name) || watched(name));
    let patterns = job.patterns.iter();
    let patterns = patterns.filter(|(name, _)| makes(&["pattern"], name));
    let blocks = sessions.map(|(_, block)| (&block.from, &block.add));
    let blocks = blocks.chain(patterns.map(|(_, block)| (&block.from, &block.add)));
    for (from, add) in blocks {
        for aggregate in add {
            let counted = matches!(aggregate.op, Op::Count | Op::Any);
            if let Some(of) = aggregate.of.as_ref().filter(|_| !counted) {
                ledger.may_fault(&texts(from), of.as_str(), aggregate.decimals())?;
            }
        }
    }
    for (name, detector) in &job.detectors {
        if makes(&["detector"], name) {
            for sql in [Some(&detector.of), detector.by.as_ref()]
                .into_iter()
                .flatten()
            {
                let (sql, _) = sql.split_alias();
                ledger.may_fault(&texts(std::slice::from_ref(&detector.from)), sql, None)?;
            }
        }
    }
    for (name, journey) in &job.journeys {
        if makes(&["transitions", "accuracy", "holdout"], name) {
            ledger.may_fault(&texts(&journey.from), journey.kind.as_str(), None)?;
        }
    }
    for (name, drift) in &job.drift {
        if makes(&["drift", "alerts"], name) {
            for of in drift.of.iter().chain(&drift.by) {
                let (sql, _) = of.split_alias();
                ledger.may_fault(&texts(std::slice::from_ref(&drift.from)), sql, None)?;
            }
        }
    }
    Ok(())
}
