//! The promise as a whole: after every tick the rows are those of the plain computation over what has
//! arrived, whatever the arrival within lateness, the batches, the workers, and what is taken back.

use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tidegate_schemas::fact::{Fact, NULL};
use tidegate_schemas::names::{KeyHash, Names, code_of};
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::{EventTime, Span};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::capture::Capture;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Concatenate, Input};

use super::super::dataflow;
use super::super::oracle::{self, Journey, Row};
use super::*;
use crate::bed::play::{self, Counts};
use crate::bed::{facts, seeds};
use crate::driver::{Emission, Firing as Fires, Gauge, Keyed, Settings};
use crate::parcel::{Content, Parcel, owner_of};

pub(super) const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// Its word is the kind.
pub(super) type Given = facts::Given<1>;
type Tick = facts::Tick<1>;

/// Everything that is asked, and what comes.
#[derive(Clone, Debug)]
pub(super) struct Case {
    gap: Option<Span>,
    pub(super) order: usize,
    pub(super) split: Split,
    firing: Fires,
    pub(super) names: Arc<Names>,
    pub(super) ticks: Vec<Tick>,
}

/// Facts in an order of arrival within lateness, some of them taken back, or replaced by others.
pub(super) fn case(rng: &mut SmallRng) -> Case {
    let (names, _) = named(["k0", "k1", "k2", "k3", "k4"]);
    let kinds = rng.random_range(1..6);
    let span = rng.random_range(1..400);
    let kind = |rng: &mut SmallRng| match rng.random_range(0..8) {
        0 => NULL,
        _ => code_of(["k0", "k1", "k2", "k3", "k4"][rng.random_range(0..kinds)]),
    };
    let facts: Vec<Given> = (0..rng.random_range(0..120))
        .map(|id| Given {
            key: rng.random_range(0..KEYS.len() as u32),
            at: rng.random_range(0..span),
            id,
            diff: 1,
            bits: 0,
            words: [kind(rng)],
        })
        .collect();
    let corrected = rng.random_bool(0.5);
    let mut ticks = facts::arrive(rng, &facts, |rng, standing, before| match corrected {
        true => corrections(rng, standing, before),
        false => vec![],
    });
    if rng.random_bool(0.8) {
        ticks.push(Tick::over());
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
        ticks,
    }
}

/// Takes facts back whose time has not passed, and puts others in the place of some.
fn corrections(rng: &mut SmallRng, standing: &mut Vec<Given>, before: EventTime) -> Vec<Given> {
    let mut given = Vec::new();
    for _ in 0..rng.random_range(0..3) {
        if standing.is_empty() {
            break;
        }
        let place = rng.random_range(0..standing.len());
        if standing[place].at < before.0 {
            continue;
        }
        let old = standing.swap_remove(place);
        given.push(old.back());
        if rng.random_bool(0.5) {
            let new = Given {
                words: [code_of("k4")],
                at: old.at.max(before.0) + rng.random_range(0..3),
                ..old
            };
            given.push(new);
            standing.push(new);
        }
    }
    given
}

/// What is put out, by tick and output.
type Found = Vec<Vec<Counts<Row>>>;

const OUTPUTS: usize = 5;

impl Case {
    pub(super) fn logic(&self) -> Journeys {
        journeys_of(self.gap, self.order)
    }

    fn parcels(&self, tick: usize, workers: usize) -> Vec<Parcel> {
        let Tick { given, watermark } = &self.ticks[tick];
        let parcels = (0..workers).flat_map(|to| {
            let owner = |key: u32| owner_of(KeyHash::of(KEYS[key as usize]).hash, workers);
            let own = given.iter().filter(|given| owner(given.key) == to);
            let block = facts::block(&KEYS, 1, own.map(Given::row));
            let contents = [
                Content::Facts(Arc::new(block)),
                Content::Watermark(*watermark),
            ];
            contents.map(|content| Parcel { to, content })
        });
        parcels.collect()
    }

    /// The streams of all five outputs.
    fn build<'scope>(
        &self,
        parcels: StreamVec<'scope, u64, Parcel>,
    ) -> [StreamVec<'scope, u64, Rows>; OUTPUTS] {
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
        let case = self.clone();
        let rows = play::run(workers, self.ticks.len(), move |worker, out| {
            let mut input = worker.dataflow(|scope| {
                let (input, parcels) = scope.new_input();
                let outputs = (0..).zip(case.build(parcels));
                let outputs = outputs.map(|(output, rows)| rows.map(move |rows| (output, rows)));
                scope.concatenate(outputs).capture_into(out);
                input
            });
            let mut rng = SmallRng::seed_from_u64(seed ^ (worker.index() as u64) << 32);
            for tick in 0..case.ticks.len() {
                if tick % worker.peers() == worker.index() {
                    let parcels = case.parcels(tick, worker.peers());
                    parcels.into_iter().for_each(|parcel| input.send(parcel));
                }
                input.advance_to(tick as u64 + 1);
                if rng.random_bool(0.5) {
                    worker.step();
                }
            }
        });
        let mut found = vec![vec![Counts::new(); OUTPUTS]; rows.len()];
        for (found, rows) in found.iter_mut().zip(rows) {
            for (output, rows) in rows {
                play::add(&mut found[output], &rows, play::words);
            }
        }
        found
    }

    /// The journeys of all keys, of facts before `before`, each key with its clock.
    fn journeys(&self, given: &[Given], before: EventTime, clock: [EventTime; 4]) -> Vec<Journey> {
        let of_key = |key: usize| {
            let facts: Vec<Fact<'_>> = given
                .iter()
                .filter(|given| given.key as usize == key && EventTime(given.at) < before)
                .map(|given| Fact {
                    at: EventTime(given.at),
                    id: given.id,
                    bits: 0,
                    words: &given.words,
                })
                .collect();
            oracle::journeys(0, self.gap, &facts, clock[key])
        };
        (0..KEYS.len()).flat_map(of_key).collect()
    }

    /// Checks the rows that stand after every tick.
    fn check(&self, found: &Found, name: &str) {
        let (mut given, mut newest) = (Vec::<Given>::new(), [EventTime::MIN; KEYS.len()]);
        let mut standing: Vec<Counts<Row>> = vec![Counts::new(); OUTPUTS];
        for (tick, (come, found)) in self.ticks.iter().zip(found).enumerate() {
            for fact in &come.given {
                match fact.diff {
                    1 => given.push(*fact),
                    _ => given.retain(|other| other.back() != *fact),
                }
            }
            for fact in &given {
                let newest = &mut newest[fact.key as usize];
                *newest = EventTime(fact.at).max(*newest);
            }
            for (standing, found) in standing.iter_mut().zip(found) {
                play::follow(standing, found, &format!("{name}, tick {tick}"));
            }
            let watermark = come.watermark;
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
                let expected: Counts<Row> = expected.into_iter().map(|row| (row, 1)).collect();
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

#[test]
fn every_row_at_every_tick_is_that_of_the_plain_computation() {
    for seed in seeds(40) {
        let case = case(&mut SmallRng::seed_from_u64(seed));
        let workers = 1 + seed as usize % 4;
        let found = case.run(workers, seed);
        case.check(&found, &format!("seed {seed}, {workers} workers"));
    }
}

#[test]
fn the_number_of_workers_changes_no_row_of_no_tick() {
    for seed in seeds(40).step_by(4) {
        let case = case(&mut SmallRng::seed_from_u64(seed));
        let found = case.run(1, seed);
        for workers in 2..=4 {
            let other = case.run(workers, seed);
            assert_eq!(found, other, "seed {seed}, {workers} workers");
        }
    }
}
