//! Sinks and tests.

use super::Check;
use crate::job::sink::{Mode, Output, OutputKind, Sink, SinkFormat};
use crate::job::suggest;
use crate::job::test_case::{TestCase, TestRow, TestRows};

impl Check<'_> {
    pub(super) fn sinks(&mut self) {
        for (name, sink) in &self.job.sinks {
            self.sink_output(sink);
            self.explain(&sink.select);
            self.sink_path(name, sink);
        }
    }

    fn sink_output(&mut self, sink: &Sink) {
        let text = &sink.from.0;
        let Some(output) = sink.from.output() else {
            return;
        };
        let features = self.job.features.get(&output.name);
        let current = match output.kind {
            OutputKind::Current => true,
            OutputKind::Features => features.is_some_and(|features| features.at.is_none()),
            _ => false,
        };
        if current && sink.mode == Mode::Final {
            let message = "current values are never final";
            let help = "write mode = \"upserts\" or \"changes\"".to_owned();
            self.tell_with(text.place(), message, Some(help));
        }
        let journey = self.job.journeys.get(&output.name);
        let held_out = journey.is_none_or(|journey| journey.holdout.is_some());
        if output.kind == OutputKind::Holdout && !held_out {
            let message = format!("`journey.{}` holds nothing out", output.name);
            let help = "give it the key holdout = { train = \"2/3\" }".to_owned();
            self.tell_with(text.place(), message, Some(help));
        }
        let as_they_come = matches!(output.kind, OutputKind::Late | OutputKind::Rejects);
        if as_they_come && sink.mode != Mode::Final {
            let word = output.kind.word();
            let message =
                format!("{word} rows are final when they come: they take no other `mode`");
            self.tell_with(text.place(), message, Some("leave `mode` out".to_owned()));
        }
    }

    fn sink_path(&mut self, name: &str, sink: &Sink) {
        match (sink.format, &sink.path) {
            (SinkFormat::Stdout, Some(path)) => {
                let help = "leave `path` out, or choose the format csv or jsonl with path = \"-\"";
                self.tell_with(
                    path.place(),
                    "format stdout takes no `path`",
                    Some(help.to_owned()),
                );
            }
            (SinkFormat::Stdout, None) => {}
            (_, None) => self.tell_key(
                &["sink", name],
                format!("`sink.{name}` needs the key `path`"),
                "the file to write; - is standard output",
            ),
            (SinkFormat::Parquet, Some(path)) if path.as_str() == "-" => {
                self.tell(path.place(), "Parquet cannot be written to standard output");
            }
            (_, Some(path)) if path.as_str().is_empty() => {
                self.tell(path.place(), "the path is empty");
            }
            _ => {}
        }
    }

    pub(super) fn tests(&mut self) {
        let mut names = Vec::new();
        for (at, test) in self.job.tests.iter().enumerate() {
            names.push(&test.name);
            let at = at.to_string();
            self.test_rows(&at, test);
            for table in test.tables.keys() {
                let known = self.job.all_tables().contains_key(table.as_str())
                    || self.declared.has("table", table)
                    || self.broken_source(table);
                if !known {
                    let help = suggest::help(table, "there are", self.job.all_tables().into_keys());
                    let place = self.key(&["test", &at, "tables", table]);
                    self.tell_with(place, format!("there is no table `{table}`"), help);
                }
            }
            self.test_expect(&at, test);
        }
        self.twice(names, "test");
    }

    fn broken_source(&self, name: &str) -> bool {
        self.declared.has("source", name) && !self.job.sources.contains_key(name)
    }

    fn test_rows(&mut self, at: &str, test: &TestCase) {
        let job = self.job;
        let events = job
            .sources
            .iter()
            .filter(|(_, source)| !source.format.is_changelog());
        let events: Vec<_> = events.map(|(name, _)| name.as_str()).collect();
        let all_read = self.declared.names("source").count() == job.sources.len();
        match &test.rows {
            TestRows::Only(_) if all_read && events.len() != 1 => {
                let message = format!(
                    "the job has {} sources of events: say whose rows these are",
                    events.len()
                );
                let help = match events.first() {
                    Some(first) => format!("write rows.{first} = \"\"\"...\"\"\""),
                    None => "add a source that is not a changelog".to_owned(),
                };
                self.tell_key(&["test", at, "rows"], message, &help);
            }
            TestRows::Only(_) => {}
            TestRows::Each(rows) => {
                for name in rows
                    .keys()
                    .filter(|name| !self.declared.has("source", name))
                    .collect::<Vec<_>>()
                {
                    let help = suggest::help(name, "there are", self.declared.names("source"));
                    let place = self.key(&["test", at, "rows", name]);
                    self.tell_with(place, format!("there is no source `{name}`"), help);
                }
            }
        }
    }

    fn test_expect(&mut self, at: &str, test: &TestCase) {
        for (word, outputs) in &test.expect {
            let kind = OutputKind::ALL.iter().find(|(known, _)| *known == word);
            let Some((_, kind)) = kind else {
                let words = OutputKind::ALL.map(|(known, _)| known);
                let help = suggest::help(word, "the kinds are", words);
                let place = self.key(&["test", at, "expect", word]);
                self.tell_with(
                    place,
                    format!("there are no outputs of the kind `{word}`"),
                    help,
                );
                continue;
            };
            for (name, rows) in outputs {
                let output = Output {
                    kind: *kind,
                    name: name.clone(),
                };
                let path = ["test", at, "expect", word, name];
                if self.declared.makes(&output) {
                    self.expected_columns(&path, &output, rows);
                } else {
                    let help = self.declared.output_help(&output);
                    let place = self.key(&path);
                    self.tell_with(place, format!("there is no output `{output}`"), help);
                }
            }
        }
    }

    /// Expected rows name columns that their output has.
    fn expected_columns(&mut self, path: &[&str; 5], output: &Output, rows: &[TestRow]) {
        // The columns of a job that is broken elsewhere may not all be known.
        if self.broken {
            return;
        }
        let Some(columns) = self.job.output_columns(output) else {
            return;
        };
        for (number, row) in rows.iter().enumerate() {
            for column in row.keys().filter(|column| !columns.contains(column)) {
                let number = number.to_string();
                let place = self.key(&[&path[..], &[&number, column]].concat());
                let message = format!("the output `{output}` has no column `{column}`");
                let help = suggest::help(
                    column,
                    "its columns are",
                    columns.iter().map(String::as_str),
                );
                self.tell_with(place, message, help);
            }
        }
    }
}
