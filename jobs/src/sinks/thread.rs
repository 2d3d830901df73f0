//! The thread of a sink: encoding runs beside the workers, and a full channel holds them back.
//!
//! One thread a sink, one [`SinkSender`] a worker. The order of one sender's messages is kept. A
//! sink that fails stores why, closes its channel, and every send after that answers the same error:
//! nothing is lost in silence. Handles that are dropped without [`SinkHandle::finish`], as in a
//! panic, abort the sink: what has not appeared does not appear.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

use arrow::array::RecordBatch;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::{Kind, Rows};
use tidegate_schemas::time::Tick;

use super::error::{Problem, SinkError};
use super::sink::{SealedSink, Sink, SinkReport};
use super::spec::{SinkInput, SinkSpec};

/// Blocks that may wait in a sink's channel, for each of its senders.
const WAITING: usize = 4;

enum Message {
    Rows(Tick, Rows),
    Whole(Tick, Rows),
    Batch(Tick, RecordBatch),
    /// Sender, and the first tick of which it may still send rows.
    Complete(usize, Tick),
    Finish,
    Abort,
}

/// What the thread, its handle and its senders share.
#[derive(Debug, Default)]
struct Shared {
    failure: OnceLock<SinkError>,
    written: Arc<AtomicU64>,
}

/// A running sink.
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use tidegate_jobs::sinks::{Format, Life, Mode, Place, SinkHandle, SinkInput, SinkSpec};
/// use tidegate_schemas::names::Names;
/// use tidegate_schemas::rows::{Kind, OutputColumn, OutputSchema, Rows};
/// use tidegate_schemas::time::EventTime;
///
/// let directory = tempfile::tempdir().unwrap();
/// let path = directory.path().join("contacts.jsonl");
/// let spec = SinkSpec {
///     name: "contacts".to_owned(),
///     place: Place::Path(path.display().to_string()),
///     format: Format::Jsonl,
///     mode: Mode::Final,
///     filter: None,
///     select: None,
///     roll: None,
///     life: Life::Ends,
/// };
/// let output = OutputSchema {
///     name: "features.contact".to_owned(),
///     key: Some("customer_id".to_owned()),
///     columns: vec![OutputColumn { name: "contacts".to_owned(), kind: Kind::Int }],
///     identity: vec![],
/// };
/// let names = Arc::new(Names::default());
/// let (handle, senders) = SinkHandle::start(spec, SinkInput::Rows(output), names, 2).unwrap();
/// let workers: Vec<_> = senders
///     .into_iter()
///     .enumerate()
///     .map(|(worker, mut sender)| {
///         std::thread::spawn(move || {
///             let mut rows = Rows::new(1);
///             rows.begin(&format!("c{worker}"), EventTime(0), 1)[0].push(3);
///             sender.write(0, &mut rows).unwrap();
///             sender.complete(1).unwrap();
///             assert!(rows.is_empty());
///         })
///     })
///     .collect();
/// workers.into_iter().for_each(|worker| worker.join().unwrap());
/// assert_eq!(handle.finish().unwrap().rows, 2);
/// assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 2);
/// ```
#[derive(Debug)]
pub struct SinkHandle {
    name: String,
    to: Sender<Message>,
    shared: Arc<Shared>,
    thread: JoinHandle<Option<SealedSink>>,
}

/// A worker's end of a sink.
#[derive(Debug)]
pub struct SinkSender {
    name: String,
    number: usize,
    frontier: Tick,
    /// Whether it matters to the sink that a tick is complete.
    heeds: bool,
    to: Sender<Message>,
    spare: Receiver<Rows>,
    shared: Arc<Shared>,
}

impl SinkHandle {
    /// Opens a sink and starts its thread; answers one sender for each of `senders` workers.
    ///
    /// # Errors
    /// As [`Sink::open`], and when the system gives no thread.
    pub fn start(
        spec: SinkSpec,
        input: SinkInput,
        names: Arc<Names>,
        senders: usize,
    ) -> Result<(SinkHandle, Vec<SinkSender>), SinkError> {
        let ids = shows_ids(&input).then(|| names.ids().add_reader());
        let sink = Sink::open(&spec, input, Arc::clone(&names))?;
        let room = WAITING * senders.max(1);
        let heeds = sink.waits() || ids.is_some();
        let (to, from) = bounded(room);
        let (give_back, spare) = bounded(room);
        let shared = Arc::new(Shared::default());
        let ends = (0..senders)
            .map(|number| SinkSender {
                name: spec.name.clone(),
                number,
                frontier: 0,
                heeds,
                to: to.clone(),
                spare: spare.clone(),
                shared: Arc::clone(&shared),
            })
            .collect();
        let loop_ = Loop {
            sink,
            from,
            give_back,
            frontiers: vec![0; senders],
            names,
            ids,
            shared: Arc::clone(&shared),
        };
        let thread = std::thread::Builder::new()
            .name(format!("sink {}", spec.name))
            .spawn(move || loop_.guarded())
            .map_err(|e| Problem::Broken(format!("no thread: {e}")).of(&spec.name))?;
        let handle = SinkHandle {
            name: spec.name,
            to,
            shared,
            thread,
        };
        Ok((handle, ends))
    }

