//! Text under construction: plain, or as a dictionary of the values seen.

use std::sync::Arc;

use arrow::array::{DictionaryArray, Int32Array, StringArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// Texts one after the other. A batch ends long before 2 GiB, so 32-bit ends always suffice.
#[derive(Debug)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    /// Where each text ends, with a 0 in front.
    ends: Vec<i32>,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            ends: vec![0],
        }
    }
}

impl Texts {
    #[inline]
    pub(super) fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.push_empty_at_end();
    }

    pub(super) fn push_empty(&mut self) {
        self.push_empty_at_end();
    }

    #[inline]
    fn push_empty_at_end(&mut self) {
        self.ends.push(self.bytes.len() as i32);
    }

    pub(super) fn truncate(&mut self, len: usize) {
        if len + 1 < self.ends.len() {
            self.ends.truncate(len + 1);
            self.bytes.truncate(self.ends[len] as usize);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len() - 1
    }

    fn get(&self, index: usize) -> &[u8] {
        &self.bytes[self.ends[index] as usize..self.ends[index + 1] as usize]
    }

    pub(super) fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<StringArray, ArrowError> {
        let (rows, size) = (self.ends.len(), self.bytes.len());
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(size));
        let ends = std::mem::replace(&mut self.ends, Vec::with_capacity(rows));
        self.ends.push(0);
        StringArray::try_new(
            OffsetBuffer::new(ScalarBuffer::from(ends)),
            Buffer::from_vec(bytes),
            nulls,
        )
    }
}

/// Distinct values are numbered as they come, and keep their number from batch to batch, so that what was
/// computed for the values of one batch holds for the next: the values array is the same one until a
/// new value appears. It starts afresh past [`Dictionary::MOST`] values or bytes.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    keys: Vec<i32>,
    values: Texts,
    index: HashTable<i32>,
    hasher: DefaultHashBuilder,
    /// The values of the last batch.
    last: Option<Arc<StringArray>>,
}

impl Dictionary {
    const MOST_VALUES: usize = 1 << 16;
    const MOST_BYTES: usize = 1 << 22;

    #[inline]
    pub(super) fn push(&mut self, text: &str) {
        let hash = self.hasher.hash_one(text.as_bytes());
        let found = self.index.find(hash, |key| {
            self.values.get(*key as usize) == text.as_bytes()
        });
        let key = match found {
            Some(key) => *key,
            None => self.learn(text, hash),
        };
        self.keys.push(key);
    }

    #[cold]
    fn learn(&mut self, text: &str, hash: u64) -> i32 {
        let key = self.values.len() as i32;
        self.values.push(text);
        let (values, hasher) = (&self.values, &self.hasher);
        self.index
            .insert_unique(hash, key, |key| hasher.hash_one(values.get(*key as usize)));
        key
    }

    pub(super) fn push_empty(&mut self) {
        self.keys.push(0);
    }

    /// Drops keys; a value only they used stays, unused.
    pub(super) fn truncate(&mut self, len: usize) {
        self.keys.truncate(len);
    }

    pub(super) fn finish(
        &mut self,
        nulls: Option<NullBuffer>,
    ) -> Result<DictionaryArray<Int32Type>, ArrowError> {
        let count = self.keys.len();
        let keys = Int32Array::try_new(
            std::mem::replace(&mut self.keys, Vec::with_capacity(count)).into(),
            nulls,
        )?;
        let unchanged = self
            .last
            .as_ref()
            .filter(|last| arrow::array::Array::len(last.as_ref()) == self.values.len());
        let values = match unchanged {
            Some(last) => Arc::clone(last),
            None => {
                let bytes = Buffer::from_slice_ref(self.values.bytes.as_slice());
                let ends = OffsetBuffer::new(ScalarBuffer::from(self.values.ends.clone()));
                Arc::new(StringArray::try_new(ends, bytes, None)?)
            }
        };
        self.last = Some(Arc::clone(&values));
        if self.values.len() > Self::MOST_VALUES || self.values.bytes.len() > Self::MOST_BYTES {
            *self = Self::default();
        }
        DictionaryArray::try_new(keys, values)
    }
}
