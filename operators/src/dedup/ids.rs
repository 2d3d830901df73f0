//! The ids that were seen, with when they were and what they said.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use tidegate_schemas::time::EventTime;

use super::spread;

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
/// which nearly all are, only the table is looked at, and that is small.
#[derive(Debug)]
pub(super) struct Ids {
    all: Vec<Seen>,
    /// Places in `all`, by id.
    places: HashTable<u32>,
    /// Swept when it grows to this.
    limit: usize,
}

/// Tables smaller than this are not swept.
pub(super) const SMALL: usize = 1 << 12;

impl Default for Ids {
    fn default() -> Ids {
        Ids {
            all: Vec::new(),
            places: HashTable::new(),
            limit: SMALL,
        }
    }
}

impl Ids {
    /// What is known of the id; `None` when it is new, and known from now on.
    // Inlined, or the row would be written to the stack and read back at once in larger pieces,
    // for which the processor waits until all that was written before has left its buffer.
    #[inline(always)]
    pub(super) fn meet(&mut self, seen: Seen) -> Option<&mut Seen> {
        let all = &mut self.all;
        let place = self.places.entry(
            spread(seen.id),
            |place| all[*place as usize].id == seen.id,
            |place| spread(all[*place as usize].id),
        );
        match place {
            Entry::Occupied(place) => Some(&mut all[*place.get() as usize]),
            Entry::Vacant(place) => {
                place.insert(u32::try_from(all.len()).expect("a worker knows below 2^32 ids"));
                all.push(seen);
                None
            }
        }
    }

    /// Brings what [`Ids::meet`] will look at nearer to the processor.
    #[inline]
    pub(super) fn touch(&self, id: u64) -> u64 {
        self.places
            .find(spread(id), |_| true)
            .map_or(0, |place| u64::from(*place))
    }

    /// Whether the id is known.
    pub(super) fn knows(&self, id: u64) -> bool {
        let is = |place: &u32| self.all[*place as usize].id == id;
        self.places.find(spread(id), is).is_some()
    }

    /// Forgets the ids from before `horizon`, if there are enough of all to make it worth while;
    /// answers whether it did.
    pub(super) fn sweep(&mut self, horizon: EventTime) -> bool {
        if self.all.len() < self.limit {
            return false;
        }
        self.all.retain(|seen| seen.at >= horizon);
        self.limit = SMALL.max(self.all.len() * 2);
        self.places.clear();
        // Nights are quieter than days: room that may soon be wanted again is kept.
        if self.all.capacity() > self.limit * 16 {
            self.all.shrink_to(self.limit);
            self.places = HashTable::with_capacity(self.limit);
        }
        let all = &self.all;
        let hash = |place: &u32| spread(all[*place as usize].id);
        for (place, seen) in all.iter().enumerate() {
            self.places
                .insert_unique(spread(seen.id), place as u32, hash);
        }
        true
    }

    /// All that is known, in the order in which it came.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Seen> {
        self.all.iter()
    }
}
