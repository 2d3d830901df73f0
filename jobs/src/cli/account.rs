//! The closing account: where every row that came in went, what went out, and what it took.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tidegate_schemas::account::Account;

use super::failure::Failure;
use super::numbers::{bytes, grouped, per_second, span, took};
use crate::runtime::{Firing, Options, Report, SourceAccount};

/// The account of a run that has ended, as it is shown and written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Closing {
    job: String,
    workers: usize,
    firing: &'static str,
    #[serde(flatten)]
    account: Account,
    sources: BTreeMap<String, SourceAccount>,
    /// The sources whose late rows a sink writes.
    #[serde(skip)]
    late_written: BTreeSet<String>,
    /// Rows outside the stretch of event time that was asked for; they are not counted as read.
    skipped: u64,
    /// Whether the run was stopped before its input had ended.
    stopped: bool,
    sinks: BTreeMap<String, Written>,
    /// What changed nothing of each detector.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    detectors: BTreeMap<String, Unheard>,
    elapsed_seconds: f64,
    rows_per_second: Option<u64>,
    /// The most memory the process had at one time; none where the system does not say.
    peak_memory_bytes: Option<u64>,
}

/// What a detector could not be given.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Unheard {
    /// Values and corrections whose time the watermark had passed.
    too_late: u64,
    /// Values too large for detectors.
    too_large: u64,
}

/// What a sink wrote.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Written {
    rows: u64,
    files: Vec<PathBuf>,
    times_out_of_range: u64,
}

impl Closing {
    /// The account of a run; `late_written` are the sources whose late rows a sink writes.
    pub(super) fn new(
        job: &str,
        options: &Options,
        report: &Report,
        late_written: BTreeSet<String>,
    ) -> Closing {
        let sinks = report.sinks.iter().map(|(name, sink)| {
            let written = Written {
                rows: sink.rows,
                files: sink.files.clone(),
                times_out_of_range: sink.times_out_of_range,
            };
            (name.clone(), written)
        });
        let detectors = report.unheard.iter().map(|(name, numbers)| {
            let (too_late, too_large) = *numbers;
            (
                name.clone(),
                Unheard {
                    too_late,
                    too_large,
                },
            )
        });
        Closing {
            job: job.to_owned(),
            workers: options.workers,
            firing: match options.firing {
                Firing::OnArrival => "arrival",
                Firing::OnWatermark => "watermark",
            },
            account: report.account,
            sources: report.sources.clone(),
            late_written,
            skipped: report.skipped,
            stopped: report.stopped,
            sinks: sinks.collect(),
            detectors: detectors.collect(),
            elapsed_seconds: report.elapsed.as_secs_f64(),
            rows_per_second: per_second(report.account.rows_in, report.elapsed),
            peak_memory_bytes: peak_memory(),
        }
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).map_err(Failure::internal)?;
        std::fs::write(path, text + "\n").map_err(|error| {
            let path = path.display();
            Failure::output(format!("cannot write the account to `{path}`: {error}"))
        })
    }
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.account)?;
        if self.account.conflicts > 0 {
            let conflicts = grouped(self.account.conflicts);
            write!(f, "\n  {conflicts} of the duplicates had other content")?;
        }
        for (name, source) in &self.sources {
            let written = self.late_written.contains(name);
            f.write_str(&told(name, source, self.sources.len() > 1, written))?;
        }
        if self.skipped > 0 {
            let skipped = grouped(self.skipped);
            write!(f, "\n  {skipped} more rows lie outside --from and --to")?;
        }
        for (name, unheard) in &self.detectors {
            let told = [
                (unheard.too_late, "values or corrections came too late"),
                (unheard.too_large, "values are too large for a detector"),
            ];
            for (many, what) in told.into_iter().filter(|(many, _)| *many > 0) {
                write!(f, "\n  detector.{name}: {} {what}", grouped(many))?;
            }
        }
        let width = self.sinks.keys().map(String::len).max().unwrap_or(0);
        for (name, written) in &self.sinks {
            write!(f, "\n  {name:width$}  {} rows", grouped(written.rows))?;
            match &written.files[..] {
                [] => {}
                [file] => write!(f, "  {}", file.display())?,
                [first, .., last] => {
                    let files = written.files.len();
                    let (first, last) = (first.display(), last.display());
                    write!(f, "  {files} files, {first} to {last}")?;
                }
            }
            if written.times_out_of_range > 0 {
                let times = grouped(written.times_out_of_range);
                write!(f, "  ({times} times out of range are null)")?;
            }
        }
        if self.stopped {
            write!(f, "\n  stopped before the input had ended")?;
            if self.sinks.is_empty() {
                write!(f, ": files that appear only whole have not appeared")?;
            }
        }
        let elapsed = Duration::try_from_secs_f64(self.elapsed_seconds).unwrap_or_default();
        write!(f, "\ntook {}", took(elapsed))?;
        if let Some(rate) = self.rows_per_second {
            write!(f, ", {} rows/s", grouped(rate))?;
        }
        let (workers, firing) = (self.workers, self.firing);
        let s = if workers == 1 { "" } else { "s" };
        write!(f, ", {workers} worker{s}, on {firing}")?;
        match self.peak_memory_bytes {
            Some(peak) => write!(f, ", peak memory {}", bytes(peak)),
            None => Ok(()),
        }
    }
}

