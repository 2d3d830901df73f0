//! What an output should hold, and what of it could not be computed.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch, new_null_array};
use arrow::compute::filter;
use tidegate_schemas::rows::Kind;

use super::error::VerifyError;
use crate::sinks::{Rule, arrow_type};

/// Which values of a column are not known, and why.
#[derive(Clone, Debug, Default)]
pub(super) enum Unknown {
    /// All are known.
    #[default]
    Nothing,
    /// Those of some rows are not: where it is true.
    Rows(Vec<bool>, String),
    /// None is known.
    All(String),
}

impl Unknown {
    /// Whether the value of a row is not known.
    pub(super) fn has(&self, row: usize) -> bool {
        match self {
            Unknown::Nothing => false,
            Unknown::Rows(rows, _) => rows[row],
            Unknown::All(_) => true,
        }
    }

    /// Of the rows that are kept.
    fn kept(&self, kept: &BooleanArray) -> Unknown {
        match self {
            Unknown::Rows(rows, why) => {
                let rows = rows.iter().zip(kept.values().iter());
                let rows: Vec<bool> = rows
                    .filter(|(_, kept)| *kept)
                    .map(|(row, _)| *row)
                    .collect();
                match rows.contains(&true) {
                    true => Unknown::Rows(rows, why.clone()),
                    false => Unknown::Nothing,
                }
            }
            other => other.clone(),
        }
    }

    /// What is not known here or there.
    pub(super) fn or(&self, other: &Unknown) -> Unknown {
        match (self, other) {
            (all @ Unknown::All(_), _) | (_, all @ Unknown::All(_)) => all.clone(),
            (Unknown::Nothing, some) | (some, Unknown::Nothing) => some.clone(),
            (Unknown::Rows(a, why), Unknown::Rows(b, _)) => {
                let either = a.iter().zip(b).map(|(a, b)| *a || *b).collect();
                Unknown::Rows(either, why.clone())
            }
        }
    }
}

/// A column of an output.
#[derive(Clone, Debug)]
pub(super) struct Computed {
    /// The value of each row.
    pub(super) values: ArrayRef,
    /// Which of them are not known.
    pub(super) unknown: Unknown,
    /// For sums whose terms may cancel each other: how large the terms are.
    pub(super) size: Option<Float64Array>,
}

impl Computed {
    /// A column of which nothing is known.
    pub(super) fn unknown(kind: &Kind, rows: usize, why: String) -> Computed {
        Computed {
            values: new_null_array(&arrow_type(kind), rows),
            unknown: Unknown::All(why),
            size: None,
        }
    }

    /// A column of which all is known.
    pub(super) fn known(values: ArrayRef) -> Computed {
        Computed {
            values,
            unknown: Unknown::Nothing,
            size: None,
        }
    }
}

/// The rows that an output should hold.
pub(super) struct Expected {
    /// Its columns by name, in order.
    pub(super) columns: Vec<(String, Computed)>,
    /// How many rows there are.
    pub(super) rows: usize,
    /// The columns that tell one row from another.
    pub(super) identity: Vec<usize>,
    /// The columns by which differences are told: the key and the time.
    pub(super) told_by: [usize; 2],
}

impl Expected {
    /// Those of the rows that a sink's `where` lets through, or why that is not known.
    ///
    /// # Errors
    /// When the condition does not fit the output, which the run would have refused.
    pub(super) fn kept(&self, condition: &str) -> Result<Result<Expected, String>, VerifyError> {
        let shape = |error: &dyn ToString| VerifyError::Shape(error.to_string());
        let columns = self.columns.iter();
        let columns = columns.map(|(name, column)| (name, Arc::clone(&column.values), true));
        let rows = RecordBatch::try_from_iter_with_nullable(columns).map_err(|e| shape(&e))?;
        let rule = Rule::new(condition, &rows.schema()).map_err(|e| shape(&e))?;
        for column in rule.reads() {
            let (name, computed) = &self.columns[*column];
            if !matches!(computed.unknown, Unknown::Nothing) {
                return Ok(Err(format!("its `where` reads {name}, which is not known")));
            }
        }
        let kept = rule.satisfied(&rows).map_err(|e| shape(&e))?;
        let mut columns = Vec::new();
        for (name, column) in &self.columns {
            let size = column.size.as_ref().map(|size| filter(size, &kept));
            let size = size.transpose().map_err(|e| shape(&e))?;
            let computed = Computed {
                values: filter(&column.values, &kept).map_err(|e| shape(&e))?,
                unknown: column.unknown.kept(&kept),
                size: size.map(|size| size.as_primitive().clone()),
            };
            columns.push((name.clone(), computed));
        }
        Ok(Ok(Expected {
            columns,
            rows: kept.true_count(),
            identity: self.identity.clone(),
            told_by: self.told_by,
        }))
    }
}
