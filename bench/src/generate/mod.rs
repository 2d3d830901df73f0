//! `generate`: writes the workload that every engine is measured on, streaming, the same for the same seed.

pub mod arrival;
pub mod dice;
pub mod events;
pub mod journey;
mod jsonl;
mod limits;
mod parquet;

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, mpsc},
    thread,
    time::Instant,
};

use clap::ValueEnum;

use self::{
    arrival::{Arrivals, Order},
    events::{Event, Events},
};
use crate::error::Error;

pub use self::jsonl::append as append_json_line;

// Rows handed from the generator to the writers at a time.
const CHUNK: usize = 32_768;

/// The arguments of `generate`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tidegate-bench generate --size S --out data/S
  tidegate-bench generate --size M --out data/M --format parquet,jsonl
  tidegate-bench generate --size S --out data/S-shuffled --shuffle-seed 7")]
pub struct Args {
    /// S (1M rows), M (10M), L (50M), or a number of rows.
    #[arg(long)]
    pub size: Size,
    /// The directory for `events.parquet`, `events.jsonl` and `limits.csv`.
    #[arg(long)]
    pub out: PathBuf,
    /// The same seed gives the same files.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Formats to write the events in.
    #[arg(long, value_delimiter = ',', default_values = ["parquet"])]
    pub format: Vec<Format>,
    /// Another arrival order of the same rows, every row late by up to 1 h 55 min.
    #[arg(long)]
    pub shuffle_seed: Option<u64>,
    /// Rows in a row group of the Parquet file, 1,000,000 at most.
    #[arg(long, default_value_t = 250_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub row_group: u32,
}

/// How many rows to write, redeliveries included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        match text {
            "S" => Ok(Size(1_000_000)),
            "M" => Ok(Size(10_000_000)),
            "L" => Ok(Size(50_000_000)),
            _ => text
                .replace('_', "")
                .parse()
                .map(Size)
                .map_err(|_| "S, M, L or a number of rows".to_owned()),
        }
    }
}

/// A format to write the events in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Parquet, zstd level 1.
    Parquet,
    /// JSON lines.
    Jsonl,
}

/// The rows of a size and a seed in arrival order; 0.5% of them are redeliveries.
pub fn rows(size: Size, seed: u64, order: Order) -> impl Iterator<Item = Event> {
    let duplicates = size.0 / 200;
    let unique = size.0 - duplicates;
    Arrivals::new(Events::new(seed, unique), unique, duplicates, seed, order)
}

/// Writes the workload.
pub fn run(args: &Args) -> Result<(), Error> {
    fs::create_dir_all(&args.out).map_err(Error::write(&args.out))?;
    let started = Instant::now();
    limits::write(&args.out.join("limits.csv"))?;
    let order = args.shuffle_seed.map_or(Order::Usual, Order::Shuffled);
    write_events(args, rows(args.size, args.seed, order))?;
    let seconds = started.elapsed().as_secs_f64();
    eprintln!(
        "{} rows in {seconds:.1} s ({:.0} rows/s) to {}",
        args.size.0,
        args.size.0 as f64 / seconds,
        args.out.display()
    );
    Ok(())
}

type Chunks = mpsc::Receiver<Arc<Vec<Event>>>;

fn write_events(args: &Args, rows: impl Iterator<Item = Event>) -> Result<(), Error> {
    thread::scope(|scope| {
        let mut senders = Vec::new();
        let mut writers = Vec::new();
        for &format in &args.format {
            let (sender, chunks) = mpsc::sync_channel(4);
            senders.push(sender);
            writers.push(scope.spawn(move || write_format(args, format, &chunks)));
        }
        let mut chunk = Vec::with_capacity(CHUNK);
        // A writer that gave up has hung up; what it says is found when it is joined.
        let send = |chunk: Vec<Event>| {
            let chunk = Arc::new(chunk);
            senders.iter().all(|s| s.send(Arc::clone(&chunk)).is_ok())
        };
        for event in rows {
            chunk.push(event);
            if chunk.len() == CHUNK
                && !send(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK)))
            {
                break;
            }
        }
        send(chunk);
        drop(senders);
        writers
            .into_iter()
            .try_for_each(|writer| match writer.join() {
                Ok(outcome) => outcome,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })
}

fn write_format(args: &Args, format: Format, chunks: &Chunks) -> Result<(), Error> {
    match format {
        Format::Parquet => parquet::write(&args.out.join("events.parquet"), args.row_group, chunks),
        Format::Jsonl => jsonl::write(&args.out.join("events.jsonl"), chunks),
    }
}

// A data set that is cut short must not look like one: it gets its name when it is whole.
fn under_another_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!("M".parse(), Ok(Size(10_000_000)));
        assert_eq!("20_000".parse(), Ok(Size(20_000)));
        assert!("many".parse::<Size>().is_err());
    }

    #[test]
    fn both_formats_hold_all_rows_in_the_same_order() {
        let dir = tempfile::tempdir().unwrap();
        let args = Args {
            size: Size(20_000),
            out: dir.path().to_owned(),
            seed: 3,
            format: vec![Format::Parquet, Format::Jsonl],
            shuffle_seed: None,
            row_group: 7_000,
        };
        run(&args).unwrap();
        let from_json: Vec<u64> = fs::read_to_string(dir.path().join("events.jsonl"))
            .unwrap()
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["event_id"]
                    .as_u64()
                    .unwrap()
            })
            .collect();
        let from_parquet = parquet::tests::ids(&dir.path().join("events.parquet"));
        let made: Vec<u64> = rows(args.size, args.seed, Order::Usual)
            .map(|e| e.id)
            .collect();
        assert_eq!(made.len(), 20_000);
        assert_eq!(from_json, made);
        assert_eq!(from_parquet, made);
        assert_eq!(
            fs::read_to_string(dir.path().join("limits.csv"))
                .unwrap()
                .lines()
                .count(),
            13
        );
    }
}
