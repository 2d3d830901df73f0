//! What a worker's dataflow counts of the journeys of all keys.

use std::sync::Arc;

use tidegate_operators::driver::{Emission, Firing as Fires};
use tidegate_operators::journeys::accuracy::{Predictor, Scores};
use tidegate_operators::journeys::dataflow::{accuracy, aside, holdout, transitions};
use tidegate_operators::journeys::holdout::HoldOut;
use tidegate_operators::journeys::spec::Firing;
use tidegate_operators::journeys::transitions::Transitions;
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::{EventTime, Tick};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::vec::Map;

use crate::compile::{JourneysPlan, What};

/// The rows of an output, by its index.
type Counts<'scope> = Vec<(usize, StreamVec<'scope, Tick, Rows>)>;

/// Takes the steps of journeys out of what keys put out: answers the rest, and what is counted of them.
pub(super) fn counted<'scope>(
    plan: &JourneysPlan,
    names: &Arc<Names>,
    fires: Fires,
    emissions: StreamVec<'scope, Tick, Emission>,
    watermarks: &StreamVec<'scope, Tick, EventTime>,
) -> (StreamVec<'scope, Tick, Emission>, Counts<'scope>) {
    if plan.counted.is_empty() {
        return (emissions, Vec::new());
    }
    let [rest, inner] = aside(emissions, plan.outputs.clone());
    // On the watermark every row is settled.
    let rows = |output: Option<usize>, firing: Firing| {
        let live = fires == Fires::OnArrival && firing == Firing::Changes;
        inner.clone().flat_map(move |emission: Emission| {
            let rows = if live {
                emission.live
            } else {
                emission.settled
            };
            let rows = output.and_then(|output| rows.into_iter().nth(output));
            rows.filter(|rows| !rows.is_empty())
        })
    };
    let streams = plan.counted.iter().map(|counted| {
        let spec = &plan.specs[counted.journey];
        let (watermarks, names) = (watermarks.clone(), || Arc::clone(names));
        let stream = match counted.what {
            What::Transitions(firing) => {
                let moves = rows(spec.moves, firing);
                transitions(moves, watermarks, Transitions::new(firing))
            }
            What::Accuracy(firing) => {
                // A prediction is not made again: it waits for what is settled, whenever its rows leave.
                let steps = rows(spec.steps, Firing::Final);
                let predictor = Predictor::new(spec.order, names());
                accuracy(
                    steps,
                    watermarks,
                    predictor,
                    Scores::new(firing, spec.order),
                )
            }
            What::HoldOut(split) => {
                let paths = rows(spec.paths, Firing::Final);
                holdout(paths, watermarks, HoldOut::new(spec.order, split, names()))
            }
        };
        (counted.output, stream)
    });
    (rest, streams.collect())
}
