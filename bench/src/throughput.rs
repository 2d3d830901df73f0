//! `throughput`: Tidegate alone, whole process, from each kind of input, at several numbers of workers, against the plain loop.

use std::{
    fs,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use clap::ValueEnum;

use crate::{
    columns,
    error::Error,
    generate::Size,
    peers::{Query, rows_of},
    process::{self, Measured},
    tidegate::{QUERIES, Source, Tidegate},
};

/// The arguments of `throughput`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tidegate-bench throughput --dir data/M
  tidegate-bench throughput --dir data/M --from stdin --workers 1 --queries all --repeat 3

CPU seconds are the sum over all threads; `of one` is the speed relative to the first number of workers given; `of loop` is the
speed relative to the plain loop over facts in memory on one thread (windows for q1, sessions for q2, both and more for all).")]
pub struct Args {
    /// A directory made by `generate`, with the formats to be read.
    #[arg(long)]
    pub dir: PathBuf,
    /// Inputs: the Parquet file, the JSON lines file, or JSON lines live on standard input.
    #[arg(long, value_delimiter = ',', default_values = ["parquet", "jsonl", "stdin"])]
    pub from: Vec<From>,
    /// Numbers of workers; the process is held to as many CPUs.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2])]
    pub workers: Vec<usize>,
    /// Queries to run; live, it is always all.
    #[arg(long, value_delimiter = ',', default_values = ["all"])]
    pub queries: Vec<Query>,
    /// Runs of each; the fastest counts.
    #[arg(long, default_value_t = 1)]
    pub repeat: u32,
    /// Seconds after which a run is stopped.
    #[arg(long, default_value_t = 600)]
    pub limit: u64,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub tidegate: Tidegate,
}

/// Where the rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum From {
    /// `replay` of the Parquet file.
    Parquet,
    /// `replay` of the JSON lines file.
    Jsonl,
    /// `run` from JSON lines on standard input.
    Stdin,
}

/// Runs Tidegate over everything asked for and prints a table.
///
/// # Errors
/// If a run fails.
pub fn run(args: &Args) -> Result<(), Error> {
    let rows = rows_of(&args.dir.join("events.parquet"))?;
    let answers = args.dir.join("answers-throughput");
    fs::create_dir_all(&answers).map_err(Error::write(&answers))?;
    let floor = crate::floor::rates(Size(rows), 1, 2);
    let header = [
        "from", "query", "workers", "rows/s", "CPU s", "peak MiB", "of one", "of loop",
    ];
    let mut lines = vec![header.map(str::to_owned)];
    for &from in &args.from {
        for &query in args
            .queries
            .iter()
            .filter(|query| from != From::Stdin || **query == Query::All)
        {
            let mut first = None;
            for &workers in &args.workers {
                eprintln!("{from:?} {} on {workers}", query.name());
                let measured = best(args, from, query, workers, &answers)?;
                let rate = rows as f64 / measured.wall.as_secs_f64();
                let plain = plain_loop(query)
                    .and_then(|name| floor.iter().find(|(n, _)| *n == name))
                    .map(|(_, rate)| *rate);
                lines.push([
                    format!("{from:?}").to_lowercase(),
                    query.name().to_owned(),
                    workers.to_string(),
                    columns::rate(rate),
                    format!("{:.1}", measured.cpu_seconds),
                    (measured.peak_rss >> 20).to_string(),
                    format!("{:.2}", rate / *first.get_or_insert(rate)),
                    plain.map_or(String::new(), |plain| format!("{:.2}", rate / plain)),
                ]);
            }
        }
    }
    let text = format!(
        "{rows} rows, whole processes\n\n{}",
        columns::align(&lines, 2..8)
    );
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(Error::write("standard output".as_ref()))
}

fn plain_loop(query: Query) -> Option<&'static str> {
    match query {
        Query::Q1 => Some("windows"),
        Query::Q2 => Some("sessions"),
        Query::All => Some("all"),
        Query::Q3 | Query::Q4 => None,
    }
}

fn best(
    args: &Args,
    from: From,
    query: Query,
    workers: usize,
    answers: &Path,
) -> Result<Measured, Error> {
    let only = (query != Query::All).then(|| query.name());
    let line = match from {
        From::Parquet => args
            .tidegate
            .replay(&args.dir, Source::Parquet, answers, workers, only),
        From::Jsonl => args
            .tidegate
            .replay(&args.dir, Source::Jsonl, answers, workers, only),
        From::Stdin => args
            .tidegate
            .live(&args.dir.join("limits.csv"), answers, workers),
    };
    let line = line.pinned(workers);
    let files = QUERIES.map(|query| answers.join(format!("{query}.parquet")));
    let mut best: Option<Measured> = None;
    for _ in 0..args.repeat.max(1) {
        let stdin = match from {
            From::Stdin => {
                let path = args.dir.join("events.jsonl");
                Stdio::from(File::open(&path).map_err(Error::read(&path))?)
            }
            From::Parquet | From::Jsonl => Stdio::null(),
        };
        process::without(&files)?;
        let measured = process::measure_reading(&line, stdin, Duration::from_secs(args.limit))?;
        if best.as_ref().is_none_or(|best| measured.wall < best.wall) {
            best = Some(measured);
        }
    }
    best.ok_or_else(|| Error::Asked("no run was asked for".to_owned()))
}
