//! A sink as a plain object: rows in, files out. The thread around it is in `thread`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::Tick;

use super::error::{Problem, SinkError};
use super::place::Sealed;
use super::render::Renderer;
use super::shape::Shape;
use super::shares::{LARGE, SHARE, in_order, shares};
use super::spec::{SinkInput, SinkSpec};
use super::text::Lines;
use super::writer::Writer;

/// What a sink has done when it is finished.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkReport {
    /// Rows written.
    pub rows: u64,
    /// The files that appeared, or grew, in order.
    pub files: Vec<PathBuf>,
    /// Times that the unit of their column cannot hold (nanoseconds before 1677 or after 2262)
    /// and that were written as null.
    pub times_out_of_range: u64,
}

/// The columns that a sink writes, found without opening it.
///
/// # Errors
/// Settings that do not fit the output, and expressions that cannot be compiled.
pub fn written_schema(
    spec: &SinkSpec,
    input: SinkInput,
    names: Arc<Names>,
) -> Result<SchemaRef, SinkError> {
    let shape = Shape::new(spec, input, names).map_err(|problem| problem.of(&spec.name))?;
    Ok(Arc::clone(shape.schema()))
}

/// One sink. Dropped without [`Sink::finish`], it leaves no unfinished file behind.
///
/// # State
/// In modes `changes` and `upserts` the rows of ticks that are not complete; in every mode what the
/// format buffers: a row group of Parquet (at most 64 MiB) or 256 KiB of text.
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use tidegate_jobs::sinks::{Format, Life, Mode, Place, Sink, SinkInput, SinkSpec};
/// use tidegate_schemas::names::Names;
/// use tidegate_schemas::rows::{Kind, OutputColumn, OutputSchema, Rows};
/// use tidegate_schemas::time::EventTime;
///
/// let directory = tempfile::tempdir().unwrap();
/// let path = directory.path().join("contacts.csv");
/// let spec = SinkSpec {
///     name: "contacts".to_owned(),
///     place: Place::Path(path.display().to_string()),
///     format: Format::Csv,
///     mode: Mode::Changes,
///     filter: None,
///     select: Some(vec!["customer_id as customer".to_owned(), "n + 1 as next".to_owned()]),
///     roll: None,
///     life: Life::Ends,
/// };
/// let output = OutputSchema {
///     name: "features.contact".to_owned(),
///     key: Some("customer_id".to_owned()),
///     columns: vec![OutputColumn { name: "n".to_owned(), kind: Kind::Int }],
///     identity: vec![],
/// };
/// let names = Arc::new(Names::default());
/// let mut sink = Sink::open(&spec, SinkInput::Rows(output), names).unwrap();
///
/// let mut rows = Rows::new(1);
/// rows.begin("c1", EventTime(0), 1)[0].push(3);
/// sink.rows(7, rows).unwrap();
/// sink.complete(8).unwrap();
/// assert!(!path.exists(), "files appear whole or not at all");
///
/// let report = sink.finish().unwrap();
/// assert_eq!(report.rows, 1);
/// let text = std::fs::read_to_string(path).unwrap();
/// assert_eq!(text, "customer,next,tick,diff\nc1,4,7,1\n");
/// ```
#[derive(Debug)]
pub struct Sink {
    name: String,
    shape: Shape,
    /// One for each thread that renders; the first one is that of the sink.
    renderers: Vec<Renderer>,
    writer: Writer,
    waiting: BTreeMap<Tick, Vec<Rows>>,
    written: u64,
    warned: bool,
}

impl Sink {
    /// Opens a sink. What can be found wrong before the run begins is found here.
    ///
    /// # Errors
    /// Settings that do not fit the output, expressions that cannot be compiled, a place that
    /// cannot be written to.
    pub fn open(spec: &SinkSpec, input: SinkInput, names: Arc<Names>) -> Result<Sink, SinkError> {
        let named = |problem: Problem| problem.of(&spec.name);
        let shape = Shape::new(spec, input, names).map_err(named)?;
        let writer = Writer::open(spec, Arc::clone(shape.schema()), shape.keys()).map_err(named)?;
        Ok(Sink {
            name: spec.name.clone(),
            shape,
            renderers: Vec::new(),
            writer,
            waiting: BTreeMap::new(),
            written: 0,
            warned: false,
        })
    }

    /// The sink's name in the job.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether rows wait until their tick is complete.
    pub(super) fn waits(&self) -> bool {
        self.shape.waits()
    }

    /// Takes rows of a tick. Answers rows that are no longer needed, for their room.
    ///
    /// # Errors
    /// When they cannot be rendered or written.
    pub fn rows(&mut self, tick: Tick, rows: Rows) -> Result<Option<Rows>, SinkError> {
        if self.shape.waits() {
            self.waiting.entry(tick).or_default().push(rows);
            return Ok(None);
        }
        self.whole_rows(tick, rows).map(Some)
    }

    /// Takes rows of a tick behind which only such come that have other keys, when all ticks before are complete: they are
    /// written at once. Answers them, for their room.
    ///
    /// # Errors
    /// When they cannot be rendered or written.
    pub fn whole_rows(&mut self, tick: Tick, rows: Rows) -> Result<Rows, SinkError> {
        self.write_rows(tick, std::slice::from_ref(&rows))?;
        Ok(rows)
    }

