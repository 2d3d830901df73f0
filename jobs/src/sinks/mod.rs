//! Sinks: what leaves a job, in which shape, and what is promised about it.
//!
//! - **Modes.** `final` writes rows as they are, once nothing permitted can change them. `changes`
//!   adds the columns `tick` and `diff`: a row is added (+1) or taken back (−1), and rows of one tick
//!   that cancel each other are not written. `upserts` adds `version` (the tick) and `status`: a row
//!   that replaces one of the same key and identity is `live`, one that is taken back without a
//!   successor in the same tick is `retracted` and shows its last values. Readers keep the highest
//!   version.
//! - **Select** names the columns to write, or SQL over them (`select`).
//! - **Files appear whole or not at all.** A result replaces an earlier one of the same name in one
//!   step when the run succeeds, and not before (`place`). The files of all sinks appear together,
//!   once each of them is written and durable: if one fails, none does. JSON lines and CSV of a run without an
//!   end grow by whole lines; parts roll by rows and time (`parts`).
//! - **A failing sink ends the run** with a [`SinkError`] that names the sink, what it attempted, the
//!   path, and what to do.
//!
//! [`Sink`] is the plain object; [`SinkHandle`] runs one on a thread of its own, fed by any number of
//! workers through a bounded channel.

mod code_texts;
mod columns;
mod csv;
pub mod error;
mod json;
mod parquet;
mod parts;
mod place;
pub mod render;
mod select;
mod settle;
mod shape;
mod shares;
mod sink;
mod spec;
mod text;
mod thread;
mod time_text;
mod writer;

pub(crate) use columns::{arrow_schema, arrow_type, arrow_unit, bar_fields, item_field};
pub use error::{Attempt, Problem, SinkError};
pub(crate) use select::{Rule, Select};
pub(crate) use shape::mode_fields;
pub use sink::{SealedSink, Sink, SinkReport, written_schema};
pub use spec::{Format, Life, Mode, Place, Roll, SinkInput, SinkSpec};
pub use thread::{SinkHandle, SinkSender};

#[cfg(test)]
mod tests;
