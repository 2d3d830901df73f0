//! The keys of a worker and what is kept for each: a slab of slots, found by hash.
//!
//! A slot lives while its state matters, or facts of its key wait, and is given back after that:
//! when three quarters of the slab stand empty it is rebuilt, so that keys that fell silent leave
//! nothing behind.
//!
//! # State
//! Per key its slot, 32 bytes and the state; its name; and 11 to 21 bytes of the table that finds it, or
//! up to 32 where keys come and go. What dropped keys leave in slab and table comes on top until then.

use std::hint::black_box;

use tidegate_schemas::fact::Keys;
use tidegate_schemas::names::KeyHash;
use tidegate_schemas::time::EventTime;

use super::AHEAD;
use super::names::{Names, Place};
use super::table::Table;
use crate::parcel::shard_of;

/// What is kept for one key.
#[derive(Debug)]
pub(super) struct Slot<S> {
    /// The time of the one timer entry that counts; `MAX` when there is none.
    pub(super) timer: EventTime,
    pub(super) state: S,
    /// The upper half of the key's hash; the table has the lower.
    hash: u32,
    check: u32,
    /// Where it is in the table.
    place: u32,
    /// Facts that wait and hold a reference to this slot.
    pub(super) waiting: u32,
    /// Nowhere in a slot that waits to be given to another key.
    name: Place,
}

impl<S> Slot<S> {
    #[inline]
    fn is_alive(&self) -> bool {
        self.name != Place::NOWHERE
    }

    /// The shard of its key.
    pub(super) fn shard(&self) -> u64 {
        shard_of(u64::from(self.hash) << 32)
    }

    /// The upper half of the hash of its key.
    #[inline]
    pub(super) fn tag(&self) -> u32 {
        self.hash
    }

    /// Whether it is the key's, if their tags are alike.
    #[inline]
    fn is(&self, key: KeyHash) -> bool {
        self.hash == (key.hash >> 32) as u32 && self.check == key.check
    }
}

/// All slots of a worker.
#[derive(Debug)]
pub(super) struct Store<S> {
    table: Table,
    slots: Vec<Slot<S>>,
    free: Vec<u32>,
    names: Names,
}

/// Slabs smaller than this are never rebuilt.
const SMALL: usize = if cfg!(test) { 4 } else { 4096 };

impl<S: Default> Store<S> {
    pub(super) fn new() -> Store<S> {
        Store {
            table: Table::for_keys(0),
            slots: Vec::new(),
            free: Vec::new(),
            names: Names::default(),
        }
    }

    /// The slot of a key, made if it is new.
    #[inline]
    pub(super) fn find_or_add(&mut self, key: KeyHash, name: &str) -> u32 {
        match self.find(key) {
            Ok(slot) => slot,
            Err(place) => self.add(place, key, name),
        }
    }

    #[inline]
    fn find(&self, key: KeyHash) -> Result<u32, u32> {
        let slots = &self.slots;
        self.table
            .find(key.hash as u32, |slot| slots[slot as usize].is(key))
    }

    /// Makes the slot of a key whose place was found.
    fn add(&mut self, place: u32, key: KeyHash, name: &str) -> u32 {
        let tag = key.hash as u32;
        let index = self.free.pop().unwrap_or(self.slots.len() as u32);
        self.table.put(place, tag, index);
        let slot = Slot {
            timer: EventTime::MAX,
            state: S::default(),
            hash: (key.hash >> 32) as u32,
            check: key.check,
            place,
            waiting: 0,
            name: self.names.add(name),
        };
        match self.slots.get_mut(index as usize) {
            Some(free) => *free = slot,
            None => self.slots.push(slot),
        }
        if self.table.is_full() {
            self.rebuild_table();
        }
        index
    }

    /// Makes room in the table.
    #[cold]
    fn rebuild_table(&mut self) {
        let mut table = Table::for_keys(self.len());
        for (tag, slot) in self.table.iter() {
            self.slots[slot as usize].place = table.add(tag, slot);
        }
        self.table = table;
    }

