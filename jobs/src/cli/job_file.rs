//! The arguments that name a job, and the way to the job.

use std::path::PathBuf;

use clap::Args;
use tidegate_schemas::job::{self, Job};

use super::failure::Failure;

/// A job file and what is set differently.
#[derive(Clone, Debug, Args)]
pub(super) struct JobFile {
    /// The job file.
    #[arg(value_name = "JOB")]
    pub(super) path: PathBuf,
    /// Set a key of the job file, such as source.events.path=events.csv. The value is TOML, or else
    /// a plain text. May be repeated; the last one holds.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub(super) set: Vec<(String, String)>,
}

impl JobFile {
    /// Reads the job.
    ///
    /// # Errors
    /// When the file cannot be read, and everything that is wrong with it.
    pub(super) fn load(&self) -> Result<Job, Failure> {
        let name = self.path.display().to_string();
        let text = std::fs::read(&self.path).map_err(|error| {
            let base = std::env::current_dir().unwrap_or_default();
            Failure::usage(format!(
                "cannot read the job file `{name}`: {error} (relative paths start at {})",
                base.display()
            ))
        })?;
        let environment = |name: &str| std::env::var(name).ok();
        Ok(job::load(&name, &text, &self.set, &environment)?)
    }

    /// Whether the job has these sinks.
    ///
    /// # Errors
    /// The first that it does not have.
    pub(super) fn has_sinks(&self, job: &Job, sinks: &[String]) -> Result<(), Failure> {
        let Some(unknown) = sinks.iter().find(|sink| !job.sinks.contains_key(*sink)) else {
            return Ok(());
        };
        let known: Vec<&str> = job.sinks.keys().map(String::as_str).collect();
        Err(Failure::usage(format!(
            "the job file `{}` has no sink `{unknown}`; it has {}",
            self.path.display(),
            known.join(", ")
        )))
    }
}

/// Takes `KEY=VALUE` apart.
pub(super) fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err(format!(
            "`{text}` is not KEY=VALUE; write it like source.events.path=events.csv"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_equals_sign_parts_key_and_value() {
        let pair = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
        assert_eq!(key_and_value("a.b=c=d"), pair("a.b", "c=d"));
        assert_eq!(key_and_value("a.b="), pair("a.b", ""));
        assert!(key_and_value("a.b").is_err());
        assert!(key_and_value("=c").is_err());
    }
}
