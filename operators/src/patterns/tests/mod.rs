//! Patterns case by case.

mod arrival;
mod random;

use tidegate_schemas::fact::NULL;
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::{Span, TimeUnit};

use super::*;
use crate::bed::facts::Owned;
use crate::bed::stepper::Stepper;
use crate::features::spec::Measure;
use crate::sessions::{Empty, SessionColumn, SessionOp};

/// What facts satisfy: steps are letters, and so are facts that satisfy them.
fn letter(letter: u8) -> u8 {
    letter - b'a'
}

fn step(name: u8) -> Step {
    Step {
        filter: Some(letter(name)),
        at_least: 1,
        at_most: None,
        within: None,
        absent: None,
    }
}

fn absent(name: u8, within: Option<i64>) -> Option<Absent> {
    Some(Absent {
        filter: Some(letter(name)),
        within: within.map(Span),
    })
}

/// These steps within 10.
fn pattern(steps: impl IntoIterator<Item = Step>) -> PatternSpec {
    PatternSpec {
        within: Span(10),
        steps: steps.into_iter().collect(),
        columns: Vec::new(),
        most_open: 16,
        output: Some(0),
    }
}

/// Facts by the letters they satisfy: at the time before the colon, `0:a 3:bc`.
fn facts(written: &str) -> Vec<Owned> {
    let fact = |(text, id): (&str, u64)| {
        let (at, letters) = text.split_once(':').expect("a time and letters");
        Owned {
            at: at.parse().expect("a time"),
            id,
            bits: letters
                .bytes()
                .fold(0, |bits, name| bits | 1 << letter(name)),
            words: vec![id as i64],
        }
    };
    written.split_whitespace().zip(0..).map(fact).collect()
}

fn stepper(spec: &PatternSpec) -> Stepper<Pattern> {
    Stepper::new(Pattern::new(spec.clone()), &[spec.width()])
}

fn run(spec: &PatternSpec, facts: &[Owned]) -> Stepper<Pattern> {
    let mut stepper = stepper(spec);
    stepper.facts(facts);
    stepper
}

/// (start, end, the columns behind how) of each match of these facts when all time is out.
fn found(spec: &PatternSpec, written: &str) -> Vec<(i64, i64, Vec<i64>)> {
    let mut stepper = run(spec, &facts(written));
    stepper.advance(EventTime(1_000_000));
    let how = match spec.steps.last().is_some_and(|step| step.absent.is_some()) {
        true => TIMED_OUT,
        false => COMPLETED,
    };
    let rows = stepper.rows(0).into_iter().map(|row| {
        let words = row.columns.concat();
        assert_eq!(words[PatternSpec::HOW], code_of(how));
        assert_eq!(words[PatternSpec::END], row.at.0);
        let rest = words[PatternSpec::COUNTS..].to_vec();
        (words[PatternSpec::START], words[PatternSpec::END], rest)
    });
    rows.collect()
}

#[test]
fn no_fact_is_no_match() {
    let stepper = run(&pattern([step(b'a')]), &[]);
    assert!(stepper.rows(0).is_empty());
    assert_eq!(stepper.logic.wake(&stepper.state), Wake::Forget);
}

#[test]
fn one_row_may_be_a_match() {
    let spec = pattern([step(b'a')]);
    let each = [(0, 0, vec![1, 0]), (0, 0, vec![1, 0]), (3, 3, vec![1, 0])];
    assert_eq!(found(&spec, "0:a 0:a 1:b 3:a"), each);
    assert!(run(&spec, &facts("0:a")).state.is_empty());
}

#[test]
fn steps_come_in_order_and_other_rows_between_them_are_passed_over() {
    let spec = pattern([step(b'a'), step(b'b'), step(b'c')]);
    assert_eq!(
        found(&spec, "0:a 1:c 2:b 3:d 4:a 5:c"),
        [(0, 5, vec![1, 1, 1, 0])]
    );
    assert_eq!(found(&spec, "0:b 1:a 2:c 3:b"), []);
    // One row is of one step, even if it satisfies two.
    assert_eq!(found(&spec, "0:ab 1:bc 2:c"), [(0, 2, vec![1, 1, 1, 0])]);
}

