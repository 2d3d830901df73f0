//! `tidegate replay`: a job over history.

use chrono::{DateTime, NaiveDate};
use clap::Args;
use tidegate_schemas::time::EventTime;

use super::failure::Failure;
use super::running::Running;
use crate::runtime::{Firing, Options, Stretch};

const HELP: &str = "\
Examples:
  tidegate replay job.toml
  tidegate replay job.toml --from 2026-01-01 --to 2026-02-01
  tidegate replay job.toml --workers 4 --only q1 --set sink.q1.path=q1.parquet

Rows outside --from and --to are skipped, except those of tables: versions from before hold inside.
So windows, sessions and patterns see nothing from before --from: start earlier by the longest window if they must.
The first SIGINT (Ctrl-C) or SIGTERM ends the replay without results (but standard input in order,
as it ends `run`), the second at once.

Exit codes: 0 done; 1 more rejects than --max-rejects, or no row accepted of those that came; 2 wrong
usage or job file; 3 input cannot be read; 4 output cannot be written; 101 internal error; 130 stopped
by SIGINT; 143 stopped by SIGTERM.";

/// Run a job over history.
///
/// Answers are computed once, when the watermark has passed them: the same final rows as `run`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Replay {
    #[command(flatten)]
    running: Running,
    /// Only rows at this event time or later: RFC 3339, or a date in UTC.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<EventTime>,
    /// Only rows before this event time: RFC 3339, or a date in UTC.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<EventTime>,
}

impl Replay {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let stretch = stretch(self.from, self.to)?;
        let plan = self.running.plan()?;
        let options = Options {
            workers: self.running.workers(),
            firing: Firing::OnWatermark,
            stretch,
        };
        self.running.carry_out(plan, &options)
    }
}

/// The stretch of event time between two moments.
///
/// # Errors
/// When it is empty.
pub(super) fn stretch(from: Option<EventTime>, to: Option<EventTime>) -> Result<Stretch, Failure> {
    let stretch = Stretch {
        from: from.unwrap_or(Stretch::ALL.from),
        to: to.unwrap_or(Stretch::ALL.to),
    };
    if stretch.from >= stretch.to {
        return Err(Failure::usage(format!(
            "--from {} is not before --to {}, so no row lies between them",
            stretch.from, stretch.to
        )));
    }
    Ok(stretch)
}

/// Reads a moment: RFC 3339, or a date for its first moment in UTC.
pub(super) fn moment(text: &str) -> Result<EventTime, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(EventTime(time.timestamp_micros()));
    }
    let date: Option<NaiveDate> = text.parse().ok();
    date.and_then(|date| date.and_hms_opt(0, 0, 0))
        .map(|time| EventTime(time.and_utc().timestamp_micros()))
        .ok_or_else(|| {
            format!("`{text}` is no time; write it like 2026-01-31T08:00:00Z or 2026-01-31")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_a_date() {
        let noon = EventTime(43_200_000_000);
        assert_eq!(moment("1970-01-01T12:00:00Z"), Ok(noon));
        assert_eq!(moment("1970-01-01T13:00:00+01:00"), Ok(noon));
        assert_eq!(moment("1970-01-02"), Ok(EventTime(86_400_000_000)));
        assert!(moment("yesterday").is_err());
    }
}
