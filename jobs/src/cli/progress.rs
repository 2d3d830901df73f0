//! How a run gets on: a bar on a terminal, log lines elsewhere, never both.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tidegate_schemas::account::Account;
use tidegate_schemas::time::EventTime;

use super::logging::{self, Loudness};
use super::numbers::{grouped, per_second, span};
use crate::runtime::Watch;

/// How often a bar is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// How often a line is logged.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// The rate that a bar shows is that of this last while.
const RATE_OVER: Duration = Duration::from_secs(2);

/// Shows how a run gets on until it is finished.
pub(super) struct Progress {
    bar: ProgressBar,
    finish: mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts to show what `watch` sees, and to log.
    pub(super) fn start(watch: &Arc<Watch>, quiet: bool) -> Progress {
        let loudness = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Loudness::Quiet,
            (false, true) => Loudness::Terminal,
            (false, false) => Loudness::Lines,
        };
        let target = match loudness {
            Loudness::Terminal => ProgressDrawTarget::stderr_with_hz(10),
            Loudness::Quiet | Loudness::Lines => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        logging::start(loudness, &bar);
        let (finish, finished) = mpsc::channel();
        let every = match loudness {
            Loudness::Terminal => DRAW_EVERY,
            Loudness::Quiet | Loudness::Lines => LOG_EVERY,
        };
        let mut show = Show {
            watch: Arc::clone(watch),
            bar: bar.clone(),
            loudness,
            rates: Rates::new(every),
        };
        let thread = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || {
                while finished.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                    show.once();
                }
            });
        Progress {
            bar,
            finish,
            // A run without a view of it is still a run.
            thread: thread.ok().filter(|_| loudness != Loudness::Quiet),
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(self) {
        let _ = self.finish.send(());
        if let Some(thread) = self.thread {
            // It shows nothing any more, however it ended.
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}

/// What the thread of the progress does.
struct Show {
    watch: Arc<Watch>,
    bar: ProgressBar,
    loudness: Loudness,
    rates: Rates,
}

impl Show {
    fn once(&mut self) {
        let figures = Figures::of(&self.watch, &mut self.rates);
        match self.loudness {
            Loudness::Quiet => {}
            Loudness::Lines => tracing::info!("{}; {}", figures.rows(), figures.state()),
            Loudness::Terminal => self.draw(&figures),
        }
    }

    fn draw(&self, figures: &Figures) {
        let (read, total) = figures.bytes;
        let known = total > 0 && self.bar.length().is_none();
        if known || self.bar.message().is_empty() {
            let head = match total {
                0 => "{spinner} {elapsed}",
                _ => "{spinner} {elapsed} [{bar:20}] {percent}%",
            };
            let template = format!("{head} {{prefix}}\n  {{wide_msg}}");
            if let Ok(style) = ProgressStyle::with_template(&template) {
                self.bar.set_style(style);
            }
        }
        if total > 0 {
            self.bar.set_length(total);
            self.bar.set_position(read);
        }
        self.bar.set_prefix(figures.rows());
        self.bar.set_message(figures.state());
        self.bar.tick();
    }
}

/// Rows per second over the last while.
struct Rates {
    over: Duration,
    seen: VecDeque<(Instant, u64)>,
}

impl Rates {
    fn new(every: Duration) -> Rates {
        Rates {
            over: RATE_OVER.max(every),
            seen: VecDeque::from([(Instant::now(), 0)]),
        }
    }

    fn next(&mut self, now: Instant, rows: u64) -> Option<u64> {
        self.seen.push_back((now, rows));
        let old = |seen: &VecDeque<(Instant, u64)>| {
            seen.get(1)
                .is_some_and(|(at, _)| now.duration_since(*at) >= self.over)
        };
        while old(&self.seen) {
            self.seen.pop_front();
        }
        let (since, before) = *self.seen.front()?;
        per_second(rows.saturating_sub(before), now.duration_since(since))
    }
}

/// The figures of a run at one moment.
struct Figures {
    account: Account,
    rate: Option<u64>,
    watermark: EventTime,
    newest: EventTime,
    keys: u64,
    bytes: (u64, u64),
    sinks: Vec<(String, u64)>,
}

impl Figures {
    fn of(watch: &Watch, rates: &mut Rates) -> Figures {
        let account = watch.account();
        Figures {
            rate: rates.next(Instant::now(), account.rows_in),
            account,
            watermark: watch.watermark(),
            newest: watch.newest(),
            keys: watch.keys(),
            bytes: watch.bytes(),
            sinks: watch.sinks(),
        }
    }

    /// What came in.
    fn rows(&self) -> String {
        let mut text = format!("{} rows", grouped(self.account.rows_in));
        if let Some(rate) = self.rate {
            text.push_str(&format!(", {}/s", grouped(rate)));
        }
        for (count, name) in [
            (self.account.duplicate, "duplicate"),
            (self.account.late, "late"),
            (self.account.rejected, "rejected"),
        ] {
            text.push_str(&format!(", {} {name}", grouped(count)));
        }
        text
    }

    /// Where event time is, what is kept, and what went out.
    fn state(&self) -> String {
        let mut text = match (self.watermark, self.newest) {
            (EventTime::MIN, _) => "no watermark yet".to_owned(),
            (EventTime::MAX, _) => "all input has ended".to_owned(),
            (watermark, newest) if newest > watermark => {
                let behind = span(newest - watermark);
                format!("watermark {watermark}, {behind} behind the newest row")
            }
            (watermark, _) => format!("watermark {watermark}"),
        };
        text.push_str(&format!("; {} keys", grouped(self.keys)));
        for (index, (sink, rows)) in self.sinks.iter().enumerate() {
            let mark = if index == 0 { "; out:" } else { "," };
            text.push_str(&format!("{mark} {sink} {}", grouped(*rows)));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_two_short_texts() {
        let mut figures = Figures {
            account: Account {
                rows_in: 12_345,
                late: 3,
                ..Account::default()
            },
            rate: Some(1_000),
            watermark: EventTime(0),
            newest: EventTime(7_500_000_000),
            keys: 42,
            bytes: (0, 0),
            sinks: vec![("q1".to_owned(), 7), ("q2".to_owned(), 8)],
        };
        assert_eq!(
            figures.rows(),
            "12,345 rows, 1,000/s, 0 duplicate, 3 late, 0 rejected"
        );
        assert_eq!(
            figures.state(),
            "watermark 1970-01-01T00:00:00Z, 2h 5m behind the newest row; 42 keys; out: q1 7, q2 8"
        );
        figures.watermark = EventTime::MIN;
        figures.sinks.clear();
        assert_eq!(figures.state(), "no watermark yet; 42 keys");
    }

    #[test]
    fn the_rate_is_that_of_the_last_while() {
        let start = Instant::now();
        let mut rates = Rates {
            over: Duration::from_secs(2),
            seen: VecDeque::from([(start, 0)]),
        };
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(rates.next(at(1), 100), Some(100));
        assert_eq!(rates.next(at(2), 300), Some(150));
        assert_eq!(rates.next(at(4), 300), Some(0));
    }
}