#[test]
fn a_row_exactly_within_after_the_first_is_outside() {
    let spec = pattern([step(b'a'), step(b'b')]);
    assert_eq!(found(&spec, "0:a 9:b"), [(0, 9, vec![1, 1, 0])]);
    assert_eq!(found(&spec, "0:a 10:b"), []);
    // A later start is still in time.
    assert_eq!(found(&spec, "0:a 1:a 10:b"), [(1, 10, vec![1, 1, 0])]);
}

#[test]
fn a_step_s_own_time_counts_from_the_last_row_of_the_step_before() {
    let b = Step {
        within: Some(Span(3)),
        ..step(b'b')
    };
    let a = Step {
        at_least: 2,
        ..step(b'a')
    };
    let spec = pattern([a, b]);
    assert_eq!(found(&spec, "0:a 5:a 7:b"), [(0, 7, vec![2, 1, 0])]);
    assert_eq!(found(&spec, "0:a 5:a 8:b"), []);
    assert_eq!(found(&spec, "0:a 5:a 7:a 9:b"), [(0, 9, vec![3, 1, 0])]);
    // What is not taken any more does not give more time.
    let mut spec = spec;
    spec.steps[0].at_most = Some(2);
    assert_eq!(found(&spec, "0:a 5:a 7:a 9:b"), [(5, 9, vec![2, 1, 0])]);
}

#[test]
fn a_step_takes_rows_until_the_next_begins() {
    let a = Step {
        at_least: 2,
        at_most: Some(3),
        ..step(b'a')
    };
    let spec = pattern([a, step(b'b')]);
    assert_eq!(
        found(&spec, "0:a 1:b 2:a 3:a 4:a 5:b"),
        [(0, 5, vec![3, 1, 0])]
    );
    // The next step goes before one more row of this one.
    assert_eq!(found(&spec, "0:a 1:a 2:ab 3:b"), [(0, 2, vec![2, 1, 0])]);
    assert_eq!(found(&spec, "0:a 1:ab 2:b"), [(0, 2, vec![2, 1, 0])]);
}

#[test]
fn the_next_match_begins_behind_the_last_row_of_the_one_before() {
    let twice = Step {
        at_least: 2,
        ..step(b'a')
    };
    let pairs = [(0, 1, vec![2, 0]), (2, 3, vec![2, 0])];
    assert_eq!(found(&pattern([twice]), "0:a 1:a 2:a 3:a 4:a"), pairs);
    // The row that completes one begins none, though it satisfies the first step, too.
    let spec = pattern([step(b'a'), step(b'b')]);
    assert_eq!(found(&spec, "0:a 1:ab 2:b"), [(0, 1, vec![1, 1, 0])]);
}

#[test]
fn rows_of_one_instant_go_by_their_ids() {
    let spec = pattern([step(b'a'), step(b'b')]);
    assert_eq!(found(&spec, "5:a 5:b"), [(5, 5, vec![1, 1, 0])]);
    assert_eq!(found(&spec, "5:b 5:a"), []);
    // Two matches may begin at one instant: their first rows tell them apart.
    let row = (5, 5, vec![1, 1, 0]);
    assert_eq!(found(&spec, "5:a 5:b 5:a 5:b"), [row.clone(), row]);
    // A time is out before the rows of that instant.
    let quiet = Step {
        absent: absent(b'b', None),
        ..step(b'a')
    };
    let spec = pattern([quiet]);
    assert_eq!(found(&spec, "0:a 10:b"), [(0, 10, vec![1, 0])]);
    assert_eq!(found(&spec, "0:a 9:b"), []);
}

