//! `threshold`: the time from a changed threshold to the last episode that it opens or closes.
//!
//! Customers come to life on standard input over some hours of event time, each with one contact, half of them with a second one, each
//! tenth with a third and each hundredth with a fourth. All of them look up the same threshold; then that changes in a followed changelog. Each change
//! must reach exactly the customers whose verdict it alters, and nobody else may say a word.

use std::{
    collections::HashMap,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
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
    live::{Live, Said},
    process::CommandLine,
};

/// The arguments of `threshold`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tidegate-bench threshold --dir data/S
  tidegate-bench threshold --dir data/S --customers 100000 --workers 1
  tidegate-bench threshold --dir data/S --mode upserts

`last line` is the time from the instant before the change is written until the last line it causes has been read.")]
pub struct Args {
    /// Where the job file and the changelog are put.
    #[arg(long)]
    pub dir: PathBuf,
    /// How many customers live.
    #[arg(long, default_value_t = 1_000_000)]
    pub customers: u32,
    /// Hours of event time over which they come; the job's lateness is one.
    #[arg(long, default_value_t = 2)]
    pub hours: u32,
    /// How many seconds of event time before the newest row a change holds.
    #[arg(long, default_value_t = 1)]
    pub behind: u32,
    /// Seconds to wait for what a change causes, and for what it must not cause.
    #[arg(long, default_value_t = 4)]
    pub patience: u64,
    /// Workers of the program.
    #[arg(long, default_value_t = 2)]
    pub workers: usize,
    /// How the program writes episodes.
    #[arg(long, value_enum, default_value_t = Mode::Changes)]
    pub mode: Mode,
    /// The program.
    #[arg(
        long = "tidegate",
        value_name = "PROGRAM",
        default_value = "target/release/tidegate"
    )]
    pub program: PathBuf,
    /// More arguments for the program.
    #[arg(long = "with", value_name = "ARGUMENT", allow_hyphen_values = true)]
    pub more: Vec<String>,
}

/// A mode of the sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// An episode that closes is taken back and comes again with its end: two lines.
    Changes,
    /// The new version of an episode is one line.
    Upserts,
}

const JOB: &str = include_str!("../assets/threshold.toml");
const TOPIC: u8 = 7;
const OTHER_TOPIC: u8 = 8;
/// The contacts of one more customer who comes last: above every threshold, so that its episode opens as it comes and stays.
const SIGN: u32 = 10;
const HOUR_MS: i64 = 3_600_000;
/// A line has fewer bytes.
const LINE: usize = 320;
/// How long nothing must be said before all customers count as living.
const QUIET: Duration = Duration::from_secs(3);

/// A change: whose threshold, and to what.
struct Change {
    what: &'static str,
    topic: u8,
    contacts: u32,
    /// The lines that each customer says of whom this is true, in mode `changes`.
    lines: usize,
    concerns: fn(u32) -> bool,
}

impl Change {
    fn lines(&self, mode: Mode) -> usize {
        match mode {
            Mode::Changes => self.lines,
            Mode::Upserts => self.lines.min(1),
        }
    }
}

/// In this order; at the start the threshold is 9.
const CHANGES: [Change; 7] = [
    Change {
        what: "9 -> 4 opens 1%",
        topic: TOPIC,
        contacts: 4,
        lines: 1,
        concerns: |contacts| contacts == 4,
    },
    Change {
        what: "4 -> 3 opens 9%",
        topic: TOPIC,
        contacts: 3,
        lines: 1,
        concerns: |contacts| contacts == 3,
    },
    Change {
        what: "3 -> 2 opens 50%",
        topic: TOPIC,
        contacts: 2,
        lines: 1,
        concerns: |contacts| contacts == 2,
    },
    Change {
        what: "of another topic",
        topic: OTHER_TOPIC,
        contacts: 1,
        lines: 0,
        concerns: |_| false,
    },
    Change {
        what: "2 -> 3 closes 50%",
        topic: TOPIC,
        contacts: 3,
        lines: 2,
        concerns: |contacts| contacts == 2,
    },
    Change {
        what: "3 -> 4 closes 9%",
        topic: TOPIC,
        contacts: 4,
        lines: 2,
        concerns: |contacts| contacts == 3,
    },
    Change {
        what: "4 -> 9 closes 1%",
        topic: TOPIC,
        contacts: 9,
        lines: 2,
        concerns: |contacts| contacts == 4,
    },
];

