//! The running sinks, and who has which end of them.

use std::sync::Arc;

use tidegate_schemas::names::Names;

use super::StageRun;
use super::conductor::RawSinks;
use super::error::RunError;
use super::rejects::reject_schema;
use super::watch::Watch;
use super::worker::Outlet;
use crate::compile::{Feed, SinkPlan, SourcePlan};
use crate::sinks::{Mode, SinkHandle, SinkInput, SinkSender};

/// The running sinks and their ends.
pub(super) struct Outputs {
    pub(super) handles: Vec<SinkHandle>,
    /// By worker.
    pub(super) outlets: Vec<Vec<Outlet>>,
    /// By worker, then by source: where rows go that cannot become facts.
    pub(super) rejects: Vec<Vec<Vec<SinkSender>>>,
    /// By source, for the conductor.
    pub(super) raw: Vec<RawSinks>,
}

/// A run that fails leaves nothing half-written: whoever ends before the sinks were finished waits until they have
/// removed their files.
impl Drop for Outputs {
    fn drop(&mut self) {
        for handle in self.handles.drain(..) {
            // Why the run failed is told elsewhere.
            let _ = handle.abort();
        }
    }
}

pub(super) fn open_sinks(
    sinks: Vec<SinkPlan>,
    sources: &[SourcePlan],
    stages: &[StageRun],
    names: &Arc<Names>,
    workers: usize,
    watch: &Watch,
) -> Result<Outputs, RunError> {
    let by_source = || (0..sources.len()).map(|_| Vec::new()).collect::<Vec<_>>();
    let mut outputs = Outputs {
        handles: Vec::new(),
        outlets: (0..workers).map(|_| Vec::new()).collect(),
        rejects: (0..workers).map(|_| by_source()).collect(),
        raw: (0..sources.len()).map(|_| RawSinks::default()).collect(),
    };
    for SinkPlan { spec, feed } in sinks {
        let settled = spec.mode == Mode::Final;
        let handle = match feed {
            Feed::Output { stage, output } => {
                let input = SinkInput::Rows(stages[stage].plan.outputs[output].clone());
                let (handle, senders) = SinkHandle::start(spec, input, Arc::clone(names), workers)?;
                for (outlets, sender) in outputs.outlets.iter_mut().zip(senders) {
                    outlets.push(Outlet {
                        stage,
                        output,
                        settled,
                        sender,
                    });
                }
                handle
            }
            Feed::Late(source) => {
                let input = SinkInput::Batches(sources[source].declared.schema());
                let (handle, senders) = SinkHandle::start(spec, input, Arc::clone(names), 1)?;
                outputs.raw[source].late.extend(senders);
                handle
            }
            Feed::Rejects(source) => {
                let input = SinkInput::Batches(reject_schema());
                let (handle, mut senders) =
                    SinkHandle::start(spec, input, Arc::clone(names), workers + 1)?;
                outputs.raw[source].rejects.extend(senders.pop());
                for (rejects, sender) in outputs.rejects.iter_mut().zip(senders) {
                    rejects[source].push(sender);
                }
                handle
            }
        };
        watch.add_sink(handle.name(), handle.written());
        outputs.handles.push(handle);
    }
    Ok(outputs)
}
