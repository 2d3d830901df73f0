//! The account of a run: where every row that came in went.

use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Counts of rows. `rows_in = accepted + duplicate + late + rejected` at all times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Rows read.
    pub rows_in: u64,
    /// Rows that count.
    pub accepted: u64,
    /// Rows whose id was seen before.
    pub duplicate: u64,
    /// Rows older than the watermark when they arrived.
    pub late: u64,
    /// Rows that could not be read or broke an expectation.
    pub rejected: u64,
    /// Of the duplicates and corrections: rows whose content differed from the first of their id.
    pub conflicts: u64,
}

impl Account {
    /// Whether every row is accounted for.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.rows_in == self.accepted + self.duplicate + self.late + self.rejected
    }
}

impl AddAssign for Account {
    fn add_assign(&mut self, other: Account) {
        self.rows_in += other.rows_in;
        self.accepted += other.accepted;
        self.duplicate += other.duplicate;
        self.late += other.late;
        self.rejected += other.rejected;
        self.conflicts += other.conflicts;
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rows in = {} accepted + {} duplicate + {} late + {} rejected",
            self.rows_in, self.accepted, self.duplicate, self.late, self.rejected
        )
    }
}
