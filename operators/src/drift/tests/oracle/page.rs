//! A monitor in one segment, counted and measured the slow way.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_schemas::fact::{NULL, float_word, word_float};
use tidegate_schemas::names::code_of;

use super::{Fact, Oracle};
use crate::drift::cuts::{Bins, Number};
use crate::drift::measures::Measure;
use crate::drift::spec::{DriftSpec, Layout, Monitor, Values};
use crate::statistics::bins::{Edges, Ends, Numbers};
use crate::statistics::divergence::{Direction, Unit, js_distance};
use crate::statistics::no_drift::PsiLimits;
use crate::statistics::sample::Sample;
use crate::statistics::{Counts, Share, Smoothing, contingency, wasserstein};

/// Rows by category or bin, and without a value.
pub(super) type Tallied = (BTreeMap<i64, i64>, i64);

pub(super) struct Page<'a> {
    oracle: &'a Oracle<'a>,
    spec: &'a DriftSpec,
    monitor: &'a Monitor,
    edges: Vec<f64>,
    reference: Tallied,
}

impl<'a> Page<'a> {
    pub(super) fn new(
        oracle: &'a Oracle<'a>,
        monitor: &'a Monitor,
        reference: &[Fact],
    ) -> Page<'a> {
        let mut page = Page {
            oracle,
            spec: oracle.spec,
            monitor,
            edges: Vec::new(),
            reference: Tallied::default(),
        };
        page.edges = page.edges_of(reference);
        page.reference = page.count(reference);
        page
    }

    fn value(&self, word: i64) -> f64 {
        match self.monitor.values {
            Values::Numbers(Number::Real, _) => word_float(word).expect("a value"),
            _ => word as f64,
        }
    }

    fn edges_of(&self, reference: &[Fact]) -> Vec<f64> {
        let Values::Numbers(number, rule) = &self.monitor.values else {
            return vec![];
        };
        let mut by_word: BTreeMap<i64, i64> = BTreeMap::new();
        for (_, word, count) in reference.iter().filter(|fact| fact.1 != NULL) {
            *by_word.entry(*word).or_default() += count;
        }
        let mut values = Vec::new();
        for (word, count) in by_word {
            values.extend((0..count).map(|_| self.value(word)));
        }
        values.retain(|value| value.is_finite());
        let numbers = match number {
            Number::Whole => Numbers::Whole,
            Number::Real => Numbers::Real,
        };
        let edges = match (rule, Sample::sort(&mut values)) {
            (Bins::Edges(edges), _) => Edges::given(edges.clone(), Ends::Open).expect("checked"),
            (_, None) => return vec![],
            (Bins::Deciles, Some(sample)) => Edges::deciles(sample),
            (Bins::Even(n), Some(sample)) => Edges::even(sample.least(), sample.greatest(), *n),
            (Bins::Sturges, Some(sample)) => Edges::sturges(sample, numbers),
            (Bins::Doane, Some(sample)) => Edges::doane(sample, numbers),
        };
        let mut all = edges.edges().to_vec();
        if edges.ends() == Ends::Closed {
            all.pop();
            all.remove(0);
        }
        if *number == Number::Whole {
            all.iter_mut().for_each(|edge| *edge = edge.ceil() + 0.0);
            all.dedup();
        }
        all
    }

    pub(super) fn count<'f>(&self, facts: impl IntoIterator<Item = &'f Fact>) -> Tallied {
        let mut tallied = Tallied::default();
        for (_, word, count) in facts {
            match (&self.monitor.values, *word) {
                (_, NULL) => tallied.1 += count,
                (Values::Categories(_), word) => *tallied.0.entry(word).or_default() += count,
                (Values::Numbers(..), word) => {
                    let value = self.value(word);
                    let bin = self.edges.iter().filter(|edge| **edge <= value).count();
                    *tallied.0.entry(bin as i64).or_default() += count;
                }
            }
        }
        tallied
    }

    /// Whether there are so many rows, counting what the spec says.
    pub(super) fn enough(&self, (bins, missing): &Tallied, rows: u64) -> bool {
        let counted = bins.values().sum::<i64>();
        let missing = match self.spec.measures.contains(&Measure::Missing) {
            true => *missing,
            false => 0,
        };
        counted + missing >= rows.max(1) as i64
    }

    pub(super) fn measured(&self, current: &Tallied) -> Option<Vec<i64>> {
        let spec = self.spec;
        if !self.enough(current, spec.min_rows) {
            return None;
        }
        let count = |side: &Tallied, word: i64| side.0.get(&word).copied().unwrap_or(0);
        let words: Vec<i64> = match self.monitor.values {
            Values::Numbers(..) => (0..=self.edges.len() as i64).collect(),
            Values::Categories(_) => {
                let both = self.reference.0.keys().chain(current.0.keys());
                let both: BTreeSet<i64> = both.copied().collect();
                let some = |it: &i64| count(&self.reference, *it) + count(current, *it) > 0;
                both.into_iter().filter(some).collect()
            }
        };
        let counts = words.iter().map(|word| Counts {
            reference: count(&self.reference, *word),
            current: count(current, *word),
        });
        let counts: Vec<Counts> = counts.collect();
        let n: i64 = counts.iter().map(|it| it.reference).sum();
        let m: i64 = counts.iter().map(|it| it.current).sum();
        let has = n > 0 && m >= spec.min_rows.max(1) as i64;
        let k = words.len() as f64;
        let share = |count: i64, rows: i64| match spec.smoothing {
            Smoothing::AddToCounts(c) => (count as f64 + c) / (rows as f64 + c * k),
            Smoothing::Floor(least) => f64::max(count as f64 / rows as f64, least),
            other => unreachable!("no random spec has {other:?}"),
        };
        let filled: Vec<Share> = counts
            .iter()
            .map(|it| Share {
                reference: share(it.reference, n),
                current: share(it.current, m),
            })
            .collect();
        let plain: Vec<Share> = counts
            .iter()
            .map(|it| Share {
                reference: it.reference as f64 / n as f64,
                current: it.current as f64 / m as f64,
            })
            .collect();
        let mut row = Vec::new();
        for measure in &spec.measures {
            match measure {
                Measure::Missing => {
                    for side in [current, &self.reference] {
                        let rows: i64 = side.0.values().sum::<i64>() + side.1;
                        row.push(float_word(side.1 as f64 / rows as f64));
                    }
                }
                Measure::ChiSquare => {
                    let test = contingency::independence(&counts).filter(|_| has);
                    row.push(test.map_or(NULL, |it| float_word(it.statistic)));
                    row.push(test.map_or(NULL, |it| float_word(it.p)));
                }
                _ if !has => row.push(NULL),
                measure => row.push(float_word(self.of(*measure, &filled, &plain, &counts))),
            }
        }
        row.extend([m, n, words.len() as i64]);
        if spec.layout == Layout::Wide {
            let limit = || PsiLimits::new(0.95).of(&counts, spec.smoothing);
            row.push(if has { float_word(limit()) } else { NULL });
            if has {
                row.extend(self.moved(&filled, &counts, &words));
            }
        }
        Some(row)
    }

    fn of(&self, measure: Measure, filled: &[Share], plain: &[Share], counts: &[Counts]) -> f64 {
        let numbers = matches!(self.monitor.values, Values::Numbers(..));
        let apart = plain.iter().map(|it| (it.current - it.reference).abs());
        match measure {
            Measure::Psi => filled.iter().map(psi_of).sum(),
            Measure::Kl => {
                let term = |it: &Share| match self.spec.direction {
                    Direction::CurrentFromReference => (it.current, it.reference),
                    Direction::ReferenceFromCurrent => (it.reference, it.current),
                };
                filled.iter().map(term).map(|(p, q)| p * (p / q).ln()).sum()
            }
            Measure::Js => js_distance(plain, Unit::Nats),
            Measure::Hellinger => {
                let root = |it: &Share| (it.reference.sqrt() - it.current.sqrt()).powi(2);
                (plain.iter().map(root).sum::<f64>() / 2.0).sqrt()
            }
            Measure::TotalVariation => apart.sum::<f64>() / 2.0,
            Measure::Largest => apart.fold(0.0, f64::max),
            Measure::Kolmogorov if numbers => {
                let (mut below, mut most) = (0.0f64, 0.0f64);
                for it in plain {
                    below += it.current - it.reference;
                    most = most.max(below.abs());
                }
                most
            }
            Measure::Wasserstein if numbers && self.edges.len() > 1 => {
                let edges = &self.edges;
                let last = edges.len() - 1;
                let half = |i: usize| edges[i + 1] / 2.0 - edges[i] / 2.0;
                let mut middles = vec![edges[0] - half(0)];
                middles.extend((0..last).map(|i| edges[i] + half(i)));
                middles.push(edges[last] + half(last - 1));
                wasserstein::binned(&middles, plain)
            }
            Measure::Kolmogorov | Measure::Wasserstein => f64::NAN,
            Measure::New => {
                let new = counts.iter().filter(|it| it.reference == 0);
                let all: i64 = counts.iter().map(|it| it.current).sum();
                new.map(|it| it.current).sum::<i64>() as f64 / all as f64
            }
            Measure::Missing | Measure::ChiSquare => unreachable!("two columns"),
        }
    }

    fn moved(&self, shares: &[Share], counts: &[Counts], words: &[i64]) -> Vec<i64> {
        let mut terms: Vec<(usize, f64)> = shares.iter().map(psi_of).enumerate().collect();
        terms.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        terms.truncate(3);
        let mut codes = Vec::new();
        for (place, term) in terms {
            if term > 0.0 {
                let rose = shares[place].current > shares[place].reference;
                let sign = if rose { "+" } else { "-" };
                let categories = matches!(self.monitor.values, Values::Categories(_));
                let label = match categories && counts[place].reference == 0 {
                    true => "new".to_owned(),
                    false => self.label(words[place]),
                };
                codes.push(code_of(&format!("{sign}{label}")));
            }
        }
        codes
    }

    fn label(&self, word: i64) -> String {
        if let Values::Categories(_) = self.monitor.values {
            return word.to_string();
        }
        let (bin, edges) = (word as usize, &self.edges);
        if edges.is_empty() {
            "any".to_owned()
        } else if bin == 0 {
            format!("< {}", edges[0])
        } else if bin == edges.len() {
            format!(">= {}", edges[bin - 1])
        } else {
            format!("{} to {}", edges[bin - 1], edges[bin])
        }
    }
}

fn psi_of(share: &Share) -> f64 {
    match share.current == share.reference {
        true => 0.0,
        false => (share.current - share.reference) * (share.current / share.reference).ln(),
    }
}
