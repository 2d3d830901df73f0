//! Any logic with an oracle through the driver: whatever the order of arrival, at every tick the rows are
//! those of the plain computation over what has arrived.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use tidegate_schemas::fact::{Fact, FactBlock, Head};
use tidegate_schemas::names::KeyHash;
use tidegate_schemas::time::{EventTime, Span, Tick};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::capture::Capture;
use timely::dataflow::operators::{Input, Inspect, Probe};

use super::super::{Emission, Firing, Gauge, Keyed, Settings};
use crate::bed::facts::{self, LATENESS, Owned};
use crate::bed::{play, seeds};
use crate::dedup::tests::Undecided;
use crate::dedup::{self, Deduplicate, OnConflict, Tally};
use crate::logic::Logic;
use crate::parcel::{Content, Parcel, owner_of};
use crate::sessions::oracle::{SessionRow, standing};

const KEYS: [&str; 3] = ["a", "b", "c"];

/// What is run through the driver: a logic, and the plain computation of the same.
pub(crate) trait Subject: Clone + Send + Sync + 'static {
    /// The logic.
    type Logic: Logic;

    /// A random one.
    fn random(random: &mut SmallRng) -> Self;

    /// Random bits of a fact.
    fn bits(random: &mut SmallRng) -> u64;

    /// Two random words of a fact.
    fn words(random: &mut SmallRng) -> Vec<i64>;

    /// The logic of it.
    fn logic(&self) -> Self::Logic;

    /// The number of columns of each output.
    fn columns(&self) -> Vec<usize>;

    /// The rows of one key, each with its output, when event time has reached `clock`.
    fn rows(&self, facts: &[Fact<'_>], clock: EventTime) -> Vec<(usize, SessionRow)>;
}

/// One version of an event, or its end.
#[derive(Clone, Debug)]
struct Version {
    key: usize,
    fact: Owned,
    /// The event is so; otherwise it is taken back for good.
    stands: bool,
}

/// What one tick brings, and the watermark after it.
#[derive(Clone, Debug)]
struct Batch {
    versions: Vec<Version>,
    watermark: EventTime,
}

/// Who makes one fact of the versions of an event.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Corrections {
    /// The deduplication in front of the driver.
    Deduplicated,
    /// The input itself, in facts with diff −1; events can then also end.
    TakenBack,
}

/// The rows of all outputs, each with how often it is there.
type Standing = BTreeMap<(usize, &'static str, SessionRow), i64>;

/// Events in versions, in order of arrival. A version has a time of at most half the lateness before
/// it arrives, and the next one arrives while that is not settled.
fn random_arrivals<S: Subject>(random: &mut SmallRng, corrections: Corrections) -> Vec<Version> {
    let mut arrivals: Vec<(i64, Version)> = Vec::new();
    let span = random.random_range(10..200);
    for id in 0..random.random_range(1..50) {
        let mut version = Version {
            key: random.random_range(0..KEYS.len()),
            fact: Owned {
                at: random.random_range(0..span),
                id,
                bits: S::bits(random),
                words: S::words(random),
            },
            stands: true,
        };
        let mut arrival = version.fact.at + random.random_range(0..LATENESS / 2);
        arrivals.push((arrival, version.clone()));
        while version.stands && random.random_bool(0.25) {
            arrival += random.random_range(1..LATENESS / 2);
            if arrival > version.fact.at + LATENESS {
                break;
            }
            match random.random_range(0..4) {
                0 => {}
                1 => version.fact.words = S::words(random),
                2 => {
                    version.key = random.random_range(0..KEYS.len());
                    version.fact.at = arrival - random.random_range(0..LATENESS / 2);
                }
                _ => version.stands = corrections == Corrections::Deduplicated,
            }
            arrivals.push((arrival, version.clone()));
        }
    }
    arrivals.shuffle(random);
    arrivals.sort_by_key(|(arrival, _)| *arrival);
    arrivals.into_iter().map(|(_, version)| version).collect()
}

fn batches(versions: Vec<Version>, random: &mut SmallRng) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut rest = versions.as_slice();
    let mut newest = i64::MIN / 2;
    let most = random.random_range(1..30);
    while !rest.is_empty() {
        let (now, later) = rest.split_at(random.random_range(1..=most.min(rest.len())));
        newest = now.iter().map(|v| v.fact.at).fold(newest, i64::max);
        batches.push(Batch {
            versions: now.to_vec(),
            watermark: EventTime(newest - LATENESS),
        });
        rest = later;
    }
    batches.push(Batch {
        versions: Vec::new(),
        watermark: EventTime(1_000_000),
    });
    batches
}

/// The facts that stand after each version, by event.
type Facts = BTreeMap<u64, Version>;

/// Takes a version in; answers the one it replaces, unless it only repeats it.
fn replace(facts: &mut Facts, version: &Version) -> Option<Option<Version>> {
    let id = version.fact.id;
    let same = |old: &Version| {
        version.stands && old.key == version.key && {
            (old.fact.at, old.fact.bits, &old.fact.words)
                == (version.fact.at, version.fact.bits, &version.fact.words)
        }
    };
    if facts.get(&id).is_some_and(same) {
        return None;
    }
    Some(match version.stands {
        true => facts.insert(id, version.clone()),
        false => facts.remove(&id),
    })
}

