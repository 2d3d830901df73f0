//! Counts by segment and word, for the hot path.

use tidegate_schemas::fact::NULL;

/// Counts by segment and word: open addressing, linear probing, at most a quarter full and far less with
/// few categories, so that a category is mostly where it is looked for first.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// A word that is [`NULL`] marks a free place. The length is a power of two.
    places: Vec<Place>,
    used: usize,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    word: i64,
    segment: u32,
    /// Of the rows of a few batches.
    count: i32,
}

const FREE: Place = Place {
    word: NULL,
    segment: 0,
    count: 0,
};
const FEWEST_PLACES: usize = 512;

impl Table {
    #[inline]
    pub(super) fn add(&mut self, segment: u32, word: i64, count: i32) {
        if self.places.is_empty() {
            self.places.resize(FEWEST_PLACES, FREE);
        }
        let place = self.place(segment, word);
        let here = &mut self.places[place];
        here.count += count;
        if here.word == NULL {
            (here.word, here.segment) = (word, segment);
            self.used += 1;
            if self.used * 4 > self.places.len() {
                self.resize(self.places.len() * 2);
            }
        }
    }

    /// Where a word is, or the free place where it would be. There always is a free one.
    #[inline]
    fn place(&self, segment: u32, word: i64) -> usize {
        let mask = self.places.len() - 1;
        let mixed = word as u64 ^ u64::from(segment).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let mut place = spread(mixed) & mask;
        loop {
            let here = &self.places[place];
            if here.word == NULL || here.word == word && here.segment == segment {
                return place;
            }
            place = (place + 1) & mask;
        }
    }

    fn resize(&mut self, places: usize) {
        let old = std::mem::replace(&mut self.places, vec![FREE; places]);
        for entry in old.into_iter().filter(|entry| entry.word != NULL) {
            let place = self.place(entry.segment, entry.word);
            self.places[place] = entry;
        }
    }

    /// Gives (segment, word, count) of all that is not zero, and begins anew.
    pub(super) fn drain(&mut self, mut give: impl FnMut(u32, i64, i64)) {
        if self.used == 0 {
            return;
        }
        for place in self.places.iter().filter(|place| place.count != 0) {
            give(place.segment, place.word, i64::from(place.count));
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

/// Where to look for a word first. Whole numbers in a row spread, codes (hashes already) stay spread, and so do
/// floats, whose last bits are mostly zero: that is why both halves of the product count.
#[inline]
pub(super) fn spread(word: u64) -> usize {
    let product = u128::from(word) * 0x9e37_79b9_7f4a_7c15;
    ((product >> 64) as u64 ^ product as u64) as usize >> 20
}
