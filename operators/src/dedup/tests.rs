//! What deduplication lets through: case by case, and against a plain loop over all rows.

use super::*;
use crate::dedup::ids::SMALL;
use crate::parcel::{Arrived, Place};

mod order;

const LATENESS: i64 = 10;

fn settings(keep: i64, on_conflict: OnConflict) -> Settings {
    Settings {
        lateness: Span(LATENESS),
        keep: Span(keep),
        on_conflict,
        tally: Arc::new(Tally::default()),
    }
}

#[derive(Clone, Debug)]
struct Row {
    id: u64,
    at: i64,
    key: &'static str,
    word: i64,
    hidden: bool,
    /// The newest event time before it.
    newest: i64,
}

fn row(id: u64, at: i64, key: &'static str, word: i64) -> Row {
    Row {
        id,
        at,
        key,
        word,
        hidden: false,
        newest: i64::MIN,
    }
}

/// The rows for worker `to` of `workers`, dealt out to the owners of their keys.
fn dealt(rows: &[Row], to: usize, workers: usize) -> Dealt {
    let mut dealt = Dealt::new(workers, 1);
    for row in rows.iter().filter(|row| id_owner(row.id, workers) == to) {
        let (hash, at) = (KeyHash::of(row.key), EventTime(row.at));
        let print = fingerprint(hash.hash, at, 0, &[row.word]);
        dealt.rows.push(Arrived {
            id: row.id,
            at,
            print,
            newest: EventTime(row.newest),
        });
        if row.hidden {
            dealt.places.push(Place::HIDDEN);
            continue;
        }
        let owner = owner_of(hash.hash, workers);
        dealt.places.push(Place {
            block: owner as u16,
            row: dealt.blocks[owner].len() as u32,
        });
        let block = &mut dealt.blocks[owner];
        let key = block.own_keys().push(hash, row.key);
        let head = Head {
            key,
            diff: 1,
            at,
            id: row.id,
            bits: 0,
        };
        block.push(head, &[row.word]);
    }
    if workers == 1 && !dealt.places.contains(&Place::HIDDEN) {
        dealt.places.clear();
    }
    dealt
}

fn parcels(rows: &[Row], watermark: i64) -> Vec<Parcel> {
    let content = [
        Content::Dealt(dealt(rows, 0, 1)),
        Content::Watermark(EventTime(watermark)),
    ];
    content
        .into_iter()
        .map(|content| Parcel { to: 0, content })
        .collect()
}

/// The facts that come out, with their diffs.
fn facts(dedup: &mut Dedup, parcels: Vec<Parcel>) -> Vec<(u64, i64, String, i64, i32)> {
    let mut left = Vec::new();
    dedup.tick(parcels, |parcel| {
        if let Content::Facts(block) = parcel.content {
            let present = block.heads.iter().enumerate();
            left.extend(present.filter(|(_, head)| head.diff != 0).map(|(n, head)| {
                let key = block.keys.names.get(head.key as usize).to_owned();
                (head.id, head.at.0, key, block.words(n)[0], head.diff)
            }));
        }
    });
    left
}

fn run(dedup: &mut Dedup, parcels: Vec<Parcel>) -> Vec<(u64, i64, i32)> {
    let facts = facts(dedup, parcels).into_iter();
    facts
        .map(|(id, _, _, word, diff)| (id, word, diff))
        .collect()
}

#[test]
fn a_copy_is_left_out_within_a_batch_and_across_batches() {
    let settings = settings(100, OnConflict::First);
    let tally = Arc::clone(&settings.tally);
    let mut dedup = Dedup::new(settings);
    let rows = [row(1, 5, "a", 7), row(1, 5, "a", 7), row(2, 5, "a", 7)];
    assert_eq!(run(&mut dedup, parcels(&rows, 0)), [(1, 7, 1), (2, 7, 1)]);
    let rows = [row(1, 5, "a", 7), row(1, 5, "b", 7)];
    assert_eq!(run(&mut dedup, parcels(&rows, 0)), []);
    assert_eq!(tally.accepted.load(Ordering::Relaxed), 2);
    assert_eq!(tally.duplicate.load(Ordering::Relaxed), 3);
    assert_eq!(tally.conflicts.load(Ordering::Relaxed), 1);
}

