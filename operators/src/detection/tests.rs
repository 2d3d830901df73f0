//! The promise as a whole: the rows are those of giving each detector its values in order, whatever the arrival within
//! lateness, the batches, the number of workers, restarts, and what is taken back in time.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tidegate_schemas::fact::{FactBlock, Head, NULL, float_word, word_float};
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::{EventTime, Span};
use timely::dataflow::operators::capture::{Capture, Event};
use timely::dataflow::operators::vec::Input;

use super::book::{Book, Unheard};
use super::{DetectionSpec, Number, detection, items};
use crate::codec::{Reader, Writer};
use crate::detectors::{Detector, Settings, Signal, takes};

const LATENESS: i64 = 40;
const DRIFT: i64 = 7;
const WARNING: i64 = 8;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Given {
    at: i64,
    id: u64,
    diff: i32,
    bits: u64,
    words: [i64; 2],
}

#[derive(Clone, Debug)]
struct Tick {
    given: Vec<Given>,
    watermark: EventTime,
}

/// A row as words, `[at, row, value, signal, stream]`.
type Row = [i64; 5];

fn spec(rng: &mut SmallRng) -> DetectionSpec {
    let named = |name, parameters: &[(&'static str, &'static str)]| {
        Settings::named(name, parameters.iter().copied()).expect("there is such a detector")
    };
    let (settings, number) = match rng.random_range(0..4) {
        0 => (
            named("adwin", &[("clock", "1"), ("delta", "0.3")]),
            Number::Float,
        ),
        1 => (
            named(
                "page_hinkley",
                &[("min_instances", "5"), ("threshold", "4")],
            ),
            Number::Float,
        ),
        2 => (
            named("cusum", &[("min_instances", "5"), ("threshold", "2")]),
            Number::Float,
        ),
        _ => (named("ddm", &[("warm_start", "5")]), Number::Whole),
    };
    DetectionSpec {
        settings,
        column: 0,
        number,
        filter: rng.random_bool(0.5).then_some(1),
        by: rng.random_bool(0.5).then_some(1),
        forget: rng.random_bool(0.5).then_some(Span(60)),
        signals: [DRIFT, WARNING],
    }
}

fn facts(rng: &mut SmallRng, number: Number) -> Vec<Given> {
    let value = |rng: &mut SmallRng, at: i64| match (number, rng.random_range(0..40)) {
        (_, 0) => NULL,
        (Number::Float, 1) => float_word(1e200),
        (Number::Float, _) => float_word(rng.random_range(0.0..2.0) + (at / 130) as f64),
        (Number::Whole, _) => i64::from(rng.random_bool(if at < 200 { 0.1 } else { 0.6 })),
    };
    let gap = rng.random_bool(0.5);
    (0..rng.random_range(0..400))
        .map(|id| {
            let at = rng.random_range(0..400);
            let at = if gap && (150..260).contains(&at) {
                at - 100
            } else {
                at
            };
            Given {
                at,
                id,
                diff: 1,
                bits: rng.random_range(0..4),
                words: [value(rng, at), [NULL, 5, 6][rng.random_range(0..3)]],
            }
        })
        .collect()
}

/// Lets the facts arrive out of order within lateness, in batches, and takes some back.
fn arrive(rng: &mut SmallRng, facts: &[Given]) -> Vec<Tick> {
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
        there.extend(&given);
        if rng.random_bool(0.3) {
            let fact = there.swap_remove(rng.random_range(0..there.len()));
            given.push(Given { diff: -1, ..fact });
        }
        let watermark = EventTime(newest - LATENESS);
        ticks.push(Tick { given, watermark });
    }
    let (given, watermark) = (vec![], EventTime::MAX);
    ticks.push(Tick { given, watermark });
    ticks
}

