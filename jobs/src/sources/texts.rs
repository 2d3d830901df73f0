//! Text under construction: plain, or as a dictionary of the values seen.

use std::sync::Arc;

use arrow::array::{Array, DictionaryArray, Int32Array, StringArray};
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

    fn text(&self, index: usize) -> &str {
        // Only whole texts were pushed.
        std::str::from_utf8(self.get(index)).unwrap_or_default()
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
/// new value appears. A dictionary that outgrows its batches starts afresh, so that a new value never
/// costs a copy of many more than the batch has rows.
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
    /// So many values cost nothing worth saving.
    const FEW: usize = 256;
    /// Bytes of a value that is not long.
    const SHORT: usize = 64;
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

    /// Numbers the values of this batch anew and forgets all others.
    fn keep_used(&mut self, nulls: Option<&NullBuffer>) {
        let fresh = Self {
            hasher: self.hasher.clone(),
            ..Self::default()
        };
        let Self { keys, values, .. } = std::mem::replace(self, fresh);
        for (row, key) in keys.into_iter().enumerate() {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                self.push_empty();
            } else {
                self.push(values.text(key as usize));
            }
        }
    }

    /// Drops keys; a value only they used stays, unused.
    pub(super) fn truncate(&mut self, len: usize) {
        self.keys.truncate(len);
    }

    /// The values of the last batch, if none came since.
    fn unchanged(&self) -> Option<&Arc<StringArray>> {
        self.last
            .as_ref()
            .filter(|last| last.len() == self.values.len())
    }

    pub(super) fn finish(
        &mut self,
        nulls: Option<NullBuffer>,
    ) -> Result<DictionaryArray<Int32Type>, ArrowError> {
        let count = self.keys.len();
        let enough = 2 * count + Self::FEW;
        let outgrown = self.values.len() > enough || self.values.bytes.len() > enough * Self::SHORT;
        if outgrown && self.unchanged().is_none() {
            self.keep_used(nulls.as_ref());
        }
        let keys = Int32Array::try_new(
            std::mem::replace(&mut self.keys, Vec::with_capacity(count)).into(),
            nulls,
        )?;
        let values = match self.unchanged() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;
    use arrow::compute::cast;
    use arrow::datatypes::DataType;
    use rand::prelude::*;

    /// Against plain texts: the same values, in batches of any size, with nulls and rows taken back.
    #[test]
    fn a_dictionary_equals_plain_text_and_does_not_outgrow_its_batches() {
        let seed = rand::random();
        let mut random = StdRng::seed_from_u64(seed);
        let mut dictionary = Dictionary::default();
        let mut last = None;
        for _ in 0..300 {
            let distinct = 1 << random.random_range(0..14);
            let rows = 1 << random.random_range(0..9);
            let mut expected: Vec<Option<String>> = Vec::new();
            for _ in 0..rows {
                if random.random_range(0..8) == 0 {
                    dictionary.push(&"z".repeat(random.random_range(0..5_000)));
                    dictionary.truncate(expected.len());
                }
                let value = (random.random_range(0..5) > 0)
                    .then(|| format!("v{}", random.random_range(0..distinct)));
                match &value {
                    Some(value) => dictionary.push(value),
                    None => dictionary.push_empty(),
                }
                expected.push(value);
            }
            let nulls: NullBuffer = expected
                .iter()
                .map(Option::is_some)
                .collect::<Vec<_>>()
                .into();
            let batch = dictionary.finish(Some(nulls)).unwrap();
            let plain = cast(&batch, &DataType::Utf8).unwrap();
            let found: Vec<_> = plain
                .as_string::<i32>()
                .iter()
                .map(|value| value.map(str::to_owned))
                .collect();
            assert_eq!(found, expected, "seed {seed}");
            let values = Arc::clone(batch.values());
            let kept = last.as_ref().is_some_and(|last| Arc::ptr_eq(last, &values));
            let most = 2 * expected.len() + Dictionary::FEW;
            assert!(kept || values.len() <= most, "seed {seed}");
            last = Some(values);
        }
    }
}
