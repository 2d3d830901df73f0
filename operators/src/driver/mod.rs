//! The keyed driver: the one operator that owns exchange, order, frontier, timers and corrections.
//!
//! It brings every fact to the worker that owns its key, waits until a tick is complete, and steps
//! the key's logic ([`crate::logic`]) in one of two ways ([`Firing`]).
//!
//! # Reads
//! Parcels: facts (any order; diff −1 takes one back while it is not older than the watermark), which
//! of them do not count because their ids are known, rows of broadcast tables (every worker must be
//! sent each row), and the watermark (every worker must be sent one for each tick that moves it).
//!
//! # Emits
//! An [`Emission`] per tick that has rows, at that tick, or several if there are many. Their rows,
//! added up over all ticks, are what the logic puts out over the set of facts, each key's in (time,
//! id) order, up to the watermark (or, on arrival, up to each key's newest fact).
//!
//! # State
//! Keys that have something to remember, and facts that the watermark has not passed; the two ways of
//! firing, `on_watermark` and `on_arrival`, say what that is.

mod agenda;
mod backlog;
mod briefs;
mod by_slot;
mod difference;
mod kept;
mod names;
mod on_arrival;
mod on_watermark;
mod save;
mod step;
mod store;
mod table;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_schemas::fact::FactBlock;
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::{EventTime, Tick};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::logic::{Logic, Outputs};
use crate::parcel::{Content, Known, Parcel, Pending, TableRow};
use on_arrival::OnArrival;
use on_watermark::OnWatermark;
pub use save::Saved;

/// So many keys or facts ahead memory is touched: what they need lies scattered, and the processor
/// waits for many of them at once as long as for one.
const AHEAD: usize = 16;

/// When the driver puts out rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firing {
    /// At once, corrected later: live jobs.
    OnArrival,
    /// When the watermark has passed them: replays.
    OnWatermark,
}

/// Rows of one tick of one worker.
#[derive(Clone, Debug, Default)]
pub struct Emission {
    /// The tick.
    pub tick: Tick,
    /// Whether no other emission of the tick has rows of the same keys in `live`.
    pub whole: bool,
    /// Changes of every output, by output.
    pub live: Vec<Rows>,
    /// Rows that nothing can change any more. Firing on the watermark these are all there are, and
    /// `live` is empty.
    pub settled: Vec<Rows>,
}

/// What the drivers of all workers hold, for those who watch them.
#[derive(Debug, Default)]
pub struct Gauge {
    keys: AtomicU64,
    bytes: AtomicU64,
}

impl Gauge {
    /// Keys with state.
    pub fn keys(&self) -> u64 {
        self.keys.load(Ordering::Relaxed)
    }

    /// Bytes of slots, table and timers; what states keep on the heap comes on top.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// One driver holds so many keys and bytes now; `before` is what it said last.
    fn hold(&self, before: &mut (u64, u64), now: (u64, u64)) {
        // Sums wrap around, so that a difference may be negative.
        self.keys
            .fetch_add(now.0.wrapping_sub(before.0), Ordering::Relaxed);
        self.bytes
            .fetch_add(now.1.wrapping_sub(before.1), Ordering::Relaxed);
        *before = now;
    }
}

/// How to run a driver.
#[derive(Clone, Debug)]
pub struct Settings {
    /// When to put out rows.
    pub firing: Firing,
    /// The number of columns of each output.
    pub columns: Vec<usize>,
    /// Where to report what is held.
    pub gauge: Arc<Gauge>,
}

/// Steps a logic for every key of a stream of parcels.
pub trait Keyed<'scope> {
    /// Runs `logic` for every key.
    fn keyed<L: Logic>(self, logic: L, settings: Settings) -> Driven<'scope>;
}

/// What a driver puts out: rows, of which the module's documentation says more; and the facts of the worker's
/// keys that count with its watermarks, for others who look at them.
pub type Driven<'scope> = (
    StreamVec<'scope, Tick, Emission>,
    StreamVec<'scope, Tick, Content>,
);