    /// The sink's name in the job.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Counts the rows written so far.
    #[must_use]
    pub fn written(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shared.written)
    }

    /// Whether the sink has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.shared.failure.get().is_some()
    }

    /// Why the sink failed, if it has.
    #[must_use]
    pub fn failure(&self) -> Option<SinkError> {
        self.shared.failure.get().cloned()
    }

    /// Writes all that was sent and makes the files appear. To be called when no sender will send
    /// any more.
    ///
    /// # Errors
    /// The first thing that failed, now or before.
    pub fn finish(self) -> Result<SinkReport, SinkError> {
        self.seal()?.publish()
    }

    /// Writes all that was sent and makes it durable, so that it only has to appear. To be called
    /// when no sender will send any more.
    ///
    /// # Errors
    /// The first thing that failed, now or before.
    pub fn seal(self) -> Result<SealedSink, SinkError> {
        self.begin_to_seal();
        self.end()
            .and_then(|(sealed, name)| sealed.ok_or_else(|| Problem::Closed.of(&name)))
    }

    /// Lets the sink do what [`SinkHandle::seal`] will wait for, so that several do it at once.
    pub fn begin_to_seal(&self) {
        // A thread that has failed or finished listens no more: the join tells which.
        let _ = self.to.send(Message::Finish);
    }

    /// Ends the sink without making unfinished files appear.
    ///
    /// # Errors
    /// What had failed before.
    pub fn abort(self) -> Result<(), SinkError> {
        let _ = self.to.send(Message::Abort);
        self.end().map(|_| ())
    }

    fn end(self) -> Result<(Option<SealedSink>, String), SinkError> {
        drop(self.to);
        let sealed = self
            .thread
            .join()
            .map_err(|panic| Problem::Broken(said(panic.as_ref())).of(&self.name))?;
        match self.shared.failure.get() {
            Some(failure) => Err(failure.clone()),
            None => Ok((sealed, self.name)),
        }
    }
}

impl SinkSender {
    /// Sends the rows of a tick and leaves empty ones in their place, with the room of rows sent
    /// before if there are any. Waits while the channel is full.
    ///
    /// # Errors
    /// Why the sink failed.
    pub fn write(&mut self, tick: Tick, rows: &mut Rows) -> Result<(), SinkError> {
        self.write_as(Message::Rows, tick, rows)
    }

    /// The same for rows of keys of which no others come in the tick, from any worker: they need not wait until it is
    /// complete.
    ///
    /// # Errors
    /// Why the sink failed.
    pub fn write_whole(&mut self, tick: Tick, rows: &mut Rows) -> Result<(), SinkError> {
        self.write_as(Message::Whole, tick, rows)
    }

    fn write_as(
        &self,
        message: impl Fn(Tick, Rows) -> Message,
        tick: Tick,
        rows: &mut Rows,
    ) -> Result<(), SinkError> {
        if rows.is_empty() {
            return Ok(());
        }
        debug_assert!(tick >= self.frontier, "rows of a tick that was complete");
        let columns = rows.columns.len();
        let empty = self
            .spare
            .try_recv()
            .ok()
            .filter(|spare| spare.columns.len() == columns)
            .unwrap_or_else(|| Rows::new(columns));
        self.send(message(tick, std::mem::replace(rows, empty)))
    }

    /// Sends a ready batch of a tick.
    ///
    /// # Errors
    /// Why the sink failed.
    pub fn write_batch(&mut self, tick: Tick, batch: RecordBatch) -> Result<(), SinkError> {
        self.send(Message::Batch(tick, batch))
    }

    /// Promises that no rows of ticks before `frontier` come from this sender any more. A tick is
    /// complete when every sender has promised it: a sender with nothing to say has to say that. (A sink that writes every
    /// row at once is not woken for it.)
    ///
    /// # Errors
    /// Why the sink failed.
    pub fn complete(&mut self, frontier: Tick) -> Result<(), SinkError> {
        if frontier <= self.frontier {
            return Ok(());
        }
        self.frontier = frontier;
        match self.heeds {
            true => self.send(Message::Complete(self.number, frontier)),
            false => Ok(()),
        }
    }

