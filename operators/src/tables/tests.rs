//! Tables: hand cases, then equality with a table that keeps everything and sorts on every question.

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::*;

fn put(key: i64, at: i64, id: u64, row: Option<i64>, diff: i32) -> TableRow {
    TableRow {
        table: 0,
        key: [key].into(),
        at: EventTime(at),
        id,
        row: row.map(|word| [word].into()),
        diff,
    }
}

#[test]
fn a_version_counts_from_its_own_time_on() {
    let mut table = Table::new(1, 1);
    assert_eq!(table.apply(&put(7, 10, 1, Some(3), 1)), Applied::Changed);
    assert_eq!(table.apply(&put(7, 20, 2, None, 1)), Applied::Changed);
    assert_eq!(table.as_of(&[7], EventTime(9)), None);
    assert_eq!(table.as_of(&[7], EventTime(10)), Some(&[3][..]));
    assert_eq!(table.as_of(&[7], EventTime(19)), Some(&[3][..]));
    assert_eq!(table.as_of(&[7], EventTime(20)), None);
    assert_eq!(table.as_of(&[8], EventTime(15)), None);
    assert_eq!(table.next_change(&[7], EventTime::MIN), Some(EventTime(10)));
    assert_eq!(table.next_change(&[7], EventTime(10)), Some(EventTime(20)));
    assert_eq!(table.next_change(&[7], EventTime(20)), None);
    assert_eq!(table.apply(&put(7, 15, 3, Some(4), 1)), Applied::Changed);
}

#[test]
fn of_two_versions_at_one_time_the_larger_id_counts() {
    let mut table = Table::new(1, 1);
    table.apply(&put(7, 10, 5, Some(5), 1));
    assert_eq!(table.apply(&put(7, 10, 4, Some(4), 1)), Applied::Hidden);
    assert_eq!(table.as_of(&[7], EventTime(10)), Some(&[5][..]));
    assert_eq!(table.apply(&put(7, 10, 5, Some(5), -1)), Applied::Changed);
    assert_eq!(table.as_of(&[7], EventTime(10)), Some(&[4][..]));
}

#[test]
fn a_version_that_repeats_the_one_before_is_no_change() {
    let mut table = Table::new(1, 1);
    for (id, at) in [(1, 10), (2, 20)] {
        table.apply(&put(7, at, id, Some(3), 1));
    }
    table.apply(&put(7, 30, 3, Some(4), 1));
    assert_eq!(table.next_change(&[7], EventTime(10)), Some(EventTime(30)));
}

#[test]
fn settling_keeps_what_can_still_be_seen_and_refuses_what_is_over() {
    let mut table = Table::new(1, 1);
    for (id, at) in [(1, 10), (2, 20), (3, 30)] {
        table.apply(&put(7, at, id, Some(at), 1));
    }
    table.apply(&put(8, 10, 4, Some(1), 1));
    table.apply(&put(8, 11, 5, None, 1));
    table.settle(EventTime(30));
    assert_eq!(table.apply(&put(7, 29, 6, Some(1), 1)), Applied::Late);
    assert_eq!(table.as_of(&[7], EventTime(30)), Some(&[30][..]));
    // A version at the watermark may still be taken back; the one before shows again.
    table.apply(&put(7, 30, 3, Some(30), -1));
    assert_eq!(table.as_of(&[7], EventTime(30)), Some(&[20][..]));
    assert_eq!(
        table.versions.len(),
        1,
        "a deleted key leaves nothing behind"
    );
}

#[test]
fn what_is_settled_is_no_change_any_more() {
    let mut table = Table::new(1, 1);
    for (id, at, row) in [(1, 10, 3), (2, 20, 3), (3, 40, 4)] {
        table.apply(&put(7, at, id, Some(row), 1));
    }
    table.settle(EventTime(30));
    assert_eq!(table.next_change(&[7], EventTime(15)), Some(EventTime(40)));
}

type Row = (i64, i64, u64, Option<i64>);

/// The oracle: sorts all rows, takes the last.
fn oracle(rows: &[Row], key: i64, at: i64) -> Option<i64> {
    let mut seen: Vec<_> = rows
        .iter()
        .filter(|row| row.0 == key && row.1 <= at)
        .map(|row| (row.1, row.2, row.3))
        .collect();
    seen.sort_unstable();
    seen.last().and_then(|row| row.2)
}

