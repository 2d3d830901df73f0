//! The driver's promise: whatever the order, the batches, the firing and the number of workers, the
//! rows add up to what a plain loop over the sorted facts of each key puts out.

mod changed_limits;
mod entity;
pub(crate) mod history;
mod save;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use tidegate_schemas::fact::{Fact, FactBlock, Head};
use tidegate_schemas::names::KeyHash;
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::{EventTime, Span, Tick};
use timely::dataflow::operators::capture::Capture;
use timely::dataflow::operators::{Input, Inspect};

use super::{Arrivals, Driver, Emission, Firing, Gauge, Keyed, Settings};
use crate::bed::{by_build, play, seeds};
use crate::codec::{CodecError, Reader, Writer};
use crate::logic::{Logic, Outputs, Wake};
use crate::parcel::{Content, Known, Parcel, Pending, owner_of};

const WINDOW: Span = Span(10);
const LATENESS: i64 = 20;

/// Counts the facts of the last ten moments: a row at each instant, and a row at each expiry.
struct Toy;

impl Logic for Toy {
    type State = Vec<(EventTime, i64)>;

    fn on_fact(&self, state: &mut Self::State, fact: &Fact<'_>, _: &mut Outputs) {
        state.push((fact.at, fact.words[0]));
    }

    fn on_instant(&self, state: &mut Self::State, at: EventTime, out: &mut Outputs) {
        state.retain(|(t, _)| t.plus(WINDOW) > at);
        let columns = out.begin(0, at, 1);
        columns[0].push(state.len() as i64);
        // The order of facts shows here.
        columns[1].push(state.iter().fold(0, |sum, (_, word)| sum * 31 + word));
    }

    fn on_timer(&self, state: &mut Self::State, at: EventTime, out: &mut Outputs) {
        state.retain(|(t, _)| t.plus(WINDOW) > at);
        let columns = out.begin(0, at, 1);
        columns[0].push(-(state.len() as i64));
        columns[1].push(0);
    }

    fn wake(&self, state: &Self::State) -> Wake {
        state
            .first()
            .map_or(Wake::Forget, |(at, _)| Wake::At(at.plus(WINDOW)))
    }

    fn encode(&self, _: &Self::State, _: &mut Writer) {}

