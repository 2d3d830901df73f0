//! What has followed each context, and what is therefore the likeliest to follow: a pure table.

use std::cmp::Ordering;
use std::sync::Arc;

use hashbrown::HashMap;
use tidegate_schemas::names::Names;

use crate::codec::{CodecError, Reader, Writer};
use crate::words::WordHashing;

/// What is predicted, and how often it and anything has followed the context that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prediction {
    pub(super) kind: i64,
    pub(super) count: i64,
    pub(super) of: i64,
}

/// Which kinds followed a context. Of kinds that are equally frequent, the one with the smaller text is
/// predicted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Followers {
    all: i64,
    /// By kind.
    counts: Vec<(i64, i64)>,
    best: (i64, i64),
}

impl Followers {
    fn of(kind: i64) -> Followers {
        Followers {
            all: 1,
            counts: vec![(kind, 1)],
            best: (kind, 1),
        }
    }

    fn prediction(&self) -> Prediction {
        let (kind, count) = self.best;
        Prediction {
            kind,
            count,
            of: self.all,
        }
    }

    fn add(&mut self, kind: i64, names: &Names) {
        self.all += 1;
        let count = match self.counts.binary_search_by_key(&kind, |(kind, _)| *kind) {
            Ok(place) => {
                self.counts[place].1 += 1;
                self.counts[place].1
            }
            Err(place) => {
                self.counts.insert(place, (kind, 1));
                1
            }
        };
        self.challenge(kind, count, names);
    }

    /// Counts only grow, so that the best is the one before or the one that has just grown.
    fn challenge(&mut self, kind: i64, count: i64, names: &Names) {
        let (best, most) = self.best;
        let wins = match count.cmp(&most) {
            Ordering::Less => false,
            Ordering::Equal => by_text(kind, best, names) == Ordering::Less,
            Ordering::Greater => true,
        };
        if wins {
            self.best = (kind, count);
        }
    }
}

/// The order of two kinds: by text, and of a mark and a category that look the same by code.
pub(super) fn by_text(a: i64, b: i64, names: &Names) -> Ordering {
    (names.text(a), a).cmp(&(names.text(b), b))
}

/// All contexts, each of some kinds, newest first.
///
/// # State
/// Per context that was seen about 100 bytes and 8 a kind, and 16 for each kind that followed it.
#[derive(Clone, Debug)]
pub(super) struct Contexts {
    names: Arc<Names>,
    followers: HashMap<Box<[i64]>, Followers, WordHashing>,
}

impl Contexts {
    pub(super) fn new(names: Arc<Names>) -> Contexts {
        Contexts {
            names,
            followers: HashMap::default(),
        }
    }

    /// What the longest context that was seen predicts: of those with the newest kinds of `before`, from
    /// `shortest` kinds to all. `each` is told for every length what is predicted with contexts
    /// up to it.
    pub(super) fn predict(
        &self,
        before: &[i64],
        shortest: usize,
        mut each: impl FnMut(usize, Option<Prediction>),
    ) {
        let mut prediction = None;
        for length in shortest..=before.len() {
            if let Some(followers) = self.followers.get(&before[..length]) {
                prediction = Some(followers.prediction());
            }
            each(length, prediction);
        }
    }

    /// As [`Contexts::predict`], and then counts the kind that has followed, in one look at each context.
    pub(super) fn learn(
        &mut self,
        before: &[i64],
        shortest: usize,
        kind: i64,
        mut each: impl FnMut(usize, Option<Prediction>),
    ) {
        let mut prediction = None;
        for length in shortest..=before.len() {
            let context = &before[..length];
            match self.followers.get_mut(context) {
                Some(followers) => {
                    prediction = Some(followers.prediction());
                    followers.add(kind, &self.names);
                }
                None => {
                    self.followers.insert(context.into(), Followers::of(kind));
                }
            }
            each(length, prediction);
        }
    }

    /// Forgets all contexts but those whose newest kind is owned here.
    pub(super) fn retain(&mut self, owned: impl Fn(i64) -> bool) {
        let newest = |context: &[i64]| context.first().is_none_or(|kind| owned(*kind));
        self.followers.retain(|context, _| newest(context));
    }

    /// Takes over what another has counted, of contexts that this one knows nothing of.
    pub(super) fn join(&mut self, other: Contexts) {
        self.followers.extend(other.followers);
    }

    /// Writes all contexts, in order.
    pub(super) fn encode(&self, to: &mut Writer) {
        let mut contexts: Vec<_> = self.followers.iter().collect();
        contexts.sort_by_key(|(context, _)| *context);
        to.length(contexts.len());
        for (context, followers) in contexts {
            to.length(context.len());
            context.iter().for_each(|kind| to.word(*kind));
            to.length(followers.counts.len());
            for (kind, count) in &followers.counts {
                to.word(*kind);
                to.word(*count);
            }
        }
    }

    /// Reads what [`Contexts::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not such contexts.
    pub(super) fn decode(names: Arc<Names>, from: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut contexts = Contexts::new(names);
        for _ in 0..from.length("the number of contexts")? {
            let length = from.length("the length of a context")?;
            let context = (0..length).map(|_| from.word("a kind"));
            let context: Box<[i64]> = context.collect::<Result<_, _>>()?;
            let length = from.length("the number of followers")?;
            let counts = (0..length).map(|_| Ok((from.word("a kind")?, from.word("a count")?)));
            let counts: Vec<(i64, i64)> = counts.collect::<Result<_, _>>()?;
            let Some(best) = counts.first().copied() else {
                return Err(from.error("what followed a context"));
            };
            let mut followers = Followers {
                all: counts.iter().map(|(_, count)| count).sum(),
                counts,
                best,
            };
            for (kind, count) in followers.counts.clone() {
                followers.challenge(kind, count, &contexts.names);
            }
            contexts.followers.insert(context, followers);
        }
        Ok(contexts)
    }
}

impl PartialEq for Contexts {
    fn eq(&self, other: &Contexts) -> bool {
        self.followers == other.followers
    }
}
