//! The segments of facts, numbered in the order in which they come.

use std::collections::HashMap;

use tidegate_schemas::fact::{FactBlock, NULL};

use crate::words::WordHashing;

/// The number of each segment there has been, from 1; 0 is that of all facts.
///
/// # State
/// 24 bytes for each distinct segment, for good.
#[derive(Debug)]
pub(super) struct Segments {
    /// The word of a fact that is its segment.
    by: Option<usize>,
    words: Vec<i64>,
    numbers: HashMap<i64, u32, WordHashing>,
    /// Of each row of the latest block; none without segments.
    rows: Vec<u32>,
}

impl Segments {
    pub(super) fn new(by: Option<usize>) -> Segments {
        Segments {
            by,
            words: vec![NULL],
            numbers: HashMap::from_iter([(NULL, 0)]),
            rows: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    pub(super) fn word(&self, number: u32) -> i64 {
        self.words[number as usize]
    }

    pub(super) fn number(&mut self, word: i64) -> u32 {
        *self.numbers.entry(word).or_insert_with(|| {
            self.words.push(word);
            self.words.len() as u32 - 1
        })
    }

    /// Numbers the rows of a block.
    pub(super) fn of(&mut self, block: &FactBlock) {
        self.rows.clear();
        let Some(column) = self.by else { return };
        let (mut latest, mut number) = (NULL, 0);
        for row in 0..block.len() {
            let word = block.words(row)[column];
            if word != latest {
                (latest, number) = (word, self.number(word));
            }
            self.rows.push(number);
        }
    }

    /// The number of the segment of each row of the latest block.
    pub(super) fn rows(&self) -> &[u32] {
        &self.rows
    }
}
