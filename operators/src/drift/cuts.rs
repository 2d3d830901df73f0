//! Bins of numbers over words: from a rule and a reference to the edges, and from a value to its bin.

use std::fmt;

use serde::{Deserialize, Serialize};
use tidegate_schemas::fact::{float_word, present_float};

use crate::codec::{CodecError, Reader, Writer};
use crate::statistics::bins::{self, Edges, Ends, Numbers};
use crate::statistics::sample::Sample;

/// How the words of a column of numbers read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// As whole numbers.
    Whole,
    /// As floats.
    Real,
}

impl Number {
    pub(super) fn value(self, word: i64) -> f64 {
        match self {
            Number::Whole => word as f64,
            Number::Real => present_float(word),
        }
    }

    /// The first word whose value is at least `edge`.
    fn word(self, edge: f64) -> i64 {
        match self {
            Number::Whole => edge.ceil() as i64,
            Number::Real => float_word(edge),
        }
    }
}

/// Where the edges of bins come from. The first and the last bin are always open, so every number has
/// a bin, infinite ones too.
#[derive(Clone, Debug, PartialEq)]
pub enum Bins {
    /// Those that part the reference into ten bins of equally many rows ([`Edges::deciles`]); fewer
    /// where values are frequent.
    Deciles,
    /// So many equally wide bins from the least to the greatest value of the reference.
    Even(u32),
    /// Equally wide ones by Sturges' rule over the reference.
    Sturges,
    /// Equally wide ones by Doane's rule over the reference.
    Doane,
    /// These: ascending.
    Edges(Vec<f64>),
}

/// More bins than this tell nothing that fewer would not.
pub const MOST_BINS: u32 = 1_000;

/// Values this far from zero are as good as infinite: the squares of nearer ones can be added up.
const FAR: f64 = 1e140;

impl Bins {
    /// # Errors
    /// What is wrong with the rule, in plain words.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Bins::Even(bins) if !(2..=MOST_BINS).contains(bins) => Err(format!(
                "{bins} even bins: give from 2 to {MOST_BINS} of them"
            )),
            Bins::Edges(edges) if edges.is_empty() || edges.len() >= MOST_BINS as usize => {
                Err(format!(
                    "{} edges of bins: give from 1 to {}",
                    edges.len(),
                    MOST_BINS - 1
                ))
            }
            Bins::Edges(edges) => Edges::given(edges.clone(), Ends::Open).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// The edges, if they are known without a reference.
    pub(super) fn known(&self, number: Number) -> Option<Cuts> {
        match self {
            Bins::Edges(edges) => Some(Cuts::new(edges, number)),
            _ => None,
        }
    }

    /// The edges by these counts of the reference, of which values beyond ±[`FAR`] make none. Without
    /// any others there is a single bin.
    pub(super) fn of(&self, number: Number, reference: &[(i64, i64)]) -> Cuts {
        let near = reference
            .iter()
            .map(|(word, count)| (number.value(*word), *count))
            .filter(|(value, _)| value.abs() < FAR);
        let values: Vec<f64> = near
            .flat_map(|(value, count)| std::iter::repeat_n(value, count.max(0) as usize))
            .collect();
        let Some(sample) = Sample::sorted(&values) else {
            return self.known(number).unwrap_or_default();
        };
        if sample.greatest() + 0.5 <= sample.least() - 0.5 {
            // A constant so large that there is no room for a bin around it.
            return self.known(number).unwrap_or_default();
        }
        let numbers = match number {
            Number::Whole => Numbers::Whole,
            Number::Real => Numbers::Real,
        };
        let edges = match self {
            Bins::Deciles => Edges::deciles(sample),
            Bins::Even(bins) => Edges::even(sample.least(), sample.greatest(), *bins),
            Bins::Sturges => Edges::sturges(sample, numbers),
            Bins::Doane => Edges::doane(sample, numbers),
            Bins::Edges(edges) => return Cuts::new(edges, number),
        };
        let all = edges.edges();
        let inner = match edges.ends() {
            bins::Ends::Open => all,
            bins::Ends::Closed => &all[1..all.len() - 1],
        };
        Cuts::new(inner, number)
    }
}

/// The edges between bins, as words: bin i holds the words from cut i − 1 on and below cut i. Words are
/// in the order of their values, so nobody turns a word into a float to find its bin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cuts(Vec<i64>);

impl Cuts {
    fn new(edges: &[f64], number: Number) -> Cuts {
        let mut cuts: Vec<i64> = edges.iter().map(|edge| number.word(*edge)).collect();
        // Between two whole numbers there may be several edges.
        cuts.dedup();
        Cuts(cuts)
    }

