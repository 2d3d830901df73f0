//! When to act: `[trigger.*]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::one_or_many::OneOrMany;
use super::text::{Sql, Text};
use crate::time::Span;

/// `[trigger.NAME]`: a condition over current features, sessions and tables, and what to do when it holds.
///
/// An *episode* opens when `when` becomes true and ends when `clear_when` does. The output has one row for each
/// episode that was not held back by `cooldown`: the entity's key, `event_id` (of the anchor row), `fired_at`,
/// `closed_at`, `state`, `segment`, `arm`, `action`, and the columns of `explain`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// The features, sessions and tables whose columns the expressions use. Columns may be qualified: `limits.threshold`.
    pub on: OneOrMany<Text>,
    /// When the condition is looked at. Default: changes.
    #[serde(default)]
    pub at: EvaluateAt,
    /// The condition. Null counts as false.
    pub when: Sql,
    /// Which segment the entity is in. A table is looked up by those of its key columns that features and sessions in `on` have, and by the segment for the other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<Sql>,
    /// What ends an episode. Default: `when` no longer holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear_when: Option<Sql>,
    /// How long after a firing the same entity fires no more; exactly this long after, it may. Default: 0s.
    #[serde(default)]
    pub cooldown: Span,
    /// Hold back the action for a part of the entities, to measure its effect. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holdout: Option<Holdout>,
    /// What to do: goes out with the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Text>,
    /// Columns that go out with the row as reasons: `column` or `column as name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub explain: Vec<Sql>,
}

/// When a trigger's condition is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvaluateAt {
    /// At every change: a row, a row that leaves a window, a table's change.
    #[default]
    Changes,
    /// Only at the anchor rows (`at`) of its features.
    Anchors,
}

/// `holdout = { salt = "rescue-v3", percent = 10 }`: who is in it depends on salt and key alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Holdout {
    /// Change it to draw anew.
    pub salt: Text,
    /// How many of a hundred entities are held out: 0 to 100.
    #[schemars(range(min = 0, max = 100))]
    pub percent: f64,
}
