//! Text turned into numbers: the stable hash, texts packed end to end, and the dictionary of codes.
//!
//! Past the edge nobody touches a string per row. A key travels as its hash beside a per-block list
//! of names ([`Texts`]); a category travels as its *code*, the stable hash of its text, and
//! [`Names`] knows the text of every code when it has to be shown.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::fact::NULL;
use crate::ids::Ids;

/// The hash by which categories are coded and hold-outs are drawn: XXH3-64 with seed 0.
///
/// It is part of what is saved and of what travels between processes, so it never changes.
#[must_use]
pub fn stable_hash(text: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(text.as_bytes())
}

/// The 96-bit hash of a key's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash {
    /// Routes the key and finds its bucket.
    pub hash: u64,
    /// Tells keys with the same `hash` apart.
    pub check: u32,
}

impl KeyHash {
    /// The hash of `name`: XXH3-128 with seed 0.
    #[inline]
    #[must_use]
    pub fn of(name: &str) -> KeyHash {
        let wide = xxhash_rust::xxh3::xxh3_128(name.as_bytes());
        KeyHash {
            hash: wide as u64,
            check: (wide >> 64) as u32,
        }
    }
}

/// The code of a category: the stable hash as a word that is never [`NULL`].
#[must_use]
pub fn code_of(text: &str) -> i64 {
    match stable_hash(text) as i64 {
        NULL => NULL + 1,
        code => code,
    }
}

/// The code of a mark: it is shown as `text`, and is the code of no category that has this text. (It is that
/// of a category whose text begins with a NUL, which [`Names`] would tell as a collision.)
#[must_use]
pub fn mark_of(text: &str) -> i64 {
    code_of(&format!("\0{text}"))
}

/// Room for what follows so many: a few more than last time need not be moved to a larger place.
#[must_use]
pub(crate) fn ample(len: usize) -> usize {
    len + len / 4
}

/// Texts packed end to end: one allocation for many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Texts {
    ends: Vec<u32>,
    bytes: String,
}

impl Texts {
    /// No texts, with room for as many and as long ones as there are here, and some more.
    #[must_use]
    pub fn room_for_as_many(&self) -> Texts {
        Texts {
            ends: Vec::with_capacity(ample(self.ends.len())),
            bytes: String::with_capacity(ample(self.bytes.len())),
        }
    }

    /// Adds a text at the end.
    ///
    /// # Panics
    /// When the texts together pass 4 GiB: blocks are cut long before that.
    #[inline]
    pub fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        let end = u32::try_from(self.bytes.len()).expect("the texts of one block stay below 4 GiB");
        self.ends.push(end);
    }

    /// The text at `index`.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> &str {
        let start = if index == 0 {
            0
        } else {
            self.ends[index - 1] as usize
        };
        &self.bytes[start..self.ends[index] as usize]
    }

    /// How many there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The texts in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// Forgets all texts and keeps the room.
    pub fn clear(&mut self) {
        self.ends.clear();
        self.bytes.clear();
    }

    /// All bytes end to end, and where each text ends.
    #[must_use]
    pub fn parts(&self) -> (&str, &[u32]) {
        (&self.bytes, &self.ends)
    }
}

/// Two categories that have one code: going on would mix them up in silence.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the texts `{known}` and `{text}` have the same 64-bit hash, and categories are told apart by it: \
     give one of them another name, in the data or with `case` in the expressions that read it"
)]
pub struct Collision {
    /// The one that came first.
    pub known: String,
    /// The other.
    pub text: String,
}

/// The dictionary of codes, one a process, shared by all threads.
///
/// # State
/// One entry per distinct text that was ever coded. Texts are categories (kinds, topics, pages), so
/// their number is bounded by the source's vocabulary; keys never enter it, and event ids are
/// forgotten ([`Ids`]).
#[derive(Debug, Default)]
pub struct Names {
    texts: RwLock<HashMap<i64, Arc<str>>>,
    ids: Ids,
}

impl Names {
    /// The texts of event ids.
    #[must_use]
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// The code of `text`, remembered for [`Names::text`].
    ///
    /// # Errors
    /// When two different texts share a hash (odds of one in 10^9 for 190,000 texts).
    pub fn code(&self, text: &str) -> Result<i64, Collision> {
        let code = code_of(text);
        let known = self
            .texts
            .read()
            .expect("no thread panics while it holds the names")
            .get(&code)
            .cloned();
        let known = known.unwrap_or_else(|| {
            let mut texts = self
                .texts
                .write()
                .expect("no thread panics while it holds the names");
            Arc::clone(texts.entry(code).or_insert_with(|| text.into()))
        });
        match *known == *text {
            true => Ok(code),
            false => Err(Collision {
                known: known.to_string(),
                text: text.to_owned(),
            }),
        }
    }

    /// The code of a mark ([`mark_of`]), remembered for [`Names::text`].
    pub fn mark(&self, text: &str) -> i64 {
        let mut texts = self
            .texts
            .write()
            .expect("no thread panics while it holds the names");
        let code = mark_of(text);
        texts.entry(code).or_insert_with(|| text.into());
        code
    }

    /// The text of a code, if any thread has coded it.
    #[must_use]
    pub fn text(&self, code: i64) -> Option<Arc<str>> {
        self.texts
            .read()
            .expect("no thread panics while it holds the names")
            .get(&code)
            .cloned()
    }

    /// Every code with its text, in the order of the texts.
    #[must_use]
    pub fn entries(&self) -> Vec<(i64, Arc<str>)> {
        let texts = self
            .texts
            .read()
            .expect("no thread panics while it holds the names");
        let mut all: Vec<_> = texts
            .iter()
            .map(|(code, text)| (*code, Arc::clone(text)))
            .collect();
        all.sort_by(|a, b| a.1.cmp(&b.1));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_in_order() {
        let mut texts = Texts::default();
        for text in ["a", "", "Zürich"] {
            texts.push(text);
        }
        assert_eq!(texts.iter().collect::<Vec<_>>(), ["a", "", "Zürich"]);
        texts.clear();
        assert!(texts.is_empty());
    }

    #[test]
    fn codes_are_stable_and_can_be_read_back() {
        let names = Names::default();
        let code = names.code("chat").unwrap();
        assert_eq!(code, code_of("chat"));
        assert_eq!(names.text(code).as_deref(), Some("chat"));
        assert_eq!(names.text(1), None);
        // The hash is part of saved state: this value must never change.
        assert_eq!(stable_hash("chat"), xxhash_rust::xxh3::xxh3_64(b"chat"));
    }

    #[test]
    fn a_mark_is_no_category_that_looks_like_it() {
        let names = Names::default();
        let (mark, category) = (names.mark("end"), names.code("end").unwrap());
        assert_ne!(mark, category);
        assert_eq!(names.text(mark), names.text(category));
        assert_eq!(names.mark("end"), mark);
    }

    #[test]
    fn texts_of_one_hash_are_named() {
        let names = Names::default();
        let [one, other] = ["pgkamhmpdnoancdo", "dbfidnmojloelnci"];
        assert_eq!(code_of(one), code_of(other));
        names.code(one).unwrap();
        let collision = names.code(other).unwrap_err();
        assert_eq!((&*collision.known, &*collision.text), (one, other));
        // The first keeps its code.
        assert_eq!(names.code(one), Ok(code_of(one)));
    }
}
