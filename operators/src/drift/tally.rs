//! The hot path: facts in, counts per page and step out.
//!
//! The facts of a batch fall into few steps. So time is cut into *cells* (a step's part inside the
//! reference, or its part outside), and the cell of the previous fact is tried first. What a fact
//! costs then is one addition for each monitor, and in a page whose edges are fixed a second one:
//!
//! - Categories, and numbers whose bins are not known, are counted in a small open-addressed table by
//!   segment and word; what all facts come to is added up when counts leave.
//! - Numbers whose bins are known are counted in a plain array by segment and bin.

use hashbrown::HashMap;
use tidegate_schemas::fact::{FactBlock, Head, NULL};
use tidegate_schemas::time::EventTime;

use super::cuts::Cuts;
use super::ledger::{Delta, Fixed, Form, PageKey};
use super::segments::Segments;
use super::spec::{DriftSpec, Monitor, Reference, Steps, Values};
use super::table::Table;

/// The number of the segment that all facts are in.
const ALL: u32 = 0;

/// Counts facts until they are drained.
///
/// # State
/// The segments there have been, and the edges of their bins. One table per (step that was touched
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
    overall: Table,
}

/// A monitor, and the edges of its pages as far as they are known.
#[derive(Debug)]
struct Watched {
    monitor: Monitor,
    /// Those that are declared: they hold in every segment.
    declared: Option<Cuts>,
    /// By number of the segment.
    slots: Vec<Option<Slot>>,
    /// How long the array of counts by bin is.
    bins: usize,
}

/// Where the counts of a page's bins are, from `first` on.
#[derive(Clone, Debug)]
struct Slot {
    cuts: Cuts,
    first: usize,
}

/// The counts of one monitor in one cell.
#[derive(Debug, Default)]
struct Counter {
    words: Table,
    /// By bin of each slot.
    bins: Vec<i64>,
    /// By number of the segment.
    missing: Vec<i64>,
}

/// A stretch of time whose facts are counted together.
#[derive(Clone, Copy, Debug)]
struct Cell {
    from: EventTime,
    until: EventTime,
    step: i64,
    in_reference: bool,
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
            overall: Table::default(),
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
            let rest = block.heads[row..].iter();
            let run = row..row + rest.take_while(|head| cell.holds(head.at)).count();
            let first = self.latest * self.monitors.len();
            let counters = &mut self.counters[first..first + self.monitors.len()];
            for (watched, counter) in self.monitors.iter().zip(counters) {
                counter.fit(watched, self.segments.len());
                let rows = run.clone().filter_map(|row| {
                    let head = &block.heads[row];
                    let word = block.words(row)[watched.monitor.column];
                    passes(&watched.monitor, head).then_some((row, word, head.diff))
                });
                match watched.slots.is_empty() && self.segments.rows().is_empty() {
                    true => rows.for_each(|(_, word, diff)| counter.word(ALL, word, diff)),
                    false => {
                        let numbers = self.segments.rows();
                        rows.for_each(|(row, word, diff)| {
                            let segment = numbers.get(row).copied().unwrap_or(ALL);
                            counter.add(watched, segment, word, diff);
                        });
                    }
                }
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
                counter.drain(watched, &mut self.overall, &mut out);
            }
        }
        self.by_step.clear();
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

impl Watched {
    /// Has a place for every segment; where edges are declared, they are known.
    fn know(&mut self, segments: usize) {
        if let Some(cuts) = &self.declared {
            let cuts = cuts.clone();
            for segment in self.slots.len()..segments {
                self.place(segment as u32, cuts.clone());
            }
        } else if !self.slots.is_empty() && self.slots.len() < segments {
            self.slots.resize(segments, None);
        }
    }

    fn place(&mut self, segment: u32, cuts: Cuts) {
        let segment = segment as usize;
        if self.slots.len() <= segment {
            self.slots.resize(segment + 1, None);
        }
        if self.slots[segment].is_none() {
            let first = self.bins;
            self.bins += cuts.bins();
            self.slots[segment] = Some(Slot { cuts, first });
        }
    }

    #[inline]
    fn slot(&self, segment: u32) -> Option<&Slot> {
        self.slots.get(segment as usize)?.as_ref()
    }
}

