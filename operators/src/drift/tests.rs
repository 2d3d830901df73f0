//! The promise as a whole: after every tick the rows are those of counting everything anew,
//! whatever the arrival within lateness, the batches, the number of workers, and what is taken back.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tidegate_schemas::fact::{FactBlock, Head, NULL};
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::{EventTime, Span};
use timely::dataflow::operators::capture::{Capture, Event};
use timely::dataflow::operators::vec::Input;

use self::oracle::Oracle;
use super::drift;
use super::ledger::Ledger;
use super::spec::{DriftSpec, Firing, Monitor, Nulls, Reference, Windows};
use super::tally::Tally;
use crate::codec::{Reader, Writer};
use crate::statistics::Smoothing;
use crate::statistics::divergence::Direction;

mod oracle;

const LATENESS: i64 = 40;

#[derive(Clone, Copy, Debug)]
struct Given {
    at: i64,
    bits: u64,
    words: [i64; 2],
    diff: i32,
}

/// What comes in one tick, and the watermark after it.
#[derive(Clone, Debug)]
struct Tick {
    given: Vec<Given>,
    watermark: EventTime,
}

/// A row as words, `[start, index, monitor, psi, kl, rows, reference rows, categories]`.
type Row = [i64; 8];

fn spec(rng: &mut SmallRng, firing: Firing) -> DriftSpec {
    let from = rng.random_range(-30..100);
    let every = rng.random_range(1..60);
    let monitor = |name, column, filter, nulls| Monitor {
        name,
        column,
        filter,
        nulls,
    };
    DriftSpec {
        monitors: vec![
            monitor(70, 0, None, Nulls::Skip),
            monitor(71, 1, None, Nulls::Category),
            monitor(72, 1, Some(1), Nulls::Skip),
        ],
        windows: Windows {
            origin: EventTime(rng.random_range(-50..50)),
            every: Span(every),
        },
        reference: match rng.random_bool(0.5) {
            true => Reference::First(Span(every * rng.random_range(1..4))),
            false => Reference::Stretch {
                from: EventTime(from),
                until: EventTime(from + rng.random_range(1..200)),
            },
        },
        smoothing: match rng.random_bool(0.5) {
            true => Smoothing::AddToCounts(0.5),
            false => Smoothing::Floor(1e-4),
        },
        direction: match rng.random_bool(0.5) {
            true => Direction::CurrentFromReference,
            false => Direction::ReferenceFromCurrent,
        },
        min_rows: rng.random_range(0..4),
        firing,
    }
}

fn facts(rng: &mut SmallRng) -> Vec<Given> {
    let word = |rng: &mut SmallRng, categories| match rng.random_range(0..categories) {
        0 => NULL,
        n => (n - 3) << 40,
    };
    (0..rng.random_range(0..400))
        .map(|_| Given {
            at: rng.random_range(0..400),
            bits: rng.random_range(0..4),
            words: [word(rng, 5), word(rng, 30)],
            diff: 1,
        })
        .collect()
}

/// Lets the facts arrive out of order within lateness, in batches; with `keep`, takes some back
/// while that is allowed.
fn arrive(rng: &mut SmallRng, facts: &[Given], keep: Option<i64>) -> Vec<Tick> {
    let mut order: Vec<(i64, Given)> = facts
        .iter()
        .map(|fact| (fact.at + rng.random_range(0..=LATENESS), *fact))
        .collect();
    order.sort_by_key(|(arrival, _)| *arrival);
    let largest = [1, 7, 60][rng.random_range(0..3)];
    let (mut ticks, mut there, mut newest): (Vec<Tick>, Vec<Given>, i64) = (vec![], vec![], -1_000);
    let mut rest = order.into_iter().map(|(_, fact)| fact).peekable();
    while rest.peek().is_some() {
        let mut given: Vec<Given> = rest.by_ref().take(rng.random_range(1..=largest)).collect();
        newest = given
            .iter()
            .fold(newest, |newest, fact| newest.max(fact.at));
        let before = ticks.last().map_or(EventTime::MIN, |tick| tick.watermark);
        there.extend(&given);
        for _ in 0..keep.map_or(0, |_| rng.random_range(0..3)) {
            let fact = there.swap_remove(rng.random_range(0..there.len().max(1)));
            if before == EventTime::MIN || fact.at >= before.0 - keep.unwrap_or(0) {
                given.push(Given { diff: -1, ..fact });
            }
            if there.is_empty() {
                break;
            }
        }
        let watermark = EventTime(newest - LATENESS);
        ticks.push(Tick { given, watermark });
    }
    if rng.random_bool(0.8) {
        ticks.push(Tick {
            given: vec![],
            watermark: EventTime::MAX,
        });
    }
    ticks
}

fn block<'a>(given: impl Iterator<Item = &'a Given>) -> FactBlock {
    let mut block = FactBlock::new(2);
    for (id, fact) in given.enumerate() {
        let head = Head {
            key: 0,
            diff: fact.diff,
            at: EventTime(fact.at),
            id: id as u64,
            bits: fact.bits,
        };
        block.push(head, &fact.words);
    }
    block
}

