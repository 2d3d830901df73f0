//! Deduplication by event id: of several rows with the same id, one counts.
//!
//! Rows arrive in the order of ticks and, within a tick, of the blocks' rows, so which of two rows is
//! the first does not depend on workers or batches. Neither does what is forgotten or settled: every
//! row is judged by the clock of its source at its own place in the order of arrival
//! ([`Arrived::newest`] less the lateness), which the watermark of the ticks before is never ahead of,
//! except after a silence; then that watermark is the clock.
//!
//! # Reads
//! Parcels routed by [`id_owner`]: rows that are not late ([`Content::Dealt`]), rows of tables,
//! watermarks.
//!
//! # Emits
//! The same parcels, the rows as facts to the workers that own their keys. A row whose id is known is
//! left out (its diff becomes 0, nothing is copied) and counted; when its content differs it is a
//! *conflict*, counted too, and with [`OnConflict::Latest`] it replaces the earlier one: that leaves
//! as a fact with diff −1 behind the facts of its block (unless the clock has passed it: what is
//! settled stays). Hidden rows are deduplicated like others and then dropped.
//!
//! # State
//! Per id: 40 to 56 bytes (id, time, fingerprint of the content, where it is found), with [`OnConflict::Latest`] the fact as
//! well; kept until the clock has passed its time by `keep`. Copies that come later than that
//! are late anyway when `keep` is at least the lateness. Saved with [`Dedup::encode`].

mod ids;
#[cfg(test)]
mod tests;

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
use crate::parcel::{Arrived, Content, Dealt, Parcel, owner_of, shard_of};
use ids::{Ids, Seen};

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
    let start = key ^ (at.0 as u64).rotate_left(32);
    words.iter().fold(spread(start ^ bits), |print, word| {
        (print ^ *word as u64)
            .wrapping_mul(0x9fb2_1c65_1e98_df25)
            .rotate_left(29)
    })
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
        let mut dedup = Dedup::new(settings);
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
    ids: Ids,
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
    /// Knows no ids.
    #[must_use]
    pub fn new(settings: Settings) -> Dedup {
        Dedup {
            settings,
            watermark: EventTime::MIN,
            ids: Ids::default(),
            facts: HashMap::new(),
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
                Content::Dealt(mut dealt) => {
                    self.leave_out(&mut dealt);
                    let left = |block: &FactBlock| block.heads.iter().any(|head| head.diff != 0);
                    for (to, block) in dealt.blocks.into_iter().enumerate() {
                        if left(&block) {
                            let content = Content::Facts(Arc::new(block));
                            give(Parcel { to, content });
                        }
                    }
                }
                Content::Watermark(at) => {
                    watermark = watermark.max(at);
                    give(Parcel { to, content });
                }
                other => give(Parcel { to, content: other }),
            }
        }
        self.watermark = watermark;
        if self.ids.sweep(watermark.minus(self.settings.keep)) {
            self.facts.retain(|id, _| self.ids.knows(*id));
        }
    }

    /// Marks the rows that do not count, and adds what they replace.
    fn leave_out(&mut self, dealt: &mut Dealt) {
        let (mut known, mut conflicts) = (0, 0);
        let mut taken_back = Vec::new();
        let latest = self.settings.on_conflict == OnConflict::Latest;
        for (number, row) in dealt.rows.iter().enumerate() {
            if number % AHEAD == 0 {
                let soon = dealt.rows[number..].iter().take(AHEAD);
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
                    if let Some((block, row)) = dealt.place(number) {
                        dealt.blocks[block].heads[row].diff = 0;
                    }
                    continue;
                }
                Verdict::Replaces(old) => {
                    known += 1;
                    conflicts += 1;
                    taken_back.extend(self.facts.remove(&id).map(|fact| (old, fact)));
                }
            }
            if latest {
                let place = dealt.place(number);
                self.remember(id, place.map(|(block, row)| (&dealt.blocks[block], row)));
            }
        }
        for (old, fact) in taken_back {
            take_back(dealt, old, &fact);
        }
        let tally = &self.settings.tally;
        let accepted = dealt.rows.len() as u64 - known;
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

    /// Remembers the row of an id; a hidden row has no fact.
    fn remember(&mut self, id: u64, place: Option<(&FactBlock, usize)>) {
        let Some((block, row)) = place else {
            self.facts.remove(&id);
            return;
        };
        let head = &block.heads[row];
        let fact = Remembered {
            hash: block.keys.hash(head.key),
            name: block.keys.names.get(head.key as usize).into(),
            bits: head.bits,
            words: block.words(row).into(),
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
    pub fn decode(from: &mut Reader<'_>, settings: Settings) -> Result<Dedup, CodecError> {
        let mut dedup = Dedup::new(settings);
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

/// Adds a fact with diff −1. At the end of its block it comes after the fact that it takes back.
fn take_back(dealt: &mut Dealt, old: Seen, fact: &Remembered) {
    let to = owner_of(fact.hash.hash, dealt.blocks.len());
    let key = dealt.blocks[to].own_keys().push(fact.hash, &fact.name);
    let head = Head {
        key,
        diff: -1,
        at: old.at,
        id: old.id,
        bits: fact.bits,
    };
    dealt.blocks[to].push(head, &fact.words);
}
