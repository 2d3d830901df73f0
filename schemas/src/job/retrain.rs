//! When a model is to be trained again: `[retrain.*]`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use super::Job;
use super::drift::Drift;
use super::one_or_many::OneOrMany;
use super::sink::{Output, OutputKind};
use super::text::Text;
use crate::time::{EventTime, Span};

/// `[retrain.NAME]`: when the model of that name is to be trained again, and on what.
///
/// Output: one row for each request: `model`, `requested_at`, `reason` (`drift`, `rows` or `age`), `state` (`requested`), the alert that
/// caused it (`drift`, `monitor`, `segment`, `window`, its measures, `reference_from`, `reference_until`, `current_from`,
/// `current_until`; null for other reasons), `train` (the output to train on), `train_from` and `train_until`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retrain {
    /// The drifts whose alerts ask: drift.NAME, or a list of them; each has an `alert`. Default: none.
    #[serde(default, skip_serializing_if = "none")]
    pub on: OneOrMany<Text>,
    /// The source whose rows are counted, and by which time passes. Default: that of the drifts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Text>,
    /// A model so old asks, with the next row: counted from the last request, or else from `since`, or else from the first row. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
    /// When the model in use was trained: a time in RFC 3339. What was before asks for nothing. Default: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Moment>,
    /// So many rows after the last request (or `since`) ask. Default: none do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub rows: Option<u64>,
    /// How long after a request there is no other; exactly so long after it, there may be. Default: 0s.
    #[serde(default)]
    pub cooldown: Span,
    /// The output to train on, which requests name: features.NAME. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<Text>,
    /// How much history before the request to train on. Default: from the first row on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Span>,
}

fn none(list: &OneOrMany<Text>) -> bool {
    list.is_empty()
}

/// The columns of a request before the measures.
const REQUEST: [&str; 8] = [
    "model",
    "requested_at",
    "reason",
    "state",
    "drift",
    "monitor",
    "segment",
    "window",
];

/// Those behind the measures.
const RANGES: [&str; 7] = [
    "reference_from",
    "reference_until",
    "current_from",
    "current_until",
    "train",
    "train_from",
    "train_until",
];

impl Retrain {
    /// The drifts of `on` that the job has, with their names.
    pub fn drifts<'a>(&'a self, job: &'a Job) -> impl Iterator<Item = (&'a str, &'a Drift)> {
        let named = self.on.iter().filter_map(drift_of);
        named.filter_map(|name| {
            let (name, drift) = job.drift.get_key_value(&name)?;
            Some((name.as_str(), drift))
        })
    }

    /// The source whose rows are counted.
    #[must_use]
    pub fn source<'a>(&'a self, job: &'a Job) -> Option<&'a Text> {
        let of_drifts = || self.drifts(job).next().map(|(_, drift)| &drift.from);
        self.from.as_ref().or_else(of_drifts)
    }

    /// The columns of its requests.
    #[must_use]
    pub fn columns(&self, job: &Job) -> Vec<&'static str> {
        let mut columns = REQUEST.to_vec();
        for column in self.drifts(job).flat_map(|(_, drift)| drift.computed()) {
            if column != "moved" && !columns.contains(&column) {
                columns.push(column);
            }
        }
        columns.push("moved");
        columns.extend(RANGES);
        columns
    }
}

/// The name of the drift that is meant by `drift.NAME`.
pub(super) fn drift_of(on: &Text) -> Option<String> {
    let output: Output = on.as_str().parse().ok()?;
    (output.kind == OutputKind::Drift).then_some(output.name)
}

/// A moment of event time, in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub EventTime);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Moment, String> {
        chrono::DateTime::parse_from_rfc3339(text)
            .map(|time| Moment(EventTime(time.timestamp_micros())))
            .map_err(|_| format!("`{text}` is no time; write it like 2026-01-31T00:00:00Z"))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Moment, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A time such as 2026-01-31T00:00:00Z."
        })
    }
}