/// Those facts of a tick that chance gives to a worker; the same chance on every worker.
fn share(given: &[Given], worker: usize, workers: usize, seed: u64) -> Vec<Given> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mine = given
        .iter()
        .filter(|_| rng.random_range(0..workers) == worker);
    mine.copied().collect()
}

/// Runs the dataflow; each fact of a tick is given to a worker by chance, and each worker but the
/// last knows of a later watermark than the one after it. Answers the changes by tick.
fn run(spec: &DriftSpec, ticks: &[Tick], workers: usize, seed: u64) -> Vec<BTreeMap<Row, i64>> {
    run_from(Ledger::new(spec.clone()), ticks, workers, seed)
}

/// The same, from a ledger.
fn run_from(ledger: Ledger, ticks: &[Tick], workers: usize, seed: u64) -> Vec<BTreeMap<Row, i64>> {
    let (send, receive) = mpsc::channel();
    let send = Arc::new(Mutex::new(send));
    let script = Arc::new(ticks.to_vec());
    let guards = timely::execute(timely::Config::process(workers), move |worker| {
        let send = send.lock().expect("no sender panicked").clone();
        let (mut facts, mut watermarks) = worker.dataflow(|scope| {
            let (facts_in, facts) = scope.new_input();
            let (watermarks_in, watermarks) = scope.new_input();
            drift::<Rc<FactBlock>>(facts, watermarks, ledger.clone()).capture_into(send);
            (facts_in, watermarks_in)
        });
        let ahead = (workers - 1 - worker.index()) as i64;
        let mut rng = SmallRng::seed_from_u64(seed ^ (worker.index() as u64) << 32);
        // Either input may be many ticks ahead of the other.
        let (mut facts_at, mut watermarks_at) = (0, 0);
        while facts_at < script.len() || watermarks_at < script.len() {
            if facts_at < script.len() && (watermarks_at == script.len() || rng.random_bool(0.5)) {
                let mine = share(&script[facts_at].given, worker.index(), workers, seed);
                for part in mine.chunks(rng.random_range(1..20)) {
                    facts.send(Rc::new(block(part.iter())));
                }
                facts_at += 1;
                facts.advance_to(facts_at as u64);
            } else {
                watermarks.send(script[watermarks_at].watermark.plus(Span(ahead * 9)));
                watermarks_at += 1;
                watermarks.advance_to(watermarks_at as u64);
            }
            if rng.random_bool(0.5) {
                worker.step();
            }
        }
    });
    for worker in guards.expect("workers start").join() {
        worker.expect("no worker panics");
    }
    let mut changes = vec![BTreeMap::new(); ticks.len()];
    for event in receive {
        if let Event::Messages(stamp, all) = event {
            let tick = *stamp.least().expect("rows leave at a tick") as usize;
            all.iter().for_each(|rows| add(&mut changes[tick], rows));
        }
    }
    changes
}

fn add(to: &mut BTreeMap<Row, i64>, rows: &Rows) {
    for row in 0..rows.len() {
        let words = std::array::from_fn(|column| rows.columns[column].row(row)[0]);
        assert_eq!(rows.heads[row].at.0, words[0], "a row speaks of its window");
        *to.entry(words).or_default() += i64::from(rows.heads[row].diff);
    }
}

/// Checks the rows that stand after every tick.
fn check(spec: &DriftSpec, ticks: &[Tick], changes: &[BTreeMap<Row, i64>], case: &str) {
    let (mut given, mut standing) = (Vec::new(), BTreeMap::<Row, i64>::new());
    let mut oracle = Oracle::new(spec);
    for (number, (tick, changes)) in ticks.iter().zip(changes).enumerate() {
        given.extend(&tick.given);
        for (row, diff) in changes {
            assert!(*diff != 0, "{case}, tick {number}: {row:?} came and went");
            *standing.entry(*row).or_default() += diff;
        }
        standing.retain(|_, count| *count != 0);
        oracle.freeze(&given, tick.watermark);
        // Counting anew after each of many ticks would take most of the test's time.
        if ticks.len() > 60 && number % 8 != 0 && number + 1 < ticks.len() {
            continue;
        }
        let expected: BTreeMap<Row, i64> = oracle
            .rows(&given, tick.watermark)
            .into_iter()
            .map(|row| (row, 1))
            .collect();
        assert_eq!(standing, expected, "{case}, tick {number}, {spec:?}");
    }
}

/// How many random cases to try: a few by default, more when `TIDEGATE_CASES` says so.
fn cases() -> u64 {
    std::env::var("TIDEGATE_CASES").map_or(12, |cases| {
        cases.parse().expect("TIDEGATE_CASES is a number")
    })
}

