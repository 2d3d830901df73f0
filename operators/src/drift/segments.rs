//! The segments of facts, numbered in the order in which they come.

use tidegate_schemas::fact::{FactBlock, NULL};

use super::numbering::Numbering;

/// The number of each segment there has been, from 1; 0 is that of all facts.
///
/// # State
/// About 100 bytes for each distinct segment, for good.
#[derive(Debug)]
pub(super) struct Segments {
    /// The word of a fact that is its segment.
    by: Option<usize>,
    words: Numbering,
    /// Of each row of the latest block; none without segments.
    rows: Vec<u32>,
}

impl Segments {
    pub(super) fn new(by: Option<usize>) -> Segments {
        Segments {
            by,
            words: Numbering::default(),
            rows: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.words.len() + 1
    }

    pub(super) fn word(&self, number: usize) -> i64 {
        match number {
            0 => NULL,
            number => self.words.word(number - 1),
        }
    }

    #[inline]
    pub(super) fn number(&mut self, word: i64) -> u32 {
        match word {
            NULL => 0,
            word => self.words.number(word, usize::MAX).map_or(0, |it| it + 1),
        }
    }

    /// Numbers the rows of a block.
    pub(super) fn of(&mut self, block: &FactBlock) {
        self.rows.clear();
        let Some(column) = self.by else { return };
        for row in 0..block.len() {
            let number = self.number(block.words(row)[column]);
            self.rows.push(number);
        }
    }

    /// The number of the segment of each row of the latest block.
    pub(super) fn rows(&self) -> &[u32] {
        &self.rows
    }
}