/// Each detector given its values in order, those left out that were taken back while they waited.
fn expected(spec: &DetectionSpec, ticks: &[Tick]) -> BTreeMap<Row, i64> {
    let mut streams: BTreeMap<i64, BTreeMap<(i64, u64), f64>> = BTreeMap::new();
    let mut watermark = EventTime::MIN;
    for tick in ticks {
        for fact in &tick.given {
            let word = fact.words[0];
            let value = match spec.number {
                Number::Whole => (word != NULL).then_some(word as f64),
                Number::Float => word_float(word),
            };
            let passes = spec.filter.is_none_or(|bit| fact.bits >> bit & 1 == 1);
            let Some(value) = value.filter(|value| passes && takes(*value)) else {
                continue;
            };
            let stream = streams
                .entry(spec.by.map_or(NULL, |by| fact.words[by]))
                .or_default();
            if fact.diff > 0 {
                stream.insert((fact.at, fact.id), value);
            } else if EventTime(fact.at) >= watermark {
                stream.remove(&(fact.at, fact.id));
            }
        }
        watermark = tick.watermark;
    }
    let mut rows = BTreeMap::new();
    for (name, values) in streams {
        let mut detector = Detector::new(&spec.settings);
        let (mut row, mut last, mut before) = (0, i64::MIN, Signal::Quiet);
        for ((at, _), value) in values {
            if row > 0 && spec.forget.is_some_and(|forget| last + forget.0 <= at) {
                (detector, row, before) = (Detector::new(&spec.settings), 0, Signal::Quiet);
            }
            let signal = detector.add(value);
            let said = match signal {
                Signal::Drift => Some(DRIFT),
                Signal::Warning => (before != Signal::Warning).then_some(WARNING),
                Signal::Quiet => None,
            };
            if let Some(said) = said {
                let name = spec.by.map_or(0, |_| name);
                *rows
                    .entry([at, row, float_word(value), said, name])
                    .or_default() += 1;
            }
            (row, last, before) = (row + 1, at, signal);
        }
    }
    rows
}

fn block<'a>(given: impl Iterator<Item = &'a Given>) -> FactBlock {
    let mut block = FactBlock::new(2);
    for fact in given {
        let head = Head {
            key: 0,
            diff: fact.diff,
            at: EventTime(fact.at),
            id: fact.id,
            bits: fact.bits,
        };
        block.push(head, &fact.words);
    }
    block
}

fn add(to: &mut BTreeMap<Row, i64>, rows: &Rows) {
    for row in 0..rows.len() {
        let word = |column: usize| {
            rows.columns
                .get(column)
                .map_or(0, |words| words.row(row)[0])
        };
        *to.entry(std::array::from_fn(word)).or_default() += i64::from(rows.heads[row].diff);
    }
}

/// Runs the dataflow from a book; each fact of a tick is given to a worker by its id.
fn run(book: Book, ticks: &[Tick], workers: usize, seed: u64) -> BTreeMap<Row, i64> {
    let (send, receive) = mpsc::channel();
    let send = Arc::new(Mutex::new(send));
    let script = Arc::new(ticks.to_vec());
    let guards = timely::execute(timely::Config::process(workers), move |worker| {
        let send = send.lock().expect("no sender panicked").clone();
        let (mut facts, mut watermarks) = worker.dataflow(|scope| {
            let (facts_in, facts) = scope.new_input();
            let (watermarks_in, watermarks) = scope.new_input();
            detection::<Rc<FactBlock>>(facts, watermarks, book.clone()).capture_into(send);
            (facts_in, watermarks_in)
        });
        let mut rng = SmallRng::seed_from_u64(seed ^ (worker.index() as u64) << 32);
        for (number, tick) in script.iter().enumerate() {
            let mine = |fact: &&Given| (fact.id ^ seed) as usize % workers == worker.index();
            let mine: Vec<&Given> = tick.given.iter().filter(mine).collect();
            for part in mine.chunks(rng.random_range(1..20)) {
                facts.send(Rc::new(block(part.iter().copied())));
            }
            watermarks.send(tick.watermark);
            facts.advance_to(number as u64 + 1);
            watermarks.advance_to(number as u64 + 1);
            if rng.random_bool(0.5) {
                worker.step();
            }
        }
    });
    for worker in guards.expect("workers start").join() {
        worker.expect("no worker panics");
    }
    let mut found = BTreeMap::new();
    for event in receive {
        if let Event::Messages(_, all) = event {
            all.iter().for_each(|rows| add(&mut found, rows));
        }
    }
    found
}

/// How many random cases to try: a few by default, more when `TIDEGATE_CASES` says so.
fn cases() -> u64 {
    std::env::var("TIDEGATE_CASES").map_or(12, |cases| {
        cases.parse().expect("TIDEGATE_CASES is a number")
    })
}

#[test]
fn rows_are_those_of_each_detector_and_its_values_in_order() {
    let mut some = 0;
    for seed in 0..cases() {
        let mut rng = SmallRng::seed_from_u64(seed);
        let spec = spec(&mut rng);
        let facts = facts(&mut rng, spec.number);
        for workers in 1..=4 {
            let ticks = arrive(&mut rng, &facts);
            let found = run(
                Book::new(spec.clone(), Arc::default()),
                &ticks,
                workers,
                seed,
            );
            assert_eq!(
                found,
                expected(&spec, &ticks),
                "seed {seed}, {workers} workers, {spec:?}"
            );
            some += found.len();
        }
    }
    assert!(some > 0, "no detector ever spoke");
}

