//! What the tests make up: what is declared, the facts, and how they arrive.

use rand::Rng;
use rand::rngs::SmallRng;
use tidegate_schemas::fact::{NULL, float_word};
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::{EventTime, Span, TimeUnit};

use super::oracle::LIMITS;
use super::{Given, Tick};
use crate::bed::facts::{self, one};
use crate::drift::alerts::Alert;
use crate::drift::cuts::{Bins, Number};
use crate::drift::measures::Measure;
use crate::drift::spec::{DriftSpec, Firing, Layout, Monitor, Reference, Steps, Values};
use crate::program::{Comparison, Expr, Program};
use crate::statistics::Smoothing;
use crate::statistics::divergence::Direction;

const ALL: [Measure; 11] = [
    Measure::Psi,
    Measure::Kl,
    Measure::Js,
    Measure::Hellinger,
    Measure::TotalVariation,
    Measure::Largest,
    Measure::ChiSquare,
    Measure::Kolmogorov,
    Measure::Wasserstein,
    Measure::Missing,
    Measure::New,
];

pub(super) fn spec(rng: &mut SmallRng, firing: Firing) -> DriftSpec {
    let from = rng.random_range(-30..100);
    let every = rng.random_range(1..60);
    let rules = [
        Bins::Deciles,
        Bins::Even(5),
        Bins::Sturges,
        Bins::Doane,
        Bins::Edges(vec![-4.0, 0.5, 2.0]),
    ];
    let monitor = |name, column, filter, values| Monitor {
        name,
        column,
        filter,
        values,
    };
    let categories = || Values::Categories(Kind::Int);
    let layout = one(rng, &[Layout::Plain, Layout::Wide, Layout::Wide]);
    let wide = layout == Layout::Wide;
    let mut spec = DriftSpec {
        monitors: vec![
            monitor(70, 0, None, categories()),
            monitor(
                71,
                1,
                Some(1),
                Values::Numbers(Number::Whole, one(rng, &rules)),
            ),
            monitor(72, 1, Some(1), categories()),
            monitor(73, 2, None, Values::Numbers(Number::Real, one(rng, &rules))),
        ],
        by: (wide && rng.random_bool(0.6)).then_some(3),
        steps: Steps {
            origin: EventTime(rng.random_range(-50..50)),
            every: Span(every),
        },
        lengths: match wide {
            true => one(rng, &[vec![1], vec![3], vec![1, 4], vec![5, 2]]),
            false => vec![1],
        },
        reference: match rng.random_bool(0.5) {
            true => Reference::First(Span(every * rng.random_range(1..4))),
            false => Reference::Stretch {
                from: EventTime(from),
                until: EventTime(from + rng.random_range(1..200)),
            },
        },
        smoothing: one(rng, &[Smoothing::AddToCounts(0.5), Smoothing::Floor(1e-4)]),
        direction: match rng.random_bool(0.5) {
            true => Direction::CurrentFromReference,
            false => Direction::ReferenceFromCurrent,
        },
        measures: match wide && rng.random_bool(0.7) {
            true => ALL[..rng.random_range(1..=ALL.len())].to_vec(),
            false => vec![Measure::Psi, Measure::Kl],
        },
        min_rows: rng.random_range(0..4),
        layout,
        alert: None,
        firing,
    };
    if wide && rng.random_bool(0.5) {
        spec.alert = Some(alert(rng, &spec));
    }
    spec
}

fn alert(rng: &mut SmallRng, spec: &DriftSpec) -> Alert {
    let columns = spec.registers(TimeUnit::Second, Kind::Int);
    let psi = columns.iter().position(|column| column.name == "psi");
    let psi = psi.expect("it is measured");
    let kinds: Vec<Kind> = columns.into_iter().map(|column| column.kind).collect();
    let compared = |how, limit| {
        let (psi, limit) = (Box::new(Expr::Register(psi)), Box::new(Expr::Float(limit)));
        Program::compile(&Expr::Compare(how, psi, limit), &kinds).expect("a condition")
    };
    Alert {
        when: compared(Comparison::Greater, LIMITS.0),
        windows: rng.random_range(1..4),
        clear_when: rng
            .random_bool(0.5)
            .then(|| compared(Comparison::Less, LIMITS.1)),
        cooldown: Span(rng.random_range(0..3) * spec.steps.every.0 * 2),
    }
}

pub(super) fn some_facts(rng: &mut SmallRng) -> Vec<Given> {
    let word = |rng: &mut SmallRng, categories| match rng.random_range(0..categories) {
        0 => NULL,
        n => (n - 3) << 40,
    };
    let distinct = one(rng, &[8, 1_000]);
    let number = |rng: &mut SmallRng| match rng.random_range(0..9) {
        0 => NULL,
        1 => float_word(f64::INFINITY),
        _ => float_word(f64::from(rng.random_range(-distinct..distinct)) / 7.0),
    };
    (0..rng.random_range(0..400))
        .map(|id| Given {
            key: 0,
            id,
            at: rng.random_range(0..400),
            bits: rng.random_range(0..4),
            words: [word(rng, 5), word(rng, 30), number(rng), word(rng, 4)],
            diff: 1,
        })
        .collect()
}

/// Lets the facts arrive; with `keep`, takes some back while that is allowed.
pub(super) fn arrive(rng: &mut SmallRng, facts: &[Given], keep: Option<i64>) -> Vec<Tick> {
    let mut ticks = facts::arrive(rng, facts, |rng, standing, before| {
        let mut back = Vec::new();
        for _ in 0..keep.map_or(0, |_| rng.random_range(0..3)) {
            if standing.is_empty() {
                break;
            }
            let fact = standing.swap_remove(rng.random_range(0..standing.len()));
            if before == EventTime::MIN || fact.at >= before.0 - keep.unwrap_or(0) {
                back.push(fact.back());
            }
        }
        back
    });
    if rng.random_bool(0.8) {
        ticks.push(Tick::over());
    }
    ticks
}
