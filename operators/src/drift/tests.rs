//! The promise as a whole: after every tick the rows are those of counting everything anew,
//! whatever the arrival within lateness, the batches, the number of workers, and what is taken back.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tidegate_schemas::fact::FactBlock;
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::Span;
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::vec::Map;

use self::made::{arrive, some_facts, spec};
use self::oracle::Oracle;
use super::drift;
use super::ledger::{Ledger, PageKey};
use super::spec::{DriftSpec, Firing};
use super::tally::Tally;
use crate::bed::facts;
use crate::bed::play::{self, Counts};
use crate::bed::{crews, seeds};
use crate::codec::{Reader, Writer};

mod made;
mod oracle;

/// Two categories, a float, a segment.
type Given = facts::Given<4>;
type Tick = facts::Tick<4>;

/// A row as words; the list at its end may be longer or shorter.
type Row = Vec<i64>;

/// What changed in a tick: of rows, and of alerts.
type Change = [Counts<Row>; 2];

/// Runs the dataflow from a ledger; answers the changes by tick.
fn run(ledger: Ledger, ticks: &[Tick], workers: usize, seed: u64) -> Vec<Change> {
    let found = play::run_ticks(ticks, workers, seed, move |facts, watermarks| {
        let drift = drift::<Rc<FactBlock>>(facts, watermarks, ledger.clone(), Arc::default());
        let alerts = drift.alerts.map(|rows| (1, rows));
        drift.rows.map(|rows| (0, rows)).concat(alerts)
    });
    let of_tick = |all: Vec<(usize, Rows)>| {
        let mut change = Change::default();
        for (which, rows) in all {
            play::add(&mut change[which], &rows, play::flat);
        }
        change
    };
    found.into_iter().map(of_tick).collect()
}

/// Checks the rows and the alerts that stand after every tick.
fn check(spec: &DriftSpec, ticks: &[Tick], changes: &[Change], case: &str) {
    let mut standing = Change::default();
    let mut oracle = Oracle::new(spec);
    for (number, (tick, changes)) in ticks.iter().zip(changes).enumerate() {
        oracle.give(&tick.given);
        for (standing, changes) in standing.iter_mut().zip(changes) {
            play::follow(standing, changes, &format!("{case}, tick {number}"));
        }
        oracle.freeze(tick.watermark.0);
        // Counting anew after each of many ticks would take most of the test's time.
        if ticks.len() > 30 && number % 16 != 0 && number + 1 < ticks.len() {
            continue;
        }
        let (rows, alerts) = oracle.rows(tick.watermark.0);
        for (standing, expected) in standing.iter().zip([rows, alerts]) {
            let expected: Counts<Row> = expected.into_iter().map(|row| (row, 1)).collect();
            let missing = expected.iter().find(|it| standing.get(it.0) != Some(it.1));
            let wrong = standing.iter().find(|it| expected.get(it.0) != Some(it.1));
            assert_eq!(wrong, missing, "{case}, tick {number}, {spec:?}");
        }
    }
}

#[test]
fn final_rows_are_those_of_counting_everything_at_the_end() {
    for seed in seeds(12) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let spec = spec(&mut rng, Firing::Final);
        let facts = some_facts(&mut rng);
        for workers in crews(seed) {
            let ticks = arrive(&mut rng, &facts, None);
            let changes = run(Ledger::new(spec.clone()), &ticks, workers, seed);
            let mut all = changes.iter().flatten().flat_map(BTreeMap::values);
            assert!(all.all(|diff| *diff == 1));
            let case = format!("seed {seed}, {workers} workers");
            check(&spec, &ticks, &changes, &case);
        }
    }
}

#[test]
fn changing_rows_follow_every_correction_at_every_tick() {
    for seed in seeds(12) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let keep = [0, 50, i64::MAX / 2][rng.random_range(0..3)];
        let spec = spec(&mut rng, Firing::Changes { keep: Span(keep) });
        let facts = some_facts(&mut rng);
        for workers in crews(seed) {
            let ticks = arrive(&mut rng, &facts, Some(keep));
            let case = format!("seed {seed}, {workers} workers");
            check(
                &spec,
                &ticks,
                &run(Ledger::new(spec.clone()), &ticks, workers, seed),
                &case,
            );
        }
    }
}

