//! `latency`: the time from a row to its intervention at an offered rate, open loop.
//!
//! Rows are due at fixed instants whatever the program does, and a row's clock starts when it was due, so a program that falls behind is
//! charged for the waiting it causes. An intervention names the row at which it happens. Of a row whose customer had another contact sent
//! afterwards that was not newer, one cannot say whether that late one caused the intervention, so such interventions are counted apart.

use std::{
    collections::{HashMap, HashSet},
    io::Write,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use crate::{
    error::Error,
    generate::{self, Size, append_json_line, arrival::Order, events::Event, journey},
    live::{Live, Said},
    tidegate::Tidegate,
};

/// The arguments of `latency`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tidegate-bench latency --dir data/S
  tidegate-bench latency --dir data/S --rate 50000 --seconds 60 --workers 2
  tidegate-bench latency --dir data/S --rate 20000 --seconds 30 --with --set --with job.tick=5ms")]
pub struct Args {
    /// A directory made by `generate`: its `limits.csv` is used, and answers are put there.
    #[arg(long)]
    pub dir: PathBuf,
    /// Rows offered a second.
    #[arg(long, default_value_t = 50_000)]
    pub rate: u64,
    /// For how long.
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// Seconds at the start that do not count.
    #[arg(long, default_value_t = 5)]
    pub warm_up: u64,
    /// Workers of the program.
    #[arg(long, default_value_t = 2)]
    pub workers: usize,
    /// The seed of the rows.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub tidegate: Tidegate,
}

/// The longest the writer sleeps: what a row may wait for it on an idle machine.
const NAP: Duration = Duration::from_micros(200);

/// Offers the rows and reports the latencies.
///
/// # Errors
/// If the program fails or sends no intervention.
pub fn run(args: &Args) -> Result<(), Error> {
    let total = args.rate * args.seconds;
    let rows = generate::rows(Size(total), args.seed, Order::Usual);
    let answers = args.dir.join("answers-latency");
    std::fs::create_dir_all(&answers).map_err(Error::write(&answers))?;
    let mut program = Live::start(args.tidegate.live(
        &args.dir.join("limits.csv"),
        &answers,
        args.workers,
    ))?;
    // The program's start-up is not a row's wait.
    thread::sleep(Duration::from_secs(2));
    let (sent, behind) = offer(&mut program, rows, args.rate)?;
    // What is on the way shall leave before the end of input closes windows.
    thread::sleep(Duration::from_secs(2));
    let (peak, cpu_before) = (
        program.peak_memory(),
        crate::process::cpu_seconds_of_children(),
    );
    let (said, _) = program.end(Duration::from_secs(300))?;
    let cpu = crate::process::cpu_seconds_of_children() - cpu_before;
    let found = sent.latencies(&said, Duration::from_secs(args.warm_up));
    if found.micros.is_empty() {
        return Err(Error::Asked(format!(
            "no intervention came out; {} lines did",
            said.len()
        )));
    }
    let head = format!(
        "{} rows offered at {}/s to {} workers; the writer was {:.1} ms behind at most; {cpu:.1} CPU s, peak {} MiB\n",
        total,
        args.rate,
        args.workers,
        behind.as_secs_f64() * 1e3,
        peak >> 20
    );
    std::io::stdout()
        .write_all((head + &found.report()).as_bytes())
        .map_err(Error::write("standard output".as_ref()))
}

/// When contacts were due, and which came after newer ones of their customer.
struct Sent {
    start: Instant,
    // By event id.
    due: HashMap<u64, (Duration, u32)>,
    // By customer: the newest contact's event time, and when contacts came that were not newer.
    newest: HashMap<u32, i64>,
    late: HashMap<u32, Vec<Duration>>,
}

impl Sent {
    fn note(&mut self, event: &Event, due: Duration) {
        if event.kind != journey::CONTACT_OPENED {
            return;
        }
        // A redelivery changes nothing, and the first delivery's clock counts.
        if self.due.contains_key(&event.id) {
            return;
        }
        self.due.insert(event.id, (due, event.customer));
        let newest = self.newest.entry(event.customer).or_insert(i64::MIN);
        if event.ts <= *newest {
            self.late.entry(event.customer).or_default().push(due);
        }
        *newest = event.ts.max(*newest);
    }

    fn latencies(&self, said: &[Said], warm_up: Duration) -> Found {
        let mut found = Found::default();
        let mut seen = HashSet::new();
        for said in said {
            let Some(id) = event_id(&said.line) else {
                found.other += 1;
                continue;
            };
            let Some((due, customer)) = self.due.get(&id).filter(|_| seen.insert(id)) else {
                found.again += 1;
                continue;
            };
            let out = said.at.duration_since(self.start);
            let unsure = self
                .late
                .get(customer)
                .is_some_and(|late| late.iter().any(|l| l > due && *l <= out));
            if unsure {
                found.unsure += 1;
            } else if *due >= warm_up {
                found
                    .micros
                    .push(u64::try_from(out.saturating_sub(*due).as_micros()).unwrap_or(u64::MAX));
            }
        }
        found.micros.sort_unstable();
        found
    }
}

/// What came out.
#[derive(Default)]
struct Found {
    // Sorted.
    micros: Vec<u64>,
    unsure: usize,
    again: usize,
    other: usize,
}

impl Found {
    fn quantile(&self, share: f64) -> f64 {
        let rank = (share * self.micros.len() as f64).ceil() as usize;
        self.micros
            .get(rank.clamp(1, self.micros.len()) - 1)
            .map_or(f64::NAN, |micros| *micros as f64 / 1e3)
    }

    fn report(&self) -> String {
        let [p50, p90, p99, p999, max] =
            [0.5, 0.9, 0.99, 0.999, 1.0].map(|share| self.quantile(share));
        format!(
            "event -> intervention, ms: p50 {p50:.2}  p90 {p90:.2}  p99 {p99:.2}  p99.9 {p999:.2}  max {max:.2}\n\
             {} interventions counted; apart: {} after a late contact, {} changed again, {} lines without an event id\n",
            self.micros.len(),
            self.unsure,
            self.again,
            self.other
        )
    }
}

fn offer(
    program: &mut Live,
    rows: impl Iterator<Item = Event>,
    rate: u64,
) -> Result<(Sent, Duration), Error> {
    let mut sent = Sent {
        start: Instant::now(),
        due: HashMap::new(),
        newest: HashMap::new(),
        late: HashMap::new(),
    };
    let due_of = |row: u64| Duration::from_nanos(row * 1_000_000_000 / rate);
    let mut rows = rows.peekable();
    let (mut row, mut text, mut behind) = (0, Vec::new(), Duration::ZERO);
    while rows.peek().is_some() {
        let now = sent.start.elapsed();
        behind = behind.max(now.saturating_sub(due_of(row)));
        text.clear();
        // At most a pipe's worth at a time, so that what could be read is not held back by what could not yet be written.
        while due_of(row) <= now && text.len() < 32_768 {
            let Some(event) = rows.next() else { break };
            sent.note(&event, due_of(row));
            append_json_line(&event, &mut text);
            row += 1;
        }
        if text.is_empty() {
            thread::sleep(
                due_of(row)
                    .saturating_sub(now)
                    .clamp(Duration::from_micros(50), NAP),
            );
        } else {
            program.send(&text)?;
        }
    }
    Ok((sent, behind))
}

// Lines are short and millions of them are possible elsewhere, but here they are few: a full parse will do.
fn event_id(line: &[u8]) -> Option<u64> {
    serde_json::from_slice::<serde_json::Value>(line)
        .ok()?
        .get("event_id")?
        .as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::CommandLine;

    #[test]
    fn a_program_that_echoes_answers_in_time() {
        let mut echo = Live::start(CommandLine::new([
            "grep",
            "--line-buffered",
            "contact_opened",
        ]))
        .unwrap();
        let rows: Vec<Event> = generate::rows(Size(4_000), 1, Order::Usual).collect();
        let contacts: HashSet<u64> = rows
            .iter()
            .filter(|e| e.kind == journey::CONTACT_OPENED)
            .map(|e| e.id)
            .collect();
        let (sent, _) = offer(&mut echo, rows.into_iter(), 20_000).unwrap();
        assert!(sent.start.elapsed() >= Duration::from_millis(199));
        let (said, _) = echo.end(Duration::from_secs(10)).unwrap();
        let found = sent.latencies(&said, Duration::ZERO);
        assert_eq!(found.micros.len() + found.unsure, contacts.len());
        assert!(found.quantile(0.5) < 1_000.0);
    }

    #[test]
    fn quantiles_are_of_the_sorted_latencies() {
        let found = Found {
            micros: (1..=1_000).collect(),
            ..Found::default()
        };
        assert_eq!(
            [
                found.quantile(0.5),
                found.quantile(0.99),
                found.quantile(1.0)
            ],
            [0.5, 0.99, 1.0]
        );
    }

    #[test]
    fn a_later_contact_that_is_not_newer_makes_it_unsure() {
        let start = Instant::now();
        let mut sent = Sent {
            start,
            due: HashMap::new(),
            newest: HashMap::new(),
            late: HashMap::new(),
        };
        let event = |id, ts, customer| Event {
            ts,
            id,
            customer,
            channel: 0,
            kind: journey::CONTACT_OPENED,
            topic: 0,
            sentiment_milli: None,
            csat: None,
            handle_cents: None,
        };
        sent.note(&event(1, 100, 7), Duration::from_millis(1));
        sent.note(&event(2, 90, 7), Duration::from_millis(5));
        sent.note(&event(3, 90, 8), Duration::from_millis(5));
        let said = |id, ms| Said {
            at: start + Duration::from_millis(ms),
            line: format!("{{\"event_id\":{id}}}").into_bytes(),
        };
        let found = sent.latencies(&[said(1, 6), said(3, 7), said(3, 9)], Duration::ZERO);
        assert_eq!(
            (found.micros.as_slice(), found.unsure, found.again),
            ([2_000].as_slice(), 1, 1)
        );
    }
}
