//! The hot path: facts in, counts per (monitor, window, category) out.
//!
//! The facts of a batch fall into few windows and have few categories. So time is cut into *cells*
//! (a window's part inside the reference, or its part outside), the cell of the previous fact is
//! tried first, and each pair of cell and monitor has a small open-addressed table of counts.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use tidegate_schemas::fact::{FactBlock, NULL};
use tidegate_schemas::time::EventTime;

use super::spec::{DriftSpec, Monitor, Nulls, Reference, Windows};

/// So many rows more, or fewer, of a category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// Which monitor, by its place in the spec.
    pub monitor: u32,
    /// Whether the rows belong to a [`Reference::Stretch`] too.
    pub in_reference: bool,
    /// The window's number.
    pub window: i64,
    /// The category: the word of the monitored column.
    pub category: i64,
    /// How many rows; less than none when rows were taken back.
    pub count: i64,
}

/// Counts facts until they are drained.
///
/// # State
/// One table per (window that was touched since the last drain, monitor), empty after it. The
/// tables are kept for reuse, cut back to what the last drain needed.
#[derive(Debug)]
pub struct Tally {
    monitors: Vec<Monitor>,
    windows: Windows,
    reference: Reference,
    cells: Vec<Cell>,
    by_window: HashMap<(i64, bool), usize>,
    /// `monitors.len()` tables per cell, and those that wait for reuse behind them.
    tables: Vec<Table>,
    /// The cell of the previous fact.
    latest: usize,
}

/// A stretch of time whose facts are counted together.
#[derive(Clone, Copy, Debug)]
struct Cell {
    from: EventTime,
    until: EventTime,
    window: i64,
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
        Tally {
            monitors: spec.monitors.clone(),
            windows: spec.windows,
            reference: spec.reference,
            cells: Vec::new(),
            by_window: HashMap::new(),
            tables: Vec::new(),
            latest: 0,
        }
    }

    /// Counts the facts of a block, each with its difference.
    ///
    /// # Panics
    /// When a monitor's column lies beyond the words of a fact.
    pub fn add(&mut self, block: &FactBlock) {
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
            let tables = &mut self.tables[first..first + self.monitors.len()];
            for (monitor, table) in self.monitors.iter().zip(tables) {
                for row in run.clone() {
                    let head = &block.heads[row];
                    let passes = monitor.filter.is_none_or(|bit| head.bits >> bit & 1 == 1);
                    if head.diff == 0 || !passes {
                        continue;
                    }
                    match block.words(row)[monitor.column] {
                        NULL if monitor.nulls == Nulls::Category => {
                            table.nulls += i64::from(head.diff);
                        }
                        NULL => {}
                        word => table.add(word, i64::from(head.diff)),
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
            let tables = &mut self.tables[number * many..(number + 1) * many];
            for (monitor, table) in tables.iter_mut().enumerate() {
                table.drain(|category, count| {
                    give(Delta {
                        monitor: monitor as u32,
                        in_reference: cell.in_reference,
                        window: cell.window,
                        category,
                        count,
                    });
                });
            }
        }
        self.by_window.clear();
    }

    /// Goes to the cell that holds `at`, which is made if there is none.
    #[cold]
    fn find(&mut self, at: EventTime) -> Cell {
        let cell = self.cell(at);
        let next = self.cells.len();
        let found = *self
            .by_window
            .entry((cell.window, cell.in_reference))
            .or_insert(next);
        if found == next {
            self.cells.push(cell);
            let needed = self.cells.len() * self.monitors.len();
            if self.tables.len() < needed {
                self.tables.resize_with(needed, Table::default);
            }
        }
        self.latest = found;
        cell
    }

    fn cell(&self, at: EventTime) -> Cell {
        let window = self.windows.index(at);
        let whole = (self.windows.start(window), self.windows.end(window));
        let (in_reference, from, until) = self.reference.part(at, whole);
        Cell {
            from,
            until,
            window,
            in_reference,
        }
    }
}

/// Counts by category: open addressing, linear probing, at most a quarter full and far less with few
/// categories, so that a category is mostly where it is looked for first.
#[derive(Clone, Debug)]
struct Table {
    /// (category, count); [`NULL`] marks a free place. The length is a power of two.
    places: Vec<(i64, i64)>,
    used: usize,
    nulls: i64,
}

const FREE: (i64, i64) = (NULL, 0);
const FEWEST_PLACES: usize = 512;

impl Default for Table {
    fn default() -> Table {
        Table {
            places: vec![FREE; FEWEST_PLACES],
            used: 0,
            nulls: 0,
        }
    }
}

impl Table {
    #[inline]
    fn add(&mut self, category: i64, count: i64) {
        let place = self.place(category);
        let here = &mut self.places[place];
        here.1 += count;
        if here.0 == NULL {
            here.0 = category;
            self.used += 1;
            if self.used * 4 > self.places.len() {
                self.resize(self.places.len() * 2);
            }
        }
    }

    /// Where a category is, or the free place where it would be. There always is a free one.
    #[inline]
    fn place(&self, category: i64) -> usize {
        let mask = self.places.len() - 1;
        // Fibonacci hashing: whole numbers in a row spread, codes (hashes already) stay spread.
        let hash = (category as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let mut place = hash as usize & mask;
        while self.places[place].0 != category && self.places[place].0 != NULL {
            place = (place + 1) & mask;
        }
        place
    }

    fn resize(&mut self, places: usize) {
        let old = std::mem::replace(&mut self.places, vec![FREE; places]);
        for entry in old.into_iter().filter(|entry| entry.0 != NULL) {
            let place = self.place(entry.0);
            self.places[place] = entry;
        }
    }

    fn drain(&mut self, mut give: impl FnMut(i64, i64)) {
        if self.nulls != 0 {
            give(NULL, std::mem::take(&mut self.nulls));
        }
        for (category, count) in self.places.iter().filter(|(_, count)| *count != 0) {
            give(*category, *count);
        }
        let needed = (self.used * 4).next_power_of_two().max(FEWEST_PLACES);
        if needed * 2 < self.places.len() {
            self.places = vec![FREE; needed];
        } else {
            self.places.fill(FREE);
        }
        self.used = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};
    use tidegate_schemas::fact::Head;
    use tidegate_schemas::time::Span;

    use super::*;
    use crate::drift::spec::Firing;
    use crate::statistics::Smoothing;
    use crate::statistics::divergence::Direction;

    fn spec() -> DriftSpec {
        let monitor = |column, filter, nulls| Monitor {
            name: column as i64,
            column,
            filter,
            nulls,
        };
        DriftSpec {
            monitors: vec![
                monitor(0, None, Nulls::Skip),
                monitor(1, Some(3), Nulls::Category),
            ],
            windows: Windows {
                origin: EventTime(5),
                every: Span(10),
            },
            // Begins and ends in mid-window, and once both in the same one.
            reference: Reference::Stretch {
                from: EventTime(17),
                until: EventTime(42),
            },
            smoothing: Smoothing::Floor(0.0),
            direction: Direction::CurrentFromReference,
            min_rows: 1,
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
            let known = all.insert((d.monitor, d.in_reference, d.window, d.category), d.count);
            assert_eq!(known, None, "one delta per count");
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
                    if words[0] != NULL {
                        *expected.entry((0, inside, window, words[0])).or_default() +=
                            i64::from(diff);
                    }
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
