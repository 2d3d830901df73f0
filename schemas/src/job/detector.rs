//! Where a stream of numbers changes: `[detector.*]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::test_case::Cell;
use super::text::{Sql, Text};
use crate::time::Span;

/// `[detector.NAME]`: an online change detector over the values of rows, in the order of event time, once the watermark has
/// passed them.
///
/// Output: one row for each value at which the detector fires or begins to warn: `at` (the value's event time), `row` (how many
/// values its stream had before), `value`, `signal` (`drift` or `warning`), and the column of `by`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Detector {
    /// The source of the rows.
    pub from: Text,
    /// The expression whose values are watched: a number, or true (1) and false (0). Rows where it is null are passed over.
    pub of: Sql,
    /// Only rows that satisfy this are watched. Default: all rows.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Sql>,
    /// The expression whose values part the rows into streams, each with a detector of its own: `sql` or `sql as name`. Default: one stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Sql>,
    /// The detector: adwin, page_hinkley, cusum, kswin, ddm, eddm, fhddm, hddm_a or hddm_w.
    pub method: Text,
    /// Its parameters, where they are not the defaults.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Cell>,
    /// A stream without a value for so long is forgotten and begins anew. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forget: Option<Span>,
}

impl Detector {
    /// The columns of its output.
    pub(super) fn columns(&self) -> Vec<String> {
        let fixed = ["at", "row", "value", "signal"].map(str::to_owned);
        fixed
            .into_iter()
            .chain(self.by.iter().map(Sql::column_name))
            .collect()
    }
}
