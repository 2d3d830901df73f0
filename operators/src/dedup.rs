//! Deduplication by event id: of several rows with the same id, one counts.
//!
//! Rows arrive in the order of ticks and, within a tick, of the blocks' rows, so which of two rows is
//! the first does not depend on workers or batches.
//!
//! # Reads
//! Parcels routed by [`id_owner`]: facts that are not late, rows of tables, watermarks.
//!
//! # Emits
//! The same parcels, facts routed by key. A row whose id is known is left out and counted; when its
//! content differs it is a *conflict*, counted too, and with [`OnConflict::Latest`] it replaces the
//! earlier one: that leaves as a fact with diff −1 (unless the watermark has passed it: what is
//! settled stays).
//!
//! # State
//! Per id: 24 bytes (id, time, fingerprint of the content), with [`OnConflict::Latest`] the fact as
//! well; kept until the watermark has passed its time by `keep`. Copies that come later than that
//! are late anyway when `keep` is at least the lateness. Saved with [`Dedup::encode`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use tidegate_schemas::fact::{FactBlock, Head};
use tidegate_schemas::names::KeyHash;
use tidegate_schemas::time::{EventTime, Span, Tick};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::Operator;

use crate::codec::{CodecError, Reader, Writer};
use crate::parcel::{Content, Parcel, owner_of};

/// What to do with a row whose id is known but whose content differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// The first row counts.
    First,
    /// The row that came last counts, everywhere.
    Latest,
}

/// What was counted.
#[derive(Debug, Default)]
pub struct Tally {
    /// Rows that went on.
    pub accepted: AtomicU64,
    /// Rows left out because their id was known, and rows that replaced another.
    pub duplicate: AtomicU64,
    /// Of those, rows whose content differed.
    pub conflicts: AtomicU64,
}

/// How to deduplicate.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long after the watermark an id is remembered.
    pub keep: Span,
    /// What to do with different content.
    pub on_conflict: OnConflict,
    /// Where to count.
    pub tally: Arc<Tally>,
}

