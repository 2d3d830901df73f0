//! `tidegate drift detect`: at which rows of a file a detector fires.

use std::collections::BTreeMap;
use std::fmt;

use clap::Args;
use serde::Serialize;
use tidegate_operators::detectors::{Detector, Settings, Signal, takes};

use super::json;
use crate::cli::failure::Failure;
use crate::cli::job_file::key_and_value;
use crate::cli::numbers::grouped;
use crate::cli::out::print;
use crate::drift::{Column, Kind, Values, read};

const HELP: &str = "\
Examples:
  tidegate drift detect temperatures.csv.gz --column temperature --detector adwin
  tidegate drift detect errors.jsonl --column error --detector ddm --param warm_start=100 --json

Detectors and their parameters: docs of tidegate_operators::detectors. Rows count from 0; rows without a
value are passed over, and those that are no number are told and do not count.

Exit codes: 0 done, whether it fired or not; 2 wrong usage; 3 input cannot be read; 4 output cannot be
written; 101 internal error.";

/// Run an online detector over one column of a file, in the order of its rows.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Detect {
    /// The file: Parquet, delimited text or JSON lines.
    #[arg(value_name = "FILE")]
    file: String,
    /// The column; for detectors of errors 1 is an error and 0 is none.
    #[arg(long, value_name = "NAME")]
    column: String,
    /// The detector: adwin, page_hinkley, ddm, eddm, fhddm, hddm_a, hddm_w, kswin or cusum.
    #[arg(long, value_name = "DETECTOR")]
    detector: String,
    /// A parameter, such as delta=0.002. May be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    param: Vec<(String, String)>,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Found<'a> {
    file: &'a str,
    column: &'a str,
    detector: &'a str,
    parameters: BTreeMap<&'a str, &'a str>,
    /// Values that the detector was given.
    rows: u64,
    /// Rows without a value.
    missing: u64,
    /// Rows that could not be read, or whose value is beyond what detectors take.
    rejected: u64,
    #[serde(flatten)]
    signals: Signals,
}

/// The rows at which a detector spoke, from 0.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Signals {
    /// Where it fired.
    drifts: Vec<u64>,
    /// Where it began to warn.
    warnings: Vec<u64>,
}

impl Detect {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let parameters = || self.param.iter().map(|(key, value)| (&**key, &**value));
        let settings = Settings::named(&self.detector, parameters()).map_err(Failure::usage)?;
        let column = read(&self.file, &self.column, Kind::Number)?;
        let (signals, beyond) = run(Detector::new(&settings), &column);
        let found = Found {
            file: &self.file,
            column: &self.column,
            detector: settings.name(),
            parameters: parameters().collect(),
            rows: column.rows() - beyond,
            missing: column.missing.len() as u64,
            rejected: column.rejected + beyond,
            signals,
        };
        if let Some(first) = &column.first_reject {
            eprintln!(
                "warning: {} rows are no numbers, first {first}",
                column.rejected
            );
        }
        print(&match self.json {
            true => format!("{}\n", json(&found)?),
            false => found.to_string(),
        })
    }
}

/// Gives the numbers of a column to a detector; answers also how many were beyond what it takes.
fn run(mut detector: Detector, column: &Column) -> (Signals, u64) {
    let Values::Numbers(numbers) = &column.values else {
        return (Signals::default(), 0);
    };
    let (mut signals, mut beyond, mut before) = (Signals::default(), 0, Signal::Quiet);
    let mut missing = column.missing.iter().peekable();
    let mut row = 0;
    for number in numbers {
        while missing.next_if_eq(&&row).is_some() {
            row += 1;
        }
        if takes(*number) {
            let signal = detector.add(*number);
            match signal {
                Signal::Drift => signals.drifts.push(row),
                Signal::Warning if before != Signal::Warning => signals.warnings.push(row),
                _ => {}
            }
            before = signal;
        } else {
            beyond += 1;
        }
        row += 1;
    }
    (signals, beyond)
}

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Found {
            file,
            column,
            detector,
            ..
        } = self;
        let rows = grouped(self.rows);
        writeln!(f, "{detector} over {rows} rows of `{column}` in {file}")?;
        let Signals { drifts, warnings } = &self.signals;
        for row in drifts {
            writeln!(f, "  drift at row {row}")?;
        }
        if let Some(first) = warnings.first() {
            writeln!(
                f,
                "  {} warnings, the first at row {first}",
                grouped(warnings.len() as u64)
            )?;
        }
        match self.signals == Signals::default() {
            true => writeln!(f, "  nothing found"),
            false => Ok(()),
        }
    }
}
