//! Deduplication by event id: of several rows with the same id, one counts.
//!
//! Rows arrive in the order of ticks, within a tick of the batches' numbers, and within a batch of its rows,
//! so which of two rows is the first does not depend on workers, or on how rows are cut into batches.
//! Neither does what is forgotten or settled: every row is judged by the clock of its source at its own
//! place in the order of arrival ([`Arrived::newest`] less the lateness), which the watermark of the ticks
//! before is never ahead of, except after a silence; then that watermark is the clock.
//!
//! # Reads
//! Facts, sent to the owners of their keys ([`Content::Pending`]), and beside them their ids, sent to the
//! owners of those ([`id_owner`], [`Content::Ids`]); rows that are late are not among them. Rows of
//! tables and watermarks pass.
//!
//! The facts themselves never travel by way of the owners of their ids: these say which of them do not
//! count ([`Content::Known`]), and those are few.
//!
//! # Emits
//! What it reads but the ids. A row whose id is known is counted and does not count
//! ([`Content::Known`] tells the owner of its key which fact that is); when its content differs it is a
//! *conflict*, counted too, and with [`OnConflict::Latest`] it replaces the earlier one: that leaves
//! as a fact with diff −1 (unless the clock has passed it: what is settled stays). Hidden rows are
//! deduplicated like others, and there is no fact of them.
//!
//! # State
//! Per id: 40 to 56 bytes (id, time, fingerprint of the content, where it is found), with
//! [`OnConflict::Latest`] the fact as well; kept until the clock has passed its time by `keep`. Copies
//! that come later than that are late anyway when `keep` is at least the lateness. Saved with
//! [`Dedup::encode`].

mod ids;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_schemas::fact::{FactBlock, Head};
use tidegate_schemas::names::KeyHash;
use tidegate_schemas::time::{EventTime, Span, Tick};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::Operator;

use crate::codec::{CodecError, Reader, Writer};
use crate::parcel::{Arrived, Content, Ids, Known, Parcel, Place, owner_of, shard_of};
use ids::{IdSet, Seen};

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
    /// How far a row may lag behind the newest row of its source: so far the clock is behind that.
    pub lateness: Span,
    /// How long after the clock has passed it an id is remembered.
    pub keep: Span,
    /// What to do with different content.
    pub on_conflict: OnConflict,
    /// Where to count.
    pub tally: Arc<Tally>,
}