/// Spreads ids, which may be consecutive numbers, over all bits (the finaliser of SplitMix64).
fn spread(id: u64) -> u64 {
    let id = (id ^ id >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let id = (id ^ id >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    id ^ id >> 31
}

/// The worker that knows whether an id was seen.
#[must_use]
pub fn id_owner(id: u64, workers: usize) -> usize {
    owner_of(spread(id), workers)
}

/// Deduplicates a stream of parcels.
pub trait Deduplicate {
    /// Leaves out rows whose id is known; the module's documentation says what comes out.
    #[must_use]
    fn deduplicate(self, settings: Settings) -> Self;
}

impl Deduplicate for StreamVec<'_, Tick, Parcel> {
    fn deduplicate(self, settings: Settings) -> Self {
        let workers = self.scope().peers();
        let pact = Exchange::new(|parcel: &Parcel| parcel.to as u64);
        let mut dedup = Dedup::new(settings, workers);
        self.unary_frontier(pact, "Deduplicate", move |_, _| {
            let mut stash: BTreeMap<Tick, (Capability<Tick>, Vec<Parcel>)> = BTreeMap::new();
            move |(input, frontier), output| {
                input.for_each_stamp(|stamp, data| {
                    let Some(capability) = stamp.retain_least(output.output_index()) else {
                        return;
                    };
                    let (_, parcels) = stash
                        .entry(*capability.time())
                        .or_insert_with(|| (capability, Vec::new()));
                    data.for_each(|more| parcels.append(more));
                });
                while let Some(entry) = stash.first_entry() {
                    if frontier.frontier().less_equal(entry.key()) {
                        break;
                    }
                    let (capability, parcels) = entry.remove();
                    let mut session = output.session(&capability);
                    dedup.tick(parcels, |parcel| session.give(parcel));
                }
            }
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    id: u64,
    at: EventTime,
    print: u64,
}

/// A fact that may have to be taken back.
#[derive(Clone, Debug)]
struct Remembered {
    hash: KeyHash,
    name: Box<str>,
    bits: u64,
    words: Box<[i64]>,
}

/// The ids a worker knows.
#[derive(Debug)]
pub struct Dedup {
    settings: Settings,
    workers: usize,
    watermark: EventTime,
    seen: HashTable<Seen>,
    /// With `OnConflict::Latest`: the fact of each id.
    facts: BTreeMap<u64, Remembered>,
    /// Rebuilt without what has expired when it grows to this.
    limit: usize,
}

/// Tables smaller than this are not swept.
const SMALL: usize = 1 << 12;

enum Verdict {
    New,
    Known,
    Replaces(Seen),
}

impl Dedup {
    /// Knows no ids.
    #[must_use]
    pub fn new(settings: Settings, workers: usize) -> Dedup {
        Dedup {
            settings,
            workers,
            watermark: EventTime::MIN,
            seen: HashTable::new(),
            facts: BTreeMap::new(),
            limit: SMALL,
        }
    }

    /// Works off the parcels of a tick and hands on what is left.
    ///
    /// The facts of a tick come before its watermark, in whatever order the parcels arrive from
    /// different workers: what is remembered must not depend on it.
    pub fn tick(&mut self, parcels: Vec<Parcel>, mut give: impl FnMut(Parcel)) {
        let mut watermark = self.watermark;
        for Parcel { to, content } in parcels {
            match content {
                Content::Facts(block) => {
                    for (to, block) in self.facts(&block).into_iter().enumerate() {
                        if !block.is_empty() {
                            give(Parcel {
                                to,
                                content: Content::Facts(block),
                            });
                        }
                    }
                }
                Content::Watermark(at) => {
                    watermark = watermark.max(at);
                    give(Parcel {
                        to,
                        content: Content::Watermark(at),
                    });
                }
                tables @ Content::Tables(_) => give(Parcel {
                    to,
                    content: tables,
                }),
            }
        }
        self.watermark = watermark;
        self.sweep();
    }

    /// The facts that count, by the worker that owns their key.
    fn facts(&mut self, block: &Arc<FactBlock>) -> Vec<Arc<FactBlock>> {
        let mut verdicts = Vec::with_capacity(block.len());
        let (mut known, mut conflicts) = (0, 0);
        for row in 0..block.len() {
            let (verdict, conflict) = self.verdict(block, row);
            known += u64::from(!matches!(verdict, Verdict::New));
            conflicts += u64::from(conflict);
            verdicts.push(verdict);
        }
        let tally = &self.settings.tally;
        tally
            .accepted
            .fetch_add(block.len() as u64 - known, Ordering::Relaxed);
        tally.duplicate.fetch_add(known, Ordering::Relaxed);
        tally.conflicts.fetch_add(conflicts, Ordering::Relaxed);
        if known == 0 && self.workers == 1 && self.settings.on_conflict == OnConflict::First {
            return vec![Arc::clone(block)];
        }
        let mut out = Split::new(block, self.workers);
        for (row, verdict) in verdicts.into_iter().enumerate() {
            match verdict {
                Verdict::Known => continue,
                Verdict::New => {}
                Verdict::Replaces(old) => {
                    if let Some(fact) = self.facts.get(&old.id) {
                        out.take_back(old, fact);
                    }
                }
            }
            if self.settings.on_conflict == OnConflict::Latest {
                self.remember(block, row);
            }
            out.push(row);
        }
        out.blocks.into_iter().map(Arc::new).collect()
    }

    fn verdict(&mut self, block: &FactBlock, row: usize) -> (Verdict, bool) {
        let head = &block.heads[row];
        let seen = Seen {
            id: head.id,
            at: head.at,
            print: fingerprint(block, row),
        };
        let horizon = self.watermark.minus(self.settings.keep);
        let hash = |seen: &Seen| spread(seen.id);
        match self.seen.entry(spread(head.id), |s| s.id == head.id, hash) {
            Entry::Vacant(entry) => {
                entry.insert(seen);
                (Verdict::New, false)
            }
            Entry::Occupied(mut entry) => {
                let old = *entry.get();
                if old.at < horizon {
                    *entry.get_mut() = seen;
                    return (Verdict::New, false);
                }
                if (old.at, old.print) == (seen.at, seen.print) {
                    return (Verdict::Known, false);
                }
                // What the watermark has passed is settled and stays.
                if self.settings.on_conflict == OnConflict::First || old.at < self.watermark {
                    return (Verdict::Known, true);
                }
                *entry.get_mut() = seen;
                (Verdict::Replaces(old), true)
            }
        }
    }

    fn remember(&mut self, block: &FactBlock, row: usize) {
        let head = &block.heads[row];
        let fact = Remembered {
            hash: block.keys.hash(head.key),
            name: block.keys.names.get(head.key as usize).into(),
            bits: head.bits,
            words: block.words(row).into(),
        };
        self.facts.insert(head.id, fact);
    }

    /// Forgets ids that have expired, once the table has doubled since the last time.
    fn sweep(&mut self) {
        if self.seen.len() < self.limit {
            return;
        }
        let horizon = self.watermark.minus(self.settings.keep);
        let facts = &mut self.facts;
        self.seen.retain(|seen| {
            let stays = seen.at >= horizon;
            if !stays {
                facts.remove(&seen.id);
            }
            stays
        });
        self.limit = SMALL.max(self.seen.len() * 2);
        self.seen.shrink_to(self.limit, |seen| spread(seen.id));
    }

    /// Writes what is known, oldest id first.
    pub fn encode(&self, to: &mut Writer) {
        to.time(self.watermark);
        let mut all: Vec<&Seen> = self.seen.iter().collect();
        all.sort_by_key(|seen| seen.id);
        to.length(all.len());
        for seen in all {
            to.unsigned(u128::from(seen.id));
            to.time(seen.at);
            to.unsigned(u128::from(seen.print));
            to.option(self.facts.get(&seen.id), |to, fact| {
                to.text(&fact.name);
                to.unsigned(u128::from(fact.bits));
                to.length(fact.words.len());
                fact.words.iter().for_each(|word| to.word(*word));
            });
        }
    }

    /// Reads what [`Dedup::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn decode(
        from: &mut Reader<'_>,
        settings: Settings,
        workers: usize,
    ) -> Result<Dedup, CodecError> {
        let mut dedup = Dedup::new(settings, workers);
        dedup.watermark = from.time("the watermark")?;
        for _ in 0..from.length("the number of ids")? {
            let id = from.unsigned("an id")? as u64;
            let (at, print) = (from.time("a time")?, from.unsigned("a fingerprint")? as u64);
            let fact = from.option("a fact", |from| {
                let name: Box<str> = from.text("a key")?.into();
                let bits = from.unsigned("the bits")? as u64;
                let count = from.length("the words")?;
                let words = (0..count)
                    .map(|_| from.word("a word"))
                    .collect::<Result<_, _>>()?;
                Ok(Remembered {
                    hash: KeyHash::of(&name),
                    name,
                    bits,
                    words,
                })
            })?;
            dedup
                .seen
                .insert_unique(spread(id), Seen { id, at, print }, |seen| spread(seen.id));
            if let Some(fact) = fact {
                dedup.facts.insert(id, fact);
            }
        }
        dedup.limit = SMALL.max(dedup.seen.len() * 2);
        Ok(dedup)
    }
}

/// A hash of what a fact says: its key, time, bits and words.
fn fingerprint(block: &FactBlock, row: usize) -> u64 {
    let head = &block.heads[row];
    let start = block.keys.hashes[head.key as usize] ^ (head.at.0 as u64).rotate_left(32);
    block
        .words(row)
        .iter()
        .fold(spread(start ^ head.bits), |print, word| {
            (print ^ *word as u64)
                .wrapping_mul(0x9fb2_1c65_1e98_df25)
                .rotate_left(29)
        })
}

/// Facts being dealt out to the workers that own their keys.
struct Split<'a> {
    block: &'a FactBlock,
    blocks: Vec<FactBlock>,
    /// By key of the block: the worker and the key's index there.
    keys: Vec<Option<(usize, u32)>>,
}

impl<'a> Split<'a> {
    fn new(block: &'a FactBlock, workers: usize) -> Split<'a> {
        let blocks = vec![FactBlock::new(block.stride); workers];
        Split {
            block,
            blocks,
            keys: vec![None; block.keys.len()],
        }
    }

    fn push(&mut self, row: usize) {
        let head = self.block.heads[row];
        let (to, key) = *self.keys[head.key as usize].get_or_insert_with(|| {
            let hash = self.block.keys.hash(head.key);
            let to = owner_of(hash.hash, self.blocks.len());
            let name = self.block.keys.names.get(head.key as usize);
            (to, self.blocks[to].keys.push(hash, name))
        });
        self.blocks[to].push(Head { key, ..head }, self.block.words(row));
    }

    fn take_back(&mut self, old: Seen, fact: &Remembered) {
        let to = owner_of(fact.hash.hash, self.blocks.len());
        let key = self.blocks[to].keys.push(fact.hash, &fact.name);
        let head = Head {
            key,
            diff: -1,
            at: old.at,
            id: old.id,
            bits: fact.bits,
        };
        self.blocks[to].push(head, &fact.words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(keep: i64, on_conflict: OnConflict) -> Settings {
        Settings {
            keep: Span(keep),
            on_conflict,
            tally: Arc::new(Tally::default()),
        }
    }

    fn parcels(rows: &[(u64, i64, &str, i64)], watermark: i64) -> Vec<Parcel> {
        let mut block = FactBlock::new(1);
        for (id, at, name, word) in rows {
            let key = block.keys.push(KeyHash::of(name), name);
            let head = Head {
                key,
                diff: 1,
                at: EventTime(*at),
                id: *id,
                bits: 0,
            };
            block.push(head, &[*word]);
        }
        vec![
            Parcel {
                to: 0,
                content: Content::Facts(Arc::new(block)),
            },
            Parcel {
                to: 0,
                content: Content::Watermark(EventTime(watermark)),
            },
        ]
    }

    fn run(dedup: &mut Dedup, parcels: Vec<Parcel>) -> Vec<(u64, i64, i32)> {
        let mut left = Vec::new();
        dedup.tick(parcels, |parcel| {
            if let Content::Facts(block) = parcel.content {
                let rows = block.heads.iter().enumerate();
                left.extend(rows.map(|(row, head)| (head.id, block.words(row)[0], head.diff)));
            }
        });
        left
    }

    #[test]
    fn a_copy_is_left_out_within_a_batch_and_across_batches() {
        let settings = settings(100, OnConflict::First);
        let tally = Arc::clone(&settings.tally);
        let mut dedup = Dedup::new(settings, 1);
        let first = run(
            &mut dedup,
            parcels(&[(1, 5, "a", 7), (1, 5, "a", 7), (2, 5, "a", 7)], 0),
        );
        assert_eq!(first, [(1, 7, 1), (2, 7, 1)]);
        assert_eq!(
            run(&mut dedup, parcels(&[(1, 5, "a", 7), (1, 5, "b", 7)], 0)),
            []
        );
        assert_eq!(tally.accepted.load(Ordering::Relaxed), 2);
        assert_eq!(tally.duplicate.load(Ordering::Relaxed), 3);
        assert_eq!(tally.conflicts.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_latest_content_replaces_the_earlier_one_until_it_is_settled() {
        let mut dedup = Dedup::new(settings(100, OnConflict::Latest), 2);
        assert_eq!(run(&mut dedup, parcels(&[(1, 50, "a", 7)], 0)), [(1, 7, 1)]);
        let mut corrected = run(&mut dedup, parcels(&[(1, 60, "b", 8)], 0));
        corrected.sort_unstable();
        assert_eq!(corrected, [(1, 7, -1), (1, 8, 1)]);
        assert_eq!(run(&mut dedup, parcels(&[], 61)), []);
        assert_eq!(run(&mut dedup, parcels(&[(1, 70, "b", 9)], 61)), []);
    }

    #[test]
    fn ids_are_forgotten_after_the_horizon() {
        let mut dedup = Dedup::new(settings(100, OnConflict::First), 1);
        for n in 0..100_000u64 {
            let at = n as i64;
            run(&mut dedup, parcels(&[(n, at, "a", 0)], at - 10));
        }
        assert!(dedup.seen.len() < 2 * SMALL, "{} ids", dedup.seen.len());
    }

    #[test]
    fn a_watermark_ahead_of_its_facts_forgets_nothing_they_need() {
        let mut dedup = Dedup::new(settings(10, OnConflict::First), 1);
        run(&mut dedup, parcels(&[(1, 5, "a", 7)], 5));
        let mut next = parcels(&[(1, 5, "a", 7), (2, 60, "a", 7)], 50);
        next.reverse();
        assert_eq!(run(&mut dedup, next), [(2, 7, 1)]);
    }

    #[test]
    fn what_is_known_survives_its_codec() {
        let mut dedup = Dedup::new(settings(100, OnConflict::Latest), 1);
        run(&mut dedup, parcels(&[(1, 50, "a", 7), (2, 51, "b", 8)], 3));
        let mut to = Writer::default();
        dedup.encode(&mut to);
        let mut from = Reader::new(&to.bytes);
        let mut copy = Dedup::decode(&mut from, settings(100, OnConflict::Latest), 1).unwrap();
        assert!(from.is_empty());
        let next = || parcels(&[(1, 50, "a", 7), (2, 52, "b", 9), (3, 60, "c", 1)], 4);
        assert_eq!(run(&mut copy, next()), run(&mut dedup, next()));
        let short = &to.bytes[..to.bytes.len() - 1];
        let settings = settings(100, OnConflict::Latest);
        assert!(Dedup::decode(&mut Reader::new(short), settings, 1).is_err());
    }
}
