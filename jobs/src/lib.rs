//! How data flows.

pub mod expressions;
pub mod normalise;
pub mod sinks;
pub mod sources;