#[test]
fn what_must_be_absent_between_two_steps_ends_the_attempt() {
    let a = Step {
        at_least: 2,
        absent: absent(b'x', None),
        ..step(b'a')
    };
    let spec = pattern([a, step(b'b')]);
    assert_eq!(found(&spec, "0:a 1:a 2:x 3:b"), []);
    // Not before the step has its rows, and not behind the next.
    let row = |start, end| [(start, end, vec![2, 1, 0])];
    assert_eq!(found(&spec, "0:a 1:x 2:a 3:b 4:x"), row(0, 3));
    // The second row goes on as a start of its own.
    assert_eq!(found(&spec, "0:a 1:a 2:x 3:a 4:b"), row(1, 4));
    // It is looked for before the step itself and the next: what is both ends the attempt.
    assert_eq!(found(&spec, "0:a 1:a 2:bx"), []);
    assert_eq!(found(&spec, "0:a 1:a 2:ax 3:b"), row(1, 3));
    // For a while only.
    let a = Step {
        absent: absent(b'x', Some(3)),
        ..step(b'a')
    };
    let spec = pattern([a, step(b'b')]);
    assert_eq!(found(&spec, "0:a 2:x 4:b"), []);
    assert_eq!(found(&spec, "0:a 3:x 4:b"), [(0, 4, vec![1, 1, 0])]);
}

#[test]
fn what_must_be_absent_at_the_end_lets_time_make_the_match() {
    let b = Step {
        absent: absent(b'x', None),
        ..step(b'b')
    };
    let spec = pattern([step(b'a'), b]);
    let mut stepper = run(&spec, &facts("0:a 4:b"));
    stepper.advance(EventTime(9));
    assert!(stepper.rows(0).is_empty());
    stepper.advance(EventTime(10));
    assert_eq!(stepper.rows(0)[0].at, EventTime(10));
    assert_eq!(stepper.logic.wake(&stepper.state), Wake::Forget);
    assert_eq!(found(&spec, "0:a 4:b 6:b 12:x"), [(0, 10, vec![1, 2, 0])]);
    assert_eq!(found(&spec, "0:a 4:b 6:x"), []);
    assert_eq!(found(&spec, "0:a 2:x 4:b"), [(0, 10, vec![1, 1, 0])]);
    assert_eq!(found(&spec, "0:a 12:x"), []);
    // A time of its own, from the last row.
    let mut spec = spec;
    spec.steps[1].absent = absent(b'x', Some(3));
    assert_eq!(found(&spec, "0:a 4:b 6:b 9:x"), [(0, 9, vec![1, 2, 0])]);
    assert_eq!(found(&spec, "0:a 4:b 6:b 8:x"), []);
    assert_eq!(found(&spec, "0:a 4:b 6:b 8:b"), [(0, 10, vec![1, 3, 0])]);
    // The next match may begin while one waits.
    let quiet = Step {
        at_most: Some(1),
        absent: absent(b'x', None),
        ..step(b'a')
    };
    let rows = [(0, 10, vec![1, 0]), (4, 14, vec![1, 0])];
    assert_eq!(found(&pattern([quiet]), "0:a 4:a"), rows);
}

#[test]
fn silence_is_an_absent_step_that_every_row_satisfies() {
    let quiet = Step {
        absent: Some(Absent {
            filter: None,
            within: Some(Span(3)),
        }),
        ..step(b'a')
    };
    let spec = pattern([quiet]);
    assert_eq!(spec.seen(), None);
    assert_eq!(found(&spec, "0:a 2:b 5:a 8:b"), [(5, 8, vec![1, 0])]);
}

