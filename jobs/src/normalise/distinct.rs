//! The distinct texts of a column, with the number of its text for every row.
//!
//! A text is told from others by the 96 bits of its [`KeyHash`], as keys are everywhere, and is there once. Those of
//! a dictionary are told apart by their places in it: to look each up took 2 to 3% of the time of a replay. A
//! dictionary that holds a text twice gives it two numbers, and who reads the keys finds the same key by its hash.
//! The keys of a dictionary are all there, in its order, even those that no row has: the batches of a row group of
//! Parquet have one dictionary, and share them, so that the driver finds its states once a tick and not for each batch.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Int32Type};
use datafusion::common::DataFusionError;
use tidegate_schemas::fact::Keys;
use tidegate_schemas::names::{KeyHash, Texts};

/// The number of the text of every row; a null row has the number after the last.
pub(super) type Numbers = ScalarBuffer<i32>;

/// Numbers texts in the order in which they occur.
///
/// # State
/// A table with room for twice the texts of a batch, 16 bytes a place, kept from batch to batch; and the latest
/// dictionary of keys. Clones share that.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbering {
    /// Open addressing with linear probing, at most half full; the length is a power of two.
    places: Vec<Place>,
    found: Keys,
    /// How many texts the previous batch had.
    before: usize,
    /// The dictionary of the keys of the latest batch of any clone.
    shared: Arc<Mutex<Option<Dictionary>>>,
}

/// The dictionary of a batch, and its keys.
type Dictionary = (StringArray, Arc<Keys>);

#[derive(Clone, Copy, Debug)]
struct Place {
    hash: u64,
    check: u32,
    /// The text's number, or [`FREE`].
    number: u32,
}

const FREE: u32 = u32::MAX;

/// The number of a row without a text, until all are counted.
const NONE: i32 = -1;
const FEWEST_PLACES: usize = 64;

impl Numbering {
    /// The keys of a column of any type that can become text.
    pub(super) fn keys(
        &mut self,
        column: &ArrayRef,
    ) -> Result<(Numbers, Arc<Keys>), DataFusionError> {
        let Some((numbers, texts)) = as_it_is(column).filter(|(_, texts)| texts.null_count() == 0)
        else {
            let (numbers, keys) = self.of(column)?;
            return Ok((numbers, Arc::new(keys)));
        };
        let mut latest = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, keys)) = latest
            .as_ref()
            .filter(|(known, _)| is_the_same(known, &texts))
        {
            return Ok((numbers, Arc::clone(keys)));
        }
        let mut keys = Keys::default();
        for text in texts.iter().flatten() {
            keys.push(KeyHash::of(text), text);
        }
        let (_, keys) = latest.insert((texts, Arc::new(keys)));
        Ok((numbers, Arc::clone(keys)))
    }

    /// The distinct texts of a column of any type that can become text.
    pub(super) fn of(&mut self, column: &ArrayRef) -> Result<(Numbers, Keys), DataFusionError> {
        if let Some(dictionary) = column.as_dictionary_opt::<Int32Type>()
            && let Some(texts) = dictionary.values().as_string_opt::<i32>()
        {
            // Only texts that a row has get a number.
            let mut keys = Keys::default();
            let mut numbers = vec![NONE; texts.len()];
            let mut number = |text: i32| {
                let number = &mut numbers[text as usize];
                if *number == NONE && texts.is_valid(text as usize) {
                    let text = texts.value(text as usize);
                    *number = keys.push(KeyHash::of(text), text) as i32;
                }
                *number
            };
            let places = dictionary.keys();
            let rows = match places.null_count() {
                0 => places.values().iter().map(|text| number(*text)).collect(),
                _ => places
                    .iter()
                    .map(|text| text.map_or(NONE, &mut number))
                    .collect(),
            };
            return Ok((numbered(rows, &keys, dictionary.is_nullable()), keys));
        }
        self.begin();
        let text;
        let texts = match column.as_string_opt::<i32>() {
            Some(texts) => texts,
            None => {
                text = arrow::compute::cast(column, &DataType::Utf8)?;
                text.as_string::<i32>()
            }
        };
        let rows = match texts.null_count() {
            0 => (0..texts.len())
                .map(|row| self.number(texts.value(row)))
                .collect(),
            _ => texts
                .iter()
                .map(|text| text.map_or(NONE, |text| self.number(text)))
                .collect(),
        };
        let keys = std::mem::take(&mut self.found);
        self.before = keys.len();
        Ok((numbered(rows, &keys, texts.null_count() > 0), keys))
    }

    /// One text for all rows.
    pub(super) fn one(text: &str, rows: usize) -> (Numbers, Arc<Keys>) {
        let mut keys = Keys::default();
        keys.push(KeyHash::of(text), text);
        (vec![0; rows].into(), Arc::new(keys))
    }

    fn begin(&mut self) {
        // As large as the previous batch needed, since clearing costs as well.
        let places = (self.before * 2).next_power_of_two();
        self.clear(places.max(FEWEST_PLACES));
    }

    fn clear(&mut self, places: usize) {
        let free = Place {
            hash: 0,
            check: 0,
            number: FREE,
        };
        self.places.clear();
        self.places.resize(places, free);
    }

    #[inline]
    fn number(&mut self, text: &str) -> i32 {
        let hash = KeyHash::of(text);
        let mask = self.places.len() - 1;
        let mut at = hash.hash as usize & mask;
        loop {
            let place = self.places[at];
            if place.number == FREE {
                return self.add(at, hash, text);
            }
            if (place.hash, place.check) == (hash.hash, hash.check) {
                return place.number as i32;
            }
            at = (at + 1) & mask;
        }
    }

    #[inline]
    fn add(&mut self, at: usize, hash: KeyHash, text: &str) -> i32 {
        let number = self.found.push(hash, text);
        let KeyHash { hash, check } = hash;
        self.places[at] = Place {
            hash,
            check,
            number,
        };
        if self.found.len() * 2 > self.places.len() {
            self.grow();
        }
        number as i32
    }

    #[cold]
    fn grow(&mut self) {
        let old = std::mem::take(&mut self.places);
        self.clear(old.len() * 2);
        let mask = self.places.len() - 1;
        for place in old.into_iter().filter(|place| place.number != FREE) {
            let mut at = place.hash as usize & mask;
            while self.places[at].number != FREE {
                at = (at + 1) & mask;
            }
            self.places[at] = place;
        }
    }
}