impl<'scope> Keyed<'scope> for StreamVec<'scope, Tick, Parcel> {
    fn keyed<L: Logic>(self, logic: L, settings: Settings) -> Driven<'scope> {
        let mut driver = Driver::new(logic, settings);
        let mut builder = OperatorBuilder::new("Keyed".to_owned(), self.scope());
        let again = self.scope().activator_for(builder.operator_info().address);
        let pact = Exchange::new(|parcel: &Parcel| parcel.to as u64);
        let mut input = builder.new_input(self, pact);
        let (rows, emissions) = builder.new_output::<Vec<Emission>>();
        let (contents, seen) = builder.new_output::<Vec<Content>>();
        let (mut rows, mut contents) = (OutputBuilder::from(rows), OutputBuilder::from(contents));
        builder.build(move |_| {
            let mut stash: BTreeMap<Tick, (Stamps, Arrivals)> = BTreeMap::new();
            let mut under_way = None;
            move |frontiers| {
                input.for_each_stamp(|stamp, data| {
                    let stamps = stamp.retain_least(0).zip(stamp.retain_least(1));
                    let Some(stamps) = stamps else {
                        return;
                    };
                    let (_, arrivals) = stash
                        .entry(*stamps.0.time())
                        .or_insert_with(|| (stamps, Arrivals::default()));
                    data.flat_map(|parcels| parcels.drain(..))
                        .for_each(|p| arrivals.add(p.content));
                });
                let (mut rows, mut contents) = (rows.activate(), contents.activate());
                loop {
                    if under_way.is_none()
                        && let Some(entry) = stash.first_entry()
                        && !frontiers[0].less_equal(entry.key())
                    {
                        let ((for_rows, for_contents), mut arrivals) = entry.remove();
                        arrivals.settle();
                        let mut session = contents.session(&for_contents);
                        let facts = arrivals.facts.iter().cloned().map(Content::Facts);
                        let watermark = arrivals.watermark.map(Content::Watermark);
                        facts
                            .chain(watermark)
                            .for_each(|content| session.give(content));
                        driver.begin(*for_rows.time(), arrivals);
                        under_way = Some(for_rows);
                    }
                    let Some(for_rows) = under_way.take() else {
                        return;
                    };
                    let mut session = rows.session(&for_rows);
                    if !driver.go_on(|emission| session.give(emission)) {
                        // Those who take the rows have their turn first.
                        again.activate();
                        drop(session);
                        under_way = Some(for_rows);
                        return;
                    }
                }
            }
        });
        (emissions, seen)
    }
}

/// What the rows and facts of a tick leave under.
type Stamps = (Capability<Tick>, Capability<Tick>);

/// What came for one tick.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// Facts of keys that the worker owns.
    pub facts: Vec<Arc<FactBlock>>,
    /// Facts of which some may not count.
    pub pending: Vec<Pending>,
    /// Those that do not.
    pub known: Vec<Known>,
    /// Rows of broadcast tables.
    pub tables: Vec<TableRow>,
    /// Where the watermark is now.
    pub watermark: Option<EventTime>,
}

impl Arrivals {
    /// Adds what a parcel holds.
    pub fn add(&mut self, content: Content) {
        match content {
            Content::Facts(block) => self.facts.push(block),
            Content::Pending(facts) => self.pending.push(facts),
            Content::Ids(ids) => panic!("{} ids were not looked up", ids.rows.len()),
            Content::Known(known) => self.known.push(known),
            Content::Tables(rows) => self.tables.extend(rows),
            Content::Watermark(at) => self.watermark = self.watermark.max(Some(at)),
        }
    }

    /// Leaves out the facts that do not count. The others are brought in order of arrival, and those that take
    /// others back come behind all: of two versions of a fact the older one is taken back.
    pub fn settle(&mut self) {
        self.pending.sort_by_key(|pending| pending.batch);
        let batches = self.pending.iter().map(|pending| pending.batch);
        let places: HashMap<u64, usize> = batches.zip(0..).collect();
        for Known { batch, rows } in self.known.drain(..) {
            let heads = &mut self.pending[places[&batch]].block.heads;
            rows.iter().for_each(|row| heads[*row as usize].diff = 0);
        }
        let taken_back = std::mem::take(&mut self.facts);
        let blocks = self.pending.drain(..).map(|pending| pending.block);
        let blocks = blocks.filter(|block| block.heads.iter().any(|head| head.diff != 0));
        self.facts = blocks.map(Arc::new).chain(taken_back).collect();
    }
}

