//! Random columns over random facts, against the oracle.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::*;
use crate::bed::seeds;
use crate::features::oracle::{self, Sees};

const TEXTS: [&str; 5] = ["chat", "email", "voice", "web", "app"];

fn order(dice: &mut SmallRng) -> Order {
    *[Order::NewestFirst, Order::OldestFirst]
        .choose(dice)
        .unwrap()
}

fn spread(dice: &mut SmallRng) -> Spread {
    *[Spread::Population, Spread::Sample].choose(dice).unwrap()
}

fn bit(dice: &mut SmallRng) -> Option<u8> {
    [None, Some(0), Some(1), Some(2)][dice.random_range(0..4)]
}

fn op(dice: &mut SmallRng) -> Op {
    let k = dice.random_range(1..5);
    match dice.random_range(0..22) {
        0 | 1 => Op::Count,
        2 => Op::Any,
        3 => Op::Sum,
        4 => Op::Mean,
        5 => Op::Min,
        6 => Op::Max,
        7 => Op::Variance(spread(dice)),
        8 => Op::Deviation(spread(dice)),
        9 => Op::First,
        10 => Op::Last,
        11 => Op::FirstK {
            k,
            order: order(dice),
        },
        12 => Op::LastK {
            k,
            order: order(dice),
        },
        13 => Op::CountDistinct,
        14 => Op::DistinctK {
            k,
            order: order(dice),
        },
        15 => Op::Histogram { k },
        16 => Op::MaxCountBy,
        17 => Op::Ratio { over: bit(dice) },
        18 => Op::TimeSinceLast,
        19 => Op::LongestGap,
        20 => Op::Entropy,
        _ => Op::DecayedSum {
            half_life: Span::seconds(dice.random_range(1..20)),
        },
    }
}

/// Word 0: small fixed-point numbers; word 1: texts; word 2: wide numbers.
fn column(dice: &mut SmallRng) -> FeatureSpec {
    loop {
        let op = op(dice);
        let kinds = [Kind::Fixed { scale: 2 }, Kind::Text, Kind::Int];
        let word = dice.random_range(0..3);
        let kind = kinds[word].clone();
        let window = dice.random_bool(0.8).then(|| dice.random_range(1..25));
        let hop = dice.random_bool(0.3).then(|| dice.random_range(1..7));
        let column = FeatureSpec {
            filter: bit(dice),
            of: dice.random_bool(0.8).then_some(Measure { word, kind }),
            nulls: *[Nulls::Skip, Nulls::Skip, Nulls::Keep]
                .choose(dice)
                .unwrap(),
            window: window.map(Span::seconds),
            hop: window.and(hop).map(Span::seconds),
            empty: *[op.usual_empty(), 0].choose(dice).unwrap(),
            ..feature(op)
        };
        if column.check().is_ok() {
            return column;
        }
    }
}

fn random_spec(dice: &mut SmallRng) -> FeaturesSpec {
    let columns: Vec<_> = (0..dice.random_range(1..7)).map(|_| column(dice)).collect();
    let share = [0.0, 0.5, 1.0][dice.random_range(0..3)];
    let tracked = (0..columns.len()).filter(|_| dice.random_bool(share));
    let tracked = tracked.collect();
    let bounds = [Bounds::OpenClosed, Bounds::ClosedClosed, Bounds::ClosedOpen];
    FeaturesSpec {
        anchor: Some(0),
        carry: vec![
            Measure {
                word: 2,
                kind: Kind::Int
            };
            dice.random_range(0..2)
        ],
        bounds: *bounds.choose(dice).unwrap(),
        current_output: dice.random_bool(0.6).then_some(CURRENT),
        tracked,
        ..spec(columns)
    }
}

/// Of few values, so that they repeat, or of very many.
fn wide(dice: &mut SmallRng) -> i64 {
    match dice.random_bool(0.5) {
        true => dice.random_range(0..60),
        false => dice.random_range(-(1 << 53)..1 << 53),
    }
}

