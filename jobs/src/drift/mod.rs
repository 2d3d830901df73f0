//! Drift looked at by hand: columns of two files compared, or one column watched from its first row to its last.
//!
//! The statistics are those of `tidegate_operators::statistics` and `detectors`; here is which of them a measure of a
//! name means, as Tidegate defines it and as other libraries do.

mod bins;
mod column;
mod compare;
mod distribution;
mod estimates;
mod listing;
mod measure;
mod recipe;
pub mod report;
mod sides;

pub use bins::BinRule;
pub use column::{Column, ColumnError, Kind, Values, kind_of, read};
pub use compare::{Answer, Comparison, Moved, Request, SideSize, compare};
pub use distribution::{Distribution, NewCategory, Part};
pub use listing::columns_of;
pub use measure::{Compat, Measure};