    /// The slots of those keys of a block that `has` says have a fact. One key after the other, since
    /// nothing else hides how long a look-up takes.
    pub(super) fn slots_of(&mut self, keys: &Keys, has: impl Fn(usize) -> bool) -> Vec<u32> {
        let present: Vec<usize> = (0..keys.len()).filter(|key| has(*key)).collect();
        let hashes: Vec<u64> = present.iter().map(|key| keys.hashes[*key]).collect();
        let mut slots = vec![u32::MAX; keys.len()];
        for (place, key) in present.into_iter().enumerate() {
            if place % AHEAD == 0 {
                self.touch_keys(&hashes[place..]);
            }
            slots[key] = self.find_or_add(keys.hash(key as u32), keys.names.get(key));
        }
        slots
    }

    /// Brings the slots of the next [`AHEAD`] keys nearer to the processor, and what finds those behind
    /// them. What must be waited for is read at once, without work in between.
    #[inline]
    fn touch_keys(&self, hashes: &[u64]) {
        let mut slots = [0; AHEAD];
        for (slot, hash) in slots.iter_mut().zip(hashes) {
            *slot = self.table.first(*hash as u32);
        }
        let mut sum = 0;
        for slot in slots {
            sum ^= self.slots.get(slot as usize).map_or(0, |slot| slot.check);
        }
        for hash in hashes.iter().skip(AHEAD).take(AHEAD) {
            sum ^= self.table.touch(*hash as u32);
        }
        black_box(sum);
    }

    /// A slot that the caller knows to exist.
    #[inline]
    pub(super) fn get_mut(&mut self, index: u32) -> &mut Slot<S> {
        let slot = &mut self.slots[index as usize];
        debug_assert!(slot.is_alive(), "a slot lives while anything refers to it");
        slot
    }

    /// A slot that the caller knows to exist, and the name of its key.
    #[inline]
    pub(super) fn get_with_name(&mut self, index: u32) -> (&mut Slot<S>, &str) {
        let slot = &mut self.slots[index as usize];
        let name = self.names.get(slot.name);
        (slot, name)
    }

    /// Brings a slot and the name of its key nearer to the processor.
    #[inline]
    pub(super) fn touch(&self, index: u32) -> u64 {
        let slot = &self.slots[index as usize];
        slot.timer.0 as u64 ^ u64::from(slot.hash) ^ u64::from(self.names.touch(slot.name))
    }

    /// The name of a slot's key.
    pub(super) fn name_of(&self, slot: &Slot<S>) -> &str {
        self.names.get(slot.name)
    }

    /// The slot that this timer was set for, and the name of its key, if it still counts: timers
    /// outlive what they were set for.
    #[inline]
    pub(super) fn due(&mut self, index: u32, at: EventTime) -> Option<(&mut Slot<S>, &str)> {
        let slot = self.slots.get(index as usize)?;
        (slot.is_alive() && slot.timer == at).then(|| self.get_with_name(index))
    }

    /// Drops a key; what its state held is given back at once.
    pub(super) fn remove(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        slot.timer = EventTime::MAX;
        slot.state = S::default();
        self.names
            .remove(std::mem::replace(&mut slot.name, Place::NOWHERE));
        self.table.remove(slot.place);
        self.free.push(index);
    }

    /// How many slots there are, live or not.
    pub(super) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    /// A slot, if it lives, and the name of its key.
    #[inline]
    pub(super) fn live(&mut self, index: u32) -> Option<(&mut Slot<S>, &str)> {
        let alive = self.slots[index as usize].is_alive();
        alive.then(|| self.get_with_name(index))
    }

    /// The live ones of [`AHEAD`] slots.
    #[inline]
    pub(super) fn part(&self, start: usize) -> impl Iterator<Item = (u32, &Slot<S>)> {
        let slots = self.slots.iter().enumerate().skip(start).take(AHEAD);
        slots.filter_map(|(i, slot)| slot.is_alive().then_some((i as u32, slot)))
    }

