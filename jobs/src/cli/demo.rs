//! `tidegate demo`: a real log and its job, brought along in the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::util::display::array_value_to_string;
use clap::Args;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tidegate_schemas::job::load;

use super::failure::Failure;
use super::numbers::{grouped, took};
use super::out::print;
use super::sheet::Sheet;
use crate::compile::{Selection, compile};
use crate::runtime::{self, Firing, Options, Report, Stretch, Watch};

const HELP: &str = "\
Examples:
  tidegate demo
  tidegate demo my-first-job

The log: page views of a public web site, to be cut into visits. The files stay where they are
written, to be changed and run again.

Exit codes: 0 done; 2 the folder holds other files; 4 a file cannot be written; 101 internal error.";

/// The job, whose paths begin at the root of the repository.
const JOB: &str = include_str!("../../catalog/wiki-sessions.toml");
/// The log it reads.
const LOG: &[u8] = include_bytes!("../../catalog/data/wiki_sessions.csv.gz");
/// The folder of the job in the repository.
const CATALOG: &str = "jobs/catalog/";
/// The job's file in the demo's folder.
const JOB_FILE: &str = "wiki-sessions.toml";
/// Where the job looks for its log, from there.
const LOG_FILE: &str = "data/wiki_sessions.csv.gz";

/// Write a real log and its job into a folder, and run it.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Demo {
    /// The folder. Default: a new one among the temporary files.
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Demo {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let folder = match self.folder {
            Some(folder) => folder,
            None => tempfile::Builder::new()
                .prefix("tidegate-demo-")
                .tempdir()
                .map_err(|error| Failure::output(format!("cannot make a folder: {error}")))?
                .keep(),
        };
        write_whole(&folder.join(JOB_FILE), job_text().as_bytes())?;
        write_whole(&folder.join(LOG_FILE), LOG)?;
        std::env::set_current_dir(&folder).map_err(|error| {
            Failure::output(format!("cannot enter {}: {error}", folder.display()))
        })?;
        let report = run()?;
        print(&told(&folder, &report)?)
    }
}

/// The job, whose paths begin at its own folder.
fn job_text() -> String {
    JOB.replace(CATALOG, "")
}

/// Writes a file, unless it is there already.
fn write_whole(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let shown = path.display();
    match fs::read(path) {
        Ok(found) if found == content => return Ok(()),
        Ok(_) => {
            return Err(Failure::usage(format!(
                "`{shown}` is there already and has been changed; name another folder"
            )));
        }
        Err(_) => {}
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, content))
        .map_err(|error| Failure::output(format!("cannot write `{shown}`: {error}")))
}

fn run() -> Result<Report, Failure> {
    let job = load(JOB_FILE, job_text().as_bytes(), &[], &|_| None)?;
    let plan = compile(&job, &Selection::default())?;
    let options = Options {
        workers: 2,
        firing: Firing::OnWatermark,
        stretch: Stretch::ALL,
    };
    let watch = Arc::new(Watch::default());
    Ok(runtime::run(plan, &options, &watch)?)
}

/// What came out, and what to try next.
fn told(folder: &Path, report: &Report) -> Result<String, Failure> {
    let rows = |sink: &str| {
        let found = report.sinks.iter().find(|(name, _)| name == sink);
        grouped(found.map_or(0, |(_, sink)| sink.rows))
    };
    let mut sheet = Sheet::default();
    let mut line = |count: String, what: &str| sheet.line([count, what.to_owned()]);
    line(
        grouped(report.account.rows_in),
        "page views of a public web site",
    );
    line(
        rows("visits"),
        "visits, when a page view 1800 s after the last one begins a new visit",
    );
    line(
        rows("visits_same"),
        "visits, when it still belongs to the visit",
    );
    line(rows("bounces"), "visits of a single page view");
    let visits = report.sinks.iter().find(|(name, _)| name == "visits");
    let file = visits.and_then(|(_, sink)| sink.files.first());
    let longest = match file {
        Some(file) => longest_visits(file)?.text(2),
        None => String::new(),
    };
    let folder = folder.display();
    Ok(format!(
        "{}\nThe visits with the most page views:\n{longest}\n\
         {} in {}\n\
         The job, its log and all results are in {folder}. Next:\n  \
         cd {folder}\n  \
         tidegate check {JOB_FILE}\n  \
         tidegate test {JOB_FILE}\n  \
         tidegate verify {JOB_FILE} --only visits\n  \
         tidegate run {JOB_FILE} --set sessions.visit.gap=10m\n",
        sheet.text(0),
        report.account,
        took(report.elapsed)
    ))
}

/// The visits with the most rows.
fn longest_visits(file: &Path) -> Result<Sheet, Failure> {
    const SHOWN: usize = 5;
    const COLUMNS: [&str; 5] = ["start", "end", "rows", "pages", "landing"];
    let failed = |error: &dyn std::fmt::Display| {
        Failure::input(format!("cannot read `{}`: {error}", file.display()))
    };
    let opened = fs::File::open(file).map_err(|error| failed(&error))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(opened)
        .and_then(|builder| builder.build())
        .map_err(|error| failed(&error))?;
    let batches: Vec<RecordBatch> = reader
        .collect::<Result<_, _>>()
        .map_err(|error| failed(&error))?;
    let mut visits: Vec<(i64, Vec<String>)> = Vec::new();
    for batch in &batches {
        let Some(rows) = batch.column_by_name("rows") else {
            continue;
        };
        let rows = rows.as_primitive::<Int64Type>();
        for row in (0..batch.num_rows()).filter(|row| rows.is_valid(*row)) {
            let value = |name: &&str| {
                let column = batch.column_by_name(name)?;
                array_value_to_string(column, row).ok()
            };
            visits.push((rows.value(row), COLUMNS.iter().filter_map(value).collect()));
        }
        visits.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        visits.truncate(SHOWN);
    }
    let mut sheet = Sheet::default();
    sheet.line(COLUMNS.map(str::to_owned));
    for (_, cells) in visits {
        if let Ok(cells) = <[String; 5]>::try_from(cells) {
            sheet.line(cells);
        }
    }
    Ok(sheet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_finds_its_log_in_the_folder() {
        let job = load(JOB_FILE, job_text().as_bytes(), &[], &|_| None).unwrap();
        assert_eq!(job.sources["views"].path[0].as_str(), LOG_FILE);
        for sink in ["visits", "visits_same", "bounces"] {
            assert!(job.sinks.contains_key(sink), "{sink}");
        }
    }

    #[test]
    fn files_that_were_changed_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        write_whole(&path, b"x").unwrap();
        write_whole(&path, b"x").unwrap();
        assert!(write_whole(&path, b"y").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"x");
    }
}
