//! Drift: how far the facts of each tumbling window are from a frozen reference, per monitor.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use tidegate_schemas::fact::FactBlock;
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::{EventTime, Tick};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::{Broadcast, Map};

use self::ledger::Ledger;
use self::spec::DriftSpec;
use self::tally::{Delta, Tally};

pub mod ledger;
pub mod spec;
pub mod tally;
#[cfg(test)]
mod tests;

/// The columns of a row.
const COLUMNS: usize = 7;

/// The measures of every monitor in every window against the reference, as a collection of rows.
pub fn drift<'scope, B>(
    facts: StreamVec<'scope, Tick, B>,
    watermarks: StreamVec<'scope, Tick, EventTime>,
    spec: DriftSpec,
) -> StreamVec<'scope, Tick, Rows>
where
    B: Borrow<FactBlock> + Clone + 'static,
{
    let (worker, workers) = (watermarks.scope().index(), watermarks.scope().peers());
    let watermarks = watermarks.map(move |at| (worker, at)).broadcast();
    let by_monitor = Exchange::new(|delta: &Delta| u64::from(delta.monitor));
    let deltas = count(facts, &spec);
    deltas.binary_frontier(watermarks, by_monitor, Pipeline, "Drift", move |_, _| {
        let mut ledger = Ledger::new(spec);
        let mut clock = Clock::new(workers);
        let mut pending = BTreeMap::new();
        move |(deltas, deltas_to_come), (watermarks, watermarks_to_come), output| {
            deltas.for_each_stamp(|capability, data| {
                let tick = Pending::of(&mut pending, capability.retain_least(0));
                data.for_each(|deltas| tick.deltas.append(deltas));
            });
            watermarks.for_each_stamp(|capability, data| {
                let tick = Pending::of(&mut pending, capability.retain_least(0));
                data.for_each(|watermarks| tick.watermarks.append(watermarks));
            });
            while let Some(first) = pending.first_entry() {
                let tick = first.key();
                if deltas_to_come.less_equal(tick) || watermarks_to_come.less_equal(tick) {
                    break;
                }
                let tick = first.remove();
                let mut rows = Rows::new(COLUMNS);
                tick.deltas
                    .into_iter()
                    .for_each(|delta| ledger.apply(delta));
                ledger.close(clock.advance(&tick.watermarks), &mut rows);
                if !rows.is_empty() {
                    output.session(&tick.capability).give(rows);
                }
            }
        }
    })
}

/// Counts the facts of each worker where they are, so that only counts travel.
fn count<'scope, B>(
    facts: StreamVec<'scope, Tick, B>,
    spec: &DriftSpec,
) -> StreamVec<'scope, Tick, Delta>
where
    B: Borrow<FactBlock> + Clone + 'static,
{
    let mut tally = Tally::new(spec);
    facts.unary(Pipeline, "DriftCounts", move |_, _| {
        move |input, output| {
            input.for_each_stamp(|capability, data| {
                data.flatten()
                    .for_each(|block| tally.add((*block).borrow()));
                let mut session = output.session(&capability);
                tally.drain(|delta| session.give(delta));
            });
        }
    })
}

/// What has come of a tick that is not complete. It is held under the tick's capability, since the
/// rows leave at that tick.
struct Pending {
    capability: Capability<Tick>,
    deltas: Vec<Delta>,
    watermarks: Vec<(usize, EventTime)>,
}

impl Pending {
    fn of(
        ticks: &mut BTreeMap<Tick, Pending>,
        capability: Option<Capability<Tick>>,
    ) -> &mut Pending {
        let capability = capability.expect("facts and watermarks come at a tick");
        ticks.entry(*capability.time()).or_insert_with(|| Pending {
            capability,
            deltas: Vec::new(),
            watermarks: Vec::new(),
        })
    }
}

/// The watermark of all workers: the least of the latest that each has said.
struct Clock {
    latest: Vec<EventTime>,
}

impl Clock {
    fn new(workers: usize) -> Clock {
        Clock {
            latest: vec![EventTime::MIN; workers],
        }
    }

    fn advance(&mut self, said: &[(usize, EventTime)]) -> EventTime {
        for (worker, at) in said {
            self.latest[*worker] = self.latest[*worker].max(*at);
        }
        self.latest.iter().copied().min().unwrap_or(EventTime::MIN)
    }
}
