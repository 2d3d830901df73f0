//! The aggregates of features, sessions and patterns: `add = [{ name = "...", op = "...", ... }]`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use super::aggregate_keys::AggregateKeys;
use super::text::{Name, Sql, Text};
use crate::time::Span;

/// One aggregate: one output column for each of its windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "AggregateKeys", into = "AggregateKeys")]
pub struct Aggregate {
    /// The column's name, before `_` and the window.
    pub name: Name,
    /// What is computed.
    pub op: Op,
    /// The measured value. `None` for the ops that measure none.
    pub of: Option<Sql>,
    /// Which rows count; for a ratio, those above the line. `None`: all.
    pub filter: Option<Sql>,
    /// In patterns: the step whose rows count.
    pub step: Option<Text>,
    /// The windows, each a column. Empty in sessions and patterns, and for the ops that take none (one column).
    pub windows: Vec<Window>,
    /// Let rows leave in steps of this length instead of one by one.
    pub hop: Option<Span>,
    /// Decimals that are kept of a float measure; see [`Aggregate::decimals`].
    pub scale: Option<u8>,
    /// Whether a null measure is a value.
    pub nulls: Nulls,
    /// What comes out when no row counts.
    pub empty: Empty,
}

impl Aggregate {
    /// The decimals kept of a float measure when the job says nothing.
    pub const DEFAULT_SCALE: u8 = 6;
    /// The most decimals that can be kept.
    pub const MAX_SCALE: u8 = 12;

    /// The decimals that a float measure is rounded to, half away from zero. `None` where its values
    /// are only compared and passed on: they stay as they are.
    #[must_use]
    pub fn decimals(&self) -> Option<u8> {
        let calculates = matches!(
            self.op,
            Op::Sum | Op::Mean | Op::Variance(_) | Op::Stddev(_) | Op::DecayedSum { .. }
        );
        self.scale
            .or(calculates.then_some(Aggregate::DEFAULT_SCALE))
    }

    /// The names of its output columns, in the order of the windows: `contacts_1h`, `contacts_24h`.
    pub fn columns(&self) -> Vec<String> {
        if self.windows.is_empty() {
            return vec![self.name.as_str().to_owned()];
        }
        let column = |window| self.column(window);
        self.windows.iter().map(column).collect()
    }

    /// The name of the output column of one window.
    #[must_use]
    pub fn column(&self, window: &Window) -> String {
        match window {
            Window::Lifetime => self.name.as_str().to_owned(),
            Window::Rolling { label, .. } => format!("{}_{label}", self.name.as_str()),
        }
    }
}

impl JsonSchema for Aggregate {
    fn schema_name() -> Cow<'static, str> {
        "Aggregate".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        AggregateKeys::json_schema(generator)
    }
}

/// What an aggregate computes over the rows that count, in (time, id) order.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// How many rows there are; with `of`, how many where it is not null.
    Count,
    /// The sum.
    Sum,
    /// The mean.
    Mean,
    /// The smallest value.
    Min,
    /// The largest value.
    Max,
    /// The variance.
    Variance(Spread),
    /// The standard deviation.
    Stddev(Spread),
    /// The value of the first row.
    First,
    /// The value of the last row.
    Last,
    /// The values of the first rows.
    FirstK {
        /// How many.
        k: u32,
        /// In which order they come out.
        order: Order,
    },
    /// The values of the last rows.
    LastK {
        /// How many.
        k: u32,
        /// In which order they come out.
        order: Order,
    },
    /// How many different values there are.
    CountDistinct,
    /// The different values that were seen last, each once.
    DistinctK {
        /// How many.
        k: u32,
        /// In which order they come out, by the last row of each.
        order: Order,
    },
    /// The most frequent values with their counts; the smaller value first among equals.
    Histogram {
        /// How many.
        k: u32,
    },
    /// The count of the most frequent value.
    MaxCountBy,
    /// Rows that satisfy `where` divided by rows that satisfy `per`; each is counted by itself.
    Ratio {
        /// Which rows count below the line.
        per: Sql,
    },
    /// The time since the newest earlier row, in seconds.
    TimeSinceLast,
    /// The longest time between neighbouring rows, in seconds.
    LongestGap,
    /// The entropy of the values' shares, in natural units.
    Entropy,
    /// The sum where a value loses half its weight every `half_life`.
    DecayedSum {
        /// After how long a value counts half.
        half_life: Span,
    },
    /// Whether any row counts.
    Any,
    /// The values of the first rows of a session, oldest first.
    List {
        /// How many.
        k: u32,
    },
}