impl Args {
    /// When a customer's first contact is.
    fn comes_at(&self, customer: u32) -> i64 {
        let span = i64::from(self.hours) * HOUR_MS;
        START_MS + i64::from(customer) * span / i64::from(self.customers)
    }

    /// The moment of the first change.
    fn change_at(&self) -> i64 {
        START_MS + i64::from(self.hours) * HOUR_MS - i64::from(self.behind) * 1_000
    }

    /// About as many bytes as the program will say: six customers of ten open an episode, and close it with two lines.
    fn room(&self) -> usize {
        self.customers as usize * 2 * LINE
    }

    /// How many contacts a customer has. Those who come while thresholds change have one, so that nobody has an episode that a
    /// change makes begin at another time.
    fn contacts_of(&self, customer: u32) -> u32 {
        match customer {
            _ if self.comes_at(customer) + 1_000 > self.change_at() => 1,
            _ if customer.is_multiple_of(100) => 4,
            _ if customer.is_multiple_of(10) => 3,
            _ if customer % 2 == 1 => 2,
            _ => 1,
        }
    }
}

/// Changes the thresholds and reports how long that took.
///
/// # Errors
/// If the program fails, or others answered than should have.
pub fn run(args: &Args) -> Result<(), Error> {
    std::fs::create_dir_all(&args.dir).map_err(Error::write(&args.dir))?;
    let (job, limits) = (
        args.dir.join("threshold.toml"),
        args.dir.join("threshold-limits.csv"),
    );
    let text = JOB.replace("{limits}", &limits.display().to_string());
    let text = text.replace(
        "{mode}",
        match args.mode {
            Mode::Changes => "changes",
            Mode::Upserts => "upserts",
        },
    );
    std::fs::write(&job, text).map_err(Error::write(&job))?;
    let mut changelog = File::create(&limits).map_err(Error::write(&limits))?;
    let mut write = |text: String| {
        changelog
            .write_all(text.as_bytes())
            .map_err(Error::write(&limits))
    };
    write("ts,segment,contacts\n".to_owned() + &version(START_MS - 1, TOPIC, 9))?;
    let mut program = Live::start_with_room(command(args, &job), args.room())?;
    let rows = bring_to_life(&mut program, args)?;
    let memory = program.memory();
    let mut starts = Vec::new();
    for (number, change) in CHANGES.iter().enumerate() {
        let at = args.change_at() + number as i64;
        starts.push(Instant::now());
        write(version(at, change.topic, change.contacts))?;
        thread::sleep(Duration::from_secs(args.patience));
    }
    let peak = program.peak_memory();
    let said = program.stop(Duration::from_secs(300))?;
    let mut lines = vec![
        [
            "change",
            "customers",
            "lines",
            "first line ms",
            "last line ms",
        ]
        .map(str::to_owned),
    ];
    for (number, change) in CHANGES.iter().enumerate() {
        let until = starts.get(number + 1).copied();
        let after = said.iter().skip_while(|said| said.at < starts[number]);
        let mine: Vec<&Said> = after
            .take_while(|said| until.is_none_or(|until| said.at < until))
            .collect();
        check(change, &mine, args)?;
        let since = |said: Option<&&Said>| {
            said.map_or("-".to_owned(), |said| {
                format!("{:.1}", (said.at - starts[number]).as_secs_f64() * 1e3)
            })
        };
        lines.push([
            change.what.to_owned(),
            (mine.len() / change.lines(args.mode).max(1)).to_string(),
            mine.len().to_string(),
            since(mine.first()),
            since(mine.last()),
        ]);
    }
    let text = format!(
        "{} customers live after {rows} rows in {} workers; {} MiB, peak {} MiB\n\n{}",
        args.customers,
        args.workers,
        memory >> 20,
        peak >> 20,
        columns::align(&lines, 1..5)
    );
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(Error::write("standard output".as_ref()))
}

fn command(args: &Args, job: &Path) -> CommandLine {
    CommandLine::new([
        args.program.display().to_string(),
        "run".to_owned(),
        job.display().to_string(),
        "--workers".to_owned(),
        args.workers.to_string(),
    ])
    .with(args.more.clone())
}

/// A row of the changelog.
fn version(at: i64, topic: u8, contacts: u32) -> String {
    format!("{at},t{topic:02},{contacts}\n")
}

