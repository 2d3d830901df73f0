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

/// `[drift.NAME]`: histograms of expressions per window of time, compared with a frozen reference.
///
/// Output: one row for each window `[start, start + every)` and expression: `start`, `window` (its number), `column`
/// (the expression's name), `psi` (population stability index: sum of (p - q) ln(p / q)), `kl` (Kullback-Leibler
/// divergence: sum of p ln(p / q)), `rows`, `reference_rows`, `categories`; p is the window and q the reference.
/// With `by`, `window`, `measures` or `alert`: `start`, `end`, `window` (its length), `column`, `segment` (null: all rows),
/// the measures, `rows`, `reference_rows`, `categories`, `no_drift_95` (what psi stays below in 95 of 100 windows without
/// drift), `moved` (what adds most to psi, `+` where its share rose; `new`: a number or time that the reference
/// does not have).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// The source of the rows.
    pub from: Text,
    /// The expression whose values are counted, or a list of them: `sql` or `sql as name`. Floats and decimals are numbers and are put into bins; so are whole numbers if `bins` is given; all else is a category.
    pub of: OneOrMany<Sql>,
    /// Beside the monitor of all rows, one for each value of this expression; rows where it is null count in that of all rows only. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Sql>,
    /// Only rows that satisfy this are counted. Default: all rows.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Sql>,
    /// The stretch of time that is the reference; it is frozen.
    pub reference: Reference,
    /// Windows end this often: at the reference's `from`, or else at 1970-01-01T00:00:00Z, and every so long before and after.
    pub every: Span,
    /// How long windows are: one or several whole multiples of `every`. Default: `every`.
    #[serde(default, skip_serializing_if = "none")]
    pub window: OneOrMany<Span>,
    /// The bins of numbers: deciles (of the reference), sturges, doane, { even = 10 } or { edges = [0, 10, 100] }. Default: deciles. The first and the last are open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bins: Option<Bins>,
    /// What is measured. Default: psi and kl.
    #[serde(default, skip_serializing_if = "none")]
    pub measures: OneOrMany<Measure>,
    /// The least share of a category or bin on either side to psi and kl, so that an empty one has a logarithm. Default: `smoothing` instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub fill: Option<f64>,
    /// Added to the count of every category or bin on both sides to psi and kl, so that an empty one has a logarithm. Default: 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub smoothing: Option<f64>,
    /// A window with fewer rows has no line. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub min_rows: Option<u32>,
    /// What makes an alert of the measures; they are the output `alerts.NAME`. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<DriftAlert>,
}

fn none<T>(list: &OneOrMany<T>) -> bool {
    list.is_empty()
}

/// A drift measure; p is the window and q the reference.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// The population stability index, in nats: the same both ways.
    Psi,
    /// The Kullback-Leibler divergence of the window from the reference, in nats.
    Kl,
    /// The Jensen-Shannon distance, in nats: 0 to 0.833.
    Js,
    /// The Hellinger distance: 0 to 1.
    Hellinger,
    /// The total variation distance: 0 to 1.
    #[serde(rename = "tvd")]
    TotalVariation,
    /// The largest difference of the shares of a category: 0 to 1.
    #[serde(rename = "linf")]
    Largest,
    /// The chi-square test of independence and its p-value.
    #[serde(rename = "chi2")]
    ChiSquare,
    /// The Kolmogorov-Smirnov statistic of the bins: 0 to 1. Null for categories.
    #[serde(rename = "ks")]
    Kolmogorov,
    /// The Wasserstein distance of the bins' middles, in the unit of the column. Null for categories.
    Wasserstein,
    /// The share of rows without a value, in the window and in the reference.
    Missing,
    /// The share of rows in categories or bins that the reference lacks.
    New,
}

