//! From the steps of keys to counts over all of them: the operators behind the keyed driver.

use std::ops::Range;

use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::{EventTime, Tick};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::generic::{Operator, OutputBuilder};
use timely::dataflow::operators::vec::Map;

use super::accuracy::{Predictor, Score, Scores, Step};
use super::holdout::{HoldOut, Path};
use super::transitions::{Delta, Tally, Transitions};
use crate::driver::Emission;
use crate::ticks;

/// The worker-independent number by which a kind has its owner.
fn owner(kind: i64) -> u64 {
    // Codes are hashes already.
    kind as u64
}

/// Whether a kind is owned by a worker.
fn owned(kind: i64, worker: usize, workers: usize) -> bool {
    owner(kind) % workers as u64 == worker as u64
}

/// Takes the rows of some outputs out of emissions: answers the emissions without them, and one
/// with nothing but them.
pub fn aside<'scope>(
    emissions: StreamVec<'scope, Tick, Emission>,
    outputs: Range<usize>,
) -> [StreamVec<'scope, Tick, Emission>; 2] {
    let mut builder = OperatorBuilder::new("Aside".to_owned(), emissions.scope());
    let mut input = builder.new_input(emissions, Pipeline);
    let (rest, rest_stream) = builder.new_output::<Vec<Emission>>();
    let (taken, taken_stream) = builder.new_output::<Vec<Emission>>();
    let (mut rest, mut taken) = (OutputBuilder::from(rest), OutputBuilder::from(taken));
    builder.build(move |_| {
        move |_| {
            let (mut rest, mut taken) = (rest.activate(), taken.activate());
            input.for_each_stamp(|stamp, data| {
                let stamps = stamp.retain_least(0).zip(stamp.retain_least(1));
                let Some((for_rest, for_taken)) = stamps else {
                    return;
                };
                let (mut rest, mut taken) = (rest.session(&for_rest), taken.session(&for_taken));
                for mut emission in data.flat_map(|emissions| emissions.drain(..)) {
                    let (live, settled) = (&mut emission.live, &mut emission.settled);
                    let [live, settled] = [live, settled].map(|rows| take(rows, &outputs));
                    taken.give(Emission {
                        tick: emission.tick,
                        whole: emission.whole,
                        live,
                        settled,
                    });
                    rest.give(emission);
                }
            });
        }
    });
    [rest_stream, taken_stream]
}

/// The rows of these outputs, the others empty; without outputs, nothing.
fn take(rows: &mut [Rows], outputs: &Range<usize>) -> Vec<Rows> {
    let mut taken = vec![Rows::default(); rows.len()];
    for (rows, taken) in rows
        .iter_mut()
        .zip(&mut taken)
        .take(outputs.end)
        .skip(outputs.start)
    {
        let empty = Rows::new(rows.columns.len());
        *taken = std::mem::replace(rows, empty);
    }
    taken
}

/// How often each kind follows each.
///
/// # Reads
/// `moves`: rows of [`super::spec::MOVES`] on any worker; live ones are followed, row by row.
/// `watermarks`: said by every worker, in every tick in which its watermark moves; it is [`EventTime::MAX`] when the
/// input is over. `counts`: none, or what all workers together had saved, joined, to go on from.
///
/// # Emits
/// What [`Transitions`] says, when a tick is complete on all workers.
///
/// # State
/// That of [`Transitions`], on the worker that owns `from`; before that, the counts of open ticks.
pub fn transitions<'scope>(
    moves: StreamVec<'scope, Tick, Rows>,
    watermarks: StreamVec<'scope, Tick, EventTime>,
    mut counts: Transitions,
) -> StreamVec<'scope, Tick, Rows> {
    let (worker, workers) = (moves.scope().index(), moves.scope().peers());
    counts.retain(|from| owned(from, worker, workers));
    let mut tally = Tally::default();
    let deltas = moves.unary(Pipeline, "Moves", move |_, _| {
        move |input, output| {
            input.for_each_stamp(|stamp, data| {
                data.flatten().for_each(|rows| tally.add(rows));
                let mut session = output.session(&stamp);
                tally.drain().for_each(|delta| session.give(delta));
            });
        }
    });
    let owner = |delta: &Delta| owner(delta.from);
    ticks::whole(
        deltas,
        watermarks,
        "Transitions",
        owner,
        move |deltas, at| {
            deltas.into_iter().for_each(|delta| counts.apply(delta));
            counts.close(at)
        },
    )
}

/// How well each step is predicted by those before it.
///
/// # Reads
/// `steps`: rows of [`super::spec::STEPS`], settled ones. `watermarks` as [`transitions`] does: all steps
/// of later ticks are at or after it. `predictor` and `scores`: new, or what was saved, joined.
///
/// # Emits
/// What [`Scores`] says, on one worker, when a tick is complete on all of them.
///
/// # State
/// That of [`Predictor`], on the worker that owns the newest kind before a step, and of [`Scores`] on the
/// first worker.
pub fn accuracy<'scope>(
    steps: StreamVec<'scope, Tick, Rows>,
    watermarks: StreamVec<'scope, Tick, EventTime>,
    mut predictor: Predictor,
    mut scores: Scores,
) -> StreamVec<'scope, Tick, Rows> {
    let (worker, workers) = (steps.scope().index(), steps.scope().peers());
    predictor.retain(|kind| owned(kind, worker, workers));
    if worker != 0 {
        scores.clear();
    }
    let steps = steps.flat_map(|rows| Step::of(&rows).collect::<Vec<_>>());
    let owner = |step: &Step| owner(step.before[0]);
    let predicted = ticks::whole(
        steps,
        watermarks.clone(),
        "Predictions",
        owner,
        move |steps, at| predictor.tick(steps, at),
    );
    let first = |_: &Vec<Score>| 0;
    ticks::whole(predicted, watermarks, "Scores", first, move |all, at| {
        all.iter().for_each(|part| scores.add(part));
        scores.close(at)
    })
}

/// How well journeys are predicted by earlier ones.
///
/// # Reads
/// `paths`: rows of [`super::spec::PATHS`], settled ones. `watermarks` as [`transitions`] does. `journeys`: none, or
/// those that were saved, which the first worker takes.
///
/// # Emits
/// What [`HoldOut`] says, on one worker, when the input is over.
///
/// # State
/// That of [`HoldOut`], on the first worker.
pub fn holdout<'scope>(
    paths: StreamVec<'scope, Tick, Rows>,
    watermarks: StreamVec<'scope, Tick, EventTime>,
    mut journeys: HoldOut,
) -> StreamVec<'scope, Tick, Rows> {
    if paths.scope().index() != 0 {
        journeys.clear();
    }
    let paths = paths.flat_map(|rows| Path::of(&rows).collect::<Vec<_>>());
    let first = |_: &Path| 0;
    ticks::whole(paths, watermarks, "HoldOut", first, move |paths, at| {
        journeys.tick(paths, at)
    })
}
