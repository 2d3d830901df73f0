//! The features of one key the slow way: every value from all facts, straight from its definition.
//!
//! It shares nothing with the logic but the specification, and takes O(facts) per value. Tests
//! compare the two; `verify` may use it to explain a single row.

use std::collections::BTreeMap;

use tidegate_schemas::fact::{NULL, float_word};
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::EventTime;

use super::spec::{FeatureSpec, FeaturesSpec, Nulls, Op, Order};
use crate::aggregate::moments::Spread;
use crate::aggregate::window::Bounds;

/// A fact that owns its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OracleFact {
    /// Event time.
    pub at: EventTime,
    /// The event's id.
    pub id: u64,
    /// One bit per filter.
    pub bits: u64,
    /// Measures and codes.
    pub words: Vec<i64>,
}

/// A row with its time and difference: the words of each column.
pub type OracleRow = (EventTime, Vec<Vec<i64>>, i32);

/// Which facts a value sees beside those that its window lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sees {
    /// Everything up to and at the time it is asked for.
    TheInstant,
    /// The facts of that very time have not come yet.
    BeforeTheInstant,
}

/// The values inside a column's window as of `t`, oldest first, with their times.
fn inside(
    spec: &FeaturesSpec,
    feature: &FeatureSpec,
    filter: Option<u8>,
    facts: &[OracleFact],
    (t, sees): (EventTime, Sees),
) -> Vec<(EventTime, i64)> {
    let entered = |at: EventTime| match (spec.bounds, sees) {
        (Bounds::ClosedOpen, _) | (_, Sees::BeforeTheInstant) => at < t,
        _ => at <= t,
    };
    let stays = |at: EventTime| match feature.window {
        None => true,
        Some(window) => {
            let hop = feature.hop.map_or(1, |hop| hop.0);
            let start = (t.0 - window.0).div_euclid(hop) * hop;
            match spec.bounds {
                Bounds::OpenClosed => at.0 > start,
                Bounds::ClosedClosed | Bounds::ClosedOpen => at.0 >= start,
            }
        }
    };
    facts
        .iter()
        .filter(|fact| filter.is_none_or(|bit| fact.bits & (1 << bit) != 0))
        .map(|fact| {
            (
                fact.at,
                feature.of.as_ref().map_or(0, |of| fact.words[of.word]),
            )
        })
        .filter(|(_, value)| *value != NULL || feature.nulls == Nulls::Keep)
        .filter(|(at, _)| entered(*at) && stays(*at))
        .collect()
}

/// The words of one column as of `t`.
#[must_use]
pub fn value(
    spec: &FeaturesSpec,
    column: usize,
    facts: &[OracleFact],
    (t, sees): (EventTime, Sees),
    names: &Names,
) -> Vec<i64> {
    let feature = &spec.features[column];
    let seen = inside(spec, feature, feature.filter, facts, (t, sees));
    let values: Vec<i64> = seen.iter().map(|(_, value)| *value).collect();
    let scale = 10f64.powi(i32::from(feature.scale()));
    let n = values.len();
    let sum: i128 = values.iter().map(|v| i128::from(*v)).sum();
    let some = |word: i64| (n > 0).then_some(word);
    let word = match feature.op {
        Op::Count => some(n as i64),
        Op::Any => some(1),
        Op::Sum => some(i64::try_from(sum).unwrap_or(NULL)),
        Op::Mean => some(float_word(sum as f64 / (n as f64 * scale))),
        Op::Min => values.iter().min().copied(),
        Op::Max => values.iter().max().copied(),
        Op::Variance(spread) => variance(&values, spread, scale).map(float_word),
        Op::Deviation(spread) => variance(&values, spread, scale).map(|v| float_word(v.sqrt())),
        Op::First => values.first().copied(),
        Op::Last => values.last().copied(),
        Op::CountDistinct => some(counts(&values).len() as i64),
        Op::MaxCountBy => counts(&values).values().max().copied(),
        Op::Ratio { over } => {
            let whole = inside(spec, feature, over, facts, (t, sees)).len();
            (whole > 0).then(|| float_word(n as f64 / whole as f64))
        }
        Op::TimeSinceLast => {
            let before = seen.iter().rev().find(|(at, _)| *at < t);
            before.map(|(at, _)| t.0 - at.0)
        }
        Op::LongestGap => seen.windows(2).map(|w| w[1].0.0 - w[0].0.0).max(),
        Op::Entropy => some(entropy(&values)),
        Op::DecayedSum { half_life } => {
            // Folded, because the sum of floats is defined by its order.
            let faded =
                |sum: f64, passed: i64| sum * (-(passed as f64 / half_life.0 as f64)).exp2();
            let mut fold = (0.0, t);
            for (at, value) in &seen {
                let sum = if fold.0 == 0.0 {
                    0.0
                } else {
                    faded(fold.0, at.0 - fold.1.0)
                };
                fold = (sum + *value as f64, *at);
            }
            let sum = if fold.0 == 0.0 {
                0.0
            } else {
                faded(fold.0, t.0 - fold.1.0)
            };
            some(float_word(sum / scale))
        }
        Op::FirstK { .. } | Op::LastK { .. } | Op::DistinctK { .. } | Op::Histogram { .. } => {
            return list(feature, &values, names);
        }
    };
    vec![word.unwrap_or(feature.empty)]
}

