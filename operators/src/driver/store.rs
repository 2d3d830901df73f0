//! The keys of a worker and what is kept for each: a slab of slots, found by hash.
//!
//! A slot lives while its state matters, or facts of its key wait, and is given back after that:
//! when three quarters of the slab stand empty it is rebuilt, so that keys that fell silent leave
//! nothing behind.
//!
//! # State
//! Per key its slot, 32 bytes and the state; its name; and 19 to 39 bytes of the table that finds it.

use std::hint::black_box;

use hashbrown::HashTable;
use tidegate_schemas::fact::Keys;
use tidegate_schemas::names::KeyHash;
use tidegate_schemas::time::EventTime;

use super::AHEAD;
use super::names::{Names, Place};
use crate::parcel::shard_of;

/// What is kept for one key.
#[derive(Debug)]
pub(super) struct Slot<S> {
    /// The time of the one timer entry that counts; `MAX` when there is none.
    pub(super) timer: EventTime,
    pub(super) state: S,
    hash: u64,
    check: u32,
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
        shard_of(self.hash)
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    check: u32,
    slot: u32,
}

impl Entry {
    #[inline]
    fn is(&self, key: KeyHash) -> bool {
        self.hash == key.hash && self.check == key.check
    }
}

/// All slots of a worker.
#[derive(Debug)]
pub(super) struct Store<S> {
    table: HashTable<Entry>,
    slots: Vec<Slot<S>>,
    free: Vec<u32>,
    names: Names,
}

/// Slabs smaller than this are never rebuilt.
const SMALL: usize = 4096;

impl<S: Default> Store<S> {
    pub(super) fn new() -> Store<S> {
        Store {
            table: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            names: Names::default(),
        }
    }

    /// The slot of a key, made if it is new.
    #[inline]
    pub(super) fn find_or_add(&mut self, key: KeyHash, name: &str) -> u32 {
        let Store {
            table,
            slots,
            free,
            names,
        } = self;
        let found = table.entry(key.hash, |e| e.is(key), |e| e.hash);
        found
            .or_insert_with(|| {
                let slot = Slot {
                    timer: EventTime::MAX,
                    state: S::default(),
                    hash: key.hash,
                    check: key.check,
                    waiting: 0,
                    name: names.add(name),
                };
                let index = match free.pop() {
                    Some(index) => {
                        slots[index as usize] = slot;
                        index
                    }
                    None => {
                        slots.push(slot);
                        slots.len() as u32 - 1
                    }
                };
                Entry {
                    hash: key.hash,
                    check: key.check,
                    slot: index,
                }
            })
            .get()
            .slot
    }

    /// The slots of those keys of a block that `has` says have a fact. One key after the other, since
    /// nothing else hides how long a look-up takes.
    pub(super) fn slots_of(&mut self, keys: &Keys, has: impl Fn(usize) -> bool) -> Vec<u32> {
        let slot = |key| {
            if key % AHEAD == 0 {
                let ahead = keys.hashes.iter().skip(key).take(AHEAD);
                black_box(ahead.fold(0, |sum, hash| sum ^ self.touch_entry(*hash)));
            }
            match has(key) {
                true => self.find_or_add(keys.hash(key as u32), keys.names.get(key)),
                false => u32::MAX,
            }
        };
        (0..keys.len()).map(slot).collect()
    }

    /// Brings the entry of a key nearer to the processor.
    #[inline]
    fn touch_entry(&self, hash: u64) -> u32 {
        self.table
            .find(hash, |_| true)
            .map_or(0, |entry| entry.slot)
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

    /// Brings a slot nearer to the processor.
    #[inline]
    pub(super) fn touch(&self, index: u32) -> u64 {
        let slot = &self.slots[index as usize];
        slot.timer.0 as u64 ^ slot.hash
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
        let (hash, check) = (slot.hash, slot.check);
        let key = KeyHash { hash, check };
        if let Ok(entry) = self.table.find_entry(key.hash, |e| e.is(key)) {
            entry.remove();
        }
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
            + self.table.allocation_size()
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
        self.table = HashTable::with_capacity(self.len());
        self.free = Vec::new();
        for (old, slot) in self.slots.drain(..).enumerate() {
            if !slot.is_alive() {
                continue;
            }
            let index = slots.len() as u32;
            moved[old] = index;
            let entry = Entry {
                hash: slot.hash,
                check: slot.check,
                slot: index,
            };
            self.table.insert_unique(slot.hash, entry, |e| e.hash);
            slots.push(slot);
        }
        self.slots = slots;
        Some(moved)
    }
}

#[cfg(test)]
mod tests {
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
}
