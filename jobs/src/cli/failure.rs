//! How the program fails: what it says, and the exit code.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::process::ExitCode;

use tidegate_schemas::job::Problems;

use crate::runtime::RunError;
use crate::sinks::{Problem, SinkError};
use crate::sources::SourceError;

/// A test or a verification failed, or what was asked for is not there.
const FAILED: u8 = 1;
/// Wrong usage, or something is wrong with the job file.
const USAGE: u8 = 2;
/// Input cannot be read.
const INPUT: u8 = 3;
/// Output cannot be written.
const OUTPUT: u8 = 4;
/// A bug of our own.
pub(super) const INTERNAL: u8 = 101;

/// Why the program ends before its time, and with which code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    code: u8,
    /// What is still to be said.
    text: Option<String>,
}

impl Failure {
    /// The answer is no, and has been told already.
    pub(super) fn found() -> Failure {
        Failure {
            code: FAILED,
            text: None,
        }
    }

    /// What was asked for is not there.
    pub(super) fn not_found(text: impl Into<String>) -> Failure {
        Failure::said(FAILED, text)
    }

    /// What was found is not good enough.
    pub(super) fn refused(text: impl Into<String>) -> Failure {
        Failure::said(FAILED, text)
    }

    /// Something is wrong with the arguments or the job file.
    pub(super) fn usage(text: impl Into<String>) -> Failure {
        Failure::said(USAGE, text)
    }

    /// Input cannot be read.
    pub(super) fn input(text: impl Into<String>) -> Failure {
        Failure::said(INPUT, text)
    }

    /// Output cannot be written.
    pub(super) fn output(text: impl Into<String>) -> Failure {
        Failure::said(OUTPUT, text)
    }

    /// A promise of our own is broken.
    pub(super) fn internal(text: impl Display) -> Failure {
        let text = format!("{text}\n  this is a bug in tidegate: please report it");
        Failure::said(INTERNAL, text)
    }

    /// The run was stopped by a signal, and has ended in order.
    pub(super) fn signal(signal: i32) -> Failure {
        Failure {
            code: u8::try_from(128 + signal).unwrap_or(u8::MAX),
            text: None,
        }
    }

    /// Nobody reads the results any more, as when they are piped to `head`: that is no failure.
    fn unread() -> Failure {
        Failure {
            code: 0,
            text: None,
        }
    }

    fn said(code: u8, text: impl Into<String>) -> Failure {
        Failure {
            code,
            text: Some(text.into()),
        }
    }

    /// The same failure, told under a headline that says what was attempted.
    pub(super) fn while_doing(self, attempt: impl Display) -> Failure {
        let text = self
            .text
            .map(|text| format!("{attempt}\n  {}", text.replace('\n', "\n  ")));
        Failure { text, ..self }
    }

    /// Says what is to be said and answers the exit code.
    pub(super) fn end(self) -> ExitCode {
        if self.text.is_some() {
            // Nobody is left to tell if even this cannot be written.
            let _ = writeln!(io::stderr().lock(), "{self}");
        }
        ExitCode::from(self.code)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(f, "error: {text}"),
            None => write!(f, "exit code {}", self.code),
        }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Failure {
        Failure::usage(format!(
            "the job file cannot be used\n\n{}",
            problems.to_string().trim_end()
        ))
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Failure {
        let code = match &error {
            RunError::Sink(sink) if sink.is_broken_pipe() => return Failure::unread(),
            RunError::Sink(sink) => sink_code(sink),
            RunError::Source { error, .. } => source_code(error),
            RunError::Collision { .. } => INPUT,
            RunError::Rows { .. } | RunError::Start(_) | RunError::Balance(_) => INTERNAL,
        };
        match code {
            INTERNAL => Failure::internal(error),
            code => Failure::said(code, error.to_string()),
        }
    }
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Failure {
        RunError::from(error).into()
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Failure {
        Failure::said(source_code(&error), error.to_string())
    }
}

/// Writing to the standard output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::unread(),
            _ => Failure::output(format!("cannot write to the standard output: {error}")),
        }
    }
}

fn sink_code(error: &SinkError) -> u8 {
    match &error.problem {
        Problem::Settings { .. } | Problem::Select { .. } | Problem::TakenBack { .. } => USAGE,
        Problem::File { .. } | Problem::Uncomputed { .. } => OUTPUT,
        Problem::Encode { .. }
        | Problem::Shape { .. }
        | Problem::UnknownCode { .. }
        | Problem::Broken(_)
        | Problem::Closed => INTERNAL,
    }
}

fn source_code(error: &SourceError) -> u8 {
    match error {
        SourceError::Declaration { .. } => USAGE,
        SourceError::Batch { .. } => INTERNAL,
        _ => INPUT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::Attempt;
    use std::sync::Arc;

    fn file(kind: io::ErrorKind) -> SinkError {
        SinkError {
            sink: "q1".to_owned(),
            problem: Problem::File {
                attempt: Attempt::Write,
                path: "out/q1.parquet".into(),
                source: Arc::new(io::Error::from(kind)),
            },
        }
    }

    #[test]
    fn the_exit_code_says_whose_fault_it_is() {
        let source = |error| {
            let name = "events".to_owned();
            Failure::from(RunError::Source {
                source_name: name,
                error,
            })
        };
        let missing = SourceError::Missing {
            path: "x.csv".to_owned(),
            problem: "no such file".to_owned(),
            base: ".".to_owned(),
        };
        let wrong = SourceError::Declaration {
            problem: "two delimiters".to_owned(),
        };
        assert_eq!(source(missing).code, INPUT);
        assert_eq!(source(wrong).code, USAGE);
        assert_eq!(Failure::from(file(io::ErrorKind::StorageFull)).code, OUTPUT);
        assert_eq!(
            Failure::from(RunError::Start("no".to_owned())).code,
            INTERNAL
        );
        assert_eq!(Failure::signal(2).code, 130);
        assert_eq!(Failure::signal(15).code, 143);
    }

    #[test]
    fn a_pipe_that_nobody_reads_ends_quietly() {
        let quiet = Failure::unread();
        assert_eq!(Failure::from(file(io::ErrorKind::BrokenPipe)), quiet);
        let error = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(Failure::from(error), quiet);
    }

    #[test]
    fn a_failure_is_one_block_under_what_was_attempted() {
        let failure =
            Failure::output("no input at `x.csv`\nlook").while_doing("cannot run the job");
        assert_eq!(
            failure.to_string(),
            "error: cannot run the job\n  no input at `x.csv`\n  look"
        );
    }
}
