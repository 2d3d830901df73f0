//! What became of the rows of each source, and why rows of it were rejected.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;
use tidegate_schemas::time::Span;

use super::admit::Admitted;
use crate::sources::Reject;

/// What became of the rows of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SourceAccount {
    /// Rows read; those that are neither late nor rejected were accepted or duplicates.
    pub rows_in: u64,
    /// Rows that were late.
    pub late: u64,
    /// Rows that were rejected.
    pub rejected: u64,
    /// How far a late row was behind the newest before it, at most.
    pub furthest_behind: Span,
    /// Why rows were rejected: by the column at fault, or else by the reason.
    pub reasons: BTreeMap<String, Rejected>,
    /// The first that were rejected, by where they stand as in [`Rejected`]: place, column and reason.
    #[serde(skip)]
    pub(crate) first: BTreeMap<(u64, u64), String>,
}

/// So many of the first rejected rows are kept.
const FIRST: usize = 3;

/// So many different reasons are told apart: some say what stood in the row.
const REASONS: usize = 64;
/// Where the rows of all further reasons are counted.
const OTHERS: &str = "other reasons";

/// Rows that were rejected for the same thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// How many.
    pub rows: u64,
    /// Where the first of them stands, and what is wrong with it.
    pub first: String,
    /// How many rows were read before the batch of the first, and its row: workers tell theirs in any order.
    #[serde(skip)]
    pub(crate) stands: (u64, u64),
}

impl SourceAccount {
    /// Counts rows that were read.
    pub(super) fn read(&mut self, rows: &Admitted) {
        self.rows_in += rows.rows_in;
        self.late += rows.late.as_ref().map_or(0, |late| late.num_rows() as u64);
        self.furthest_behind = self.furthest_behind.max(rows.furthest_behind);
        self.reject(rows.read, &rows.rejects);
    }

    /// Counts rows that were rejected of a batch before which so many rows were read.
    pub(super) fn reject(&mut self, read: u64, rejects: &[Reject]) {
        self.rejected += rejects.len() as u64;
        for reject in rejects {
            let mut what = reject.column.as_deref().unwrap_or(&reject.reason);
            if self.reasons.len() >= REASONS && !self.reasons.contains_key(what) {
                what = OTHERS;
            }
            let stands = (read, reject.row);
            self.note(stands, reject);
            let first = || format!("{}:{}: {}", reject.file, reject.row, reject.reason);
            match self.reasons.get_mut(what) {
                Some(known) => {
                    known.rows += 1;
                    if stands < known.stands {
                        (known.stands, known.first) = (stands, first());
                    }
                }
                None => {
                    let (rows, first) = (1, first());
                    let rejected = Rejected {
                        rows,
                        first,
                        stands,
                    };
                    self.reasons.insert(what.to_owned(), rejected);
                }
            }
        }
    }

    /// Keeps a rejected row if it is one of the first.
    fn note(&mut self, stands: (u64, u64), reject: &Reject) {
        let last = self.first.last_key_value().map(|(last, _)| *last);
        if self.first.len() >= FIRST && last.is_some_and(|last| stands > last) {
            return;
        }
        let column = reject.column.as_ref();
        let column = column.map_or_else(String::new, |column| format!(" rejected for `{column}`"));
        let told = format!("{}:{}{column}: {}", reject.file, reject.row, reject.reason);
        self.first.insert(stands, told);
        if self.first.len() > FIRST {
            self.first.pop_last();
        }
    }

    /// What rows were rejected for, the most frequent first.
    #[must_use]
    pub fn most_frequent(&self) -> Vec<(&String, &Rejected)> {
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|(_, rejected)| Reverse(rejected.rows));
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_never_repeat_are_counted_together() {
        let reject = |row: u64| Reject {
            file: "events.jsonl".into(),
            row,
            byte: 0,
            column: None,
            reason: format!("`{row}` is not an object"),
            raw: String::new(),
        };
        let mut account = SourceAccount::default();
        let rejects: Vec<Reject> = (1..=1_000).map(reject).collect();
        account.reject(1, &rejects);
        assert_eq!(account.rejected, 1_000);
        assert_eq!(account.reasons.len(), REASONS + 1);
        let (what, most) = account.most_frequent()[0];
        assert_eq!((what.as_str(), most.rows), (OTHERS, 1_000 - REASONS as u64));
        assert_eq!(most.first, "events.jsonl:65: `65` is not an object");
    }

    #[test]
    fn the_first_is_the_first_in_the_file_whoever_tells_it_first() {
        let reject = |row: u64| Reject {
            file: "events.csv".into(),
            row,
            byte: 0,
            column: Some("n".to_owned()),
            reason: "it is null".to_owned(),
            raw: String::new(),
        };
        let mut account = SourceAccount::default();
        // Rows are counted from the beginning of their file: those of a later file are read later.
        for (read, row) in [(3, 70), (4, 2), (3, 61), (2, 40), (3, 5)] {
            account.reject(read, &[reject(row)]);
        }
        let (_, most) = account.most_frequent()[0];
        assert_eq!(most.first, "events.csv:40: it is null");
        let first: Vec<&String> = account.first.values().collect();
        let told = [40, 5, 61].map(|row| format!("events.csv:{row} rejected for `n`: it is null"));
        assert_eq!(first, told.iter().collect::<Vec<_>>());
    }
}
