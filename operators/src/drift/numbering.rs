//! Words numbered in the order in which they come, for the hot path.

use tidegate_schemas::fact::NULL;

use super::table::spread;

/// The number of each word there has been, from 0: open addressing, linear probing, at most a quarter full.
/// [`NULL`] has none.
///
/// # State
/// About 100 bytes for each word.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    words: Vec<i64>,
    /// Words with their numbers; [`NULL`] marks a free place. The length is a power of two.
    places: Vec<(i64, u32)>,
}

const FEWEST_PLACES: usize = 64;

impl Numbering {
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    pub(super) fn word(&self, number: usize) -> i64 {
        self.words[number]
    }

    /// The number of a word, which may be a new one as long as there are fewer than `most`.
    #[inline]
    pub(super) fn number(&mut self, word: i64, most: usize) -> Option<u32> {
        let mask = self.places.len().wrapping_sub(1);
        let mut place = spread(word as u64) & mask;
        while let Some((known, number)) = self.places.get(place) {
            match *known {
                known if known == word => return Some(*number),
                NULL => break,
                _ => place = (place + 1) & mask,
            }
        }
        (self.words.len() < most).then(|| self.enter(word))
    }

    #[cold]
    fn enter(&mut self, word: i64) -> u32 {
        let number = self.words.len() as u32;
        self.words.push(word);
        if self.words.len() * 4 > self.places.len() {
            let places = (self.places.len() * 2).max(FEWEST_PLACES);
            self.places = vec![(NULL, 0); places];
            for (number, word) in (0..).zip(&self.words) {
                let place = self.free_place(*word);
                self.places[place] = (*word, number);
            }
        } else {
            let place = self.free_place(word);
            self.places[place] = (word, number);
        }
        number
    }

    /// The free place where a new word goes. There always is one.
    fn free_place(&self, word: i64) -> usize {
        let mask = self.places.len() - 1;
        let mut place = spread(word as u64) & mask;
        while self.places[place].0 != NULL {
            place = (place + 1) & mask;
        }
        place
    }
}
