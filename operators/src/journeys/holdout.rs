//! The hold-out: some journeys are counted, and every step of the others is predicted from these.
//!
//! # Meaning
//! When the input is over, take all journeys in the order of the least id of their steps, each with its
//! steps in (`at`, `id`) order and the end mark. Where rows have no id of their own, ids are numbers of arrival, so
//! this is the order in which journeys began to arrive; where they have one, it depends on nothing
//! but the rows. The first ones, as many as the split says, are counted: what followed each context of up
//! to `order` kinds, and of none, anywhere but at a journey's beginning. For each prefix of the others, of one kind or more, and each
//! k from 1 to the order, what comes next is predicted: the most frequent follower of the last k kinds, of equally
//! frequent ones the smallest as text; of a context that was never seen, the next shorter one is asked, down to
//! that of no kinds. When no journey was counted, there is no prediction, which counts as wrong.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::EventTime;

use super::accuracy::share;
use super::contexts::Contexts;
use super::spec::{PATHS, Split, end};
use super::transitions::EVER;
use crate::codec::{CodecError, Reader, Writer};

/// The columns of a row.
const COLUMNS: usize = 6;

/// A journey that is over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Path {
    /// The least id of its steps.
    pub first: u64,
    /// Its kinds in order.
    pub kinds: Box<[i64]>,
}

impl Path {
    /// The journeys of rows of [`PATHS`].
    ///
    /// # Panics
    /// When the rows have other columns.
    pub fn of(rows: &Rows) -> impl Iterator<Item = Path> {
        let [first, kinds] = &rows.columns[..] else {
            panic!("paths have {} columns: {rows:?}", PATHS.len());
        };
        (0..rows.len()).map(|row| Path {
            first: first.words[row] as u64,
            kinds: kinds.row(row).into(),
        })
    }

    /// Each prefix of one kind or more as a context of `order` kinds at most, newest first, and what follows.
    fn prefixes(&self, order: usize) -> impl Iterator<Item = (Vec<i64>, i64)> {
        let follows = self.kinds.iter().copied().chain([end()]);
        follows.enumerate().skip(1).map(move |(length, kind)| {
            let before = self.kinds[..length].iter().rev().take(order);
            (before.copied().collect(), kind)
        })
    }
}

/// All journeys that are over, until the input is.
///
/// # Emits
/// When the input is over and there are journeys, for each k: `k`, the number of journeys that were counted and of the
/// others, the `prefixes` of these, how many of them were predicted `right`, and the `accuracy`, right by
/// prefixes.
///
/// # State
/// 24 bytes a journey and 8 a step, until the input is over: on one worker, since this is an
/// evaluation, not an answer to keep up. Predicting takes about 0.2 µs a step and order.
#[derive(Clone, Debug)]
pub struct HoldOut {
    order: usize,
    split: Split,
    names: Arc<Names>,
    paths: Vec<Path>,
}

impl HoldOut {
    /// No journeys yet.
    #[must_use]
    pub fn new(order: usize, split: Split, names: Arc<Names>) -> HoldOut {
        HoldOut {
            order,
            split,
            names,
            paths: Vec::new(),
        }
    }

    /// The journeys that are over by a tick, in any order, and the watermark after it.
    pub fn tick(&mut self, paths: Vec<Path>, watermark: EventTime) -> Option<Rows> {
        self.paths.extend(paths);
        let over = watermark == EventTime::MAX && !self.paths.is_empty();
        over.then(|| self.evaluate())
    }

    /// Counts and predicts, and forgets all journeys.
    fn evaluate(&mut self) -> Rows {
        let mut paths = std::mem::take(&mut self.paths);
        paths.sort_unstable();
        let (counted, tested) = paths.split_at(self.split.of(paths.len()));
        let mut contexts = Contexts::new(Arc::clone(&self.names));
        for (before, kind) in counted.iter().flat_map(|path| path.prefixes(self.order)) {
            contexts.learn(&before, 0, kind, |_, _| {});
        }
        let mut prefixes = 0;
        let mut right = vec![0; self.order + 1];
        for (before, kind) in tested.iter().flat_map(|path| path.prefixes(self.order)) {
            prefixes += 1;
            let mut last = false;
            contexts.predict(&before, 0, |length, predicted| {
                last = predicted.is_some_and(|predicted| predicted.kind == kind);
                right[length] += i64::from(last);
            });
            for right in &mut right[before.len() + 1..] {
                *right += i64::from(last);
            }
        }
        let mut rows = Rows::new(COLUMNS);
        for (k, right) in (0..).zip(right).skip(1) {
            let journeys = [k, counted.len() as i64, tested.len() as i64];
            let words = journeys
                .into_iter()
                .chain([prefixes, right, share(right, prefixes)]);
            for (column, word) in rows.begin("", EVER, 1).iter_mut().zip(words) {
                column.push(word);
            }
        }
        rows
    }

    /// Forgets all journeys.
    pub fn clear(&mut self) {
        self.paths.clear();
    }

    /// Writes everything; between ticks only.
    pub fn encode(&self, to: &mut Writer) {
        to.length(self.paths.len());
        for path in &self.paths {
            to.unsigned(path.first.into());
            to.length(path.kinds.len());
            path.kinds.iter().for_each(|kind| to.word(*kind));
        }
    }

    /// Adds the journeys that [`HoldOut::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not such journeys.
    pub fn decode(&mut self, from: &mut Reader<'_>) -> Result<(), CodecError> {
        for _ in 0..from.length("the number of journeys")? {
            let first = from.number("the id of a step")?;
            let length = from.length("the length of a journey")?;
            let kinds = (0..length).map(|_| from.word("a kind"));
            let kinds = kinds.collect::<Result<_, _>>()?;
            self.paths.push(Path { first, kinds });
        }
        Ok(())
    }
}
