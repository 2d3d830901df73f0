//! The job file: what one TOML file may say, read with every problem in it found at once.
//!
//! [`load`] reads a file; the same structs are the Rust builder. Every row-level expression is
//! an [`Sql`], and every text knows its [`Place`], so that a later stage can name file, line and
//! column too. The doc comments of the fields are the descriptions in the JSON Schema.

mod aggregate;
mod aggregate_keys;
mod check;
mod conform;
mod detector;
mod drift;
mod features;
mod fill;
mod journey;
mod load;
mod meant;
mod one_or_many;
mod outputs;
mod pattern;
mod problems;
mod read;
mod retrain;
mod shape;
mod sink;
mod source;
mod suggest;
mod test_case;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod trigger;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Span;

pub use aggregate::{Aggregate, Empty, Nulls, Op, OpName, Order, Spread, Window};
pub use detector::Detector;
pub use drift::{BinRule, Bins, Drift, DriftAlert, GivenBins, Measure, Reference, Until};
pub use features::{AtGap, Bounds, Entity, Features, Sessions};
pub use journey::{Fraction, Journey, JourneyHoldout};
pub use load::load;
pub use one_or_many::OneOrMany;
pub use outputs::TableView;
pub use pattern::{Pattern, PatternStep};
pub use problems::{Origin, Problem, Problems, Spot};
pub use retrain::{Moment, Retrain};
pub use shape::json_schema;
pub use sink::{Mode, Output, OutputKind, OutputName, Sink, SinkFormat};
pub use source::{ColumnKind, ColumnType, Columns, Dedupe, Format, OnConflict, Source, Table};
pub use suggest::closest;
pub use test_case::{Arm, Assume, Cell, Promise, TestCase, TestRow, TestRows};
pub use text::{Name, Place, Sql, Text};
pub use trigger::{EvaluateAt, Holdout, Trigger};

/// One job: what comes in, what is kept for each entity, when to act, and where answers go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Name, clock and lateness of the job.
    pub job: JobSection,
    /// Where rows come from, by name.
    #[serde(rename = "source", default)]
    pub sources: BTreeMap<String, Source>,
    /// What features, sessions and patterns are kept for, by name: for example `customer`.
    #[serde(rename = "entity", default)]
    pub entities: BTreeMap<String, Entity>,
    /// Aggregates over windows that end at a row or now, by name.
    #[serde(default)]
    pub features: BTreeMap<String, Features>,
    /// Stretches of rows without a long gap, by name.
    #[serde(default)]
    pub sessions: BTreeMap<String, Sessions>,
    /// Steps in order and in time, by name.
    #[serde(rename = "pattern", default)]
    pub patterns: BTreeMap<String, Pattern>,
    /// Tables that change over time (thresholds, consent), by name. A changelog source with a `key` is one already.
    #[serde(rename = "table", default)]
    pub tables: BTreeMap<String, Table>,
    /// Conditions to act on, by name.
    #[serde(rename = "trigger", default)]
    pub triggers: BTreeMap<String, Trigger>,
    /// Comparisons of a distribution with a reference, by name.
    #[serde(default)]
    pub drift: BTreeMap<String, Drift>,
    /// Online change detectors, by name.
    #[serde(rename = "detector", default)]
    pub detectors: BTreeMap<String, Detector>,
    /// Which kind of row follows which, by name.
    #[serde(rename = "journey", default)]
    pub journeys: BTreeMap<String, Journey>,
    /// When models are to be trained again, by the names of the models.
    #[serde(default)]
    pub retrain: BTreeMap<String, Retrain>,
    /// Where outputs are written, by name.
    #[serde(rename = "sink", default)]
    pub sinks: BTreeMap<String, Sink>,
    /// Rows and what must come of them; run by `tidegate test`.
    #[serde(rename = "test", default)]
    pub tests: Vec<TestCase>,
    /// The documents it was read from, to name the places of problems found later.
    #[serde(skip)]
    pub origin: Origin,
}

/// `[job]`: name, clock and lateness.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSection {
    /// The job's name: letters, digits, `-` and `_`.
    pub name: Text,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Text>,
    /// What it is for, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// The job's own version. Default: 1.
    #[serde(default = "one")]
    pub version: u32,
    /// The column that holds a row's event time, of a timestamp type, in every source that names no other.
    pub event_time: Text,
    /// How far a row may lag behind the newest event time seen in its source and still count; rows further behind go to the `late` output. Default: 0s.
    #[serde(default)]
    pub lateness: Span,
    /// After this much silence, a source holds the watermark back no longer. Default: 30s.
    #[serde(default = "half_a_minute")]
    pub idle_timeout: Span,
}

fn one() -> u32 {
    1
}

fn half_a_minute() -> Span {
    Span::seconds(30)
}