/// Lets all customers come and waits until they have been worked off, which the last one shows by an episode of its own. Answers how
/// many rows there were.
fn bring_to_life(program: &mut Live, args: &Args) -> Result<u64, Error> {
    let (mut id, mut text) = (0, Vec::new());
    let mut row = |customer: u32, ts: i64, text: &mut Vec<u8>| {
        id += 1;
        let event = Event {
            ts,
            id,
            customer,
            channel: (customer % 6) as u8,
            kind: journey::CONTACT_OPENED,
            topic: TOPIC,
            sentiment_milli: None,
            csat: None,
            handle_cents: None,
        };
        append_json_line(&event, text);
    };
    for customer in 0..args.customers {
        let ts = args.comes_at(customer);
        (0..args.contacts_of(customer))
            .for_each(|nth| row(customer, ts + i64::from(nth), &mut text));
        if text.len() > 32_768 {
            program.send(&text)?;
            text.clear();
        }
    }
    (0..SIGN).for_each(|nth| {
        row(
            args.customers,
            args.change_at() - HOUR_MS / 2 + i64::from(nth),
            &mut text,
        )
    });
    program.send(&text)?;
    let asked = Instant::now();
    while program.heard() == 0 {
        if asked.elapsed() > Duration::from_secs(300) {
            return Err(Error::Asked(
                "the customers have not come to life within 300 s: no episode of the last one came out".to_owned(),
            ));
        }
        thread::sleep(Duration::from_millis(50));
    }
    thread::sleep(QUIET);
    Ok(id)
}

/// Whether exactly the customers whom the change concerns answered, each as often as it should.
fn check(change: &Change, said: &[&Said], args: &Args) -> Result<(), Error> {
    let mut lines: HashMap<&[u8], usize> = HashMap::new();
    for said in said {
        *lines.entry(customer_in(&said.line)?).or_default() += 1;
    }
    let fail = |customer: &[u8], lines: usize, expected: usize| {
        let customer = String::from_utf8_lossy(customer);
        let what = change.what;
        Err(Error::Differs(format!(
            "the change {what}: customer {customer} said {lines} lines instead of {expected}"
        )))
    };
    for customer in (0..args.customers).filter(|c| (change.concerns)(args.contacts_of(*c))) {
        let name = format!("c{customer:07}");
        let lines = lines.remove(name.as_bytes()).unwrap_or(0);
        if lines != change.lines(args.mode) {
            return fail(name.as_bytes(), lines, change.lines(args.mode));
        }
    }
    match lines.into_iter().next() {
        Some((customer, lines)) => fail(customer, lines, 0),
        None => Ok(()),
    }
}

/// The customer's name in a line of JSON.
fn customer_in(line: &[u8]) -> Result<&[u8], Error> {
    const BEFORE: &[u8] = b"\"customer_id\":\"";
    let start = line.windows(BEFORE.len()).position(|part| part == BEFORE);
    let name = start.map(|start| &line[start + BEFORE.len()..]);
    let length = name.and_then(|name| name.iter().position(|byte| *byte == b'"'));
    match (name, length) {
        (Some(name), Some(length)) => Ok(&name[..length]),
        _ => Err(Error::Differs(format!(
            "a line without a customer: {}",
            String::from_utf8_lossy(line)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[&str]) -> Vec<Said> {
        let at = Instant::now();
        let line = |line: &&str| Said {
            at,
            line: format!("{{\"customer_id\":\"{line}\",\"fired_at\":1}}").into_bytes(),
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn exactly_the_concerned_must_answer() {
        let args = Args {
            dir: ".".into(),
            customers: 200,
            hours: 2,
            behind: 1,
            patience: 1,
            workers: 1,
            mode: Mode::Changes,
            program: "tidegate".into(),
            more: Vec::new(),
        };
        let checked = |lines: &[&str]| {
            let said = said(lines);
            check(&CHANGES[0], &said.iter().collect::<Vec<_>>(), &args)
        };
        assert!(checked(&["c0000000", "c0000100"]).is_ok());
        assert!(checked(&["c0000000"]).is_err());
        assert!(checked(&["c0000000", "c0000100", "c0000100"]).is_err());
        let error = checked(&["c0000000", "c0000100", "c0000007"]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("c0000007 said 1 lines instead of 0"),
            "{error}"
        );
    }

    #[test]
    fn the_changelog_has_the_columns_of_the_job() {
        assert_eq!(version(5, 7, 3), "5,t07,3\n");
    }
}
