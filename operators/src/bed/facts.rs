//! Made-up facts, and how they arrive.

use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use tidegate_schemas::fact::{Fact, FactBlock, Head, NULL};
use tidegate_schemas::names::KeyHash;
use tidegate_schemas::time::EventTime;

/// How much later than a newer fact one may come.
pub(crate) const LATENESS: i64 = 40;

/// A fact that comes, or is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given<const N: usize> {
    /// Its place among the keys of the test.
    pub(crate) key: u32,
    pub(crate) at: i64,
    pub(crate) id: u64,
    pub(crate) diff: i32,
    pub(crate) bits: u64,
    pub(crate) words: [i64; N],
}

impl<const N: usize> Given<N> {
    /// The same, taken back.
    pub(crate) fn back(self) -> Given<N> {
        Given { diff: -1, ..self }
    }

    /// As a row of a block.
    pub(crate) fn row(&self) -> (Head, &[i64]) {
        let head = Head {
            key: self.key,
            diff: self.diff,
            at: EventTime(self.at),
            id: self.id,
            bits: self.bits,
        };
        (head, &self.words)
    }
}

/// What comes in one tick, and the watermark after it.
#[derive(Clone, Debug)]
pub(crate) struct Tick<const N: usize> {
    pub(crate) given: Vec<Given<N>>,
    pub(crate) watermark: EventTime,
}

impl<const N: usize> Tick<N> {
    /// The end of the input.
    pub(crate) fn over() -> Tick<N> {
        Tick {
            given: Vec::new(),
            watermark: EventTime::MAX,
        }
    }

    /// What comes as one block, of these keys.
    pub(crate) fn block(&self, keys: &[&str]) -> FactBlock {
        block(keys, N, self.given.iter().map(Given::row))
    }
}

/// Rows as a block of these keys.
pub(crate) fn block<'a>(
    keys: &[&str],
    words: usize,
    rows: impl IntoIterator<Item = (Head, &'a [i64])>,
) -> FactBlock {
    let mut block = FactBlock::new(words);
    for key in keys {
        block.own_keys().push(KeyHash::of(key), key);
    }
    for (head, words) in rows {
        block.push(head, words);
    }
    block
}

/// Lets facts arrive out of order within lateness, in ticks of few or many. After each, `correct` may take from the
/// facts that stand, with the watermark before the tick, and says what comes of it in the same tick.
pub(crate) fn arrive<const N: usize>(
    rng: &mut SmallRng,
    facts: &[Given<N>],
    mut correct: impl FnMut(&mut SmallRng, &mut Vec<Given<N>>, EventTime) -> Vec<Given<N>>,
) -> Vec<Tick<N>> {
    let arrival = |fact: &Given<N>| (fact.at + rng.random_range(0..=LATENESS), *fact);
    let mut order: Vec<(i64, Given<N>)> = facts.iter().map(arrival).collect();
    order.shuffle(rng);
    order.sort_by_key(|(arrival, _)| *arrival);
    let largest = [1, 7, 60][rng.random_range(0..3)];
    let (mut ticks, mut standing): (Vec<Tick<N>>, Vec<Given<N>>) = (vec![], vec![]);
    let (mut newest, mut before) = (-1_000, EventTime::MIN);
    let mut rest = order.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rng.random_range(1..=largest).min(rest.len()));
        let mut given: Vec<Given<N>> = now.iter().map(|(_, fact)| *fact).collect();
        standing.extend(&given);
        given.extend(correct(rng, &mut standing, before));
        newest = given.iter().map(|fact| fact.at).fold(newest, i64::max);
        before = EventTime(newest - LATENESS);
        ticks.push(Tick {
            given,
            watermark: before,
        });
        rest = later;
    }
    ticks
}

/// One of these.
pub(crate) fn one<T: Clone>(rng: &mut SmallRng, of: &[T]) -> T {
    of[rng.random_range(0..of.len())].clone()
}

/// A word: null, at either end of what there is, or small.
pub(crate) fn word(rng: &mut SmallRng) -> i64 {
    match rng.random_range(0..10) {
        0 | 1 => NULL,
        2 => i64::MAX,
        3 => i64::MIN + 1,
        _ => rng.random_range(-3..4),
    }
}

/// A fact of as many words as it likes.
#[derive(Clone, Debug)]
pub(crate) struct Owned {
    pub(crate) at: i64,
    pub(crate) id: u64,
    pub(crate) bits: u64,
    pub(crate) words: Vec<i64>,
}

impl Owned {
    pub(crate) fn new(at: i64, id: u64) -> Owned {
        Owned {
            at,
            id,
            bits: 0,
            words: Vec::new(),
        }
    }

    pub(crate) fn fact(&self) -> Fact<'_> {
        Fact {
            at: EventTime(self.at),
            id: self.id,
            bits: self.bits,
            words: &self.words,
        }
    }
}
