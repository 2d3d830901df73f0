//! Sources and tables.

use super::Check;
use crate::job::closest;
use crate::job::source::{Format, Source};
use crate::job::text::Text;
use crate::time::Span;

impl Check<'_> {
    pub(super) fn sources(&mut self) {
        let mut standard_input: Option<&str> = None;
        for (name, source) in &self.job.sources {
            self.source_columns(name, source);
            if source.format.is_changelog() {
                self.changelog(name, source);
            } else {
                self.events(name, source);
            }
            self.source_options(source);
            if source.max_ahead.is_some_and(|ahead| ahead <= Span::ZERO) {
                self.tell_key(
                    &["source", name, "max_ahead"],
                    "`max_ahead` must be longer than nothing",
                    "for example 30d",
                );
            }
            for path in source.path.iter() {
                if path.as_str().is_empty() {
                    self.tell(path.place(), "the path is empty");
                }
                if path.as_str() == "-"
                    && let Some(other) = standard_input.replace(name)
                {
                    let message = format!("standard input already feeds the source `{other}`");
                    self.tell(path.place(), message);
                }
            }
        }
    }

    fn source_columns(&mut self, name: &str, source: &Source) {
        let here = ["source", name, "columns"];
        if source.columns.is_empty() && source.format.rows() != Format::Parquet {
            self.tell_key(
                &here,
                format!("source `{name}` needs `columns`: its format does not say their types"),
                "write columns = { id = \"u64\", at = \"timestamp_ms\", topic = \"text?\" }",
            );
        }
        let event_time = self.job.event_time(name);
        let own = source.event_time.is_some();
        match source.columns.get(event_time.as_str()) {
            _ if source.columns.is_empty() || event_time.as_str().is_empty() => {}
            None if own => self.column(event_time, name, &source.columns),
            None => {
                let near = closest(event_time.as_str(), source.columns.names());
                let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
                self.tell_key(
                    &here,
                    format!(
                        "source `{name}` has no column `{}`, the event time of the job",
                        event_time.written()
                    ),
                    &format!("{near}declare it, or say which column it is: event_time = \"...\""),
                );
            }
            Some(column) if !column.kind.is_timestamp() => self.tell_key(
                &[&here[..], &[event_time.as_str()]].concat(),
                format!(
                    "`{}` is the event time of source `{name}` and must be a timestamp, not {column}",
                    event_time.written()
                ),
                "for example timestamp_ms, timestamp for RFC 3339, or timestamp:%Y-%m-%d for plain days",
            ),
            Some(_) => {}
        }
        if let Some(dedupe) = &source.dedupe {
            for key in dedupe.key.iter() {
                self.column(key, name, &source.columns);
            }
            self.twice(dedupe.key.iter(), "column");
            if dedupe.keep.is_some_and(|keep| keep <= Span::ZERO) {
                let path = ["source", name, "dedupe", "keep"];
                self.tell_key(
                    &path,
                    "`keep` must be longer than nothing",
                    "for example 72h",
                );
            }
        }
    }

    fn changelog(&mut self, name: &str, source: &Source) {
        self.table_key(&source.key, name, source);
        let mut tables = self.job.tables.values();
        let read = tables.any(|table| table.from == *name);
        // A table that is broken may be the one that reads it.
        let read = read || self.declared.names("table").count() > self.job.tables.len();
        if source.key.is_empty() && !read {
            self.tell_key(
                &["source", name],
                format!(
                    "the changelog `{name}` needs `key`: the columns that name a row of the table"
                ),
                "write key = [\"...\"]",
            );
        }
        if source.dedupe.is_some() {
            self.tell_key(
                &["source", name, "dedupe"],
                "a changelog takes no `dedupe`: a version that comes twice changes nothing",
                "leave it out",
            );
        }
        if source.delete_when.is_some() && source.key.is_empty() {
            self.tell_key(
                &["source", name, "delete_when"],
                "`delete_when` belongs to the table that reads this source",
                "move it to the [table.*], or give the source a `key`",
            );
        }
    }

    fn events(&mut self, name: &str, source: &Source) {
        let given = [
            ("key", !source.key.is_empty()),
            ("delete_when", source.delete_when.is_some()),
        ];
        for (key, _) in given.iter().filter(|(_, given)| *given) {
            self.tell_key(
                &["source", name, key],
                format!("`{key}` is for changelogs"),
                "use a changelog format (changelog_csv, changelog_jsonl, changelog_parquet), or leave it out",
            );
        }
    }

    fn source_options(&mut self, source: &Source) {
        let is_csv = source.format.rows() == Format::Csv;
        if let Some(delimiter) = &source.delimiter {
            if !is_csv {
                self.tell(delimiter.place(), "`delimiter` is for CSV");
            } else if !matches!(delimiter.as_str().as_bytes(), [byte] if byte.is_ascii()) {
                self.tell(delimiter.place(), "`delimiter` must be one ASCII character");
            }
        }
        if source.follow && source.format.rows() == Format::Parquet {
            let file = |path: &&Text| {
                path.as_str().ends_with(".parquet") && !path.as_str().contains(['*', '?', '['])
            };
            if let Some(path) = source.path.iter().find(file) {
                let message =
                    "a Parquet file does not grow: `follow` needs a directory or a pattern";
                self.tell(path.place(), message);
            }
        }
    }

    pub(super) fn tables(&mut self) {
        for (name, table) in &self.job.tables {
            let source = self.job.sources.get(table.from.as_str());
            if let Some(source) = source.filter(|source| source.format.is_changelog()) {
                self.table_key(&table.key, table.from.as_str(), source);
            }
            let source = self.job.sources.get(name);
            let implied =
                source.is_some_and(|source| source.format.is_changelog() && !source.key.is_empty());
            if implied {
                self.tell_key(
                    &["table", name],
                    format!(
                        "the source `{name}` has a `key` and so is a table of the same name already"
                    ),
                    "give the table another name, or leave out the source's `key`",
                );
            }
        }
    }

    fn table_key(&mut self, key: &[Text], name: &str, source: &Source) {
        for column in key {
            self.column(column, name, &source.columns);
        }
        self.twice(key, "column");
    }
}
