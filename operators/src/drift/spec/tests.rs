//! Steps of time, and settings that make no sense.

use super::*;
use crate::program::{Expr, Program};

const STEPS: Steps = Steps {
    origin: EventTime(100),
    every: Span(10),
};

#[test]
fn a_boundary_belongs_to_the_window_that_begins_there() {
    for (at, index) in [(100, 0), (109, 0), (110, 1), (99, -1), (90, -1), (89, -2)] {
        assert_eq!(STEPS.index(EventTime(at)), index, "{at}");
        assert!(STEPS.start(index).0 <= at && at < STEPS.end(index).0);
    }
}

#[test]
fn the_ends_of_time_have_windows() {
    for at in [EventTime::MIN, EventTime::MAX] {
        let index = STEPS.index(at);
        assert!(STEPS.start(index) <= at && at <= STEPS.end(index));
    }
}

#[test]
fn senseless_settings_are_told() {
    let good = DriftSpec {
        monitors: vec![],
        by: None,
        steps: STEPS,
        lengths: vec![1],
        reference: Reference::Stretch {
            from: EventTime(0),
            until: EventTime(1),
        },
        smoothing: Smoothing::AddToCounts(0.5),
        direction: Direction::CurrentFromReference,
        measures: vec![Measure::Psi, Measure::Kl],
        min_rows: 0,
        layout: Layout::Plain,
        alert: None,
        firing: Firing::Final,
    };
    assert_eq!(good.check(), Ok(()));
    let empty = Reference::Stretch {
        from: EventTime(1),
        until: EventTime(1),
    };
    let none = Steps {
        every: Span::ZERO,
        ..STEPS
    };
    let numbers = |bins| Monitor {
        name: 0,
        column: 0,
        filter: None,
        values: Values::Numbers(Number::Real, bins),
    };
    let truth = Program::compile(&Expr::Bool(true), &[]).expect("it is a truth");
    let never = Alert {
        when: truth,
        windows: 0,
        clear_when: None,
        cooldown: Span::ZERO,
    };
    #[rustfmt::skip]
    let bad = [
        DriftSpec { reference: empty, ..good.clone() },
        DriftSpec { steps: none, ..good.clone() },
        DriftSpec { reference: Reference::First(Span(25)), ..good.clone() },
        DriftSpec { reference: Reference::First(Span::ZERO), ..good.clone() },
        DriftSpec { smoothing: Smoothing::Floor(f64::NAN), ..good.clone() },
        DriftSpec { smoothing: Smoothing::AddToCounts(-0.5), ..good.clone() },
        DriftSpec { lengths: vec![], ..good.clone() },
        DriftSpec { lengths: vec![1, 0], layout: Layout::Wide, ..good.clone() },
        DriftSpec { lengths: vec![24], ..good.clone() },
        DriftSpec { by: Some(0), ..good.clone() },
        DriftSpec { measures: vec![Measure::Js], ..good.clone() },
        DriftSpec { monitors: vec![numbers(Bins::Even(1))], ..good.clone() },
        DriftSpec { monitors: vec![numbers(Bins::Edges(vec![2.0, 1.0]))], ..good.clone() },
        DriftSpec { monitors: vec![numbers(Bins::Edges(vec![]))], ..good.clone() },
        DriftSpec { layout: Layout::Wide, alert: Some(never), ..good.clone() },
    ];
    for spec in bad {
        assert!(spec.check().is_err(), "{spec:?}");
    }
}
