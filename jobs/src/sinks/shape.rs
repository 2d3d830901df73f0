//! From rows to the batch that is written: rendered, with the columns of the mode, selected.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int32Array, RecordBatch, StringArray, UInt32Array, UInt64Array,
};
use arrow::compute::{filter_record_batch, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::Tick;

use super::error::Problem;
use super::render::Renderer;
use super::select::{Rule, Select};
use super::settle;
use super::shares::Share;
use super::spec::{Mode, SinkInput, SinkSpec};

/// Brings what a sink is given into the shape it writes.
#[derive(Debug)]
pub(super) struct Shape {
    mode: Mode,
    /// For rows; ready batches need none.
    renderer: Option<Renderer>,
    identity: Vec<usize>,
    /// Rendered, with the columns of the mode.
    full: SchemaRef,
    filter: Option<Rule>,
    select: Option<Select>,
    keyed: bool,
}

impl Shape {
    pub(super) fn new(
        spec: &SinkSpec,
        input: SinkInput,
        names: Arc<Names>,
    ) -> Result<Shape, Problem> {
        let (renderer, identity, keyed, plain) = match input {
            SinkInput::Rows(output) => {
                let renderer = Renderer::new(&output, names);
                let schema = Arc::clone(renderer.schema());
                let unknown = output.identity.iter().find(|c| **c >= output.columns.len());
                if let Some(column) = unknown {
                    return Err(Problem::Shape {
                        what: format!(
                            "identity column {column} of {} columns",
                            output.columns.len()
                        ),
                    });
                }
                (
                    Some(renderer),
                    output.identity,
                    output.key.is_some(),
                    schema,
                )
            }
            SinkInput::Batches(_) if spec.mode == Mode::Upserts => {
                return Err(Problem::settings(
                    "raw rows have no identity to be upserted by",
                    "use mode `final` or `changes`",
                ));
            }
            SinkInput::Batches(schema) => (None, Vec::new(), false, schema),
        };
        let extra = mode_fields(spec.mode);
        for (index, field) in plain.fields().iter().enumerate() {
            let earlier = &plain.fields()[..index];
            let taken = earlier
                .iter()
                .chain(&extra)
                .any(|f| f.name() == field.name());
            if taken {
                return Err(Problem::settings(
                    format!("there are two columns `{}`", field.name()),
                    "rename the output's column: modes `changes` and `upserts` add columns of their own",
                ));
            }
        }
        let fields = plain.fields().iter().chain(&extra).cloned();
        let full = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let always: Vec<&str> = extra.iter().map(|field| field.name().as_str()).collect();
        let select = spec
            .select
            .as_ref()
            .map(|list| Select::new(list, &full, &always))
            .transpose()?;
        let filter = spec
            .filter
            .as_ref()
            .map(|text| Rule::new(text, &plain))
            .transpose()?;
        Ok(Shape {
            mode: spec.mode,
            renderer,
            identity,
            full,
            filter,
            select,
            keyed,
        })
    }

    /// The schema of what is written.
    pub(super) fn schema(&self) -> &SchemaRef {
        self.select.as_ref().map_or(&self.full, Select::schema)
    }

    /// The names of the written columns that hold the key.
    pub(super) fn keys(&self) -> Vec<String> {
        match &self.select {
            _ if !self.keyed => Vec::new(),
            Some(select) => select.names_of(0).cloned().collect(),
            None => vec![self.full.field(0).name().clone()],
        }
    }

    /// Whether rows must wait until their tick is complete: what a later row of the tick may
    /// cancel is not written.
    pub(super) fn waits(&self) -> bool {
        self.mode != Mode::Final
    }

    /// How many times could not be shown in their unit.
    pub(super) fn out_of_range(&self) -> u64 {
        self.renderer.as_ref().map_or(0, Renderer::out_of_range)
    }

    /// What is left of the differences of a tick's rows, one after the other; `None`: all of them.
    pub(super) fn net(&self, blocks: &[Rows]) -> Option<Vec<i32>> {
        let mut net = settle::net(blocks);
        if let (Mode::Upserts, Some(net)) = (self.mode, &mut net) {
            settle::newest(blocks, net, &self.identity);
        }
        net
    }

    /// Renders rows for this shape.
    ///
    /// # Errors
    /// When ready batches are what is shaped.
    pub(super) fn renderer(&self) -> Result<Renderer, Problem> {
        self.renderer.clone().ok_or_else(|| Problem::Shape {
            what: "rows came to a sink of raw batches".to_owned(),
        })
    }

    /// Rows of one tick as the batch to write.
    pub(super) fn rows(
        &self,
        renderer: &mut Renderer,
        tick: Tick,
        share: &Share<'_>,
    ) -> Result<RecordBatch, Problem> {
        let (rows, part) = (share.rows, &share.part);
        let diffs = || rows.heads[part.clone()].iter().map(|head| head.diff);
        let batch = renderer.render_part(rows, part.clone())?;
        let kept = self.kept(&batch)?;
        let mut left = match (self.mode, share.left) {
            (_, Some(left)) => left.to_vec(),
            // The usual case of replayed history: every row once.
            (Mode::Final, None)
                if kept.is_none() && diffs().fold(true, |all, diff| all & (diff == 1)) =>
            {
                return self.selected(batch);
            }
            (Mode::Final | Mode::Changes, None) => diffs().collect(),
            (Mode::Upserts, None) => vec![1; part.len()],
        };
        if let Some(kept) = kept {
            // A version that is not wanted takes back one that was.
            let mode = self.mode;
            let without = |diff: i32| {
                if mode == Mode::Upserts {
                    -diff.abs()
                } else {
                    0
                }
            };
            for (diff, kept) in left.iter_mut().zip(kept.values()) {
                *diff = if kept { *diff } else { without(*diff) };
            }
        }
        if self.mode != Mode::Final {
            return self.finished(batch, tick, &left);
        }
        if let Some(row) = left.iter().position(|count| *count < 0) {
            let row = part.start + row;
            return Err(Problem::TakenBack {
                key: rows.keys.get(row).to_owned(),
                at: rows.heads[row].at,
            });
        }
        self.selected(repeated(&batch, &left)?)
    }

    /// Which rows are wanted; `None`: all.
    fn kept(&self, batch: &RecordBatch) -> Result<Option<BooleanArray>, Problem> {
        let filter = self.filter.as_ref();
        filter.map(|rule| rule.satisfied(batch)).transpose()
    }

    /// A ready batch.
    pub(super) fn batch(&self, tick: Tick, batch: RecordBatch) -> Result<RecordBatch, Problem> {
        let batch = match self.kept(&batch)? {
            Some(kept) => filter_record_batch(&batch, &kept).map_err(|e| Problem::shape(&e))?,
            None => batch,
        };
        match self.mode {
            Mode::Final => self.selected(batch),
            Mode::Changes | Mode::Upserts => {
                let added = vec![1; batch.num_rows()];
                self.finished(batch, tick, &added)
            }
        }
    }

    /// Adds the columns of the mode and leaves out the rows whose difference is 0.
    fn finished(
        &self,
        batch: RecordBatch,
        tick: Tick,
        diffs: &[i32],
    ) -> Result<RecordBatch, Problem> {
        let ticks: ArrayRef = Arc::new(UInt64Array::from_value(tick, diffs.len()));
        let last: ArrayRef = match self.mode {
            Mode::Changes | Mode::Final => Arc::new(Int32Array::from(diffs.to_vec())),
            Mode::Upserts => Arc::new(StringArray::from_iter_values(
                diffs
                    .iter()
                    .map(|diff| if *diff < 0 { "retracted" } else { "live" }),
            )),
        };
        let mut columns = batch.columns().to_vec();
        columns.extend([ticks, last]);
        let mut batch = RecordBatch::try_new(Arc::clone(&self.full), columns)
            .map_err(|e| Problem::shape(&e))?;
        if diffs.contains(&0) {
            let kept: BooleanArray = diffs.iter().map(|diff| Some(*diff != 0)).collect();
            batch = filter_record_batch(&batch, &kept).map_err(|e| Problem::shape(&e))?;
        }
        self.selected(batch)
    }

    fn selected(&self, batch: RecordBatch) -> Result<RecordBatch, Problem> {
        match &self.select {
            Some(select) => select.apply(&batch),
            None => Ok(batch),
        }
    }
}

/// The columns that a mode adds.
pub(crate) fn mode_fields(mode: Mode) -> Vec<Arc<Field>> {
    let fields = match mode {
        Mode::Final => vec![],
        Mode::Changes => vec![
            Field::new("tick", DataType::UInt64, false),
            Field::new("diff", DataType::Int32, false),
        ],
        Mode::Upserts => vec![
            Field::new("version", DataType::UInt64, false),
            Field::new("status", DataType::Utf8, false),
        ],
    };
    fields.into_iter().map(Arc::new).collect()
}

/// Each row as often as its count says.
fn repeated(batch: &RecordBatch, counts: &[i32]) -> Result<RecordBatch, Problem> {
    let rows: UInt32Array = (0..)
        .zip(counts)
        .flat_map(|(row, count)| std::iter::repeat_n(row, *count as usize))
        .collect::<Vec<u32>>()
        .into();
    take_record_batch(batch, &rows).map_err(|e| Problem::shape(&e))
}
