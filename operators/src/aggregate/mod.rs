//! Aggregates of one key's facts: windows, exact moments, and the structures they are read from.
//!
//! Nothing here knows columns or outputs; [`crate::features`] puts these parts together.

pub mod layout;
pub mod moments;
pub mod queue;
pub mod ring;
pub mod tally;
pub mod window;
