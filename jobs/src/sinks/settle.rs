//! What is left of a tick's rows once those that cancel each other are gone.
//!
//! The net differences are kept beside the rows and in their order: nothing is sorted or copied.
//! A tick without a negative difference, the usual case, is passed through unseen.

use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::{DefaultHashBuilder, HashTable};
use tidegate_schemas::rows::Rows;

/// The rows of one tick, as they came from the workers, numbered through.
struct Tick<'a> {
    blocks: &'a [Rows],
    starts: Vec<usize>,
    hasher: DefaultHashBuilder,
}

impl<'a> Tick<'a> {
    fn new(blocks: &'a [Rows]) -> Tick<'a> {
        let starts = blocks
            .iter()
            .scan(0, |next, rows| {
                let start = *next;
                *next += rows.len();
                Some(start)
            })
            .collect();
        Tick {
            blocks,
            starts,
            hasher: DefaultHashBuilder::default(),
        }
    }

    fn find(&self, number: usize) -> (&'a Rows, usize) {
        let block = self.starts.partition_point(|start| *start <= number) - 1;
        (&self.blocks[block], number - self.starts[block])
    }

    /// The hash of the whole row, or of the key and some of the columns.
    fn hash(&self, number: usize, identity: Option<&[usize]>) -> u64 {
        let (rows, row) = self.find(number);
        let mut hasher = self.hasher.build_hasher();
        rows.keys.get(row).hash(&mut hasher);
        match identity {
            Some(columns) => {
                for column in columns {
                    rows.columns[*column].row(row).hash(&mut hasher);
                }
            }
            None => {
                rows.heads[row].at.hash(&mut hasher);
                for column in &rows.columns {
                    column.row(row).hash(&mut hasher);
                }
            }
        }
        hasher.finish()
    }

    fn same(&self, a: usize, b: usize, identity: Option<&[usize]>) -> bool {
        let ((left, i), (right, j)) = (self.find(a), self.find(b));
        match identity {
            Some(columns) => same_identity((left, i), (right, j), columns),
            None => left.same_row(i, right, j),
        }
    }

    /// Groups the rows that `wanted` admits and hands each to `each`, with its group's slot.
    fn group<S: Default>(
        &self,
        identity: Option<&[usize]>,
        wanted: impl Fn(usize) -> bool,
        mut each: impl FnMut(usize, &mut S),
    ) {
        let count = self.blocks.iter().map(Rows::len).sum();
        let mut groups: HashTable<(u64, usize, S)> = HashTable::new();
        for number in (0..count).filter(|number| wanted(*number)) {
            let hash = self.hash(number, identity);
            let group = groups
                .entry(
                    hash,
                    |(known, first, _)| *known == hash && self.same(*first, number, identity),
                    |(known, ..)| *known,
                )
                .or_insert_with(|| (hash, number, S::default()));
            each(number, &mut group.into_mut().2);
        }
    }
}

/// Whether two rows have the same key and the same values in some columns.
fn same_identity((left, i): (&Rows, usize), (right, j): (&Rows, usize), columns: &[usize]) -> bool {
    left.keys.get(i) == right.keys.get(j)
        && columns
            .iter()
            .all(|c| left.columns[*c].row(i) == right.columns[*c].row(j))
}

/// The differences of rows as they came.
fn diffs(rows: &Rows) -> impl Iterator<Item = i32> {
    rows.heads.iter().map(|head| head.diff)
}

/// Bits that say what has been seen of rows of each sign. What was seen with both may cancel.
struct Sketch {
    added: Vec<u64>,
    taken: Vec<u64>,
}

impl Sketch {
    fn new(rows: usize) -> Sketch {
        let words = (rows / 8).next_power_of_two().max(64);
        Sketch {
            added: vec![0; words],
            taken: vec![0; words],
        }
    }

    fn place(&self, hash: u64) -> (usize, u64) {
        let word = (hash >> 6) as usize % self.added.len();
        (word, 1 << (hash % 64))
    }

    fn see(&mut self, hash: u64, diff: i32) {
        let (word, bit) = self.place(hash);
        match diff < 0 {
            true => self.taken[word] |= bit,
            false => self.added[word] |= bit,
        }
    }

