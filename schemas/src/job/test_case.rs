//! Rows and what must come of them, beside the job: `[[test]]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::Text;

/// `[[test]]`: rows in, rows out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestCase {
    /// What is promised.
    pub name: Text,
    /// The rows of each source, as CSV with a header, in arrival order. A text alone is meant for the only source that is not a changelog.
    #[serde(default)]
    pub rows: TestRows,
    /// The rows of tables: each table's name and a list of rows. They hold from the beginning of time unless they have an event time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<String, Vec<TestRow>>,
    /// What is taken for granted instead of drawn.
    #[serde(default)]
    pub assume: Assume,
    /// The rows that must come out, in any order and no others: `expect.trigger.rescue = [{ ... }]`. Columns that are not named are not compared; `{}` stands for null.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expect: BTreeMap<String, BTreeMap<String, Vec<TestRow>>>,
    /// What must hold besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Promise>,
}

/// A row of a test: columns and values.
pub type TestRow = BTreeMap<String, Cell>;

/// A value of a test's row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Cell {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A float.
    Float(f64),
    /// A text, or a time in RFC 3339.
    Text(String),
    /// A list.
    List(Vec<Cell>),
    /// Null, written `{}`.
    Null {},
}

/// The rows of the only source as a text, or of several as a table of texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TestRows {
    /// The rows of the only source.
    Only(String),
    /// The rows of each source.
    Each(BTreeMap<String, String>),
}

impl Default for TestRows {
    fn default() -> TestRows {
        TestRows::Each(BTreeMap::new())
    }
}

/// What a test takes for granted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assume {
    /// The arm of the hold-out that every entity is in, instead of its hash's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<Arm>,
}

/// The two arms of a hold-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// The action is taken.
    Treated,
    /// The action is held back.
    Holdout,
}

/// What a test may promise besides its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Promise {
    /// Firing on arrival and on watermark give the same final rows.
    #[serde(rename = "replay equals live")]
    ReplayEqualsLive,
    /// So does any arrival order within lateness.
    #[serde(rename = "shuffled arrival within lateness gives the same rows")]
    ShuffledArrival,
    /// So does any number of workers.
    #[serde(rename = "any number of workers gives the same rows")]
    AnyWorkers,
}
