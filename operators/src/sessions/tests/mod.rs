//! Sessions case by case.

mod arrival;
mod random;

use tidegate_schemas::fact::word_float;

use super::*;
use crate::bed::facts::Owned;
use crate::bed::stepper::Stepper;
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::TimeUnit;

/// Both outputs, gap of 10, no columns.
fn plain(at_gap: AtGap) -> SessionsSpec {
    SessionsSpec {
        filter: None,
        gap: Span(10),
        at_gap,
        max_length: None,
        columns: Vec::new(),
        closed_output: Some(0),
        open_output: Some(1),
    }
}

fn with(columns: impl IntoIterator<Item = SessionOp>) -> SessionsSpec {
    let column = |op| SessionColumn {
        op,
        filter: None,
        empty: Empty::Null,
    };
    SessionsSpec {
        columns: columns.into_iter().map(column).collect(),
        ..plain(AtGap::New)
    }
}

fn int(word: usize) -> Measure {
    Measure {
        word,
        kind: Kind::Int,
    }
}

fn stepper(spec: &SessionsSpec) -> Stepper<Sessions> {
    Stepper::new(Sessions::new(spec.clone()), &[spec.width(); 2])
}

fn values(stepper: &Stepper<Sessions>, at: i64) -> Vec<i64> {
    let mut into = Vec::new();
    stepper
        .logic
        .values(&stepper.state, EventTime(at), &mut into);
    into
}

fn run(spec: &SessionsSpec, facts: &[Owned]) -> Stepper<Sessions> {
    let mut stepper = stepper(spec);
    stepper.facts(facts);
    stepper
}

/// Runs facts at these times to the end of time: (row time, all columns) of the closed sessions.
fn spans(spec: &SessionsSpec, times: &[i64]) -> Vec<(i64, Vec<i64>)> {
    let facts: Vec<_> = (times.iter().zip(0..))
        .map(|(at, id)| Owned::new(*at, id))
        .collect();
    let mut stepper = run(spec, &facts);
    stepper.advance(EventTime(1_000_000));
    assert_eq!(stepper.rows(0), stepper.rows(1), "all sessions are over");
    (stepper.rows(0).into_iter())
        .map(|row| (row.at.0, row.columns.concat()))
        .collect()
}

/// The columns between `rows` and `closed` of the one session of these facts.
fn shown(spec: &SessionsSpec, facts: &[Owned]) -> Vec<Vec<i64>> {
    let mut stepper = run(spec, facts);
    stepper.advance(EventTime::MAX);
    let rows = stepper.rows(0);
    assert_eq!(rows.len(), 1);
    rows[0].columns[3..rows[0].columns.len() - 1].to_vec()
}

#[test]
fn a_lone_fact_is_a_session() {
    let mut stepper = run(&plain(AtGap::New), &[Owned::new(5, 1)]);
    assert!(stepper.rows(0).is_empty(), "open sessions are not final");
    assert_eq!(stepper.rows(1)[0].columns.concat(), [5, 5, 1, 0]);
    assert_eq!(values(&stepper, 14), [5, 5, 1, 0]);
    assert_eq!(values(&stepper, 15), [NULL; 4]);
    stepper.advance(EventTime(14));
    assert!(stepper.rows(0).is_empty());
    stepper.advance(EventTime(15));
    assert_eq!(stepper.rows(0)[0].at, EventTime(15));
    assert_eq!(stepper.rows(0)[0].columns.concat(), [5, 5, 1, 1]);
    assert_eq!(stepper.rows(1), stepper.rows(0));
    assert_eq!(values(&stepper, 15), [NULL; 4]);
    assert_eq!(stepper.logic.wake(&stepper.state), Wake::Forget);
}

#[test]
fn no_fact_is_no_session() {
    let stepper = run(&plain(AtGap::New), &[]);
    assert!(stepper.rows(1).is_empty());
    assert_eq!(stepper.logic.wake(&stepper.state), Wake::Forget);
}

