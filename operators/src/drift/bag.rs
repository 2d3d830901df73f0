//! How many rows there are of each word: a sorted list, with what is new waiting to be merged in.

use crate::codec::{CodecError, Reader, Writer};

/// Rows by word: by category, by bin, or by value.
///
/// Counts are signed, since rows that are taken back may be counted before those they take back;
/// once all rows of a tick are in, none is negative.
///
/// # State
/// 16 bytes for each word that has rows, and as much again at most for what is not merged.
#[derive(Clone, Debug, Default)]
pub(super) struct Bag {
    /// Ascending by word; no count is zero.
    merged: Vec<(i64, i64)>,
    new: Vec<(i64, i64)>,
    rows: i64,
}

/// So many counts are not worth a merge.
const FEW: usize = 64;

impl Bag {
    /// Adds `count` rows, or takes them back.
    pub(super) fn add(&mut self, word: i64, count: i64) {
        self.rows += count;
        if self.merged.len() <= FEW && self.new.is_empty() {
            self.add_in_place(word, count);
            return;
        }
        self.new.push((word, count));
        if self.new.len() > FEW + self.merged.len() {
            self.merge();
        }
    }

    /// Bins and categories are mostly few and known.
    fn add_in_place(&mut self, word: i64, count: i64) {
        match self.merged.binary_search_by_key(&word, |(known, _)| *known) {
            Ok(place) => {
                self.merged[place].1 += count;
                if self.merged[place].1 == 0 {
                    self.merged.remove(place);
                }
            }
            Err(place) if count != 0 => self.merged.insert(place, (word, count)),
            Err(_) => {}
        }
    }

    /// Adds all that another has, so many times: 1 or −1.
    pub(super) fn add_all(&mut self, other: &Bag, times: i64) {
        for (word, count) in other.merged.iter().chain(&other.new) {
            self.add(*word, count * times);
        }
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> i64 {
        self.rows
    }

    /// The words that have rows, ascending, with their counts.
    pub(super) fn counts(&mut self) -> &[(i64, i64)] {
        self.merge();
        &self.merged
    }

    fn merge(&mut self) {
        if self.new.is_empty() {
            return;
        }
        self.new.sort_unstable();
        if self.new.iter().all(|(word, _)| {
            self.merged
                .binary_search_by_key(word, |(known, _)| *known)
                .is_ok()
        }) {
            self.merge_known();
        } else {
            let mut all = std::mem::take(&mut self.merged);
            all.append(&mut self.new);
            // Two runs in order: the sort is a merge.
            all.sort_by_key(|(word, _)| *word);
            all.dedup_by(|next, first| {
                let same = next.0 == first.0;
                if same {
                    first.1 += next.1;
                }
                same
            });
            self.merged = all;
        }
        self.merged.retain(|(_, count)| *count != 0);
    }

    /// Words that are known already, as categories and bins mostly are, change where they stand.
    fn merge_known(&mut self) {
        let mut place = 0;
        for (word, count) in self.new.drain(..) {
            place += self.merged[place..].partition_point(|(known, _)| *known < word);
            self.merged[place].1 += count;
        }
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        let mut all = self.clone();
        let counts = all.counts();
        to.length(counts.len());
        for (word, count) in counts {
            to.word(*word);
            to.word(*count);
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Bag, CodecError> {
        let mut bag = Bag::default();
        for _ in 0..from.length("the number of counts")? {
            let word = from.word("what is counted")?;
            let count = from.word("a count")?;
            let ascending = bag.merged.last().is_none_or(|(last, _)| *last < word);
            let rows = bag.rows.checked_add(count);
            match rows.filter(|_| ascending && count != 0) {
                Some(rows) => bag.rows = rows,
                None => return Err(from.error("counts that are in order and add up")),
            }
            bag.merged.push((word, count));
        }
        Ok(bag)
    }
}

/// Bags are the same that count the same.
impl PartialEq for Bag {
    fn eq(&self, other: &Bag) -> bool {
        self.clone().counts() == other.clone().counts()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn a_bag_counts_as_a_map_does_and_survives_its_codec() {
        for seed in 0..200 {
            let mut rng = SmallRng::seed_from_u64(seed);
            let (mut bag, mut map) = (Bag::default(), BTreeMap::new());
            let words = [3, 50, 2_000][rng.random_range(0..3)];
            for _ in 0..rng.random_range(0..3_000) {
                let (word, count) = (rng.random_range(0..words), rng.random_range(-1..=1));
                bag.add(word, count);
                *map.entry(word).or_insert(0) += count;
                if rng.random_bool(0.01) {
                    bag.counts();
                }
            }
            map.retain(|_, count| *count != 0);
            assert_eq!(bag.rows(), map.values().sum::<i64>(), "seed {seed}");
            let expected: Vec<(i64, i64)> = map.into_iter().collect();
            assert_eq!(bag.clone().counts(), expected, "seed {seed}");
            let mut to = Writer::default();
            bag.encode(&mut to);
            assert_eq!(Bag::decode(&mut Reader::new(&to.bytes)), Ok(bag));
        }
    }

    #[test]
    fn what_is_no_bag_is_refused() {
        let wrong = [
            [1, 1, 1, 1],
            [2, 1, 1, 1],
            [1, 0, 2, 1],
            [1, i64::MAX, 2, 1],
        ];
        for counts in wrong {
            let mut to = Writer::default();
            to.length(2);
            counts.into_iter().for_each(|word| to.word(word));
            assert!(Bag::decode(&mut Reader::new(&to.bytes)).is_err());
        }
    }
}