    /// How many bins there are; at least one.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.0.len() + 1
    }

    /// The bin of a word.
    #[inline]
    #[must_use]
    pub fn bin(&self, word: i64) -> usize {
        match self.0.len() {
            0..=24 => self.0.iter().map(|cut| usize::from(*cut <= word)).sum(),
            _ => self.0.partition_point(|cut| *cut <= word),
        }
    }

    /// The middle of each bin, in the unit of the column. The outer ones are taken to be as wide as
    /// those beside them; `None` with fewer than two edges, where there is no width.
    pub(super) fn middles(&self, number: Number) -> Option<Vec<f64>> {
        let edges: Vec<f64> = self.0.iter().map(|cut| number.value(*cut)).collect();
        let (first, last) = (edges.first()?, edges.last()?);
        let half = |pair: &[f64]| pair[1] / 2.0 - pair[0] / 2.0;
        let (begin, end) = (edges.windows(2).next()?, edges.windows(2).last()?);
        let inner = edges.windows(2).map(|pair| pair[0] + half(pair));
        let ends = [first - half(begin), last + half(end)];
        Some(
            [ends[0]]
                .into_iter()
                .chain(inner)
                .chain([ends[1]])
                .collect(),
        )
    }

    /// A bin as it is shown: `< 10`, `10 to 20` (without 20) or `>= 20`.
    pub(super) fn label(&self, bin: usize, number: Number) -> String {
        let edge = |place: usize| Shown(number, self.0[place]);
        match (bin, self.0.len()) {
            (_, 0) => "any".to_owned(),
            (0, _) => format!("< {}", edge(0)),
            (_, last) if bin == last => format!(">= {}", edge(last - 1)),
            _ => format!("{} to {}", edge(bin - 1), edge(bin)),
        }
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        to.length(self.0.len());
        self.0.iter().for_each(|cut| to.word(*cut));
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Cuts, CodecError> {
        let mut cuts = Vec::new();
        for _ in 0..from.length("the number of edges")? {
            let cut = from.word("an edge")?;
            if cuts.last().is_some_and(|last| *last >= cut) {
                return Err(from.error("edges that ascend"));
            }
            cuts.push(cut);
        }
        Ok(Cuts(cuts))
    }
}

struct Shown(Number, i64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Number::Whole => self.1.fmt(f),
            Number::Real => present_float(self.1).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn words_have_the_bins_of_their_values() {
        for seed in 0..300 {
            let mut rng = SmallRng::seed_from_u64(seed);
            let mut edges: Vec<f64> = (0..rng.random_range(1..60))
                .map(|_| f64::from(rng.random_range(-400..400)) / 8.0)
                .collect();
            edges.sort_by(f64::total_cmp);
            edges.dedup();
            let given = Edges::given(edges.clone(), Ends::Open).expect("ascending");
            let real = Cuts::new(&edges, Number::Real);
            assert_eq!(real.bins(), given.bins());
            for _ in 0..100 {
                let value = f64::from(rng.random_range(-500..500)) / 8.0;
                assert_eq!(Some(real.bin(float_word(value))), given.bin(value));
            }
            let whole = Cuts::new(&edges, Number::Whole);
            for value in -60..60i64 {
                let below = |edge: &&f64| **edge <= value as f64;
                let distinct = edges.iter().filter(below).map(|edge| edge.ceil() as i64);
                let distinct: std::collections::BTreeSet<i64> = distinct.collect();
                assert_eq!(whole.bin(value), distinct.len(), "seed {seed}, {value}");
            }
        }
    }

    #[test]
    fn bins_of_a_reference_are_open() {
        let words: Vec<(i64, i64)> = (0..=100).map(|n| (n, 1)).collect();
        let deciles = Bins::Deciles.of(Number::Whole, &words);
        assert_eq!(deciles.0, [10, 20, 30, 40, 50, 60, 70, 80, 90]);
        let even = Bins::Even(4).of(Number::Whole, &words);
        assert_eq!(even.0, [25, 50, 75]);
        assert_eq!(
            even.middles(Number::Whole),
            Some(vec![12.5, 37.5, 62.5, 87.5])
        );
        let labels: Vec<String> = (0..4).map(|bin| even.label(bin, Number::Whole)).collect();
        assert_eq!(labels, ["< 25", "25 to 50", "50 to 75", ">= 75"]);
        assert_eq!(Bins::Sturges.of(Number::Whole, &words).bins(), 8);
        assert_eq!(Bins::Doane.of(Number::Whole, &words).bins(), 8);
    }

    #[test]
    fn without_finite_numbers_there_is_one_bin() {
        let infinite = [(float_word(f64::INFINITY), 3)];
        let far = [f64::MIN, f64::MAX].map(|value| (float_word(value), 1));
        let constant = [(float_word(1e100), 7)];
        for rule in [Bins::Deciles, Bins::Even(3), Bins::Sturges, Bins::Doane] {
            for words in [&[][..], &infinite[..], &far[..], &constant[..]] {
                let cuts = rule.of(Number::Real, words);
                assert_eq!((cuts.bins(), cuts.middles(Number::Real)), (1, None));
                assert_eq!(cuts.label(0, Number::Real), "any");
            }
        }
        let given = Bins::Edges(vec![0.0]);
        assert_eq!(given.of(Number::Real, &[]).bins(), 2);
    }
}
