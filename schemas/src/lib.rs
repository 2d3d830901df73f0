//! What data is: time, facts, output rows, accounts and the job file. No dataflow, no I/O.

pub mod account;
pub mod fact;
pub mod ids;
pub mod job;
pub mod names;
pub mod rows;
pub mod time;
