//! The texts of event ids, for as long as a row that shows one may still go out.
//!
//! An event id travels as a number. Of an id that is a text that number is the hash, and [`Ids`]
//! knows the text when the row is rendered. Ids are as many as events, so unlike the texts of
//! categories ([`crate::names::Names`]) they are forgotten.
//!
//! # When a text is forgotten
//! The row of an event can change as long as the watermark has not passed its time. At the tick at
//! which it does, the row goes out for the last time. So a text is needed until every reader has
//! shown that tick. Texts are kept in two generations: new ones enter the young one; when
//! nothing of the old one is needed any more, it is dropped whole and the young one becomes the old.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::names::Texts;
use crate::time::{EventTime, Tick};

/// The texts of event ids that are shown, shared by all threads.
///
/// # State
/// One entry per event that an output shows, of about 50 bytes and the text. Its owner is the run; it
/// is forgotten at the latest when the watermark is past it by as much as it took to pass it, so
/// about two latenesses of events are there at a time. It is not saved: it holds nothing that the rows
/// since the watermark would not bring again.
///
/// # Example
/// ```
/// use tidegate_schemas::ids::Ids;
/// use tidegate_schemas::time::EventTime;
///
/// let ids = Ids::default();
/// let sink = ids.add_reader();
/// ids.remember([(7, EventTime(100), "T-7")]);
/// ids.at_watermark(1, EventTime(90));
/// ids.shown(sink, 2);
/// assert_eq!(ids.texts([7]).unwrap().get(0), "T-7");
///
/// for tick in 2..4 {
///     ids.at_watermark(tick, EventTime(101));
///     ids.shown(sink, tick + 1);
/// }
/// assert_eq!(ids.texts([7]), Err(7));
/// ```
#[derive(Debug, Default)]
pub struct Ids(RwLock<Generations>);

/// Two texts with the same id. Rows of both show the one that came first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// The text that is shown.
    pub first: String,
    /// The text that is not.
    pub other: String,
}

#[derive(Debug, Default)]
struct Generations {
    young: Generation,
    old: Generation,
    /// The tick at which the watermark had passed everything in `old`.
    passed: Option<Tick>,
    /// By reader: the first tick of which it may still have to show rows.
    frontiers: Vec<Tick>,
}

#[derive(Debug)]
struct Generation {
    /// Where each text begins in `bytes`, and how long it is.
    places: HashMap<u64, (usize, usize), BuildHasherDefault<Mix>>,
    bytes: String,
    newest: EventTime,
}

/// The hash of an id, which mostly is one already: the high bits are folded onto the low ones.
#[derive(Debug, Default)]
struct Mix(u64);

