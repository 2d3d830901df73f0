//! Batches into files: begins them, rolls them over, makes them appear.

use std::path::PathBuf;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::error::Problem;
use super::parquet::ParquetFile;
use super::parts::{self, Opened, Target};
use super::place::{Out, Sealed};
use super::spec::{Format, Roll, SinkSpec};
use super::text::{Lines, TextFile};

/// Writes the batches of one sink. Dropped without [`Writer::seal`], it takes back what has not
/// appeared yet.
#[derive(Debug)]
pub(super) struct Writer {
    format: Format,
    schema: SchemaRef,
    keys: Vec<String>,
    target: Target,
    roll: Option<Roll>,
    first_line: Option<String>,
    open: Option<Part>,
    files: Vec<PathBuf>,
}

/// The file being written.
#[derive(Debug)]
struct Part {
    encoder: Encoder,
    rows: u64,
    since: Instant,
}

#[derive(Debug)]
enum Encoder {
    Parquet(Box<ParquetFile>),
    Text(TextFile),
}

impl Part {
    fn seal(self) -> Result<Sealed, Problem> {
        match self.encoder {
            Encoder::Parquet(file) => file.finish(),
            Encoder::Text(file) => file.finish(),
        }
    }
}

impl Writer {
    /// Opens the place; `keys` are the columns that hold keys.
    pub(super) fn open(
        spec: &SinkSpec,
        schema: SchemaRef,
        keys: Vec<String>,
    ) -> Result<Writer, Problem> {
        let Opened {
            target,
            roll,
            first_line,
        } = parts::open(spec)?;
        let mut writer = Writer {
            format: spec.format,
            schema,
            keys,
            target,
            roll,
            first_line,
            open: None,
            files: Vec::new(),
        };
        if let Target::One(out) = &mut writer.target
            && let Some(out) = out.take()
        {
            // A single file appears even when no row comes.
            writer.open = Some(writer.begin(out)?);
        }
        Ok(writer)
    }

    fn begin(&mut self, out: Out) -> Result<Part, Problem> {
        let first_line = self.first_line.take();
        let text = |lines, out| TextFile::begin(lines, &self.schema, out, first_line.as_deref());
        let encoder = match self.format {
            Format::Parquet => {
                Encoder::Parquet(Box::new(ParquetFile::begin(&self.schema, &self.keys, out)?))
            }
            Format::Jsonl => Encoder::Text(text(Lines::Json, out)?),
            Format::Csv => Encoder::Text(text(Lines::Csv, out)?),
        };
        Ok(Part {
            encoder,
            rows: 0,
            since: Instant::now(),
        })
    }

    /// Writes a block of rows; begins a part when there is none, and ends it when it is full.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Problem> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let part = self.part()?;
        match &mut part.encoder {
            Encoder::Parquet(file) => file.write(batch)?,
            Encoder::Text(file) => file.write(batch)?,
        }
        part.rows += batch.num_rows() as u64;
        self.end_block()
    }

    /// How rows become lines, if they do.
    pub(super) fn lines(&self) -> Option<Lines> {
        match self.format {
            Format::Parquet => None,
            Format::Jsonl => Some(Lines::Json),
            Format::Csv => Some(Lines::Csv),
        }
    }

    /// Writes some rows of a block that are lines already; begins a part when there is none.
    pub(super) fn write_lines(&mut self, rows: usize, lines: &[u8]) -> Result<(), Problem> {
        if rows == 0 {
            return Ok(());
        }
        let part = self.part()?;
        if let Encoder::Text(file) = &mut part.encoder {
            file.write_lines(lines)?;
            part.rows += rows as u64;
        }
        Ok(())
    }

    /// The open part, begun if there is none.
    fn part(&mut self) -> Result<&mut Part, Problem> {
        let part = match (self.open.take(), &mut self.target) {
            (Some(part), _) => part,
            (None, Target::Parts(parts)) => {
                let out = parts.begin()?;
                self.begin(out)?
            }
            (None, Target::One(_)) => return Err(Problem::Closed),
        };
        Ok(self.open.insert(part))
    }

    /// Ends the part if it is full.
    pub(super) fn end_block(&mut self) -> Result<(), Problem> {
        let full = |part: &mut Part| self.roll.is_some_and(|roll| part.rows >= roll.rows);
        match self.open.take_if(full) {
            Some(part) => self.publish(part),
            None => Ok(()),
        }
    }

    /// Shows a reader what was written so far, where the place can.
    pub(super) fn flush(&mut self) -> Result<(), Problem> {
        match &mut self.open {
            Some(Part {
                encoder: Encoder::Text(file),
                ..
            }) => file.flush(),
            _ => Ok(()),
        }
    }

    /// When the open part has to be ended at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let roll = self.roll?;
        let part = self.open.as_ref()?;
        part.since.checked_add(roll.every)
    }

    /// Ends the open part if its time has come.
    pub(super) fn roll(&mut self, now: Instant) -> Result<(), Problem> {
        if self.deadline().is_some_and(|deadline| deadline <= now)
            && let Some(part) = self.open.take()
        {
            return self.publish(part);
        }
        Ok(())
    }

    /// Ends a part while others go on: it appears at once.
    fn publish(&mut self, part: Part) -> Result<(), Problem> {
        let file = part.seal()?.publish()?;
        self.files.extend(file);
        Ok(())
    }

    /// Ends everything; answers the files that have appeared, and the one that is to.
    pub(super) fn seal(mut self) -> Result<(Vec<PathBuf>, Option<Sealed>), Problem> {
        let last = self.open.take().map(Part::seal).transpose()?;
        Ok((self.files, last))
    }
}
