//! Case by case: what a journey is, what is counted, what is predicted.

use std::sync::Arc;

use tidegate_schemas::fact::{Fact, NULL, float_word, word_float};
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::{EventTime, Span};

use super::accuracy::{Predictor, Scores, Step};
use super::holdout::{HoldOut, Path};
use super::spec::{Firing, JourneySpec, MOVES, PATHS, STEPS, Split, end, name_marks, start};
use super::transitions::{Count, Delta, Transitions};
use super::{JourneyState, Journeys};
use crate::bed::play::words;
use crate::codec::{Reader, Writer};
use crate::logic::{Logic, Outputs, Wake};

mod random;
mod saved;

fn journeys(gap: Option<i64>, order: usize) -> Journeys {
    Journeys::new(JourneySpec {
        kind: 0,
        gap: gap.map(Span),
        order,
        moves: Some(0),
        steps: Some(1),
        paths: Some(2),
    })
}

fn outputs() -> Outputs {
    Outputs::new(&[MOVES.len(), STEPS.len(), PATHS.len()])
}

/// All rows of an output.
fn all(rows: &Rows) -> Vec<Vec<Vec<i64>>> {
    (0..rows.len()).map(|row| words(rows, row)).collect()
}

/// Steps a key through (time, kind) with ids from 1, then to the end of time.
fn run(journeys: &Journeys, facts: &[(i64, i64)]) -> Vec<Rows> {
    let (mut state, mut out) = (JourneyState::default(), outputs());
    for (id, (at, kind)) in (1..).zip(facts) {
        let at = EventTime(*at);
        while let Wake::At(due) = journeys.wake(&state) {
            if due > at {
                break;
            }
            journeys.on_timer(&mut state, due, &mut out);
        }
        let words = &[*kind];
        let fact = Fact {
            at,
            id,
            bits: 0,
            words,
        };
        journeys.on_fact(&mut state, &fact, &mut out);
        journeys.on_instant(&mut state, at, &mut out);
    }
    if let Wake::At(due) = journeys.wake(&state) {
        assert!(due < EventTime::MAX, "timers come before the end of time");
        journeys.on_timer(&mut state, due, &mut out);
    }
    assert_eq!(journeys.wake(&state), Wake::Forget);
    out.take()
}

#[test]
fn a_step_exactly_a_gap_later_begins_a_journey() {
    let rows = run(&journeys(Some(10), 1), &[(0, 7), (9, 8), (19, 9)]);
    let moves = [
        [start(), 7, NULL],
        [7, 8, 9],
        [8, end(), NULL],
        [start(), 9, NULL],
        [9, end(), NULL],
    ];
    assert_eq!(all(&rows[0]), moves.map(|row| row.map(|word| vec![word])));
    let ats: Vec<i64> = rows[0].heads.iter().map(|head| head.at.0).collect();
    assert_eq!(ats, [0, 9, 19, 19, 29]);
    assert_eq!(all(&rows[2]), [[vec![1], vec![7, 8]], [vec![3], vec![9]]]);
}

#[test]
fn steps_of_one_instant_are_never_parted() {
    let rows = run(&journeys(Some(0), 1), &[(5, 7), (5, 8), (6, 9)]);
    assert_eq!(all(&rows[2]), [[vec![1], vec![7, 8]], [vec![3], vec![9]]]);
}

#[test]
fn without_a_gap_only_the_end_of_the_input_ends_a_journey() {
    let facts = [(i64::MIN + 2, 7), (0, 8), (i64::MAX - 2, 9)];
    let rows = run(&journeys(None, 1), &facts);
    assert_eq!(all(&rows[2]), [[vec![1], vec![7, 8, 9]]]);
}

#[test]
fn a_fact_without_a_kind_is_no_step() {
    let rows = run(
        &journeys(Some(10), 1),
        &[(0, NULL), (1, 7), (9, NULL), (11, 8)],
    );
    assert_eq!(all(&rows[2]), [[vec![2], vec![7]], [vec![4], vec![8]]]);
}

#[test]
fn a_context_is_the_newest_kinds_of_the_same_journey() {
    let facts = [(0, 7), (1, 8), (2, 9), (20, 5), (21, 6)];
    let rows = run(&journeys(Some(10), 2), &facts);
    let steps = [
        [vec![2], vec![8], vec![7]],
        [vec![3], vec![9], vec![8, 7]],
        [vec![5], vec![6], vec![5]],
    ];
    assert_eq!(all(&rows[1]), steps);
}

