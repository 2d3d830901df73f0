//! The raw rows of a source as a DataFusion table that is read anew by every query.
//!
//! Rows come through [`crate::sources`], so that what a field means is decided in one place; what
//! follows from the rows is not taken from anywhere else. Beside the columns that the job declares,
//! a row has [`ARRIVAL`], [`KEY`] (a number for the key's name, which [`KeyNames`] knows), [`ID`],
//! [`NAMED`] where that is shown, and [`FAILED`]: SQL over a whole table ends at the first row that it
//! cannot be computed for, so such rows are found here, and of what they hold only what moves the clock is
//! left.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array, UInt64Array,
};
use arrow::compute::{filter_record_batch, nullif};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::PartitionStream;

use super::database::ascending;
use crate::compile::SourcePlan;
use crate::normalise::{FactsPlan, Faults, IdPlan};
use crate::runtime::unsound;
use crate::sources::{self, Declared, Event, Lifetime, SourceBatch, SourceError};

/// The number of the row in its source, rejects left out.
pub(super) const ARRIVAL: &str = "$arrival";
/// The number of the entity's key.
pub(super) const KEY: &str = "$key";
/// The event's id. 0 where rows are numbered, which needs to know which of them count.
pub(super) const ID: &str = "$id";
/// The id as a text, where an output of the entity shows it as one. It says nothing where rows are numbered.
pub(super) const NAMED: &str = "$named";
/// Whether an expression of the job cannot be computed for the row. Such a row is a reject: all else that
/// it has is null, save its time.
pub(super) const FAILED: &str = "$failed";

/// The names of the keys, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyNames(Arc<Mutex<Numbered>>);

#[derive(Debug, Default)]
struct Numbered {
    numbers: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
}

impl KeyNames {
    /// The names, each at its number.
    pub(super) fn all(&self) -> Vec<Arc<str>> {
        let numbered = self.0.lock();
        numbered.map_or_else(|_| Vec::new(), |numbered| numbered.names.clone())
    }

    fn numbers(&self, names: &ArrayRef) -> Result<UInt32Array, DataFusionError> {
        let texts = arrow::compute::cast(names, &DataType::Utf8)?;
        let mut numbered = self.0.lock().map_err(|_| broken("a reader has died"))?;
        let Numbered { numbers, names } = &mut *numbered;
        let mut number = |text: &str| {
            if let Some(known) = numbers.get(text) {
                return Ok(*known);
            }
            let next = u32::try_from(names.len()).map_err(|_| broken("2^32 keys are too many"))?;
            let name: Arc<str> = text.into();
            names.push(Arc::clone(&name));
            numbers.insert(name, next);
            Ok(next)
        };
        let texts = texts.as_string::<i32>().iter();
        texts
            .map(|text| text.map(&mut number).transpose())
            .collect()
    }
}

fn broken(what: &str) -> DataFusionError {
    DataFusionError::Execution(what.to_owned())
}

/// Where the error goes that ended a reading: DataFusion would only keep its text.
pub(super) type Failure = Arc<Mutex<Option<SourceError>>>;

/// The rows of a source.
#[derive(Clone, Debug)]
pub(super) struct RawRows {
    source: SourcePlan,
    schema: SchemaRef,
    facts: FactsPlan,
    keys: KeyNames,
    /// What ended the last reading early.
    pub(super) failure: Failure,
}

impl RawRows {
    /// The rows of `source` as they feed an entity. What a followed source has so far is all of it.
    pub(super) fn new(source: &SourcePlan, facts: &FactsPlan, keys: &KeyNames) -> RawRows {
        let mut source = source.clone();
        source.declared.lifetime = Lifetime::Finite;
        let schema = raw_schema(&source.declared);
        let added = [
            Field::new(ARRIVAL, DataType::Int64, false),
            Field::new(KEY, DataType::UInt32, true),
            Field::new(ID, DataType::UInt64, false),
        ];
        let named = (facts.named != 0).then(|| Field::new(NAMED, DataType::Utf8, true));
        let failed = Field::new(FAILED, DataType::Boolean, false);
        let added = added.into_iter().chain(named).chain([failed]);
        let fields = schema.fields().iter();
        let fields = fields.map(|field| field.as_ref().clone().with_nullable(true));
        RawRows {
            source,
            schema: Arc::new(Schema::new(fields.chain(added).collect::<Vec<_>>())),
            facts: facts.clone(),
            keys: keys.clone(),
            failure: Failure::default(),
        }
    }

