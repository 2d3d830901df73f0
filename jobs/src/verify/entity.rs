//! One entity: its facts, and what its outputs should hold.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use tidegate_schemas::job::{self, Features, Job, Op, Sessions};
use tidegate_schemas::rows::{Kind, OutputSchema};
use tidegate_schemas::time::TimeUnit;

use super::aggregate::Wanted;
use super::database::Database;
use super::error::VerifyError;
use super::expected::{Computed, Expected};
use super::facts::{self, FACTS, Feeding, Rules};
use super::features::Anchors;
use super::ledger::{Ledger, LedgerSource, Measure, time_unit};
use super::raw::{KeyNames, RawRows, raw_schema};
use super::sessions::{SessionsOf, key_names};
use super::shown::{Owners, shown, values, wholes};
use crate::compile::{Plan, StagePlan};
use crate::runtime::Stretch;

/// An output that is to be computed.
enum Block<'a> {
    Features {
        features: &'a Features,
        anchor: String,
        carry: Vec<Measure>,
        wanted: Vec<Wanted>,
    },
    Sessions {
        sessions: &'a Sessions,
        belongs: String,
        wanted: Vec<Wanted>,
    },
}

/// An entity being verified.
pub(super) struct Entity<'a> {
    database: Database,
    ledger: Ledger,
    feeding: Vec<Feeding>,
    keys: KeyNames,
    names: Vec<Arc<str>>,
    rules: Rules,
    blocks: Vec<(usize, &'a OutputSchema, Block<'a>)>,
    most_pairs: u64,
}

impl<'a> Entity<'a> {
    /// The entity of a stage, with those of its outputs that are `asked` for.
    ///
    /// # Errors
    /// When an expression cannot be planned again.
    pub(super) fn new(
        job: &'a Job,
        plan: &'a Plan,
        stage: usize,
        asked: &[usize],
        (stretch, most_pairs): (Stretch, u64),
    ) -> Result<Entity<'a>, VerifyError> {
        let keys = KeyNames::default();
        let feeding = feeding(job, plan, stage, &keys);
        let sources = plan.sources.iter().filter_map(|source| {
            let feeds = source.feeds.iter().any(|(to, _)| *to == stage);
            feeds.then(|| LedgerSource {
                name: source.name.clone(),
                schema: raw_schema(&source.declared),
            })
        });
        let mut ledger = Ledger::new(sources.collect());
        let stage = &plan.stages[stage];
        let mut blocks = Vec::new();
        for output in asked {
            let schema = &stage.outputs[*output];
            blocks.push((*output, schema, block(job, schema, &mut ledger)?));
        }
        faults(job, stage, &mut ledger)?;
        Ok(Entity {
            database: Database::new()?,
            ledger,
            feeding,
            keys,
            names: Vec::new(),
            rules: Rules {
                lateness: plan.lateness,
                dedupe: stage.dedupe,
                stretch,
            },
            blocks,
            most_pairs,
        })
    }

    /// What each of the outputs should hold.
    ///
    /// # Errors
    /// When the raw rows cannot be read, or DataFusion gives no answer.
    pub(super) fn compute(&mut self) -> Result<Vec<(usize, Expected)>, VerifyError> {
        facts::make(&self.database, &self.feeding, &self.ledger, &self.rules)?;
        self.names = self.keys.all();
        let mut computed = Vec::new();
        for (output, schema, block) in std::mem::take(&mut self.blocks) {
            let expected = match block {
                Block::Features {
                    features,
                    anchor,
                    carry,
                    wanted,
                } => self.features(schema, features, &anchor, (&carry, &wanted))?,
                Block::Sessions {
                    sessions,
                    belongs,
                    wanted,
                } => SessionsOf {
                    database: &self.database,
                    sessions,
                    belongs,
                    columns: self.ledger.columns(),
                    wanted,
                    names: &self.names,
                    key: schema.key.clone().unwrap_or_default(),
                    unit: unit_of(&schema.columns[0].kind),
                }
                .compute()?,
            };
            computed.push((output, checked(schema, expected)?));
        }
        Ok(computed)
    }

    fn features(
        &self,
        schema: &OutputSchema,
        features: &Features,
        anchor: &str,
        (carry, wanted): (&[Measure], &[Wanted]),
    ) -> Result<Expected, VerifyError> {
        let carried = carry.iter().map(|measure| format!(", {}", measure.column));
        let carried: String = carried.collect();
        let sql = format!("SELECT rn, k, at, id{carried} FROM {FACTS} WHERE {anchor} ORDER BY rn");
        let answer = self.database.query("the anchors", &sql)?;
        let whole = |column: usize| answer.column(column).as_primitive::<Int64Type>().values();
        let owners = Owners(whole(0).to_vec());
        let keys: Vec<i128> = wholes(answer.column(1))?.into_iter().flatten().collect();
        let anchors = Anchors {
            database: &self.database,
            anchor,
            bounds: features.bounds,
            owners: &owners,
            times: whole(2),
            keys: &keys,
            most_pairs: self.most_pairs,
        };
        let mut shown_columns: Vec<ArrayRef> = vec![
            key_names(&self.names, answer.column(1))?,
            values(&Kind::Id, answer.column(3))?,
            shown(&schema.columns[1].kind, &wholes(answer.column(2))?)?,
        ];
        for (measure, column) in carry.iter().zip(&answer.columns()[4..]) {
            shown_columns.push(values(&measure.kind, column)?);
        }
        let mut computed: Vec<Computed> = shown_columns.into_iter().map(Computed::known).collect();
        computed.extend(anchors.compute(wanted)?);
        let key = schema.key.clone().unwrap_or_default();
        let names = schema.columns.iter().map(|column| column.name.clone());
        let names = std::iter::once(key).chain(names);
        Ok(Expected {
            columns: names.zip(computed).collect(),
            rows: owners.0.len(),
            identity: vec![1],
            told_by: [0, 2],
        })
    }
}