#[test]
fn only_what_is_wanted_is_remembered() {
    let mut spec = journeys(None, 2).spec().clone();
    for (steps, paths, kept) in [(None, None, 1), (Some(1), None, 2), (None, Some(2), 4)] {
        (spec.steps, spec.paths) = (steps, paths);
        let journeys = Journeys::new(spec.clone());
        let (mut state, mut out) = (JourneyState::default(), outputs());
        for (id, kind) in [(4, 7), (3, 8), (5, 9), (6, 7)] {
            let at = EventTime(kind * 2);
            let words = &[kind];
            let fact = Fact {
                at,
                id,
                bits: 0,
                words,
            };
            journeys.on_fact(&mut state, &fact, &mut out);
            let mut to = Writer::default();
            journeys.encode(&state, &mut to);
            let back = journeys.decode(&mut Reader::new(&to.bytes));
            assert_eq!(back.as_ref(), Ok(&state));
            for cut in 0..to.bytes.len() {
                let damaged = journeys.decode(&mut Reader::new(&to.bytes[..cut]));
                assert!(damaged.is_err());
            }
        }
        assert_eq!((state.kinds.len(), state.first), (kept, 3));
    }
}

fn delta(from: i64, to: i64, moves: i64, seconds: Option<i64>) -> Delta {
    let timed = if seconds.is_some() { moves } else { 0 };
    let between = i128::from(seconds.unwrap_or(0)) * 1_000_000;
    Delta {
        from,
        to,
        count: Count {
            moves,
            timed,
            between,
        },
    }
}

/// Diff, from, to, count, share, mean of each row.
type Shown = (i32, i64, i64, i64, Option<f64>, Option<f64>);

fn close(counts: &mut Transitions, deltas: &[Delta], watermark: EventTime) -> Vec<Shown> {
    deltas.iter().for_each(|delta| counts.apply(*delta));
    let rows = counts.close(watermark).unwrap_or_else(|| Rows::new(5));
    let row = |row: usize| {
        let word = |column: usize| rows.columns[column].words[row];
        (
            rows.heads[row].diff,
            word(0),
            word(1),
            word(2),
            word_float(word(3)),
            word_float(word(4)),
        )
    };
    (0..rows.len()).map(row).collect()
}

#[test]
fn a_step_changes_the_shares_beside_it_and_no_others() {
    let mut counts = Transitions::new(Firing::Changes);
    let zero = EventTime(0);
    let first = [delta(7, 8, 2, Some(6)), delta(9, 7, 1, None)];
    let rows = [
        (1, 7, 8, 2, Some(1.0), Some(3.0)),
        (1, 9, 7, 1, Some(1.0), None),
    ];
    assert_eq!(close(&mut counts, &first, zero), rows);
    let second = [delta(7, 9, 2, Some(2))];
    let rows = [
        (-1, 7, 8, 2, Some(1.0), Some(3.0)),
        (1, 7, 8, 2, Some(0.5), Some(3.0)),
        (1, 7, 9, 2, Some(0.5), Some(1.0)),
    ];
    assert_eq!(close(&mut counts, &second, zero), rows);
    let back = [
        delta(7, 8, -2, Some(-6)),
        delta(9, 7, 3, None),
        delta(9, 7, -3, None),
    ];
    let rows = [
        (-1, 7, 8, 2, Some(0.5), Some(3.0)),
        (-1, 7, 9, 2, Some(0.5), Some(1.0)),
        (1, 7, 9, 2, Some(1.0), Some(1.0)),
    ];
    assert_eq!(close(&mut counts, &back, EventTime::MAX), rows);
}

#[test]
fn final_transitions_leave_once_when_the_input_is_over() {
    let mut counts = Transitions::new(Firing::Final);
    assert!(close(&mut counts, &[delta(7, 8, 2, Some(6))], EventTime(0)).is_empty());
    let rows = [(1, 7, 8, 1, Some(1.0), Some(4.0))];
    let last = [delta(7, 8, -1, Some(-2))];
    assert_eq!(close(&mut counts, &last, EventTime::MAX), rows);
    assert!(close(&mut counts, &[], EventTime::MAX).is_empty());
}

/// Names, and the codes of these texts.
fn named<const N: usize>(texts: [&str; N]) -> (Arc<Names>, [i64; N]) {
    let names = Names::default();
    name_marks(&names);
    let codes = texts.map(|text| names.code(text).expect("texts differ"));
    (Arc::new(names), codes)
}

fn step(at: i64, before: &[i64], to: i64) -> Step {
    Step {
        at: EventTime(at),
        id: at as u64,
        to,
        before: before.iter().copied().collect(),
    }
}

