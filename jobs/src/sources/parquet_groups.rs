//! The source of Parquet files: row group by row group, only the declared columns.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;

use super::batch::{Position, Reject, RowNumbers, SourceBatch, raw_text};
use super::conform::{Misfits, conform};
use super::declare::{Declared, DeclaredColumn, Lifetime};
use super::error::SourceError;
use super::files::{Files, Found, cannot_open};
use super::foreign::{arrow_cause, contain, parquet_cause};
use super::parquet_plan::{Planned, hinted, plan};
use super::{Event, IDLE_AFTER, Progress, Source};

/// A followed file that cannot be opened is given this long to become complete.
const UNFINISHED_FOR: Duration = Duration::from_secs(10);

/// Reads Parquet files.
pub(super) struct ParquetSource {
    declared: Arc<Declared>,
    schema: SchemaRef,
    files: Files,
    open: Option<OpenFile>,
    /// Files of a followed directory that are still being written.
    unfinished: Vec<Unfinished>,
    listed: Instant,
    over: bool,
    bytes_before: u64,
    rows_in: u64,
}

struct Unfinished {
    found: Found,
    since: Instant,
}

impl ParquetSource {
    pub(super) fn new(declared: Arc<Declared>) -> Result<Self, SourceError> {
        Ok(Self {
            schema: declared.schema(),
            files: Files::new(&declared)?,
            declared,
            open: None,
            unfinished: Vec::new(),
            listed: Instant::now(),
            over: false,
            bytes_before: 0,
            rows_in: 0,
        })
    }

    fn step(&mut self) -> Result<Event, SourceError> {
        let deadline = Instant::now() + IDLE_AFTER;
        loop {
            if let Some(open) = &mut self.open {
                if let Some((batch, first_row)) = open.next()? {
                    let batch = self.conform(batch, first_row)?;
                    self.rows_in += batch.rows_in;
                    return Ok(Event::Batch(batch));
                }
                self.bytes_before += open.size;
                self.open = None;
            }
            match self.files.next() {
                Some(found) => self.open_file(found, Instant::now())?,
                None => match self.declared.lifetime {
                    Lifetime::Finite => return Ok(Event::End),
                    Lifetime::Follow { .. }
                        if self.unfinished.is_empty() && !self.files.can_grow() =>
                    {
                        return Ok(Event::End);
                    }
                    Lifetime::Follow { list_every } if self.listed.elapsed() >= list_every => {
                        self.listed = Instant::now();
                        self.files.relist()?;
                        for Unfinished { found, since } in std::mem::take(&mut self.unfinished) {
                            match self.open {
                                Some(_) => self.unfinished.push(Unfinished { found, since }),
                                None => self.open_file(found, since)?,
                            }
                        }
                    }
                    Lifetime::Follow { .. } if Instant::now() >= deadline => {
                        return Ok(Event::Idle);
                    }
                    Lifetime::Follow { .. } => std::thread::sleep(Duration::from_millis(1)),
                },
            }
        }
    }

