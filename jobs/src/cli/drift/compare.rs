//! `tidegate drift compare`: how far columns of two files are apart.

use std::fmt::{self, Write};

use clap::Args;
use serde::Serialize;

use super::asked::Asked;
use super::json;
use crate::cli::failure::Failure;
use crate::cli::numbers::grouped;
use crate::cli::out::print;
use crate::cli::sheet::Sheet;
use crate::drift::{Answer, Comparison};

const HELP: &str = "\
Examples:
  tidegate drift compare last-month.parquet this-month.parquet --column handle_secs
  tidegate drift compare a.csv b.csv.gz --column channel,topic --measures psi,kl,js,chi2
  tidegate drift compare a.csv b.csv --column amount --measures psi --bins edges:0,10,100 --json
  tidegate drift compare a.csv b.csv --column amount --measures psi,wasserstein --compat evidently

Measures: psi, kl, js, hellinger, tvd, linf, chi2, missing of both kinds of columns; ks, wasserstein,
wasserstein_normed, mean, median of numbers; z, new of categories. Directed ones go from the reference to the
current file. Empty bins have a share of 0.0001 in psi and kl.

Exit codes: 0 done, however far apart; 2 wrong usage; 3 input cannot be read; 4 output cannot be written;
101 internal error.";

/// Compare columns of two files.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Compare {
    /// The file to compare with: Parquet, delimited text or JSON lines.
    #[arg(value_name = "REFERENCE")]
    reference: String,
    /// The file to compare.
    #[arg(value_name = "CURRENT")]
    current: String,
    /// A column. May be repeated, or a list with commas.
    #[arg(
        long = "column",
        value_name = "NAME",
        required = true,
        value_delimiter = ','
    )]
    columns: Vec<String>,
    #[command(flatten)]
    asked: Asked,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// All that was compared.
#[derive(Debug, Serialize)]
struct Compared<'a> {
    reference: &'a str,
    current: &'a str,
    columns: Vec<Comparison>,
}

impl Compare {
    pub(super) fn execute(self) -> Result<(), Failure> {
        self.asked.check()?;
        let files = [self.reference.as_str(), self.current.as_str()];
        let columns = self.columns.iter();
        let columns = columns.map(|column| self.asked.compare(files, column));
        let compared = Compared {
            reference: &self.reference,
            current: &self.current,
            columns: columns.collect::<Result<_, _>>()?,
        };
        print(&match self.json {
            true => format!("{}\n", json(&compared)?),
            false => compared.to_string(),
        })
    }
}

impl fmt::Display for Compared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} against the reference {}",
            self.current, self.reference
        )?;
        self.columns
            .iter()
            .try_for_each(|column| f.write_str(&told(column)))
    }
}

/// A column's answers as people read them.
fn told(column: &Comparison) -> String {
    let Comparison {
        column: name,
        kind,
        reference,
        current,
        ..
    } = column;
    let mut sheet = Sheet::default();
    for answer in &column.measures {
        sheet.line([answer.measure.to_string(), value(answer), said(answer)]);
    }
    let mut text = format!(
        "\n{name}: {kind}, {} rows against {}",
        grouped(current.rows),
        grouped(reference.rows)
    );
    for (what, missing) in [
        ("the reference", reference.missing),
        ("the current file", current.missing),
    ] {
        if missing > 0 {
            // Writing to a text cannot fail.
            let _ = write!(text, "; {} missing in {what}", grouped(missing));
        }
    }
    text.push('\n');
    text.push_str(&sheet.text(2));
    let moved = column
        .measures
        .iter()
        .find(|answer| !answer.moved.is_empty());
    for bin in moved.iter().flat_map(|answer| &answer.moved) {
        let (from, to) = (100.0 * bin.reference, 100.0 * bin.current);
        let _ = writeln!(
            text,
            "    {}: {from:.2}% to {to:.2}%, adds {:.4} to psi",
            bin.bin, bin.psi
        );
    }
    text
}

fn value(answer: &Answer) -> String {
    answer
        .value
        .map_or("none".to_owned(), |value| format!("{value:.6}"))
}

/// Everything an answer depends on, in one line.
fn said(answer: &Answer) -> String {
    let mut said = vec![answer.unit.to_owned()];
    said.extend(answer.p_value.map(|p| format!("p = {p:.4e}")));
    let limit = answer
        .no_drift_95
        .map(|limit| format!("below {limit:.4} in 95% without drift"));
    said.extend(limit);
    said.extend(answer.direction.map(str::to_owned));
    if let (Some(bins), Some(count)) = (&answer.bins, answer.bin_count) {
        said.push(format!("{count} bins: {bins}"));
    }
    said.extend(answer.fill.clone());
    said.join("; ")
}
