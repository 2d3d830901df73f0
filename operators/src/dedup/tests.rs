//! What deduplication lets through: case by case, and against a plain loop over all rows.

use super::*;
use crate::dedup::ids::SMALL;
use crate::driver::Arrivals;
use crate::parcel::{Arrived, Pending, Place};

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

/// A batch whose rows are to be deduplicated, for the owners of their keys and of their ids.
pub(crate) struct Undecided {
    batch: u64,
    blocks: Vec<FactBlock>,
    ids: Vec<Ids>,
}

impl Undecided {
    pub(crate) fn new(batch: u64, stride: usize, workers: usize) -> Undecided {
        let block = FactBlock::new(stride);
        let ids = Ids {
            batch,
            facts: Some(block.clone()),
            ..Ids::default()
        };
        Undecided {
            batch,
            blocks: vec![block; workers],
            ids: vec![ids; workers],
        }
    }

    /// Adds a row that a source had shown nothing newer than `newest` before.
    pub(crate) fn push(
        &mut self,
        name: &str,
        head: &Head,
        words: &[i64],
        hidden: bool,
        newest: EventTime,
    ) {
        let (hash, workers) = (KeyHash::of(name), self.blocks.len());
        let ids = &mut self.ids[id_owner(head.id, workers)];
        ids.rows.push(Arrived {
            id: head.id,
            at: head.at,
            print: fingerprint(hash.hash, head.at, head.bits, words),
            newest,
        });
        let owner = owner_of(hash.hash, workers);
        ids.places.push(match hidden {
            true => Place::HIDDEN,
            false => Place {
                owner: owner as u16,
                row: self.blocks[owner].len() as u32,
            },
        });
        let block = (!hidden).then_some(&mut self.blocks[owner]);
        for block in ids.facts.iter_mut().chain(block) {
            let key = block.own_keys().push(hash, name);
            block.push(Head { key, ..*head }, words);
        }
    }

    pub(crate) fn parcels(self) -> Vec<Parcel> {
        let batch = self.batch;
        let pending = |block| Content::Pending(Pending { batch, block });
        let blocks = self.blocks.into_iter().map(pending).enumerate();
        let ids = self.ids.into_iter().map(Content::Ids).enumerate();
        blocks
            .chain(ids)
            .map(|(to, content)| Parcel { to, content })
            .collect()
    }
}

/// The rows as one batch.
fn dealt(rows: &[Row], batch: u64, workers: usize) -> Vec<Parcel> {
    let mut undecided = Undecided::new(batch, 1, workers);
    for row in rows {
        let head = Head {
            key: 0,
            diff: 1,
            at: EventTime(row.at),
            id: row.id,
            bits: 0,
        };
        let newest = EventTime(row.newest);
        undecided.push(row.key, &head, &[row.word], row.hidden, newest);
    }
    undecided.parcels()
}

fn parcels(rows: &[Row], watermark: i64) -> Vec<Parcel> {
    let mut parcels = dealt(rows, 0, 1);
    let content = Content::Watermark(EventTime(watermark));
    parcels.push(Parcel { to: 0, content });
    parcels
}

/// The facts that come out, with their diffs, of the parcels of a tick for all workers.
fn facts(dedups: &mut [Dedup], parcels: Vec<Parcel>) -> Vec<(u64, i64, String, i64, i32)> {
    let workers = dedups.len();
    let mut looked_up = vec![Vec::new(); workers];
    for (worker, dedup) in dedups.iter_mut().enumerate() {
        let own = parcels.iter().filter(|parcel| parcel.to == worker);
        dedup.tick(own.cloned().collect(), |parcel| {
            looked_up[parcel.to].push(parcel);
        });
    }
    let mut left = Vec::new();
    for (worker, parcels) in looked_up.into_iter().enumerate() {
        let mut arrivals = Arrivals::default();
        parcels.into_iter().for_each(|p| arrivals.add(p.content));
        arrivals.settle();
        for block in arrivals.facts {
            let present = block.heads.iter().enumerate();
            left.extend(present.filter(|(_, head)| head.diff != 0).map(|(n, head)| {
                let hash = block.keys.hash(head.key);
                assert_eq!(owner_of(hash.hash, workers), worker);
                let key = block.keys.names.get(head.key as usize).to_owned();
                (head.id, head.at.0, key, block.words(n)[0], head.diff)
            }));
        }
    }
    left
}