/// So many of the reasons for which rows were rejected have a line of their own.
const REASONS: usize = 3;

/// What became of a source's rows, as far as that is worth a line.
fn told(name: &str, source: &SourceAccount, counts: bool, late_written: bool) -> String {
    let mut text = String::new();
    let (rows, late, rejected) = (source.rows_in, source.late, source.rejected);
    if counts {
        let kept = grouped(rows.saturating_sub(late + rejected));
        let (rows, late, rejected) = (grouped(rows), grouped(late), grouped(rejected));
        text.push_str(&format!(
            "\n  {name}: {rows} rows in = {kept} accepted or duplicate + {late} late + {rejected} rejected"
        ));
    }
    let reasons = source.most_frequent();
    for (what, rejected) in reasons.iter().take(REASONS) {
        let (rows, first) = (grouped(rejected.rows), &rejected.first);
        text.push_str(&format!(
            "\n  {name}: {rows} rejected for `{what}`, the first at {first}"
        ));
    }
    let others: u64 = reasons.iter().skip(REASONS).map(|(_, r)| r.rows).sum();
    if others > 0 {
        let others = grouped(others);
        text.push_str(&format!("\n  {name}: {others} rejected for other reasons"));
    }
    if late > 0 {
        let (late, behind) = (grouped(late), span(source.furthest_behind));
        text.push_str(&format!(
            "\n  {name}: {late} late, up to {behind} behind the newest before them"
        ));
        if !late_written {
            text.push_str(&format!(
                "; nothing keeps them: a longer job.lateness accepts them, a sink with from = \"late.{name}\" writes them"
            ));
        }
    }
    if late > rows / 2 {
        text.push_str(&format!(
            "\n  warning: most rows of {name} are late; if it is not in the order of time, set job.lateness"
        ));
    }
    if rejected > rows / 2 {
        text.push_str(&format!("\n  warning: most rows of {name} were rejected"));
    }
    text
}

