//! What a job declares of a source: where it lies, how it is written, and which typed columns are read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::error::SourceError;
use super::times::TimeFormat;

/// A source as the job declares it. [`open`](super::open) checks it before anything is read.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Files, directories, globs, or `-` for standard input, in the order they are read. Within a
    /// glob or a directory the files are read sorted by name; a file named twice is read once.
    pub paths: Vec<String>,
    /// How the files are written.
    pub format: Format,
    /// The columns to read, in the order of the batches. Nothing else is decoded.
    pub columns: Vec<DeclaredColumn>,
    /// Rows at most in one batch.
    pub batch_rows: usize,
    /// A line (or CSV record) of more bytes than this is rejected; it also bounds what is held in memory.
    pub max_record_bytes: usize,
    /// Whether the source ends with its last file.
    pub lifetime: Lifetime,
    /// Passed through to every batch.
    pub partition: u32,
}

impl Declared {
    /// A finite source of these paths and columns with the usual limits: 131,072 rows a batch, 16 MiB a record. (With
    /// twice the rows a replay is no faster, and holds half as much again.)
    pub fn new(paths: Vec<String>, format: Format, columns: Vec<DeclaredColumn>) -> Self {
        Self {
            paths,
            format,
            columns,
            batch_rows: 131_072,
            max_record_bytes: 16 << 20,
            lifetime: Lifetime::Finite,
            partition: 0,
        }
    }

    /// The schema of every batch of this source: the declared columns, in declared order.
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<Field> = self.columns.iter().map(DeclaredColumn::field).collect();
        Arc::new(Schema::new(fields))
    }

    /// Whether more may come than there is: it is followed, or comes through a pipe.
    pub fn is_unending(&self) -> bool {
        self.lifetime != Lifetime::Finite || self.paths.iter().any(|path| path == "-")
    }

    /// Everything that can be wrong with a declaration by itself.
    pub(super) fn check(&self) -> Result<(), SourceError> {
        let wrong = |problem: String| Err(SourceError::Declaration { problem });
        if self.columns.is_empty() {
            return wrong("no column is declared; name at least the event time and the key".into());
        }
        if self.columns.iter().all(|column| column.numbered) {
            return wrong(
                "only the numbers of rows are read; read a column of the files as well".into(),
            );
        }
        if self.batch_rows == 0 || self.max_record_bytes == 0 {
            return wrong("a batch needs at least 1 row and a record at least 1 byte".into());
        }
        for (index, column) in self.columns.iter().enumerate() {
            if self.columns[..index]
                .iter()
                .any(|other| other.name == column.name)
            {
                return wrong(format!("column `{}` is declared twice", column.name));
            }
            if let ColumnType::TimeFormat(format) = &column.kind
                && let Err(problem) = TimeFormat::new(format)
            {
                return wrong(format!("column `{}`: {problem}", column.name));
            }
            if column.dictionary && column.kind != ColumnType::Text {
                return wrong(format!(
                    "column `{}`: only text can be read as a dictionary",
                    column.name
                ));
            }
        }
        match self.format {
            Format::Csv(csv) => csv.check(),
            Format::Parquet if self.paths.iter().any(|path| path == "-") => wrong(
                "Parquet is read from its end and cannot come from standard input; name a file"
                    .into(),
            ),
            Format::Parquet | Format::JsonLines => Ok(()),
        }
    }
}

/// How the files of a source are written. Text may be plain, gzip or zstd, told by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Delimited text whose first record names the columns.
    Csv(CsvOptions),
    /// One JSON object a line.
    JsonLines,
}

/// How delimited text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvOptions {
    /// Between two fields.
    pub delimiter: u8,
    /// Around a field that holds delimiters or line ends; doubled inside.
    pub quote: u8,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            delimiter: b',',
            quote: b'"',
        }
    }
}

impl CsvOptions {
    fn check(self) -> Result<(), SourceError> {
        let usable = |byte: u8| byte.is_ascii() && byte != b'\n' && byte != b'\r';
        if usable(self.delimiter) && usable(self.quote) && self.delimiter != self.quote {
            return Ok(());
        }
        let problem = format!(
            "delimiter {:?} and quote {:?} must be two different ASCII characters, and no line ends",
            self.delimiter as char, self.quote as char
        );
        Err(SourceError::Declaration { problem })
    }
}

/// Whether a source ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Read what is there, then end.
    Finite,
    /// Never end: plain text files are read on as they grow, directories and globs as they gain files.
    /// Compressed and Parquet files must appear whole (renamed into place).
    Follow {
        /// How often directories and globs are listed again, and replaced files noticed.
        list_every: Duration,
    },
}

