//! Patterns in random facts, against the oracle.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::super::oracle::{matches, one_by_one};
use super::*;
use crate::bed::facts::word;
use crate::bed::seeds;

/// The bits of facts are 0 to 3, and some filters let every fact pass.
fn random_filter(random: &mut SmallRng) -> Option<u8> {
    random.random_bool(0.9).then(|| random.random_range(0..4))
}

fn random_span(random: &mut SmallRng, chance: f64) -> Option<Span> {
    random
        .random_bool(chance)
        .then(|| Span(random.random_range(1..15)))
}

fn random_step(random: &mut SmallRng, first: bool) -> Step {
    let at_least = [1, 1, 1, 2, 3][random.random_range(0..5)];
    Step {
        filter: random_filter(random),
        at_least,
        at_most: random
            .random_bool(0.4)
            .then(|| at_least + random.random_range(0..2)),
        within: random_span(random, 0.3).filter(|_| !first),
        absent: random.random_bool(0.4).then(|| Absent {
            filter: random_filter(random),
            within: random_span(random, 0.4),
        }),
    }
}

fn random_column(random: &mut SmallRng, steps: usize) -> StepColumn {
    let of = Measure {
        word: random.random_range(0..2),
        kind: [Kind::Int, Kind::Fixed { scale: 3 }, Kind::Span][random.random_range(0..3)].clone(),
    };
    let op = match random.random_range(0..8) {
        0 => SessionOp::Count,
        1 => SessionOp::Sum(of),
        2 => SessionOp::Mean(of),
        3 => SessionOp::Min(of),
        4 => SessionOp::Max(of),
        5 => SessionOp::First(of),
        6 => SessionOp::Last(of),
        _ => SessionOp::Any,
    };
    StepColumn {
        step: random.random_range(0..steps),
        column: SessionColumn {
            op,
            filter: random.random_bool(0.3).then_some(1),
            empty: [Empty::Null, Empty::Zero][random.random_range(0..2)],
        },
    }
}

pub(super) fn random_spec(random: &mut SmallRng) -> PatternSpec {
    let steps = random.random_range(1..4);
    let columns = random.random_range(0..4);
    PatternSpec {
        within: Span(random.random_range(1..30)),
        steps: (0..steps).map(|i| random_step(random, i == 0)).collect(),
        columns: (0..columns).map(|_| random_column(random, steps)).collect(),
        most_open: [1, 2, 3, 16, 16][random.random_range(0..5)],
        output: Some(0),
    }
}

/// Few of the four bits at a time, and now and then none.
pub(super) fn random_bits(random: &mut SmallRng) -> u64 {
    1 << random.random_range(0..5) & 0xf | 1 << random.random_range(0..9) & 0xf
}

fn random_facts(random: &mut SmallRng) -> Vec<Owned> {
    let mut at = random.random_range(-50..50);
    (0..random.random_range(0..40))
        .map(|id| {
            at += [0, 0, 1, 1, 2, 3, 5, 14][random.random_range(0..8)];
            Owned {
                at,
                id,
                bits: random_bits(random),
                words: vec![word(random), word(random)],
            }
        })
        .collect()
}

/// After every fact of a random history, saved and restored at random, the matches so far are what the oracle
/// makes of the facts so far.
#[test]
fn every_prefix_equals_the_oracle() {
    let (mut sum, mut cases) = (0, 0);
    for seed in seeds(2_000) {
        let mut random = SmallRng::seed_from_u64(seed);
        let spec = random_spec(&mut random);
        let facts = random_facts(&mut random);
        let mut stepper = stepper(&spec);
        for (i, fact) in facts.iter().enumerate() {
            stepper.facts(std::slice::from_ref(fact));
            if random.random_bool(0.2) {
                stepper.save_and_restore();
            }
            let mut clock = EventTime(fact.at);
            check(seed, &spec, &stepper, &facts[..=i], clock);
            if random.random_bool(0.5) {
                let next = facts.get(i + 1).map_or(i64::MAX, |next| next.at);
                clock = EventTime((fact.at + random.random_range(0..12)).min(next));
                stepper.advance(clock);
                check(seed, &spec, &stepper, &facts[..=i], clock);
            }
        }
        let clock = EventTime(facts.last().map_or(0, |fact| fact.at) + 100);
        stepper.advance(clock);
        check(seed, &spec, &stepper, &facts, clock);
        assert_eq!(stepper.state, PatternState::default(), "seed {seed}");
        sum += stepper.rows(0).len();
        cases += 1;
    }
    assert!(sum > cases, "{sum} matches in all");
}

fn check(
    seed: u64,
    spec: &PatternSpec,
    stepper: &Stepper<Pattern>,
    facts: &[Owned],
    clock: EventTime,
) {
    let facts: Vec<Fact<'_>> = facts.iter().map(Owned::fact).collect();
    let mut expected = matches(spec, &facts, clock);
    expected.sort();
    assert_eq!(stepper.rows(0), expected, "seed {seed}, at {clock:?}");
}

/// Without a bound on open attempts, one start after the other gives the same matches as all side by side.
#[test]
fn trying_one_start_after_the_other_gives_the_same() {
    for seed in seeds(2_000) {
        let mut random = SmallRng::seed_from_u64(seed);
        let spec = PatternSpec {
            most_open: u32::MAX,
            ..random_spec(&mut random)
        };
        let facts = random_facts(&mut random);
        let mut stepper = run(&spec, &facts);
        stepper.advance(EventTime(1_000_000));
        let facts: Vec<Fact<'_>> = facts.iter().map(Owned::fact).collect();
        let mut expected = one_by_one(&spec, &facts, EventTime(1_000_000));
        expected.sort();
        assert_eq!(stepper.rows(0), expected, "seed {seed}");
    }
}
