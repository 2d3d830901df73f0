//! How often each category was seen: in a window, or ever.

use hashbrown::HashMap;
use tidegate_schemas::time::EventTime;

use super::layout::Layout;
use super::ring::Ring;
use crate::words::WordHashing;

/// How many categories are kept in a plain list before a map takes over.
const FEW: usize = 16;

/// What is known of one category.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How often it is there.
    pub count: u64,
    /// The number of the last time it came; greater is later.
    pub last: u64,
}

type Map = HashMap<i64, Seen, WordHashing>;

#[derive(Clone, Debug)]
enum Cells {
    Few(Vec<(i64, Seen)>),
    Many(Map),
}

/// Categories with their counts. Its order means nothing: readers sort.
///
/// # State
/// 24 B per different category that is there, about 45 B from 17 categories on. O(1) a fact.
#[derive(Clone, Debug)]
pub struct Table {
    cells: Cells,
    entered: u64,
}

impl Default for Table {
    fn default() -> Table {
        Table {
            cells: Cells::Few(Vec::new()),
            entered: 0,
        }
    }
}

impl Table {
    /// Counts a category once more.
    pub fn enter(&mut self, code: i64) {
        self.entered += 1;
        let last = self.entered;
        let seen = self.cell(code);
        seen.count += 1;
        seen.last = last;
    }

    fn cell(&mut self, code: i64) -> &mut Seen {
        if let Cells::Few(few) = &self.cells
            && few.len() == FEW
            && few.iter().all(|(known, _)| *known != code)
        {
            self.cells = Cells::Many(few.iter().copied().collect());
        }
        match &mut self.cells {
            Cells::Few(few) => {
                let known = few.iter().position(|(known, _)| *known == code);
                let index = known.unwrap_or(few.len());
                if index == few.len() {
                    few.push((code, Seen::default()));
                }
                &mut few[index].1
            }
            Cells::Many(many) => many.entry(code).or_default(),
        }
    }

    /// Counts a category once less; at zero it is forgotten.
    pub fn leave(&mut self, code: i64) {
        match &mut self.cells {
            Cells::Few(few) => {
                let Some(index) = few.iter().position(|(known, _)| *known == code) else {
                    return;
                };
                few[index].1.count -= 1;
                if few[index].1.count == 0 {
                    few.swap_remove(index);
                }
            }
            Cells::Many(many) => {
                let Some(seen) = many.get_mut(&code) else {
                    return;
                };
                seen.count -= 1;
                if seen.count == 0 {
                    many.remove(&code);
                }
                if many.is_empty() {
                    self.cells = Cells::Few(Vec::new());
                }
            }
        }
    }

    /// How many different categories are there.
    #[must_use]
    pub fn distinct(&self) -> usize {
        match &self.cells {
            Cells::Few(few) => few.len(),
            Cells::Many(many) => many.len(),
        }
    }

    /// Every category, in no order that may matter.
    pub fn for_each(&self, mut see: impl FnMut(i64, Seen)) {
        match &self.cells {
            Cells::Few(few) => few.iter().for_each(|(code, seen)| see(*code, *seen)),
            Cells::Many(many) => many.iter().for_each(|(code, seen)| see(*code, *seen)),
        }
    }

    /// Every category, oldest last time first: enough to build the table again.
    #[must_use]
    pub fn in_order(&self) -> Vec<(i64, u64)> {
        let mut all = Vec::with_capacity(self.distinct());
        self.for_each(|code, seen| all.push((seen.last, code, seen.count)));
        all.sort_unstable();
        all.into_iter()
            .map(|(_, code, count)| (code, count))
            .collect()
    }

    /// Counts a category `count` times, the newest so far: the way back from [`Table::in_order`].
    pub fn enter_many(&mut self, code: i64, count: u64) {
        self.enter(code);
        let seen = self.cell(code);
        seen.count = count;
    }
}

/// The table of one window over a ring: records enter at the head and leave at the tail.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    table: Table,
    // The index in the ring of the oldest record that is in the table.
    tail: usize,
}

impl Tally {
    /// A record was added to the ring.
    pub fn enter(&mut self, code: i64) {
        self.table.enter(code);
    }

    /// Lets go of all records at or before `cut`.
    pub fn advance(&mut self, ring: &Ring, layout: &Layout, cut: EventTime) {
        while self.tail < ring.len() && ring.time_at(layout, self.tail) <= cut {
            self.table.leave(ring.value_at(layout, self.tail));
            self.tail += 1;
        }
    }

    /// Whether no record would go at this cut.
    #[must_use]
    pub fn is_at(&self, ring: &Ring, layout: &Layout, cut: EventTime) -> bool {
        self.tail >= ring.len() || ring.time_at(layout, self.tail) > cut
    }

    /// The ring has dropped this many records from its front; all had left the window.
    pub fn dropped(&mut self, records: usize) {
        self.tail = self.tail.saturating_sub(records);
    }

    /// What is inside.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_become_many_and_few_again() {
        let mut table = Table::default();
        for round in 0..2 {
            for code in 0..40 {
                table.enter(code);
                assert_eq!(
                    table.distinct(),
                    if round == 0 { code as usize + 1 } else { 40 }
                );
            }
        }
        let mut counts = 0;
        table.for_each(|_, seen| counts += seen.count);
        assert_eq!(counts, 80);
        for code in 0..40 {
            table.leave(code);
            table.leave(code);
        }
        assert_eq!(table.distinct(), 0);
        assert!(matches!(table.cells, Cells::Few(_)));
        table.leave(7);
        assert_eq!(table.distinct(), 0);
    }

    #[test]
    fn a_table_comes_back_from_its_order() {
        let mut table = Table::default();
        for code in [5, 6, 5, 7, 6] {
            table.enter(code);
        }
        let order = table.in_order();
        assert_eq!(order, [(5, 2), (7, 1), (6, 2)]);
        let mut again = Table::default();
        for (code, count) in order.iter().copied() {
            again.enter_many(code, count);
        }
        assert_eq!(again.in_order(), order);
    }
}
