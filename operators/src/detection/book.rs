//! What is kept of each stream, and which rows leave when a tick is complete: a pure state machine.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tidegate_schemas::fact::{float_word, present_float};
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::{EventTime, Span};

use super::{DetectionSpec, Number};
use crate::codec::{CodecError, Reader, Writer};
use crate::detectors::{Detector, Signal, takes};

/// A value on its way, or one taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Item {
    /// The stream it belongs to.
    pub stream: i64,
    /// Its time.
    pub at: EventTime,
    /// The event's id.
    pub id: u64,
    /// The word of its value.
    pub word: i64,
    /// +1, or −1 when it is taken back.
    pub diff: i32,
}

/// What changed nothing, over all workers, for those who watch.
#[derive(Debug, Default)]
pub struct Unheard {
    too_late: AtomicU64,
    beyond: AtomicU64,
}

impl Unheard {
    /// How many values and corrections came when the watermark had passed them.
    pub fn too_late(&self) -> u64 {
        self.too_late.load(Ordering::Relaxed)
    }

    /// How many values no detector takes, see [`takes`].
    pub fn beyond(&self) -> u64 {
        self.beyond.load(Ordering::Relaxed)
    }
}

/// The streams.
///
/// # State
/// Per stream: its detector (see [`crate::detectors`] for the bytes), some 50 bytes, and the values that the watermark
/// has not passed, 32 bytes each: those within lateness. A stream ends when the watermark is `forget` past its last
/// value; without `forget` streams stay, as many as there are values that part them.
#[derive(Clone, Debug)]
pub struct Book {
    spec: DetectionSpec,
    watermark: EventTime,
    streams: BTreeMap<i64, Stream>,
    unheard: Arc<Unheard>,
    /// No stream ends before this.
    sweep: EventTime,
}

#[derive(Clone, Debug, PartialEq)]
struct Stream {
    detector: Detector,
    /// Values so far.
    rows: u64,
    /// The time of the last one.
    last: EventTime,
    warned: bool,
    waiting: Vec<Item>,
}

impl Stream {
    fn new(spec: &DetectionSpec) -> Stream {
        Stream {
            detector: Detector::new(&spec.settings),
            rows: 0,
            last: EventTime::MIN,
            warned: false,
            waiting: Vec::new(),
        }
    }
}

impl Book {
    /// Nothing seen yet.
    ///
    /// # Panics
    /// When the settings do not pass [`crate::detectors::Settings::check`].
    #[must_use]
    pub fn new(spec: DetectionSpec, unheard: Arc<Unheard>) -> Book {
        // So that wrong settings show before the first value does.
        Stream::new(&spec);
        Book {
            spec,
            watermark: EventTime::MIN,
            streams: BTreeMap::new(),
            unheard,
            sweep: EventTime::MIN,
        }
    }

    /// What was declared.
    #[must_use]
    pub fn spec(&self) -> &DetectionSpec {
        &self.spec
    }

    /// Of how many streams something is kept.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Closes a tick: these are its items, and this is the watermark after it. A watermark never steps back; an earlier
    /// one than before changes nothing.
    ///
    /// # Emits
    /// Rows as [`DetectionSpec::output`] describes them, by stream, then time.
    pub fn close(&mut self, items: Vec<Item>, watermark: EventTime, out: &mut Rows) {
        let (mut too_late, mut beyond) = (0, 0);
        for item in items {
            if item.at < self.watermark {
                too_late += 1;
                continue;
            }
            let fresh = || Stream::new(&self.spec);
            let stream = self.streams.entry(item.stream).or_insert_with(fresh);
            stream.waiting.push(item);
        }
        self.watermark = self.watermark.max(watermark);
        for (name, stream) in &mut self.streams {
            let mut due: Vec<Item> = stream
                .waiting
                .extract_if(.., |item| item.at < watermark)
                .collect();
            due.sort_unstable();
            for same in due.chunk_by(|a, b| (a.at, a.id, a.word) == (b.at, b.id, b.word)) {
                match same.iter().map(|item| i64::from(item.diff)).sum() {
                    0 => {}
                    count @ 1.. => {
                        for _ in 0..count {
                            beyond += take(&self.spec, *name, stream, same[0], out);
                        }
                    }
                    count => too_late += count.unsigned_abs(),
                }
            }
        }
        self.unheard.too_late.fetch_add(too_late, Ordering::Relaxed);
        self.unheard.beyond.fetch_add(beyond, Ordering::Relaxed);
        self.forget();
    }

