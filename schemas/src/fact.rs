//! Facts: what one accepted row means to an entity, as numbers.
//!
//! A [`FactBlock`] is a batch of facts for the keys of one worker, row by row in plain vectors. Each
//! row has a head (key, time, id, bits) and `stride` words. A *bit* is a filter of the job that was
//! evaluated at the edge; a *word* is a measure as a fixed-point integer, or the code of a category.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::names::{KeyHash, Texts};
use crate::time::EventTime;

/// The word that stands for "no value".
pub const NULL: i64 = i64::MIN;

/// A float as a word: NaN is [`NULL`], the two zeros are one, and words are in the order of their
/// floats.
#[must_use]
pub fn float_word(value: f64) -> i64 {
    if value.is_nan() {
        NULL
    } else if value == 0.0 {
        0
    } else {
        ordered(value.to_bits() as i64)
    }
}

/// The bits of negative floats grow as these fall, so all but the sign are turned over, there and back.
#[inline]
fn ordered(bits: i64) -> i64 {
    bits ^ (bits >> 63) & i64::MAX
}

/// The float that [`float_word`] stored, or `None` for [`NULL`].
#[must_use]
pub fn word_float(word: i64) -> Option<f64> {
    (word != NULL).then(|| present_float(word))
}

/// The float that [`float_word`] stored in a word that is not [`NULL`].
#[inline]
#[must_use]
pub fn present_float(word: i64) -> f64 {
    f64::from_bits(ordered(word) as u64)
}

/// What every fact has: whose it is, when it was, which row it was, and which filters it passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Index into the block's [`FactBlock::keys`].
    pub key: u32,
    /// +1 for a fact that is so, −1 for one that is taken back, 0 for a row that was left out.
    pub diff: i32,
    /// Event time.
    pub at: EventTime,
    /// The event's id; facts of a key are ordered by (`at`, `id`).
    pub id: u64,
    /// One bit per filter of the job: set when the row passed it (false and null leave it clear).
    pub bits: u64,
}

/// One fact as a logic sees it.
#[derive(Clone, Copy, Debug)]
pub struct Fact<'a> {
    /// Event time.
    pub at: EventTime,
    /// The event's id.
    pub id: u64,
    /// One bit per filter of the job.
    pub bits: u64,
    /// Measures and codes; [`NULL`] where there is no value.
    pub words: &'a [i64],
}

impl Fact<'_> {
    /// Whether the row passed a filter; no filter passes every row.
    #[inline]
    #[must_use]
    pub fn passes(&self, filter: Option<u8>) -> bool {
        filter.is_none_or(|bit| self.bits >> bit & 1 == 1)
    }
}

/// What a row must have so that anybody sees it: one of these bits, or one of these words not null.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The bits.
    pub bits: u64,
    /// The words.
    pub words: BTreeSet<usize>,
}

impl Seen {
    /// Whether a row with these bits and words is seen.
    #[inline]
    #[must_use]
    pub fn sees(&self, bits: u64, words: &[i64]) -> bool {
        bits & self.bits != 0 || self.words.iter().any(|word| words[*word] != NULL)
    }
}

/// The keys of a block: names with their stable hashes, most of them once.
///
/// Two keys are the same when `hash` and `check` agree: 96 bits, so that for a hundred million keys
/// the odds that any two are mixed up are below one in 10^13, and no name is read to find a state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// The low 64 bits of each name's hash: routes the key.
    pub hashes: Vec<u64>,
    /// 32 more bits of the hash.
    pub checks: Vec<u32>,
    /// The names, in the same order.
    pub names: Texts,
}

impl Keys {
    /// Adds a key by its hash and answers its index.
    #[inline]
    pub fn push(&mut self, hash: KeyHash, name: &str) -> u32 {
        self.hashes.push(hash.hash);
        self.checks.push(hash.check);
        self.names.push(name);
        self.hashes.len() as u32 - 1
    }

    /// The hash of key `index`.
    #[inline]
    #[must_use]
    pub fn hash(&self, index: u32) -> KeyHash {
        KeyHash {
            hash: self.hashes[index as usize],
            check: self.checks[index as usize],
        }
    }

    /// How many keys there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

/// A batch of facts in arrival order.
///
/// A row whose diff is 0 was left out after the block was made, and is no fact: whoever reads the
/// block passes over it. Keys of which there is no row may remain: what a batch has for one worker
/// shares its keys, even if it lies in several blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactBlock {
    /// The keys that occur, and perhaps others.
    #[serde(with = "shared")]
    pub keys: Arc<Keys>,
    /// One head a fact.
    pub heads: Vec<Head>,
    /// `stride` words a fact.
    pub words: Vec<i64>,
    /// Words per fact.
    pub stride: usize,
}

impl FactBlock {
    /// An empty block for facts of `stride` words.
    #[must_use]
    pub fn new(stride: usize) -> FactBlock {
        FactBlock {
            stride,
            ..FactBlock::default()
        }
    }

    /// How many rows there are, left out or not.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// The keys, to add to them: its own from now on.
    pub fn own_keys(&mut self) -> &mut Keys {
        Arc::make_mut(&mut self.keys)
    }

    /// Whether each key has a row that was not left out.
    #[must_use]
    pub fn present_keys(&self) -> Vec<bool> {
        let mut present = vec![false; self.keys.len()];
        for head in &self.heads {
            present[head.key as usize] |= head.diff != 0;
        }
        present
    }

    /// The words of fact `row`.
    #[inline]
    #[must_use]
    pub fn words(&self, row: usize) -> &[i64] {
        &self.words[row * self.stride..(row + 1) * self.stride]
    }

    /// Fact `row` as a logic sees it.
    #[inline]
    #[must_use]
    pub fn fact(&self, row: usize) -> Fact<'_> {
        let head = &self.heads[row];
        Fact {
            at: head.at,
            id: head.id,
            bits: head.bits,
            words: self.words(row),
        }
    }

    /// Adds a fact; `words` must have the block's stride.
    #[inline]
    pub fn push(&mut self, head: Head, words: &[i64]) {
        debug_assert_eq!(
            words.len(),
            self.stride,
            "a fact has the stride of its block"
        );
        self.heads.push(head);
        self.words.extend_from_slice(words);
    }
}

/// Shared keys travel as the keys.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Keys;

    pub(super) fn serialize<S: Serializer>(keys: &Arc<Keys>, to: S) -> Result<S::Ok, S::Error> {
        keys.as_ref().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Keys>, D::Error> {
        Keys::deserialize(from).map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_survive_as_words() {
        let rising = [
            f64::NEG_INFINITY,
            f64::MIN,
            -3.25,
            -5e-324,
            0.0,
            5e-324,
            0.1,
            1.5,
            f64::INFINITY,
        ];
        for value in rising {
            assert_eq!(word_float(float_word(value)), Some(value));
        }
        assert!(rising.map(float_word).is_sorted() && NULL < float_word(rising[0]));
        assert_eq!(float_word(-0.0), 0);
        assert_eq!(word_float(float_word(f64::NAN)), None);
    }

    #[test]
    fn a_fact_passes_its_filters() {
        let fact = Fact {
            at: EventTime(0),
            id: 0,
            bits: 0b100,
            words: &[],
        };
        assert!(fact.passes(None) && fact.passes(Some(2)) && !fact.passes(Some(0)));
    }
}
