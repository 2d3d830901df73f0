//! The texts of codes and ids, without asking the shared dictionary twice.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::buffer::Buffer;
use hashbrown::HashMap;
use tidegate_schemas::fact::NULL;
use tidegate_schemas::names::Names;

use super::error::Problem;
use super::render::{keys, nulls, offsets};

/// The texts of the codes that were met.
#[derive(Clone, Debug)]
pub(super) struct CodeTexts {
    names: Arc<Names>,
    texts: Vec<Arc<str>>,
    /// Where the text of a code stands.
    known: HashMap<i64, usize>,
}

impl CodeTexts {
    /// Texts that stand in `names`.
    pub(super) fn new(names: Arc<Names>) -> CodeTexts {
        CodeTexts {
            names,
            texts: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// The texts of codes, null where the code is.
    ///
    /// # Errors
    /// When a code has no text.
    pub(super) fn texts(&mut self, column: &str, words: &[i64]) -> Result<StringArray, Problem> {
        // Many columns say one thing in all rows.
        if let Some((first, others)) = words.split_first()
            && others.iter().all(|word| word == first)
        {
            return self.same_text(column, *first, words.len());
        }
        let mut bytes = Vec::new();
        let mut ends = Vec::with_capacity(words.len());
        // Most rows say one of two things, on end or by turns: their texts are at hand.
        let mut known = [(NULL, 0); 2];
        for word in words.iter().copied() {
            if word != NULL {
                if word != known[0].0 {
                    if word != known[1].0 {
                        known[1] = (word, self.place(column, word)?);
                    }
                    known.swap(0, 1);
                }
                bytes.extend_from_slice(self.texts[known[0].1].as_bytes());
            }
            ends.push(bytes.len());
        }
        let offsets = offsets(ends.into_iter())?;
        StringArray::try_new(offsets, Buffer::from_vec(bytes), nulls(words))
            .map_err(|e| Problem::shape(&e))
    }

    /// The text of a code in so many rows.
    fn same_text(&mut self, column: &str, word: i64, rows: usize) -> Result<StringArray, Problem> {
        if word == NULL {
            return Ok(StringArray::new_null(rows));
        }
        let place = self.place(column, word)?;
        let text = &*self.texts[place];
        let offsets = offsets((0..rows).map(|row| (row + 1) * text.len()))?;
        StringArray::try_new(
            offsets,
            Buffer::from_vec(text.repeat(rows).into_bytes()),
            None,
        )
        .map_err(|e| Problem::shape(&e))
    }

    /// The texts of ids.
    ///
    /// # Errors
    /// When an id has no text.
    pub(super) fn ids(&self, column: &str, words: &[i64]) -> Result<ArrayRef, Problem> {
        let texts = self
            .names
            .ids()
            .texts(words.iter().map(|word| *word as u64));
        let texts = texts.map_err(|id| Problem::UnknownCode {
            column: column.to_owned(),
            code: id as i64,
        })?;
        keys(&texts, 0..words.len())
    }

    /// Where the text of a code stands.
    fn place(&mut self, column: &str, code: i64) -> Result<usize, Problem> {
        if let Some(place) = self.known.get(&code) {
            return Ok(*place);
        }
        let text = self.names.text(code).ok_or_else(|| Problem::UnknownCode {
            column: column.to_owned(),
            code,
        })?;
        self.texts.push(text);
        self.known.insert(code, self.texts.len() - 1);
        Ok(self.texts.len() - 1)
    }
}
