//! `tidegate drift report`: drift on a page of its own, of two files or of what a job has written.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::asked::Asked;
use super::json;
use crate::cli::failure::Failure;
use crate::cli::job_file::{JobFile, key_and_value};
use crate::drift::columns_of;
use crate::drift::report::{Compared, LeftOut, ReportError, Watched, watched};

const HELP: &str = "\
Examples:
  tidegate drift report last-month.parquet this-month.parquet --out report.html
  tidegate drift report a.csv b.csv.gz --column channel,topic --out report.html --json report.json
  tidegate drift report job.toml --out report.html

Of a job it shows what its sinks of drift.* and alerts.* have written: run it first, with the same --set. The page needs nothing else: no script, no font, no picture from elsewhere. Files appear whole or not at all.

Exit codes: 0 done, however far apart; 2 wrong usage or job file; 3 input cannot be read; 4 output cannot be written;
101 internal error.";

/// Show drift on a page: how far columns of two files are apart, or what the drift of a job has come to.
#[derive(Debug, Args)]
#[command(after_help = HELP, override_usage = "tidegate drift report [OPTIONS] --out <FILE> <REFERENCE> <CURRENT>
       tidegate drift report [OPTIONS] --out <FILE> <JOB>")]
pub(super) struct Report {
    /// Two files, the one to compare with first: Parquet, delimited text or JSON lines. Or one job file.
    #[arg(value_name = "FILE", num_args = 1..=2, required = true)]
    files: Vec<String>,
    /// Of two files: a column. May be repeated, or a list with commas. Default: all that both files have.
    #[arg(long = "column", value_name = "NAME", value_delimiter = ',')]
    columns: Vec<String>,
    #[command(flatten)]
    asked: Asked,
    /// Of a job: set a key of the job file, such as sink.mix.path=out/mix.csv. May be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
    /// Of a job: where the result of a sink is, if not where the job file says. May be repeated.
    #[arg(long, value_name = "SINK=FILE", value_parser = key_and_value)]
    result: Vec<(String, String)>,
    /// Of a job: how many segments of a column to show, those with the largest values.
    #[arg(long, value_name = "N", default_value_t = 12)]
    segments: usize,
    /// The page to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write the same as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the measures as Parquet, too: a row for each, and of a job's drift for each window.
    #[arg(long, value_name = "FILE")]
    parquet: Option<PathBuf>,
}

/// A report in each of its forms.
struct Forms {
    page: String,
    json: String,
    parquet: Vec<u8>,
}

impl Report {
    pub(super) fn execute(self) -> Result<(), Failure> {
        self.asked.check()?;
        let forms = match self.files.as_slice() {
            [reference, current] => {
                let compared = self.compared([reference, current])?;
                Forms {
                    page: compared.page().map_err(Failure::internal)?,
                    json: json(&compared)?,
                    parquet: compared.parquet().map_err(Failure::internal)?,
                }
            }
            job => {
                let watched = self.watched(&job.concat())?;
                Forms {
                    page: watched.page(self.segments).map_err(Failure::internal)?,
                    json: json(&watched)?,
                    parquet: watched.parquet().map_err(Failure::internal)?,
                }
            }
        };
        if let Some(path) = &self.json {
            write(path, (forms.json + "\n").as_bytes())?;
        }
        if let Some(path) = &self.parquet {
            write(path, &forms.parquet)?;
        }
        write(&self.out, forms.page.as_bytes())
    }

    fn watched(&self, path: &str) -> Result<Watched, Failure> {
        if !self.columns.is_empty() {
            let message = "--column is of two files: name REFERENCE and CURRENT, or leave it out";
            return Err(Failure::usage(message));
        }
        let file = JobFile {
            path: path.into(),
            set: self.set.clone(),
        };
        let job = file.load()?;
        let mut results: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for (sink, path) in &self.result {
            file.has_sinks(&job, std::slice::from_ref(sink))?;
            results.entry(sink.clone()).or_default().push(path.into());
        }
        let name = job.job.name.written();
        watched(&job, &results).map_err(|error| {
            Failure::from(error).while_doing(format!("cannot report the drift of `{name}`"))
        })
    }

    fn compared(&self, files: [&str; 2]) -> Result<Compared, Failure> {
        let [reference, current] = files;
        let (columns, left_out) = match self.columns.is_empty() {
            true => in_both([columns_of(reference)?, columns_of(current)?]),
            false => (self.columns.clone(), Vec::new()),
        };
        if columns.is_empty() {
            let message = format!("`{reference}` and `{current}` have no column in common");
            return Err(Failure::input(message));
        }
        let columns = columns.iter();
        let columns = columns.map(|column| self.asked.compare(files, column));
        Ok(Compared {
            reference: reference.to_owned(),
            current: current.to_owned(),
            columns: columns.collect::<Result<_, _>>()?,
            left_out,
        })
    }
}

/// The columns that both files have, and those that one of them has.
fn in_both([reference, current]: [Vec<String>; 2]) -> (Vec<String>, Vec<LeftOut>) {
    let only = |column: &String, file: &str| LeftOut {
        column: column.clone(),
        why: format!("only {file} has it"),
    };
    let added = current.iter().filter(|column| !reference.contains(column));
    let added: Vec<LeftOut> = added
        .map(|column| only(column, "the current file"))
        .collect();
    let (both, gone): (Vec<_>, Vec<_>) = reference
        .into_iter()
        .partition(|column| current.contains(column));
    let gone = gone.iter().map(|column| only(column, "the reference"));
    (both, gone.chain(added).collect())
}

/// Writes a file that appears whole or not at all.
fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let written = || {
        std::fs::create_dir_all(directory)?;
        let mut file = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .tempfile_in(directory)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    written().map_err(|error: std::io::Error| {
        let path = path.display();
        Failure::output(format!(
            "cannot write `{path}`: {error}; name a file that may be written"
        ))
    })
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Failure {
        match error {
            ReportError::Job(problems) => problems.into(),
            ReportError::Unreadable(error) => error.into(),
            ReportError::NoDrift(_) | ReportError::NoSink(_) | ReportError::Lacks { .. } => {
                Failure::usage(error.to_string())
            }
            ReportError::Missing { .. } => Failure::input(error.to_string()),
            ReportError::Shape { .. } => Failure::internal(error),
        }
    }
}