/// The most memory this process had at one time (`VmHWM`), where the system says.
fn peak_memory() -> Option<u64> {
    high_water_mark(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn high_water_mark(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Rejected, Stretch};
    use crate::sinks::SinkReport;
    use tidegate_schemas::time::Span;

    fn closing(stopped: bool, files: &[&str]) -> Closing {
        let options = Options {
            workers: 2,
            firing: Firing::OnWatermark,
            stretch: Stretch::ALL,
        };
        let sink = SinkReport {
            rows: 1_200,
            files: files.iter().map(PathBuf::from).collect(),
            times_out_of_range: 0,
        };
        let rejected = Rejected {
            rows: 1,
            first: "e.csv:7: it is null".to_owned(),
            stands: (1, 7),
        };
        let events = SourceAccount {
            rows_in: 10_000,
            late: 2,
            rejected: 1,
            furthest_behind: Span(86_400_000_000),
            reasons: BTreeMap::from([("at".to_owned(), rejected)]),
            ..SourceAccount::default()
        };
        let report = Report {
            account: Account {
                rows_in: 10_000,
                accepted: 9_990,
                duplicate: 7,
                late: 2,
                rejected: 1,
                conflicts: 3,
            },
            sources: BTreeMap::from([("events".to_owned(), events)]),
            skipped: 5,
            sinks: vec![("visits".to_owned(), sink)],
            unheard: BTreeMap::new(),
            elapsed: Duration::from_millis(2_500),
            stopped,
        };
        Closing {
            peak_memory_bytes: Some(64 << 20),
            ..Closing::new("demo", &options, &report, BTreeSet::new())
        }
    }

    #[test]
    fn the_account_tells_what_became_of_every_row() {
        assert_eq!(
            closing(false, &["visits.parquet"]).to_string(),
            "10000 rows in = 9990 accepted + 7 duplicate + 2 late + 1 rejected\n  \
             3 of the duplicates had other content\n  \
             events: 1 rejected for `at`, the first at e.csv:7: it is null\n  \
             events: 2 late, up to 1d behind the newest before them; nothing keeps them: a longer job.lateness \
             accepts them, a sink with from = \"late.events\" writes them\n  \
             5 more rows lie outside --from and --to\n  \
             visits  1,200 rows  visits.parquet\n\
             took 2.50 s, 4,000 rows/s, 2 workers, on watermark, peak memory 64.0 MiB"
        );
        let text = closing(true, &["a", "b", "c"]).to_string();
        assert!(text.contains("3 files, a to c"), "{text}");
        assert!(
            text.contains("stopped before the input had ended"),
            "{text}"
        );
    }

    #[test]
    fn sources_of_which_most_rows_are_lost_are_warned_of() {
        let source = SourceAccount {
            rows_in: 10,
            late: 9,
            furthest_behind: Span(2 * 86_400_000_000 + 5_123),
            ..SourceAccount::default()
        };
        assert_eq!(
            told("calls", &source, true, true),
            "\n  calls: 10 rows in = 1 accepted or duplicate + 9 late + 0 rejected\n  \
             calls: 9 late, up to 2d behind the newest before them\n  \
             warning: most rows of calls are late; if it is not in the order of time, set job.lateness"
        );
        let source = SourceAccount {
            rows_in: 3,
            rejected: 2,
            ..SourceAccount::default()
        };
        let text = told("calls", &source, false, true);
        assert_eq!(text, "\n  warning: most rows of calls were rejected");
    }

    #[test]
    fn the_most_frequent_reasons_are_told_and_the_others_counted() {
        let rejected = |(what, rows): (&str, u64)| {
            let rejected = Rejected {
                rows,
                first: format!("e.csv:{rows}: {what} is null"),
                stands: (1, rows),
            };
            (what.to_owned(), rejected)
        };
        let reasons = [("a", 3), ("b", 9), ("c", 4), ("d", 7), ("e", 2)].map(rejected);
        let source = SourceAccount {
            rows_in: 100,
            rejected: 25,
            reasons: reasons.into(),
            ..SourceAccount::default()
        };
        assert_eq!(
            told("calls", &source, false, true),
            "\n  calls: 9 rejected for `b`, the first at e.csv:9: b is null\n  \
             calls: 7 rejected for `d`, the first at e.csv:7: d is null\n  \
             calls: 4 rejected for `c`, the first at e.csv:4: c is null\n  \
             calls: 5 rejected for other reasons"
        );
    }

    #[test]
    fn as_json_it_has_the_counts_at_the_top() {
        let json = serde_json::to_value(closing(false, &["v.csv"])).unwrap();
        assert_eq!(json["rows_in"], 10_000);
        assert_eq!(json["sinks"]["visits"]["rows"], 1_200);
        assert_eq!(json["firing"], "watermark");
        assert_eq!(json["stopped"], false);
    }

    #[test]
    fn the_high_water_mark_is_read_from_the_status() {
        let status = "VmPeak:\t  100 kB\nVmHWM:\t   12 kB\nVmRSS:\t 3 kB\n";
        assert_eq!(high_water_mark(status), Some(12 * 1_024));
        assert_eq!(high_water_mark("VmRSS: 3 kB"), None);
    }
}
