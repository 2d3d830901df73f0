//! The bench program: one subcommand a measurement.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tidegate_bench::{
    error::Error, extras, floor, generate, latency, memory, peers, threshold, throughput,
};

/// Measures Tidegate: makes the workload, runs it and its peers over the same files, and reports ratios.
#[derive(Parser)]
#[command(name = "tidegate-bench", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Start with:
  tidegate-bench generate --size S --out data/S
  tidegate-bench peers --dir data/S --check
  tidegate-bench floor --size M";

#[derive(Subcommand)]
enum Command {
    /// Write the workload: events as Parquet and JSON lines, and the thresholds' changelog.
    Generate(generate::Args),
    /// Run Tidegate and its peers over the same files and print one table.
    Peers(peers::Args),
    /// Measure the plain loop over facts in memory: the limit.
    Floor(floor::Args),
    /// Measure Tidegate alone: rows/s from Parquet, from JSON lines, and live from standard input.
    Throughput(throughput::Args),
    /// Measure what monitors, patterns and predictions cost beside the workload's job.
    Extras(extras::Args),
    /// Measure the time from a row to its intervention at an offered rate, open loop.
    Latency(latency::Args),
    /// Let one-off customers pass through and watch the memory.
    Memory(memory::Args),
    /// Change a threshold that a million live customers look up, and measure the time to the last episode.
    Threshold(threshold::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Generate(args) => generate::run(&args),
        Command::Peers(args) => peers::run(&args),
        Command::Floor(args) => floor::run(&args),
        Command::Throughput(args) => throughput::run(&args),
        Command::Extras(args) => extras::run(&args),
        Command::Latency(args) => latency::run(&args),
        Command::Memory(args) => memory::run(&args),
        Command::Threshold(args) => threshold::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn report(error: &Error) {
    eprintln!("error: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
}