/// One column to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredColumn {
    /// Its name in the batches.
    pub name: String,
    /// What it holds.
    pub kind: ColumnType,
    /// Whether it may be null or (JSON) missing. A row with a null elsewhere is rejected.
    pub nullable: bool,
    /// Where it is found when not under its name: a dotted path into nested objects (JSON lines,
    /// Parquet), or another header name (CSV).
    pub path: Option<String>,
    /// Text only: return `Dictionary(Int32, Utf8)`, so that what is computed per value is computed once
    /// per distinct value. Worth it for few distinct values.
    pub dictionary: bool,
    /// With `dictionary`: values may repeat, for who tells them apart later anyway. What a file has no dictionary
    /// of is then not looked up in one.
    pub repeats: bool,
    /// It is in no file, but is how many rows of the source came before that were not rejected, as seconds since 1970.
    pub numbered: bool,
}

impl DeclaredColumn {
    /// A column that may not be null, found under its name.
    pub fn new(name: impl Into<String>, kind: ColumnType) -> Self {
        Self {
            name: name.into(),
            kind,
            nullable: false,
            path: None,
            dictionary: false,
            repeats: false,
            numbered: false,
        }
    }

    /// The same column, allowed to be null.
    pub fn nullable(self) -> Self {
        Self {
            nullable: true,
            ..self
        }
    }

    /// The same column, found elsewhere.
    pub fn at(self, path: impl Into<String>) -> Self {
        Self {
            path: Some(path.into()),
            ..self
        }
    }

    /// The same text column as a dictionary.
    pub fn dictionary(self) -> Self {
        Self {
            dictionary: true,
            ..self
        }
    }

    /// A column of numbers of rows.
    pub fn of_row_numbers(name: impl Into<String>) -> Self {
        Self {
            numbered: true,
            ..Self::new(name, ColumnType::Epoch(TimeUnit::Second))
        }
    }

    /// Where the column is looked for.
    pub(super) fn place(&self) -> &str {
        self.path.as_deref().unwrap_or(&self.name)
    }

    fn field(&self) -> Field {
        let data_type = match self.dictionary {
            true => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            false => self.kind.data_type(),
        };
        Field::new(&self.name, data_type, self.nullable)
    }
}

/// What a column holds, and how it is read.
///
/// Times are UTC without a time zone and must lie in the years 0000 to 9999; anything else is a reject.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// Signed 8-bit integer. Integers may be written as numbers (`5`, `5.0`, `5e0`) or as numeric text.
    I8,
    /// Signed 16-bit integer.
    I16,
    /// Signed 32-bit integer.
    I32,
    /// Signed 64-bit integer.
    I64,
    /// Unsigned 8-bit integer.
    U8,
    /// Unsigned 16-bit integer.
    U16,
    /// Unsigned 32-bit integer.
    U32,
    /// Unsigned 64-bit integer.
    U64,
    /// 32-bit float, correctly rounded. NaN counts as null, infinities are rejected.
    F32,
    /// 64-bit float, correctly rounded. NaN counts as null, infinities are rejected.
    F64,
    /// `true` or `false`; in text also `t`, `yes`, `y`, `1` and their opposites, in any case.
    Bool,
    /// UTF-8 text. JSON numbers and booleans keep their literal text.
    Text,
    /// A day, `2024-01-31`.
    Date,
    /// Time since 1970-01-01T00:00:00Z in whole units, as a number or numeric text.
    Epoch(TimeUnit),
    /// `2024-01-31T10:00:00.25+01:00`, `T` or a blank; without offset UTC; digits past microseconds are cut.
    Rfc3339,
    /// Text in a chrono format, such as `%d/%m/%Y %H:%M`; without offset UTC, without time midnight.
    TimeFormat(String),
}

impl ColumnType {
    /// The Arrow type of the column, before any dictionary.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::I8 => DataType::Int8,
            Self::I16 => DataType::Int16,
            Self::I32 => DataType::Int32,
            Self::I64 => DataType::Int64,
            Self::U8 => DataType::UInt8,
            Self::U16 => DataType::UInt16,
            Self::U32 => DataType::UInt32,
            Self::U64 => DataType::UInt64,
            Self::F32 => DataType::Float32,
            Self::F64 => DataType::Float64,
            Self::Bool => DataType::Boolean,
            Self::Text => DataType::Utf8,
            Self::Date => DataType::Date32,
            Self::Epoch(unit) => DataType::Timestamp(*unit, None),
            Self::Rfc3339 | Self::TimeFormat(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Bool => "bool",
            Self::Text => "text",
            Self::Date => "date",
            Self::Epoch(TimeUnit::Second) => "timestamp_s",
            Self::Epoch(TimeUnit::Millisecond) => "timestamp_ms",
            Self::Epoch(TimeUnit::Microsecond) => "timestamp_us",
            Self::Epoch(TimeUnit::Nanosecond) => "timestamp_ns",
            Self::Rfc3339 => "timestamp",
            Self::TimeFormat(format) => return write!(to, "timestamp:{format}"),
        })
    }
}