/// The columns must be those of the plan, in name and type.
fn checked(schema: &OutputSchema, expected: Expected) -> Result<Expected, VerifyError> {
    let planned = crate::sinks::render::arrow_schema(schema);
    let found = expected
        .columns
        .iter()
        .map(|(name, column)| (name, column.values.data_type()));
    let wanted = planned
        .fields()
        .iter()
        .map(|field| (field.name(), field.data_type()));
    match found.clone().eq(wanted.clone()) {
        true => Ok(expected),
        false => {
            let pairs = found.zip(wanted);
            let wrong: Vec<String> = pairs
                .filter(|(found, wanted)| found != wanted)
                .map(|(found, wanted)| format!("{found:?} instead of {wanted:?}"))
                .collect();
            let what = format!("{} was computed with {}", schema.name, wrong.join(", "));
            Err(VerifyError::Shape(what))
        }
    }
}

fn unit_of(kind: &Kind) -> TimeUnit {
    match kind {
        Kind::Time(unit) => *unit,
        _ => TimeUnit::Microsecond,
    }
}

/// The sources of a stage.
fn feeding(job: &Job, plan: &Plan, stage: usize, keys: &KeyNames) -> Vec<Feeding> {
    let mut feeding = Vec::new();
    for source in &plan.sources {
        let Some((_, facts)) = source.feeds.iter().find(|(to, _)| *to == stage) else {
            continue;
        };
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
        let expect = job.sources.get(&source.name).into_iter();
        let expect = expect.flat_map(|source| &source.expect);
        feeding.push(Feeding {
            name: source.name.clone(),
            rows: RawRows::new(&source.declared, facts, keys),
            time: (time.name().clone(), per_second),
            expect: expect.map(|sql| sql.as_str().to_owned()).collect(),
            id: facts.id.clone(),
        });
    }
    feeding
}

fn texts(from: &[job::Text]) -> Vec<String> {
    from.iter()
        .map(|source| source.as_str().to_owned())
        .collect()
}

/// What an output needs.
fn block<'a>(
    job: &'a Job,
    schema: &OutputSchema,
    ledger: &mut Ledger,
) -> Result<Block<'a>, VerifyError> {
    let kinds = |name: &str| {
        let mut columns = schema.columns.iter();
        columns
            .find(|column| column.name == name)
            .map(|column| column.kind.clone())
    };
    let name = schema.name.split_once('.').map_or("", |(_, name)| name);
    if let Some(sessions) = job
        .sessions
        .get(name)
        .filter(|_| schema.name.starts_with("sessions."))
    {
        let from = texts(&sessions.from);
        let filter = sessions.filter.as_ref().map(|sql| sql.as_str());
        let belongs = ledger.filter(&from, filter);
        let mut wanted = Vec::new();
        for aggregate in &sessions.add {
            wanted.extend(Wanted::of(ledger, &from, aggregate, &kinds)?);
        }
        return Ok(Block::Sessions {
            sessions,
            belongs,
            wanted,
        });
    }
    let features = job.features.get(name);
    let Some((features, at)) = features.and_then(|f| Some((f, f.at.as_ref()?))) else {
        return Err(VerifyError::Shape(format!(
            "{} has no anchors",
            schema.name
        )));
    };
    let from = texts(&features.from);
    let anchor = ledger.filter(&from, Some(at.as_str()));
    let mut carry = Vec::new();
    for column in features
        .carry
        .iter()
        .filter(|column| column.as_str() != schema.columns[0].name)
    {
        let column = super::database::quoted(column.as_str());
        carry.push(ledger.measure(&from, &column, None)?);
    }
    let mut wanted = Vec::new();
    for aggregate in &features.add {
        wanted.extend(Wanted::of(ledger, &from, aggregate, &kinds)?);
    }
    Ok(Block::Features {
        features,
        anchor,
        carry,
        wanted,
    })
}

/// Tells the ledger which measures of other outputs can make a row a reject: it counts nowhere then.
fn faults(job: &Job, stage: &StagePlan, ledger: &mut Ledger) -> Result<(), VerifyError> {
    let made: Vec<&str> = stage
        .outputs
        .iter()
        .map(|output| output.name.as_str())
        .collect();
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
            for column in carried.map(|column| super::database::quoted(column.as_str())) {
                ledger.may_fault(&from, &column, None)?;
            }
            for aggregate in &features.add {
                if let Some(of) = &aggregate.of {
                    ledger.may_fault(&from, of.as_str(), aggregate.scale)?;
                }
            }
        }
    }
    for (name, sessions) in &job.sessions {
        if makes(&["sessions"], name) || watched(name) {
            for aggregate in sessions.add.iter() {
                let counted = matches!(aggregate.op, Op::Count | Op::Any);
                if let Some(of) = aggregate.of.as_ref().filter(|_| !counted) {
                    ledger.may_fault(&texts(&sessions.from), of.as_str(), aggregate.scale)?;
                }
            }
        }
    }
    for (name, drift) in &job.drift {
        if makes(&["drift"], name) {
            for of in drift.of.iter() {
                let (sql, _) = of.split_alias();
                ledger.may_fault(&texts(std::slice::from_ref(&drift.from)), sql, None)?;
            }
        }
    }
    Ok(())
}
