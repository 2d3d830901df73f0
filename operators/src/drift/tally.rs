//! The hot path: facts in, counts per page and step out.
//!
//! The facts of a batch fall into few steps. So time is cut into *cells* (a step's part inside the
//! reference, or its part outside), and the cell of the previous fact is tried first. What a fact
//! costs then is one addition for each monitor, and in a page whose edges are fixed a second one:
//!
//! - Categories, and numbers whose bins are not known, are numbered as they come and counted in a plain array by
//!   number and segment; what all facts come to is added up when counts leave. A monitor with too many
//!   different ones for that counts in an open-addressed table by segment and word.
//! - Numbers whose bins are known are counted in a plain array by segment and bin.
//!
//! Facts are taken a handful at a time, by one monitor after the other, so that a fact's words are fetched from
//! memory once, whatever the number of monitors.

use hashbrown::HashMap;
use tidegate_schemas::fact::{FactBlock, Head, NULL};
use tidegate_schemas::time::EventTime;

use super::counter::{ALL, Counter, Leaving, MOST_COUNTS, Out, Watched};
use super::ledger::{Delta, Fixed};
use super::numbering::Numbering;
use super::segments::Segments;
use super::spec::{DriftSpec, Monitor, Reference, Steps, Values};

/// So many facts and their words stay in the nearest memory.
const HANDFUL: usize = 64;

/// Counts facts until they are drained.
///
/// # State
/// The segments there have been, the edges of their bins, and for each monitor the words that are numbered:
/// `MOST_COUNTS` by segments at most. One array and one table per (step that was touched
/// since the last drain, monitor), empty after it. The tables are kept for reuse, cut back to what the
/// last drain needed.
#[derive(Debug)]
pub struct Tally {
    monitors: Vec<Watched>,
    steps: Steps,
    reference: Reference,
    segments: Segments,
    cells: Vec<Cell>,
    by_step: HashMap<(i64, bool), usize>,
    /// `monitors.len()` for each cell, and those that wait for reuse behind them.
    counters: Vec<Counter>,
    /// The cell of the previous fact.
    latest: usize,
    /// How many segments the arrays by number have room for; a power of two.
    width: usize,
    leaving: Leaving,
}

/// A stretch of time whose facts are counted together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    from: EventTime,
    until: EventTime,
    pub(super) step: i64,
    pub(super) in_reference: bool,
}

impl Cell {
    #[inline]
    fn holds(&self, at: EventTime) -> bool {
        self.from <= at && at < self.until
    }
}

impl Tally {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(spec: &DriftSpec) -> Tally {
        let watched = |monitor: &Monitor| Watched {
            declared: match &monitor.values {
                Values::Numbers(number, bins) => bins.known(*number),
                Values::Categories(_) => None,
            },
            monitor: monitor.clone(),
            slots: Vec::new(),
            bins: 0,
            numbers: Some(Numbering::default()),
        };
        Tally {
            monitors: spec.monitors.iter().map(watched).collect(),
            steps: spec.steps,
            reference: spec.reference,
            segments: Segments::new(spec.by),
            cells: Vec::new(),
            by_step: HashMap::new(),
            counters: Vec::new(),
            latest: 0,
            width: 1,
            leaving: Leaving::default(),
        }
    }

    /// Learns the edges of a page: from now on its numbers are counted by bin. To be called when all
    /// counts are drained.
    pub fn learn(&mut self, fixed: Fixed) {
        let segment = self.segments.number(fixed.page.segment);
        self.monitors[fixed.page.monitor as usize].place(segment, fixed.cuts);
    }

