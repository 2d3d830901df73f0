//! What pattern a job looks for, with names compiled away.

use serde::{Deserialize, Serialize};
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::{Span, TimeUnit};

use crate::sessions::SessionColumn;

/// A step that has rows, and what must not come behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which facts satisfy it (a bit of the fact); `None`: all.
    pub filter: Option<u8>,
    /// How many rows it has before the next step may begin: 1 or more.
    pub at_least: u32,
    /// How many rows it takes; what satisfies it then is passed over.
    pub at_most: Option<u32>,
    /// How long after the last row of the step before it begins at the latest. The first step has none.
    pub within: Option<Span>,
    /// What must not come between its last row and the next step, or, behind the last step, the end.
    pub absent: Option<Absent>,
}

/// Rows that must not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// Which facts those are (a bit of the fact); `None`: all.
    pub filter: Option<u8>,
    /// How long after the last row of the step they must not come; `None`: as long as the pattern lasts.
    pub within: Option<Span>,
}

/// A column over the rows of one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepColumn {
    /// Which of [`PatternSpec::steps`].
    pub step: usize,
    /// How it is made. What keeps more than words (lists, distinct counts) is not for patterns.
    pub column: SessionColumn,
}

/// What pattern a job looks for, by index: names were compiled away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatternSpec {
    /// How long it may last from its first row: a row exactly so much later is outside.
    pub within: Span,
    /// The steps that have rows, in order: one or more.
    pub steps: Vec<Step>,
    /// The columns between the counts and `skipped`.
    pub columns: Vec<StepColumn>,
    /// How many attempts of a key are open at most; a row that would begin one more begins none.
    pub most_open: u32,
    /// Which output gets the matches.
    pub output: Option<usize>,
}

impl PatternSpec {
    /// The column with the id of the first row. With the key it tells one match from another.
    pub const START_ID: usize = 0;
    /// The time of the first row.
    pub const START: usize = 1;
    /// The time of the last row, or of the time-out.
    pub const END: usize = 2;
    /// [`COMPLETED`] or [`TIMED_OUT`].
    pub const HOW: usize = 3;
    /// The first of the counts, one for each of [`PatternSpec::steps`].
    pub const COUNTS: usize = 4;

    /// The first of [`PatternSpec::columns`].
    #[must_use]
    pub fn first(&self) -> usize {
        PatternSpec::COUNTS + self.steps.len()
    }

    /// The column that says how many rows of the match's time began no attempt, since too many were open.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.first() + self.columns.len()
    }

    /// How many columns a row has, without the key.
    #[must_use]
    pub fn width(&self) -> usize {
        self.skipped() + 1
    }

    /// How the columns read, with times in `unit` and ids as `id`.
    #[must_use]
    pub fn kinds(&self, id: Kind, unit: TimeUnit) -> Vec<Kind> {
        let mut kinds = vec![id, Kind::Time(unit), Kind::Time(unit), Kind::Text];
        kinds.resize(self.first(), Kind::Int);
        let columns = self.columns.iter();
        kinds.extend(columns.map(|column| column.column.op.kind(unit)));
        kinds.push(Kind::Int);
        kinds
    }

    /// The bits of the facts that satisfy a step or an absent one; `None` when every fact may.
    #[must_use]
    pub fn seen(&self) -> Option<u64> {
        let absent = self.steps.iter().filter_map(|step| step.absent);
        let filters = self.steps.iter().map(|step| step.filter);
        let mut filters = filters.chain(absent.map(|absent| absent.filter));
        filters.try_fold(0, |all, filter| Some(all | 1 << filter?))
    }
}

/// How a match ended whose last row completed it.
pub const COMPLETED: &str = "completed";
/// How a match ended for which something had to stay away until its time was out.
pub const TIMED_OUT: &str = "timed_out";
/// The texts that the output shows by their codes.
pub const TEXTS: [&str; 2] = [COMPLETED, TIMED_OUT];
