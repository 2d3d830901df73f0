//! What a verification found.

use std::fmt;
use std::path::PathBuf;

/// What a verification found, output by output.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// The results that were compared.
    pub outputs: Vec<OutputReport>,
    /// Results that should be there and are not.
    pub missing: Vec<Unchecked>,
    /// Outputs and sinks that were not looked at, and why.
    pub unchecked: Vec<Unchecked>,
}

/// A result and how it compares with what it should hold.
#[derive(Clone, Debug, Default)]
pub struct OutputReport {
    /// The sink that wrote it.
    pub sink: String,
    /// What it holds, for example `features.contact`.
    pub output: String,
    /// Where it was read from.
    pub files: Vec<PathBuf>,
    /// How many rows there should be.
    pub expected: u64,
    /// How many rows there are.
    pub found: u64,
    /// Rows of which every value was compared and agrees.
    pub equal: u64,
    /// Rows that agree in all values that were compared, while others could not be.
    pub partly: u64,
    /// Rows that should be there and are not.
    pub missing: u64,
    /// Rows that are there and should not be.
    pub unexpected: u64,
    /// Rows with a value that does not agree.
    pub different: u64,
    /// The first of the rows that do not agree.
    pub differences: Vec<Difference>,
    /// What of the rows was not compared, and why.
    pub unchecked: Vec<Unchecked>,
}

/// A row that does not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The entity's key, as far as it is known.
    pub key: String,
    /// The time that tells the row, as far as it is known.
    pub time: String,
    /// What is wrong with the row.
    pub fault: Fault,
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It should not be there.
    Unexpected,
    /// A value of it does not agree; others may not either.
    Different {
        /// The column.
        column: String,
        /// The value it should have.
        expected: String,
        /// The value it has.
        found: String,
    },
}

/// Something that was not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unchecked {
    /// An output or sink, or a column of the output.
    pub what: String,
    /// How many rows that concerns; `None`: all.
    pub rows: Option<u64>,
    /// Why.
    pub why: String,
}

impl VerifyReport {
    /// Whether no result is missing and no row was found that does not agree. What was not compared
    /// does not count, so look at [`VerifyReport::is_complete`] too.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.missing.is_empty() && self.outputs.iter().all(OutputReport::agrees)
    }

    /// Whether everything was compared.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let complete = |output: &OutputReport| output.unchecked.is_empty();
        self.missing.is_empty() && self.unchecked.is_empty() && self.outputs.iter().all(complete)
    }

    /// How many results agree, do not, are missing, and were not checked.
    fn verdict(&self) -> String {
        let agreeing = self.outputs.iter().filter(|output| output.agrees()).count();
        let differing = self.outputs.len() - agreeing;
        let do_not = if differing == 1 {
            "does not agree"
        } else {
            "do not agree"
        };
        let counts = [
            (differing, do_not),
            (self.missing.len(), "missing"),
            (self.unchecked.len(), "not checked"),
        ];
        let mut verdict = match self.outputs.len() + self.missing.len() {
            0 => "nothing was compared".to_owned(),
            _ => format!("{agreeing} agree"),
        };
        for (count, what) in counts {
            if count > 0 {
                verdict.push_str(&format!(", {count} {what}"));
            }
        }
        verdict
    }
}

impl OutputReport {
    /// Whether no row was found that does not agree.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.missing + self.unexpected + self.different == 0
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for output in &self.outputs {
            writeln!(f, "{output}")?;
        }
        for missing in &self.missing {
            writeln!(f, "{} MISSING: {}", missing.what, missing.why)?;
        }
        for unchecked in &self.unchecked {
            writeln!(f, "not checked: {unchecked}")?;
        }
        writeln!(f, "{}", self.verdict())
    }
}

impl fmt::Display for OutputReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.agrees() {
            true => "agrees",
            false => "DOES NOT AGREE",
        };
        write!(
            f,
            "{} ({}) {verdict}: {} rows expected, {} found, {} equal",
            self.sink, self.output, self.expected, self.found, self.equal
        )?;
        for (count, what) in [
            (self.partly, "equal as far as compared"),
            (self.missing, "missing"),
            (self.unexpected, "unexpected"),
            (self.different, "different"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        for difference in &self.differences {
            write!(f, "\n  {difference}")?;
        }
        for unchecked in &self.unchecked {
            write!(f, "\n  not checked: {unchecked}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: ", self.key, self.time)?;
        match &self.fault {
            Fault::Missing => f.write_str("the row is missing"),
            Fault::Unexpected => f.write_str("the row should not be there"),
            Fault::Different {
                column,
                expected,
                found,
            } => write!(f, "{column} should be {expected} and is {found}"),
        }
    }
}

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rows {
            None => write!(f, "{}: {}", self.what, self.why),
            Some(rows) => write!(f, "{} in {rows} rows: {}", self.what, self.why),
        }
    }
}
