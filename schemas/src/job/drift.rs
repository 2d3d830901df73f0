//! Whether a distribution moves away from its reference: `[drift.*]`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use super::one_or_many::OneOrMany;
use super::text::{Sql, Text};
use crate::time::{EventTime, Span};

/// `[drift.NAME]`: histograms of expressions per tumbling window, compared with a frozen reference.
///
/// Output: one row for each window `[start, start + every)` and expression: `start`, `window` (its number), `column`
/// (the expression's name), `psi` (population stability index: sum of (p - q) ln(p / q)), `kl` (Kullback-Leibler
/// divergence: sum of p ln(p / q)), `rows`, `reference_rows`, `categories`; p is the window and q the reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// The source of the rows.
    pub from: Text,
    /// The expression whose values are counted, or a list of them: `sql` or `sql as name`.
    pub of: OneOrMany<Sql>,
    /// Only rows that satisfy this are counted. Default: all rows.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Sql>,
    /// The stretch of time that is the reference; it is frozen.
    pub reference: Reference,
    /// The length of a window. Windows begin at the reference's `from`, or else at 1970-01-01T00:00:00Z, and every so long before and after.
    pub every: Span,
    /// Added to the count of every category on both sides, so that an empty one has a logarithm. Default: 0.5.
    #[serde(default = "a_half")]
    #[schemars(range(min = 0))]
    pub smoothing: f64,
}

fn a_half() -> f64 {
    0.5
}

/// `reference = { until = "7d" }`: the stretch of time `[from, until)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Where it begins: a time in RFC 3339. Default: the window of the earliest row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Until>,
    /// Where it ends: a duration after its beginning (a whole number of windows when there is no `from`), or a time in RFC 3339.
    pub until: Until,
}

/// A moment, or a duration counted from another moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// So long after.
    After(Span),
    /// At this moment.
    At(EventTime),
}

impl FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Until, String> {
        if let Ok(span) = text.parse() {
            return Ok(Until::After(span));
        }
        chrono::DateTime::parse_from_rfc3339(text)
            .map(|time| Until::At(EventTime(time.timestamp_micros())))
            .map_err(|_| format!("`{text}` is neither a duration such as 7d nor a time such as 2026-01-31T00:00:00Z"))
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Until::After(span) => span.fmt(f),
            Until::At(at) => at.fmt(f),
        }
    }
}

impl Serialize for Until {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Until {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Until, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl JsonSchema for Until {
    fn schema_name() -> Cow<'static, str> {
        "TimeOrDuration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A duration such as 7d, or a time such as 2026-01-31T00:00:00Z."
        })
    }
}
