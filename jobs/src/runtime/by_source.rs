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
            let what = reject.column.as_ref().unwrap_or(&reject.reason);
            match self.reasons.get_mut(what) {
                Some(known) => known.rows += 1,
                None => {
                    let first = format!("{}:{}: {}", reject.file, reject.row, reject.reason);
                    let rejected = Rejected { rows: 1, first };
                    self.reasons.insert(what.clone(), rejected);
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
