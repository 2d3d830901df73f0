//! How often each kind follows each: counts with an owner, and the rows that stand.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tidegate_schemas::fact::{NULL, float_word};
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::EventTime;

use super::spec::{Firing, MOVES};
use crate::codec::{CodecError, Reader, Writer};

/// The columns of a row.
const COLUMNS: usize = 5;

/// The rows of counts speak of all time so far.
pub(super) const EVER: EventTime = EventTime::MIN;

/// So many moves more, or fewer, from one kind to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// The kind before, or the start mark.
    pub from: i64,
    /// The kind behind, or the end mark.
    pub to: i64,
    /// How many.
    pub count: Count,
}

/// How many moves, and how long they took: sums of whole numbers, so that their order does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// All moves.
    pub moves: i64,
    /// Those with a time between.
    pub timed: i64,
    /// The microseconds between, of all these.
    pub between: i128,
}

impl Count {
    fn add(&mut self, other: Count) {
        self.moves += other.moves;
        self.timed += other.timed;
        self.between += other.between;
    }

    fn is_nothing(self) -> bool {
        self == Count::default()
    }
}

/// Adds up moves where they are, so that only counts travel.
///
/// # State
/// One count per pair since the last drain.
#[derive(Debug, Default)]
pub struct Tally {
    counts: BTreeMap<(i64, i64), Count>,
}

impl Tally {
    /// Counts rows of [`MOVES`], each with its difference.
    ///
    /// # Panics
    /// When the rows have other columns.
    pub fn add(&mut self, moves: &Rows) {
        let [from, to, between] = &moves.columns[..] else {
            panic!("moves have {} columns: {moves:?}", MOVES.len());
        };
        for (row, head) in moves.heads.iter().enumerate() {
            let between = between.words[row];
            let timed = between != NULL;
            let diff = i64::from(head.diff);
            let pair = (from.words[row], to.words[row]);
            self.counts.entry(pair).or_default().add(Count {
                moves: diff,
                timed: diff * i64::from(timed),
                between: i128::from(head.diff) * i128::from(if timed { between } else { 0 }),
            });
        }
    }

    /// All counts that are not zero; begins anew.
    pub fn drain(&mut self) -> impl Iterator<Item = Delta> {
        let counts = std::mem::take(&mut self.counts).into_iter();
        let deltas = counts.map(|((from, to), count)| Delta { from, to, count });
        deltas.filter(|delta| !delta.count.is_nothing())
    }
}

/// The counts of those pairs whose `from` is owned here.
///
/// After [`Transitions::close`] the rows given so far are a function of the moves so far: neither order
/// nor grouping of the deltas matters.
///
/// # Emits
/// For each pair that ever was and is not taken back: `from`, `to`, `count`, `share` of all moves from there,
/// and the mean seconds between, null next to a mark. With [`Firing::Changes`] at every tick that
/// changes them, old ones taken back first; with [`Firing::Final`] once, when the input is over.
///
/// # State
/// Per pair about 100 bytes, for good: at most the square of the kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transitions {
    firing: Firing,
    pages: BTreeMap<i64, Page>,
    changed: BTreeSet<i64>,
    over: bool,
}

/// All moves from one kind.
type Page = BTreeMap<i64, Pair>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pair {
    count: Count,
    /// The row that stands: count, share, mean.
    row: Option<[i64; 3]>,
}

impl Transitions {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(firing: Firing) -> Transitions {
        Transitions {
            firing,
            pages: BTreeMap::new(),
            changed: BTreeSet::new(),
            over: false,
        }
    }

    /// Takes a count of the tick that will be closed next.
    pub fn apply(&mut self, delta: Delta) {
        let page = self.pages.entry(delta.from).or_default();
        page.entry(delta.to).or_default().count.add(delta.count);
        self.changed.insert(delta.from);
    }

