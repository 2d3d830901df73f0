//! Counts by window, side of the reference and word are those of counting one by one.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tidegate_schemas::fact::Head;
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::Span;

use super::*;
use crate::drift::ledger::Form;
use crate::drift::measures::Measure;
use crate::drift::spec::{Firing, Layout};
use crate::statistics::Smoothing;
use crate::statistics::divergence::Direction;

fn spec() -> DriftSpec {
    let monitor = |column, filter| Monitor {
        name: column as i64,
        column,
        filter,
        values: Values::Categories(Kind::Int),
    };
    DriftSpec {
        monitors: vec![monitor(0, None), monitor(1, Some(3))],
        by: None,
        steps: Steps {
            origin: EventTime(5),
            every: Span(10),
        },
        lengths: vec![1],
        // Begins and ends in mid-window, and once both in the same one.
        reference: Reference::Stretch {
            from: EventTime(17),
            until: EventTime(42),
        },
        smoothing: Smoothing::Floor(0.0),
        direction: Direction::CurrentFromReference,
        measures: vec![Measure::Psi, Measure::Kl],
        min_rows: 1,
        layout: Layout::Plain,
        alert: None,
        firing: Firing::Final,
    }
}

fn push(block: &mut FactBlock, at: i64, bits: u64, diff: i32, words: [i64; 2]) {
    let head = Head {
        key: 0,
        diff,
        at: EventTime(at),
        id: 0,
        bits,
    };
    block.push(head, &words);
}

fn drained(tally: &mut Tally) -> BTreeMap<(u32, bool, i64, i64), i64> {
    let mut all = BTreeMap::new();
    tally.drain(|d| {
        assert_eq!((d.page.segment, d.form), (NULL, Form::Values));
        let missing = (d.missing != 0).then_some((NULL, d.missing));
        for (word, count) in d.counts.into_iter().chain(missing) {
            let known = all.insert((d.page.monitor, d.in_reference, d.step, word), count);
            assert_eq!(known, None, "one delta per count");
        }
    });
    all
}

#[test]
fn facts_are_counted_by_window_and_side_of_the_reference() {
    let mut tally = Tally::new(&spec());
    let mut block = FactBlock::new(2);
    for at in [14, 15, 16, 17, 24, 25, 41, 42, 44, 45] {
        push(&mut block, at, 0, 1, [7, 0]);
    }
    tally.add(&block);
    let counts = drained(&mut tally);
    let expected = [
        ((0, false, 0, 7), 1),
        ((0, false, 1, 7), 2),
        ((0, false, 3, 7), 2),
        ((0, false, 4, 7), 1),
        ((0, true, 1, 7), 2),
        ((0, true, 2, 7), 1),
        ((0, true, 3, 7), 1),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
}

#[test]
fn filters_nulls_and_facts_taken_back_are_minded() {
    let mut tally = Tally::new(&spec());
    let mut block = FactBlock::new(2);
    push(&mut block, 0, 0b1000, 1, [NULL, NULL]);
    push(&mut block, 0, 0b0000, 1, [3, 4]);
    push(&mut block, 0, 0b1000, 1, [3, 4]);
    push(&mut block, 0, 0b1000, 1, [5, 4]);
    push(&mut block, 0, 0b1000, -1, [5, 4]);
    tally.add(&block);
    let expected = [
        ((0, false, -1, NULL), 1),
        ((0, false, -1, 3), 2),
        ((1, false, -1, NULL), 1),
        ((1, false, -1, 4), 1),
    ];
    assert_eq!(drained(&mut tally), BTreeMap::from(expected));
    assert!(
        drained(&mut tally).is_empty(),
        "a drained tally begins anew"
    );
}

#[test]
fn equals_counting_one_by_one() {
    for seed in 0..200 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut tally = Tally::new(&spec());
        let categories = [3, 40, 5_000][rng.random_range(0..3)];
        for _ in 0..4 {
            let (mut block, mut expected) = (FactBlock::new(2), BTreeMap::new());
            for _ in 0..rng.random_range(0..2_000) {
                let at = rng.random_range(-20..80i64);
                let (bits, diff) = (rng.random_range(0..16u64), rng.random_range(-1..=2));
                let words = [0, 1].map(|_| match rng.random_range(0..categories) {
                    0 => NULL,
                    n => n * 64,
                });
                push(&mut block, at, bits, diff, words);
                let (window, inside) = ((at - 5).div_euclid(10), (17..42).contains(&at));
                *expected.entry((0, inside, window, words[0])).or_default() += i64::from(diff);
                if bits & 8 != 0 {
                    *expected.entry((1, inside, window, words[1])).or_default() += i64::from(diff);
                }
            }
            expected.retain(|_, count| *count != 0);
            tally.add(&block);
            assert_eq!(drained(&mut tally), expected, "seed {seed}");
        }
    }
}

#[test]
fn segments_are_counted_beside_all_however_many_there_are() {
    for seed in 0..60 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let by = Some(1);
        let monitors = vec![spec().monitors.remove(0)];
        let spec = DriftSpec {
            by,
            monitors,
            ..spec()
        };
        let mut tally = Tally::new(&spec);
        let (mut segments, categories) = (1, [3, 40, 5_000][rng.random_range(0..3)]);
        for _ in 0..6 {
            let mut expected = BTreeMap::<_, i64>::new();
            for _ in 0..rng.random_range(0..4) {
                segments *= [1, 2, 10][rng.random_range(0..3)];
                let mut block = FactBlock::new(2);
                for _ in 0..rng.random_range(0..700) {
                    let (at, diff) = (rng.random_range(0..80i64), rng.random_range(-1..=2));
                    let words = [categories, segments + 1].map(|n| match rng.random_range(0..n) {
                        0 => NULL,
                        n => n * 64,
                    });
                    push(&mut block, at, 0, diff, words);
                    let (window, inside) = ((at - 5).div_euclid(10), (17..42).contains(&at));
                    let segments = [NULL, words[1]];
                    for segment in &segments[usize::from(words[1] == NULL)..] {
                        let place = (*segment, inside, window, words[0]);
                        *expected.entry(place).or_default() += i64::from(diff);
                    }
                }
                tally.add(&block);
            }
            expected.retain(|_, count| *count != 0);
            let mut counts = BTreeMap::<_, i64>::new();
            tally.drain(|d| {
                // Where arrays were made wider, a word may come twice.
                for (word, count) in d.counts.into_iter().chain([(NULL, d.missing)]) {
                    let place = (d.page.segment, d.in_reference, d.step, word);
                    *counts.entry(place).or_default() += count;
                }
            });
            counts.retain(|_, count| *count != 0);
            assert_eq!(counts, expected, "seed {seed}");
        }
    }
}
