//! How fast: the workload generator, the peers, the plain-loop floor, throughput, additions, latency, threshold changes and memory.
//!
//! Every engine that is compared reads the files of [`generate`]; no figure is taken on data that another one did not read.

pub mod columns;
pub mod error;
pub mod extras;
pub mod floor;
pub mod generate;
pub mod latency;
pub mod live;
pub mod memory;
pub mod peers;
pub mod process;
pub mod threshold;
pub mod throughput;
pub mod tidegate;
