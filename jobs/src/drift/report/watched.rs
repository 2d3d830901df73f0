//! What the drifts of a job have come to: every window that was measured, and when alerts were open.

use serde::{Serialize, Serializer};
use tidegate_schemas::time::{EventTime, Span};

/// What the drifts of a job have come to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Watched {
    /// The job's name.
    pub job: String,
    /// Its drifts that were written.
    pub drifts: Vec<WatchedDrift>,
    /// The outputs that no sink writes.
    pub unwritten: Vec<String>,
}

/// One `[drift.*]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WatchedDrift {
    /// Its name.
    pub name: String,
    /// The sink whose result was read.
    pub sink: String,
    /// What makes its segments.
    pub by: Option<String>,
    /// When it alerts.
    pub alert: Option<String>,
    /// Which rows the sink writes, if not all.
    pub filter: Option<String>,
    /// Why there are no episodes although there are alerts.
    pub no_alerts: Option<String>,
    /// How often a window ends.
    #[serde(serialize_with = "text")]
    pub every: Span,
    /// The names of the values of each window.
    pub measures: Vec<&'static str>,
    /// One for each column, segment and length of windows.
    pub lines: Vec<Line>,
}

/// The windows of one length of a column and segment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The column.
    pub column: String,
    /// The segment; `None`: all rows.
    pub segment: Option<String>,
    /// How long the windows are.
    pub window: String,
    /// The same as a length.
    #[serde(skip)]
    pub length: Span,
    /// The windows, by their ends.
    pub windows: Vec<Window>,
    /// When its alert was open.
    pub episodes: Vec<Episode>,
}

/// A window that was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Window {
    /// Where it begins.
    #[serde(serialize_with = "text")]
    pub start: EventTime,
    /// Where it ends.
    #[serde(serialize_with = "text")]
    pub end: EventTime,
    /// The measures, in the order of [`WatchedDrift::measures`].
    pub values: Vec<Option<f64>>,
    /// What psi stays below in 95 of 100 windows without drift.
    pub no_drift_95: Option<f64>,
    /// Its rows.
    pub rows: u64,
    /// Those of the reference.
    pub reference_rows: u64,
    /// What moved most.
    pub moved: Vec<String>,
}

/// A stretch of an alert being open.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Episode {
    /// When it opened.
    #[serde(serialize_with = "text")]
    pub opened_at: EventTime,
    /// When it closed.
    #[serde(serialize_with = "text_or_null")]
    pub closed_at: Option<EventTime>,
}

fn text<S: Serializer>(value: &impl std::fmt::Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

fn text_or_null<S: Serializer>(at: &Option<EventTime>, to: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => to.collect_str(at),
        None => to.serialize_none(),
    }
}
