//! Steps in order and in time: `[pattern.*]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::aggregate::Aggregate;
use super::one_or_many::OneOrMany;
use super::text::{Name, Sql, Text};
use crate::time::Span;

/// `[pattern.NAME]`: rows of one entity that go through steps in order and in time, and rows that stay away.
///
/// Columns: the entity's key, `start_id` and `start` (id and time of the first row), `end` (time of the last row, or when
/// the time was out), `how` (`completed`, or `timed_out` where the last step is absent), the number of rows of
/// each step that is not absent, the aggregates, and `skipped`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// The source, or sources, of the rows.
    pub from: OneOrMany<Text>,
    /// The entity. May be left out when the job has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<Text>,
    /// How long a match may last from its first row; a row exactly so much later is outside.
    pub within: Span,
    /// The steps, in order.
    #[schemars(length(min = 1))]
    pub steps: Vec<PatternStep>,
    /// The aggregates over the rows of one `step`: count, any, sum, mean, min, max, first, last.
    #[serde(default)]
    pub add: Vec<Aggregate>,
    /// How many matches of a key may be under way at once; a row that would begin one more begins none, and is counted in `skipped`. Default: 16.
    #[serde(default = "sixteen")]
    #[schemars(range(min = 1, max = 4096))]
    pub most_open: u32,
}

fn sixteen() -> u32 {
    16
}

/// A step of a pattern: rows that must come, or must not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatternStep {
    /// Its name, and that of the column with the number of its rows.
    pub name: Name,
    /// Which rows satisfy it. Default: all rows.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Sql>,
    /// How many rows it needs. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub at_least: Option<u32>,
    /// How many rows it takes; what satisfies it then is passed over. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub at_most: Option<u32>,
    /// How long after the last row of the step before it begins at the latest; of an absent step, how long after that row it must stay away. Default: as long as the pattern lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// Such rows must not come before the next step or, behind the last one, before the time is out. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
}

impl Pattern {
    /// The steps that have rows, each with the absent one behind it.
    pub fn present(&self) -> impl Iterator<Item = (&PatternStep, Option<&PatternStep>)> {
        let steps = self.steps.iter().enumerate();
        let present = steps.filter(|(_, step)| !step.absent);
        present.map(|(i, step)| (step, self.steps.get(i + 1).filter(|next| next.absent)))
    }

    /// Whether a match ends when its time is out.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.steps.last().is_some_and(|step| step.absent)
    }
}