impl Counter {
    fn fit(&mut self, watched: &Watched, segments: usize) {
        if self.bins.len() < watched.bins {
            self.bins.resize(watched.bins, 0);
        }
        if self.missing.len() < segments {
            self.missing.resize(segments, 0);
        }
    }

    /// Counts by category or value.
    #[inline]
    fn word(&mut self, segment: u32, word: i64, diff: i32) {
        match word {
            NULL => self.missing[segment as usize] += i64::from(diff),
            word => self.words.add(segment, word, diff),
        }
    }

    /// Counts by bin where bins are known, in the segment and among all; else by word, once: what all
    /// facts come to is added up when counts leave.
    #[inline]
    fn add(&mut self, watched: &Watched, segment: u32, word: i64, diff: i32) {
        if word == NULL {
            self.missing[segment as usize] += i64::from(diff);
            return;
        }
        let all = watched.slot(ALL);
        if let Some(slot) = all {
            self.bins[slot.first + slot.cuts.bin(word)] += i64::from(diff);
        }
        if segment == ALL {
            if all.is_none() {
                self.words.add(ALL, word, diff);
            }
            return;
        }
        match (watched.slot(segment), all) {
            (Some(slot), all) => {
                self.bins[slot.first + slot.cuts.bin(word)] += i64::from(diff);
                if all.is_none() {
                    self.words.add(ALL, word, diff);
                }
            }
            (None, _) => self.words.add(segment, word, diff),
        }
    }

    fn drain(
        &mut self,
        watched: &Watched,
        overall: &mut Table,
        out: &mut Out<'_, impl FnMut(Delta)>,
    ) {
        let all_missing: i64 = self.missing.iter().sum();
        let all_by_bin = watched.slot(ALL).is_some();
        let has_segments = self.missing.len() > 1;
        if !has_segments {
            let mut counts = Vec::new();
            self.words
                .drain(|_, word, count| counts.push((word, count)));
            out.give(ALL, Form::Values, counts, 0);
        } else {
            let mut by_segment: Vec<(u32, (i64, i64))> = Vec::new();
            self.words.drain(|segment, word, count| {
                by_segment.push((segment, (word, count)));
            });
            by_segment.sort_unstable();
            for group in by_segment.chunk_by(|a, b| a.0 == b.0) {
                let counts = group.iter().map(|(_, count)| *count);
                if group[0].0 != ALL {
                    out.give(group[0].0, Form::Values, counts.clone().collect(), 0);
                }
                if !all_by_bin {
                    counts.for_each(|(word, count)| overall.add(ALL, word, count as i32));
                }
            }
            let mut counts = Vec::new();
            overall.drain(|_, word, count| counts.push((word, count)));
            out.give(ALL, Form::Values, counts, 0);
        }
        for (segment, slot) in (0..).zip(&watched.slots) {
            let Some(slot) = slot else { continue };
            let Some(bins) = self.bins.get_mut(slot.first..slot.first + slot.cuts.bins()) else {
                continue;
            };
            let counts = (0..).zip(bins.iter().copied());
            let counts: Vec<(i64, i64)> = counts.filter(|(_, count)| *count != 0).collect();
            bins.fill(0);
            out.give(segment, Form::Bins, counts, 0);
        }
        out.give(ALL, Form::Values, Vec::new(), all_missing);
        for (segment, missing) in (0..).zip(&mut self.missing).skip(1) {
            out.give(segment, Form::Values, Vec::new(), std::mem::take(missing));
        }
        self.missing.fill(0);
    }
}

/// Where counts leave.
struct Out<'a, G> {
    monitor: u32,
    cell: Cell,
    segments: &'a Segments,
    give: &'a mut G,
}

impl<G: FnMut(Delta)> Out<'_, G> {
    fn give(&mut self, segment: u32, form: Form, counts: Vec<(i64, i64)>, missing: i64) {
        if counts.is_empty() && missing == 0 {
            return;
        }
        (self.give)(Delta {
            page: PageKey {
                monitor: self.monitor,
                segment: self.segments.word(segment),
            },
            in_reference: self.cell.in_reference,
            step: self.cell.step,
            form,
            counts,
            missing,
        });
    }
}

#[cfg(test)]
mod tests;