/// The plain computation over the facts that stand and are earlier than `before`, with the clock of
/// each key.
fn expected<S: Subject>(
    subject: &S,
    facts: &Facts,
    before: EventTime,
    clocks: [EventTime; KEYS.len()],
) -> Standing {
    let mut all = Standing::new();
    for (key, name) in KEYS.into_iter().enumerate() {
        let facts: Vec<Fact<'_>> = (facts.values())
            .filter(|v| v.key == key && EventTime(v.fact.at) < before)
            .map(|v| v.fact.fact())
            .collect();
        let rows = subject.rows(&facts, clocks[key]).into_iter();
        all.extend(rows.map(|(output, row)| ((output, name, row), 1)));
    }
    all
}

fn add(to: &mut Standing, outputs: &[tidegate_schemas::rows::Rows]) {
    for (output, rows) in outputs.iter().enumerate() {
        for name in KEYS {
            for (row, count) in standing(rows, name) {
                *to.entry((output, name, row)).or_default() += count;
            }
        }
    }
    to.retain(|_, count| *count != 0);
}

fn assert_same(found: &Standing, expected: &Standing, context: &str) {
    let mut more = found.clone();
    for (row, count) in expected {
        *more.entry(row.clone()).or_default() -= count;
    }
    more.retain(|_, count| *count != 0);
    assert!(
        more.is_empty(),
        "{context}: rows too many (or, below zero, too few): {more:?}"
    );
}

