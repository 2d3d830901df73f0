//! Ticks worked off as a whole: what operators share that keep counts with an owner.
//!
//! Items go to the worker that owns them and wait there until a tick is complete on all workers; then
//! the owner sees all items of the tick at once, with the watermark of all workers. So what it makes
//! of them need not depend on how they were batched.

use std::collections::BTreeMap;

use tidegate_schemas::time::{EventTime, Tick};
use timely::ExchangeData;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::{Broadcast, Map};

/// Gives the items of each tick to `work` on the worker that `owner` names, and puts out what it
/// answers, at that tick.
///
/// # Reads
/// `watermarks`: what each worker knows after a tick, said by every worker, in every tick in which
/// it moves; what counts is the least that any worker said last.
///
/// # State
/// The items of open ticks.
pub(crate) fn whole<'scope, D, R, Answer>(
    items: StreamVec<'scope, Tick, D>,
    watermarks: StreamVec<'scope, Tick, EventTime>,
    name: &str,
    owner: impl Fn(&D) -> u64 + 'static,
    mut work: impl FnMut(Vec<D>, EventTime) -> Answer + 'static,
) -> StreamVec<'scope, Tick, R>
where
    D: ExchangeData,
    R: Clone + 'static,
    Answer: IntoIterator<Item = R>,
{
    let (worker, workers) = (watermarks.scope().index(), watermarks.scope().peers());
    let watermarks = watermarks.map(move |at| (worker, at)).broadcast();
    let owned = Exchange::new(owner);
    items.binary_frontier(watermarks, owned, Pipeline, name, move |_, _| {
        let mut clock = Clock::new(workers);
        let mut pending = BTreeMap::new();
        move |(items, items_to_come), (watermarks, watermarks_to_come), output| {
            items.for_each_stamp(|capability, data| {
                let tick = Pending::of(&mut pending, capability.retain_least(0));
                data.for_each(|items| tick.items.append(items));
            });
            watermarks.for_each_stamp(|capability, data| {
                let tick = Pending::of(&mut pending, capability.retain_least(0));
                data.for_each(|watermarks| tick.watermarks.append(watermarks));
            });
            while let Some(first) = pending.first_entry() {
                let tick = first.key();
                if items_to_come.less_equal(tick) || watermarks_to_come.less_equal(tick) {
                    break;
                }
                let tick = first.remove();
                let watermark = clock.advance(&tick.watermarks);
                let mut session = output.session(&tick.capability);
                for answer in work(tick.items, watermark) {
                    session.give(answer);
                }
            }
        }
    })
}

/// What has come of a tick that is not complete. It is held under the tick's capability, since what
/// is made of it leaves at that tick.
struct Pending<D> {
    capability: Capability<Tick>,
    items: Vec<D>,
    watermarks: Vec<(usize, EventTime)>,
}

impl<D> Pending<D> {
    fn of(
        ticks: &mut BTreeMap<Tick, Pending<D>>,
        capability: Option<Capability<Tick>>,
    ) -> &mut Pending<D> {
        let capability = capability.expect("items and watermarks come at a tick");
        ticks.entry(*capability.time()).or_insert_with(|| Pending {
            capability,
            items: Vec::new(),
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