/// Steps a book through ticks.
fn step(book: &mut Book, ticks: &[Tick], found: &mut BTreeMap<Row, i64>) {
    for tick in ticks {
        let mut rows = Rows::new(4 + usize::from(book.spec().by.is_some()));
        let items = items(book.spec(), &block(tick.given.iter()));
        book.close(items, tick.watermark, &mut rows);
        add(found, &rows);
    }
}

/// Written and read back.
fn back(book: &Book) -> Book {
    let mut to = Writer::default();
    book.encode(&mut to);
    let mut from = Reader::new(&to.bytes);
    let back =
        Book::decode(book.spec().clone(), Arc::default(), &mut from).expect("it was just written");
    assert!(from.is_empty());
    let mut again = Writer::default();
    back.encode(&mut again);
    assert_eq!(again.bytes, to.bytes);
    back
}

#[test]
fn any_number_of_workers_goes_on_from_what_others_saved() {
    for seed in 0..cases() {
        let mut rng = SmallRng::seed_from_u64(seed);
        let spec = spec(&mut rng);
        let facts = facts(&mut rng, spec.number);
        let ticks = arrive(&mut rng, &facts);
        let middle = rng.random_range(0..=ticks.len());
        let (mut book, mut found) = (Book::new(spec.clone(), Arc::default()), BTreeMap::new());
        step(&mut book, &ticks[..middle], &mut found);
        let (mut saved, parts) = (
            Book::new(spec.clone(), Arc::default()),
            rng.random_range(1..4),
        );
        for part in 0..parts {
            let mut mine = book.clone();
            mine.retain(|stream| stream.rem_euclid(parts) == part);
            saved.join(back(&mine));
        }
        let more = run(saved, &ticks[middle..], rng.random_range(1..4), seed);
        for (row, diff) in more {
            *found.entry(row).or_default() += diff;
        }
        assert_eq!(
            found,
            expected(&spec, &ticks),
            "seed {seed}, from tick {middle}"
        );
    }
}

#[test]
fn a_silent_stream_leaves_nothing_behind_and_begins_anew() {
    let settings = Settings::named("page_hinkley", [("min_instances", "1"), ("threshold", "1")]);
    let spec = DetectionSpec {
        settings: settings.expect("there is such a detector"),
        column: 0,
        number: Number::Whole,
        filter: None,
        by: None,
        forget: Some(Span(10)),
        signals: [DRIFT, WARNING],
    };
    let given = |at, id, value| Given {
        at,
        id,
        diff: 1,
        bits: 0,
        words: [value, NULL],
    };
    let tick = |given, watermark| Tick {
        given,
        watermark: EventTime(watermark),
    };
    let unheard = Arc::new(Unheard::default());
    let (mut book, mut found) = (Book::new(spec, Arc::clone(&unheard)), BTreeMap::new());
    step(
        &mut book,
        &[tick(vec![given(0, 1, 0), given(1, 2, 0)], 5)],
        &mut found,
    );
    assert_eq!(book.streams(), 1);
    step(&mut book, &[tick(vec![], 11)], &mut found);
    assert_eq!(book.streams(), 0);
    // 9 would be a drift if the zeros before were remembered.
    step(
        &mut book,
        &[tick(vec![given(11, 3, 9), given(11, 4, 0)], 12)],
        &mut found,
    );
    assert_eq!(found.keys().map(|row| row[1]).collect::<Vec<_>>(), [1]);
    let late = vec![
        given(11, 5, 1),
        Given {
            diff: -1,
            ..given(11, 3, 9)
        },
    ];
    step(&mut book, &[tick(late, 13)], &mut found);
    assert_eq!((unheard.too_late(), found.len()), (2, 1));
}

#[test]
fn damaged_bytes_are_no_book() {
    let mut rng = SmallRng::seed_from_u64(3);
    let spec = spec(&mut rng);
    let facts = facts(&mut rng, spec.number);
    let ticks = arrive(&mut rng, &facts);
    let (mut book, mut found) = (Book::new(spec.clone(), Arc::default()), BTreeMap::new());
    step(&mut book, &ticks[..ticks.len() / 2], &mut found);
    let mut to = Writer::default();
    book.encode(&mut to);
    for length in 0..to.bytes.len() {
        let cut = &to.bytes[..length];
        assert!(
            Book::decode(spec.clone(), Arc::default(), &mut Reader::new(cut)).is_err(),
            "{length} bytes"
        );
    }
}
