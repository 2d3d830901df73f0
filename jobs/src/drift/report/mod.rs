//! Drift on a page: two files compared, or what a job's `[drift.*]` have written, as one HTML file that needs nothing else.
//!
//! # The page
//! No script, no font and no picture from elsewhere. Charts are SVG inside the page, drawn in colours that the style
//! decides, by day, by night and on paper. Every text from outside is escaped; a long name is cut and has the whole as
//! its title. What is left out, since a page is bounded, is said on it.
//!
//! The same is told as JSON and as a table of measures in Parquet, and there in full.

mod chart;
mod compared;
mod figures;
mod html;
mod over_time;
mod points;
mod results;
mod table;
mod time_axis;
mod watched;

pub use compared::{Compared, LeftOut};
pub use results::{ReportError, watched};
pub use watched::{Episode, Line, Watched, WatchedDrift, Window};
