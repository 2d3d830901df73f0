//! The promise as a whole: after every tick the rows are those of the plain computation over what has
//! arrived, whatever the arrival within lateness, the batches, the workers, and what is taken back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, mpsc};

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use tidegate_schemas::fact::{Fact, FactBlock, Head, NULL};
use tidegate_schemas::names::{KeyHash, Names, code_of};
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::{EventTime, Span, Tick};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::Input;
use timely::dataflow::operators::capture::{Capture, Event};
use timely::dataflow::operators::vec::Map;

use super::super::dataflow;
use super::super::oracle::{self, Journey, Row};
use super::*;
use crate::driver::{Emission, Firing as Fires, Gauge, Keyed, Settings};
use crate::parcel::{Content, Parcel, owner_of};

const LATENESS: i64 = 40;
pub(super) const KEYS: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) key: usize,
    pub(super) at: i64,
    pub(super) id: u64,
    pub(super) kind: i64,
}

/// What comes in one tick, and the watermark after it.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) given: Vec<(Given, i32)>,
    watermark: EventTime,
}

/// Everything that is asked, and what comes.
#[derive(Clone, Debug)]
pub(super) struct Case {
    gap: Option<Span>,
    pub(super) order: usize,
    pub(super) split: Split,
    firing: Fires,
    pub(super) names: Arc<Names>,
    pub(super) batches: Vec<Batch>,
}

/// Facts in an order of arrival within lateness, some of them taken back, or replaced by others.
pub(super) fn case(rng: &mut SmallRng) -> Case {
    let (names, _) = named(["k0", "k1", "k2", "k3", "k4"]);
    let kinds = rng.random_range(1..6);
    let span = rng.random_range(1..400);
    let mut facts: Vec<(i64, Given)> = (0..rng.random_range(0..120))
        .map(|id| {
            let at = rng.random_range(0..span);
            let kind = match rng.random_range(0..8) {
                0 => NULL,
                _ => code_of(["k0", "k1", "k2", "k3", "k4"][rng.random_range(0..kinds)]),
            };
            let key = rng.random_range(0..KEYS.len());
            let given = Given { key, at, id, kind };
            (at + rng.random_range(0..=LATENESS), given)
        })
        .collect();
    facts.shuffle(rng);
    facts.sort_by_key(|(arrival, _)| *arrival);
    let mut rest = facts.into_iter().map(|(_, fact)| fact).peekable();
    let largest = [1, 7, 60][rng.random_range(0..3)];
    let corrected = rng.random_bool(0.5);
    let (mut batches, mut standing, mut newest) =
        (Vec::<Batch>::new(), Vec::<Given>::new(), -1_000);
    while rest.peek().is_some() {
        let before = batches.last().map_or(i64::MIN, |batch| batch.watermark.0);
        let mut given: Vec<(Given, i32)> = Vec::new();
        for fact in rest.by_ref().take(rng.random_range(1..=largest)) {
            newest = newest.max(fact.at);
            given.push((fact, 1));
            standing.push(fact);
        }
        for _ in 0..if corrected { rng.random_range(0..3) } else { 0 } {
            let place = rng.random_range(0..standing.len());
            if standing[place].at < before {
                continue;
            }
            let old = standing.swap_remove(place);
            given.push((old, -1));
            if rng.random_bool(0.5) {
                let new = Given {
                    kind: code_of("k4"),
                    at: old.at.max(before) + rng.random_range(0..3),
                    ..old
                };
                newest = newest.max(new.at);
                given.push((new, 1));
                standing.push(new);
            }
            if standing.is_empty() {
                break;
            }
        }
        let watermark = EventTime(newest - LATENESS);
        batches.push(Batch { given, watermark });
    }
    if rng.random_bool(0.8) {
        batches.push(Batch {
            given: vec![],
            watermark: EventTime::MAX,
        });
    }
    let of = rng.random_range(1..5);
    Case {
        gap: rng.random_bool(0.7).then(|| Span(rng.random_range(0..60))),
        order: rng.random_range(1..5),
        split: Split {
            counted: rng.random_range(0..=of),
            of,
        },
        firing: match rng.random_bool(0.5) {
            true => Fires::OnArrival,
            false => Fires::OnWatermark,
        },
        names,
        batches,
    }
}

/// What is put out, by output and tick.
type Found = Vec<Vec<BTreeMap<Row, i64>>>;

const OUTPUTS: usize = 5;

