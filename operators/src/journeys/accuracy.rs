//! Prequential prediction: every step is predicted from what was counted before it, then counted.
//!
//! # Meaning
//! Take the steps of all keys in (`at`, `id`) order. Each that has an earlier one in its journey is
//! predicted for each order k: the most frequent follower so far of the last k kinds before it (fewer at a
//! journey's beginning); of equally frequent ones the smallest as text. Of a context that was never
//! seen, the next shorter one is asked, down to one kind; when that was never seen either, there is no
//! prediction, which counts as wrong. Then the step is counted. End marks are neither predicted nor counted.
//!
//! Whether it was right cannot be taken back, so this looks at settled steps only.
//!
//! A context and all shorter ones that stand for it end in the same kind: its owner predicts alone.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use tidegate_schemas::fact::float_word;
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::EventTime;

use super::contexts::{Contexts, Prediction};
use super::spec::{Firing, STEPS};
use super::transitions::EVER;
use crate::codec::{CodecError, Reader, Writer};

/// How many bins of probability there are: `[0, 1/10)` to `[9/10, 1]`.
pub const BINS: usize = 10;

/// The columns of a row.
const COLUMNS: usize = 8;

/// Probabilities are added up as whole numbers of this part, rounded down, so that the order does not
/// matter.
const UNIT: i64 = 1_000_000_000_000;

/// A step and the kinds before it, newest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Step {
    /// When.
    pub at: EventTime,
    /// The id of its fact.
    pub id: u64,
    /// Its kind.
    pub to: i64,
    /// The kinds before it; at least one.
    #[serde(with = "context")]
    pub before: Context,
}

/// A few kinds, newest first.
pub type Context = SmallVec<[i64; 3]>;

impl Step {
    /// The steps of rows of [`STEPS`].
    ///
    /// # Panics
    /// When the rows have other columns.
    pub fn of(rows: &Rows) -> impl Iterator<Item = Step> {
        let [id, to, context] = &rows.columns[..] else {
            panic!("steps have {} columns: {rows:?}", STEPS.len());
        };
        rows.heads.iter().enumerate().map(|(row, head)| Step {
            at: head.at,
            id: id.words[row] as u64,
            to: to.words[row],
            before: context.row(row).into(),
        })
    }
}

/// How contexts travel.
mod context {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Context;

    pub(super) fn serialize<S: Serializer>(it: &Context, to: S) -> Result<S::Ok, S::Error> {
        it.as_slice().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Context, D::Error> {
        Vec::deserialize(from).map(Context::from_vec)
    }
}

/// How the predictions of one order went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    steps: i64,
    bins: [Bin; BINS],
}

/// How predictions of about the same probability went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Bin {
    steps: i64,
    right: i64,
    /// The sum of what was said to be probable, in [`UNIT`]s.
    probability: i128,
}

/// `count · unit / of`, rounded down; narrow numbers are divided much faster.
#[inline]
fn part(count: i64, unit: i64, of: i64) -> i128 {
    match count.checked_mul(unit) {
        Some(product) => i128::from(product / of),
        None => i128::from(count) * i128::from(unit) / i128::from(of),
    }
}

impl Score {
    fn count(&mut self, prediction: Option<Prediction>, to: i64) {
        self.steps += 1;
        if let Some(Prediction { kind, count, of }) = prediction {
            let place = part(count, BINS as i64, of);
            let bin = &mut self.bins[(place as usize).min(BINS - 1)];
            bin.steps += 1;
            bin.right += i64::from(kind == to);
            bin.probability += part(count, UNIT, of);
        }
    }

    /// Adds what was scored elsewhere.
    pub fn add(&mut self, other: &Score) {
        self.steps += other.steps;
        for (bin, other) in self.bins.iter_mut().zip(&other.bins) {
            bin.steps += other.steps;
            bin.right += other.right;
            bin.probability += other.probability;
        }
    }

    fn encode(&self, to: &mut Writer) {
        to.word(self.steps);
        for bin in &self.bins {
            to.word(bin.steps);
            to.word(bin.right);
            to.signed(bin.probability);
        }
    }

    fn decode(from: &mut Reader<'_>) -> Result<Score, CodecError> {
        let mut score = Score {
            steps: from.word("a number of steps")?,
            ..Score::default()
        };
        for bin in &mut score.bins {
            bin.steps = from.word("a number of steps")?;
            bin.right = from.word("a number of steps")?;
            bin.probability = from.signed("a sum of probabilities")?;
        }
        Ok(score)
    }
}

/// Predicts the steps whose newest kind before them is owned here.
///
/// # State
/// What followed each context of up to `order` kinds that was ever seen, for good; and steps that another worker
/// may still precede.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictor {
    order: usize,
    contexts: Contexts,
    /// Steps that the watermark has not passed.
    waiting: Vec<Step>,
}

impl Predictor {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(order: usize, names: Arc<Names>) -> Predictor {
        Predictor {
            order,
            contexts: Contexts::new(names),
            waiting: Vec::new(),
        }
    }

    /// The settled steps of a tick, in any order, and the watermark after it: all steps of later ticks
    /// are at or after it. Answers how each order went, if there was anything to predict.
    pub fn tick(&mut self, steps: Vec<Step>, watermark: EventTime) -> Option<Vec<Score>> {
        self.waiting.extend(steps);
        self.waiting.sort_unstable();
        let passed = self.waiting.partition_point(|step| step.at < watermark);
        let mut scores = vec![Score::default(); self.order];
        for step in self.waiting.drain(..passed) {
            let mut last = None;
            let Step { before, to, .. } = &step;
            self.contexts.learn(before, 1, *to, |length, predicted| {
                scores[length - 1].count(predicted, *to);
                last = predicted;
            });
            for score in &mut scores[before.len()..] {
                score.count(last, *to);
            }
        }
        (passed > 0).then_some(scores)
    }

