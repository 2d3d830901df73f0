//! How data flows: the job compiler, sources, sinks, the runtime, and the `tidegate` program.

pub mod allocator;
pub mod cli;
pub mod compile;
pub mod drift;
pub mod expressions;
pub mod normalise;
pub mod runtime;
pub mod sinks;
pub mod sources;
pub mod verify;
