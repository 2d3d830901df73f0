//! What is kept for each entity: `[entity.*]`, `[features.*]` and `[sessions.*]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::aggregate::Aggregate;
use super::one_or_many::OneOrMany;
use super::text::{Sql, Text};
use crate::time::Span;

/// `[entity.NAME]`: what features, sessions and patterns are kept for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entity {
    /// The column that names the entity, in every source that feeds it. Rows where it is null are rejected.
    pub key: Text,
}

/// `[features.NAME]`: aggregates over windows, for each entity.
///
/// Without `at`, the output `features.NAME` holds the current values of each entity, which also fall when rows
/// leave a window. With `at`, it holds one row for each row that satisfies `at`, with the values of that moment
/// (point in time: training rows), the row's id, and what it carries; the current values are then the output
/// `current.NAME`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Features {
    /// The source, or sources, of the rows.
    pub from: OneOrMany<Text>,
    /// The entity. May be left out when the job has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<Text>,
    /// Anchor rows: for each row that satisfies this, a row with the values of its moment goes out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Sql>,
    /// Columns of the anchor row that go out with the values. Needs `at`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carry: Vec<Text>,
    /// Which ends belong to a window of length w at time t. Default: open_closed.
    #[serde(default)]
    pub bounds: Bounds,
    /// The aggregates.
    #[schemars(length(min = 1))]
    pub add: Vec<Aggregate>,
}

/// Which ends belong to a window of length `w` at time `t`. Rows at one instant enter and leave together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bounds {
    /// (t - w, t]: the row itself counts, a row exactly w old does not.
    #[default]
    OpenClosed,
    /// [t - w, t]: both ends count, as in SQL's RANGE BETWEEN w PRECEDING AND CURRENT ROW.
    ClosedClosed,
    /// [t - w, t): the row itself and the others at its instant do not count.
    ClosedOpen,
}

/// `[sessions.NAME]`: stretches of rows of one entity without a long gap.
///
/// Columns: the entity's key, `start`, `end` (time of the last row), `rows`, the aggregates, `closed`, and `cut` when
/// there is a `max_length`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// The source, or sources, of the rows.
    pub from: OneOrMany<Text>,
    /// The entity. May be left out when the job has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<Text>,
    /// Only rows that satisfy this belong to sessions. Default: all rows.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Sql>,
    /// A longer silence than this ends a session.
    pub gap: Span,
    /// What a row exactly `gap` after the last one does. Default: new.
    #[serde(default)]
    pub at_gap: AtGap,
    /// A row that would make a session longer than this begins a new one, and the session that ends so is marked as cut. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<Span>,
    /// The aggregates over the rows of a session: count, any, sum, mean, min, max, first, last, count_distinct, list. They take no windows: the session is the window.
    #[serde(default)]
    pub add: Vec<Aggregate>,
}

/// What a row exactly `gap` after the last one does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AtGap {
    /// It begins a new session.
    #[default]
    New,
    /// It still belongs to the session.
    Same,
}
