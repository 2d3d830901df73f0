//! Log lines on the error output, beside the progress bar where there is one.

use std::io::{self, Write};

use indicatif::ProgressBar;
use tracing_subscriber::EnvFilter;

/// How much is said beside results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loudness {
    /// Errors only.
    Quiet,
    /// A progress bar, and warnings.
    Terminal,
    /// Log lines.
    Lines,
}

/// The environment variable that says what to log, in the manner of `tracing`.
const VARIABLE: &str = "TIDEGATE_LOG";

/// Starts logging. Lines are written above `bar`.
pub(super) fn start(loudness: Loudness, bar: &ProgressBar) {
    let level = match loudness {
        Loudness::Quiet => "error",
        Loudness::Terminal => "warn",
        Loudness::Lines => "info",
    };
    // A sink that fails ends the run, and the program says why at the end.
    let usual = format!("{level},tidegate_jobs::sinks::thread=off");
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(usual));
    let bar = bar.clone();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_target(false)
        .with_writer(move || Above(bar.clone()));
    // A second run in the same process keeps the first one's log.
    let _ = match loudness {
        Loudness::Terminal => lines.without_time().try_init(),
        Loudness::Quiet | Loudness::Lines => lines.try_init(),
    };
}

/// Writes to the error output while the bar is out of the way.
struct Above(ProgressBar);

impl Write for Above {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().lock().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}
