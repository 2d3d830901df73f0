//! `tidegate schema`: what a job file may say, for editors.

use clap::Args;
use tidegate_schemas::job::json_schema;

use super::failure::Failure;
use super::out::print;

const HELP: &str = "\
Examples:
  tidegate schema > tidegate.schema.json
      and in the first line of a job file, for editors that know it:
      #:schema tidegate.schema.json

Exit codes: 0 done; 4 the output cannot be written.";

/// Print the JSON Schema of job files, for editors.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Schema {}

impl Schema {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let schema = serde_json::to_string_pretty(&json_schema()).map_err(Failure::internal)?;
        print(&(schema + "\n"))
    }
}
