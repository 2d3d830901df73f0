//! `tidegate run`: a job over what comes in.

use clap::{Args, ValueEnum};

use super::failure::Failure;
use super::running::Running;
use crate::compile::Plan;
use crate::runtime::{Firing, Options, Stretch};
use crate::sinks::Mode;

const HELP: &str = "\
Examples:
  tidegate run job.toml
  tidegate run job.toml --workers 4 --only interventions
  tail -f app.log | tidegate run job.toml --set source.events.path=-
  tidegate run job.toml --firing watermark --account account.json

A file or directory with follow = true is read on as it grows. The first SIGINT (Ctrl-C) or SIGTERM
stops reading, works off what was read, and prints the account; results of what is followed or comes
from standard input appear, those of other input do not. The second ends the process at once.

Exit codes: 0 done; 1 more rejects than --max-rejects, or no row accepted of those that came; 2 wrong
usage or job file; 3 input cannot be read; 4 output cannot be written; 101 internal error; 130 stopped
by SIGINT; 143 stopped by SIGTERM.";

/// Run a job over what comes in.
///
/// Answers go out as rows arrive, and are taken back when later rows change them, if a sink of mode
/// changes or upserts wants them so. If all sinks are final, they go out when no permitted row can
/// change them any more.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Run {
    #[command(flatten)]
    running: Running,
    /// When answers are computed. Default: on arrival if any sink is not final, else on watermark.
    #[arg(long, value_name = "WHEN")]
    firing: Option<When>,
}

/// When answers are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    /// As rows arrive, and again when later rows change them.
    Arrival,
    /// When the watermark has passed them.
    Watermark,
}

impl Run {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let plan = self.running.plan()?;
        let firing = match self.firing {
            Some(When::Arrival) => Firing::OnArrival,
            Some(When::Watermark) => Firing::OnWatermark,
            None => usual_firing(&plan),
        };
        let options = Options {
            workers: self.running.workers(),
            firing,
            stretch: Stretch::ALL,
        };
        self.running.carry_out(plan, &options)
    }
}

/// On arrival if anybody wants to see answers before they are final.
fn usual_firing(plan: &Plan) -> Firing {
    match plan.sinks.iter().all(|sink| sink.spec.mode == Mode::Final) {
        true => Firing::OnWatermark,
        false => Firing::OnArrival,
    }
}
