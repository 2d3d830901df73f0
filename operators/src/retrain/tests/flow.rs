//! From facts through drift to requests, on any number of workers.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tidegate_schemas::fact::{FactBlock, NULL};
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::{EventTime, Span, TimeUnit};
use timely::dataflow::operators::vec::Map;

use super::oracle::World;
use super::{at, rows, spec};
use crate::bed::facts::{self, LATENESS, one};
use crate::bed::play::{self, Counts};
use crate::bed::{crews, seeds};
use crate::drift::alerts::Alert as When;
use crate::drift::drift;
use crate::drift::ledger::Ledger;
use crate::drift::measures::Measure;
use crate::drift::spec::{DriftSpec, Firing, Layout, Monitor, Reference, Steps, Values};
use crate::program::{Comparison, Expr, Program};
use crate::retrain::alert::Item;
use crate::retrain::desk::Desk;
use crate::retrain::retrain;
use crate::retrain::spec::RetrainSpec;
use crate::statistics::Smoothing;
use crate::statistics::divergence::Direction;

type Given = facts::Given<2>;
type Tick = facts::Tick<2>;

/// A drift of one column, by segment, whose windows alert often.
fn watched(rng: &mut SmallRng, firing: Firing) -> DriftSpec {
    let every = rng.random_range(5..30);
    let mut spec = DriftSpec {
        monitors: vec![Monitor {
            name: 71,
            column: 0,
            filter: None,
            values: Values::Categories(Kind::Int),
        }],
        by: Some(1),
        steps: Steps {
            origin: EventTime(0),
            every: Span(every),
        },
        lengths: one(rng, &[vec![1], vec![3, 1]]),
        reference: match rng.random_bool(0.5) {
            true => Reference::First(Span(every * 2)),
            false => Reference::Stretch {
                from: at(20),
                until: at(90),
            },
        },
        smoothing: Smoothing::AddToCounts(0.5),
        direction: Direction::CurrentFromReference,
        measures: vec![Measure::Psi],
        min_rows: 1,
        layout: Layout::Wide,
        alert: None,
        firing,
    };
    let columns = spec.registers(TimeUnit::Second, Kind::Int);
    let psi = columns
        .iter()
        .position(|it| it.name == "psi")
        .expect("it is measured");
    let kinds: Vec<Kind> = columns.into_iter().map(|column| column.kind).collect();
    let (psi, limit) = (Box::new(Expr::Register(psi)), Box::new(Expr::Float(0.7)));
    let when = Program::compile(&Expr::Compare(Comparison::Greater, psi, limit), &kinds);
    spec.alert = Some(When {
        when: when.expect("a condition"),
        windows: 1,
        clear_when: None,
        cooldown: Span(0),
    });
    spec
}

fn some_facts(rng: &mut SmallRng) -> Vec<Given> {
    let fact = |id| Given {
        key: 0,
        id,
        at: rng.random_range(0..600),
        bits: 0,
        words: [rng.random_range(0..3), one(rng, &[NULL, 5, 6])],
        diff: 1,
    };
    (0..200).map(fact).collect()
}

fn with(firing: Firing, seed: u64) -> (DriftSpec, RetrainSpec) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let drift = watched(&mut rng, firing);
    let mut spec = RetrainSpec {
        drifts: vec![],
        measures: vec![],
        ..spec(&mut rng, firing)
    };
    spec.watch(70, &drift);
    (drift, spec)
}

/// The requests that stand at the end.
fn run(
    (drifts, spec): &(DriftSpec, RetrainSpec),
    ticks: &[Tick],
    workers: usize,
    seed: u64,
) -> Counts<Vec<i64>> {
    let (ledger, desk) = (Ledger::new(drifts.clone()), Desk::new(spec.clone()));
    let found = play::run_ticks(ticks, workers, seed, move |facts, watermarks| {
        let names = Arc::default();
        let drift =
            drift::<Rc<FactBlock>>(facts.clone(), watermarks.clone(), ledger.clone(), names);
        retrain(facts, vec![drift], watermarks, desk.clone(), 1)
    });
    sum(found.into_iter().flatten())
}

fn sum(all: impl Iterator<Item = tidegate_schemas::rows::Rows>) -> Counts<Vec<i64>> {
    let mut standing = Counts::new();
    all.for_each(|rows| play::add(&mut standing, &rows, play::flat));
    standing.retain(|_, count| *count != 0);
    standing
}

/// What a plain look at the alerts and facts that stand at the end says.
fn expected(drifts: &DriftSpec, spec: &RetrainSpec, ticks: &[Tick], seed: u64) -> Counts<Vec<i64>> {
    let (ledger, reader) = (Ledger::new(drifts.clone()), spec.clone());
    let found = play::run_ticks(ticks, 1, seed, move |facts, watermarks| {
        let drift = drift::<Rc<FactBlock>>(facts, watermarks, ledger.clone(), Arc::default());
        let reader = reader.clone();
        drift.alerts.flat_map(move |rows| reader.changes(0, &rows))
    });
    let mut alerts = BTreeMap::new();
    for item in found.into_iter().flatten() {
        if let Item::Alert(alert, diff) = item {
            *alerts.entry(alert).or_insert(0) += diff;
        }
    }
    alerts.retain(|_, count| *count != 0);
    let mut world = World {
        alerts: alerts.into_keys().collect(),
        ..World::default()
    };
    for fact in ticks.iter().flat_map(|tick| &tick.given) {
        let start = fact.at.div_euclid(spec.step.0) * spec.step.0;
        *world.rows.entry(start).or_default() += i64::from(fact.diff);
    }
    rows(spec, &world.requests(spec, i64::MAX))
}

#[test]
fn requests_are_the_same_for_any_arrival_any_workers_and_either_firing() {
    let mut asked = 0;
    for seed in seeds(40) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let facts = some_facts(&mut rng);
        let changes = with(
            Firing::Changes {
                keep: Span(LATENESS),
            },
            seed,
        );
        let mut expect = None;
        for workers in crews(seed) {
            let mut ticks = facts::arrive(&mut rng, &facts, |_, _, _| vec![]);
            ticks.push(Tick::over());
            let (drifts, spec) = &changes;
            let expect = expect.get_or_insert_with(|| expected(drifts, spec, &ticks, seed));
            asked += expect.len();
            for job in [&changes, &with(Firing::Final, seed)] {
                let found = run(job, &ticks, workers, seed);
                assert_eq!(
                    found, *expect,
                    "seed {seed}, {workers} workers, {:?}",
                    job.1
                );
            }
        }
    }
    assert!(asked > 0);
}
