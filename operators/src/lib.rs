//! How data changes: the keyed driver, its logics, and differential operators.
//!
//! Operators know time and keys. They know neither files nor what a customer is.

pub mod aggregate;
pub mod codec;
pub mod dedup;
pub mod drift;
pub mod features;
pub mod driver;
pub mod logic;
pub mod parcel;
pub mod program;
pub mod sessions;
pub mod tables;
pub mod statistics;
pub mod triggers;
pub mod entity;
pub mod tables;