/// `[order, steps, predicted, right]` of each row.
fn scores(predictor: &mut Predictor, order: usize, steps: Vec<Step>) -> Vec<[i64; 4]> {
    let mut scores = Scores::new(Firing::Final, order);
    if let Some(part) = predictor.tick(steps, EventTime::MAX) {
        scores.add(&part);
    }
    let rows = scores.close(EventTime::MAX).unwrap_or_else(|| Rows::new(8));
    let row = |row: usize| [0, 1, 2, 3].map(|column: usize| rows.columns[column].words[row]);
    (0..rows.len()).map(row).collect()
}

#[test]
fn a_step_is_predicted_from_those_before_it_only() {
    let (names, [a, b, c]) = named(["a", "b", "c"]);
    let mut predictor = Predictor::new(1, names);
    // Never seen; b, right; b, wrong; a tie of b and c: b, wrong; c, right.
    let steps = [(1, b), (2, b), (3, c), (4, c), (5, c)];
    let steps = steps.map(|(at, to)| step(at, &[a], to));
    assert_eq!(scores(&mut predictor, 1, steps.to_vec()), [[1, 5, 4, 1]]);
    let more = vec![step(6, &[a], c)];
    assert_eq!(scores(&mut predictor, 1, more), [[1, 1, 1, 1]]);
}

#[test]
fn a_context_that_was_never_seen_leaves_it_to_the_next_shorter_one() {
    let (names, [a, b, c]) = named(["a", "b", "c"]);
    let mut predictor = Predictor::new(2, names);
    let steps = vec![
        step(1, &[a, b], c),
        // Order 2 has not seen (c, a), so a alone says c.
        step(2, &[a, c], c),
        // A journey's second step has one kind before it, whatever the order.
        step(3, &[a], b),
        // (b, a) says c; a alone, too.
        step(4, &[a, b], c),
    ];
    let expected = [[1, 4, 3, 2], [2, 4, 3, 2]];
    assert_eq!(scores(&mut predictor, 2, steps), expected);
}

#[test]
fn steps_wait_for_the_watermark_of_all_workers() {
    let (names, [a, b, c]) = named(["a", "b", "c"]);
    let mut predictor = Predictor::new(1, names);
    assert!(
        predictor
            .tick(vec![step(5, &[a], b)], EventTime(5))
            .is_none()
    );
    let scores = predictor.tick(vec![step(4, &[a], c)], EventTime(6));
    let mut sums = Scores::new(Firing::Changes, 1);
    sums.add(&scores.expect("two steps have passed"));
    let rows = sums.close(EventTime(6)).expect("something changed");
    // c first, which was never seen; then b, where c was said with certainty.
    assert_eq!(words(&rows, 0)[..4], [[1], [2], [1], [0]]);
    assert_eq!(words(&rows, 0)[5], [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(words(&rows, 0)[6][9], float_word(1.0));
    assert_eq!(words(&rows, 0)[7], [vec![NULL; 9], vec![0]].concat());
}

#[test]
fn the_first_journeys_are_counted_and_the_others_predicted() {
    let (names, [a, b, c]) = named(["a", "b", "c"]);
    let split = Split { counted: 2, of: 3 };
    let mut holdout = HoldOut::new(2, split, names);
    let path = |first, kinds: &[i64]| Path {
        first,
        kinds: kinds.into(),
    };
    // In order of the least id: [a b], [a c], then [c b] is tested.
    let paths = vec![path(9, &[c, b]), path(2, &[a, c]), path(1, &[a, b])];
    assert!(holdout.tick(paths, EventTime(0)).is_none());
    let rows = holdout
        .tick(vec![], EventTime::MAX)
        .expect("the input is over");
    // c was followed by the end, so the step to b is missed; b by the end, which is found.
    let accuracy = float_word(0.5);
    let row = |k| [k, 2, 1, 2, 1, accuracy].map(|word| vec![word]);
    assert_eq!(all(&rows), [row(1), row(2)]);
    assert!(holdout.tick(vec![], EventTime::MAX).is_none());
}

#[test]
fn without_counted_journeys_every_prediction_is_wrong() {
    let (names, [a]) = named(["a"]);
    let mut holdout = HoldOut::new(1, Split { counted: 1, of: 2 }, names);
    let path = Path {
        first: 1,
        kinds: [a].into(),
    };
    let rows = holdout
        .tick(vec![path], EventTime::MAX)
        .expect("the input is over");
    assert_eq!(all(&rows), [[1, 0, 1, 1, 0, 0].map(|word| vec![word])]);
}
