//! Sessions of random facts, against the oracle.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::super::oracle::{closed, sessions};
use super::*;
use crate::bed::facts::word;
use crate::bed::{by_build, seeds};

fn random_op(random: &mut SmallRng) -> SessionOp {
    let of = Measure {
        word: random.random_range(0..2),
        kind: [Kind::Int, Kind::Fixed { scale: 3 }, Kind::Span][random.random_range(0..3)].clone(),
    };
    match random.random_range(0..13) {
        0 => SessionOp::Count,
        1 => SessionOp::Any,
        2 => SessionOp::FirstTime,
        3 => SessionOp::LastTime,
        4 => SessionOp::Duration,
        5 => SessionOp::Sum(of),
        6 => SessionOp::Mean(of),
        7 => SessionOp::Min(of),
        8 => SessionOp::Max(of),
        9 => SessionOp::First(of),
        10 => SessionOp::Last(of),
        11 => SessionOp::CountDistinct(of),
        _ => SessionOp::List {
            of,
            k: random.random_range(0..5),
        },
    }
}

pub(super) fn random_spec(random: &mut SmallRng) -> SessionsSpec {
    let columns = random.random_range(0..7);
    SessionsSpec {
        filter: random.random_bool(0.3).then_some(0),
        gap: Span(random.random_range(0..8)),
        at_gap: [AtGap::New, AtGap::Same][random.random_range(0..2)],
        max_length: (random.random_bool(0.5)).then(|| Span(random.random_range(0..20))),
        columns: (0..columns)
            .map(|_| SessionColumn {
                op: random_op(random),
                filter: random.random_bool(0.5).then_some(1),
                empty: [Empty::Null, Empty::Zero][random.random_range(0..2)],
            })
            .collect(),
        closed_output: Some(0),
        open_output: Some(1),
    }
}

fn random_facts(random: &mut SmallRng) -> Vec<Owned> {
    let mut at = random.random_range(-50..50);
    (0..random.random_range(0..30))
        .map(|id| {
            // Ties, neighbours, steps about the size of the gap, and silences.
            at += [0, 0, 1, 2, 5, 7, 8, 20][random.random_range(0..8)];
            Owned {
                at,
                id,
                bits: random.random_range(0..4),
                words: vec![word(random), word(random)],
            }
        })
        .collect()
}

/// At every instant of a random history, saved and restored at random, the outputs so far and the
/// open session are what the oracle makes of the facts so far.
#[test]
fn every_prefix_equals_the_oracle() {
    for seed in seeds(by_build(1_000, 10_000)) {
        let mut random = SmallRng::seed_from_u64(seed);
        let spec = random_spec(&mut random);
        let facts = random_facts(&mut random);
        let mut stepper = stepper(&spec);
        for (i, fact) in facts.iter().enumerate() {
            stepper.fact(fact.fact());
            if random.random_bool(0.2) {
                stepper.save_and_restore();
            }
            let next = facts.get(i + 1).map_or(i64::MAX, |next| next.at);
            if next == fact.at {
                continue;
            }
            stepper.end_instant();
            let mut clock = EventTime(fact.at);
            check(seed, &spec, &stepper, &facts[..=i], clock);
            if random.random_bool(0.5) {
                clock = EventTime((fact.at + random.random_range(0..12)).min(next));
                stepper.advance(clock);
                check(seed, &spec, &stepper, &facts[..=i], clock);
            }
        }
        let clock = EventTime(facts.last().map_or(0, |fact| fact.at) + 100);
        stepper.advance(clock);
        check(seed, &spec, &stepper, &facts, clock);
        assert_eq!(stepper.state, SessionState::default(), "seed {seed}");
    }
}

fn check(
    seed: u64,
    spec: &SessionsSpec,
    stepper: &Stepper<Sessions>,
    facts: &[Owned],
    clock: EventTime,
) {
    let facts: Vec<Fact<'_>> = facts.iter().map(Owned::fact).collect();
    let mut expected = sessions(spec, &facts, clock);
    let over = closed(spec, &expected);
    let open = expected.iter().find(|row| !over.contains(row)).cloned();
    expected.sort();
    assert_eq!(stepper.rows(1), expected, "seed {seed}, all at {clock:?}");
    let mut over = over;
    over.sort();
    assert_eq!(stepper.rows(0), over, "seed {seed}, closed at {clock:?}");
    let expected = match open {
        None => vec![NULL; spec.width()],
        Some(row) => (row.columns.iter().zip(spec.kinds(TimeUnit::Second)))
            .map(|(words, kind)| match kind {
                Kind::List(_) => NULL,
                _ => words[0],
            })
            .collect(),
    };
    assert_eq!(
        values(stepper, clock.0),
        expected,
        "seed {seed}, values at {clock:?}"
    );
}
