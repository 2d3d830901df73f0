//! Finds the slots of keys by half a hash.
//!
//! The table is made of buckets of eight keys that fill a line of the cache each, and a key lies in the
//! first bucket with room from the one that its tag names on. So one line nearly always tells which
//! slot may be a key's, without a guess how far to look; whoever has the slot has what is left to
//! compare. A slot remembers its place, so that dropping it waits for nothing.
//!
//! The tag is the lower half of a key's hash: the upper half says which worker owns the key
//! ([`shard_of`](crate::parcel::shard_of)), so that its values are not as good as random.

const KEYS: usize = 8;

/// Eight keys, of which some may be missing.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Bucket {
    tags: [u32; KEYS],
    /// One more than the slot; 0 where there is none.
    slots: [u32; KEYS],
}

impl Bucket {
    const EMPTY: Bucket = Bucket {
        tags: [NEVER; KEYS],
        slots: [0; KEYS],
    };
}

/// The tag where no slot ever was: nothing lies in a later bucket for want of room in this one.
const NEVER: u32 = 0;

/// The tag where a slot was dropped.
const DROPPED: u32 = 1;

/// The places of a word, a bit each.
#[inline]
fn places_of(word: u32, words: &[u32; KEYS]) -> u32 {
    let bits = words.iter().zip(0..);
    bits.fold(0, |sum, (w, bit)| sum | u32::from(*w == word) << bit)
}

/// A table of slots.
#[derive(Debug)]
pub(super) struct Table {
    /// A power of two.
    buckets: Vec<Bucket>,
    live: usize,
    /// Places that have or had a slot.
    used: usize,
}

impl Table {
    /// A table for so many keys, and half as many again.
    ///
    /// # Panics
    /// When that is more than 2^31.
    pub(super) fn for_keys(keys: usize) -> Table {
        let places = (keys * 2).next_power_of_two().max(2 * KEYS);
        assert!(
            places <= 1 << 32,
            "a worker has below 2^31 keys, not {keys}"
        );
        Table {
            buckets: vec![Bucket::EMPTY; places / KEYS],
            live: 0,
            used: 0,
        }
    }

    #[inline]
    fn home(&self, tag: u32) -> usize {
        tag as usize & (self.buckets.len() - 1)
    }

    /// The slot that has the tag and that `is` says is the one, or the place where it belongs.
    #[inline]
    pub(super) fn find(&self, tag: u32, is: impl Fn(u32) -> bool) -> Result<u32, u32> {
        let mut home = self.home(tag);
        let mut vacant = None;
        loop {
            let bucket = &self.buckets[home];
            let mut same = places_of(tag, &bucket.tags);
            while same != 0 {
                let slot = bucket.slots[same.trailing_zeros() as usize % KEYS];
                if slot != 0 && is(slot - 1) {
                    return Ok(slot - 1);
                }
                same &= same - 1;
            }
            let none = places_of(0, &bucket.slots);
            if vacant.is_none() && none != 0 {
                vacant = Some((home * KEYS) as u32 + none.trailing_zeros());
            }
            if let Some(place) = vacant
                && none & places_of(NEVER, &bucket.tags) != 0
            {
                return Err(place);
            }
            home = (home + 1) & (self.buckets.len() - 1);
        }
    }

    /// Brings what [`Table::find`] looks at first nearer to the processor.
    #[inline]
    pub(super) fn touch(&self, tag: u32) -> u32 {
        self.buckets[self.home(tag)].tags[0]
    }

    /// The slot that [`Table::find`] asks about first, if that is in the first bucket, or any number.
    #[inline]
    pub(super) fn first(&self, tag: u32) -> u32 {
        let bucket = &self.buckets[self.home(tag)];
        let same = places_of(tag, &bucket.tags);
        bucket.slots[same.trailing_zeros() as usize % KEYS].wrapping_sub(1)
    }

    /// The tag of the slot that has this place.
    #[inline]
    pub(super) fn tag(&self, place: u32) -> u32 {
        self.buckets[place as usize / KEYS].tags[place as usize % KEYS]
    }

    /// Puts a slot in the place that [`Table::find`] has named.
    #[inline]
    pub(super) fn put(&mut self, place: u32, tag: u32, slot: u32) {
        let bucket = &mut self.buckets[place as usize / KEYS];
        let place = place as usize % KEYS;
        self.used += usize::from(bucket.tags[place] == NEVER);
        self.live += 1;
        bucket.tags[place] = tag;
        bucket.slots[place] = slot + 1;
    }

