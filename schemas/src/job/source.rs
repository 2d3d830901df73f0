//! Where rows come from: `[source.*]`, and the tables that change: `[table.*]`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::one_or_many::OneOrMany;
use super::text::{Sql, Text};
use crate::time::{Span, TimeUnit};

/// `[source.NAME]`: rows in arrival order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// How the rows are written. A changelog's rows are versions of a table's rows: see `key`.
    pub format: Format,
    /// File, directory or pattern such as `events/*.jsonl`, or a list of them; `-` is standard input. Files ending in .gz or .zst are decompressed.
    pub path: OneOrMany<Text>,
    /// Keep reading as the file grows or the directory gains files. Default: false.
    #[serde(default)]
    pub follow: bool,
    /// The columns to read and their types: i8 to i64, u8 to u64, f32, f64, bool, text, date, timestamp (RFC 3339), timestamp_s, timestamp_ms, timestamp_us, timestamp_ns, timestamp:FORMAT (as in strftime; UTC), or row (in no file: the number of the row, as seconds since 1970). A trailing ? allows null. Default for Parquet: those of the file; the text formats need it.
    #[serde(default, skip_serializing_if = "Columns::is_empty")]
    pub columns: Columns,
    /// The column that holds the event time. Default: that of `[job]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time: Option<Text>,
    /// Reject a row whose event time is further ahead of the newest one accepted before it: one row of the year 9999 would make all after it late. Longer than the longest silence to be expected, after which all rows would be rejected. The first row is always accepted. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ahead: Option<Span>,
    /// Drop rows whose id was seen before. The key alone may stand for the whole: `dedupe = "event_id"`.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "key_or_all"
    )]
    #[schemars(schema_with = "key_or_all_schema")]
    pub dedupe: Option<Dedupe>,
    /// What must hold of every row; a row that breaks one, or for which it is null, goes to the `rejects` output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Sql>,
    /// For a changelog: the columns that name a row of the table. The newest row of a key, by event time, is the one that holds. With it the source is a table of the same name.
    #[serde(default, skip_serializing_if = "<[Text]>::is_empty")]
    pub key: OneOrMany<Text>,
    /// For a changelog: a row that satisfies this removes the table's row of its key. Default: no row does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_when: Option<Sql>,
    /// For CSV, whose first line names the columns: what separates the fields, one character. Default: a comma.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<Text>,
}

/// How the rows of a source are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Parquet.
    Parquet,
    /// Comma-separated values.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// A changelog as Parquet.
    ChangelogParquet,
    /// A changelog as comma-separated values.
    ChangelogCsv,
    /// A changelog as one JSON object a line.
    ChangelogJsonl,
}

impl Format {
    /// Whether the rows are versions of a table's rows.
    #[must_use]
    pub fn is_changelog(self) -> bool {
        self != self.rows()
    }

    /// The format of the rows themselves.
    #[must_use]
    pub fn rows(self) -> Format {
        match self {
            Format::Parquet | Format::ChangelogParquet => Format::Parquet,
            Format::Csv | Format::ChangelogCsv => Format::Csv,
            Format::Jsonl | Format::ChangelogJsonl => Format::Jsonl,
        }
    }
}

/// `dedupe = { key = "event_id", keep = "72h" }`: drop rows whose id was seen before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dedupe {
    /// The column, or columns, that tell one event from another.
    pub key: OneOrMany<Text>,
    /// How long an id is remembered, by event time. Use at least `lateness` and the longest time after which a sender repeats itself. Default: the job's lateness; a row that repeats an older one, time and all, is late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Span>,
    /// What a row with a known id and other content does. It is always counted as a conflict. Default: first.
    #[serde(default)]
    pub on_conflict: OnConflict,
}

impl Dedupe {
    /// How long an id is remembered in a job of this lateness.
    #[must_use]
    pub fn keep(&self, lateness: Span) -> Span {
        self.keep.unwrap_or(lateness)
    }
}

/// The name by which the job file's reader is asked to see anything but a table as the table's `key`.
pub(super) const KEY_OR_ALL: &str = "$tidegate::KeyOrAll";

