//! The promise as a whole: the rows are those of giving each detector its values in order, whatever the arrival within
//! lateness, the batches, the number of workers, restarts, and what is taken back in time.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tidegate_schemas::fact::{FactBlock, NULL, float_word, word_float};
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::{EventTime, Span};

use super::book::{Book, Unheard};
use super::{DetectionSpec, Number, detection, items};
use crate::bed::play::{self, Counts};
use crate::bed::{crews, facts, seeds};
use crate::codec::{Reader, Writer};
use crate::detectors::{Detector, Settings, Signal, takes};

const DRIFT: i64 = 7;
const WARNING: i64 = 8;

type Given = facts::Given<2>;
type Tick = facts::Tick<2>;

/// A row as words: at, row, value, signal, and stream if there is more than one.
type Row = Vec<i64>;

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

fn some_facts(rng: &mut SmallRng, number: Number) -> Vec<Given> {
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
                key: 0,
                at,
                id,
                diff: 1,
                bits: rng.random_range(0..4),
                words: [value(rng, at), [NULL, 5, 6][rng.random_range(0..3)]],
            }
        })
        .collect()
}

/// Lets the facts arrive, and takes some back.
fn arrive(rng: &mut SmallRng, facts: &[Given]) -> Vec<Tick> {
    let mut ticks = facts::arrive(rng, facts, |rng, standing, _| {
        let mut back = Vec::new();
        if rng.random_bool(0.3) {
            let fact = standing.swap_remove(rng.random_range(0..standing.len()));
            back.push(fact.back());
        }
        back
    });
    ticks.push(Tick::over());
    ticks
}

/// Each detector given its values in order, those left out that were taken back while they waited.
fn expected(spec: &DetectionSpec, ticks: &[Tick]) -> Counts<Row> {
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
                let mut words = vec![at, row, float_word(value), said];
                words.extend(spec.by.map(|_| name));
                *rows.entry(words).or_default() += 1;
            }
            (row, last, before) = (row + 1, at, signal);
        }
    }
    rows
}

fn new_book(spec: &DetectionSpec) -> Book {
    Book::new(spec.clone(), Arc::default())
}

/// Runs the dataflow from a book.
fn run(book: Book, ticks: &[Tick], workers: usize, seed: u64) -> Counts<Row> {
    let rows = play::run_ticks(ticks, workers, seed, move |facts, watermarks| {
        detection::<Rc<FactBlock>>(facts, watermarks, book.clone())
    });
    let mut found = Counts::new();
    for rows in rows.iter().flatten() {
        play::add(&mut found, rows, play::flat);
    }
    found
}

#[test]
fn rows_are_those_of_each_detector_and_its_values_in_order() {
    let mut some = 0;
    for seed in seeds(12) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let spec = spec(&mut rng);
        let facts = some_facts(&mut rng, spec.number);
        for workers in crews(seed) {
            let ticks = arrive(&mut rng, &facts);
            let found = run(new_book(&spec), &ticks, workers, seed);
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
fn step(book: &mut Book, ticks: &[Tick], found: &mut Counts<Row>) {
    for tick in ticks {
        let mut rows = Rows::new(4 + usize::from(book.spec().by.is_some()));
        let items = items(book.spec(), &tick.block(&[]));
        book.close(items, tick.watermark, &mut rows);
        play::add(found, &rows, play::flat);
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
    for seed in seeds(12) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let spec = spec(&mut rng);
        let facts = some_facts(&mut rng, spec.number);
        let ticks = arrive(&mut rng, &facts);
        let middle = rng.random_range(0..=ticks.len());
        let (mut book, mut found) = (new_book(&spec), Counts::new());
        step(&mut book, &ticks[..middle], &mut found);
        let (mut saved, parts) = (new_book(&spec), rng.random_range(1..4));
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
        key: 0,
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
    let (mut book, mut found) = (Book::new(spec, Arc::clone(&unheard)), Counts::new());
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
    let late = vec![given(11, 5, 1), given(11, 3, 9).back()];
    step(&mut book, &[tick(late, 13)], &mut found);
    assert_eq!((unheard.too_late(), found.len()), (2, 1));
}

#[test]
fn damaged_bytes_are_no_book() {
    let mut rng = SmallRng::seed_from_u64(3);
    let spec = spec(&mut rng);
    let facts = some_facts(&mut rng, spec.number);
    let ticks = arrive(&mut rng, &facts);
    let (mut book, mut found) = (new_book(&spec), Counts::new());
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