    /// Lets streams go that have been silent for long. The next value of such a stream begins anew in any case, so it
    /// matters to memory only when this is done: now and then.
    fn forget(&mut self) {
        let Some(forget) = self.spec.forget else {
            return;
        };
        if self.watermark < self.sweep {
            return;
        }
        self.streams.retain(|_, stream| {
            !stream.waiting.is_empty() || stream.last.plus(forget) > self.watermark
        });
        self.sweep = self.watermark.plus(Span(forget.0 / 8 + 1));
    }

    /// Forgets all streams but these.
    pub fn retain(&mut self, owned: impl Fn(i64) -> bool) {
        self.streams.retain(|stream, _| owned(*stream));
    }

    /// Takes over what another book of the same spec keeps, of streams that this one knows nothing of: saved parts
    /// together make a whole.
    pub fn join(&mut self, other: Book) {
        self.watermark = self.watermark.max(other.watermark);
        self.sweep = self.sweep.max(other.sweep);
        self.streams.extend(other.streams);
    }

    /// Writes everything; between ticks only.
    pub fn encode(&self, to: &mut Writer) {
        to.time(self.watermark);
        to.time(self.sweep);
        to.length(self.streams.len());
        for (name, stream) in &self.streams {
            to.word(*name);
            stream.detector.encode(to);
            to.unsigned(stream.rows.into());
            to.time(stream.last);
            to.bool(stream.warned);
            to.length(stream.waiting.len());
            for item in &stream.waiting {
                to.time(item.at);
                to.unsigned(item.id.into());
                to.word(item.word);
                to.signed(item.diff.into());
            }
        }
    }

    /// Reads what [`Book::encode`] wrote, for the same spec.
    ///
    /// # Errors
    /// When the bytes are not such a book.
    pub fn decode(
        spec: DetectionSpec,
        unheard: Arc<Unheard>,
        from: &mut Reader<'_>,
    ) -> Result<Book, CodecError> {
        let mut book = Book::new(spec, unheard);
        book.watermark = from.time("the watermark")?;
        book.sweep = from.time("when streams end")?;
        for _ in 0..from.length("the number of streams")? {
            let name = from.word("a stream")?;
            let mut stream = Stream {
                detector: Detector::decode(&book.spec.settings, from)?,
                rows: from.number("the number of values")?,
                last: from.time("the time of the last value")?,
                warned: from.bool("whether it warned")?,
                waiting: Vec::new(),
            };
            for _ in 0..from.length("how many values wait")? {
                let (at, id) = (from.time("a time")?, from.number("an id")?);
                let word = from.word("a value")?;
                let diff = from.signed("what a value does")?;
                stream.waiting.push(Item {
                    stream: name,
                    at,
                    id,
                    word,
                    diff: i32::try_from(diff).map_err(|_| from.error("what a value does"))?,
                });
            }
            book.streams.insert(name, stream);
        }
        Ok(book)
    }
}

/// Gives a value to its stream's detector; answers 1 if it is none that detectors take.
fn take(spec: &DetectionSpec, name: i64, stream: &mut Stream, item: Item, out: &mut Rows) -> u64 {
    let value = match spec.number {
        Number::Whole => item.word as f64,
        Number::Float => present_float(item.word),
    };
    if !takes(value) {
        return 1;
    }
    let silent = |span| stream.rows > 0 && stream.last.plus(span) <= item.at;
    if spec.forget.is_some_and(silent) {
        let waiting = mem::take(&mut stream.waiting);
        *stream = Stream {
            waiting,
            ..Stream::new(spec)
        };
    }
    let signal = stream.detector.add(value);
    let said = match signal {
        Signal::Drift => Some(spec.signals[0]),
        Signal::Warning if !stream.warned => Some(spec.signals[1]),
        Signal::Warning | Signal::Quiet => None,
    };
    if let Some(said) = said {
        let row = i64::try_from(stream.rows).unwrap_or(i64::MAX);
        let words = [item.at.0, row, float_word(value), said, name];
        let columns = out.begin("", item.at, 1);
        columns
            .iter_mut()
            .zip(words)
            .for_each(|(column, word)| column.push(word));
    }
    stream.warned = signal == Signal::Warning;
    stream.rows += 1;
    stream.last = item.at;
    0
}
