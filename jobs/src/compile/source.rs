//! Sources: their columns as Arrow reads them, and what every row must be.

use std::collections::BTreeSet;
use std::time::Duration;

use arrow::datatypes::{DataType, SchemaRef, TimeUnit as ArrowUnit};
use tidegate_schemas::job::{ColumnKind, Format, OutputKind, Source};
use tidegate_schemas::time::TimeUnit;

use super::{Compiler, SourcePlan};
use crate::sinks::arrow_unit;
use crate::sources::{
    ColumnType, CsvOptions, Declared, DeclaredColumn, Format as RowFormat, Lifetime,
};

/// A source while the job is compiled.
pub(super) struct SourceView {
    pub(super) declared: Declared,
    pub(super) schema: SchemaRef,
    /// The columns that something reads.
    pub(super) used: BTreeSet<usize>,
    /// The column of the event time.
    pub(super) time: usize,
    pub(super) plan: SourcePlan,
}

impl SourceView {
    /// The unit of the event time.
    pub(super) fn unit(&self) -> TimeUnit {
        unit_of(self.schema.field(self.time).data_type())
    }

    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.schema.index_of(name).ok()
    }

    /// Whether something reads more than the time.
    fn is_read(&self) -> bool {
        !self.plan.feeds.is_empty() || !self.plan.tables.is_empty()
    }
}

/// The unit of a timestamp type; microseconds for anything else.
pub(super) fn unit_of(data_type: &DataType) -> TimeUnit {
    match data_type {
        DataType::Timestamp(ArrowUnit::Second, _) => TimeUnit::Second,
        DataType::Timestamp(ArrowUnit::Millisecond, _) => TimeUnit::Millisecond,
        DataType::Timestamp(ArrowUnit::Nanosecond, _) => TimeUnit::Nanosecond,
        _ => TimeUnit::Microsecond,
    }
}