    fn has_both(&self, hash: u64) -> bool {
        let (word, bit) = self.place(hash);
        self.added[word] & self.taken[word] & bit != 0
    }
}

/// Whether a row may have an equal one of the other sign, by sketches of time alone, then of key and time:
/// an episode that closes is taken back at one time and comes again at another, and of such pairs there are
/// many.
fn may_cancel(blocks: &[Rows]) -> Vec<bool> {
    let hasher = DefaultHashBuilder::default();
    let heads = || blocks.iter().flat_map(|rows| &rows.heads);
    let mut times = Sketch::new(1 << 12);
    // Most rows are of the time of the row before that has their sign.
    let mut last = [None; 2];
    for head in heads() {
        let last = &mut last[usize::from(head.diff < 0)];
        if *last != Some(head.at) {
            times.see(hasher.hash_one(head.at), head.diff);
            *last = Some(head.at);
        }
    }
    let mut last = [(None, false); 2];
    let may = heads().map(|head| {
        let last = &mut last[usize::from(head.diff < 0)];
        if last.0 != Some(head.at) {
            *last = (Some(head.at), times.has_both(hasher.hash_one(head.at)));
        }
        last.1
    });
    let mut may: Vec<bool> = may.collect();
    let count = may.iter().filter(|may| **may).count();
    if count == 0 {
        return may;
    }
    let mut both = Sketch::new(count);
    let rows = blocks
        .iter()
        .flat_map(|rows| (0..rows.len()).map(move |row| (rows, row)));
    let hashed: Vec<_> = rows
        .zip(&mut may)
        .filter(|(_, may)| **may)
        .map(|((rows, row), may)| {
            let hash = hasher.hash_one((rows.keys.get(row), rows.heads[row].at));
            both.see(hash, rows.heads[row].diff);
            (hash, may)
        })
        .collect();
    for (hash, may) in hashed {
        *may = both.has_both(hash);
    }
    may
}

/// The differences that are left when equal rows cancel, one a row, in the order of the rows.
/// `None` when nothing was taken back: every row keeps its own.
pub(super) fn net(blocks: &[Rows]) -> Option<Vec<i32>> {
    // Without an early exit the search is vectorised.
    let added_only = |rows: &Rows| {
        rows.heads
            .iter()
            .fold(true, |all, head| all & (head.diff > 0))
    };
    if blocks.iter().all(added_only) {
        return None;
    }
    let mut net: Vec<i32> = blocks.iter().flat_map(diffs).collect();
    let may_cancel = may_cancel(blocks);
    if !may_cancel.contains(&true) {
        return Some(net);
    }
    // Each group keeps a stack of the rows that are not cancelled yet, linked through `below`.
    const BOTTOM: usize = usize::MAX;
    struct Top(usize);
    impl Default for Top {
        fn default() -> Top {
            Top(BOTTOM)
        }
    }
    let mut below = vec![BOTTOM; net.len()];
    Tick::new(blocks).group(
        None,
        |number| may_cancel[number],
        |number, top: &mut Top| {
            while top.0 != BOTTOM
                && net[number].signum() == -net[top.0].signum()
                && net[number] != 0
            {
                let cancelled = net[number].abs().min(net[top.0].abs());
                net[number] -= net[number].signum() * cancelled;
                net[top.0] -= net[top.0].signum() * cancelled;
                if net[top.0] == 0 {
                    top.0 = below[top.0];
                }
            }
            if net[number] != 0 {
                below[number] = top.0;
                top.0 = number;
            }
        },
    );
    Some(net)
}

/// Of the net differences, those that an upsert writes: every new row, and of a row that was taken
/// back without a successor of the same identity the last one. The others become 0.
pub(super) fn newest(blocks: &[Rows], net: &mut [i32], identity: &[usize]) {
    #[derive(Default)]
    struct Seen {
        live: bool,
        gone: Option<usize>,
    }
    // Mostly a row is taken back right before its successor comes, and then nothing has to be grouped.
    let mut left = &mut *net;
    for rows in blocks {
        let (of_block, others) = left.split_at_mut(rows.len());
        left = others;
        for row in 1..rows.len() {
            if of_block[row - 1] < 0
                && of_block[row] > 0
                && same_identity((rows, row - 1), (rows, row), identity)
            {
                of_block[row - 1] = 0;
            }
        }
    }
    if net.iter().all(|left| *left >= 0) {
        return;
    }
    let before = net.to_vec();
    Tick::new(blocks).group(
        Some(identity),
        |number| before[number] != 0,
        |number, seen: &mut Seen| {
            if before[number] > 0 {
                seen.live = true;
                if let Some(gone) = seen.gone.take() {
                    net[gone] = 0;
                }
            } else if seen.live {
                net[number] = 0;
            } else if let Some(earlier) = seen.gone.replace(number) {
                net[earlier] = 0;
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_schemas::time::EventTime;

    /// Rows of (key, identity, value, diff), in blocks of `size`.
    fn blocks(rows: &[(&str, i64, i64, i32)], size: usize) -> Vec<Rows> {
        rows.chunks(size)
            .map(|chunk| {
                let mut block = Rows::new(2);
                for (key, identity, value, diff) in chunk {
                    let columns = block.begin(key, EventTime(*identity), *diff);
                    columns[0].push(*identity);
                    columns[1].push_list([*value, *value]);
                }
                block
            })
            .collect()
    }

    #[test]
    fn rows_that_are_only_added_are_left_alone() {
        let rows = [("a", 1, 1, 1), ("a", 1, 1, 1), ("b", 1, 1, 2)];
        assert_eq!(net(&blocks(&rows, 2)), None);
        assert_eq!(net(&[]), None);
    }

    #[test]
    fn opposite_rows_cancel_whatever_their_order_and_block() {
        let rows = [
            ("a", 1, 1, 1),
            ("a", 1, 1, -1),
            ("a", 1, 2, -1),
            ("b", 1, 2, 1),
            ("a", 1, 2, 1),
            ("a", 1, 1, 1),
            ("c", 1, 1, 3),
            ("c", 1, 1, -2),
        ];
        for size in 1..=rows.len() {
            assert_eq!(
                net(&blocks(&rows, size)),
                Some(vec![0, 0, 0, 1, 0, 1, 1, 0]),
                "blocks of {size}"
            );
        }
    }

    #[test]
    fn an_update_writes_the_new_row_and_a_lone_retraction_the_old_one() {
        let rows = [
            ("a", 1, 1, -1), // updated
            ("a", 1, 2, 1),
            ("a", 2, 1, -1), // gone
            ("b", 1, 2, 1),  // updated, the old one later
            ("b", 1, 1, -1),
            ("c", 1, 1, -1), // gone twice: the last is written
            ("c", 1, 2, -1),
        ];
        for size in 1..=rows.len() {
            let blocks = blocks(&rows, size);
            let mut left = net(&blocks).expect("there are negative differences");
            newest(&blocks, &mut left, &[0]);
            assert_eq!(left, [0, 1, -1, 1, 0, 0, -1], "blocks of {size}");
        }
    }

    /// Some rows of few keys, and into blocks of how many they go.
    fn some_rows(state: &mut u64) -> (Vec<(&'static str, i64, i64, i32)>, usize) {
        let mut below = |n: u64| {
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            (*state >> 11) % n
        };
        let rows = (0..below(30)).map(|_| {
            let key = ["a", "b"][below(2) as usize];
            let diff = [1, -1, 1, -1, 2, -3][below(6) as usize];
            (key, below(2) as i64, below(2) as i64, diff)
        });
        (rows.collect(), 1 + below(7) as usize)
    }

    #[test]
    fn upserts_are_the_new_rows_and_of_what_is_gone_the_last() {
        let mut state = 0xFACE;
        for case in 0..2_000 {
            let (rows, size) = some_rows(&mut state);
            let blocks = blocks(&rows, size);
            let Some(net) = net(&blocks) else { continue };
            let mut left = net.clone();
            newest(&blocks, &mut left, &[0]);
            let same = |a: usize, b: usize| (rows[a].0, rows[a].1) == (rows[b].0, rows[b].1);
            for (row, left) in left.iter().enumerate() {
                let mut others = (0..rows.len()).filter(|other| same(row, *other));
                let expected = match net[row] {
                    gone @ ..0 => match others.any(|o| net[o] > 0 || net[o] < 0 && o > row) {
                        true => 0,
                        false => gone,
                    },
                    kept => kept,
                };
                assert_eq!(*left, expected, "case {case}: row {row} of {rows:?}");
            }
        }
    }

    #[test]
    fn net_differences_are_those_of_a_multiset() {
        use std::collections::BTreeMap;
        let mut state = 0x5EED;
        for case in 0..2_000 {
            let (rows, size) = some_rows(&mut state);
            let blocks = blocks(&rows, size);
            let mut sums = BTreeMap::new();
            for (key, identity, value, diff) in &rows {
                *sums.entry((key, identity, value)).or_insert(0) += diff;
            }
            let left = net(&blocks).unwrap_or_else(|| rows.iter().map(|row| row.3).collect());
            let mut left_sums = BTreeMap::new();
            for ((key, identity, value, diff), net) in rows.iter().zip(&left) {
                assert!(net.signum() == 0 || net.signum() == diff.signum());
                let sum = sums[&(key, identity, value)];
                assert!(
                    net.signum() == 0 || net.signum() == i32::signum(sum),
                    "case {case}"
                );
                *left_sums.entry((key, identity, value)).or_insert(0) += net;
            }
            assert_eq!(sums, left_sums, "case {case}: {rows:?}");
        }
    }
}
