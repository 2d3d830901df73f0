//! The keys of a worker and what is kept for each: a slab of slots, found by hash.
//!
//! A slot lives while its state matters, or facts of its key wait, and is given back after that:
//! when three quarters of the slab stand empty it is rebuilt, so that keys that fell silent leave
//! nothing behind.

use hashbrown::HashTable;
use tidegate_schemas::fact::FactBlock;
use tidegate_schemas::names::KeyHash;
use tidegate_schemas::time::EventTime;

/// What is kept for one key.
#[derive(Debug)]
pub(super) struct Slot<S> {
    pub(super) hash: KeyHash,
    pub(super) name: Box<str>,
    /// Facts that hold a reference to this slot.
    pub(super) waiting: u32,
    /// The time of the one timer entry that counts; `MAX` when there is none.
    pub(super) timer: EventTime,
    pub(super) state: S,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    check: u32,
    slot: u32,
}

impl Entry {
    fn is(&self, key: KeyHash) -> bool {
        self.hash == key.hash && self.check == key.check
    }
}

/// All slots of a worker.
#[derive(Debug)]
pub(super) struct Store<S> {
    table: HashTable<Entry>,
    slots: Vec<Option<Slot<S>>>,
    free: Vec<u32>,
}

/// Slabs smaller than this are never rebuilt.
const SMALL: usize = 4096;

impl<S: Default> Store<S> {
    pub(super) fn new() -> Store<S> {
        Store {
            table: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// The slot of a key, made if it is new.
    pub(super) fn find_or_add(&mut self, hash: KeyHash, name: &str) -> u32 {
        let Store { table, slots, free } = self;
        let found = table
            .entry(hash.hash, |e| e.is(hash), |e| e.hash)
            .or_insert_with(|| {
                let slot = Slot {
                    hash,
                    name: name.into(),
                    waiting: 0,
                    timer: EventTime::MAX,
                    state: S::default(),
                };
                let index = free.pop().unwrap_or_else(|| {
                    slots.push(None);
                    slots.len() as u32 - 1
                });
                slots[index as usize] = Some(slot);
                Entry {
                    hash: hash.hash,
                    check: hash.check,
                    slot: index,
                }
            });
        found.get().slot
    }

    /// The slot of every key of a block that has a fact; of the others, none that exists. One key after
    /// the other, since nothing else hides how long a look-up takes.
    pub(super) fn slots_of(&mut self, block: &FactBlock) -> Vec<u32> {
        let keys = block.present_keys().into_iter().enumerate();
        keys.map(|(key, present)| match present {
            true => self.find_or_add(block.keys.hash(key as u32), block.keys.names.get(key)),
            false => u32::MAX,
        })
        .collect()
    }

    /// A slot that the caller knows to exist.
    pub(super) fn get_mut(&mut self, index: u32) -> &mut Slot<S> {
        self.slots[index as usize]
            .as_mut()
            .expect("a slot lives while anything refers to it")
    }

    /// A slot that may be gone: timers outlive what they were set for.
    pub(super) fn get_if_alive(&mut self, index: u32) -> Option<&mut Slot<S>> {
        self.slots.get_mut(index as usize).and_then(Option::as_mut)
    }

    /// Drops a key.
    pub(super) fn remove(&mut self, index: u32) {
        if let Some(slot) = self.slots[index as usize].take() {
            if let Ok(entry) = self.table.find_entry(slot.hash.hash, |e| e.is(slot.hash)) {
                entry.remove();
            }
            self.free.push(index);
        }
    }

    /// All live slots.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Slot<S>)> {
        self.slots
            .iter_mut()
            .enumerate()
            .filter_map(|(i, s)| s.as_mut().map(|s| (i as u32, s)))
    }

    /// How many keys live.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Bytes held, without what states keep on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Option<Slot<S>>>()
            + self.table.allocation_size()
            + self.free.capacity() * size_of::<u32>()
    }

    /// Rebuilds the slab when it is mostly empty. Answers where each slot went, for those who keep
    /// indexes; `None` when nothing moved.
    pub(super) fn shrink(&mut self) -> Option<Vec<u32>> {
        if self.slots.len() < SMALL || self.len() * 4 > self.slots.len() {
            return None;
        }
        let mut moved = vec![u32::MAX; self.slots.len()];
        let mut slots = Vec::with_capacity(self.len());
        let mut table = HashTable::with_capacity(self.len());
        for (old, slot) in self.slots.drain(..).enumerate() {
            if let Some(slot) = slot {
                let index = slots.len() as u32;
                moved[old] = index;
                let KeyHash { hash, check } = slot.hash;
                table.insert_unique(
                    hash,
                    Entry {
                        hash,
                        check,
                        slot: index,
                    },
                    |e: &Entry| e.hash,
                );
                slots.push(Some(slot));
            }
        }
        *self = Store {
            table,
            slots,
            free: Vec::new(),
        };
        Some(moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_key_leaves_nothing_behind() {
        let mut store: Store<u64> = Store::new();
        for n in 0..100_000u32 {
            let name = format!("c{n}");
            let slot = store.find_or_add(KeyHash::of(&name), &name);
            assert_eq!(store.find_or_add(KeyHash::of(&name), &name), slot);
        }
        let full = store.bytes();
        for slot in 0..99_990 {
            store.remove(slot);
        }
        let moved = store.shrink().expect("it is mostly empty");
        assert_eq!(store.len(), 10);
        assert!(
            store.bytes() * 1_000 < full,
            "{} of {full} bytes",
            store.bytes()
        );
        assert_eq!(
            store.find_or_add(KeyHash::of("c99995"), "c99995"),
            moved[99_995]
        );
        assert_eq!(store.find_or_add(KeyHash::of("c5"), "c5"), 10);
    }
}