/// Spreads ids, which may be consecutive numbers, over all bits (the finaliser of SplitMix64).
#[inline]
#[must_use]
pub fn spread(id: u64) -> u64 {
    let id = (id ^ id >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let id = (id ^ id >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    id ^ id >> 31
}

/// So many ids that count up are known beside each other, by one worker.
const NEIGHBOURS: u64 = 8;

/// The shard of an id.
#[inline]
#[must_use]
pub fn id_shard(id: u64) -> u64 {
    shard_of(spread(id / NEIGHBOURS))
}

/// The worker that knows whether an id was seen.
#[must_use]
pub fn id_owner(id: u64, workers: usize) -> usize {
    (id_shard(id) % workers as u64) as usize
}

/// A hash of what a row says: its key (by hash), time, bits and words.
#[inline]
#[must_use]
pub fn fingerprint(key: u64, at: EventTime, bits: u64, words: &[i64]) -> u64 {
    let (pairs, rest) = words.as_chunks::<2>();
    let print = mixed(mixed(key, at.0 as u64) ^ bits, 0);
    let print = pairs.iter().fold(print, |print, [first, second]| {
        mixed(print ^ *first as u64, *second as u64)
    });
    rest.iter()
        .fold(print, |print, word| mixed(print ^ *word as u64, 0))
}

/// Two numbers made one: the halves of a product of 128 bits (as wyhash does).
#[inline]
fn mixed(first: u64, second: u64) -> u64 {
    let (first, second) = (
        first ^ 0xa076_1d64_78bd_642f,
        second ^ 0xe703_7ed1_a0b4_28db,
    );
    let product = u128::from(first) * u128::from(second);
    product as u64 ^ (product >> 64) as u64
}

/// Deduplicates a stream of parcels.
pub trait Deduplicate {
    /// Leaves out rows whose id is known; the module's documentation says what comes out.
    #[must_use]
    fn deduplicate(self, settings: Settings) -> Self;
}

impl Deduplicate for StreamVec<'_, Tick, Parcel> {
    fn deduplicate(self, settings: Settings) -> Self {
        let pact = Exchange::new(|parcel: &Parcel| parcel.to as u64);
        let mut dedup = Dedup::new(settings, self.scope().peers());
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

/// A fact that may have to be taken back.
#[derive(Clone, Debug)]
struct Remembered {
    hash: KeyHash,
    name: Box<str>,
    bits: u64,
    words: Box<[i64]>,
}

/// So many ids are touched before they are looked up: the processor waits for many of them at once as
/// long as for one.
const AHEAD: usize = 32;

/// The ids a worker knows.
#[derive(Debug)]
pub struct Dedup {
    settings: Settings,
    watermark: EventTime,
    ids: IdSet,
    workers: usize,
    /// With `OnConflict::Latest`: the fact of each id, unless it was hidden.
    facts: HashMap<u64, Remembered>,
}

/// What becomes of a row.
enum Verdict {
    New,
    /// Left out; whether its content differs.
    Known(bool),
    Replaces(Seen),
}

impl Dedup {
    /// Knows no ids; facts belong to `workers` workers.
    #[must_use]
    pub fn new(settings: Settings, workers: usize) -> Dedup {
        Dedup {
            settings,
            watermark: EventTime::MIN,
            ids: IdSet::default(),
            workers,
            facts: HashMap::new(),
        }
    }

    /// Works off the parcels of a tick and hands on what is left.
    ///
    /// The facts of a tick come before its watermark, in whatever order the parcels arrive from
    /// different workers: what is remembered must not depend on it.
    pub fn tick(&mut self, parcels: Vec<Parcel>, mut give: impl FnMut(Parcel)) {
        let (mut watermark, mut batches) = (self.watermark, Vec::new());
        for Parcel { to, content } in parcels {
            match content {
                Content::Ids(ids) => batches.push(ids),
                Content::Watermark(at) => {
                    watermark = watermark.max(at);
                    give(Parcel { to, content });
                }
                other => give(Parcel { to, content: other }),
            }
        }
        batches.sort_by_key(|ids| ids.batch);
        for ids in batches {
            self.look_up(&ids, &mut give);
        }
        self.watermark = watermark;
        if self.ids.sweep(watermark.minus(self.settings.keep)) {
            self.facts.retain(|id, _| self.ids.knows(*id));
            self.facts.shrink_to(self.facts.len() * 16);
        }
    }

    /// Says which rows do not count, and takes back what others replace.
    fn look_up(&mut self, ids: &Ids, mut give: impl FnMut(Parcel)) {
        let (mut known, mut conflicts) = (0, 0);
        let mut left_out = vec![Vec::new(); self.workers];
        let mut taken_back: BTreeMap<usize, FactBlock> = BTreeMap::new();
        for (number, row) in ids.rows.iter().enumerate() {
            if number % AHEAD == 0 {
                let soon = ids.rows[number..].iter().take(AHEAD);
                black_box(soon.fold(0, |sum, row| sum ^ self.ids.touch(row.id)));
            }
            let Arrived {
                id,
                at,
                print,
                newest,
            } = *row;
            match self.verdict(Seen { id, at, print }, newest) {
                Verdict::New => {}
                Verdict::Known(differs) => {
                    known += 1;
                    conflicts += u64::from(differs);
                    let place = ids.place(number);
                    if place != Place::HIDDEN {
                        left_out[usize::from(place.owner)].push(place.row);
                    }
                    continue;
                }
                Verdict::Replaces(old) => {
                    known += 1;
                    conflicts += 1;
                    if let Some(fact) = self.facts.remove(&id) {
                        let owner = owner_of(fact.hash.hash, self.workers);
                        let new = || FactBlock::new(fact.words.len());
                        let block = taken_back.entry(owner).or_insert_with(new);
                        take_back(block, old, &fact);
                    }
                }
            }
            match &ids.facts {
                Some(_) if ids.place(number) == Place::HIDDEN => drop(self.facts.remove(&id)),
                Some(facts) => self.remember(id, facts, number),
                None => {}
            }
        }
        for (to, rows) in left_out.into_iter().enumerate() {
            if !rows.is_empty() {
                let batch = ids.batch;
                let content = Content::Known(Known { batch, rows });
                give(Parcel { to, content });
            }
        }
        for (to, block) in taken_back {
            let content = Content::Facts(Arc::new(block));
            give(Parcel { to, content });
        }
        let tally = &self.settings.tally;
        let accepted = ids.rows.len() as u64 - known;
        tally.accepted.fetch_add(accepted, Ordering::Relaxed);
        tally.duplicate.fetch_add(known, Ordering::Relaxed);
        tally.conflicts.fetch_add(conflicts, Ordering::Relaxed);
    }

    /// What becomes of a row whose source had shown nothing newer than `newest` before it.
    #[inline(always)]
    fn verdict(&mut self, seen: Seen, newest: EventTime) -> Verdict {
        let Some(known) = self.ids.meet(seen) else {
            return Verdict::New;
        };
        let old = *known;
        let clock = newest.minus(self.settings.lateness).max(self.watermark);
        if old.at < clock.minus(self.settings.keep) {
            *known = seen;
            return Verdict::New;
        }
        if (old.at, old.print) == (seen.at, seen.print) {
            return Verdict::Known(false);
        }
        // What the clock has passed is settled and stays.
        if self.settings.on_conflict == OnConflict::First || old.at < clock {
            return Verdict::Known(true);
        }
        *known = seen;
        Verdict::Replaces(old)
    }

    /// Remembers the fact of an id.
    fn remember(&mut self, id: u64, facts: &FactBlock, row: usize) {
        let head = &facts.heads[row];
        let fact = Remembered {
            hash: facts.keys.hash(head.key),
            name: facts.keys.names.get(head.key as usize).into(),
            bits: head.bits,
            words: facts.words(row).into(),
        };
        self.facts.insert(id, fact);
    }

    /// Writes what is known, oldest id first.
    pub fn encode(&self, to: &mut Writer) {
        to.time(self.watermark);
        let mut all: Vec<&Seen> = self.ids.iter().collect();
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
            dedup.ids.meet(Seen { id, at, print });
            if let Some(fact) = fact {
                dedup.facts.insert(id, fact);
            }
        }
        Ok(dedup)
    }
}

/// Adds a fact with diff −1.
fn take_back(block: &mut FactBlock, old: Seen, fact: &Remembered) {
    let key = block.own_keys().push(fact.hash, &fact.name);
    let head = Head {
        key,
        diff: -1,
        at: old.at,
        id: old.id,
        bits: fact.bits,
    };
    block.push(head, &fact.words);
}