/// The place of each row's text in a dictionary, with the one after the last for a row without, and the texts.
pub(super) fn as_it_is(column: &ArrayRef) -> Option<(Numbers, StringArray)> {
    let dictionary = column.as_dictionary_opt::<Int32Type>()?;
    let texts = dictionary.values().as_string_opt::<i32>()?;
    let places = dictionary.keys();
    let none = texts.len() as i32;
    let numbers = match places.null_count() {
        0 => places.values().clone(),
        _ => places.iter().map(|place| place.unwrap_or(none)).collect(),
    };
    Some((numbers, texts.clone()))
}

/// Whether two arrays of texts, none of them null, are one and the same in memory.
fn is_the_same(a: &StringArray, b: &StringArray) -> bool {
    std::ptr::eq(a.value_offsets(), b.value_offsets())
        && std::ptr::eq(a.value_data(), b.value_data())
}

/// The numbers of rows, where one without a text has got the number after the last.
fn numbered(mut rows: Vec<i32>, keys: &Keys, has_nulls: bool) -> Numbers {
    if has_nulls {
        let none = keys.len() as i32;
        rows.iter_mut()
            .filter(|number| **number < 0)
            .for_each(|number| *number = none);
    }
    rows.into()
}

/// The texts as an array, with a null at the end if one is wanted.
pub(super) fn array_of(texts: &Texts, with_null: bool) -> Result<StringArray, DataFusionError> {
    let (bytes, ends) = texts.parts();
    let ends = ends.iter().map(|end| *end as i32);
    let null = with_null.then_some(bytes.len() as i32);
    let offsets: Vec<i32> = std::iter::once(0).chain(ends).chain(null).collect();
    let nulls =
        with_null.then(|| NullBuffer::from_iter((0..=texts.len()).map(|n| n < texts.len())));
    let offsets = OffsetBuffer::new(offsets.into());
    Ok(StringArray::try_new(
        offsets,
        Buffer::from(bytes.as_bytes()),
        nulls,
    )?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{DictionaryArray, Int64Array};

    use super::*;

    fn texts(numbers: &Numbers, keys: &Keys) -> Vec<Option<String>> {
        let text = |number: &i32| {
            let number = *number as usize;
            (number < keys.len()).then(|| keys.names.get(number).to_owned())
        };
        numbers.iter().map(text).collect()
    }

    #[test]
    fn rows_find_their_texts_again_whatever_the_column_is() {
        let mut numbering = Numbering::default();
        for rows in [0usize, 1, 7, 5_000, 3, 70] {
            let expected: Vec<Option<String>> = (0..rows)
                .map(|n| (n % 5 != 3).then(|| format!("{}", n * n % 1_201)))
                .collect();
            let plain: ArrayRef = Arc::new(StringArray::from(expected.clone()));
            let whole = expected
                .iter()
                .map(|n| n.as_ref().map(|n| n.parse::<i64>().unwrap()));
            let whole: ArrayRef = Arc::new(whole.collect::<Int64Array>());
            let dictionary: DictionaryArray<Int32Type> =
                expected.iter().map(|text| text.as_deref()).collect();
            for column in [plain, whole, Arc::new(dictionary) as ArrayRef] {
                let (numbers, keys) = numbering.keys(&column).unwrap();
                assert_eq!(texts(&numbers, &keys), expected);
                let (numbers, keys) = numbering.of(&column).unwrap();
                assert_eq!(texts(&numbers, &keys), expected);
                let mut names: Vec<&str> = keys.names.iter().collect();
                let count = names.len();
                names.sort_unstable();
                names.dedup();
                assert_eq!(names.len(), count, "each text once");
            }
        }
    }

    #[test]
    fn places_of_a_dictionary_that_no_row_has_get_no_number() {
        let column = StringArray::from(vec!["a", "b", "c", "b"]);
        let column = DictionaryArray::<Int32Type>::new(
            vec![Some(3), Some(1), None, Some(2)].into(),
            Arc::new(column),
        );
        let column: ArrayRef = Arc::new(column);
        let (numbers, keys) = Numbering::default().of(&column).unwrap();
        // Not told apart by their texts: the dictionary has `b` twice.
        assert_eq!(keys.names.iter().collect::<Vec<_>>(), ["b", "b", "c"]);
        assert_eq!(&numbers[..], [0, 1, 3, 2]);
    }

    #[test]
    fn batches_with_one_dictionary_share_its_keys() {
        let column = |places: Vec<Option<i32>>, texts: &ArrayRef| -> ArrayRef {
            Arc::new(DictionaryArray::<Int32Type>::new(
                places.into(),
                Arc::clone(texts),
            ))
        };
        let letters = || -> ArrayRef { Arc::new(StringArray::from(vec!["a", "b", "c"])) };
        let (one, other) = (letters(), letters());
        let numbering = Numbering::default();
        let mut workers = [numbering.clone(), numbering];
        let mut keys = |worker: usize, column: &ArrayRef| workers[worker].keys(column).unwrap();
        let (numbers, first) = keys(0, &column(vec![Some(2), None], &one));
        assert_eq!(texts(&numbers, &first), [Some("c".to_owned()), None]);
        let (numbers, again) = keys(1, &column(vec![Some(0)], &one));
        assert_eq!(texts(&numbers, &again), [Some("a".to_owned())]);
        assert!(Arc::ptr_eq(&first, &again));
        let (_, equal) = keys(0, &column(vec![Some(0)], &other));
        assert!(equal == first && !Arc::ptr_eq(&first, &equal));
        let holes: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
        let (numbers, found) = keys(0, &column(vec![Some(1), Some(0)], &holes));
        assert_eq!(texts(&numbers, &found), [None, Some("a".to_owned())]);
    }

    #[test]
    fn texts_become_an_array() {
        let mut texts = Texts::default();
        ["x", "", "Zürich"]
            .into_iter()
            .for_each(|text| texts.push(text));
        let array = array_of(&texts, true).unwrap();
        let expected = [Some("x"), Some(""), Some("Zürich"), None];
        assert_eq!(array.iter().collect::<Vec<_>>(), expected);
        assert_eq!(array_of(&texts, false).unwrap().null_count(), 0);
        assert_eq!(array_of(&Texts::default(), true).unwrap().len(), 1);
    }
}