/// Steps a ledger through the ticks; `between` may replace it after each. The edges come back to who
/// counts some time later. Answers the changes, too.
fn step(
    spec: &DriftSpec,
    ticks: &[Tick],
    between: impl Fn(Ledger) -> Ledger,
) -> (Ledger, Vec<Change>) {
    let (mut tally, mut ledger) = (Tally::new(spec), Ledger::new(spec.clone()));
    let (mut changes, mut back) = (Vec::new(), Vec::new());
    let names = Names::default();
    for (number, tick) in ticks.iter().enumerate() {
        tally.add(&tick.block(&[]));
        tally.drain(|delta| ledger.apply(&delta));
        let told = ledger.close(tick.watermark, &names);
        let mut change = Change::default();
        play::add(&mut change[0], &told.rows, play::flat);
        play::add(&mut change[1], &told.alerts, play::flat);
        changes.push(change);
        back.extend(told.fixed);
        if number % 3 == 0 {
            back.drain(..).for_each(|fixed| tally.learn(fixed));
        }
        ledger = between(ledger);
    }
    check(spec, ticks, &changes, "stepped by hand");
    (ledger, changes)
}

/// Written and read back.
fn back(ledger: &Ledger) -> Ledger {
    let mut to = Writer::default();
    ledger.encode(&mut to);
    let mut from = Reader::new(&to.bytes);
    let back = Ledger::decode(ledger.spec().clone(), &mut from).expect("it was just written");
    assert!(from.is_empty());
    assert_eq!(back, *ledger);
    back
}

/// Taken apart by as many workers, saved, read back, and joined.
fn through_parts(ledger: &Ledger, workers: usize) -> Ledger {
    let mut whole = Ledger::new(ledger.spec().clone());
    for worker in 0..workers {
        let mut part = ledger.clone();
        part.retain(|page: PageKey| page.route() % workers as u64 == worker as u64);
        whole.join(back(&part));
    }
    whole
}

/// A job of each firing, and what comes; some of it is taken back where that is heeded.
fn of_each_firing(rng: &mut SmallRng) -> [(DriftSpec, Vec<Tick>); 2] {
    let changes = Firing::Changes { keep: Span(60) };
    [(Firing::Final, None), (changes, Some(60))].map(|(firing, keep)| {
        let (spec, facts) = (spec(rng, firing), some_facts(rng));
        (spec, arrive(rng, &facts, keep))
    })
}

#[test]
fn any_number_of_workers_goes_on_from_what_others_saved() {
    for seed in seeds(12) {
        let mut rng = SmallRng::seed_from_u64(seed);
        for (spec, ticks) in of_each_firing(&mut rng) {
            let middle = rng.random_range(0..=ticks.len());
            let (ledger, mut changes) = step(&spec, &ticks[..middle], |ledger| ledger);
            let saved = through_parts(&ledger, rng.random_range(1..4));
            let workers = rng.random_range(1..4);
            changes.extend(run(saved, &ticks[middle..], workers, seed));
            let case = format!("seed {seed}, from tick {middle} with {workers} workers");
            check(&spec, &ticks, &changes, &case);
        }
    }
}

#[test]
fn a_ledger_saved_and_read_back_between_any_ticks_goes_on_as_before() {
    for seed in seeds(12) {
        let mut rng = SmallRng::seed_from_u64(seed);
        for (spec, ticks) in of_each_firing(&mut rng) {
            step(&spec, &ticks, |ledger| back(&ledger));
        }
    }
}

#[test]
fn damaged_bytes_are_no_ledger() {
    let mut rng = SmallRng::seed_from_u64(1);
    let spec = spec(&mut rng, Firing::Changes { keep: Span(1_000) });
    let facts = some_facts(&mut rng);
    let (ledger, _) = step(&spec, &arrive(&mut rng, &facts, None), |ledger| ledger);
    let mut to = Writer::default();
    ledger.encode(&mut to);
    for length in 0..to.bytes.len() {
        let cut = &to.bytes[..length];
        assert!(Ledger::decode(spec.clone(), &mut Reader::new(cut)).is_err());
    }
    if ledger.steps_kept() > 0 {
        let fewer = DriftSpec {
            monitors: vec![],
            ..spec
        };
        assert!(Ledger::decode(fewer, &mut Reader::new(&to.bytes)).is_err());
    }
}

#[test]
fn once_time_is_over_only_the_reference_is_kept() {
    let mut rng = SmallRng::seed_from_u64(2);
    for firing in [Firing::Final, Firing::Changes { keep: Span(5) }] {
        let spec = spec(&mut rng, firing);
        let facts = some_facts(&mut rng);
        let mut ticks = arrive(&mut rng, &facts, None);
        ticks.push(Tick::over());
        let (ledger, _) = step(&spec, &ticks, |ledger| ledger);
        assert_eq!(ledger.steps_kept(), 0);
    }
}