/// A block of versions, each with its difference.
fn block<'a>(versions: impl IntoIterator<Item = (&'a Version, i32)>) -> FactBlock {
    let versions = versions.into_iter();
    let row = |(version, diff): (&'a Version, i32)| (head(version, diff), &*version.fact.words);
    facts::block(&KEYS, 2, versions.map(row))
}

fn head(version: &Version, diff: i32) -> Head {
    Head {
        key: version.key as u32,
        diff,
        at: EventTime(version.fact.at),
        id: version.fact.id,
        bits: version.fact.bits,
    }
}

/// How a history is run.
#[derive(Clone, Debug)]
struct Plan<S> {
    subject: S,
    batches: Vec<Batch>,
    corrections: Corrections,
    firing: Firing,
}

impl<S: Subject> Plan<S> {
    /// The parcels of a tick for `peers` workers.
    fn parcels(&self, batch: &Batch, facts: &mut Facts, peers: usize) -> Vec<Parcel> {
        let mut changes = Vec::new();
        for version in &batch.versions {
            match (self.corrections, replace(facts, version)) {
                (Corrections::Deduplicated, _) => changes.push((version.clone(), 1)),
                (Corrections::TakenBack, None) => {}
                (Corrections::TakenBack, Some(old)) => {
                    changes.extend(old.map(|old| (old, -1)));
                    if version.stands {
                        changes.push((version.clone(), 1));
                    }
                }
            }
        }
        let watermarks = (0..peers).map(|to| Parcel {
            to,
            content: Content::Watermark(batch.watermark),
        });
        let facts: Vec<Parcel> = match self.corrections {
            Corrections::Deduplicated => {
                let batch = |number, changes: &[(Version, i32)]| {
                    let mut undecided = Undecided::new(number, 2, peers);
                    for (version, _) in changes {
                        let (key, fact) = (KEYS[version.key], &version.fact);
                        let head = head(version, 1);
                        undecided.push(key, &head, &fact.words, false, EventTime::MIN);
                    }
                    undecided.parcels()
                };
                // Batches have the order of their numbers, however they come.
                let (first, second) = changes.split_at(changes.len() / 2);
                let second = batch(1, second);
                second.into_iter().chain(batch(0, first)).collect()
            }
            Corrections::TakenBack => (0..peers)
                .map(|to| {
                    let owner =
                        |version: &Version| owner_of(KeyHash::of(KEYS[version.key]).hash, peers);
                    let own = changes.iter().filter(|(version, _)| owner(version) == to);
                    let facts = block(own.map(|(version, diff)| (version, *diff)));
                    let content = Content::Facts(facts.into());
                    Parcel { to, content }
                })
                .collect(),
        };
        facts.into_iter().chain(watermarks).collect()
    }

    fn rows<'scope>(
        &self,
        input: StreamVec<'scope, Tick, Parcel>,
    ) -> StreamVec<'scope, Tick, Emission> {
        let input = match self.corrections {
            Corrections::TakenBack => input,
            Corrections::Deduplicated => input.deduplicate(dedup::Settings {
                lateness: Span(LATENESS),
                keep: Span(LATENESS),
                on_conflict: OnConflict::Latest,
                tally: Arc::new(Tally::default()),
            }),
        };
        let settings = Settings {
            firing: self.firing,
            columns: self.subject.columns(),
            gauge: Arc::new(Gauge::default()),
        };
        input.keyed(self.subject.logic(), settings).0
    }

    /// Runs on one worker and compares all rows so far after every tick.
    fn check_every_tick(self, context: &str) {
        let context = format!("{context}, {:?}, {:?}", self.corrections, self.firing);
        timely::execute_directly(move |worker| {
            let found = Rc::new(RefCell::new((Standing::new(), Standing::new())));
            let rows = Rc::clone(&found);
            let (mut input, probe) = worker.dataflow::<Tick, _, _>(|scope| {
                let (input, stream) = scope.new_input::<Vec<Parcel>>();
                let emissions = self.rows(stream).inspect(move |emission: &Emission| {
                    let (live, settled) = &mut *rows.borrow_mut();
                    add(live, &emission.live);
                    add(settled, &emission.settled);
                });
                (input, emissions.probe().0)
            });
            let mut facts = Facts::new();
            let mut newest = [EventTime::MIN; KEYS.len()];
            for (tick, batch) in (0..).zip(&self.batches) {
                self.parcels(batch, &mut facts, 1)
                    .into_iter()
                    .for_each(|parcel| input.send(parcel));
                input.advance_to(tick + 1);
                worker.step_while(|| probe.less_than(input.time()));
                let (live, settled) = &*found.borrow();
                let clock = batch.watermark;
                let final_rows = expected(&self.subject, &facts, clock, [clock; KEYS.len()]);
                assert_same(
                    settled,
                    &final_rows,
                    &format!("settled, tick {tick}, {context}"),
                );
                if self.firing == Firing::OnArrival {
                    // A key answers as of its newest fact, which may be ahead of the watermark.
                    for version in facts.values() {
                        let newest = &mut newest[version.key];
                        *newest = EventTime(version.fact.at).max(*newest);
                    }
                    let clocks = newest.map(|at| at.max(clock));
                    let all = expected(&self.subject, &facts, EventTime::MAX, clocks);
                    assert_same(live, &all, &format!("live, tick {tick}, {context}"));
                }
            }
        });
    }

    /// Runs on several workers and compares all rows at the end.
    fn check_workers(self, workers: usize, context: &str) {
        let mut facts = Facts::new();
        for version in self.batches.iter().flat_map(|batch| &batch.versions) {
            replace(&mut facts, version);
        }
        let expected = expected(
            &self.subject,
            &facts,
            EventTime::MAX,
            [EventTime::MAX; KEYS.len()],
        );
        let plan = self.clone();
        let found = play::run(workers, self.batches.len(), move |worker, out| {
            let mut input = worker.dataflow::<Tick, _, _>(|scope| {
                let (input, stream) = scope.new_input::<Vec<Parcel>>();
                plan.rows(stream).capture_into(out);
                input
            });
            let mut facts = Facts::new();
            for (tick, batch) in plan.batches.iter().enumerate() {
                // All workers follow the whole history; one of them sends each tick.
                let parcels = plan.parcels(batch, &mut facts, worker.peers());
                if tick % worker.peers() == worker.index() {
                    parcels.into_iter().for_each(|parcel| input.send(parcel));
                }
                input.advance_to(tick as Tick + 1);
                worker.step();
            }
        });
        let (mut live, mut settled) = (Standing::new(), Standing::new());
        for emission in found.iter().flatten() {
            add(&mut live, &emission.live);
            add(&mut settled, &emission.settled);
        }
        let context = format!("{workers} workers, {context}");
        assert_same(&settled, &expected, &format!("settled, {context}"));
        if self.firing == Firing::OnArrival {
            assert_same(&live, &expected, &format!("live, {context}"));
        }
    }
}

fn random_plan<S: Subject>(seed: u64, corrections: Corrections, firing: Firing) -> Plan<S> {
    let mut random = SmallRng::seed_from_u64(seed);
    let subject = S::random(&mut random);
    let versions = random_arrivals::<S>(&mut random, corrections);
    Plan {
        subject,
        batches: batches(versions, &mut random),
        corrections,
        firing,
    }
}

const WAYS: [(Corrections, Firing); 4] = [
    (Corrections::Deduplicated, Firing::OnArrival),
    (Corrections::Deduplicated, Firing::OnWatermark),
    (Corrections::TakenBack, Firing::OnArrival),
    (Corrections::TakenBack, Firing::OnWatermark),
];

/// At every tick the rows are those of the facts so far.
pub(crate) fn check_every_tick<S: Subject>(usual: u64) {
    for seed in seeds(usual) {
        for (corrections, firing) in WAYS {
            let plan = random_plan::<S>(seed, corrections, firing);
            plan.check_every_tick(&format!("seed {seed}"));
        }
    }
}

/// One to four workers give the same rows.
pub(crate) fn check_workers<S: Subject>() {
    for seed in 0..24 {
        for (corrections, firing) in WAYS {
            let plan = random_plan::<S>(seed, corrections, firing);
            plan.check_workers(1 + seed as usize % 4, &format!("seed {seed}"));
        }
    }
}
