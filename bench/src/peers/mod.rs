//! `peers`: the same queries over the same files by Tidegate, DuckDB, Polars and a plain loop, each a whole process on as many CPUs.

mod entrants;
mod table;
mod venv;

use std::{
    fs,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use parquet::file::reader::{FileReader, SerializedFileReader};

pub use self::entrants::{Peer, Query};
use self::{
    table::{Cell, Check, Run, ratios, render},
    venv::Venv,
};
use crate::{
    error::Error,
    process::{self, CommandLine, Measured},
    tidegate::{Source, Tidegate},
};

/// The arguments of `peers`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tidegate-bench peers --dir data/S --check
  tidegate-bench peers --dir data/M --threads 2 --queries q1,all --peers duckdb,tidegate --repeat 3
  tidegate-bench peers --dir data/S --peers duckdb,oracle --threads 1 --check

The first run makes a Python environment for DuckDB and Polars. Where a peer has several formulations of a query, all are run; two are
shown: the fastest, and the usual one, as its users write it. Answers stay in DIR/answers-ENGINE.")]
pub struct Args {
    /// A directory made by `generate`.
    #[arg(long)]
    pub dir: PathBuf,
    /// Engines to run.
    #[arg(long, value_delimiter = ',', default_values = ["duckdb", "polars", "floor", "tidegate"])]
    pub peers: Vec<Peer>,
    /// Numbers of threads (and CPUs).
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2])]
    pub threads: Vec<usize>,
    /// Queries to run.
    #[arg(long, value_delimiter = ',', default_values = ["q1", "q2", "q3", "q4", "all"])]
    pub queries: Vec<Query>,
    /// Runs of each; the fastest counts.
    #[arg(long, default_value_t = 1)]
    pub repeat: u32,
    /// Compare all answers with DuckDB's: integers exactly, floats to 1e-9 relative.
    #[arg(long)]
    pub check: bool,
    /// Show every formulation, not the fastest and the usual one alone.
    #[arg(long)]
    pub forms: bool,
    /// Where the Python environment is or shall be [default: `.venv` beside DIR].
    #[arg(long)]
    pub venv: Option<PathBuf>,
    /// Seconds after which a run is stopped.
    #[arg(long, default_value_t = 600)]
    pub limit: u64,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub tidegate: Tidegate,
}

/// Runs the peers and prints the table.
///
/// # Errors
/// If a peer fails or, with `--check`, if answers differ: after the table.
pub fn run(args: &Args) -> Result<(), Error> {
    let rows = rows_of(&args.dir.join("events.parquet"))?;
    let venv_dir = args
        .venv
        .clone()
        .unwrap_or_else(|| args.dir.join("../.venv"));
    let bench = Bench {
        args,
        rows,
        venv: Venv::ready(&venv_dir)?,
    };
    let mut cells = Vec::new();
    for &query in &args.queries {
        for &threads in &args.threads {
            for peer in bench.peers_in_order() {
                cells.extend(bench.cells(query, threads, peer));
            }
        }
    }
    let title = format!(
        "{rows} rows, whole processes, Parquet in, Parquet out; {}\n\n",
        bench.venv.versions
    );
    let text = title + &render(&cells, rows) + "\n" + &ratios(&cells, rows);
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(Error::write("standard output".as_ref()))?;
    verdict(&cells)
}

fn verdict(cells: &[Cell]) -> Result<(), Error> {
    let name = |cell: &Cell| {
        format!(
            "{} {} at {} threads",
            cell.peer.name(),
            cell.query.name(),
            cell.threads
        )
    };
    let failed: Vec<String> = cells
        .iter()
        .filter_map(|cell| match &cell.run {
            Run::Failed(why) => Some(format!("{}: {why}", name(cell))),
            _ => None,
        })
        .collect();
    if !failed.is_empty() {
        return Err(Error::Asked(failed.join("\n")));
    }
    let differ: Vec<String> = cells
        .iter()
        .filter(|cell| matches!(cell.check, Check::Differ))
        .map(name)
        .collect();
    if differ.is_empty() {
        Ok(())
    } else {
        Err(Error::Differs(format!(
            "answers differ: {}",
            differ.join(", ")
        )))
    }
}

struct Bench<'a> {
    args: &'a Args,
    rows: u64,
    venv: Venv,
}

