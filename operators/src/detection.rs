//! Detection: a [`Detector`](crate::detectors) over the values of facts, in the order of event time.
//!
//! A detector cannot take a value back, so it is given what the watermark has passed and nothing else:
//! values wait until then, come in (time, id) order, and a correction that finds its value still
//! waiting takes it away. So the rows are final, a function of the facts alone, and the same for any
//! arrival within lateness, any batches and any number of workers. A correction that comes later is
//! counted and changes nothing.
//!
//! [`book`] is what is kept and done, a pure state machine; here it is put into a dataflow, where each
//! stream has an owner.

use std::borrow::Borrow;

use tidegate_schemas::fact::{FactBlock, NULL};
use tidegate_schemas::rows::{Kind, OutputColumn, OutputSchema, Rows};
use tidegate_schemas::time::{EventTime, Span, Tick, TimeUnit};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::vec::Map;

use self::book::{Book, Item};
use crate::detectors::Settings;
use crate::ticks;

pub mod book;
#[cfg(test)]
mod tests;

/// What is to be watched. All settings are stated; there are no defaults here.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionSpec {
    /// The detector of each stream.
    pub settings: Settings,
    /// Which word of a fact is its value. Facts without one are passed over.
    pub column: usize,
    /// How the word reads.
    pub number: Number,
    /// Only facts that pass this filter count.
    pub filter: Option<u8>,
    /// Which word parts the facts into streams, each with a detector of its own. Facts without one have
    /// a stream as well. `None`: there is one stream.
    pub by: Option<usize>,
    /// A stream without a value for so long begins anew, and leaves nothing behind. `None`: never.
    pub forget: Option<Span>,
    /// What a row calls a drift, and a warning: codes of texts.
    pub signals: [i64; 2],
}

/// How a word reads as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// A whole number, or a truth: 1 or 0.
    Whole,
    /// A float's word.
    Float,
}

/// A row's columns, `by` left out.
const COLUMNS: usize = 4;

impl DetectionSpec {
    /// What the rows look like: `at` the time of the value at which the detector spoke, `row` how many values its
    /// stream had before, `value`, `signal`, and what parted the streams, if anything did.
    #[must_use]
    pub fn output(name: &str, unit: TimeUnit, by: Option<OutputColumn>) -> OutputSchema {
        let column = |name: &str, kind| OutputColumn {
            name: name.to_owned(),
            kind,
        };
        let mut columns = vec![
            column("at", Kind::Time(unit)),
            column("row", Kind::Int),
            column("value", Kind::Float),
            column("signal", Kind::Text),
        ];
        columns.extend(by);
        OutputSchema {
            name: name.to_owned(),
            key: None,
            identity: [0, 1].into_iter().chain(COLUMNS..columns.len()).collect(),
            columns,
        }
    }

    fn columns(&self) -> usize {
        COLUMNS + usize::from(self.by.is_some())
    }
}

/// The rows at which detectors speak.
///
/// # Reads
/// `facts`: accepted facts, each with its difference, in any order and on any worker.
/// `watermarks`: what each worker knows after a tick, said by every worker, in every tick in which it
/// moves. All facts of later ticks are at or after it.
///
/// `book`: a new one, or what all workers together had saved after a tick, joined, to go on from.
///
/// # Emits
/// Rows as [`DetectionSpec::output`] describes them, each once, when the watermark has passed its time: a drift whenever
/// the detector fires, a warning when one begins.
///
/// # State
/// That of [`Book`], on the worker that owns the stream.
///
/// # Panics
/// When the settings do not pass [`Settings::check`].
pub fn detection<'scope, B>(
    facts: StreamVec<'scope, Tick, B>,
    watermarks: StreamVec<'scope, Tick, EventTime>,
    mut book: Book,
) -> StreamVec<'scope, Tick, Rows>
where
    B: Borrow<FactBlock> + Clone + 'static,
{
    let (worker, workers) = (watermarks.scope().index(), watermarks.scope().peers());
    book.retain(|stream| owner(stream) % workers as u64 == worker as u64);
    let spec = book.spec().clone();
    let items = facts.flat_map(move |block| items(&spec, block.borrow()));
    let by_stream = |item: &Item| owner(item.stream);
    ticks::whole(
        items,
        watermarks,
        "Detection",
        by_stream,
        move |items, watermark| {
            let mut rows = Rows::new(book.spec().columns());
            book.close(items, watermark, &mut rows);
            (!rows.is_empty()).then_some(rows)
        },
    )
}

/// Neighbouring codes and numbers go to workers in turn.
fn owner(stream: i64) -> u64 {
    (stream as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// The values of a block that count.
fn items(spec: &DetectionSpec, block: &FactBlock) -> Vec<Item> {
    let rows = block.heads.iter().enumerate();
    rows.filter(|(_, head)| head.diff != 0)
        .filter(|(_, head)| spec.filter.is_none_or(|bit| head.bits >> bit & 1 == 1))
        .filter_map(|(row, head)| {
            let words = block.words(row);
            let word = words[spec.column];
            (word != NULL).then(|| Item {
                stream: spec.by.map_or(NULL, |by| words[by]),
                at: head.at,
                id: head.id,
                word,
                diff: head.diff,
            })
        })
        .collect()
}