#[test]
fn a_row_that_would_begin_one_attempt_too_many_begins_none_and_is_counted() {
    let a = Step {
        at_most: Some(1),
        ..step(b'a')
    };
    let spec = PatternSpec {
        most_open: 2,
        ..pattern([a, step(b'b')])
    };
    assert_eq!(found(&spec, "0:a 1:a 2:a 3:a 4:b"), [(0, 4, vec![1, 1, 2])]);
    // The third could have been a match.
    assert_eq!(found(&spec, "0:a 1:a 2:a 11:b"), []);
    // At 10 there is room again.
    assert_eq!(
        found(&spec, "0:a 1:a 2:a 10:a 11:b"),
        [(10, 11, vec![1, 1, 0])]
    );
    assert_eq!(found(&spec, "0:a 1:a 2:a 10:b"), [(1, 10, vec![1, 1, 1])]);
}

#[test]
fn columns_are_of_the_rows_of_their_step() {
    let of = Measure {
        word: 0,
        kind: Kind::Int,
    };
    let column = |step, op, filter| StepColumn {
        step,
        column: SessionColumn {
            op,
            filter,
            empty: Empty::Null,
        },
    };
    let spec = PatternSpec {
        columns: vec![
            column(0, SessionOp::Max(of.clone()), None),
            column(1, SessionOp::Last(of.clone()), None),
            column(0, SessionOp::Sum(of.clone()), None),
            column(0, SessionOp::First(of), Some(letter(b'z'))),
        ],
        ..pattern([step(b'a'), step(b'b')])
    };
    // The words are the ids; the row of another kind and what is not taken do not count.
    let row = (0, 4, vec![3, 1, 3, 4, 4, NULL, 0]);
    assert_eq!(found(&spec, "0:a 1:a 2:x 3:a 4:b 5:b"), [row]);
    let mut stepper = run(&spec, &facts("0:a 3:az 4:b"));
    assert_eq!(stepper.rows(0)[0].columns.concat()[9], 1);
    stepper.advance(EventTime::MAX);
    let kinds = spec.kinds(Kind::Id { shown: u64::MAX }, TimeUnit::Second);
    assert_eq!(kinds.len(), spec.width());
}

#[test]
fn a_match_is_explained_by_the_step_that_took_each_row() {
    let logic = Pattern::new(pattern([step(b'a'), step(b'b'), step(b'c')]));
    let facts = facts("0:a 1:x 2:a 3:b 4:b 5:c 6:c");
    let taken = logic.taken(facts.iter().map(Owned::fact));
    assert_eq!(taken, [Some(0), None, Some(0), Some(1), Some(1), Some(2)]);
    assert_eq!(logic.taken([]), []);
}

#[test]
fn timers_come_for_what_waits_and_for_the_last_to_fail() {
    let mut stepper = run(&pattern([step(b'a'), step(b'b')]), &facts("0:a 4:a"));
    let mut timers = Vec::new();
    while let Wake::At(at) = stepper.logic.wake(&stepper.state) {
        timers.push(at.0);
        stepper
            .logic
            .on_timer(&mut stepper.state, at, &mut stepper.out);
    }
    assert_eq!(timers, [14]);
}

#[test]
fn the_state_of_a_key_is_of_the_stated_size() {
    assert_eq!(size_of::<PatternState>(), 16);
    assert_eq!(size_of::<Open>(), 104);
    assert_eq!(size_of::<Attempt>(), 40);
}

#[test]
fn damaged_states_are_errors() {
    let spec = pattern([step(b'a'), step(b'b')]);
    let stepper = run(&spec, &facts("0:a 3:a"));
    let mut to = Writer::default();
    stepper.logic.encode(&stepper.state, &mut to);
    for cut in 0..to.bytes.len() {
        let mut from = Reader::new(&to.bytes[..cut]);
        assert!(stepper.logic.decode(&mut from).is_err());
    }
    assert!(stepper.logic.decode(&mut Reader::new(&[0xff; 40])).is_err());
    // No such step.
    let bytes = [1, 0, 0, 0, 0, 2, 0, 0, 0];
    assert!(stepper.logic.decode(&mut Reader::new(&bytes)).is_err());
}
