//! What a trigger's rows say.

use tidegate_schemas::fact::NULL;
use tidegate_schemas::names::stable_hash;
use tidegate_schemas::time::EventTime;

use super::{ACTION, ARM, Arm, CLOSED_AT, EVENT_ID, FIRED_AT, REASONS, SEGMENT, STATE, Trigger};
use crate::logic::Outputs;

/// A firing, as its row tells it.
#[derive(Clone, Copy)]
pub(super) struct Firing<'a> {
    pub(super) event: Option<u64>,
    pub(super) at: EventTime,
    pub(super) closed: Option<EventTime>,
    pub(super) segment: i64,
    pub(super) reasons: &'a [i64],
}

impl<'a> Firing<'a> {
    /// The opening of an episode.
    pub(super) fn of_episode(at: EventTime, segment: i64, reasons: &'a [i64]) -> Firing<'a> {
        Firing {
            event: None,
            at,
            closed: None,
            segment,
            reasons,
        }
    }
}

impl Trigger {
    /// A firing begins: both outputs say so.
    pub(super) fn announce(&self, firing: Firing<'_>, out: &mut Outputs) {
        for output in [self.spec.firings, self.spec.episodes]
            .into_iter()
            .flatten()
        {
            self.emit(output, firing, 1, out);
        }
    }

    /// An episode ends at `at`: its row is taken back and comes again with its end. Answers from when on its cooldown
    /// goes on to run.
    pub(super) fn close(
        &self,
        firing: Firing<'_>,
        at: EventTime,
        out: &mut Outputs,
    ) -> Option<EventTime> {
        if let Some(output) = self.spec.episodes {
            self.emit(output, firing, -1, out);
            let closed = Some(at);
            self.emit(output, Firing { closed, ..firing }, 1, out);
        }
        (at - firing.at < self.cooldown).then_some(firing.at)
    }

    fn emit(&self, output: usize, firing: Firing<'_>, diff: i32, out: &mut Outputs) {
        let arm = match &self.spec.holdout {
            Some(holdout) => holdout.arm(stable_hash(out.key())),
            None => Arm::Treated,
        };
        let state = match (firing.event, firing.closed) {
            (Some(_), _) => self.fired,
            (None, None) => self.opened,
            (None, Some(_)) => self.closed,
        };
        let columns = out.begin(output, firing.closed.unwrap_or(firing.at), diff);
        columns[EVENT_ID].push(firing.event.map_or(NULL, |id| id as i64));
        columns[FIRED_AT].push(firing.at.0);
        columns[CLOSED_AT].push(firing.closed.map_or(NULL, |at| at.0));
        columns[STATE].push(state);
        columns[SEGMENT].push(firing.segment);
        columns[ARM].push(match arm {
            Arm::Treated => self.treated,
            Arm::HeldOut => self.held_out,
        });
        columns[ACTION].push(match arm {
            Arm::Treated => self.spec.action.unwrap_or(NULL),
            Arm::HeldOut => NULL,
        });
        for (column, word) in columns[REASONS..].iter_mut().zip(firing.reasons) {
            column.push(*word);
        }
    }
}