fn add(to: &mut BTreeMap<Row, i64>, rows: &Rows) {
    for row in 0..rows.len() {
        *to.entry(words(rows, row)).or_default() += i64::from(rows.heads[row].diff);
    }
}

impl Case {
    pub(super) fn logic(&self) -> Journeys {
        journeys_of(self.gap, self.order)
    }

    fn parcels(&self, tick: usize, workers: usize) -> Vec<Parcel> {
        let batch = &self.batches[tick];
        let mut parcels = Vec::new();
        for to in 0..workers {
            let mut block = FactBlock::new(1);
            for key in KEYS {
                block.own_keys().push(KeyHash::of(key), key);
            }
            for (given, diff) in &batch.given {
                if owner_of(KeyHash::of(KEYS[given.key]).hash, workers) == to {
                    let head = Head {
                        key: given.key as u32,
                        diff: *diff,
                        at: EventTime(given.at),
                        id: given.id,
                        bits: 0,
                    };
                    block.push(head, &[given.kind]);
                }
            }
            let content = Content::Facts(Arc::new(block));
            parcels.push(Parcel { to, content });
            let content = Content::Watermark(batch.watermark);
            parcels.push(Parcel { to, content });
        }
        parcels
    }

    /// The streams of all five outputs.
    fn build<'scope>(
        &self,
        parcels: StreamVec<'scope, Tick, Parcel>,
    ) -> [StreamVec<'scope, Tick, Rows>; OUTPUTS] {
        let settings = Settings {
            firing: self.firing,
            columns: vec![1, MOVES.len(), STEPS.len(), PATHS.len()],
            gauge: Arc::new(Gauge::default()),
        };
        let mut spec = self.logic().spec().clone();
        (spec.moves, spec.steps, spec.paths) = (Some(1), Some(2), Some(3));
        let (emissions, contents) = parcels.keyed(Journeys::new(spec), settings);
        let [rest, taken] = dataflow::aside(emissions, 1..4);
        let left = rest.flat_map(|emission| {
            assert!(
                emission
                    .live
                    .iter()
                    .chain(&emission.settled)
                    .all(Rows::is_empty)
            );
            None::<Rows>
        });
        let firing = self.firing;
        let rows = |output: usize, live: bool| {
            taken.clone().flat_map(move |emission: Emission| {
                let live = live && firing == Fires::OnArrival;
                let from = if live {
                    emission.live
                } else {
                    emission.settled
                };
                from.into_iter().nth(output)
            })
        };
        let watermarks = contents.flat_map(|content| match content {
            Content::Watermark(at) => Some(at),
            _ => None,
        });
        let marks = || watermarks.clone();
        let transitions =
            |live, firing| dataflow::transitions(rows(1, live), marks(), Transitions::new(firing));
        let accuracy = |firing| {
            let predictor = Predictor::new(self.order, Arc::clone(&self.names));
            let scores = Scores::new(firing, self.order);
            dataflow::accuracy(rows(2, false), marks(), predictor, scores)
        };
        let holdout = HoldOut::new(self.order, self.split, Arc::clone(&self.names));
        use timely::dataflow::operators::Concat;
        [
            transitions(true, Firing::Changes).concat(left),
            transitions(false, Firing::Final),
            accuracy(Firing::Changes),
            accuracy(Firing::Final),
            dataflow::holdout(rows(3, false), marks(), holdout),
        ]
    }

    fn run(&self, workers: usize, seed: u64) -> Found {
        let (sends, receives): (Vec<_>, Vec<_>) = (0..OUTPUTS).map(|_| mpsc::channel()).unzip();
        let sends = Arc::new(Mutex::new(sends));
        let case = self.clone();
        let guards = timely::execute(timely::Config::process(workers), move |worker| {
            let sends = sends.lock().expect("no sender panicked").clone();
            let mut input = worker.dataflow(|scope| {
                let (input, parcels) = scope.new_input();
                for (rows, send) in case.build(parcels).into_iter().zip(sends) {
                    rows.capture_into(send);
                }
                input
            });
            let mut rng = SmallRng::seed_from_u64(seed ^ (worker.index() as u64) << 32);
            for tick in 0..case.batches.len() {
                if tick % worker.peers() == worker.index() {
                    let parcels = case.parcels(tick, worker.peers());
                    parcels.into_iter().for_each(|parcel| input.send(parcel));
                }
                input.advance_to(tick as Tick + 1);
                if rng.random_bool(0.5) {
                    worker.step();
                }
            }
        });
        for worker in guards.expect("workers start").join() {
            worker.expect("no worker panics");
        }
        let mut found = vec![vec![BTreeMap::new(); self.batches.len()]; OUTPUTS];
        for (found, receive) in found.iter_mut().zip(receives) {
            for event in receive {
                if let Event::Messages(stamp, all) = event {
                    let tick = *stamp.least().expect("rows leave at a tick") as usize;
                    all.iter().for_each(|rows| add(&mut found[tick], rows));
                }
            }
        }
        found
    }

    /// The journeys of all keys, of facts before `before`, each key with its clock.
    fn journeys(&self, given: &[Given], before: EventTime, clock: [EventTime; 4]) -> Vec<Journey> {
        let of_key = |key: usize| {
            let words: Vec<[i64; 1]> = given.iter().map(|given| [given.kind]).collect();
            let facts: Vec<Fact<'_>> = given
                .iter()
                .zip(&words)
                .filter(|(given, _)| given.key == key && EventTime(given.at) < before)
                .map(|(given, words)| Fact {
                    at: EventTime(given.at),
                    id: given.id,
                    bits: 0,
                    words,
                })
                .collect();
            oracle::journeys(0, self.gap, &facts, clock[key])
        };
        (0..KEYS.len()).flat_map(of_key).collect()
    }

    /// Checks the rows that stand after every tick.
    fn check(&self, found: &Found, name: &str) {
        let (mut given, mut newest) = (Vec::<Given>::new(), [EventTime::MIN; KEYS.len()]);
        let mut standing: Vec<BTreeMap<Row, i64>> = vec![BTreeMap::new(); OUTPUTS];
        for (tick, batch) in self.batches.iter().enumerate() {
            for (fact, diff) in &batch.given {
                match diff {
                    1 => given.push(*fact),
                    _ => given.retain(|other| other != fact),
                }
            }
            for fact in &given {
                newest[fact.key] = newest[fact.key].max(EventTime(fact.at));
            }
            for (standing, found) in standing.iter_mut().zip(found) {
                for (row, diff) in &found[tick] {
                    assert_ne!(*diff, 0, "{name}, tick {tick}: {row:?} came and went");
                    *standing.entry(row.clone()).or_default() += diff;
                }
                standing.retain(|_, count| *count != 0);
            }
            let watermark = batch.watermark;
            let over = watermark == EventTime::MAX;
            let settled = self.journeys(&given, watermark, [watermark; KEYS.len()]);
            let live = match self.firing {
                Fires::OnWatermark => settled.clone(),
                Fires::OnArrival => {
                    let clocks = newest.map(|newest| newest.max(watermark));
                    self.journeys(&given, EventTime::MAX, clocks)
                }
            };
            let finished = |rows: Vec<Row>| if over { rows } else { vec![] };
            let accuracy = oracle::accuracy(&settled, self.order, &self.names);
            let holdout = oracle::holdout(&settled, self.order, self.split, &self.names);
            let expected = [
                oracle::transitions(&live),
                finished(oracle::transitions(&settled)),
                accuracy.clone(),
                finished(accuracy),
                finished(holdout),
            ];
            for (output, (standing, expected)) in standing.iter().zip(expected).enumerate() {
                let expected: BTreeMap<Row, i64> =
                    expected.into_iter().map(|row| (row, 1)).collect();
                assert_eq!(
                    *standing, expected,
                    "{name}, tick {tick}, output {output}, {self:?}"
                );
            }
        }
    }
}

fn journeys_of(gap: Option<Span>, order: usize) -> Journeys {
    journeys(gap.map(|gap| gap.0), order)
}

/// How many random cases to try: a few by default, more when `TIDEGATE_CASES` says so.
pub(super) fn cases() -> u64 {
    std::env::var("TIDEGATE_CASES").map_or(40, |cases| {
        cases.parse().expect("TIDEGATE_CASES is a number")
    })
}

#[test]
fn every_row_at_every_tick_is_that_of_the_plain_computation() {
    for seed in 0..cases() {
        let case = case(&mut SmallRng::seed_from_u64(seed));
        let workers = 1 + seed as usize % 4;
        let found = case.run(workers, seed);
        case.check(&found, &format!("seed {seed}, {workers} workers"));
    }
}

#[test]
fn the_number_of_workers_changes_no_row_of_no_tick() {
    for seed in 0..cases() / 4 {
        let case = case(&mut SmallRng::seed_from_u64(seed));
        let found = case.run(1, seed);
        for workers in 2..=4 {
            let other = case.run(workers, seed);
            assert_eq!(found, other, "seed {seed}, {workers} workers");
        }
    }
}