    fn open_file(&mut self, found: Found, since: Instant) -> Result<(), SourceError> {
        match OpenFile::new(&self.declared, &found) {
            Ok(open) => self.open = Some(open),
            Err(SourceError::ParquetFooter { .. })
                if self.declared.lifetime != Lifetime::Finite
                    && since.elapsed() < UNFINISHED_FOR =>
            {
                self.unfinished.push(Unfinished { found, since });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The declared columns of rows as they were read.
    fn conform(&self, read: RecordBatch, first_row: u64) -> Result<SourceBatch, SourceError> {
        let Some(open) = &self.open else {
            unreachable!("rows come from an open file")
        };
        let failed = |source| SourceError::Batch {
            file: open.name.to_string(),
            source,
        };
        let mut misfits = Misfits::new();
        let mut sources = Vec::with_capacity(open.plan.len());
        let mut columns = Vec::with_capacity(open.plan.len());
        for (index, (column, declared)) in open.plan.iter().zip(&self.declared.columns).enumerate()
        {
            let source = column.extract(&read).map_err(failed)?;
            columns
                .push(conform(&source, declared, column.way, index, &mut misfits).map_err(failed)?);
            sources.push(source);
        }
        let rows_in = read.num_rows() as u64;
        let position = Position {
            file: Arc::clone(&open.name),
            first_row,
            first_byte: 0,
        };
        let mut row_numbers = RowNumbers::From(first_row);
        let mut rejects = Vec::new();
        let batch = if misfits.is_empty() {
            RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(failed)?
        } else {
            let kept: BooleanArray = (0..read.num_rows())
                .map(|row| Some(!misfits.contains_key(&row)))
                .collect();
            let numbers = (0..read.num_rows())
                .filter(|row| kept.value(*row))
                .map(|row| first_row + row as u64);
            row_numbers = RowNumbers::Each(numbers.collect());
            // Nulls may still stand where none is allowed, in the rows about to be dropped.
            let loose: Vec<_> = self
                .schema
                .fields()
                .iter()
                .map(|field| field.as_ref().clone().with_nullable(true))
                .collect();
            let all =
                RecordBatch::try_new(Arc::new(Schema::new(loose)), columns).map_err(failed)?;
            let kept = filter_record_batch(&all, &kept).map_err(failed)?;
            rejects.extend(misfits.into_iter().map(|(row, (column, reason))| Reject {
                file: Arc::clone(&open.name),
                row: first_row + row as u64,
                byte: 0,
                column: Some(self.declared.columns[column].name.clone()),
                reason,
                raw: raw_row(&self.declared.columns, &sources, row),
            }));
            RecordBatch::try_new(Arc::clone(&self.schema), kept.columns().to_vec())
                .map_err(failed)?
        };
        Ok(SourceBatch {
            partition: self.declared.partition,
            position,
            batch,
            row_numbers,
            rejects,
            rows_in,
        })
    }
}

impl Source for ParquetSource {
    fn next(&mut self) -> Result<Event, SourceError> {
        if self.over {
            return Ok(Event::End);
        }
        let event = self.step();
        self.over = event.is_err();
        event
    }

    fn progress(&self) -> Progress {
        let within = self.open.as_ref().map_or(0, OpenFile::bytes);
        Progress {
            bytes: self.bytes_before + within,
            total_bytes: self
                .files
                .total_bytes()
                .filter(|_| self.declared.lifetime == Lifetime::Finite),
            rows: self.rows_in,
        }
    }
}

/// A file being read.
struct OpenFile {
    name: Arc<str>,
    size: u64,
    file: File,
    metadata: ArrowReaderMetadata,
    projection: ProjectionMask,
    plan: Vec<Planned>,
    batch_rows: usize,
    /// The row group being read, and its rows not read yet.
    group: usize,
    left: u64,
    reader: Option<ParquetRecordBatchReader>,
    /// Rows of the file read.
    row: u64,
}

impl OpenFile {
    fn new(declared: &Declared, found: &Found) -> Result<Self, SourceError> {
        let Found::File { path, name, .. } = found else {
            unreachable!("standard input was refused")
        };
        let file = File::open(path).map_err(|error| cannot_open(name, error))?;
        let size = file
            .metadata()
            .map_err(|error| cannot_open(name, error))?
            .len();
        let unreadable = |problem: String| SourceError::ParquetFooter {
            file: name.to_string(),
            problem,
        };
        // The types as the file format has them; what the writer's Arrow types were makes no difference here.
        let options = || ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let plain = contain(|| {
            ArrowReaderMetadata::load(&file, options()).map_err(|error| parquet_cause(&error))
        });
        let plain = plain.flatten().map_err(unreadable)?;
        let (plan, leaves) = plan(declared, &plain, name)?;
        let wanted = hinted(declared, &plain, &plan);
        let metadata = ArrowReaderMetadata::try_new(
            Arc::clone(plain.metadata()),
            options().with_schema(wanted),
        )
        .map_err(|error| unreadable(parquet_cause(&error)))?;
        let projection = ProjectionMask::leaves(metadata.parquet_schema(), leaves);
        Ok(Self {
            name: Arc::clone(name),
            size,
            file,
            metadata,
            projection,
            plan,
            batch_rows: declared.batch_rows,
            group: 0,
            left: 0,
            reader: None,
            row: 0,
        })
    }

    /// The next rows and the number of the first of them; none at the end of the file.
    fn next(&mut self) -> Result<Option<(RecordBatch, u64)>, SourceError> {
        loop {
            if self.reader.is_none() {
                if self.group == self.metadata.metadata().num_row_groups() {
                    return Ok(None);
                }
                self.left = self
                    .metadata
                    .metadata()
                    .row_group(self.group)
                    .num_rows()
                    .max(0) as u64;
                let reader = contain(|| self.group_reader().map_err(|error| parquet_cause(&error)));
                self.reader = Some(reader.flatten().map_err(|problem| self.damaged(problem))?);
            }
            let read = contain(|| self.reader.as_mut().and_then(Iterator::next))
                .map_err(|problem| self.damaged(problem))?;
            match read {
                Some(Ok(batch)) if batch.num_rows() == 0 => {}
                Some(Ok(batch)) => {
                    let (rows, first_row) = (batch.num_rows() as u64, self.row);
                    self.row += rows;
                    self.left = self.left.saturating_sub(rows);
                    return Ok(Some((batch, first_row)));
                }
                Some(Err(error)) => return Err(self.damaged(arrow_cause(&error))),
                None if self.left > 0 => {
                    return Err(self.damaged(format!("{} rows are missing", self.left)));
                }
                None => {
                    self.reader = None;
                    self.group += 1;
                }
            }
        }
    }

    fn group_reader(&self) -> Result<ParquetRecordBatchReader, ParquetError> {
        ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.file.try_clone()?,
            self.metadata.clone(),
        )
        .with_row_groups(vec![self.group])
        .with_projection(self.projection.clone())
        .with_batch_size(self.batch_rows)
        .build()
    }

    fn damaged(&self, problem: String) -> SourceError {
        let groups = self.metadata.metadata().num_row_groups();
        SourceError::ParquetGroup {
            file: self.name.to_string(),
            group: self.group,
            groups,
            rows: self.row,
            problem,
        }
    }

    /// Bytes read, by the share of rows read.
    fn bytes(&self) -> u64 {
        let rows = self.metadata.metadata().file_metadata().num_rows().max(1) as f64;
        (self.size as f64 * (self.row as f64 / rows).min(1.0)) as u64
    }
}

/// The declared columns of a row as JSON.
fn raw_row(columns: &[DeclaredColumn], sources: &[ArrayRef], row: usize) -> String {
    let values: Vec<String> = columns
        .iter()
        .zip(sources)
        .map(|(column, source)| {
            let value = match array_value_to_string(source, row) {
                _ if source.is_null(row) => "null".to_owned(),
                Ok(value) if source.data_type().is_integer() => value,
                Ok(value) => serde_json::Value::String(value).to_string(),
                Err(_) => "null".to_owned(),
            };
            format!(
                "{}:{value}",
                serde_json::Value::String(column.place().to_owned())
            )
        })
        .collect();
    raw_text(format!("{{{}}}", values.join(",")).as_bytes())
}
