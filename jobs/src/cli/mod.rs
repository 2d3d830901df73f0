//! The `tidegate` program: its verbs, what it says, and how it ends.
//!
//! Each verb is a module with its arguments and one method. Results go to the standard output or to
//! files; everything else (progress, account, errors) goes to the error output.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | a test or a verification failed, there were more rejects than allowed, or no row of those that came was accepted |
//! | 2 | wrong usage, or something is wrong with the job file |
//! | 3 | input cannot be read |
//! | 4 | output cannot be written |
//! | 101 | an internal error: a bug in tidegate |
//! | 130, 143 | stopped by SIGINT (Ctrl-C), by SIGTERM |

mod account;
mod check;
mod demo;
mod drift;
mod explain;
mod failure;
mod job_file;
mod logging;
mod numbers;
mod out;
mod panics;
mod progress;
mod replay;
mod run;
mod running;
mod schema;
mod sheet;
mod signals;
mod test;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// What every help page ends with.
const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 a test or a verification failed, more rejects than --max-rejects, or rows of which
none was accepted; 2 wrong usage or job file; 3 input cannot be read; 4 output cannot be written; 101
internal error; 130 stopped by SIGINT; 143 stopped by SIGTERM.";

/// Live features, sessions, patterns, triggers and drift out of streams of customer-service events.
///
/// One job file says what comes in, what is kept for each customer, when to act, and where answers
/// go. The same job runs live, over history and in its tests, with the same answers.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, after_help = EXIT_CODES)]
struct Program {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Check(check::Check),
    Run(run::Run),
    Replay(replay::Replay),
    Test(test::Test),
    Explain(explain::Explain),
    Verify(verify::Verify),
    Demo(demo::Demo),
    Drift(drift::Drift),
    Schema(schema::Schema),
}

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    panics::end_the_process();
    let program = match Program::try_parse() {
        Ok(program) => program,
        Err(told) => return usage(&told),
    };
    let outcome = match program.verb {
        Verb::Check(verb) => verb.execute(),
        Verb::Run(verb) => verb.execute(),
        Verb::Replay(verb) => verb.execute(),
        Verb::Test(verb) => verb.execute(),
        Verb::Explain(verb) => verb.execute(),
        Verb::Verify(verb) => verb.execute(),
        Verb::Demo(verb) => verb.execute(),
        Verb::Drift(verb) => verb.execute(),
        Verb::Schema(verb) => verb.execute(),
    };
    outcome.map_or_else(Failure::end, |()| ExitCode::SUCCESS)
}

/// Prints what the argument parser has to say: help and version, or what is wrong.
fn usage(told: &clap::Error) -> ExitCode {
    // Nobody is left to tell if even this cannot be written.
    let _ = told.print();
    ExitCode::from(u8::try_from(told.exit_code()).unwrap_or(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_agree_with_each_other() {
        Program::command().debug_assert();
    }

    #[test]
    fn verify_tells_all_that_it_computes_again() {
        let command = Program::command();
        let verify = command.find_subcommand("verify").expect("it is a verb");
        let about = verify.get_about().expect("it is described").to_string();
        assert!(about.contains("features, sessions and triggers at anchors"));
    }

    #[test]
    fn every_verb_shows_examples_and_exit_codes() {
        for verb in Program::command().get_subcommands_mut() {
            let help = verb.render_long_help().to_string();
            let name = verb.get_name();
            assert!(help.contains(&format!("tidegate {name}")), "{name}: {help}");
            assert!(help.contains("Exit codes: "), "{name}: {help}");
        }
    }
}
