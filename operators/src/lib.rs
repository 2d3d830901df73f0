//! How data changes: the keyed driver, its logics, and differential operators.
//!
//! Operators know time and keys. They know neither files nor what a customer is.

pub mod aggregate;
#[cfg(test)]
mod bed;
pub mod codec;
pub mod dedup;
pub mod detection;
pub mod detectors;
pub mod drift;
pub mod driver;
pub mod entity;
pub mod features;
pub mod journeys;
pub mod logic;
pub mod parcel;
pub mod patterns;
pub mod program;
pub mod retrain;
pub mod sessions;
pub mod statistics;
pub mod tables;
mod ticks;
pub mod triggers;
mod words;