impl Measure {
    /// The columns it makes, with what each is.
    #[must_use]
    pub fn columns(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Measure::Psi => &[(
                "psi",
                "population stability index, in nats, both ways the same",
            )],
            Measure::Kl => &[("kl", "divergence from the reference, in nats")],
            Measure::Js => &[("js", "Jensen-Shannon distance, in nats: 0 to 0.833")],
            Measure::Hellinger => &[("hellinger", "Hellinger distance: 0 to 1")],
            Measure::TotalVariation => &[("tvd", "total variation distance: 0 to 1")],
            Measure::Largest => &[("linf", "largest difference of a share: 0 to 1")],
            Measure::ChiSquare => &[
                (
                    "chi2",
                    "chi-square of independence (Yates with two categories)",
                ),
                ("chi2_p", "its p-value: 1 down to 0"),
            ],
            Measure::Kolmogorov => &[("ks", "Kolmogorov-Smirnov D of the bins: 0 to 1")],
            Measure::Wasserstein => &[(
                "wasserstein",
                "Wasserstein distance of the bins' middles, in the column's unit",
            )],
            Measure::Missing => &[
                ("missing", "share of rows without a value, in the window"),
                (
                    "reference_missing",
                    "share of rows without a value, in the reference",
                ),
            ],
            Measure::New => &[("new", "share of rows where the reference has none")],
        }
    }

    /// Whether it is of numbers only.
    #[must_use]
    pub fn is_of_numbers(self) -> bool {
        matches!(self, Measure::Kolmogorov | Measure::Wasserstein)
    }
}

/// What is measured where nothing is said.
const USUAL: [Measure; 2] = [Measure::Psi, Measure::Kl];

impl Drift {
    /// What is measured.
    #[must_use]
    pub fn measured(&self) -> &[Measure] {
        match self.measures.is_empty() {
            true => &USUAL,
            false => &self.measures,
        }
    }

    /// Whether rows have more than windows of one length, psi and kl.
    #[must_use]
    pub fn is_wide(&self) -> bool {
        self.by.is_some()
            || self.alert.is_some()
            || !self.window.is_empty()
            || !self.measures.is_empty()
    }

    /// The columns of its rows.
    #[must_use]
    pub fn columns(&self) -> Vec<&'static str> {
        let window: &[_] = match self.is_wide() {
            true => &["start", "end", "window", "column", "segment"],
            false => &["start", "window", "column"],
        };
        let mut columns = window.to_vec();
        columns.extend(self.computed());
        columns
    }

    /// The columns of its alerts.
    #[must_use]
    pub fn alert_columns(&self) -> Vec<&'static str> {
        let episode = [
            "column",
            "segment",
            "window",
            "opened_at",
            "closed_at",
            "state",
            "reference_from",
            "reference_until",
        ];
        episode.into_iter().chain(self.computed()).collect()
    }

    /// The columns that are computed of a window.
    #[must_use]
    pub fn computed(&self) -> Vec<&'static str> {
        let measures = self.measured().iter().flat_map(|it| it.columns());
        let mut columns: Vec<_> = measures.map(|(name, _)| *name).collect();
        columns.extend(["rows", "reference_rows", "categories"]);
        if self.is_wide() {
            columns.extend(["no_drift_95", "moved"]);
        }
        columns
    }
}

/// The bins of numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Bins {
    /// By a rule, from the reference.
    Rule(BinRule),
    /// Evenly, or by given edges.
    Given(GivenBins),
}

/// How bins come from the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BinRule {
    /// Ten with equally many rows of the reference; fewer where values are frequent.
    Deciles,
    /// Equally wide ones by Sturges' rule.
    Sturges,
    /// Equally wide ones by Doane's rule.
    Doane,
}

/// `bins = { even = 10 }` or `bins = { edges = [0, 10, 100] }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenBins {
    /// So many equally wide bins from the least to the greatest value of the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 1000))]
    pub even: Option<u32>,
    /// Where bins begin and end: ascending numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edges: Option<Vec<f64>>,
}

/// `alert = { when = "psi > 0.2", for = 2 }`: when the measures of windows make an alert.
///
/// Output `alerts.NAME`: a row for each episode, of a column, a segment and a length of windows: `column`, `segment`,
/// `window`, `opened_at`, `closed_at`, `state`, `reference_from`, `reference_until`, and the measures of the window that opened it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriftAlert {
    /// What must hold of a window: a condition over the columns of its row. Null counts as false.
    pub when: Sql,
    /// Of how many windows in a row; those that have no row are passed over. Default: 1.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub windows: Option<u32>,
    /// What ends an episode. Default: `when` no longer holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear_when: Option<Sql>,
    /// How long after an opening there is no other; exactly so long after it, there may be. Default: 0s.
    #[serde(default)]
    pub cooldown: Span,
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