#[test]
fn the_latest_content_replaces_the_earlier_one_until_it_is_settled() {
    let mut dedup = Dedup::new(settings(100, OnConflict::Latest));
    let mut next = |rows: &[Row], watermark| run(&mut dedup, parcels(rows, watermark));
    assert_eq!(next(&[row(1, 50, "a", 7)], 0), [(1, 7, 1)]);
    assert_eq!(next(&[row(1, 60, "b", 8)], 0), [(1, 8, 1), (1, 7, -1)]);
    assert_eq!(next(&[], 61), []);
    assert_eq!(next(&[row(1, 70, "b", 9)], 61), []);
}

#[test]
fn a_hidden_row_is_known_and_takes_back_what_it_replaces() {
    let hidden = |word| Row {
        hidden: true,
        ..row(1, 50, "a", word)
    };
    let mut dedup = Dedup::new(settings(100, OnConflict::First));
    assert_eq!(run(&mut dedup, parcels(&[hidden(7)], 0)), []);
    assert_eq!(run(&mut dedup, parcels(&[row(1, 50, "a", 8)], 0)), []);
    let mut dedup = Dedup::new(settings(100, OnConflict::Latest));
    let mut next = |row| run(&mut dedup, parcels(&[row], 0));
    assert_eq!(next(row(1, 50, "a", 7)), [(1, 7, 1)]);
    assert_eq!(next(hidden(8)), [(1, 7, -1)]);
    assert_eq!(next(row(1, 50, "a", 9)), [(1, 9, 1)]);
}

#[test]
fn ids_are_forgotten_after_the_horizon() {
    let mut dedup = Dedup::new(settings(100, OnConflict::First));
    for n in 0..100_000u64 {
        let at = n as i64;
        run(&mut dedup, parcels(&[row(n, at, "a", 0)], at - 10));
    }
    assert!(
        dedup.ids.iter().count() < 2 * SMALL,
        "{} ids",
        dedup.ids.iter().count()
    );
}

#[test]
fn a_watermark_ahead_of_its_facts_forgets_nothing_they_need() {
    let mut dedup = Dedup::new(settings(10, OnConflict::First));
    run(&mut dedup, parcels(&[row(1, 5, "a", 7)], 5));
    let mut next = parcels(&[row(1, 5, "a", 7), row(2, 60, "a", 7)], 50);
    next.reverse();
    assert_eq!(run(&mut dedup, next), [(2, 7, 1)]);
}

#[test]
fn what_is_known_survives_its_codec() {
    let mut dedup = Dedup::new(settings(100, OnConflict::Latest));
    let rows = [row(1, 50, "a", 7), row(2, 51, "b", 8)];
    run(&mut dedup, parcels(&rows, 3));
    let mut to = Writer::default();
    dedup.encode(&mut to);
    let mut from = Reader::new(&to.bytes);
    let mut copy = Dedup::decode(&mut from, settings(100, OnConflict::Latest)).unwrap();
    assert!(from.is_empty());
    let rows = [row(1, 50, "a", 7), row(2, 52, "b", 9), row(3, 60, "c", 1)];
    let next = || parcels(&rows, 4);
    assert_eq!(run(&mut copy, next()), run(&mut dedup, next()));
    let short = &to.bytes[..to.bytes.len() - 1];
    let settings = settings(100, OnConflict::Latest);
    assert!(Dedup::decode(&mut Reader::new(short), settings).is_err());
}

#[test]
fn the_blocks_go_to_the_owners_of_their_keys() {
    let rows: Vec<Row> = (0..40)
        .map(|id| row(id, 5, ["a", "b", "c"][id as usize % 3], 1))
        .collect();
    for workers in 1..5 {
        let mut dedup = Dedup::new(settings(100, OnConflict::First));
        let content = Content::Dealt(dealt(&rows, 0, workers));
        dedup.tick(vec![Parcel { to: 0, content }], |parcel| {
            let Content::Facts(block) = parcel.content else {
                panic!("not facts");
            };
            for head in &block.heads {
                let hash = block.keys.hash(head.key);
                assert_eq!(owner_of(hash.hash, workers), parcel.to);
            }
        });
    }
}
