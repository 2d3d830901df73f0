//! What an output should hold, and what of it could not be computed.

use arrow::array::{ArrayRef, Float64Array, new_null_array};
use tidegate_schemas::rows::Kind;

use super::shown::type_of;

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
            values: new_null_array(&type_of(kind), rows),
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
