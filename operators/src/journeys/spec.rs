//! What journeys a job wants, with names compiled away, and what their outputs look like.

use serde::{Deserialize, Serialize};
use tidegate_schemas::names::{Names, mark_of};
use tidegate_schemas::rows::{Kind, OutputColumn, OutputSchema};
use tidegate_schemas::time::Span;

/// The longest context there may be, in kinds.
pub const MAX_ORDER: usize = 16;

/// What stands before the first step of a journey.
#[must_use]
pub fn start() -> i64 {
    mark_of("start")
}

/// What stands behind the last step of a journey.
#[must_use]
pub fn end() -> i64 {
    mark_of("end")
}

/// Makes the marks known, so that they can be shown.
pub fn name_marks(names: &Names) {
    names.mark("start");
    names.mark("end");
}

/// What journeys a job wants, by index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JourneySpec {
    /// Which word of a fact is its kind; a fact without one is no step.
    pub kind: usize,
    /// How long a silence ends a journey; without it only the end of the input does.
    pub gap: Option<Span>,
    /// The longest context of a step, in kinds.
    pub order: usize,
    /// Which output gets [`MOVES`].
    pub moves: Option<usize>,
    /// Which output gets [`STEPS`].
    pub steps: Option<usize>,
    /// Which output gets [`PATHS`].
    pub paths: Option<usize>,
}

impl JourneySpec {
    /// How many of its latest kinds a journey must remember.
    pub(super) fn keep(&self) -> usize {
        match (self.paths, self.steps) {
            (Some(_), _) => usize::MAX,
            (None, Some(_)) => self.order,
            (None, None) => 1,
        }
    }
}

/// Every step of every journey: from which kind, to which, and after how long. A journey's first step
/// comes from the start mark and its end goes to the end mark, both without a time between.
pub const MOVES: [(&str, Kind); 3] = [
    ("from", Kind::Text),
    ("to", Kind::Text),
    ("between", Kind::Span),
];

/// Every step that has an earlier one in its journey: its id, its kind, and the kinds before it, as
/// many as the order says, newest first.
pub const STEPS: [(&str, Kind); 3] = [
    ("id", Kind::Id { shown: u64::MAX }),
    ("to", Kind::Text),
    ("context", Kind::Text),
];

/// Every journey that is over: the least id of its steps, and all its kinds in order.
pub const PATHS: [(&str, Kind); 2] = [
    ("first", Kind::Id { shown: u64::MAX }),
    ("kinds", Kind::Text),
];

/// When the rows of a count that goes on leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Firing {
    /// Once, at the end of the input: before it any row may change.
    Final,
    /// At every tick that changes them; the old one is taken back.
    Changes,
}

/// Which part of the journeys a hold-out counts: `counted` of every `of`, rounded down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// So many,
    pub counted: u32,
    /// of so many.
    pub of: u32,
}

impl Split {
    /// How many of `journeys` are counted.
    #[must_use]
    pub fn of(self, journeys: usize) -> usize {
        (journeys as u128 * u128::from(self.counted) / u128::from(self.of.max(1))) as usize
    }
}

/// What rows of [`super::transitions::Transitions`] look like.
#[must_use]
pub fn transitions_output(name: &str) -> OutputSchema {
    let columns = [
        ("from", Kind::Text),
        ("to", Kind::Text),
        ("count", Kind::Int),
        ("share", Kind::Float),
        ("mean_seconds", Kind::Float),
    ];
    schema(name, columns, vec![0, 1])
}

/// What rows of [`super::accuracy::Scores`] look like.
#[must_use]
pub fn accuracy_output(name: &str) -> OutputSchema {
    let list = |kind| Kind::List(Box::new(kind));
    let columns = [
        ("order", Kind::Int),
        ("steps", Kind::Int),
        ("predicted", Kind::Int),
        ("right", Kind::Int),
        ("accuracy", Kind::Float),
        ("bin_steps", list(Kind::Int)),
        ("bin_probability", list(Kind::Float)),
        ("bin_right", list(Kind::Float)),
    ];
    schema(name, columns, vec![0])
}

/// What rows of [`super::holdout::HoldOut`] look like.
#[must_use]
pub fn holdout_output(name: &str) -> OutputSchema {
    let columns = [
        ("k", Kind::Int),
        ("counted", Kind::Int),
        ("journeys", Kind::Int),
        ("prefixes", Kind::Int),
        ("right", Kind::Int),
        ("accuracy", Kind::Float),
    ];
    schema(name, columns, vec![0])
}

fn schema<const N: usize>(
    name: &str,
    columns: [(&str, Kind); N],
    identity: Vec<usize>,
) -> OutputSchema {
    let column = |(name, kind): (&str, Kind)| OutputColumn {
        name: name.to_owned(),
        kind,
    };
    OutputSchema {
        name: name.to_owned(),
        key: None,
        columns: columns.into_iter().map(column).collect(),
        identity,
    }
}
