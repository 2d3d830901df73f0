//! The ids that were seen, with when they were and what they said.

use tidegate_schemas::time::EventTime;

use super::{NEIGHBOURS, spread};

/// What is known of an id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) id: u64,
    pub(super) at: EventTime,
    pub(super) print: u64,
}

/// A set of ids that forgets those that are too old, once it has doubled since the last time.
///
/// What is known lies in the order in which it came, and a table finds the places: of a new id,
/// which nearly all are, only the table is looked at.
#[derive(Debug)]
pub(super) struct IdSet {
    all: Vec<Seen>,
    table: Table,
    /// Swept when it grows to this.
    limit: usize,
}

/// Smaller sets are not swept.
pub(super) const SMALL: usize = 1 << 12;

impl Default for IdSet {
    fn default() -> IdSet {
        IdSet {
            all: Vec::new(),
            table: Table::for_ids(SMALL),
            limit: SMALL,
        }
    }
}

impl IdSet {
    /// What is known of the id; `None` when it is new, and known from now on.
    // Inlined, or the row would be written to the stack and read back at once in larger pieces,
    // for which the processor waits until all that was written before has left its buffer.
    #[inline(always)]
    pub(super) fn meet(&mut self, seen: Seen) -> Option<&mut Seen> {
        if self.all.len() == self.table.most() {
            self.table = Table::for_ids(self.all.len() * 2);
            self.table.fill(&self.all);
        }
        match self.table.find(seen.id, &self.all) {
            Ok(place) => Some(&mut self.all[place]),
            Err(free) => {
                self.table.put(free, self.all.len());
                self.all.push(seen);
                None
            }
        }
    }

    /// Brings what [`IdSet::meet`] will look at nearer to the processor.
    #[inline]
    pub(super) fn touch(&self, id: u64) -> u64 {
        self.table.cells[self.table.home(id).cell]
    }

    /// Whether the id is known.
    pub(super) fn knows(&self, id: u64) -> bool {
        self.table.find(id, &self.all).is_ok()
    }

    /// Forgets the ids from before `horizon`, if there are enough of all to make it worth while;
    /// answers whether it did.
    pub(super) fn sweep(&mut self, horizon: EventTime) -> bool {
        if self.all.len() < self.limit {
            return false;
        }
        self.all.retain(|seen| seen.at >= horizon);
        self.limit = SMALL.max(self.all.len() * 2);
        // Nights are quieter than days: room that may soon be wanted again is kept.
        if self.all.capacity() > self.limit * 16 {
            self.all.shrink_to(self.limit);
            self.table = Table::for_ids(self.limit);
        }
        self.table.cells.fill(FREE);
        self.table.fill(&self.all);
        true
    }

    /// All that is known, in the order in which it came.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Seen> {
        self.all.iter()
    }
}

/// Finds the place of an id: open addressing with linear probing, at most half full. Ids that count up
/// are found beside each other, so that a line of the cache serves several.
#[derive(Debug)]
struct Table {
    /// Half a hash, and in the lower half one more than the place; the length is a power of two.
    cells: Vec<u64>,
}

const FREE: u64 = 0;

/// A cell, and what its upper half is when it has the id that was looked for.
#[derive(Clone, Copy)]
struct Cell {
    cell: usize,
    tag: u64,
}

impl Table {
    fn for_ids(ids: usize) -> Table {
        Table {
            cells: vec![FREE; (ids * 2).next_power_of_two()],
        }
    }

    /// How many ids it has room for.
    #[inline]
    fn most(&self) -> usize {
        self.cells.len() / 2
    }

    /// Where an id is looked for first.
    #[inline]
    fn home(&self, id: u64) -> Cell {
        let hash = spread(id / NEIGHBOURS);
        let neighbour = id % NEIGHBOURS;
        Cell {
            cell: (hash.wrapping_mul(NEIGHBOURS) | neighbour) as usize & (self.cells.len() - 1),
            tag: hash >> 32 ^ neighbour,
        }
    }

    /// The place of an id in `all`, or the free cell where it belongs.
    #[inline(always)]
    fn find(&self, id: u64, all: &[Seen]) -> Result<usize, Cell> {
        let Cell { mut cell, tag } = self.home(id);
        loop {
            let found = self.cells[cell];
            if found == FREE {
                return Err(Cell { cell, tag });
            }
            let place = (found as u32 - 1) as usize;
            if found >> 32 == tag && all[place].id == id {
                return Ok(place);
            }
            cell = (cell + 1) & (self.cells.len() - 1);
        }
    }

    /// Writes the place of an id to the cell where it belongs.
    #[inline]
    fn put(&mut self, Cell { cell, tag }: Cell, place: usize) {
        let place = u32::try_from(place + 1).expect("a worker knows below 2^32 ids");
        self.cells[cell] = tag << 32 | u64::from(place);
    }

    /// Adds different ids to an empty table.
    fn fill(&mut self, all: &[Seen]) {
        for (place, seen) in all.iter().enumerate() {
            let mut free = self.home(seen.id);
            while self.cells[free.cell] != FREE {
                free.cell = (free.cell + 1) & (self.cells.len() - 1);
            }
            self.put(free, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn ids_are_known_as_in_a_plain_map_while_the_table_fills_grows_and_is_swept() {
        for seed in 0..4 {
            let mut random = StdRng::seed_from_u64(seed);
            let (mut ids, mut map) = (IdSet::default(), HashMap::new());
            for now in 0..60_000i64 {
                // Half of the ids count up, the others lie anywhere; some come again.
                let id = match random.random_range(0..4) {
                    0 | 1 => now as u64,
                    2 => random.random_range(0..40_000) * 977,
                    _ => random.random::<u64>(),
                };
                let seen = Seen {
                    id,
                    at: EventTime(now),
                    print: id ^ 7,
                };
                let known = ids.meet(seen).map(|known| (known.id, known.at));
                let expected = map.get(&id).map(|at| (id, *at));
                assert_eq!(known, expected, "seed {seed}, row {now}");
                map.entry(id).or_insert(EventTime(now));
                if now % 500 == 0 {
                    let horizon = EventTime(now - 9_000);
                    if ids.sweep(horizon) {
                        map.retain(|_, at| *at >= horizon);
                    }
                    assert_eq!(ids.iter().count(), map.len());
                    assert!(map.keys().all(|id| ids.knows(*id)), "seed {seed}");
                }
            }
        }
    }
}
