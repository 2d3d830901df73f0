//! What is left depends on the order of arrival alone: not on how rows are cut into ticks, nor on how
//! many workers there are. It is what a plain loop over the rows leaves.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

/// Facts by (id, time, key, word), and how often each stands; and the accounts.
type Left = (BTreeMap<(u64, i64, String, i64), i32>, [u64; 3]);

/// A plain loop over the rows in arrival order, which forgets nothing of what it must know.
fn oracle(rows: &[Row], keep: i64, on_conflict: OnConflict) -> Left {
    let mut known: BTreeMap<u64, Row> = BTreeMap::new();
    let (mut left, mut counts) = (BTreeMap::new(), [0; 3]);
    let mut add = |row: &Row, diff: i32| {
        if !row.hidden {
            let fact = (row.id, row.at, row.key.to_owned(), row.word);
            *left.entry(fact).or_insert(0) += diff;
        }
    };
    for row in rows {
        let clock = row.newest.saturating_sub(LATENESS);
        let old = known.get(&row.id);
        let old = old.filter(|old| old.at >= clock.saturating_sub(keep));
        let Some(old) = old.cloned() else {
            counts[0] += 1;
            add(row, 1);
            known.insert(row.id, row.clone());
            continue;
        };
        counts[1] += 1;
        if (old.at, old.key, old.word) == (row.at, row.key, row.word) {
            continue;
        }
        counts[2] += 1;
        if on_conflict == OnConflict::Latest && old.at >= clock {
            add(&old, -1);
            add(row, 1);
            known.insert(row.id, row.clone());
        }
    }
    left.retain(|_, count| *count != 0);
    (left, counts)
}

/// Rows in order of arrival, none of them late.
fn random_rows(random: &mut SmallRng) -> Vec<Row> {
    let ids = random.random_range(1..60);
    let hides = random.random_bool(0.5);
    let mut newest = i64::MIN;
    let count = random.random_range(1..200);
    let mut row = |now: i64| {
        let word = random.random_range(0..3);
        let wanted = now / 3 + random.random_range(-LATENESS..LATENESS);
        let row = Row {
            id: random.random_range(0..ids),
            at: wanted.max(newest.saturating_sub(LATENESS)),
            key: ["a", "b", "c", "d"][random.random_range(0..4)],
            word,
            hidden: hides && word == 0,
            newest,
        };
        newest = newest.max(row.at);
        row
    };
    (0..count).map(&mut row).collect()
}

/// The rows cut into ticks of at most `longest`, each with the watermark behind it.
fn ticks(rows: &[Row], longest: usize, random: &mut SmallRng) -> Vec<(Vec<Row>, i64)> {
    let (mut ticks, mut rest, mut newest) = (Vec::new(), rows, i64::MIN);
    while !rest.is_empty() {
        let (tick, more) = rest.split_at(random.random_range(1..=longest.min(rest.len())));
        newest = tick.iter().map(|row| row.at).fold(newest, i64::max);
        ticks.push((tick.to_vec(), newest - LATENESS));
        rest = more;
    }
    ticks
}

fn left_by(ticks: &[(Vec<Row>, i64)], workers: usize, settings: &Settings) -> Left {
    let new = || Dedup::new(settings.clone(), workers);
    let mut dedups: Vec<Dedup> = (0..workers).map(|_| new()).collect();
    let mut left = BTreeMap::new();
    for (rows, watermark) in ticks {
        let before = dedups[0].watermark;
        // In two batches, as of two workers: which comes first is told by their numbers.
        let (first, second) = rows.split_at(rows.len() / 3);
        let mut parcels = dealt(first, 1, workers);
        parcels.extend(dealt(second, 2, workers));
        parcels.extend((0..workers).map(|to| Parcel {
            to,
            content: Content::Watermark(EventTime(*watermark)),
        }));
        if rows.len().is_multiple_of(2) {
            parcels.reverse();
        }
        for (id, at, key, word, diff) in facts(&mut dedups, parcels) {
            assert!(
                EventTime(at) >= before,
                "the watermark has passed {id} at {at}"
            );
            *left.entry((id, at, key, word)).or_insert(0) += diff;
        }
    }
    left.retain(|_, count| *count != 0);
    let tally = &settings.tally;
    let counts = [&tally.accepted, &tally.duplicate, &tally.conflicts];
    (left, counts.map(|count| count.load(Ordering::Relaxed)))
}

#[test]
fn any_cut_into_ticks_and_any_number_of_workers_leave_what_a_plain_loop_does() {
    for seed in 0..2_000 {
        let mut random = SmallRng::seed_from_u64(seed);
        let rows = random_rows(&mut random);
        let keep = random.random_range(0..30);
        for on_conflict in [OnConflict::First, OnConflict::Latest] {
            let expected = oracle(&rows, keep, on_conflict);
            for longest in [1, 7, 200] {
                let workers = random.random_range(1..5);
                let ticks = ticks(&rows, longest, &mut random);
                let found = left_by(&ticks, workers, &settings(keep, on_conflict));
                assert_eq!(
                    found, expected,
                    "seed {seed}, {workers} workers, ticks of at most {longest}, {on_conflict:?}"
                );
            }
        }
    }
}

#[test]
fn a_conflict_behind_a_leap_of_time_is_judged_alike_in_one_tick_and_in_three() {
    let behind = |newest, row: Row| Row { newest, ..row };
    let rows = [
        behind(i64::MIN, row(1, 50, "a", 7)),
        behind(50, row(2, 90, "a", 7)),
        behind(90, row(1, 85, "a", 8)),
    ];
    for longest in [1, 3] {
        let mut random = SmallRng::seed_from_u64(1);
        let settings = settings(100, OnConflict::Latest);
        let (left, counts) = left_by(&ticks(&rows, longest, &mut random), 1, &settings);
        assert!(left.contains_key(&(1, 50, "a".to_owned(), 7)), "{left:?}");
        assert_eq!(counts, [2, 1, 1]);
    }
}
