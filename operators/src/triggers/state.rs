//! What a trigger remembers of a key, and how it is written.

use smallvec::SmallVec;
use tidegate_schemas::time::EventTime;

use super::telling::Firing;
use crate::codec::{CodecError, Reader, Writer};
use crate::words::same_words;

/// What a trigger remembers of a key. The default is that of a key that was never seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The last firing, while its cooldown runs and no episode is open.
    pub(super) last: Option<EventTime>,
    pub(super) open: Option<Box<Open>>,
    /// The ids of the anchors of the instant that is under way, in order.
    pub(super) anchors: SmallVec<[u64; 2]>,
    pub(super) looked: Option<Looked>,
}

/// The open episode, as its row was emitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) at: EventTime,
    pub(super) segment: i64,
    pub(super) reasons: Reasons,
}

/// The registers that explain an episode: a few mostly, and then without an allocation of their own.
pub(super) type Reasons = SmallVec<[i64; 3]>;

/// What the last evaluation looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Looked {
    /// The evaluation from which on the keys were these; [`EventTime::MIN`] if they always were.
    pub(super) since: EventTime,
    /// The last evaluation.
    pub(super) at: EventTime,
    /// The keys of all lookups, end to end, in the order they are made.
    pub(super) keys: SmallVec<[i64; 2]>,
}

impl Open {
    pub(super) fn firing(&self) -> Firing<'_> {
        Firing::of_episode(self.at, self.segment, &self.reasons)
    }
}

impl Looked {
    pub(super) fn remember(looked: &mut Option<Looked>, at: EventTime, keys: &[i64]) {
        match looked {
            Some(looked) => {
                debug_assert!(looked.at < at, "moments come once and in order");
                if !same_words(&looked.keys, keys) {
                    looked.since = at;
                    looked.keys.copy_from_slice(keys);
                }
                looked.at = at;
            }
            None => {
                *looked = Some(Looked {
                    since: EventTime::MIN,
                    at,
                    keys: SmallVec::from_slice(keys),
                });
            }
        }
    }
}

impl State {
    /// Whether the instant that is under way has anchors.
    #[inline]
    #[must_use]
    pub fn has_anchors(&self) -> bool {
        !self.anchors.is_empty()
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        to.option(self.last, Writer::time);
        to.option(self.open.as_deref(), |to, open| {
            to.time(open.at);
            to.word(open.segment);
            open.reasons.iter().for_each(|word| to.word(*word));
        });
        to.length(self.anchors.len());
        for id in &self.anchors {
            to.unsigned(u128::from(*id));
        }
        to.option(self.looked.as_ref(), |to, looked| {
            to.time(looked.since);
            to.time(looked.at);
            looked.keys.iter().for_each(|word| to.word(*word));
        });
    }

    /// Reads a state of a trigger with this many reasons and this many words of keys.
    pub(super) fn decode(
        from: &mut Reader<'_>,
        reasons: usize,
        keys: usize,
    ) -> Result<State, CodecError> {
        let last = from.option("the last firing", |from| from.time("the last firing"))?;
        let open = from.option("an episode", |from| {
            Ok(Box::new(Open {
                at: from.time("an episode's time")?,
                segment: from.word("an episode's segment")?,
                reasons: SmallVec::from_slice(&words(from, reasons, "an episode's reasons")?),
            }))
        })?;
        let anchors = (0..from.length("anchors")?)
            .map(|_| from.unsigned("an anchor's id").map(|id| id as u64))
            .collect::<Result<_, _>>()?;
        let looked = from.option("table keys", |from| {
            Ok(Looked {
                since: from.time("the time of table keys")?,
                at: from.time("the last evaluation")?,
                keys: SmallVec::from_vec(words(from, keys, "table keys")?.into_vec()),
            })
        })?;
        Ok(State {
            last,
            open,
            anchors,
            looked,
        })
    }
}

fn words(
    from: &mut Reader<'_>,
    count: usize,
    what: &'static str,
) -> Result<Box<[i64]>, CodecError> {
    (0..count).map(|_| from.word(what)).collect()
}
