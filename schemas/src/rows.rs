//! Output rows: what leaves a keyed operator, column by column, with its difference.
//!
//! Every output is a collection: a row is added with diff +1 and taken back, value for value, with
//! diff −1. Rows are kept as words, typed only by the [`OutputSchema`] that describes them, so that
//! an operator can build and compare them without knowing what they mean.

use serde::{Deserialize, Serialize};

use crate::names::{Texts, ample};
use crate::time::{EventTime, TimeUnit};

/// How the words of a column read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A whole number.
    Int,
    /// An event id: an unsigned whole number, never null.
    Id {
        /// The bits that are shown. Where several sources feed an entity, the first ones tell them apart.
        shown: u64,
    },
    /// An event id that is shown as a text ([`crate::ids::Ids`]), never null.
    IdText,
    /// A decimal with `scale` digits behind the point, shown as a float.
    Fixed {
        /// Digits behind the point.
        scale: u8,
    },
    /// A float ([`crate::fact::float_word`]).
    Float,
    /// 0 or 1.
    Bool,
    /// The code of a text ([`crate::names::Names`]).
    Text,
    /// An event time in microseconds, shown in the given unit.
    Time(TimeUnit),
    /// A length of event time in microseconds, shown as seconds.
    Span,
    /// A list of values of one kind.
    List(Box<Kind>),
    /// Pairs of (value, count): words alternate between the two.
    Histogram(Box<Kind>),
}

/// One column of an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputColumn {
    /// Its name.
    pub name: String,
    /// How its words read.
    pub kind: Kind,
}

/// What an output's rows look like. The key comes first, then the columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputSchema {
    /// The output's name as sinks say it, for example `features.contact`.
    pub name: String,
    /// The name of the key's column; `None` for outputs that have no entity (drift).
    pub key: Option<String>,
    /// The columns behind the key.
    pub columns: Vec<OutputColumn>,
    /// Which columns, beside the key, tell one row from another over its versions
    /// (an upsert replaces the row with the same identity).
    pub identity: Vec<usize>,
}

/// The values of one column: one word a row, or a run of words a row for lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The words of all rows.
    pub words: Vec<i64>,
    /// For lists and histograms: where each row's words end. Empty for plain columns.
    pub ends: Vec<u32>,
}

impl Column {
    /// Adds the single value of a row.
    #[inline]
    pub fn push(&mut self, word: i64) {
        self.words.push(word);
    }

    /// Adds the list of a row.
    #[inline]
    pub fn push_list(&mut self, words: impl IntoIterator<Item = i64>) {
        self.words.extend(words);
        self.ends.push(self.words.len() as u32);
    }

    /// The words of row `row`.
    #[inline]
    #[must_use]
    pub fn row(&self, row: usize) -> &[i64] {
        if self.ends.is_empty() {
            return &self.words[row..=row];
        }
        let start = if row == 0 {
            0
        } else {
            self.ends[row - 1] as usize
        };
        &self.words[start..self.ends[row] as usize]
    }

    fn append_row(&mut self, from: &Column, row: usize) {
        self.words.extend_from_slice(from.row(row));
        if !from.ends.is_empty() {
            self.ends.push(self.words.len() as u32);
        }
    }
}

/// Time and difference of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowHead {
    /// The event time the row speaks of.
    pub at: EventTime,
    /// +1: the row is so. −1: it is taken back.
    pub diff: i32,
}

/// Rows of one output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// The key of each row.
    pub keys: Texts,
    /// Time and difference of each row.
    pub heads: Vec<RowHead>,
    /// The columns, each as long as `heads`.
    pub columns: Vec<Column>,
}

impl Rows {
    /// No rows of `columns` columns.
    #[must_use]
    pub fn new(columns: usize) -> Rows {
        Rows {
            columns: vec![Column::default(); columns],
            ..Rows::default()
        }
    }

    /// Takes all rows away, and leaves room for as many and some more.
    #[must_use]
    pub fn take(&mut self) -> Rows {
        let room = |column: &Column| Column {
            words: Vec::with_capacity(ample(column.words.len())),
            ends: Vec::with_capacity(ample(column.ends.len())),
        };
        let empty = Rows {
            keys: self.keys.room_for_as_many(),
            heads: Vec::with_capacity(ample(self.heads.len())),
            columns: self.columns.iter().map(room).collect(),
        };
        std::mem::replace(self, empty)
    }

    /// How many rows there are.
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

    /// Begins a row; the caller then pushes one value onto each column.
    #[inline]
    pub fn begin(&mut self, key: &str, at: EventTime, diff: i32) -> &mut [Column] {
        self.keys.push(key);
        self.heads.push(RowHead { at, diff });
        &mut self.columns
    }

    /// Adds row `row` of `from` with another difference.
    pub fn append_row(&mut self, from: &Rows, row: usize, diff: i32) {
        self.keys.push(from.keys.get(row));
        self.heads.push(RowHead {
            at: from.heads[row].at,
            diff,
        });
        for (column, source) in self.columns.iter_mut().zip(&from.columns) {
            column.append_row(source, row);
        }
    }

    /// Whether row `row` and row `other_row` of `other` are the same but for their difference.
    #[must_use]
    pub fn same_row(&self, row: usize, other: &Rows, other_row: usize) -> bool {
        self.heads[row].at == other.heads[other_row].at
            && self.keys.get(row) == other.keys.get(other_row)
            && self
                .columns
                .iter()
                .zip(&other.columns)
                .all(|(a, b)| a.row(row) == b.row(other_row))
    }

    /// Forgets all rows and keeps the room.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.heads.clear();
        for column in &mut self.columns {
            column.words.clear();
            column.ends.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_compare_by_value() {
        let mut rows = Rows::new(2);
        for diff in [1, -1] {
            let columns = rows.begin("k", EventTime(5), diff);
            columns[0].push(7);
            columns[1].push_list([1, 2]);
        }
        assert!(rows.same_row(0, &rows, 1));
        let mut copy = Rows::new(2);
        copy.append_row(&rows, 1, 1);
        assert!(copy.same_row(0, &rows, 0));
        assert_eq!(copy.columns[1].row(0), [1, 2]);
    }

    #[test]
    fn rows_can_be_taken_away() {
        let mut rows = Rows::new(1);
        rows.begin("k", EventTime(5), 1)[0].push(7);
        let taken = rows.take();
        assert_eq!((taken.len(), taken.columns[0].row(0)), (1, &[7][..]));
        assert_eq!(rows, Rows::new(1));
        rows.begin("l", EventTime(6), 1)[0].push(8);
        assert_eq!(rows.columns[0].row(0), [8]);
    }
}
