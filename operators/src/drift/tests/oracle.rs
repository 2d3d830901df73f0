//! The slow way: count everything that was given anew, and compute every row.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_schemas::fact::{NULL, float_word};
use tidegate_schemas::time::EventTime;

use super::{Given, Row};
use crate::drift::spec::{DriftSpec, Firing, Monitor, Nulls, Reference};
use crate::statistics::Smoothing;
use crate::statistics::divergence::Direction;

type Counts = BTreeMap<i64, i64>;

/// Knows the reference of each monitor from when it was frozen.
pub(super) struct Oracle<'a> {
    spec: &'a DriftSpec,
    references: Vec<Option<(i64, i64)>>,
}

impl<'a> Oracle<'a> {
    pub(super) fn new(spec: &'a DriftSpec) -> Oracle<'a> {
        Oracle {
            spec,
            references: vec![None; spec.monitors.len()],
        }
    }

    /// To be called after every tick, with all facts so far.
    pub(super) fn freeze(&mut self, given: &[Given], watermark: EventTime) {
        for (monitor, reference) in self.spec.monitors.iter().zip(&mut self.references) {
            if reference.is_some() {
                continue;
            }
            let stretch = match self.spec.reference {
                Reference::Stretch { from, until } => Some((from.0, until.0)),
                Reference::First(span) => windows(self.spec, monitor, given)
                    .into_iter()
                    .find(|(_, counts)| counts.values().any(|n| *n != 0))
                    .map(|(index, _)| {
                        let from = self.spec.windows.origin.0 + index * self.spec.windows.every.0;
                        (from, from + span.0)
                    }),
            };
            *reference = stretch.filter(|(_, until)| *until <= watermark.0);
        }
    }

    pub(super) fn rows(&self, given: &[Given], watermark: EventTime) -> BTreeSet<Row> {
        let mut rows = BTreeSet::new();
        for (monitor, reference) in self.spec.monitors.iter().zip(&self.references) {
            let Some((from, until)) = *reference else {
                continue;
            };
            let mut inside = given.to_vec();
            inside.retain(|fact| from <= fact.at && fact.at < until);
            let mut reference = Counts::new();
            for (_, counts) in windows(self.spec, monitor, &inside) {
                for (word, n) in counts {
                    *reference.entry(word).or_default() += n;
                }
            }
            for (index, counts) in windows(self.spec, monitor, given) {
                let every = self.spec.windows.every.0;
                let start = self.spec.windows.origin.0 + index * every;
                let end = (start + every).max(until);
                let (n, m): (i64, i64) = (counts.values().sum(), reference.values().sum());
                let closed = self.spec.firing != Firing::Final || end <= watermark.0;
                if closed && n >= (self.spec.min_rows as i64).max(1) {
                    let (psi, kl, k) = measures(self.spec, &reference, &counts);
                    rows.insert([start, index, monitor.name, psi, kl, n, m, k]);
                }
            }
        }
        rows
    }
}

fn windows(spec: &DriftSpec, monitor: &Monitor, given: &[Given]) -> BTreeMap<i64, Counts> {
    let mut windows: BTreeMap<i64, Counts> = BTreeMap::new();
    for fact in given {
        let word = fact.words[monitor.column];
        let counts = monitor.filter.is_none_or(|bit| fact.bits & 1 << bit != 0)
            && (word != NULL || monitor.nulls == Nulls::Category);
        if counts {
            let index = (fact.at - spec.windows.origin.0).div_euclid(spec.windows.every.0);
            let window = windows.entry(index).or_default();
            *window.entry(word).or_default() += i64::from(fact.diff);
        }
    }
    windows
}

fn measures(spec: &DriftSpec, reference: &Counts, current: &Counts) -> (i64, i64, i64) {
    let (n, m): (i64, i64) = (current.values().sum(), reference.values().sum());
    let count = |side: &Counts, category| side.get(&category).copied().unwrap_or(0);
    let union: BTreeSet<i64> = reference.keys().chain(current.keys()).copied().collect();
    let union: Vec<i64> = union
        .into_iter()
        .filter(|c| count(reference, *c) + count(current, *c) > 0)
        .collect();
    if m == 0 {
        return (NULL, NULL, union.len() as i64);
    }
    let share = |count: i64, rows: i64| match spec.smoothing {
        Smoothing::AddToCounts(c) => (count as f64 + c) / (rows as f64 + c * union.len() as f64),
        Smoothing::Floor(least) => f64::max(count as f64 / rows as f64, least),
        other => unreachable!("no random spec has {other:?}"),
    };
    let (mut psi, mut kl) = (0.0, 0.0);
    for category in &union {
        let p = share(count(current, *category), n);
        let q = share(count(reference, *category), m);
        psi += (p - q) * (p / q).ln();
        kl += match spec.direction {
            Direction::CurrentFromReference => p * (p / q).ln(),
            Direction::ReferenceFromCurrent => q * (q / p).ln(),
        };
    }
    (float_word(psi), float_word(kl), union.len() as i64)
}
