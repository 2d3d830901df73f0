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
mod tests {
    use std::collections::BTreeMap;

    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};
    use tidegate_schemas::fact::Head;
    use tidegate_schemas::rows::Kind;
    use tidegate_schemas::time::Span;

    use super::*;
    use crate::drift::measures::Measure;
    use crate::drift::spec::{Firing, Layout};
    use crate::statistics::Smoothing;
    use crate::statistics::divergence::Direction;

    fn spec() -> DriftSpec {
        let monitor = |column, filter| Monitor {
            name: column as i64,
            column,
            filter,
            values: Values::Categories(Kind::Int),
        };
        DriftSpec {
            monitors: vec![monitor(0, None), monitor(1, Some(3))],
            by: None,
            steps: Steps {
                origin: EventTime(5),
                every: Span(10),
            },
            lengths: vec![1],
            // Begins and ends in mid-window, and once both in the same one.
            reference: Reference::Stretch {
                from: EventTime(17),
                until: EventTime(42),
            },
            smoothing: Smoothing::Floor(0.0),
            direction: Direction::CurrentFromReference,
            measures: vec![Measure::Psi, Measure::Kl],
            min_rows: 1,
            layout: Layout::Plain,
            alert: None,
            firing: Firing::Final,
        }
    }

    fn push(block: &mut FactBlock, at: i64, bits: u64, diff: i32, words: [i64; 2]) {
        let head = Head {
            key: 0,
            diff,
            at: EventTime(at),
            id: 0,
            bits,
        };
        block.push(head, &words);
    }

    fn drained(tally: &mut Tally) -> BTreeMap<(u32, bool, i64, i64), i64> {
        let mut all = BTreeMap::new();
        tally.drain(|d| {
            assert_eq!((d.page.segment, d.form), (NULL, Form::Values));
            let missing = (d.missing != 0).then_some((NULL, d.missing));
            for (word, count) in d.counts.into_iter().chain(missing) {
                let known = all.insert((d.page.monitor, d.in_reference, d.step, word), count);
                assert_eq!(known, None, "one delta per count");
            }
        });
        all
    }

    #[test]
    fn facts_are_counted_by_window_and_side_of_the_reference() {
        let mut tally = Tally::new(&spec());
        let mut block = FactBlock::new(2);
        for at in [14, 15, 16, 17, 24, 25, 41, 42, 44, 45] {
            push(&mut block, at, 0, 1, [7, 0]);
        }
        tally.add(&block);
        let counts = drained(&mut tally);
        let expected = [
            ((0, false, 0, 7), 1),
            ((0, false, 1, 7), 2),
            ((0, false, 3, 7), 2),
            ((0, false, 4, 7), 1),
            ((0, true, 1, 7), 2),
            ((0, true, 2, 7), 1),
            ((0, true, 3, 7), 1),
        ];
        assert_eq!(counts, BTreeMap::from(expected));
    }

    #[test]
    fn filters_nulls_and_facts_taken_back_are_minded() {
        let mut tally = Tally::new(&spec());
        let mut block = FactBlock::new(2);
        push(&mut block, 0, 0b1000, 1, [NULL, NULL]);
        push(&mut block, 0, 0b0000, 1, [3, 4]);
        push(&mut block, 0, 0b1000, 1, [3, 4]);
        push(&mut block, 0, 0b1000, 1, [5, 4]);
        push(&mut block, 0, 0b1000, -1, [5, 4]);
        tally.add(&block);
        let expected = [
            ((0, false, -1, NULL), 1),
            ((0, false, -1, 3), 2),
            ((1, false, -1, NULL), 1),
            ((1, false, -1, 4), 1),
        ];
        assert_eq!(drained(&mut tally), BTreeMap::from(expected));
        assert!(
            drained(&mut tally).is_empty(),
            "a drained tally begins anew"
        );
    }

    #[test]
    fn equals_counting_one_by_one() {
        for seed in 0..200 {
            let mut rng = SmallRng::seed_from_u64(seed);
            let mut tally = Tally::new(&spec());
            let categories = [3, 40, 5_000][rng.random_range(0..3)];
            for _ in 0..4 {
                let (mut block, mut expected) = (FactBlock::new(2), BTreeMap::new());
                for _ in 0..rng.random_range(0..2_000) {
                    let at = rng.random_range(-20..80i64);
                    let (bits, diff) = (rng.random_range(0..16u64), rng.random_range(-1..=2));
                    let words = [0, 1].map(|_| match rng.random_range(0..categories) {
                        0 => NULL,
                        n => n * 64,
                    });
                    push(&mut block, at, bits, diff, words);
                    let (window, inside) = ((at - 5).div_euclid(10), (17..42).contains(&at));
                    *expected.entry((0, inside, window, words[0])).or_default() += i64::from(diff);
                    if bits & 8 != 0 {
                        *expected.entry((1, inside, window, words[1])).or_default() +=
                            i64::from(diff);
                    }
                }
                expected.retain(|_, count| *count != 0);
                tally.add(&block);
                assert_eq!(drained(&mut tally), expected, "seed {seed}");
            }
        }
    }
}