enum Keys<L: Logic> {
    OnArrival(OnArrival<L>),
    OnWatermark(OnWatermark<L>),
}

/// The keys of a worker behind one door, whichever way they fire: what [`Keyed::keyed`] runs.
pub struct Driver<L: Logic> {
    logic: L,
    keys: Keys<L>,
    /// The tick that is under way, and what is left to do of it.
    under_way: (Tick, Arrivals),
    live: Outputs,
    /// Rows of keys of which no others come in the tick.
    whole: Outputs,
    settled: Outputs,
    gauge: Arc<Gauge>,
    /// What the gauge has been told.
    held: (u64, u64),
}

impl<L: Logic> Driver<L> {
    /// A driver without keys.
    #[must_use]
    pub fn new(logic: L, settings: Settings) -> Self {
        let Settings {
            firing,
            columns,
            gauge,
        } = settings;
        let keys = match firing {
            Firing::OnArrival => Keys::OnArrival(OnArrival::new(&columns)),
            Firing::OnWatermark => Keys::OnWatermark(OnWatermark::new()),
        };
        let outputs = || Outputs::new(&columns);
        Driver {
            logic,
            keys,
            under_way: (0, Arrivals::default()),
            live: outputs(),
            whole: outputs(),
            settled: outputs(),
            gauge,
            held: (0, 0),
        }
    }

    /// Works off one tick: [`Driver::begin`] and [`Driver::go_on`] to its end.
    pub fn tick(&mut self, tick: Tick, arrivals: Arrivals, mut emit: impl FnMut(Emission)) {
        self.begin(tick, arrivals);
        while !self.go_on(&mut emit) {}
    }

    /// Begins a tick, whose arrivals are settled. The one before must have come to its end.
    pub fn begin(&mut self, tick: Tick, mut arrivals: Arrivals) {
        debug_assert!(arrivals.pending.is_empty(), "they are settled first");
        let tables = std::mem::take(&mut arrivals.tables);
        let (facts, watermark) = (&arrivals.facts, arrivals.watermark);
        if !tables.is_empty() {
            match &mut self.keys {
                Keys::OnArrival(keys) => {
                    keys.tables(&self.logic, tables, facts, watermark, &mut self.live);
                }
                Keys::OnWatermark(keys) => keys.tables(&self.logic, &tables),
            }
        }
        self.under_way = (tick, arrivals);
    }

    /// Goes on with the tick that is under way: tables first, so that facts meet the thresholds of
    /// their own time; then facts; then the watermark. `emit` gets the rows. Answers whether the tick has come to
    /// its end; before that, when there are many rows that others may take meanwhile.
    pub fn go_on(&mut self, mut emit: impl FnMut(Emission)) -> bool {
        let (logic, live, settled) = (&self.logic, &mut self.live, &mut self.settled);
        let tick = self.under_way.0;
        if let Keys::OnArrival(keys) = &mut self.keys {
            let all = keys.stir(logic, live, &mut self.whole);
            if !self.whole.is_empty() {
                emit(Emission {
                    tick,
                    whole: true,
                    live: self.whole.take(),
                    settled: settled.none(),
                });
            }
            if !all {
                return false;
            }
        }
        let arrivals = std::mem::take(&mut self.under_way.1);
        let (facts, watermark) = (arrivals.facts, arrivals.watermark);
        let (keys, bytes) = match &mut self.keys {
            Keys::OnArrival(keys) => {
                keys.facts(logic, &facts, live);
                if let Some(watermark) = watermark {
                    keys.advance(logic, watermark, live, settled);
                }
                (keys.keys(), keys.bytes())
            }
            Keys::OnWatermark(keys) => {
                let passed = watermark.unwrap_or(EventTime::MIN);
                keys.facts(logic, facts, passed);
                if let Some(watermark) = watermark {
                    keys.advance(logic, watermark, settled);
                }
                (keys.keys(), keys.bytes())
            }
        };
        self.gauge.hold(&mut self.held, (keys as u64, bytes as u64));
        if !live.is_empty() || !settled.is_empty() {
            emit(Emission {
                tick,
                whole: false,
                live: live.take(),
                settled: settled.take(),
            });
        }
        true
    }
}
