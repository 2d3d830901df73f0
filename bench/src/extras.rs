//! `extras`: what monitors, patterns and predictions cost beside the workload's job, in turns with that job alone.

use std::{fs, io::Write, path::Path, path::PathBuf, time::Duration};

use crate::{
    columns,
    error::Error,
    generate::{events::CUSTOMERS, journey::KINDS},
    peers::rows_of,
    process::{self, Measured},
    tidegate::{QUERIES, Source, Tidegate},
};

/// The arguments of `extras`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tidegate-bench extras --dir data/M
  tidegate-bench extras --dir data/M --only monitors --repeat 5

`more` is the wall time beyond that of the workload alone, as a share of that and by row; `bytes/customer` is the peak memory beyond
that of the workload alone, over the 500,000 customers there are: for the monitors, which keep nothing by customer, it is left out.")]
pub struct Args {
    /// A directory made by `generate`, with `events.parquet`; jobs and answers are put there.
    #[arg(long)]
    pub dir: PathBuf,
    /// Only some of: monitors, patterns, prediction.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// The number of workers; the process is held to as many CPUs.
    #[arg(long, default_value_t = 2)]
    pub workers: usize,
    /// Runs of each, in turns; the fastest counts.
    #[arg(long, default_value_t = 3)]
    pub repeat: u32,
    /// Seconds after which a run is stopped.
    #[arg(long, default_value_t = 600)]
    pub limit: u64,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub tidegate: Tidegate,
}

/// Something that is added to the workload's job.
struct Extra {
    name: &'static str,
    what: &'static str,
    /// Tables of a job file, in which `{answers}` stands for the folder of the answers.
    blocks: String,
    by_customer: bool,
}

/// Nothing, and all that can be added.
fn extras() -> [Extra; 4] {
    let extra = |name, what, blocks, by_customer| Extra {
        name,
        what,
        blocks,
        by_customer,
    };
    let monitors = include_str!("../extras/monitors.toml").to_owned();
    let journey = include_str!("../extras/journey.toml").to_owned();
    let columns = "10 columns, in all and in 40 topics";
    [
        extra("alone", "the workload", String::new(), false),
        extra("monitors", columns, monitors, false),
        extra("patterns", "20 of two steps", patterns(), true),
        extra("prediction", "of the next kind, order 2", journey, true),
    ]
}

/// Twenty patterns: each kind followed by each of two others.
fn patterns() -> String {
    let pattern = |number: usize| {
        let (first, round) = (number % KINDS.len(), number / KINDS.len());
        let then = (first + 1 + 2 * round) % KINDS.len();
        include_str!("../extras/pattern.toml")
            .replace("{name}", &format!("p{number:02}"))
            .replace("{within}", ["30m", "2h"][round])
            .replace("{first}", KINDS[first])
            .replace("{then}", KINDS[then])
    };
    (0..2 * KINDS.len()).map(pattern).collect()
}

/// Runs the job with and without each and prints a table.
///
/// # Errors
/// If a run fails.
pub fn run(args: &Args) -> Result<(), Error> {
    let rows = rows_of(&args.dir.join("events.parquet"))?;
    let answers = args.dir.join("answers-extras");
    fs::create_dir_all(&answers).map_err(Error::write(&answers))?;
    let extras = extras();
    if let Some(name) = (args.only.iter()).find(|name| extras.iter().all(|e| e.name != **name)) {
        return Err(Error::Asked(format!(
            "there is no `{name}`: give monitors, patterns or prediction"
        )));
    }
    let asked =
        |extra: &Extra| extra.blocks.is_empty() || args.only.is_empty() || is_in(extra, args);
    let extras: Vec<Extra> = extras.into_iter().filter(asked).collect();
    let mut best: Vec<Option<Measured>> = vec![None; extras.len()];
    for round in 1..=args.repeat.max(1) {
        for (extra, best) in extras.iter().zip(&mut best) {
            eprintln!("{} ({round})", extra.name);
            let measured = measure(args, extra, &answers)?;
            if best.as_ref().is_none_or(|best| measured.wall < best.wall) {
                *best = Some(measured);
            }
        }
    }
    let best: Vec<Measured> = best.into_iter().flatten().collect();
    let text = format!(
        "{rows} rows, {} workers, whole processes, the fastest of {}\n\n{}",
        args.workers,
        args.repeat.max(1),
        columns::align(&table(&extras, &best, rows), 2..8)
    );
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(Error::write("standard output".as_ref()))
}

fn is_in(extra: &Extra, args: &Args) -> bool {
    args.only.iter().any(|name| name == extra.name)
}

fn measure(args: &Args, extra: &Extra, answers: &Path) -> Result<Measured, Error> {
    let base = &args.tidegate.job;
    let blocks = extra
        .blocks
        .replace("{answers}", &answers.display().to_string());
    let text = fs::read_to_string(base).map_err(Error::read(base))? + "\n" + &blocks;
    let job = answers.join(format!("{}.toml", extra.name));
    fs::write(&job, text).map_err(Error::write(&job))?;
    let program = Tidegate {
        job,
        ..args.tidegate.clone()
    };
    let line = program.replay(&args.dir, Source::Parquet, answers, args.workers, None);
    let added = blocks.lines().filter_map(|line| {
        let path = line.strip_prefix("path = \"")?.strip_suffix('"')?;
        Some(PathBuf::from(path))
    });
    let files = QUERIES.map(|query| answers.join(format!("{query}.parquet")));
    process::without(&added.chain(files).collect::<Vec<_>>())?;
    process::measure(&line.pinned(args.workers), Duration::from_secs(args.limit))
}

fn table(extras: &[Extra], best: &[Measured], rows: u64) -> Vec<[String; 8]> {
    let header = [
        "with",
        "that is",
        "s",
        "CPU s",
        "more s",
        "more",
        "ns/row",
        "bytes/customer",
    ];
    let mut lines = vec![header.map(str::to_owned)];
    let alone = &best[0];
    for (extra, measured) in extras.iter().zip(best) {
        let seconds = measured.wall.as_secs_f64();
        let more = seconds - alone.wall.as_secs_f64();
        let memory = measured.peak_rss.saturating_sub(alone.peak_rss);
        let added = |text: String| match extra.blocks.is_empty() {
            true => String::new(),
            false => text,
        };
        lines.push([
            extra.name.to_owned(),
            extra.what.to_owned(),
            format!("{seconds:.2}"),
            format!("{:.2}", measured.cpu_seconds),
            added(format!("{more:.2}")),
            added(format!("{:.0}%", more / alone.wall.as_secs_f64() * 100.0)),
            added(format!("{:.0}", more * 1e9 / rows as f64)),
            match extra.by_customer {
                true => (memory / u64::from(CUSTOMERS)).to_string(),
                false => String::new(),
            },
        ]);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_patterns_are_all_different() {
        let text = patterns();
        let mut tables: Vec<&str> = text.split("\n[pattern.").skip(1).collect();
        assert_eq!(tables.len(), 20);
        assert!(!text.replace("{answers}", "").contains("= \"{"));
        let body = |table: &str| table.split_once('\n').map(|(_, body)| body.to_owned());
        tables.sort_by_key(|table| body(table));
        tables.dedup_by_key(|table| {
            body(table).and_then(|body| Some(body.split_once("[sink")?.0.to_owned()))
        });
        assert_eq!(tables.len(), 20);
    }
}