/// Facts in (time, id) order, often at one time or a whole number of seconds apart.
fn random_facts(dice: &mut SmallRng, names: &Names, count: u64) -> Vec<OracleFact> {
    let codes = TEXTS.map(|text| names.code(text).unwrap());
    let (mut at, most) = (
        dice.random_range(-50..50),
        [0, 1, 3, 30][dice.random_range(0..4)],
    );
    let mut facts = Vec::new();
    for id in 0..count {
        at += if dice.random_bool(0.4) {
            0
        } else {
            dice.random_range(0..=most)
        };
        let null = |word: i64, dice: &mut SmallRng| if dice.random_bool(0.2) { NULL } else { word };
        let words = vec![
            null(dice.random_range(-5..20), dice),
            null(*codes.choose(dice).unwrap(), dice),
            null(wide(dice), dice),
        ];
        facts.push(OracleFact {
            at: EventTime(Span::seconds(at).0),
            id,
            bits: dice.random_range(0..8),
            words,
        });
    }
    facts
}

fn check_values(
    run: &mut Run,
    spec: &FeaturesSpec,
    seen: &[OracleFact],
    t: EventTime,
    names: &Names,
) {
    let columns = spec.features.iter().enumerate();
    let expected: Vec<i64> = columns
        .map(|(index, feature)| match feature.op.is_list() {
            true => NULL,
            false => oracle::value(spec, index, seen, (t, Sees::TheInstant), names)[0],
        })
        .collect();
    assert_eq!(run.values(t), expected, "values at {t:?}");
}

/// Until the time that `wake` names, nothing changes but by the clock.
fn check_wake(run: &Run, spec: &FeaturesSpec, seen: &[OracleFact], t: EventTime, names: &Names) {
    let until = match run.features.wake(&run.state) {
        Wake::At(at) => EventTime(at.0 - 1),
        _ => EventTime(t.0 + Span::days(1).0),
    };
    for (index, feature) in spec.features.iter().enumerate() {
        let tracked = spec.current_output.is_some() || spec.tracked.contains(&index);
        if tracked && !feature.op.moves_with_the_clock() {
            let value = |t| oracle::value(spec, index, seen, (t, Sees::TheInstant), names);
            assert_eq!(value(until), value(t), "column {index} before the timer");
        }
    }
}

/// Runs one case: rows as they come, values now and then, through the codec or not.
fn case(seed: u64) {
    let mut dice = SmallRng::seed_from_u64(seed);
    let names = Arc::new(Names::default());
    let spec = random_spec(&mut dice);
    let count = dice.random_range(0..40);
    let facts = random_facts(&mut dice, &names, count);
    let mut run = Run::new(&spec, &names);
    let ask = dice.random_bool(0.5);
    let end = facts.last().map_or(EventTime(0), |fact| fact.at);
    let mut seen = 0;
    for instant in facts.chunk_by(|a, b| a.at == b.at) {
        run.recode = dice.random_bool(0.3);
        run.instant(instant);
        seen += instant.len();
        if ask {
            check_values(&mut run, &spec, &facts[..seen], instant[0].at, &names);
        }
        if ask {
            check_wake(&run, &spec, &facts[..seen], instant[0].at, &names);
        }
    }
    let anchors = oracle::anchor_rows(&spec, &facts, &names);
    assert_eq!(owned(&run.out.rows[ANCHORS]), anchors, "anchors");
    let until = EventTime(end.0 + Span::seconds(dice.random_range(0..40)).0);
    run.timers(until);
    if ask && until > end {
        check_values(&mut run, &spec, &facts, until, &names);
    }
    if spec.current_output.is_some() {
        let expected = oracle::current_rows(&spec, &facts, until, &names);
        let rows = owned(&run.out.rows[CURRENT]);
        assert_eq!(added_up(&rows), added_up(&expected), "current");
    }
    // After the last window there is nothing left, unless a column speaks of the lifetime.
    run.timers(EventTime(end.0 + Span::seconds(100).0));
    let lives = spec.features.iter().any(|feature| feature.window.is_none());
    if !lives {
        assert_eq!(run.features.wake(&run.state), Wake::Forget);
        assert!(added_up(&owned(&run.out.rows[CURRENT])).is_empty());
    }
}