#[test]
fn final_rows_are_those_of_counting_everything_at_the_end() {
    for seed in 0..cases() {
        let mut rng = SmallRng::seed_from_u64(seed);
        let spec = spec(&mut rng, Firing::Final);
        let facts = facts(&mut rng);
        for workers in 1..=4 {
            let ticks = arrive(&mut rng, &facts, None);
            let changes = run(&spec, &ticks, workers, seed);
            assert!(changes.iter().flat_map(BTreeMap::values).all(|d| *d == 1));
            let case = format!("seed {seed}, {workers} workers");
            check(&spec, &ticks, &changes, &case);
        }
    }
}

#[test]
fn changing_rows_follow_every_correction_at_every_tick() {
    for seed in 0..cases() {
        let mut rng = SmallRng::seed_from_u64(seed);
        let keep = [0, 50, i64::MAX / 2][rng.random_range(0..3)];
        let spec = spec(&mut rng, Firing::Changes { keep: Span(keep) });
        let facts = facts(&mut rng);
        for workers in 1..=4 {
            let ticks = arrive(&mut rng, &facts, Some(keep));
            let case = format!("seed {seed}, {workers} workers");
            check(&spec, &ticks, &run(&spec, &ticks, workers, seed), &case);
        }
    }
}

/// Steps a ledger through the ticks; `between` may replace it after each. Answers the changes, too.
fn step(
    spec: &DriftSpec,
    ticks: &[Tick],
    between: impl Fn(Ledger) -> Ledger,
) -> (Ledger, Vec<BTreeMap<Row, i64>>) {
    let (mut tally, mut ledger) = (Tally::new(spec), Ledger::new(spec.clone()));
    let mut changes = Vec::new();
    for tick in ticks {
        tally.add(&block(tick.given.iter()));
        tally.drain(|delta| ledger.apply(delta));
        let mut rows = Rows::new(8);
        ledger.close(tick.watermark, &mut rows);
        let mut change = BTreeMap::new();
        add(&mut change, &rows);
        changes.push(change);
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
        part.retain(|monitor| monitor % workers == worker);
        whole.join(back(&part));
    }
    whole
}

#[test]
fn any_number_of_workers_goes_on_from_what_others_saved() {
    for seed in 0..cases() {
        let mut rng = SmallRng::seed_from_u64(seed);
        for (firing, keep) in [
            (Firing::Final, None),
            (Firing::Changes { keep: Span(60) }, Some(60)),
        ] {
            let spec = spec(&mut rng, firing);
            let facts = facts(&mut rng);
            let ticks = arrive(&mut rng, &facts, keep);
            let middle = rng.random_range(0..=ticks.len());
            let (ledger, mut changes) = step(&spec, &ticks[..middle], |ledger| ledger);
            let saved = through_parts(&ledger, rng.random_range(1..4));
            let workers = rng.random_range(1..4);
            changes.extend(run_from(saved, &ticks[middle..], workers, seed));
            let case = format!("seed {seed}, from tick {middle} with {workers} workers");
            check(&spec, &ticks, &changes, &case);
        }
    }
}

#[test]
fn a_ledger_saved_and_read_back_between_any_ticks_goes_on_as_before() {
    for seed in 0..cases() {
        let mut rng = SmallRng::seed_from_u64(seed);
        for (firing, keep) in [
            (Firing::Final, None),
            (Firing::Changes { keep: Span(60) }, Some(60)),
        ] {
            let spec = spec(&mut rng, firing);
            let facts = facts(&mut rng);
            let ticks = arrive(&mut rng, &facts, keep);
            step(&spec, &ticks, |ledger| back(&ledger));
        }
    }
}

#[test]
fn damaged_bytes_are_no_ledger() {
    let mut rng = SmallRng::seed_from_u64(1);
    let spec = spec(&mut rng, Firing::Changes { keep: Span(1_000) });
    let facts = facts(&mut rng);
    let (ledger, _) = step(&spec, &arrive(&mut rng, &facts, None), |ledger| ledger);
    let mut to = Writer::default();
    ledger.encode(&mut to);
    for length in 0..to.bytes.len() {
        let cut = &to.bytes[..length];
        assert!(Ledger::decode(spec.clone(), &mut Reader::new(cut)).is_err());
    }
    let fewer = DriftSpec {
        monitors: vec![],
        ..spec
    };
    assert!(Ledger::decode(fewer, &mut Reader::new(&to.bytes)).is_err());
}

#[test]
fn once_time_is_over_only_the_reference_is_kept() {
    let mut rng = SmallRng::seed_from_u64(2);
    for firing in [Firing::Final, Firing::Changes { keep: Span(5) }] {
        let spec = spec(&mut rng, firing);
        let facts = facts(&mut rng);
        let mut ticks = arrive(&mut rng, &facts, None);
        ticks.push(Tick {
            given: vec![],
            watermark: EventTime::MAX,
        });
        let (ledger, _) = step(&spec, &ticks, |ledger| ledger);
        assert_eq!(ledger.windows_kept(), 0);
    }
}
