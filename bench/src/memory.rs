//! `memory`: customers that come once and never again pass through, and the program's memory is watched.
//!
//! Event time runs on past the longest window, then a quiet stretch lets the last of them go. What is left then is the floor: a
//! shell kept for each key would show there, and in how it grows from round to round.

use std::{
    io::Write,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use crate::{
    columns,
    error::Error,
    generate::{
        append_json_line,
        events::{Event, START_MS},
        journey,
    },
    live::Live,
    process::CommandLine,
    tidegate::Tidegate,
};

/// The arguments of `memory`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tidegate-bench memory --dir data/S
  tidegate-bench memory --dir data/S --customers 1000000 --days 14 --rounds 3

Bytes per live customer are what memory grew by, from before the first row to the end of the stretch with customers, over the
customers of the last --horizon-days. The program's allocator is told to give back at once what is freed.")]
pub struct Args {
    /// A directory made by `generate`: its `limits.csv` is used, and answers are put there.
    #[arg(long)]
    pub dir: PathBuf,
    /// How many one-off customers pass in a round.
    #[arg(long, default_value_t = 10_000_000)]
    pub customers: u32,
    /// Days of event time over which they pass.
    #[arg(long, default_value_t = 28)]
    pub days: u32,
    /// After how many days a customer is forgotten: the longest window, or for how long ids are kept if that is longer.
    #[arg(long, default_value_t = 7)]
    pub horizon_days: u32,
    /// Rounds of customers and quiet: memory after each should be the same.
    #[arg(long, default_value_t = 2)]
    pub rounds: u32,
    /// Seconds in which memory must not change by more than a hundredth before it is read.
    #[arg(long, default_value_t = 3)]
    pub settle: u64,
    /// Workers of the program.
    #[arg(long, default_value_t = 2)]
    pub workers: usize,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub tidegate: Tidegate,
}

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
// How often to wait for memory to be steady.
const STEADY: usize = 20;
// The customer whose rows move time on in the quiet stretch.
const CLOCK: u32 = 0;

/// Lets the customers pass and reports the memory.
///
/// # Errors
/// If the program fails.
pub fn run(args: &Args) -> Result<(), Error> {
    let answers = args.dir.join("answers-memory");
    std::fs::create_dir_all(&answers).map_err(Error::write(&answers))?;
    let mut feed = Feed {
        program: Live::start(giving_back(args.tidegate.live(
            &args.dir.join("limits.csv"),
            &answers,
            args.workers,
        )))?,
        text: Vec::new(),
        next_id: 1,
        next_customer: CLOCK + 1,
    };
    let mut at = START_MS;
    feed.row(CLOCK, at)?;
    let before = feed.settled(args.settle)?;
    let live = f64::from(args.customers) * f64::from(args.horizon_days.min(args.days))
        / f64::from(args.days);
    let mut lines = vec![
        [
            "round",
            "rows/s",
            "full MiB",
            "bytes per live customer",
            "quiet MiB",
            "of the start",
        ]
        .map(str::to_owned),
    ];
    for round in 1..=args.rounds {
        let started = Instant::now();
        let base = feed.program.memory();
        at = feed.customers(args, at)?;
        let rate = f64::from(args.customers) / started.elapsed().as_secs_f64();
        let full = feed.settled(args.settle)?;
        at = feed.quiet(args, at)?;
        let quiet = feed.settled(args.settle)?;
        lines.push([
            round.to_string(),
            columns::rate(rate),
            (full >> 20).to_string(),
            format!("{:.0}", full.saturating_sub(base.min(before)) as f64 / live),
            (quiet >> 20).to_string(),
            format!("{:.1} x", quiet as f64 / before.max(1) as f64),
        ]);
    }
    let peak = feed.program.peak_memory();
    let (_, said) = feed.program.end(Duration::from_secs(300))?;
    let text = format!(
        "{} one-off customers a round over {} days, forgotten after {}, so {live:.0} live; {} MiB at the start, peak {} MiB\n\n{}\n\
         the program's account:\n{}\n",
        args.customers,
        args.days,
        args.horizon_days,
        before >> 20,
        peak >> 20,
        columns::align(&lines, 0..6),
        account(&said)
    );
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(Error::write("standard output".as_ref()))
}

// The allocator keeps what was freed until there is much to do again. Here it gives everything back at once, so that the memory that is
// seen is the memory that is held.
fn giving_back(line: CommandLine) -> CommandLine {
    CommandLine::new(["env", "MIMALLOC_PURGE_DELAY=0"]).with(line.0)
}

// The last lines of what the program says of itself.
fn account(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

struct Feed {
    program: Live,
    text: Vec<u8>,
    next_id: u64,
    next_customer: u32,
}

impl Feed {
    fn row(&mut self, customer: u32, ts: i64) -> Result<(), Error> {
        let event = Event {
            ts,
            id: self.next_id,
            customer,
            channel: (self.next_id % 6) as u8,
            kind: journey::CONTACT_OPENED,
            topic: (self.next_id % 40) as u8,
            sentiment_milli: None,
            csat: None,
            handle_cents: None,
        };
        self.next_id += 1;
        append_json_line(&event, &mut self.text);
        if self.text.len() > 32_768 {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let sent = self.program.send(&self.text);
        self.text.clear();
        sent
    }

    fn settled(&mut self, seconds: u64) -> Result<u64, Error> {
        self.flush()?;
        let mut before = self.program.memory();
        // What was sent may take a while to be worked off.
        for _ in 0..STEADY {
            thread::sleep(Duration::from_secs(seconds));
            let now = self.program.memory();
            if now.abs_diff(before) <= before / 100 {
                return Ok(now);
            }
            before = now;
        }
        Ok(before)
    }

    // Each customer opens one contact and is never seen again.
    fn customers(&mut self, args: &Args, from: i64) -> Result<i64, Error> {
        let span = i64::from(args.days) * DAY_MS;
        for n in 0..args.customers {
            let customer = self.next_customer;
            self.next_customer += 1;
            self.row(
                customer,
                from + i64::from(n) * span / i64::from(args.customers),
            )?;
        }
        Ok(from + span)
    }

    // Time passes by an hourly row of the clock, for the horizon, the lateness, and a day more.
    fn quiet(&mut self, args: &Args, from: i64) -> Result<i64, Error> {
        let until = from + (i64::from(args.horizon_days) + 1) * DAY_MS + 2 * HOUR_MS;
        let mut at = from;
        while at < until {
            self.row(CLOCK, at)?;
            at += HOUR_MS;
        }
        Ok(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_customer_comes_once_and_time_only_runs_on() {
        let mut feed = Feed {
            program: Live::start(CommandLine::new(["cat"])).unwrap(),
            text: Vec::new(),
            next_id: 1,
            next_customer: 1,
        };
        let args = clap_args(5_000);
        let at = feed.customers(&args, START_MS).unwrap();
        let end = feed.quiet(&args, at).unwrap();
        feed.flush().unwrap();
        assert_eq!(end, START_MS + 36 * DAY_MS + 2 * HOUR_MS);
        let (said, _) = feed.program.end(Duration::from_secs(10)).unwrap();
        let rows: Vec<serde_json::Value> = said
            .iter()
            .map(|s| serde_json::from_slice(&s.line).unwrap())
            .collect();
        assert!(rows.is_sorted_by_key(|row| row["ts"].as_i64().unwrap()));
        let customers: Vec<&str> = rows
            .iter()
            .map(|row| row["customer_id"].as_str().unwrap())
            .filter(|c| *c != "c0000000")
            .collect();
        assert_eq!(
            (
                customers.len(),
                customers.iter().collect::<HashSet<_>>().len()
            ),
            (5_000, 5_000)
        );
    }

    fn clap_args(customers: u32) -> Args {
        Args {
            dir: ".".into(),
            customers,
            days: 28,
            horizon_days: 7,
            rounds: 1,
            settle: 0,
            workers: 1,
            tidegate: Tidegate {
                program: "tidegate".into(),
                job: "job.toml".into(),
                more: Vec::new(),
            },
        }
    }
}