#[test]
fn facts_exactly_at_the_gap_part_or_stay_as_told() {
    let new = [(10, vec![0, 0, 1, 1]), (20, vec![10, 10, 1, 1])];
    assert_eq!(spans(&plain(AtGap::New), &[0, 10]), new);
    assert_eq!(
        spans(&plain(AtGap::Same), &[0, 10]),
        [(21, vec![0, 10, 2, 1])]
    );
    assert_eq!(spans(&plain(AtGap::New), &[0, 9]), [(19, vec![0, 9, 2, 1])]);
    assert_eq!(spans(&plain(AtGap::Same), &[0, 11]).len(), 2);
}

#[test]
fn facts_of_one_instant_are_never_parted() {
    let spec = SessionsSpec {
        gap: Span::ZERO,
        ..plain(AtGap::New)
    };
    let instants = [(4, vec![3, 3, 2, 1]), (5, vec![4, 4, 1, 1])];
    assert_eq!(spans(&spec, &[3, 3, 4]), instants);
    let same = SessionsSpec {
        at_gap: AtGap::Same,
        ..spec
    };
    assert_eq!(spans(&same, &[3, 3, 4]), instants);
}

#[test]
fn a_session_past_its_greatest_length_is_cut_by_the_fact_that_would_pass_it() {
    let spec = SessionsSpec {
        max_length: Some(Span(15)),
        ..plain(AtGap::New)
    };
    // At 15 the session has its full length; 16 and its tie start the next, which falls silent.
    let rows = [
        (16, vec![0, 15, 4, 1, 1]),
        (26, vec![16, 16, 2, 1, 0]),
        (50, vec![40, 40, 1, 1, 0]),
    ];
    assert_eq!(spans(&spec, &[0, 7, 15, 15, 16, 16, 40]), rows);
    // Full length and then silence is no cut.
    assert_eq!(spans(&spec, &[0, 8, 15]), [(25, vec![0, 15, 3, 1, 0])]);
    // A length of zero: every instant for itself.
    let spec = SessionsSpec {
        max_length: Some(Span::ZERO),
        ..plain(AtGap::New)
    };
    assert_eq!(spans(&spec, &[0, 0, 1]).len(), 2);
}

#[test]
fn only_facts_that_pass_the_filter_hold_a_session_together() {
    let spec = SessionsSpec {
        filter: Some(3),
        ..plain(AtGap::New)
    };
    let mut facts = [Owned::new(0, 1), Owned::new(9, 2), Owned::new(18, 3)];
    facts[0].bits = 0b1000;
    facts[2].bits = 0b1000;
    let mut stepper = run(&spec, &facts);
    stepper.advance(EventTime(100));
    assert_eq!(stepper.rows(0).len(), 2);
}

#[test]
fn growth_replaces_the_open_row_once_an_instant() {
    let facts = [Owned::new(0, 1), Owned::new(4, 2), Owned::new(4, 3)];
    let stepper = run(&plain(AtGap::New), &facts);
    let rows = &stepper.out.rows[1];
    let heads: Vec<_> = rows.heads.iter().map(|h| (h.at.0, h.diff)).collect();
    assert_eq!(heads, [(0, 1), (0, -1), (4, 1)]);
    assert_eq!(rows.columns[SessionsSpec::ROWS].words, [1, 1, 3]);
}

#[test]
fn columns_of_words_skip_nulls_and_keep_order() {
    let ops = [
        SessionOp::Sum(int(0)),
        SessionOp::Min(int(0)),
        SessionOp::Max(int(0)),
        SessionOp::First(int(0)),
        SessionOp::Last(int(0)),
        SessionOp::CountDistinct(int(0)),
        SessionOp::List { of: int(0), k: 3 },
        SessionOp::Count,
        SessionOp::Duration,
    ];
    let words = [NULL, 7, -2, 7, NULL, 5, NULL];
    let facts: Vec<_> = (words.iter().zip(0..))
        .map(|(word, id)| Owned {
            words: vec![*word],
            ..Owned::new(id as i64, id)
        })
        .collect();
    let columns: [&[i64]; 9] = [
        &[17],
        &[-2],
        &[7],
        &[7],
        &[5],
        &[3],
        &[7, -2, 7],
        &[7],
        &[6],
    ];
    assert_eq!(shown(&with(ops.clone()), &facts), columns);
    // All null: no value, and an empty list; the facts themselves are still counted.
    let columns: [&[i64]; 9] = [
        &[NULL],
        &[NULL],
        &[NULL],
        &[NULL],
        &[NULL],
        &[NULL],
        &[],
        &[1],
        &[0],
    ];
    assert_eq!(shown(&with(ops), &facts[..1]), columns);
}