    /// Closes a tick: all its counts were applied, and this is the watermark after it.
    ///
    /// # Panics
    /// When more moves were taken back than were given.
    pub fn close(&mut self, watermark: EventTime) -> Option<Rows> {
        let ends = watermark == EventTime::MAX && !self.over;
        self.over |= ends;
        if self.firing == Firing::Final && !ends {
            return None;
        }
        let mut rows = Rows::new(COLUMNS);
        for from in std::mem::take(&mut self.changed) {
            let Some(page) = self.pages.get_mut(&from) else {
                continue;
            };
            let all: i64 = page.values().map(|pair| pair.count.moves).sum();
            for (to, pair) in &mut *page {
                let row = pair.count.row(all);
                if pair.row != row {
                    for (row, diff) in [(pair.row, -1), (row, 1)] {
                        give([from, *to], row, diff, &mut rows);
                    }
                    pair.row = row;
                }
            }
            page.retain(|_, pair| pair.row.is_some());
        }
        (!rows.is_empty()).then_some(rows)
    }

    /// Takes over what another has counted, of pairs that this one knows nothing of.
    pub fn join(&mut self, other: Transitions) {
        self.pages.extend(other.pages);
        self.changed.extend(other.changed);
        self.over |= other.over;
    }

    /// Forgets all pairs but those from kinds that are owned here.
    pub fn retain(&mut self, owned: impl Fn(i64) -> bool) {
        self.pages.retain(|from, _| owned(*from));
        self.changed.retain(|from| owned(*from));
    }

    /// Writes everything; between ticks only.
    pub fn encode(&self, to: &mut Writer) {
        to.bool(self.over);
        to.length(self.pages.len());
        for (from, page) in &self.pages {
            to.word(*from);
            to.bool(self.changed.contains(from));
            to.length(page.len());
            for (kind, pair) in page {
                to.word(*kind);
                to.word(pair.count.moves);
                to.word(pair.count.timed);
                to.signed(pair.count.between);
                to.option(pair.row, |to, row| {
                    row.into_iter().for_each(|word| to.word(word));
                });
            }
        }
    }

    /// Reads what [`Transitions::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not such counts.
    pub fn decode(firing: Firing, from: &mut Reader<'_>) -> Result<Transitions, CodecError> {
        let mut counts = Transitions::new(firing);
        counts.over = from.bool("whether the input is over")?;
        for _ in 0..from.length("the number of kinds")? {
            let kind = from.word("a kind")?;
            if from.bool("whether a count has changed")? {
                counts.changed.insert(kind);
            }
            let page = counts.pages.entry(kind).or_default();
            for _ in 0..from.length("the number of followers")? {
                let to = from.word("a kind")?;
                let count = Count {
                    moves: from.word("a count")?,
                    timed: from.word("a count")?,
                    between: from.signed("a sum of times")?,
                };
                let row = from.option("a row", |from| {
                    Ok([
                        from.word("a count")?,
                        from.word("a share")?,
                        from.word("a mean")?,
                    ])
                })?;
                page.insert(to, Pair { count, row });
            }
        }
        Ok(counts)
    }
}

impl Count {
    /// Count, share of `all`, and mean seconds; `None` when there are no moves.
    fn row(self, all: i64) -> Option<[i64; 3]> {
        assert!(
            self.moves >= 0,
            "more moves were taken back than were given: {self:?}"
        );
        let seconds = self.between as f64 / (self.timed as f64 * 1e6);
        (self.moves > 0).then(|| {
            [
                self.moves,
                float_word(self.moves as f64 / all as f64),
                // Nothing divided by nothing is null.
                float_word(seconds),
            ]
        })
    }
}

fn give(pair: [i64; 2], row: Option<[i64; 3]>, diff: i32, rows: &mut Rows) {
    if let Some(row) = row {
        let words = pair.into_iter().chain(row);
        for (column, word) in rows.begin("", EVER, diff).iter_mut().zip(words) {
            column.push(word);
        }
    }
}