    fn send(&self, message: Message) -> Result<(), SinkError> {
        self.to.send(message).map_err(|_| {
            let failure = self.shared.failure.get().cloned();
            failure.unwrap_or_else(|| Problem::Closed.of(&self.name))
        })
    }
}

/// The sink's thread.
struct Loop {
    sink: Sink,
    from: Receiver<Message>,
    give_back: Sender<Rows>,
    frontiers: Vec<Tick>,
    names: Arc<Names>,
    /// Its number among those who show the texts of ids, if it does.
    ids: Option<usize>,
    shared: Arc<Shared>,
}

impl Loop {
    fn guarded(self) -> Option<SealedSink> {
        let shared = Arc::clone(&self.shared);
        let name = self.sink.name().to_owned();
        // The channel outlives the run, so that whoever finds it closed finds the failure stored.
        let from = self.from.clone();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.run()))
            .unwrap_or_else(|panic| Err(Problem::Broken(said(panic.as_ref())).of(&name)))
            .and_then(|sealed| {
                let missed = |late| {
                    matches!(
                        late,
                        Message::Rows(..) | Message::Whole(..) | Message::Batch(..)
                    )
                };
                match sealed.is_some() && from.try_iter().any(missed) {
                    true => Err(Problem::Closed.of(&name)),
                    false => Ok(sealed),
                }
            });
        let sealed = match outcome {
            Ok(sealed) => sealed,
            Err(failure) => {
                tracing::error!("{failure}");
                let _ = shared.failure.set(failure);
                None
            }
        };
        drop(from);
        sealed
    }

    /// Works until it is told to end; `None` when it was aborted.
    fn run(mut self) -> Result<Option<SealedSink>, SinkError> {
        loop {
            match self.next()? {
                Some(Message::Rows(tick, rows)) => {
                    let done = self.sink.rows(tick, rows)?;
                    self.give_back(done);
                }
                Some(Message::Whole(tick, rows)) => {
                    // Ticks are written in order.
                    let is_next = self.frontiers.iter().all(|frontier| tick <= *frontier);
                    let done = match is_next {
                        true => Some(self.sink.whole_rows(tick, rows)?),
                        false => self.sink.rows(tick, rows)?,
                    };
                    self.give_back(done);
                }
                Some(Message::Batch(tick, batch)) => self.sink.batch(tick, batch)?,
                Some(Message::Complete(sender, frontier)) => {
                    let before = self.frontiers.iter().min().copied();
                    self.frontiers[sender] = frontier;
                    let now = self.frontiers.iter().min().copied();
                    if let Some(all) = now.filter(|_| now > before) {
                        let done = self.sink.complete(all)?;
                        if let Some(reader) = self.ids {
                            self.names.ids().shown(reader, all);
                        }
                        self.give_back(done);
                    }
                }
                Some(Message::Finish) => return self.sink.seal().map(Some),
                Some(Message::Abort) | None => return Ok(None),
            }
            self.shared
                .written
                .store(self.sink.written(), Ordering::Relaxed);
            self.sink.roll(Instant::now())?;
        }
    }

    /// The next message; `None` when everyone else is gone. Whenever it has to wait for one, what
    /// was written so far is shown first.
    fn next(&mut self) -> Result<Option<Message>, SinkError> {
        match self.from.try_recv() {
            Ok(message) => return Ok(Some(message)),
            Err(TryRecvError::Disconnected) => return Ok(None),
            Err(TryRecvError::Empty) => self.sink.flush()?,
        }
        loop {
            let Some(deadline) = self.sink.deadline() else {
                return Ok(self.from.recv().ok());
            };
            match self.from.recv_deadline(deadline) {
                Ok(message) => return Ok(Some(message)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => self.sink.roll(Instant::now())?,
            }
        }
    }

    /// Empty rows with room, for whoever wants them; when nobody does they are dropped.
    fn give_back(&self, done: impl IntoIterator<Item = Rows>) {
        for mut rows in done {
            rows.clear();
            if self.give_back.try_send(rows).is_err() {
                return;
            }
        }
    }
}

/// Whether rows come whose ids are shown as texts.
fn shows_ids(input: &SinkInput) -> bool {
    match input {
        SinkInput::Rows(output) => output.columns.iter().any(|c| c.kind == Kind::IdText),
        SinkInput::Batches(_) => false,
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
