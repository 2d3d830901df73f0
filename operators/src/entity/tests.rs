//! When an entity is to be looked at.

use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::Span;

use super::*;
use crate::program::{Comparison, Expr, Program};
use crate::triggers::{CLOSED_AT, FIRED_AT, KeyPart, Lookup, REASONS, TriggerSpec};

/// Open while the only limit is at most 3, and at most once in 20.
fn low_limit() -> Trigger {
    let compiled =
        |expr: &Expr| Program::compile(expr, &[Kind::Int, Kind::Int]).expect("it has a meaning");
    let (limit, three) = (Box::new(Expr::Register(0)), Box::new(Expr::Int(3)));
    let spec = TriggerSpec {
        anchor: None,
        inputs: 0,
        lookups: vec![Lookup {
            table: 0,
            key: vec![KeyPart::Segment],
            columns: 1,
        }],
        segment: Some(compiled(&Expr::Int(7))),
        when: compiled(&Expr::Compare(Comparison::LessEqual, limit, three)),
        clear_when: None,
        cooldown: Some(Span(20)),
        holdout: None,
        action: None,
        reasons: vec![],
        firings: None,
        episodes: Some(0),
    };
    Trigger::new(spec).expect("it fits together")
}

/// The limit from `at` on.
fn limit(at: i64, limit: i64) -> TableRow {
    TableRow {
        table: 0,
        key: [7].into(),
        at: EventTime(at),
        id: at as u64,
        row: Some([limit].into()),
        diff: 1,
    }
}

/// A key of the entity with one fact, at 20.
fn with_a_fact(entity: &Entity) -> (State, Outputs) {
    let (mut state, mut out) = (State::default(), Outputs::new(&[REASONS]));
    let fact = Fact {
        at: EventTime(20),
        id: 1,
        bits: 0,
        words: &[],
    };
    entity.on_fact(&mut state, &fact, &mut out);
    entity.on_instant(&mut state, EventTime(20), &mut out);
    (state, out)
}

#[test]
fn timers_come_for_the_moments_of_a_trigger_and_then_no_more() {
    let entity = Entity::new(vec![], vec![], vec![], vec![], vec![low_limit()], &[(1, 1)]);
    let limits = [(0, 5), (20, 3), (30, 5), (35, 2), (50, 9)];
    for (at, most) in limits {
        entity.on_table(&limit(at, most));
    }
    let (mut state, mut out) = with_a_fact(&entity);
    let mut timers = Vec::new();
    while let Wake::At(at) = entity.wake(&state) {
        assert!(timers.len() < 100, "no end of timers: {timers:?}");
        timers.push(at.0);
        entity.on_timer(&mut state, at, &mut out);
    }
    // Each moment without facts is one timer, and one behind it to look back at it.
    assert_eq!(timers, [30, 31, 35, 36, 40, 41, 50, 51, 60, 61]);
    assert_eq!(entity.wake(&state), Wake::Forget);
    let rows = &out.rows[0];
    let column = |column: usize| rows.columns[column].words.clone();
    let closed: Vec<_> = column(CLOSED_AT).into_iter().filter(|at| *at > 0).collect();
    assert_eq!(column(FIRED_AT), [20, 20, 20, 40, 40, 40]);
    assert_eq!(closed, [30, 50]);
}
