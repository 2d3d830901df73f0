//! Retraining: when a model is to be trained again, from the alerts of drift, the age of the model and
//! the rows that came.
//!
//! [`spec`] is what a job declares, [`alert`] what is read of alerts, [`desk`] what is kept and decided: a pure state
//! machine. Here it is put into a dataflow, where each model has an owner.
//!
//! # When
//! Event time goes in steps (a job's are minutes); requests come at their boundaries. Let `last` be the last request
//! (before the first one: `since`, if it is given), and let nothing be asked before `last` + `cooldown`. Then the next
//! request is the earliest of these, the first of them where they fall together:
//!
//! - **drift**: an alert that opened after `last` and is still open once the cooldown is over. An alert is known when
//!   it opens, and not before its reference is complete. Of several, that which was known first; all
//!   that are known by then are spoken for, so that an alert asks at most once.
//! - **rows**: the end of the step in which the count of rows since `last` is full.
//! - **age**: the first step, `max_age` after `last` (or after the first row) or later, in which a row comes: without new
//!   rows there is nothing new to be trained on.
//!
//! Nothing is asked for a moment that event time has not come to: that of the newest row, or of an alert.
//! So requests are a function of alerts, rows and settings, and of nothing else.

use std::borrow::Borrow;

use tidegate_schemas::fact::FactBlock;
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::{EventTime, Tick};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Concat, Concatenate};

use self::alert::Item;
use self::desk::Desk;
use crate::drift::Drift;
use crate::ticks;

pub mod alert;
pub mod desk;
pub mod spec;
#[cfg(test)]
mod tests;

/// The requests to train a model again, as a collection of rows.
///
/// # Reads
/// `facts`: accepted facts, each with its difference, in any order and on any worker. `drifts`: those of the spec, in
/// their order, of its firing. `watermarks` as [`drift`](crate::drift::drift) does.
///
/// `desk`: a new one, or what all workers together had saved after a tick, joined, to go on from. `route` says which
/// worker owns it.
///
/// # Emits
/// Rows as [`spec::RetrainSpec::output`] describes them, on one worker, when a tick is complete on all workers: with
/// [`Firing::Final`](crate::drift::spec::Firing) each once, when the watermark has passed its time, else those that are so as of
/// the tick.
///
/// # State
/// That of [`Desk`], on the worker that owns it; before that, the counts of open ticks.
pub fn retrain<'scope, B>(
    facts: StreamVec<'scope, Tick, B>,
    drifts: Vec<Drift<'scope>>,
    watermarks: StreamVec<'scope, Tick, EventTime>,
    mut desk: Desk,
    route: u64,
) -> StreamVec<'scope, Tick, Rows>
where
    B: Borrow<FactBlock> + Clone + 'static,
{
    let (scope, spec) = (watermarks.scope(), desk.spec().clone());
    if scope.index() as u64 != route % scope.peers() as u64 {
        desk.clear();
    }
    let counted = {
        let spec = spec.clone();
        facts.unary(Pipeline, "RetrainCounts", move |_, _| {
            move |facts, output| {
                facts.for_each_stamp(|stamp, data| {
                    let mut counts = spec.counts();
                    data.flatten()
                        .for_each(|block| counts.add((*block).borrow()));
                    let mut session = output.session(&stamp);
                    counts.items().for_each(|item| session.give(item));
                });
            }
        })
    };
    let alerts = drifts.into_iter().enumerate().map(|(place, drift)| {
        let (opened, closed) = (spec.clone(), spec.clone());
        let opened = drift
            .alerts
            .flat_map(move |rows| opened.changes(place, &rows));
        let closed = drift
            .closed
            .flat_map(move |rows| closed.closings(place, &rows));
        opened.concat(closed)
    });
    let items = scope.concatenate(alerts.chain([counted]));
    ticks::whole(
        items,
        watermarks,
        "Retrain",
        move |_: &Item| route,
        move |items, at| desk.close(items, at),
    )
}