#[test]
fn an_empty_column_shows_what_it_was_told() {
    for (empty, word) in [(Empty::Null, NULL), (Empty::Zero, 0)] {
        let ops = [
            SessionOp::Count,
            SessionOp::Any,
            SessionOp::FirstTime,
            SessionOp::LastTime,
            SessionOp::Duration,
            SessionOp::Mean(int(0)),
            SessionOp::CountDistinct(int(0)),
        ];
        let column = |op| SessionColumn {
            op,
            filter: Some(9),
            empty,
        };
        let spec = SessionsSpec {
            columns: ops.map(column).into(),
            ..plain(AtGap::New)
        };
        let mut fact = Owned::new(0, 1);
        fact.words = vec![1];
        assert_eq!(shown(&spec, &[fact]), vec![vec![word]; 7]);
    }
}

#[test]
fn sums_are_exact_beyond_a_word_on_the_way_and_null_when_they_end_there() {
    let facts = |words: &[i64]| -> Vec<Owned> {
        (words.iter().zip(0..))
            .map(|(word, id)| Owned {
                words: vec![*word],
                ..Owned::new(0, id)
            })
            .collect()
    };
    let mut spec = with([SessionOp::Sum(int(0))]);
    spec.columns[0].empty = Empty::Zero;
    let most = i64::MAX;
    assert_eq!(shown(&spec, &facts(&[most, most, -most, 5 - most])), [[5]]);
    assert_eq!(shown(&spec, &facts(&[most])), [[most]]);
    assert_eq!(shown(&spec, &facts(&[most, 1])), [[NULL]]);
    assert_eq!(shown(&spec, &facts(&[-most, -most])), [[NULL]]);
}

#[test]
fn a_mean_is_in_the_units_of_its_measure() {
    let of = Measure {
        word: 0,
        kind: Kind::Fixed { scale: 2 },
    };
    let spec = with([SessionOp::Mean(of)]);
    let facts = [150, 250, NULL].map(|word| Owned {
        words: vec![word],
        ..Owned::new(0, 1)
    });
    assert_eq!(word_float(shown(&spec, &facts)[0][0]), Some(2.0));
    assert_eq!(spec.kinds(TimeUnit::Millisecond)[3], Kind::Float);
}

#[test]
fn the_state_of_a_session_with_counters_is_64_bytes_and_needs_no_box() {
    assert_eq!(size_of::<SessionState>(), 64);
    let spec = with([
        SessionOp::Count,
        SessionOp::Any,
        SessionOp::FirstTime,
        SessionOp::LastTime,
    ]);
    let stepper = run(&spec, &[Owned::new(0, 1)]);
    assert!(stepper.state.boxed.is_none());
}

#[test]
fn damaged_states_are_errors() {
    let facts = [Owned {
        words: vec![3],
        ..Owned::new(1_000_000, 1)
    }];
    let spec = with([SessionOp::List { of: int(0), k: 3 }]);
    let stepper = run(&spec, &facts);
    let mut to = Writer::default();
    stepper.logic.encode(&stepper.state, &mut to);
    for cut in 0..to.bytes.len() {
        assert!(
            stepper
                .logic
                .decode(&mut Reader::new(&to.bytes[..cut]))
                .is_err()
        );
    }
    assert!(stepper.logic.decode(&mut Reader::new(&[0xff; 40])).is_err());
}