    /// Takes a ready batch of a tick. It is written at once.
    ///
    /// # Errors
    /// When it does not fit or cannot be written.
    pub fn batch(&mut self, tick: Tick, batch: RecordBatch) -> Result<(), SinkError> {
        let batch = self.shape.batch(tick, batch);
        self.write(&batch.map_err(|problem| problem.of(&self.name))?)
    }

    /// Every row of the ticks before `frontier` has come: writes what waited for that. Answers
    /// rows that are no longer needed.
    ///
    /// # Errors
    /// When they cannot be rendered or written.
    pub fn complete(&mut self, frontier: Tick) -> Result<Vec<Rows>, SinkError> {
        let later = self.waiting.split_off(&frontier);
        self.settle(later)
    }

    fn settle(&mut self, later: BTreeMap<Tick, Vec<Rows>>) -> Result<Vec<Rows>, SinkError> {
        let settled = std::mem::replace(&mut self.waiting, later);
        let mut done = Vec::new();
        for (tick, blocks) in settled {
            self.write_rows(tick, &blocks)?;
            done.extend(blocks);
        }
        Ok(done)
    }

    fn write_rows(&mut self, tick: Tick, blocks: &[Rows]) -> Result<(), SinkError> {
        let net = self.shape.net(blocks);
        let many = blocks.iter().map(Rows::len).sum::<usize>() > LARGE;
        let outcome = match self.writer.lines().filter(|_| many) {
            Some(lines) => self.write_lines(lines, tick, blocks, net.as_deref()),
            None => self.write_blocks(tick, blocks, net.as_deref()),
        };
        outcome.map_err(|problem| problem.of(&self.name))?;
        if self.shape.out_of_range() > 0 && !self.warned {
            self.warned = true;
            tracing::warn!(sink = %self.name, "times before 1677 or after 2262 do not fit into nanoseconds and are written as null");
        }
        Ok(())
    }

    fn write_blocks(
        &mut self,
        tick: Tick,
        blocks: &[Rows],
        left: Option<&[i32]>,
    ) -> Result<(), Problem> {
        if self.renderers.is_empty() {
            self.renderers.push(self.shape.renderer()?);
        }
        // Text is written while it is near to the processor.
        let most = self.writer.lines().map_or(usize::MAX, |_| SHARE);
        for share in shares(blocks, left, most) {
            let batch = self.shape.rows(&mut self.renderers[0], tick, &share)?;
            self.written += batch.num_rows() as u64;
            self.writer.write(&batch)?;
        }
        Ok(())
    }

    /// The same for many rows.
    fn write_lines(
        &mut self,
        lines: Lines,
        tick: Tick,
        blocks: &[Rows],
        left: Option<&[i32]>,
    ) -> Result<(), Problem> {
        for _ in self.renderers.len()..available_parallelism().map_or(1, usize::from) {
            self.renderers.push(self.shape.renderer()?);
        }
        let (shape, writer, written) = (&self.shape, &mut self.writer, &mut self.written);
        in_order(
            &mut self.renderers,
            blocks,
            left,
            |renderer, share, text| {
                let batch = shape.rows(renderer, tick, share)?;
                text.rows = batch.num_rows();
                let appended = lines.append(&batch, &mut text.lines);
                appended.map_err(|e| Problem::shape(&e))
            },
            |share, text| {
                *written += text.rows as u64;
                writer.write_lines(text.rows, &text.lines)?;
                match share.ends_block() {
                    true => writer.end_block(),
                    false => Ok(()),
                }
            },
        )
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        self.written += batch.num_rows() as u64;
        self.writer
            .write(batch)
            .map_err(|problem| problem.of(&self.name))
    }

    /// Shows readers of a growing file, or of the standard output, what was written so far.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&mut self) -> Result<(), SinkError> {
        self.writer
            .flush()
            .map_err(|problem| problem.of(&self.name))
    }

    /// When [`Sink::roll`] has to be called at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.writer.deadline()
    }

    /// Ends the open part if its time has come.
    ///
    /// # Errors
    /// When the part cannot be finished.
    pub fn roll(&mut self, now: Instant) -> Result<(), SinkError> {
        self.writer
            .roll(now)
            .map_err(|problem| problem.of(&self.name))
    }

    /// Rows written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes everything that came, complete tick or not, and makes the files appear.
    ///
    /// # Errors
    /// When something cannot be written; then the unfinished file does not appear.
    pub fn finish(self) -> Result<SinkReport, SinkError> {
        self.seal()?.publish()
    }

    /// Writes everything that came, complete tick or not, and makes it durable; what is whole only
    /// now does not appear yet.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn seal(mut self) -> Result<SealedSink, SinkError> {
        self.settle(BTreeMap::new())?;
        let sealed = self.writer.seal();
        let (files, last) = sealed.map_err(|problem| problem.of(&self.name))?;
        Ok(SealedSink {
            name: self.name,
            last,
            report: SinkReport {
                rows: self.written,
                files,
                times_out_of_range: self.shape.out_of_range(),
            },
        })
    }
}

/// A sink that has written everything. Dropped without [`SealedSink::publish`], its file does not
/// appear.
#[derive(Debug)]
pub struct SealedSink {
    name: String,
    last: Option<Sealed>,
    report: SinkReport,
}

impl SealedSink {
    /// The sink's name in the job.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the file appear.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn publish(self) -> Result<SinkReport, SinkError> {
        let mut report = self.report;
        let file = self.last.map(Sealed::publish).transpose();
        let file = file.map_err(|problem| problem.of(&self.name))?;
        report.files.extend(file.flatten());
        Ok(report)
    }
}