fn list(feature: &FeatureSpec, values: &[i64], names: &Names) -> Vec<i64> {
    let ordered = |mut oldest_first: Vec<i64>, order| {
        if order == Order::NewestFirst {
            oldest_first.reverse();
        }
        oldest_first
    };
    match feature.op {
        Op::FirstK { k, order } => {
            ordered(values.iter().take(k as usize).copied().collect(), order)
        }
        Op::LastK { k, order } => {
            let skipped = values.len().saturating_sub(k as usize);
            ordered(values[skipped..].to_vec(), order)
        }
        Op::DistinctK { k, order } => {
            let mut newest_first: Vec<i64> = Vec::new();
            for value in values.iter().rev() {
                if newest_first.len() < k as usize && !newest_first.contains(value) {
                    newest_first.push(*value);
                }
            }
            newest_first.reverse();
            ordered(newest_first, order)
        }
        Op::Histogram { k } => {
            let text = matches!(feature.of.as_ref().map(|m| &m.kind), Some(Kind::Text));
            let mut pairs: Vec<(i64, i64)> = counts(values).into_iter().collect();
            let name = |code| if text { names.text(code) } else { None };
            pairs.sort_by_key(|(code, count)| (-count, name(*code), *code));
            pairs.truncate(k as usize);
            pairs
                .into_iter()
                .flat_map(|(code, count)| [code, count])
                .collect()
        }
        _ => Vec::new(),
    }
}

fn counts(values: &[i64]) -> BTreeMap<i64, i64> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(*value).or_insert(0) += 1;
    }
    counts
}

/// Exact as long as the values are small enough for 128 bits, which tests see to.
fn variance(values: &[i64], spread: Spread, scale: f64) -> Option<f64> {
    let n = values.len() as i128;
    let freedom = n - i128::from(spread == Spread::Sample);
    if freedom <= 0 {
        return None;
    }
    let sum: i128 = values.iter().map(|v| i128::from(*v)).sum();
    let squares: i128 = values.iter().map(|v| i128::from(*v) * i128::from(*v)).sum();
    Some((n * squares - sum * sum) as f64 / (n * freedom) as f64 / scale / scale)
}

fn entropy(values: &[i64]) -> i64 {
    let mut counts: Vec<i64> = counts(values).into_values().collect();
    counts.sort_by_key(|count| -count);
    let share = |count: i64| count as f64 / values.len() as f64;
    float_word(counts.into_iter().map(|c| -share(c) * share(c).ln()).sum())
}

/// The anchor rows of a key's facts, which are in (time, id) order.
#[must_use]
pub fn anchor_rows(spec: &FeaturesSpec, facts: &[OracleFact], names: &Names) -> Vec<OracleRow> {
    let Some(anchor) = spec.anchor else {
        return Vec::new();
    };
    let anchors = facts.iter().filter(|fact| fact.bits & (1 << anchor) != 0);
    let row = |fact: &OracleFact| {
        let mut row = vec![vec![fact.id as i64], vec![fact.at.0]];
        row.extend(spec.carry.iter().map(|of| vec![fact.words[of.word]]));
        let asked = (fact.at, Sees::TheInstant);
        let columns = 0..spec.features.len();
        row.extend(columns.map(|column| value(spec, column, facts, asked, names)));
        (fact.at, row, 1)
    };
    anchors.map(row).collect()
}

/// All changes of the current row, up to and including `until`.
#[must_use]
pub fn current_rows(
    spec: &FeaturesSpec,
    facts: &[OracleFact],
    until: EventTime,
    names: &Names,
) -> Vec<OracleRow> {
    let mut rows: Vec<OracleRow> = Vec::new();
    let mut shown: Option<(EventTime, Current)> = None;
    for t in change_times(spec, facts) {
        for sees in [Sees::BeforeTheInstant, Sees::TheInstant] {
            if t > until {
                continue;
            }
            let now = current_row(spec, facts, (t, sees), names);
            if now.as_ref().map(|(marks, _)| marks) == shown.as_ref().map(|(_, (marks, _))| marks) {
                continue;
            }
            if let Some((at, (_, row))) = shown.take() {
                rows.push((at, row, -1));
            }
            if let Some((marks, mut row)) = now {
                row.insert(0, vec![t.0]);
                rows.push((t, row.clone(), 1));
                shown = Some((t, (marks, row)));
            }
        }
    }
    rows
}

/// Every time at which a fact may enter or leave some window, in order.
fn change_times(spec: &FeaturesSpec, facts: &[OracleFact]) -> Vec<EventTime> {
    let mut times: Vec<i64> = Vec::new();
    for fact in facts {
        let at = fact.at.0;
        times.extend([at, at + 1]);
        for feature in &spec.features {
            let Some(window) = feature.window else {
                continue;
            };
            let hop = feature.hop.map_or(1, |hop| hop.0);
            let start = at.div_euclid(hop) * hop;
            times.extend([start + window.0, start + hop + window.0]);
        }
    }
    times.sort_unstable();
    times.dedup();
    times.into_iter().map(EventTime).collect()
}

type Current = (Vec<Vec<i64>>, Vec<Vec<i64>>);

/// What a change is seen by, and the row; `None` where nothing is in any window.
fn current_row(
    spec: &FeaturesSpec,
    facts: &[OracleFact],
    asked: (EventTime, Sees),
    names: &Names,
) -> Option<Current> {
    let mut alive = false;
    let mut marks = Vec::new();
    let mut row = Vec::new();
    for (column, feature) in spec.features.iter().enumerate() {
        let seen = inside(spec, feature, feature.filter, facts, asked);
        let over = match feature.op {
            Op::Ratio { over } => inside(spec, feature, over, facts, asked).len(),
            _ => 0,
        };
        alive |= !seen.is_empty() || over > 0;
        let words = value(spec, column, facts, asked, names);
        marks.push(match feature.op.moves_with_the_clock() {
            true => vec![seen.last().map_or(NULL, |(at, _)| at.0)],
            false => words.clone(),
        });
        row.push(words);
    }
    alive.then_some((marks, row))
}
