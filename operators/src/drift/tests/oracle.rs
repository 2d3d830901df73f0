//! The slow way: count everything that was given anew, and compute every row and every episode.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use tidegate_schemas::fact::{NULL, word_float};
use tidegate_schemas::names::code_of;

use self::page::Page;
use super::{Given, Row};
use crate::drift::measures::Measure;
use crate::drift::spec::{DriftSpec, Firing, Layout, Reference};

mod page;

/// What the condition of the tests' alert is: PSI above the first, cleared below the second.
pub(super) const LIMITS: (f64, f64) = (0.3, 0.15);

/// Knows the facts of each monitor and segment by step, and its reference from when it was frozen.
pub(super) struct Oracle<'a> {
    spec: &'a DriftSpec,
    pages: BTreeMap<(usize, i64), BTreeMap<i64, Vec<Fact>>>,
    references: BTreeMap<(usize, i64), (i64, i64)>,
}

/// A fact of a monitor and segment: when, its word, how often.
type Fact = (i64, i64, i64);

impl<'a> Oracle<'a> {
    pub(super) fn new(spec: &'a DriftSpec) -> Oracle<'a> {
        Oracle {
            spec,
            pages: BTreeMap::new(),
            references: BTreeMap::new(),
        }
    }

    /// Takes what comes in a tick.
    pub(super) fn give(&mut self, given: &[Given]) {
        for fact in given {
            let step = self.step(fact.at);
            for (place, monitor) in self.spec.monitors.iter().enumerate() {
                if monitor.filter.is_some_and(|bit| fact.bits & 1 << bit == 0) {
                    continue;
                }
                let segment = self.spec.by.map(|by| fact.words[by]);
                let segments = BTreeSet::from([NULL, segment.unwrap_or(NULL)]);
                for segment in segments {
                    let fact = (fact.at, fact.words[monitor.column], i64::from(fact.diff));
                    let page = self.pages.entry((place, segment)).or_default();
                    page.entry(step).or_default().push(fact);
                }
            }
        }
    }

    fn step(&self, at: i64) -> i64 {
        (at - self.spec.steps.origin.0).div_euclid(self.spec.steps.every.0)
    }

    fn start(&self, step: i64) -> i64 {
        self.spec.steps.origin.0 + step * self.spec.steps.every.0
    }

    /// To be called after every tick.
    pub(super) fn freeze(&mut self, watermark: i64) {
        for (key, steps) in &self.pages {
            if self.references.contains_key(key) {
                continue;
            }
            let stretch = match self.spec.reference {
                Reference::Stretch { from, until } => Some((from.0, until.0)),
                Reference::First(span) => {
                    let with_value = |fact: &&Fact| fact.1 != NULL;
                    let rows = |facts: &[Fact]| -> i64 {
                        facts.iter().filter(with_value).map(|fact| fact.2).sum()
                    };
                    let first = steps.iter().find(|(_, facts)| rows(facts) != 0);
                    let from = first.map(|(step, _)| self.start(*step));
                    from.map(|from| (from, from + span.0))
                }
            };
            if let Some(stretch) = stretch.filter(|(_, until)| *until <= watermark) {
                self.references.insert(*key, stretch);
            }
        }
    }

    /// The rows and the alerts that stand.
    pub(super) fn rows(&self, watermark: i64) -> (BTreeSet<Row>, BTreeSet<Row>) {
        let (mut rows, mut alerts) = (BTreeSet::new(), BTreeSet::new());
        for (key, steps) in &self.pages {
            let Some((from, until)) = self.references.get(key).copied() else {
                continue;
            };
            let monitor = &self.spec.monitors[key.0];
            let inside = |(at, _, _): &&Fact| from <= *at && *at < until;
            let reference: Vec<Fact> = steps.values().flatten().filter(inside).copied().collect();
            let page = Page::new(self, monitor, &reference);
            for length in &self.spec.lengths {
                let length = i64::from(*length);
                let ends: BTreeSet<i64> = steps.keys().flat_map(|s| *s..*s + length).collect();
                let mut of_length = Vec::new();
                for end in ends {
                    let since =
                        |first: i64| page.count(steps.range(first..=end).flat_map(|it| it.1));
                    let has_fact = page.enough(&since(end), 1);
                    let there = match self.spec.firing {
                        Firing::Final => self.start(end + 1) <= watermark,
                        Firing::Changes { .. } => has_fact || self.start(end) <= watermark,
                    };
                    let first = end + 1 - length;
                    let measured = there.then(|| page.measured(&since(first))).flatten();
                    let Some(measured) = measured else {
                        continue;
                    };
                    let (start, stop) = (self.start(first), self.start(end + 1));
                    let span = self.spec.length(length as u32).to_string();
                    let mut row = match self.spec.layout {
                        Layout::Plain => vec![start, end, monitor.name],
                        Layout::Wide => vec![start, stop, code_of(&span), monitor.name, key.1],
                    };
                    row.extend(&measured);
                    rows.insert(row);
                    of_length.push((stop, measured));
                }
                let span = code_of(&self.spec.length(length as u32).to_string());
                for (opened, closed, measured) in self.episodes(&of_length) {
                    let closed = closed.filter(|_| self.spec.firing != Firing::Final);
                    let state = code_of(if closed.is_some() { "closed" } else { "opened" });
                    let closed = closed.unwrap_or(NULL);
                    let mut row = vec![monitor.name, key.1, span, opened, closed, state];
                    row.extend([from, until]);
                    row.extend(measured);
                    alerts.insert(row);
                }
            }
        }
        (rows, alerts)
    }

    /// When each opens and closes, and the values by which it opened.
    fn episodes(&self, rows: &[(i64, Vec<i64>)]) -> Vec<(i64, Option<i64>, Vec<i64>)> {
        let Some(alert) = &self.spec.alert else {
            return vec![];
        };
        let psi = self.spec.measures.iter().position(|it| *it == Measure::Psi);
        let psi = |row: &[i64]| word_float(row[psi.expect("it is measured first")]);
        let holds = |row: &[i64]| psi(row).is_some_and(|psi| psi > LIMITS.0);
        let clears = |row: &[i64]| match alert.clear_when {
            Some(_) => psi(row).is_some_and(|psi| psi < LIMITS.1),
            None => !holds(row),
        };
        let mut episodes: Vec<(i64, Option<i64>, Vec<i64>)> = Vec::new();
        for (place, (end, row)) in rows.iter().enumerate() {
            let latest = episodes.last_mut();
            match latest {
                Some(open) if open.1.is_none() => {
                    if clears(row) {
                        open.1 = Some(*end);
                    }
                    continue;
                }
                Some(closed) if closed.0 + alert.cooldown.0 > *end => continue,
                _ => {}
            }
            let run = alert.windows as usize;
            let all =
                place + 1 >= run && rows[place + 1 - run..=place].iter().all(|it| holds(&it.1));
            if all && !clears(row) {
                episodes.push((*end, None, row.clone()));
            }
        }
        episodes
    }
}