impl Hasher for Mix {
    #[inline]
    fn write_u64(&mut self, id: u64) {
        let wide = u128::from(id ^ self.0) * 0x9e37_79b9_7f4a_7c15;
        self.0 = wide as u64 ^ (wide >> 64) as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Default for Generation {
    fn default() -> Generation {
        Generation {
            places: HashMap::default(),
            bytes: String::new(),
            newest: EventTime::MIN,
        }
    }
}

impl Generation {
    fn get(&self, id: u64) -> Option<&str> {
        let (start, length) = *self.places.get(&id)?;
        Some(&self.bytes[start..start + length])
    }

    /// Adds a text unless its id has one. Answers the one it has then.
    fn insert(&mut self, id: u64, text: &str) -> &str {
        let Generation { places, bytes, .. } = self;
        let (start, length) = *places.entry(id).or_insert_with(|| {
            let start = bytes.len();
            bytes.push_str(text);
            (start, text.len())
        });
        &bytes[start..start + length]
    }
}

impl Generations {
    /// Drops the old generation if nobody needs it any more. Answers it, so that it can be freed
    /// when the lock is.
    fn forget(&mut self) -> Option<Generation> {
        let shown = self.frontiers.iter().min().copied().unwrap_or(Tick::MAX);
        if self.passed.is_none_or(|tick| tick >= shown) {
            return None;
        }
        self.passed = None;
        let young = std::mem::take(&mut self.young);
        Some(std::mem::replace(&mut self.old, young))
    }
}

impl Ids {
    /// Remembers the texts of ids, each with the event time of its row, before the rows go on their
    /// way. Answers the texts that cannot be shown because another has their id.
    pub fn remember<'a>(
        &self,
        ids: impl IntoIterator<Item = (u64, EventTime, &'a str)>,
    ) -> Vec<Clash> {
        let mut clashes = Vec::new();
        let mut generations = self.write();
        let Generations { young, old, .. } = &mut *generations;
        for (id, at, text) in ids {
            young.newest = young.newest.max(at);
            let first = young.insert(id, old.get(id).unwrap_or(text));
            if first != text {
                clashes.push(Clash {
                    first: first.to_owned(),
                    other: text.to_owned(),
                });
            }
        }
        clashes
    }

    /// The texts of ids, in their order.
    ///
    /// # Errors
    /// The first id that is not known.
    pub fn texts(&self, ids: impl IntoIterator<Item = u64>) -> Result<Texts, u64> {
        let generations = self.read();
        let mut texts = Texts::default();
        for id in ids {
            let text = generations.old.get(id).or(generations.young.get(id));
            texts.push(text.ok_or(id)?);
        }
        Ok(texts)
    }

    /// Adds somebody who shows ids, before the first tick.
    pub fn add_reader(&self) -> usize {
        let mut generations = self.write();
        generations.frontiers.push(0);
        generations.frontiers.len() - 1
    }

    /// A reader has shown all rows of the ticks before `frontier`.
    pub fn shown(&self, reader: usize, frontier: Tick) {
        let mut generations = self.write();
        generations.frontiers[reader] = frontier;
        let forgotten = generations.forget();
        drop(generations);
        drop(forgotten);
    }

    /// The watermark is at `watermark` at the end of `tick`. To be told before anybody can have
    /// shown that tick.
    pub fn at_watermark(&self, tick: Tick, watermark: EventTime) {
        let mut generations = self.write();
        if generations.passed.is_none() && watermark > generations.old.newest {
            generations.passed = Some(tick);
        }
        let forgotten = generations.forget();
        drop(generations);
        drop(forgotten);
    }

    /// How many ids are remembered; those in both generations count twice.
    #[must_use]
    pub fn len(&self) -> usize {
        let generations = self.read();
        generations.young.places.len() + generations.old.places.len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn read(&self) -> RwLockReadGuard<'_, Generations> {
        self.0
            .read()
            .expect("no thread panics while it holds the ids")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Generations> {
        self.0
            .write()
            .expect("no thread panics while it holds the ids")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(ids: &Ids, id: u64) -> Option<String> {
        let texts = ids.texts([id]).ok()?;
        Some(texts.get(0).to_owned())
    }

    #[test]
    fn texts_stay_until_every_reader_has_shown_the_tick_that_passed_them() {
        let ids = Ids::default();
        let (fast, slow) = (ids.add_reader(), ids.add_reader());
        assert!(ids.remember([(1, EventTime(10), "a")]).is_empty());
        ids.at_watermark(1, EventTime(5));
        ids.shown(fast, 2);
        ids.shown(slow, 2);
        // `a` is in the old generation now. A row exactly at the watermark can still come.
        ids.remember([(2, EventTime(30), "b")]);
        ids.at_watermark(2, EventTime(10));
        ids.shown(fast, 3);
        ids.shown(slow, 3);
        ids.at_watermark(3, EventTime(11));
        ids.shown(fast, 4);
        assert_eq!(text(&ids, 1).as_deref(), Some("a"));
        ids.shown(slow, 3);
        assert_eq!(text(&ids, 1).as_deref(), Some("a"));
        ids.shown(slow, 4);
        assert_eq!(ids.texts([2, 1]), Err(1));
        assert_eq!(text(&ids, 2).as_deref(), Some("b"));
    }

    #[test]
    fn a_run_that_goes_on_for_ever_remembers_what_the_watermark_has_not_passed() {
        const LATENESS: i64 = 100;
        let ids = Ids::default();
        let sink = ids.add_reader();
        let mut most = 0;
        for tick in 0..20_000i64 {
            let name = format!("event {tick}");
            ids.remember([(tick as u64, EventTime(tick), name.as_str())]);
            ids.at_watermark(tick as u64, EventTime(tick - LATENESS));
            // A sink that is a few ticks behind.
            ids.shown(sink, (tick as u64).saturating_sub(4));
            most = most.max(ids.len());
            for needed in (tick - LATENESS - 4).max(0)..=tick {
                assert_eq!(text(&ids, needed as u64), Some(format!("event {needed}")));
            }
        }
        assert!(most < 3 * LATENESS as usize, "{most}");
        ids.at_watermark(20_000, EventTime::MAX);
        ids.shown(sink, 20_001);
        ids.at_watermark(20_001, EventTime::MAX);
        ids.shown(sink, 20_002);
        assert!(ids.is_empty());
    }

    #[test]
    fn of_two_texts_with_one_id_the_first_is_shown_and_the_other_told() {
        let ids = Ids::default();
        let sink = ids.add_reader();
        let clash = |first: &str, other: &str| Clash {
            first: first.to_owned(),
            other: other.to_owned(),
        };
        let told = ids.remember([
            (1, EventTime(10), "a"),
            (1, EventTime(10), "b"),
            (1, EventTime(10), "a"),
        ]);
        assert_eq!(told, [clash("a", "b")]);
        ids.at_watermark(1, EventTime(5));
        ids.shown(sink, 2);
        // The first is in the old generation, and outlives it as long as the other is needed.
        assert_eq!(ids.remember([(1, EventTime(50), "c")]), [clash("a", "c")]);
        ids.at_watermark(2, EventTime(20));
        ids.shown(sink, 3);
        assert_eq!((text(&ids, 1).as_deref(), ids.len()), (Some("a"), 1));
    }

    #[test]
    fn a_text_that_comes_again_is_kept_for_its_newest_row() {
        let ids = Ids::default();
        let sink = ids.add_reader();
        ids.remember([(1, EventTime(10), "a")]);
        ids.at_watermark(1, EventTime(5));
        ids.shown(sink, 2);
        ids.remember([(1, EventTime(40), "a")]);
        ids.at_watermark(2, EventTime(20));
        ids.shown(sink, 3);
        assert_eq!(text(&ids, 1).as_deref(), Some("a"));
    }

    #[test]
    fn without_readers_nothing_is_kept() {
        let ids = Ids::default();
        ids.remember([(1, EventTime(10), "a")]);
        ids.at_watermark(1, EventTime(11));
        ids.at_watermark(2, EventTime(11));
        assert!(ids.is_empty());
    }
}
