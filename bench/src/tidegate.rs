//! The one place that knows how the `tidegate` program is called.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

use crate::process::CommandLine;

/// Which program and which job to measure.
#[derive(clap::Args, Clone, Debug)]
pub struct Tidegate {
    /// The program.
    #[arg(
        long = "tidegate",
        value_name = "PROGRAM",
        default_value = "target/release/tidegate"
    )]
    pub program: PathBuf,
    /// The job file of the workload.
    #[arg(long, default_value = "jobs/catalog/workload.toml")]
    pub job: PathBuf,
    /// More arguments for the program, such as `--set job.tick=5ms`.
    #[arg(long = "with", value_name = "ARGUMENT", allow_hyphen_values = true)]
    pub more: Vec<String>,
}

/// Which of the files of a data set to read.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// `events.parquet`, as the job file has it.
    Parquet,
    /// `events.jsonl`.
    Jsonl,
}

/// The sinks of the workload's job.
pub const QUERIES: [&str; 4] = ["q1", "q2", "q3", "q4"];

impl Tidegate {
    /// `tidegate replay` over the files of `data`, answers as Parquet into `answers`: one query, or all as one job.
    pub fn replay(
        &self,
        data: &Path,
        source: Source,
        answers: &Path,
        workers: usize,
        query: Option<&str>,
    ) -> CommandLine {
        let mut line = self.start("replay", workers);
        if let Some(query) = query {
            line = line.with(["--only", query]);
        }
        line = match source {
            Source::Parquet => set(
                line,
                "source.events.path",
                data.join("events.parquet").display(),
            ),
            Source::Jsonl => {
                let line = set(line, "source.events.format", "jsonl");
                set(
                    line,
                    "source.events.path",
                    data.join("events.jsonl").display(),
                )
            }
        };
        line = set(
            line,
            "source.limits.path",
            data.join("limits.csv").display(),
        );
        for q in QUERIES
            .iter()
            .filter(|q| query.is_none_or(|query| query == **q))
        {
            line = set(
                line,
                &format!("sink.{q}.path"),
                answers.join(format!("{q}.parquet")).display(),
            );
        }
        line.with(self.more.clone())
    }

    /// `tidegate run` from JSON lines on standard input. Interventions leave on standard output as JSON lines, as they happen; the
    /// other answers go to files in `answers`.
    pub fn live(&self, limits: &Path, answers: &Path, workers: usize) -> CommandLine {
        let mut line = self.start("run", workers);
        line = set(line, "source.events.format", "jsonl");
        line = set(line, "source.events.path", "-");
        line = set(line, "source.limits.path", limits.display());
        for q in &QUERIES[..3] {
            line = set(
                line,
                &format!("sink.{q}.path"),
                answers.join(format!("{q}.parquet")).display(),
            );
        }
        line = set(line, "sink.q4.format", "jsonl");
        line = set(line, "sink.q4.path", "-");
        line = set(line, "sink.q4.mode", "changes");
        line.with(self.more.clone())
    }

    fn start(&self, command: &str, workers: usize) -> CommandLine {
        CommandLine::new([
            self.program.display().to_string(),
            command.to_owned(),
            self.job.display().to_string(),
        ])
        .with(["--workers".to_owned(), workers.to_string()])
    }
}

fn set(line: CommandLine, key: &str, value: impl Display) -> CommandLine {
    line.with(["--set".to_owned(), format!("{key}={value}")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_query_names_one_sink() {
        let tidegate = Tidegate {
            program: "tidegate".into(),
            job: "workload.toml".into(),
            more: vec!["-v".into()],
        };
        assert_eq!(
            tidegate
                .replay(
                    Path::new("S"),
                    Source::Parquet,
                    Path::new("out"),
                    2,
                    Some("q2")
                )
                .to_string(),
            "tidegate replay workload.toml --workers 2 --only q2 --set source.events.path=S/events.parquet \
             --set source.limits.path=S/limits.csv --set sink.q2.path=out/q2.parquet -v"
        );
    }
}