    fn decode(&self, _: &mut Reader<'_>) -> Result<Self::State, CodecError> {
        Ok(Vec::new())
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Event {
    key: String,
    at: i64,
    id: u64,
    word: i64,
    diff: i32,
}

/// How often each row is there: output, key, time, words.
type Collection = BTreeMap<(usize, String, i64, Vec<i64>), i64>;

fn add(to: &mut Collection, outputs: &[Rows]) {
    for (output, rows) in outputs.iter().enumerate() {
        for (row, head) in rows.heads.iter().enumerate() {
            let words = rows.columns.iter().flat_map(|c| c.row(row).to_vec());
            let key = rows.keys.get(row).to_owned();
            let entry = to.entry((output, key, head.at.0, words.collect()));
            *entry.or_default() += i64::from(head.diff);
        }
    }
    to.retain(|_, count| *count != 0);
}

/// Adds what is live and what is settled.
fn gather((live, settled): &mut (Collection, Collection), emission: &Emission) {
    add(live, &emission.live);
    add(settled, &emission.settled);
}

/// A plain loop over each key's sorted facts.
fn oracle(events: &[Event]) -> Collection {
    let mut keys: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in events.iter().filter(|e| e.diff > 0) {
        let taken_back = events
            .iter()
            .any(|e| e.diff < 0 && e.key == event.key && e.id == event.id);
        if !taken_back {
            keys.entry(&event.key).or_default().push(event);
        }
    }
    let mut all = Collection::new();
    for (key, mut facts) in keys {
        facts.sort_by_key(|e| (e.at, e.id));
        let (first, last) = (facts[0].at, facts[facts.len() - 1].at);
        let within = |t: i64| {
            facts
                .iter()
                .filter(move |e| t - WINDOW.0 < e.at && e.at <= t)
        };
        for t in first..=last + WINDOW.0 {
            if facts.iter().any(|e| e.at + WINDOW.0 == t) {
                let before = within(t).filter(|e| e.at < t).count() as i64;
                *all.entry((0, key.to_owned(), t, vec![-before, 0]))
                    .or_default() += 1;
            }
            if facts.iter().any(|e| e.at == t) {
                let fold = within(t).fold(0, |sum, e| sum * 31 + e.word);
                let count = within(t).count() as i64;
                *all.entry((0, key.to_owned(), t, vec![count, fold]))
                    .or_default() += 1;
            }
        }
    }
    all
}

/// Random events, a few taken back soon after, in an arrival order that keeps to the lateness; and
/// rows that were left out, some of keys and times that nothing else has.
fn random_events(random: &mut StdRng) -> Vec<Event> {
    let count = random.random_range(1..60);
    let mut events: Vec<(i64, Event)> = Vec::new();
    for id in 0..count {
        let at = random.random_range(0..80);
        let key = format!("k{}", random.random_range(0..3));
        let event = Event {
            key,
            at,
            id,
            word: random.random_range(0..9),
            diff: 1,
        };
        let arrival = at + random.random_range(0..LATENESS / 2);
        if random.random_range(0..8) == 0 {
            let back = Event {
                diff: -1,
                ..event.clone()
            };
            events.push((arrival + random.random_range(0..LATENESS / 2 - 1), back));
        }
        if random.random_range(0..8) == 0 {
            let left_out = Event {
                key: format!("k{}", random.random_range(0..5)),
                at: random.random_range(-100..200),
                diff: 0,
                ..event.clone()
            };
            events.push((arrival, left_out));
        }
        events.push((arrival, event));
    }
    events.shuffle(random);
    events.sort_by_key(|(arrival, event)| (*arrival, event.diff < 0));
    events.into_iter().map(|(_, event)| event).collect()
}

fn block<const N: usize>(
    events: &[Event],
    bits: fn(&Event) -> u64,
    words: fn(&Event) -> [i64; N],
) -> FactBlock {
    let mut block = FactBlock::new(N);
    for event in events {
        let known = block.keys.names.iter().position(|name| name == event.key);
        // A block may hold a key twice.
        let key = match known.filter(|_| event.id % 5 > 0) {
            Some(key) => key as u32,
            None => block.own_keys().push(KeyHash::of(&event.key), &event.key),
        };
        let head = Head {
            key,
            diff: event.diff,
            at: EventTime(event.at),
            id: event.id,
            bits: bits(event),
        };
        block.push(head, &words(event));
    }
    block
}

fn toy_block(events: &[Event]) -> FactBlock {
    block(events, |_| 0, |event| [event.word])
}

/// The rows of a block in two that share its keys, those of an id in one of them.
fn in_two(block: &FactBlock) -> Vec<Arc<FactBlock>> {
    let part = |odd: u64| {
        let mut part = FactBlock::new(block.stride);
        part.keys = Arc::clone(&block.keys);
        let rows = block.heads.iter().enumerate();
        for (row, head) in rows.filter(|(_, head)| head.id % 2 == odd) {
            part.push(*head, block.words(row));
        }
        Arc::new(part)
    };
    vec![part(0), part(1)]
}

/// Cuts events into ticks, each with the watermark after it.
fn ticks(events: &[Event], random: &mut StdRng) -> Vec<(Vec<Event>, EventTime)> {
    let mut ticks = Vec::new();
    let mut newest = i64::MIN + LATENESS;
    let mut rest = events;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(random.random_range(1..=rest.len().min(8)));
        let present = now.iter().filter(|e| e.diff != 0);
        newest = present.map(|e| e.at).fold(newest, i64::max);
        ticks.push((now.to_vec(), EventTime(newest - LATENESS)));
        rest = later;
    }
    ticks.push((Vec::new(), EventTime::MAX));
    ticks
}

fn settings(firing: Firing, columns: &[usize]) -> Settings {
    Settings {
        firing,
        columns: columns.to_vec(),
        gauge: Arc::new(Gauge::default()),
    }
}

/// Gives a driver what comes in a tick. No key of a whole emission is in another one.
fn give<L: Logic>(
    driver: &mut Driver<L>,
    tick: Tick,
    arrivals: Arrivals,
    found: &mut (Collection, Collection),
) {
    let (mut whole, mut others) = (BTreeSet::new(), BTreeSet::new());
    driver.tick(tick, arrivals, |emission| {
        let keys = |rows: &Rows| -> Vec<String> {
            (0..rows.len())
                .map(|row| rows.keys.get(row).to_owned())
                .collect()
        };
        let keys: BTreeSet<String> = emission.live.iter().flat_map(keys).collect();
        assert!(whole.is_disjoint(&keys), "tick {tick}: {keys:?}");
        assert!(
            !emission.whole || others.is_disjoint(&keys),
            "tick {tick}: {keys:?}"
        );
        match emission.whole {
            true => whole.extend(keys),
            false => others.extend(keys),
        }
        gather(found, &emission);
    });
}

/// Gives a driver what comes, tick by tick: its live and settled rows, and how many keys it holds in the end.
fn alone<L: Logic>(
    logic: L,
    columns: &[usize],
    firing: Firing,
    arrivals: impl Iterator<Item = Arrivals>,
) -> (Collection, Collection, u64) {
    let settings = settings(firing, columns);
    let gauge = Arc::clone(&settings.gauge);
    let mut driver = Driver::new(logic, settings);
    let mut found = (Collection::new(), Collection::new());
    for (tick, arrivals) in (0..).zip(arrivals) {
        give(&mut driver, tick, arrivals, &mut found);
    }
    (found.0, found.1, gauge.keys())
}

fn run_alone(ticks: &[(Vec<Event>, EventTime)], firing: Firing) -> (Collection, Collection, u64) {
    let arrivals = ticks.iter().map(|(events, watermark)| Arrivals {
        facts: in_two(&toy_block(events)),
        watermark: Some(*watermark),
        ..Arrivals::default()
    });
    alone(Toy, &[2], firing, arrivals)
}

#[test]
fn any_order_and_any_batches_give_the_rows_of_a_plain_loop() {
    for seed in seeds(by_build(1_000, 10_000)) {
        let mut random = StdRng::seed_from_u64(seed);
        let events = random_events(&mut random);
        let ticks = ticks(&events, &mut random);
        let expected = oracle(&events);
        let (live, settled, keys) = run_alone(&ticks, Firing::OnArrival);
        assert_eq!(live, expected, "live rows, seed {seed}");
        assert_eq!(settled, expected, "settled rows, seed {seed}");
        assert_eq!(keys, 0, "keys left behind, seed {seed}");
        let (live, settled, keys) = run_alone(&ticks, Firing::OnWatermark);
        assert_eq!((live, keys), (Collection::new(), 0), "seed {seed}");
        assert_eq!(settled, expected, "rows on the watermark, seed {seed}");
    }
}

fn run_workers(
    ticks: &[(Vec<Event>, EventTime)],
    firing: Firing,
    workers: usize,
) -> (Collection, Collection) {
    let script = ticks.to_vec();
    let found = play::run(workers, ticks.len(), move |worker, out| {
        let (index, peers) = (worker.index(), worker.peers());
        let mut input = worker.dataflow::<u64, _, _>(|scope| {
            let (input, stream) = scope.new_input::<Vec<Parcel>>();
            stream
                .keyed(Toy, settings(firing, &[2]))
                .0
                .capture_into(out);
            input
        });
        for (tick, (events, watermark)) in script.iter().enumerate() {
            if tick % peers == index {
                for to in 0..peers {
                    let owned: Vec<Event> = events
                        .iter()
                        .filter(|e| owner_of(KeyHash::of(&e.key).hash, peers) == to)
                        .cloned()
                        .collect();
                    input.send(Parcel {
                        to,
                        content: Content::Facts(Arc::new(toy_block(&owned))),
                    });
                    input.send(Parcel {
                        to,
                        content: Content::Watermark(*watermark),
                    });
                }
            }
            input.advance_to(tick as u64 + 1);
            worker.step();
        }
    });
    let mut all = (Collection::new(), Collection::new());
    for emission in found.iter().flatten() {
        gather(&mut all, emission);
    }
    all
}

#[test]
fn others_see_the_facts_that_count_and_the_watermarks() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&seen);
    timely::execute_directly(move |worker| {
        let mut input = worker.dataflow::<u64, _, _>(|scope| {
            let (input, stream) = scope.new_input::<Vec<Parcel>>();
            let (_, contents) = stream.keyed(Toy, settings(Firing::OnWatermark, &[2]));
            contents.inspect(move |content| {
                let told = match content {
                    Content::Facts(block) => block.heads.iter().map(|h| (h.at.0, h.diff)).collect(),
                    Content::Watermark(at) => vec![(at.0, 99)],
                    other => panic!("{other:?}"),
                };
                shared.lock().unwrap().push(told);
            });
            input
        });
        let event = |at, id| Event {
            key: "a".to_owned(),
            at,
            id,
            word: 0,
            diff: 1,
        };
        let (batch, rows) = (7, vec![0]);
        let block = toy_block(&[event(5, 1), event(6, 2)]);
        // It comes first, and its number is greater.
        let later = Pending {
            batch: 8,
            block: toy_block(&[event(4, 3)]),
        };
        let all = [
            Content::Pending(later),
            Content::Watermark(EventTime(9)),
            Content::Known(Known { batch, rows }),
            Content::Pending(Pending { batch, block }),
        ];
        all.into_iter()
            .for_each(|content| input.send(Parcel { to: 0, content }));
    });
    let seen = seen.lock().unwrap();
    assert_eq!(*seen, [vec![(5, 0), (6, 1)], vec![(4, 1)], vec![(9, 99)]]);
}

#[test]
fn one_to_four_workers_give_the_same_rows() {
    for seed in 0..40 {
        let mut random = StdRng::seed_from_u64(seed);
        let events = random_events(&mut random);
        let ticks = ticks(&events, &mut random);
        let expected = oracle(&events);
        let workers = 1 + seed as usize % 4;
        let (live, settled) = run_workers(&ticks, Firing::OnArrival, workers);
        assert_eq!(
            (&live, &settled),
            (&expected, &expected),
            "seed {seed}, {workers} workers"
        );
        let (_, settled) = run_workers(&ticks, Firing::OnWatermark, workers);
        assert_eq!(settled, expected, "seed {seed}, {workers} workers");
    }
}