fn run(dedup: &mut Dedup, parcels: Vec<Parcel>) -> Vec<(u64, i64, i32)> {
    let facts = facts(std::slice::from_mut(dedup), parcels).into_iter();
    facts
        .map(|(id, _, _, word, diff)| (id, word, diff))
        .collect()
}

#[test]
fn a_copy_is_left_out_within_a_batch_and_across_batches() {
    let settings = settings(100, OnConflict::First);
    let tally = Arc::clone(&settings.tally);
    let mut dedup = Dedup::new(settings, 1);
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
    let mut dedup = Dedup::new(settings(100, OnConflict::Latest), 1);
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
    let mut dedup = Dedup::new(settings(100, OnConflict::First), 1);
    assert_eq!(run(&mut dedup, parcels(&[hidden(7)], 0)), []);
    assert_eq!(run(&mut dedup, parcels(&[row(1, 50, "a", 8)], 0)), []);
    let mut dedup = Dedup::new(settings(100, OnConflict::Latest), 1);
    let mut next = |row| run(&mut dedup, parcels(&[row], 0));
    assert_eq!(next(row(1, 50, "a", 7)), [(1, 7, 1)]);
    assert_eq!(next(hidden(8)), [(1, 7, -1)]);
    assert_eq!(next(row(1, 50, "a", 9)), [(1, 9, 1)]);
}

#[test]
fn ids_are_forgotten_after_the_horizon() {
    for on_conflict in [OnConflict::First, OnConflict::Latest] {
        let mut dedup = Dedup::new(settings(100, on_conflict), 1);
        for n in 0..100_000u64 {
            let at = n as i64;
            run(&mut dedup, parcels(&[row(n, at, "a", 0)], at - 10));
        }
        let (ids, facts) = (dedup.ids.iter().count(), dedup.facts.len());
        assert!(ids < 2 * SMALL, "{ids} ids");
        assert!(facts <= ids, "{facts} facts of {ids} ids");
    }
}

#[test]
fn after_a_burst_the_room_for_facts_is_given_back() {
    let mut dedup = Dedup::new(settings(100, OnConflict::Latest), 1);
    let burst =
        |ids: std::ops::Range<u64>, at| -> Vec<Row> { ids.map(|id| row(id, at, "a", 0)).collect() };
    run(&mut dedup, parcels(&burst(0..100_000, 5), 0));
    run(&mut dedup, parcels(&burst(100_000..200_000, 900), 2_000));
    assert!(
        dedup.facts.capacity() < 1_000,
        "room for {}",
        dedup.facts.capacity()
    );
}

#[test]
fn versions_of_a_fact_stay_in_order_over_the_batches_of_a_tick() {
    let mut dedup = Dedup::new(settings(100, OnConflict::Latest), 1);
    let mut parcels = dealt(&[row(1, 50, "a", 7)], 1, 1);
    parcels.extend(dealt(&[row(1, 50, "a", 8)], 2, 1));
    // Whoever takes back the older of two versions takes back the right one.
    let left = [(1, 7, 1), (1, 8, 1), (1, 7, -1)];
    assert_eq!(run(&mut dedup, parcels), left);
}

#[test]
fn a_watermark_ahead_of_its_facts_forgets_nothing_they_need() {
    let mut dedup = Dedup::new(settings(10, OnConflict::First), 1);
    run(&mut dedup, parcels(&[row(1, 5, "a", 7)], 5));
    let mut next = parcels(&[row(1, 5, "a", 7), row(2, 60, "a", 7)], 50);
    next.reverse();
    assert_eq!(run(&mut dedup, next), [(2, 7, 1)]);
}

#[test]
fn what_is_known_survives_its_codec() {
    let mut dedup = Dedup::new(settings(100, OnConflict::Latest), 1);
    let rows = [row(1, 50, "a", 7), row(2, 51, "b", 8)];
    run(&mut dedup, parcels(&rows, 3));
    let mut to = Writer::default();
    dedup.encode(&mut to);
    let mut from = Reader::new(&to.bytes);
    let mut copy = Dedup::decode(&mut from, settings(100, OnConflict::Latest), 1).unwrap();
    assert!(from.is_empty());
    let rows = [row(1, 50, "a", 7), row(2, 52, "b", 9), row(3, 60, "c", 1)];
    let next = || parcels(&rows, 4);
    assert_eq!(run(&mut copy, next()), run(&mut dedup, next()));
    let short = &to.bytes[..to.bytes.len() - 1];
    let settings = settings(100, OnConflict::Latest);
    assert!(Dedup::decode(&mut Reader::new(short), settings, 1).is_err());
}