fn key_or_all<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Dedupe>, D::Error> {
    struct KeyOrAll;
    impl<'de> Visitor<'de> for KeyOrAll {
        type Value = Dedupe;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a column, a list of columns or a table")
        }
        fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<Dedupe, D::Error> {
            Dedupe::deserialize(from)
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Dedupe, A::Error> {
            Dedupe::deserialize(de::value::MapAccessDeserializer::new(map))
        }
    }
    from.deserialize_newtype_struct(KEY_OR_ALL, KeyOrAll)
        .map(Some)
}

fn key_or_all_schema(generator: &mut SchemaGenerator) -> Schema {
    let key = generator.subschema_for::<OneOrMany<Text>>();
    let all = generator.subschema_for::<Dedupe>();
    json_schema!({ "anyOf": [key, all] })
}

/// Which of two rows with the same id and different content holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// The one that came first; the other is dropped.
    #[default]
    First,
    /// The one that came last: it corrects the earlier row everywhere.
    Latest,
}

/// `[table.NAME]`: a table that changes, read from a changelog source. A table is as of event time: a row meets the version of its own time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The source, whose rows are versions of the table's rows.
    pub from: Text,
    /// The columns that name a row of the table.
    pub key: OneOrMany<Text>,
    /// A row that satisfies this removes the table's row of its key. Default: no row does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_when: Option<Sql>,
}

/// The columns of a source, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns(pub Vec<(Text, ColumnType)>);

impl Columns {
    /// Whether none are declared.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The type of the column `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&ColumnType> {
        let found = self.0.iter().find(|(column, _)| *column == *name);
        found.map(|(_, kind)| kind)
    }

    /// The names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl Serialize for Columns {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, kind)| (name, kind)))
    }
}

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Columns, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Columns;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of columns and their types")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Columns, A::Error> {
                let mut columns = Columns::default();
                while let Some(entry) = map.next_entry()? {
                    columns.0.push(entry);
                }
                Ok(columns)
            }
        }
        from.deserialize_map(InOrder)
    }
}

impl JsonSchema for Columns {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Columns".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kind = generator.subschema_for::<ColumnType>();
        json_schema!({ "type": "object", "additionalProperties": kind })
    }
}

/// The type of a column, as `text?` or `timestamp_ms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnType {
    /// What its values are.
    pub kind: ColumnKind,
    /// Whether it may be null; a null elsewhere sends the row to the rejects.
    pub nullable: bool,
}

/// What the values of a column are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Signed whole numbers of that many bits: 8, 16, 32 or 64.
    Int(u8),
    /// Unsigned whole numbers of that many bits: 8, 16, 32 or 64.
    UInt(u8),
    /// Floats of 32 bits.
    Float32,
    /// Floats of 64 bits.
    Float64,
    /// True or false.
    Bool,
    /// Text.
    Text,
    /// A day.
    Date,
    /// A whole number of units since 1970-01-01T00:00:00Z, or the format's own timestamp.
    Timestamp(TimeUnit),
    /// A text in RFC 3339, such as `2026-01-31T08:00:00Z`.
    TimestampRfc3339,
    /// A text in a format as in strftime; UTC where the format has no zone.
    TimestampFormat(String),
    /// No column of the files: how many rows of the source came before that were not rejected, as a moment so many seconds
    /// after 1970-01-01T00:00:00Z.
    Row,
}

impl ColumnKind {
    /// Whether the values are moments, so that they can be event time.
    #[must_use]
    pub fn is_timestamp(&self) -> bool {
        matches!(
            self,
            ColumnKind::Timestamp(_)
                | ColumnKind::TimestampRfc3339
                | ColumnKind::TimestampFormat(_)
                | ColumnKind::Row
        )
    }
}