    /// Forgets all but what is owned here.
    pub fn retain(&mut self, owned: impl Fn(i64) -> bool) {
        self.waiting.retain(|step| owned(step.before[0]));
        self.contexts.retain(owned);
    }

    /// Takes over what another has counted, of kinds that this one knows nothing of.
    pub fn join(&mut self, other: Predictor) {
        self.contexts.join(other.contexts);
        self.waiting.extend(other.waiting);
    }

    /// Writes everything; between ticks only.
    pub fn encode(&self, to: &mut Writer) {
        self.contexts.encode(to);
        to.length(self.waiting.len());
        for step in &self.waiting {
            to.time(step.at);
            to.unsigned(step.id.into());
            to.word(step.to);
            to.length(step.before.len());
            step.before.iter().for_each(|kind| to.word(*kind));
        }
    }

    /// Reads what [`Predictor::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not such counts.
    pub fn decode(
        order: usize,
        names: Arc<Names>,
        from: &mut Reader<'_>,
    ) -> Result<Predictor, CodecError> {
        let contexts = Contexts::decode(names, from)?;
        let waiting = (0..from.length("the number of steps")?).map(|_| {
            let (at, id) = (from.time("a time")?, from.number("an id")?);
            let to = from.word("a kind")?;
            let length = from.length("the length of a context")?;
            let before = (0..length).map(|_| from.word("a kind"));
            Ok(Step {
                at,
                id,
                to,
                before: before.collect::<Result<_, _>>()?,
            })
        });
        Ok(Predictor {
            order,
            waiting: waiting.collect::<Result<_, _>>()?,
            contexts,
        })
    }
}

/// The scores of all workers, and the rows that stand.
///
/// # Emits
/// For each order that had anything to predict: `order`, `steps`, `predicted` (those with a prediction), `right`,
/// `accuracy` (right by steps); and by bin of the probability that was given to what was predicted (its count by that
/// of all that had followed the context): steps, mean probability, and the share that was right, the last two null where a bin
/// is empty. With [`Firing::Final`] once, when the input is over.
///
/// # State
/// Two rows an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scores {
    firing: Firing,
    /// By order, what is, and what the row that stands shows.
    orders: Vec<(Score, Score)>,
    over: bool,
}

impl Scores {
    /// Nothing predicted yet.
    #[must_use]
    pub fn new(firing: Firing, order: usize) -> Scores {
        Scores {
            firing,
            orders: vec![(Score::default(), Score::default()); order],
            over: false,
        }
    }

    /// Adds what a worker has scored in the tick that will be closed next.
    pub fn add(&mut self, scores: &[Score]) {
        for ((score, _), other) in self.orders.iter_mut().zip(scores) {
            score.add(other);
        }
    }

    /// Forgets all scores.
    pub fn clear(&mut self) {
        self.orders.fill((Score::default(), Score::default()));
    }

    /// Closes a tick.
    pub fn close(&mut self, watermark: EventTime) -> Option<Rows> {
        let ends = watermark == EventTime::MAX && !self.over;
        self.over |= ends;
        if self.firing == Firing::Final && !ends {
            return None;
        }
        let mut rows = Rows::new(COLUMNS);
        for (order, (score, shown)) in (1..).zip(&mut self.orders) {
            if score != shown {
                give(order, shown, -1, &mut rows);
                give(order, score, 1, &mut rows);
                *shown = *score;
            }
        }
        (!rows.is_empty()).then_some(rows)
    }

    /// Writes everything; between ticks only.
    pub fn encode(&self, to: &mut Writer) {
        to.bool(self.over);
        for (score, shown) in &self.orders {
            score.encode(to);
            shown.encode(to);
        }
    }

    /// Reads what [`Scores::encode`] wrote, for the same order.
    ///
    /// # Errors
    /// When the bytes are not such scores.
    pub fn decode(
        firing: Firing,
        order: usize,
        from: &mut Reader<'_>,
    ) -> Result<Scores, CodecError> {
        let mut scores = Scores::new(firing, order);
        scores.over = from.bool("whether the input is over")?;
        for pair in &mut scores.orders {
            *pair = (Score::decode(from)?, Score::decode(from)?);
        }
        Ok(scores)
    }
}

fn give(order: i64, score: &Score, diff: i32, rows: &mut Rows) {
    if score.steps == 0 {
        return;
    }
    let sum = |of: fn(&Bin) -> i64| score.bins.iter().map(of).sum::<i64>();
    let right = sum(|bin| bin.right);
    let columns = rows.begin("", EVER, diff);
    let words = [
        order,
        score.steps,
        sum(|bin| bin.steps),
        right,
        share(right, score.steps),
    ];
    for (column, word) in columns.iter_mut().zip(words) {
        column.push(word);
    }
    let probability =
        |bin: &Bin| float_word(bin.probability as f64 / (bin.steps as f64 * UNIT as f64));
    let bins: [SmallVec<[i64; BINS]>; 3] = [
        score.bins.iter().map(|bin| bin.steps).collect(),
        score.bins.iter().map(probability).collect(),
        score
            .bins
            .iter()
            .map(|bin| share(bin.right, bin.steps))
            .collect(),
    ];
    for (column, words) in columns[words.len()..].iter_mut().zip(bins) {
        column.push_list(words);
    }
}

/// A part by the whole; null where there is none.
pub(super) fn share(part: i64, all: i64) -> i64 {
    float_word(part as f64 / all as f64)
}
