//! One entity: its facts, and what its outputs should hold.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::Int64Type;
use tidegate_schemas::job::{Features, Job};
use tidegate_schemas::rows::{Kind, OutputSchema};
use tidegate_schemas::time::TimeUnit;

use super::aggregate::Wanted;
use super::database::Database;
use super::error::VerifyError;
use super::expected::{Computed, Expected};
use super::facts::{self, FACTS, Feeding, Rules};
use super::features::Anchors;
use super::ledger::{Ledger, LedgerSource, Measure};
use super::needs::{Block, block, faults, feeding};
use super::raw::{KeyNames, raw_schema};
use super::sessions::{SessionsOf, key_names};
use super::shown::{Owners, id_column, shown, values, wholes};
use super::triggers::TriggerOf;
use crate::compile::Plan;
use crate::runtime::Stretch;

/// What an output should hold, or why that is not known.
pub(super) type Known = Result<Expected, String>;

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
        let feeding = feeding(job, plan, stage, (stretch, &keys));
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
            blocks.push((*output, schema, block(job, plan, schema, &mut ledger)?));
        }
        faults(job, plan, &mut ledger)?;
        Ok(Entity {
            database: Database::new()?,
            ledger,
            feeding,
            keys,
            names: Vec::new(),
            rules: Rules {
                lateness: plan.lateness,
                dedupe: stage.dedupe,
            },
            blocks,
            most_pairs,
        })
    }

    /// What each of the outputs should hold, or why that is not known.
    ///
    /// # Errors
    /// When the raw rows cannot be read, or DataFusion gives no answer.
    pub(super) fn compute(&mut self) -> Result<Vec<(usize, Known)>, VerifyError> {
        facts::make(&self.database, &self.feeding, &self.ledger, &self.rules)?;
        self.names = self.keys.all();
        let mut computed = Vec::new();
        for (output, schema, block) in std::mem::take(&mut self.blocks) {
            computed.push((output, query_failure(self.block(schema, block))?));
        }
        Ok(computed)
    }

    fn block(&self, schema: &OutputSchema, block: Block<'_>) -> Result<Known, VerifyError> {
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
            Block::Trigger {
                trigger,
                anchor,
                watched,
                tables,
            } => {
                let of = TriggerOf {
                    database: &self.database,
                    rules: &self.rules,
                    trigger,
                    schema,
                    anchor: &anchor,
                    watched: &watched,
                    tables: &tables,
                    key: (schema.key.as_deref().unwrap_or_default(), &self.names),
                    most_pairs: self.most_pairs,
                };
                match of.compute()? {
                    Ok(expected) => expected,
                    Err(why) => return Ok(Err(why)),
                }
            }
        };
        checked(schema, expected).map(Ok)
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
        let id = id_column(&schema.columns[0].kind);
        let sql =
            format!("SELECT rn, k, at, {id}{carried} FROM {FACTS} WHERE {anchor} ORDER BY rn");
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
            values(&schema.columns[0].kind, answer.column(3))?,
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

/// What DataFusion does not answer is not known.
pub(super) fn query_failure<T>(
    computed: Result<Result<T, String>, VerifyError>,
) -> Result<Result<T, String>, VerifyError> {
    match computed {
        Err(error @ VerifyError::Query { .. }) => Ok(Err(error.to_string())),
        other => other,
    }
}

/// The columns must be those of the plan, in name and type.
fn checked(schema: &OutputSchema, expected: Expected) -> Result<Expected, VerifyError> {
    let planned = crate::sinks::arrow_schema(schema);
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