    /// The rows as a table.
    ///
    /// # Errors
    /// When DataFusion does not take it.
    pub(super) fn table(&self) -> Result<StreamingTable, DataFusionError> {
        let rows: Arc<dyn PartitionStream> = Arc::new(self.clone());
        let table = StreamingTable::try_new(Arc::clone(&self.schema), vec![rows])?;
        Ok(table.with_sort_order(ascending(&[ARRIVAL])))
    }

    /// The batch with the added columns; `arrived` rows came before it.
    fn rows(&self, arrived: i64, batch: &SourceBatch) -> Result<RecordBatch, DataFusionError> {
        let batch = &batch.batch;
        let rows = batch.num_rows();
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for (column, field) in batch.columns().iter().zip(self.schema.fields()) {
            columns.push(arrow::compute::cast(column, field.data_type())?);
        }
        let end = arrived + rows as i64;
        columns.push(Arc::new((arrived..end).collect::<Int64Array>()));
        columns.push(match self.facts.key {
            Some(key) => Arc::new(self.keys.numbers(batch.column(key))?),
            None => Arc::new(UInt32Array::from(vec![0; rows])),
        });
        let ids = match &self.facts.id {
            IdPlan::Ordinal => vec![0; rows],
            told => told.ids(self.facts.tag, batch, 0)?,
        };
        columns.push(Arc::new(UInt64Array::from(ids)));
        if self.facts.named != 0 {
            columns.push(Arc::new(self.facts.id.texts(batch, 0)?));
        }
        let failed = self.failed(batch)?;
        if failed.true_count() == 0 {
            columns.push(Arc::new(failed));
            return Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?);
        }
        let key = batch.num_columns() + 1;
        for column in (0..batch.num_columns()).filter(|column| *column != self.source.time) {
            columns[column] = nullif(&columns[column], &failed)?;
        }
        columns[key] = nullif(&columns[key], &failed)?;
        columns.push(Arc::new(failed.clone()));
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        // Those that would be rejected anyway move no clock.
        let unsound = unsound(&self.source, batch)?;
        let left = |row: usize| Some(!(failed.value(row) && unsound.has(row)));
        Ok(filter_record_batch(
            &rows,
            &(0..batch.num_rows()).map(left).collect(),
        )?)
    }

    /// The rows for which an expression of the job cannot be computed.
    fn failed(&self, batch: &RecordBatch) -> Result<BooleanArray, DataFusionError> {
        let mut faults = Faults::default();
        for expression in self.source.expressions() {
            faults.values(expression, batch)?;
        }
        let rows = 0..batch.num_rows();
        Ok(rows.map(|row| Some(faults.has(row))).collect())
    }

    /// Reads everything and hands it to `give`, until that says that nobody listens.
    fn read(
        &self,
        mut give: impl FnMut(Result<RecordBatch, DataFusionError>) -> bool,
    ) -> Result<(), SourceError> {
        let mut source = sources::open(self.source.declared.clone())?;
        let mut arrived = 0;
        loop {
            match source.next()? {
                Event::Batch(batch) => {
                    let rows = self.rows(arrived, &batch);
                    arrived += batch.batch.num_rows() as i64;
                    if !give(rows) {
                        return Ok(());
                    }
                }
                Event::Idle => {}
                Event::End => return Ok(()),
            }
        }
    }
}

/// The declared columns without dictionaries, which SQL does not need.
pub(super) fn raw_schema(declared: &Declared) -> SchemaRef {
    let plain = |field: &Arc<Field>| match field.data_type() {
        DataType::Dictionary(_, value) => {
            Field::new(field.name(), value.as_ref().clone(), field.is_nullable())
        }
        _ => field.as_ref().clone(),
    };
    let fields: Vec<Field> = declared.schema().fields().iter().map(plain).collect();
    Arc::new(Schema::new(fields))
}

impl PartitionStream for RawRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), 2);
        let (to, rows) = (stream.tx(), self.clone());
        // Reading blocks, so it has a thread of its own.
        stream.spawn_blocking(move || {
            let read = rows.read(|batch| to.blocking_send(batch).is_ok());
            if let Err(error) = read {
                let told = broken(&error.to_string());
                if let Ok(mut failure) = rows.failure.lock() {
                    *failure = Some(error);
                }
                return Err(told);
            }
            Ok(())
        });
        stream.build()
    }
}