    /// All live slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Slot<S>)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(i, slot)| slot.is_alive().then_some((i as u32, slot)))
    }

    /// All live slots.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Slot<S>)> {
        let slots = self.slots.iter_mut().enumerate();
        slots.filter_map(|(i, slot)| slot.is_alive().then_some((i as u32, slot)))
    }

    /// How many keys live.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Bytes held, without what states keep on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot<S>>()
            + self.table.bytes()
            + self.free.capacity() * size_of::<u32>()
            + self.names.bytes()
    }

    /// Gives back what dropped keys have left, when it is most of what is held. Answers where each
    /// slot went, for those who keep indexes; `None` when nothing moved.
    pub(super) fn shrink(&mut self) -> Option<Vec<u32>> {
        if self.names.is_sparse() {
            let mut names = self.names.room_for_rest();
            for slot in self.slots.iter_mut().filter(|slot| slot.is_alive()) {
                slot.name = names.add(self.names.get(slot.name));
            }
            self.names = names;
        }
        if self.slots.len() < SMALL || self.len() * 4 > self.slots.len() {
            return None;
        }
        let mut moved = vec![u32::MAX; self.slots.len()];
        let mut slots = Vec::with_capacity(self.len());
        let mut table = Table::for_keys(self.len());
        self.free = Vec::new();
        for (old, mut slot) in self.slots.drain(..).enumerate() {
            if !slot.is_alive() {
                continue;
            }
            let index = slots.len() as u32;
            moved[old] = index;
            slot.place = table.add(self.table.tag(slot.place), index);
            slots.push(slot);
        }
        self.slots = slots;
        self.table = table;
        Some(moved)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn find(store: &mut Store<u64>, name: &str) -> u32 {
        store.find_or_add(KeyHash::of(name), name)
    }

    #[test]
    fn a_silent_key_leaves_nothing_behind() {
        let mut store: Store<u64> = Store::new();
        for n in 0..100_000u32 {
            let name = format!("c{n}");
            let slot = find(&mut store, &name);
            assert_eq!(find(&mut store, &name), slot);
        }
        let full = store.bytes();
        for slot in 0..99_990 {
            store.remove(slot);
        }
        let moved = store.shrink().expect("it is mostly empty");
        assert_eq!(store.len(), 10);
        assert_eq!(store.get_with_name(moved[99_991]).1, "c99991");
        assert!(
            store.bytes() * 1_000 < full,
            "{} of {full} bytes",
            store.bytes()
        );
        assert_eq!(find(&mut store, "c99995"), moved[99_995]);
        assert_eq!(find(&mut store, "c5"), 10);
    }

    /// Keys of which many share a tag, or lie in the same few buckets, or differ in `check` alone or in the
    /// upper half of the hash alone.
    fn crowded(n: u32) -> KeyHash {
        let tag = match n % 4 {
            0 => n % 3,
            1 => (n / 64) << 20,
            _ => n.wrapping_mul(0x9e37_79b9),
        };
        KeyHash {
            hash: u64::from(n / 8) << 32 | u64::from(tag),
            check: n % 8,
        }
    }

    #[test]
    fn keys_are_found_as_in_a_plain_map_while_they_come_and_go() {
        for seed in 0..6 {
            let mut random = StdRng::seed_from_u64(seed);
            let (mut store, mut map) = (Store::<u64>::new(), HashMap::<u32, u32>::new());
            for round in 0..60 {
                // The number of keys goes up and down.
                let keys = [100, 9_000, 20_000][round / 10 % 3];
                let mut block = Keys::default();
                let numbers: Vec<u32> = (0..keys / 10)
                    .map(|_| random.random_range(0..keys))
                    .collect();
                for &n in &numbers {
                    block.push(crowded(n), &n.to_string());
                }
                let slots = store.slots_of(&block, |key| key % 5 != 0);
                for (key, slot) in slots.into_iter().enumerate() {
                    if key % 5 == 0 {
                        assert_eq!(slot, u32::MAX);
                        continue;
                    }
                    let n = numbers[key];
                    let known = *map.entry(n).or_insert(slot);
                    assert_eq!(slot, known, "seed {seed}, round {round}, key {n}");
                    let (found, name) = store.get_with_name(slot);
                    assert_eq!(found.shard(), shard_of(crowded(n).hash));
                    assert_eq!(name, n.to_string());
                    found.state = u64::from(n);
                }
                let drop = random.random_range(0.0..1.0);
                map.retain(|n, slot| {
                    let keep = *n < keys && !random.random_bool(drop);
                    if !keep {
                        assert_eq!(store.get_mut(*slot).state, u64::from(*n));
                        store.remove(*slot);
                    }
                    keep
                });
                if let Some(moved) = store.shrink() {
                    map.values_mut()
                        .for_each(|slot| *slot = moved[*slot as usize]);
                }
                assert_eq!(store.len(), map.len());
                assert_eq!(store.iter().count(), map.len());
                for (n, slot) in &map {
                    assert_eq!(store.find(crowded(*n)), Ok(*slot), "seed {seed}, key {n}");
                }
            }
        }
    }
}