impl Op {
    /// Its name in the job file.
    #[must_use]
    pub fn name(&self) -> OpName {
        match self {
            Op::Count => OpName::Count,
            Op::Sum => OpName::Sum,
            Op::Mean => OpName::Mean,
            Op::Min => OpName::Min,
            Op::Max => OpName::Max,
            Op::Variance(_) => OpName::Variance,
            Op::Stddev(_) => OpName::Stddev,
            Op::First => OpName::First,
            Op::Last => OpName::Last,
            Op::FirstK { .. } => OpName::FirstK,
            Op::LastK { .. } => OpName::LastK,
            Op::CountDistinct => OpName::CountDistinct,
            Op::DistinctK { .. } => OpName::DistinctK,
            Op::Histogram { .. } => OpName::Histogram,
            Op::MaxCountBy => OpName::MaxCountBy,
            Op::Ratio { .. } => OpName::Ratio,
            Op::TimeSinceLast => OpName::TimeSinceLast,
            Op::LongestGap => OpName::LongestGap,
            Op::Entropy => OpName::Entropy,
            Op::DecayedSum { .. } => OpName::DecayedSum,
            Op::Any => OpName::Any,
            Op::List { .. } => OpName::List,
        }
    }
}

/// The name of an [`Op`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum OpName {
    /// How many rows there are; with `of`, how many where it is not null.
    Count,
    /// The sum of `of`.
    Sum,
    /// The mean of `of`.
    Mean,
    /// The smallest value of `of`.
    Min,
    /// The largest value of `of`.
    Max,
    /// The variance of `of`; `kind` says which.
    Variance,
    /// The standard deviation of `of`; `kind` says which.
    Stddev,
    /// The value of `of` in the first row by (time, id).
    First,
    /// The value of `of` in the last row by (time, id).
    Last,
    /// The values of `of` in the first `k` rows.
    FirstK,
    /// The values of `of` in the last `k` rows.
    LastK,
    /// How many different values `of` has. Exact.
    CountDistinct,
    /// The `k` different values of `of` that were seen last, each once.
    DistinctK,
    /// The `k` most frequent values of `of` with their counts; among equals the smaller value first.
    Histogram,
    /// The count of the most frequent value of `of`.
    MaxCountBy,
    /// How many rows satisfy `where`, divided by how many satisfy `per`. Each is counted by itself.
    Ratio,
    /// The time since the newest earlier row, in seconds; rows at the same instant do not count. As of the output row's time.
    TimeSinceLast,
    /// The longest time between neighbouring rows, in seconds; null below two rows.
    LongestGap,
    /// The entropy of the shares of `of`'s values, in natural units.
    Entropy,
    /// The sum of `of` where a value loses half its weight every `half_life`. As of the output row's time.
    DecayedSum,
    /// Whether any row satisfies `where`.
    Any,
    /// In sessions: the values of `of` in the first `k` rows, oldest first.
    List,
}

impl fmt::Display for OpName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Which variance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// Divided by n.
    #[default]
    Population,
    /// Divided by n - 1; null below two values.
    Sample,
}

/// In which order a list comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The last row first.
    NewestFirst,
    /// The first row first.
    OldestFirst,
}

/// What a null measure does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Nulls {
    /// The row does not count.
    #[default]
    Skip,
    /// Null is a value like others.
    Keep,
}

/// What comes out when no row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Empty {
    /// Null.
    Null,
    /// 0, false or the empty list.
    Zero,
}

/// The rows an aggregate looks back on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// All rows so far.
    Lifetime,
    /// The rows of the last while.
    Rolling {
        /// How long it is.
        span: Span,
        /// The length as it was written, without spaces: the end of the column's name.
        label: String,
    },
}

impl Window {
    /// The window of the last `span`, named by the shortest writing of its length.
    #[must_use]
    pub fn rolling(span: Span) -> Window {
        Window::Rolling {
            span,
            label: span.to_string(),
        }
    }

    /// How long it is; `None` for a lifetime.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        match self {
            Window::Lifetime => None,
            Window::Rolling { span, .. } => Some(*span),
        }
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Window, String> {
        if text == "lifetime" {
            return Ok(Window::Lifetime);
        }
        let span: Span = text.parse()?;
        if span <= Span::ZERO {
            return Err("a window must be longer than nothing".to_owned());
        }
        let label = text.chars().filter(|c| !c.is_whitespace()).collect();
        Ok(Window::Rolling { span, label })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Window::Lifetime => f.write_str("lifetime"),
            Window::Rolling { label, .. } => f.write_str(label),
        }
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Window, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl JsonSchema for Window {
    fn schema_name() -> Cow<'static, str> {
        "Window".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A duration such as 24h or 7d, or `lifetime`."
        })
    }
}