/// The plain types by name.
const KINDS: [(&str, ColumnKind); 19] = [
    ("i8", ColumnKind::Int(8)),
    ("i16", ColumnKind::Int(16)),
    ("i32", ColumnKind::Int(32)),
    ("i64", ColumnKind::Int(64)),
    ("u8", ColumnKind::UInt(8)),
    ("u16", ColumnKind::UInt(16)),
    ("u32", ColumnKind::UInt(32)),
    ("u64", ColumnKind::UInt(64)),
    ("f32", ColumnKind::Float32),
    ("f64", ColumnKind::Float64),
    ("bool", ColumnKind::Bool),
    ("text", ColumnKind::Text),
    ("date", ColumnKind::Date),
    ("timestamp", ColumnKind::TimestampRfc3339),
    ("timestamp_s", ColumnKind::Timestamp(TimeUnit::Second)),
    ("timestamp_ms", ColumnKind::Timestamp(TimeUnit::Millisecond)),
    ("timestamp_us", ColumnKind::Timestamp(TimeUnit::Microsecond)),
    ("timestamp_ns", ColumnKind::Timestamp(TimeUnit::Nanosecond)),
    ("row", ColumnKind::Row),
];

impl FromStr for ColumnType {
    type Err = String;

    fn from_str(text: &str) -> Result<ColumnType, String> {
        let (base, nullable) = match text.strip_suffix('?') {
            Some(base) => (base, true),
            None => (text, false),
        };
        if let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == base) {
            let kind = kind.clone();
            return Ok(ColumnType { kind, nullable });
        }
        match base.strip_prefix("timestamp:") {
            Some(format) if is_time_format(format) && !names_a_day(format) => Err(format!(
                "`{format}` names no day; a moment needs one, as in `%Y-%m-%d`"
            )),
            Some(format) if is_time_format(format) => Ok(ColumnType {
                kind: ColumnKind::TimestampFormat(format.to_owned()),
                nullable,
            }),
            Some(format) => Err(format!("`{format}` is not a time format")),
            None => Err(match known_elsewhere(base) {
                Some(here) => format!("`{text}` is not a column type; here it is called `{here}`"),
                None => format!("`{text}` is not a column type"),
            }),
        }
    }
}

/// What a type is called here that other systems call by this name.
fn known_elsewhere(name: &str) -> Option<&'static str> {
    Some(match name.to_lowercase().as_str() {
        "int" | "integer" | "long" | "bigint" | "int64" => "i64",
        "uint" | "uint64" => "u64",
        "float" | "double" | "number" | "float64" => "f64",
        "string" | "str" | "varchar" | "utf8" => "text",
        "boolean" => "bool",
        "datetime" | "time" => "timestamp",
        _ => return None,
    })
}

/// Whether `format` is a strftime format with at least one field.
fn is_time_format(format: &str) -> bool {
    use chrono::format::{Item, StrftimeItems};
    let mut fields = 0;
    for item in StrftimeItems::new(format) {
        match item {
            Item::Error => return false,
            Item::Numeric(..) | Item::Fixed(..) => fields += 1,
            _ => {}
        }
    }
    fields > 0
}

/// Whether the day of a moment can be told from what `format` shows of it.
fn names_a_day(format: &str) -> bool {
    use chrono::format::{Parsed, StrftimeItems, parse};
    let shown = chrono::DateTime::UNIX_EPOCH.format(format).to_string();
    let mut parsed = Parsed::new();
    let read = parse(&mut parsed, &shown, StrftimeItems::new(format));
    // What cannot be read back here may be readable where it is written otherwise.
    read.is_err()
        || parsed.to_naive_date().is_ok()
        || parsed.to_naive_datetime_with_offset(0).is_ok()
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match KINDS.iter().find(|(_, kind)| *kind == self.kind) {
            Some((name, _)) => f.write_str(name)?,
            None => match &self.kind {
                ColumnKind::TimestampFormat(format) => write!(f, "timestamp:{format}")?,
                other => write!(f, "{other:?}")?,
            },
        }
        f.write_str(if self.nullable { "?" } else { "" })
    }
}

impl ColumnType {
    /// The names of the plain types.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|(name, _)| *name)
    }
}

impl Serialize for ColumnType {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ColumnType {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<ColumnType, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl JsonSchema for ColumnType {
    fn schema_name() -> Cow<'static, str> {
        "ColumnType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = ColumnType::names().collect();
        json_schema!({
            "type": "string",
            "description": "A column's type; a trailing ? allows null. `timestamp:` may be followed by a format as in strftime.",
            "pattern": format!("^(({})|timestamp:.+)[?]?$", names.join("|"))
        })
    }
}