#[test]
fn the_answer_is_a_function_of_the_set_of_rows() {
    for seed in 0..300 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let rows: Vec<Row> = (0..rng.random_range(1..30))
            .map(|_| {
                let row = rng.random_bool(0.8).then(|| rng.random_range(0..4));
                (
                    rng.random_range(0..3),
                    rng.random_range(0..20),
                    rng.random_range(0..5),
                    row,
                )
            })
            .collect();
        let kept = rng.random_range(0..=rows.len());
        let mut steps: Vec<(Row, i32)> = rows.iter().map(|row| (*row, 1)).collect();
        steps.extend(rows[kept..].iter().map(|row| (*row, -1)));
        steps.shuffle(&mut rng);

        let mut tables = Tables::new(&[(1, 1)]);
        for ((key, at, id, row), diff) in &steps {
            let before: Vec<_> = (0..20).map(|t| seen(&tables, *key, t)).collect();
            let changed = match tables.apply(&put(*key, *at, *id, *row, *diff)) {
                Applied::Changed => true,
                Applied::Hidden => false,
                Applied::Late => panic!("nothing is settled"),
            };
            let after: Vec<_> = (0..20).map(|t| seen(&tables, *key, t)).collect();
            let first = before.iter().zip(&after).position(|(a, b)| a != b);
            assert_eq!(first, changed.then_some(*at as usize), "seed {seed}");
        }
        let watermark = rng.random_range(-1..20);
        tables.settle(EventTime(watermark));
        let mut to = Writer::default();
        tables.encode(&mut to);
        let tables = Tables::decode(&[(1, 1)], &mut Reader::new(&to.bytes)).expect("whole");
        for key in 0..3 {
            let mut next = None;
            for at in (watermark..20).rev() {
                let now = oracle(&rows[..kept], key, at);
                assert_eq!(seen(&tables, key, at), now, "seed {seed} key {key} at {at}");
                let found = tables.tables[0].next_change(&[key], EventTime(at));
                assert_eq!(
                    found,
                    next.map(EventTime),
                    "seed {seed} key {key} after {at}"
                );
                if now != oracle(&rows[..kept], key, at - 1) {
                    next = Some(at);
                }
            }
        }
        moments_are_those_of_changes(&tables, seed);
        assert!(
            Tables::decode(&[(1, 1)], &mut Reader::new(&to.bytes[..to.bytes.len() / 2])).is_err()
        );
    }
}

/// Between the moments at which versions begin, no row changes.
fn moments_are_those_of_changes(tables: &Tables, seed: u64) {
    for (after, until) in (-1..21).flat_map(|until| (-2..until).map(move |after| (after, until))) {
        let (after, until) = (EventTime(after), EventTime(until));
        let changes = (0..3).filter_map(|key| tables.tables[0].next_change(&[key], after));
        let change = changes.filter(|at| *at < until).min();
        let Some(moment) = tables.next_moment(after, until) else {
            continue;
        };
        assert!(moment > after && (moment < until || moment == EventTime::MAX));
        assert!(
            change.is_none_or(|change| moment <= change),
            "seed {seed}: {change:?} behind {after:?}, before {until:?}, and not {moment:?}"
        );
    }
}

#[test]
fn moments_are_told_of_all_tables_and_anew_when_one_changes() {
    let mut tables = Tables::new(&[(1, 1), (1, 1)]);
    let next = |tables: &Tables, after| {
        let next = tables.next_moment(EventTime(after), EventTime(1_000));
        next.map(|next| next.0)
    };
    let none = Some(EventTime::MAX.0);
    assert_eq!(next(&tables, 0), none);
    tables.apply(&put(1, 10, 1, Some(3), 1));
    tables.apply(&put(2, 10, 2, Some(4), 1));
    assert_eq!((next(&tables, 0), next(&tables, 10)), (Some(10), none));
    assert_eq!(
        tables
            .next_moment(EventTime(0), EventTime(10))
            .map(|next| next.0),
        none
    );
    let other = put(1, 20, 3, Some(5), 1);
    tables.apply(&TableRow { table: 1, ..other });
    assert_eq!((next(&tables, 0), next(&tables, 10)), (Some(10), Some(20)));
    tables.settle(EventTime(15));
    assert_eq!((next(&tables, 0), next(&tables, 20)), (Some(20), none));
    (0..7).for_each(|n| _ = tables.apply(&put(1, 30 + n, 4, Some(n), 1)));
    assert_eq!((next(&tables, 0), next(&tables, 36)), (Some(20), none));
    tables.apply(&put(2, 40, 5, Some(3), 1));
    assert_eq!(
        (next(&tables, 20), next(&tables, 30), next(&tables, 36)),
        (None, Some(31), Some(40))
    );
}

fn seen(tables: &Tables, key: i64, at: i64) -> Option<i64> {
    tables.as_of(0, &[key], EventTime(at)).map(|row| row[0])
}
