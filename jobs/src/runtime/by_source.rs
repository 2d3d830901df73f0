//! What became of the rows of each source, and why rows of it were rejected.

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
}

/// So many different reasons are told apart: some say what stood in the row.
const REASONS: usize = 64;
/// Where the rows of all further reasons are counted.
const OTHERS: &str = "other reasons";

/// Rows that were rejected for the same thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// How many.
    pub rows: u64,
    /// Where the first of them that was seen stands, and what is wrong with it.
    pub first: String,
}

impl SourceAccount {
    /// Counts rows that were read.
    pub(super) fn read(&mut self, rows: &Admitted) {
        self.rows_in += rows.rows_in;
        self.late += rows.late.as_ref().map_or(0, |late| late.num_rows() as u64);
        self.furthest_behind = self.furthest_behind.max(rows.furthest_behind);
        self.reject(&rows.rejects);
    }

    /// Counts rows that were rejected.
    pub(super) fn reject(&mut self, rejects: &[Reject]) {
        self.rejected += rejects.len() as u64;
        for reject in rejects {
            let mut what = reject.column.as_deref().unwrap_or(&reject.reason);
            if self.reasons.len() >= REASONS && !self.reasons.contains_key(what) {
                what = OTHERS;
            }
            match self.reasons.get_mut(what) {
                Some(known) => known.rows += 1,
                None => {
                    let first = format!("{}:{}: {}", reject.file, reject.row, reject.reason);
                    let rejected = Rejected { rows: 1, first };
                    self.reasons.insert(what.to_owned(), rejected);
                }
            }
        }
    }

    /// What most of the rejected rows were rejected for.
    #[must_use]
    pub fn most_frequent(&self) -> Option<(&String, &Rejected)> {
        self.reasons
            .iter()
            .max_by_key(|(_, rejected)| rejected.rows)
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
        account.reject(&rejects);
        assert_eq!(account.rejected, 1_000);
        assert_eq!(account.reasons.len(), REASONS + 1);
        let (what, most) = account.most_frequent().unwrap();
        assert_eq!((what.as_str(), most.rows), (OTHERS, 1_000 - REASONS as u64));
        assert_eq!(most.first, "events.jsonl:65: `65` is not an object");
    }
}