    /// Counts the facts of a block, each with its difference.
    ///
    /// # Panics
    /// When the column of a monitor or of the segment lies beyond the words of a fact.
    pub fn add(&mut self, block: &FactBlock) {
        self.segments.of(block);
        self.widen();
        for watched in &mut self.monitors {
            watched.know(self.segments.len());
        }
        let mut row = 0;
        while let Some(head) = block.heads.get(row) {
            let cell = match self.cells.get(self.latest) {
                Some(cell) if cell.holds(head.at) => *cell,
                _ => self.find(head.at),
            };
            // Rows mostly come in the order of their times: many in a row share a cell.
            let rest = block.heads[row..].iter().take(HANDFUL);
            let run = row..row + rest.take_while(|head| cell.holds(head.at)).count();
            let first = self.latest * self.monitors.len();
            let counters = &mut self.counters[first..first + self.monitors.len()];
            let words = &block.words[run.start * block.stride..run.end * block.stride];
            let words = words.chunks_exact(block.stride.max(1));
            let facts = run.clone().zip(block.heads[run.clone()].iter().zip(words));
            for (watched, counter) in self.monitors.iter_mut().zip(counters) {
                counter.fit(watched, self.segments.len());
                let rows = facts.clone().filter_map(|(row, (head, words))| {
                    let word = words[watched.monitor.column];
                    passes(&watched.monitor, head).then_some((row, word, head.diff))
                });
                let (numbers, slots) = (&mut watched.numbers, &watched.slots);
                let (segments, width) = (self.segments.rows(), self.width);
                rows.for_each(|(row, word, diff)| {
                    let segment = segments.get(row).copied().unwrap_or(ALL);
                    if word == NULL {
                        counter.missing[segment as usize] += i64::from(diff);
                        return;
                    }
                    let segment = match slots.is_empty() {
                        true => Some(segment),
                        false => counter.by_bin(slots, segment, word, diff),
                    };
                    if let Some(segment) = segment {
                        counter.by_word(numbers, width, (segment, word), diff);
                    }
                });
            }
            row = run.end;
        }
    }

    /// Gives all counts that are not zero and begins anew.
    pub fn drain(&mut self, mut give: impl FnMut(Delta)) {
        let many = self.monitors.len();
        for (number, cell) in self.cells.drain(..).enumerate() {
            let counters = &mut self.counters[number * many..(number + 1) * many];
            let monitors = self.monitors.iter().zip(counters);
            for (monitor, (watched, counter)) in (0..).zip(monitors) {
                let mut out = Out {
                    monitor,
                    cell,
                    segments: &self.segments,
                    give: &mut give,
                };
                counter.drain(watched, self.width, &mut self.leaving, &mut out);
            }
        }
        self.by_step.clear();
        let most = MOST_COUNTS / self.width;
        for watched in &mut self.monitors {
            watched.numbers = watched.numbers.take().filter(|it| it.len() < most);
        }
    }

    /// Makes room for the segments there are in the arrays by number, which begin anew.
    fn widen(&mut self) {
        if self.segments.len() <= self.width {
            return;
        }
        for counters in self.counters.chunks_mut(self.monitors.len().max(1)) {
            for (watched, counter) in self.monitors.iter().zip(counters) {
                counter.unnumber(watched, self.width);
            }
        }
        for watched in &mut self.monitors {
            watched.numbers = watched.numbers.take().map(|_| Numbering::default());
        }
        self.width = self.segments.len().next_power_of_two();
    }

    /// Goes to the cell that holds `at`, which is made if there is none.
    #[cold]
    fn find(&mut self, at: EventTime) -> Cell {
        let cell = self.cell(at);
        let next = self.cells.len();
        let found = *self
            .by_step
            .entry((cell.step, cell.in_reference))
            .or_insert(next);
        if found == next {
            self.cells.push(cell);
            let needed = self.cells.len() * self.monitors.len();
            if self.counters.len() < needed {
                self.counters.resize_with(needed, Counter::default);
            }
        }
        self.latest = found;
        cell
    }

    fn cell(&self, at: EventTime) -> Cell {
        let step = self.steps.index(at);
        let whole = (self.steps.start(step), self.steps.end(step));
        let (in_reference, from, until) = self.reference.part(at, whole);
        Cell {
            from,
            until,
            step,
            in_reference,
        }
    }
}

#[inline]
fn passes(monitor: &Monitor, head: &Head) -> bool {
    head.diff != 0 && monitor.filter.is_none_or(|bit| head.bits >> bit & 1 == 1)
}

#[cfg(test)]
mod tests;
