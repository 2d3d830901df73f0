//! What a sink is told: where its rows go, in which format, and how they want to be read.

use std::convert::Infallible;
use std::str::FromStr;
use std::time::Duration;

use tidegate_schemas::rows::OutputSchema;

use arrow::datatypes::SchemaRef;

/// The settings of one sink.
///
/// ```
/// use tidegate_jobs::sinks::{Format, Life, Mode, Place, SinkSpec};
///
/// let spec = SinkSpec {
///     name: "visits".to_owned(),
///     place: Place::of("out/visits.parquet"),
///     format: Format::Parquet,
///     mode: Mode::Final,
///     filter: None,
///     select: None,
///     roll: None,
///     life: Life::Ends,
/// };
/// assert_eq!(spec.place, Place::Path("out/visits.parquet".to_owned()));
/// assert_eq!(Place::of("-"), Place::Stdout);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkSpec {
    /// The sink's name in the job; every error and log line says it.
    pub name: String,
    /// Where the rows go.
    pub place: Place,
    /// How they are encoded.
    pub format: Format,
    /// How changes are shown.
    pub mode: Mode,
    /// Only rows that satisfy this are written; in mode `upserts` the others go out as retracted.
    pub filter: Option<String>,
    /// The columns to write, each a column's name or `expression as name`; `None` writes all.
    pub select: Option<Vec<String>>,
    /// When to close one part and begin the next. Needs a place with parts.
    pub roll: Option<Roll>,
    /// Whether the run comes to an end by itself.
    pub life: Life,
}

/// Where rows go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The standard output.
    Stdout,
    /// A file; with `{part}` in its name, or when it ends in `/` or is a directory, many files.
    Path(String),
}

impl Place {
    /// `-` is the standard output, everything else a path.
    #[must_use]
    pub fn of(text: &str) -> Place {
        match text {
            "-" => Place::Stdout,
            path => Place::Path(path.to_owned()),
        }
    }
}

impl FromStr for Place {
    type Err = Infallible;

    /// As [`Place::of`].
    fn from_str(text: &str) -> Result<Place, Infallible> {
        Ok(Place::of(text))
    }
}

/// How rows are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Parquet: columnar, compressed, readable once the file is whole.
    Parquet,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values with a header line; lists are JSON text.
    Csv,
}

impl Format {
    /// The usual ending of such files, without the point.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Format::Parquet => "parquet",
            Format::Jsonl => "jsonl",
            Format::Csv => "csv",
        }
    }
}

/// How a sink shows that answers change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only rows that nothing permitted can change any more, as they are.
    Final,
    /// Every change: the row, the `tick` of the change and its `diff` (+1 added, −1 taken back).
    Changes,
    /// The newest version of every row: its `version` (the tick) and its `status`, `live` or
    /// `retracted`. A reader keeps the row with the highest version per key and identity.
    Upserts,
}

/// When a part is closed and the next one begun: at whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roll {
    /// A part has at most about so many rows (it ends with the block that reaches them).
    pub rows: u64,
    /// A part that has rows is closed at the latest this long after its first row.
    pub every: Duration,
}

impl Roll {
    /// What an unending run does when the job does not say: a million rows or a minute.
    pub const DEFAULT: Roll = Roll {
        rows: 1_000_000,
        every: Duration::from_secs(60),
    };
}

/// Whether the run comes to an end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Files with an end are replayed or run through: results appear whole when it is over.
    Ends,
    /// A growing file, a directory or a pipe is followed: results must be seen while it goes on.
    Unending,
}

/// What a sink is given to write.
#[derive(Clone, Debug)]
pub enum SinkInput {
    /// Rows of an operator's output.
    Rows(OutputSchema),
    /// Ready batches of this schema (`late.*`, `rejects.*`).
    Batches(SchemaRef),
}
