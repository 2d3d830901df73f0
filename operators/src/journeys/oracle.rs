//! The obvious way to all answers about journeys, for tests: lists, scanned again for every question.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use tidegate_schemas::fact::{Fact, NULL, float_word};
use tidegate_schemas::names::Names;
use tidegate_schemas::time::{EventTime, Span};

use super::spec::{Split, end, start};

/// A row of an output: the words of each column.
pub type Row = Vec<Vec<i64>>;

/// A step: when, its id, its kind.
pub type Step = (EventTime, u64, i64);

/// A journey: its steps in order, and whether it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journey {
    /// Its steps in order.
    pub steps: Vec<Step>,
    /// Whether it is over.
    pub over: bool,
}

/// The journeys of one key's facts, in any order but each once, when event time has reached `clock`.
#[must_use]
pub fn journeys(
    word: usize,
    gap: Option<Span>,
    facts: &[Fact<'_>],
    clock: EventTime,
) -> Vec<Journey> {
    let mut steps: Vec<Step> = facts
        .iter()
        .filter(|fact| fact.words[word] != NULL)
        .map(|fact| (fact.at, fact.id, fact.words[word]))
        .collect();
    steps.sort_unstable();
    // A silence of so long that a fact at its end belongs no more.
    let parts = |from: EventTime, to: EventTime| {
        gap.is_some_and(|gap| to != from && i128::from(to.0) - i128::from(from.0) >= gap.0.into())
    };
    let mut all: Vec<Journey> = Vec::new();
    for step in steps {
        match all.last_mut() {
            Some(open) if !parts(open.steps[open.steps.len() - 1].0, step.0) => {
                open.steps.push(step);
            }
            _ => {
                if let Some(last) = all.last_mut() {
                    last.over = true;
                }
                all.push(Journey {
                    steps: vec![step],
                    over: false,
                });
            }
        }
    }
    if let Some(last) = all.last_mut() {
        let silent = last.steps.last().map(|step| step.0);
        last.over =
            clock == EventTime::MAX || silent.is_some_and(|at| at < clock && parts(at, clock));
    }
    all
}

/// The rows of transitions.
#[must_use]
pub fn transitions(journeys: &[Journey]) -> Vec<Row> {
    let mut moves: Vec<(i64, i64, Option<i64>)> = Vec::new();
    for journey in journeys {
        let steps = &journey.steps;
        for (place, step) in steps.iter().enumerate() {
            match place {
                0 => moves.push((start(), step.2, None)),
                _ => moves.push((
                    steps[place - 1].2,
                    step.2,
                    Some(step.0.0 - steps[place - 1].0.0),
                )),
            }
        }
        if journey.over {
            moves.push((steps[steps.len() - 1].2, end(), None));
        }
    }
    let mut pairs: Vec<(i64, i64)> = moves.iter().map(|(from, to, _)| (*from, *to)).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let row = |(from, to): (i64, i64)| {
        let all = moves.iter().filter(|step| step.0 == from).count();
        let these = moves.iter().filter(|step| (step.0, step.1) == (from, to));
        let count = these.clone().count();
        let times: Vec<i64> = these.filter_map(|step| step.2).collect();
        let seconds = times.iter().sum::<i64>() as f64 / (times.len() as f64 * 1e6);
        let share = count as f64 / all as f64;
        let words = [
            from,
            to,
            count as i64,
            float_word(share),
            float_word(seconds),
        ];
        words.map(|word| vec![word]).to_vec()
    };
    pairs.into_iter().map(row).collect()
}

/// What followed the contexts that end like `before`, of `k` kinds or the most that were ever seen,
/// `shortest` at least: the likeliest, its count, and the count of all.
fn predict(
    seen: &[(Vec<i64>, i64)],
    before: &[i64],
    (shortest, k): (usize, usize),
    names: &Names,
) -> Option<(i64, i64, i64)> {
    (shortest..=k.min(before.len())).rev().find_map(|length| {
        let context = &before[before.len() - length..];
        let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
        for (_, kind) in seen.iter().filter(|(seen, _)| seen.ends_with(context)) {
            *counts.entry(*kind).or_default() += 1;
        }
        let all = counts.values().sum();
        let better = |a: &(i64, i64), b: &(i64, i64)| {
            let texts = (names.text(b.0), b.0).cmp(&(names.text(a.0), a.0));
            a.1.cmp(&b.1).then(texts)
        };
        let best = counts.into_iter().max_by(better)?;
        Some((best.0, best.1, all))
    })
}

/// The rows of the accuracy over the journeys of all keys, of steps before `clock`.
#[must_use]
pub fn accuracy(journeys: &[Journey], order: usize, names: &Names) -> Vec<Row> {
    let mut steps: Vec<(Step, Vec<i64>)> = Vec::new();
    for journey in journeys {
        let kinds: Vec<i64> = journey.steps.iter().map(|step| step.2).collect();
        let behind = journey.steps.iter().enumerate().skip(1);
        steps.extend(behind.map(|(place, step)| (*step, kinds[..place].to_vec())));
    }
    steps.sort_unstable();
    let seen: Vec<(Vec<i64>, i64)> = steps
        .iter()
        .map(|(step, before)| (before.clone(), step.2))
        .collect();
    let row = |k: usize| {
        let mut bins = [(0i64, 0i64, 0i128); 10];
        for (place, (before, kind)) in seen.iter().enumerate() {
            if let Some((best, count, all)) = predict(&seen[..place], before, (1, k), names) {
                let bin = &mut bins[(count * 10 / all).min(9) as usize];
                let probability = i128::from(count) * 1_000_000_000_000 / i128::from(all);
                *bin = (
                    bin.0 + 1,
                    bin.1 + i64::from(best == *kind),
                    bin.2 + probability,
                );
            }
        }
        let predicted: i64 = bins.iter().map(|bin| bin.0).sum();
        let right: i64 = bins.iter().map(|bin| bin.1).sum();
        let mean = |sum: i128, of: i64| float_word(sum as f64 / (of as f64 * 1e12));
        vec![
            vec![k as i64],
            vec![seen.len() as i64],
            vec![predicted],
            vec![right],
            vec![float_word(right as f64 / seen.len() as f64)],
            bins.iter().map(|bin| bin.0).collect(),
            bins.iter().map(|bin| mean(bin.2, bin.0)).collect(),
            bins.iter()
                .map(|bin| float_word(bin.1 as f64 / bin.0 as f64))
                .collect(),
        ]
    };
    let orders = if seen.is_empty() { 0 } else { order };
    (1..=orders).map(row).collect()
}

/// The rows of the hold-out over the journeys of all keys.
#[must_use]
pub fn holdout(journeys: &[Journey], order: usize, split: Split, names: &Names) -> Vec<Row> {
    let mut all: Vec<&Journey> = journeys.iter().collect();
    let first = |journey: &Journey| journey.steps.iter().map(|step| step.1).min();
    all.sort_by(|a, b| first(a).cmp(&first(b)).then(Ordering::Equal));
    let counted = all.len() * split.counted as usize / split.of as usize;
    let prefixes = |journeys: &[&Journey]| -> Vec<(Vec<i64>, i64)> {
        let mut all = Vec::new();
        for journey in journeys {
            let mut kinds: Vec<i64> = journey.steps.iter().map(|step| step.2).collect();
            kinds.push(end());
            all.extend((1..kinds.len()).map(|length| (kinds[..length].to_vec(), kinds[length])));
        }
        all
    };
    let (seen, tested) = (prefixes(&all[..counted]), prefixes(&all[counted..]));
    let row = |k: usize| {
        let hits = tested.iter().filter(|(before, kind)| {
            predict(&seen, before, (0, k), names).is_some_and(|best| best.0 == *kind)
        });
        let right = hits.count();
        let share = float_word(right as f64 / tested.len() as f64);
        let counts = [k, counted, all.len() - counted, tested.len(), right];
        let words = counts.into_iter().map(|count| vec![count as i64]);
        words.chain([vec![share]]).collect()
    };
    let orders = if all.is_empty() { 0 } else { order };
    (1..=orders).map(row).collect()
}
