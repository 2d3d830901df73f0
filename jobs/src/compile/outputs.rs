//! Sinks: where outputs and raw rows go.

use std::time::Duration;

use tidegate_schemas::job::{Mode, OutputKind, Sink, SinkFormat};

use super::{Compiler, Feed, SinkPlan};
use crate::sinks::{Format, Life, Mode as SinkMode, Place, Roll, SinkSpec};

impl Compiler<'_> {
    /// What a sink is told.
    pub(super) fn sink_spec(&mut self, name: &str, sink: &Sink) -> Option<SinkSpec> {
        let place = match (&sink.path, sink.format) {
            (None, SinkFormat::Stdout) => Place::Stdout,
            (Some(path), _) => path.as_str().parse().unwrap_or(Place::Stdout),
            (None, _) => {
                let message = format!("sink `{name}` needs a path; `-` is the standard output");
                self.problem(sink.from.0.place(), message);
                return None;
            }
        };
        let format = match sink.format {
            SinkFormat::Parquet => Format::Parquet,
            SinkFormat::Jsonl | SinkFormat::Stdout => Format::Jsonl,
            SinkFormat::Csv => Format::Csv,
        };
        let mode = match sink.mode {
            Mode::Final => SinkMode::Final,
            Mode::Changes => SinkMode::Changes,
            Mode::Upserts => SinkMode::Upserts,
        };
        let select = (!sink.select.is_empty()).then(|| {
            sink.select
                .iter()
                .map(|sql| sql.as_str().to_owned())
                .collect()
        });
        let filter = sink.filter.as_ref().map(|sql| sql.as_str().to_owned());
        // What comes through a pipe is shown while it comes.
        let unending = self
            .job
            .sources
            .values()
            .any(|source| source.follow || source.path.iter().any(|path| *path == "-"));
        let life = if unending { Life::Unending } else { Life::Ends };
        let parts =
            matches!(&place, Place::Path(path) if path.contains("{part}") || path.ends_with('/'));
        let roll = (unending && parts).then_some(Roll {
            every: Duration::from_secs(60),
            ..Roll::DEFAULT
        });
        Some(SinkSpec {
            name: name.to_owned(),
            place,
            format,
            mode,
            filter,
            select,
            roll,
            life,
        })
    }

    /// The sinks of late and rejected rows.
    pub(super) fn raw_sinks(&mut self) {
        let job = self.job;
        // The sources of the plan are those that something reads, in the order of the job.
        let is_raw = |source: &str| {
            let kinds = [OutputKind::Late, OutputKind::Rejects];
            kinds
                .iter()
                .any(|kind| !self.sinks_of(*kind, source).is_empty())
        };
        let read = |source: &str| {
            self.views
                .get(source)
                .is_some_and(|view| !view.plan.feeds.is_empty() || !view.plan.tables.is_empty())
        };
        let planned: Vec<String> = job
            .sources
            .keys()
            .filter(|name| read(name) || is_raw(name))
            .cloned()
            .collect();
        for (index, source) in planned.iter().enumerate() {
            for (kind, feed) in [
                (OutputKind::Late, Feed::Late(index)),
                (OutputKind::Rejects, Feed::Rejects(index)),
            ] {
                for (name, sink) in self.sinks_of(kind, source) {
                    if let Some(spec) = self.sink_spec(name, sink) {
                        self.plan.sinks.push(SinkPlan { spec, feed });
                    }
                }
            }
        }
    }
}