    /// Adds a slot that the table does not have; answers its place.
    #[inline]
    pub(super) fn add(&mut self, tag: u32, slot: u32) -> u32 {
        let (Ok(place) | Err(place)) = self.find(tag, |_| false);
        self.put(place, tag, slot);
        place
    }

    /// Drops the slot that has this place.
    // Nothing is read here, so that nobody waits for it.
    #[inline]
    pub(super) fn remove(&mut self, place: u32) {
        let bucket = &mut self.buckets[place as usize / KEYS];
        bucket.tags[place as usize % KEYS] = DROPPED;
        bucket.slots[place as usize % KEYS] = 0;
        self.live -= 1;
    }

    /// Whether it has to be built anew before another slot is put in: it is three quarters full.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.used * 4 >= self.buckets.len() * KEYS * 3
    }

    /// The tags and slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        let all = self
            .buckets
            .iter()
            .flat_map(|b| b.tags.into_iter().zip(b.slots));
        all.filter_map(|(tag, slot)| Some((tag, slot.checked_sub(1)?)))
    }

    /// How many slots it has.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<Bucket>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// The table with the tags and places of its slots.
    struct Checked {
        table: Table,
        slots: HashMap<u32, (u32, u32)>,
    }

    impl Checked {
        fn add(&mut self, tag: u32, slot: u32) {
            let place = self.table.find(tag, |_| false).unwrap_err();
            self.table.put(place, tag, slot);
            self.slots.insert(slot, (tag, place));
            if self.table.is_full() {
                let mut table = Table::for_keys(self.table.len());
                for (tag, slot) in self.table.iter() {
                    self.slots.insert(slot, (tag, table.add(tag, slot)));
                }
                self.table = table;
            }
        }

        fn remove(&mut self, slot: u32) {
            let (_, place) = self.slots.remove(&slot).unwrap();
            self.table.remove(place);
        }

        fn check(&self) {
            let tags: HashMap<_, _> = self.table.iter().map(|(tag, slot)| (slot, tag)).collect();
            assert_eq!(self.table.len(), self.slots.len());
            // So that a look-up ends soon.
            let places = self.table.buckets.len() * KEYS;
            assert!(self.table.used * 4 < places * 3, "of {places} places");
            assert_eq!(tags.len(), self.slots.len());
            for (slot, (tag, place)) in &self.slots {
                assert_eq!(tags[slot], *tag);
                assert_eq!(self.table.tag(*place), *tag);
                assert_eq!(self.table.find(*tag, |s| s == *slot), Ok(*slot));
            }
        }
    }

    #[test]
    fn slots_are_found_whatever_their_tags_are() {
        for seed in 0..30 {
            let mut random = StdRng::seed_from_u64(seed);
            // From one tag for all to no tag twice, among them those that mean that there is no slot.
            let tags = [1, 2, 5, 300, u32::MAX][random.random_range(0..5)];
            let mut checked = Checked {
                table: Table::for_keys(0),
                slots: HashMap::new(),
            };
            for slot in 0..1_500 {
                checked.add(random.random_range(0..tags), slot);
                while random.random_bool(0.45) {
                    let drop = checked.slots.keys().min().copied();
                    drop.into_iter().for_each(|slot| checked.remove(slot));
                }
                if slot % 50 == 0 {
                    checked.check();
                }
            }
            checked.check();
        }
    }

    #[test]
    fn places_are_used_again_and_the_table_stays_as_small_as_what_it_holds() {
        let mut table = Table::for_keys(1_000);
        let bytes = table.bytes();
        let mut random = StdRng::seed_from_u64(1);
        let mut places: Vec<_> = (0..1_000)
            .map(|slot| table.add(random.random(), slot))
            .collect();
        let mut built = 0;
        for turn in 0..100_000 {
            let slot = turn % 1_000;
            table.remove(places[slot]);
            places[slot] = table.add(random.random(), slot as u32);
            if table.is_full() {
                built += 1;
                let mut new = Table::for_keys(table.len());
                table
                    .iter()
                    .for_each(|(tag, slot)| places[slot as usize] = new.add(tag, slot));
                table = new;
                assert_eq!(table.bytes(), bytes);
            }
        }
        assert!(built < 100, "built {built} times");
    }
}