impl Compiler<'_> {
    /// Looks at the columns of every source, and plans what every row must be.
    pub(super) fn open_sources(&mut self) {
        let job = self.job;
        for (name, source) in &job.sources {
            let Some(declared) = self.declare(name, source) else {
                continue;
            };
            let schema = declared.schema();
            let event_time = job.event_time(name);
            let Ok(time) = schema.index_of(event_time.as_str()) else {
                let message = format!("source `{name}` has no column `{}`", event_time.written());
                self.problem(event_time.place(), message);
                continue;
            };
            if !matches!(schema.field(time).data_type(), DataType::Timestamp(..)) {
                let found = &schema.field(time).data_type();
                let message = format!("the event time must be a timestamp, and is {found}");
                self.problem(event_time.place(), message);
                continue;
            }
            let plan = SourcePlan {
                name: name.clone(),
                declared: declared.clone(),
                time,
                expect: Vec::new(),
                max_ahead: source.max_ahead,
                needs: Vec::new(),
                feeds: Vec::new(),
                tables: Vec::new(),
            };
            let used = BTreeSet::from([time]);
            let view = SourceView {
                declared,
                schema,
                used,
                time,
                plan,
            };
            self.views.insert(name.clone(), view);
            for sql in &source.expect {
                let planned = self.truth(name, sql);
                if let (Some(expression), Some(view)) = (planned, self.views.get_mut(name)) {
                    view.plan
                        .expect
                        .push((sql.written().to_owned(), expression));
                }
            }
            // Rows that go out as they came need all their columns.
            let raw = [OutputKind::Late, OutputKind::Rejects];
            if raw
                .iter()
                .any(|kind| !self.sinks_of(*kind, name).is_empty())
                && let Some(view) = self.views.get_mut(name)
            {
                view.used.extend(0..view.schema.fields().len());
            }
        }
    }

    fn declare(&mut self, name: &str, source: &Source) -> Option<Declared> {
        let format = match source.format.rows() {
            Format::Parquet => RowFormat::Parquet,
            Format::Jsonl => RowFormat::JsonLines,
            _ => RowFormat::Csv(self.csv_options(source)?),
        };
        let wanted = self
            .columns
            .as_ref()
            .and_then(|columns| columns.get(name))
            .cloned();
        let mut columns = Vec::new();
        if source.columns.is_empty() {
            columns = self.columns_of_parquet(name, source)?;
        }
        for (column, declared) in &source.columns.0 {
            let mut read = match declared.kind {
                ColumnKind::Row => DeclaredColumn::of_row_numbers(column.as_str()),
                _ => DeclaredColumn::new(column.as_str(), column_type(&declared.kind)),
            };
            if declared.nullable {
                read = read.nullable();
            }
            columns.push(read);
        }
        // Rows are counted by what is in them.
        let counted_by = columns.iter().find(|column| !column.numbered).cloned();
        columns.retain(|column| {
            wanted
                .as_ref()
                .is_none_or(|wanted| wanted.contains(&column.name))
        });
        if columns.iter().all(|column| column.numbered) {
            columns.extend(counted_by);
        }
        let is_key = |name: &str| self.job.entities.values().any(|e| e.key.as_str() == name);
        let is_id = |name: &str| {
            let dedupe = source.dedupe.iter();
            (dedupe.flat_map(|dedupe| dedupe.key.iter())).any(|id| id.as_str() == name)
        };
        for column in columns.iter_mut().filter(|c| c.kind == ColumnType::Text) {
            // Ids have too many values for a dictionary to help, and so have keys, unless the file
            // has one.
            let is_key = is_key(&column.name);
            let has_dictionary = !is_key || matches!(format, RowFormat::Parquet);
            column.dictionary = has_dictionary && !is_id(&column.name);
            column.repeats = column.dictionary && is_key;
        }
        let paths = source
            .path
            .iter()
            .map(|path| path.as_str().to_owned())
            .collect();
        let mut declared = Declared::new(paths, format, columns);
        if source.follow {
            declared.lifetime = Lifetime::Follow {
                list_every: Duration::from_millis(200),
            };
        }
        Some(declared)
    }

    fn csv_options(&mut self, source: &Source) -> Option<CsvOptions> {
        let mut options = CsvOptions::default();
        if let Some(delimiter) = &source.delimiter {
            let [byte] = delimiter.as_str().as_bytes() else {
                self.problem(delimiter.place(), "a delimiter is one ASCII character");
                return None;
            };
            options.delimiter = *byte;
        }
        Some(options)
    }

    /// The columns of the first file of a Parquet source that declares none.
    fn columns_of_parquet(&mut self, name: &str, source: &Source) -> Option<Vec<DeclaredColumn>> {
        let place = source.path.first().and_then(|path| path.place());
        let text = source
            .path
            .first()
            .map(|path| path.as_str().to_owned())
            .unwrap_or_default();
        let found = crate::sources::parquet_columns(&text);
        match found {
            Ok(columns) => Some(columns),
            Err(error) => {
                let message = format!(
                    "source `{name}` declares no columns, and its file cannot be read: {error}"
                );
                self.problem(place, message);
                None
            }
        }
    }

    /// Hands the sources that something reads to the plan, in the order of the job.
    pub(super) fn close_sources(&mut self) {
        let raw: BTreeSet<String> = self
            .job
            .sources
            .keys()
            .filter(|name| {
                let kinds = [OutputKind::Late, OutputKind::Rejects];
                kinds
                    .iter()
                    .any(|kind| !self.sinks_of(*kind, name).is_empty())
            })
            .cloned()
            .collect();
        let views = std::mem::take(&mut self.views);
        for (name, view) in &views {
            if view.is_read() || raw.contains(name) {
                let SourceView {
                    declared,
                    time,
                    plan,
                    ..
                } = view;
                self.plan.sources.push(SourcePlan {
                    name: name.clone(),
                    declared: declared.clone(),
                    time: *time,
                    expect: plan.expect.clone(),
                    max_ahead: plan.max_ahead,
                    needs: plan.needs.clone(),
                    feeds: plan.feeds.clone(),
                    tables: plan.tables.clone(),
                });
            }
        }
        self.views = views;
    }
}

fn column_type(kind: &ColumnKind) -> ColumnType {
    match kind {
        ColumnKind::Int(8) => ColumnType::I8,
        ColumnKind::Int(16) => ColumnType::I16,
        ColumnKind::Int(32) => ColumnType::I32,
        ColumnKind::Int(_) => ColumnType::I64,
        ColumnKind::UInt(8) => ColumnType::U8,
        ColumnKind::UInt(16) => ColumnType::U16,
        ColumnKind::UInt(32) => ColumnType::U32,
        ColumnKind::UInt(_) => ColumnType::U64,
        ColumnKind::Float32 => ColumnType::F32,
        ColumnKind::Float64 => ColumnType::F64,
        ColumnKind::Bool => ColumnType::Bool,
        ColumnKind::Text => ColumnType::Text,
        ColumnKind::Date => ColumnType::Date,
        ColumnKind::Timestamp(unit) => ColumnType::Epoch(arrow_unit(*unit)),
        ColumnKind::Row => ColumnType::Epoch(arrow::datatypes::TimeUnit::Second),
        ColumnKind::TimestampRfc3339 => ColumnType::Rfc3339,
        ColumnKind::TimestampFormat(format) => ColumnType::TimeFormat(format.clone()),
    }
}
