//! Where outputs are written: `[sink.*]`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::text::{Sql, Text};

/// `[sink.NAME]`: one output, written somewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sink {
    /// The output: features.NAME, current.NAME, sessions.NAME, pattern.NAME, trigger.NAME, drift.NAME, alerts.NAME, transitions.NAME, accuracy.NAME, holdout.NAME, retrain.NAME, late.SOURCE or rejects.SOURCE.
    pub from: OutputName,
    /// How the rows are written.
    pub format: SinkFormat,
    /// The file; `-` is standard output. With {part} in it, or when it ends in /, many files. Not for format stdout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Text>,
    /// Which rows are written. Default: final. Current values are never final: they need another.
    #[serde(default)]
    pub mode: Mode,
    /// Only rows that satisfy this are written; in mode upserts the others go out as retracted. Default: all rows.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Sql>,
    /// The columns to write: `sql` or `sql as name`. Default: all of the output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub select: Vec<Sql>,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SinkFormat {
    /// Parquet.
    Parquet,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line, on standard output.
    Stdout,
}

/// Which rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Only rows that no permitted row can change any more.
    #[default]
    Final,
    /// Every change as it happens, with a column `diff`: 1 when a row begins to be so, -1 when it is taken back.
    Changes,
    /// The newest version of each row, by identity.
    Upserts,
}

/// The name of an output, such as `features.contact`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OutputName(pub Text);

impl OutputName {
    /// Which output it names; `None` when it is no output's name (a loaded job has none such).
    #[must_use]
    pub fn output(&self) -> Option<Output> {
        self.0.as_str().parse().ok()
    }
}

impl fmt::Debug for OutputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for OutputName {
    fn schema_name() -> Cow<'static, str> {
        "OutputName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kinds: Vec<_> = OutputKind::ALL.iter().map(|(name, _)| *name).collect();
        json_schema!({
            "type": "string",
            "description": "An output: a kind and a name.",
            "pattern": format!("^({})[.][A-Za-z_][A-Za-z0-9_]*$", kinds.join("|"))
        })
    }
}

/// An output of a job: a kind, and the name of what makes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Output {
    /// What it holds.
    pub kind: OutputKind,
    /// The features, sessions, pattern, trigger, drift, journey, model or source that makes it.
    pub name: String,
}

/// What an output holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutputKind {
    /// Features at their anchor rows, or their current values when they have no anchor.
    Features,
    /// The current values of features.
    Current,
    /// Sessions.
    Sessions,
    /// Matches of a pattern.
    Pattern,
    /// A trigger's firings.
    Trigger,
    /// Drift measures.
    Drift,
    /// Where detectors fire.
    Detector,
    /// Alerts of drift.
    Alerts,
    /// How often kinds follow each other in a journey.
    Transitions,
    /// How well the next step of a journey is predicted.
    Accuracy,
    /// How well journeys are predicted by the first ones.
    Holdout,
    /// Requests to train a model again.
    Retrain,
    /// Late rows of a source.
    Late,
    /// Rejected rows of a source.
    Rejects,
}

impl OutputKind {
    /// Every kind by the word that sinks use.
    pub const ALL: [(&'static str, OutputKind); 14] = [
        ("features", OutputKind::Features),
        ("current", OutputKind::Current),
        ("sessions", OutputKind::Sessions),
        ("pattern", OutputKind::Pattern),
        ("trigger", OutputKind::Trigger),
        ("drift", OutputKind::Drift),
        ("detector", OutputKind::Detector),
        ("alerts", OutputKind::Alerts),
        ("transitions", OutputKind::Transitions),
        ("accuracy", OutputKind::Accuracy),
        ("holdout", OutputKind::Holdout),
        ("retrain", OutputKind::Retrain),
        ("late", OutputKind::Late),
        ("rejects", OutputKind::Rejects),
    ];

    /// The word that sinks use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            OutputKind::Features => "features",
            OutputKind::Current => "current",
            OutputKind::Sessions => "sessions",
            OutputKind::Pattern => "pattern",
            OutputKind::Trigger => "trigger",
            OutputKind::Drift => "drift",
            OutputKind::Detector => "detector",
            OutputKind::Alerts => "alerts",
            OutputKind::Transitions => "transitions",
            OutputKind::Accuracy => "accuracy",
            OutputKind::Holdout => "holdout",
            OutputKind::Retrain => "retrain",
            OutputKind::Late => "late",
            OutputKind::Rejects => "rejects",
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kind.word(), self.name)
    }
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Output, String> {
        let (word, name) = text
            .split_once('.')
            .ok_or_else(|| format!("`{text}` is no output; write it like features.contact"))?;
        match OutputKind::ALL.iter().find(|(known, _)| *known == word) {
            Some((_, kind)) => Ok(Output {
                kind: *kind,
                name: name.to_owned(),
            }),
            None => Err(format!("there are no outputs of the kind `{word}`")),
        }
    }
}