impl Bench<'_> {
    // The reference goes first.
    fn peers_in_order(&self) -> Vec<Peer> {
        let mut peers = self.args.peers.clone();
        peers.sort_by_key(|peer| *peer != Peer::Duckdb);
        peers
    }

    // The fastest formulation first, then the usual one; or all, if they are asked for or one of them went wrong.
    fn cells(&self, query: Query, threads: usize, peer: Peer) -> Vec<Cell> {
        let run = |form: &&'static str| self.cell(query, threads, peer, form);
        let mut cells: Vec<Cell> = peer.forms(query, threads).iter().map(run).collect();
        let rate = |cell: &Cell| cell.rate(self.rows).unwrap_or(0.0);
        cells.sort_by(|a, b| rate(b).total_cmp(&rate(a)));
        let wrong =
            |cell: &Cell| matches!(cell.check, Check::Differ) || matches!(cell.run, Run::Failed(_));
        if !self.args.forms && !cells.iter().any(wrong) {
            let usual = peer.usual_form(query, threads);
            let mut first = true;
            cells.retain(|cell| std::mem::take(&mut first) || Some(cell.form) == usual);
        }
        cells
    }

    fn cell(&self, query: Query, threads: usize, peer: Peer, form: &'static str) -> Cell {
        eprintln!("{} {} {form} on {threads}", query.name(), peer.name());
        let first_form = peer.forms(query, threads).first() == Some(&form);
        let answers = self.answers_dir(peer, if first_form { "" } else { form });
        let outcome = match peer {
            Peer::Floor => self.plain_loop(form),
            _ => {
                let line = self.line(query, threads, peer, form, &answers);
                let left = peer.answers(query).split(',');
                let left = left.map(|query| answers.join(format!("{query}.parquet")));
                self.best(&line, &left.collect::<Vec<_>>())
            }
        };
        let (run, check) = match outcome {
            Ok(run) => (run, self.check(peer, query, &answers)),
            Err(error) => (Run::Failed(error.to_string()), Check::No),
        };
        Cell {
            query,
            threads,
            peer,
            form,
            run,
            check,
        }
    }

    fn answers_dir(&self, peer: Peer, form: &str) -> PathBuf {
        let suffix = if form.is_empty() {
            String::new()
        } else {
            format!("-{form}")
        };
        self.args
            .dir
            .join(format!("answers-{}{suffix}", peer.name()))
    }

    fn line(
        &self,
        query: Query,
        threads: usize,
        peer: Peer,
        form: &str,
        answers: &Path,
    ) -> CommandLine {
        let script = match peer {
            Peer::Duckdb => "duckdb_peer.py",
            Peer::Polars => "polars_peer.py",
            Peer::Oracle | Peer::Floor => "oracle.py",
            Peer::Tidegate => {
                let only = (query != Query::All).then(|| query.name());
                return self
                    .args
                    .tidegate
                    .replay(&self.args.dir, Source::Parquet, answers, threads, only)
                    .pinned(threads);
            }
        };
        let (data, answers, threads_text) = (
            self.args.dir.display(),
            answers.display(),
            threads.to_string(),
        );
        self.venv
            .script(script)
            .with([
                format!("--data={data}"),
                format!("--answers={answers}"),
                format!("--query={}", query.name()),
            ])
            .with([
                format!("--form={form}"),
                format!("--threads={threads_text}"),
            ])
            .pinned(threads)
    }

    /// The best of some runs, each without the answers of those before: to replace them takes time that tells nothing.
    fn best(&self, line: &CommandLine, answers: &[PathBuf]) -> Result<Run, Error> {
        if let Some(dir) = answers.first().and_then(|answer| answer.parent()) {
            fs::create_dir_all(dir).map_err(Error::write(dir))?;
        }
        let limit = Duration::from_secs(self.args.limit);
        let mut best: Option<Measured> = None;
        for _ in 0..self.args.repeat.max(1) {
            process::without(answers)?;
            let measured = process::measure(line, limit)?;
            if best.as_ref().is_none_or(|best| measured.wall < best.wall) {
                best = Some(measured);
            }
        }
        let best = best.ok_or_else(|| Error::Asked("no run was asked for".to_owned()))?;
        let own = own_work(&best.stdout);
        Ok(Run::Whole(best, own))
    }

    fn plain_loop(&self, name: &str) -> Result<Run, Error> {
        let program = std::env::current_exe().map_err(|source| Error::Start {
            command: "floor".to_owned(),
            source,
        })?;
        let line = CommandLine::new([program.display().to_string()])
            .with([
                "floor".to_owned(),
                "--json".to_owned(),
                format!("--size={}", self.rows),
            ])
            .pinned(1);
        let said = process::measure(&line, Duration::from_secs(self.args.limit))?.stdout;
        let figures: serde_json::Value =
            serde_json::from_str(&said).map_err(|error| line.failed(error, &said))?;
        figures[name]
            .as_f64()
            .map(Run::Loop)
            .ok_or_else(|| line.failed("no such figure", &said))
    }

    fn check(&self, peer: Peer, query: Query, answers: &Path) -> Check {
        let reference = self.answers_dir(Peer::Duckdb, "");
        if !self.args.check || peer == Peer::Floor {
            return Check::No;
        }
        if reference == answers {
            return Check::Reference;
        }
        let directories = [reference, answers.to_owned()].map(|dir| dir.display().to_string());
        let line = self
            .venv
            .script("compare.py")
            .with(directories)
            .with(["--queries", peer.answers(query)]);
        match process::measure(&line, Duration::from_secs(self.args.limit)) {
            Ok(_) => Check::Equal,
            Err(error) => {
                eprintln!("{error}");
                Check::Differ
            }
        }
    }
}

// The scripts say what part of the time was the engine's own work.
fn own_work(stdout: &str) -> Option<f64> {
    let line = stdout.lines().rev().find(|line| line.starts_with('{'))?;
    serde_json::from_str::<serde_json::Value>(line).ok()?["work_seconds"].as_f64()
}

/// How many rows a Parquet file holds.
pub(crate) fn rows_of(path: &Path) -> Result<u64, Error> {
    let file = File::open(path).map_err(Error::read(path))?;
    let reader = SerializedFileReader::new(file).map_err(Error::read(path))?;
    Ok(u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_work_is_the_last_line_of_json() {
        assert_eq!(own_work("hello\n{\"work_seconds\": 1.5}\n"), Some(1.5));
        assert_eq!(own_work("hello\n"), None);
    }
}