/// A key with thousands of facts: windows that hold many of them, some long gone.
fn busy_case(seed: u64) {
    let mut dice = SmallRng::seed_from_u64(seed);
    let names = Arc::new(Names::default());
    let mut spec = random_spec(&mut dice);
    spec.current_output = None;
    for feature in &mut spec.features {
        let longer = [1, 30, 300][dice.random_range(0..3)];
        feature.window = feature.window.map(|window| Span(window.0 * longer));
        feature.hop = feature.hop.map(|hop| Span(hop.0 * longer));
    }
    let mut facts = random_facts(&mut dice, &names, 2_500);
    for fact in &mut facts {
        // Few anchors, because each costs the oracle all facts.
        fact.bits = fact.bits << 1 | u64::from(dice.random_bool(0.02));
    }
    let mut run = Run::new(&spec, &names);
    for instant in facts.chunk_by(|a, b| a.at == b.at) {
        run.recode = dice.random_bool(0.01);
        run.instant(instant);
    }
    let anchors = oracle::anchor_rows(&spec, &facts, &names);
    assert_eq!(owned(&run.out.rows[ANCHORS]), anchors, "anchors");
}

/// Damaged bytes are an error, or a state that goes on without a panic.
fn damaged_case(seed: u64) {
    let mut dice = SmallRng::seed_from_u64(seed);
    let names = Arc::new(Names::default());
    let spec = random_spec(&mut dice);
    let facts = random_facts(&mut dice, &names, 40);
    let mut run = Run::new(&spec, &names);
    run.all(&facts[..20]);
    let mut to = Writer::default();
    run.features.encode(&run.state, &mut to);
    let mut bytes = to.bytes;
    for _ in 0..dice.random_range(1..4) {
        let place = dice.random_range(0..bytes.len());
        match dice.random_range(0..3) {
            0 => bytes.truncate(place.max(1)),
            1 => bytes[place] = dice.random(),
            _ => bytes.insert(place, dice.random()),
        }
    }
    let Ok(mut state) = run.features.decode(&mut Reader::new(&bytes)) else {
        return;
    };
    for instant in facts[20..].chunk_by(|a, b| a.at == b.at) {
        let at = instant[0].at;
        for fact in instant {
            let fact = Fact {
                at,
                id: fact.id,
                bits: fact.bits,
                words: &fact.words,
            };
            run.features.on_fact(&mut state, &fact, &mut run.out);
        }
        run.features.on_instant(&mut state, at, &mut run.out);
        run.features.on_timer(&mut state, at.next(), &mut run.out);
        run.features.values(&mut state, at.next(), &mut Vec::new());
        run.features.wake(&state);
    }
}

/// Runs a case for each seed, and says which one failed.
fn each(seeds: impl Iterator<Item = u64>, case: fn(u64)) {
    for seed in seeds {
        if let Err(panic) = std::panic::catch_unwind(|| case(seed)) {
            eprintln!("failed with TIDEGATE_SEED={seed} TIDEGATE_CASES=1");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn features_equal_their_definition() {
    each(seeds(300), case);
}

#[test]
fn features_of_busy_keys_equal_their_definition() {
    each(seeds(300).step_by(30), busy_case);
}

#[test]
fn damaged_states_are_errors_and_never_panics() {
    each(seeds(300), damaged_case);
}

#[test]
fn facts_that_are_not_seen_change_no_answer() {
    let mut left_out = 0;
    for seed in seeds(300) {
        let mut dice = SmallRng::seed_from_u64(seed);
        let names = Arc::new(Names::default());
        let spec = random_spec(&mut dice);
        let facts = random_facts(&mut dice, &names, 40);
        let Some(seen) = Run::new(&spec, &names).features.seen() else {
            continue;
        };
        let mut kept = facts.clone();
        kept.retain(|fact| seen.sees(fact.bits, &fact.words));
        left_out += facts.len() - kept.len();
        let all = oracle::anchor_rows(&spec, &facts, &names);
        let rows = oracle::anchor_rows(&spec, &kept, &names);
        assert_eq!(rows, all, "seed {seed}");
    }
    assert!(left_out > 0, "no case has facts that are not seen");
}
