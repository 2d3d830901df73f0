//! How rows are parted before they are counted.

use std::fmt;
use std::str::FromStr;

use tidegate_operators::statistics::Counts;
use tidegate_operators::statistics::bins::{Edges, Ends, Numbers};
use tidegate_operators::statistics::sample::Sample;

/// Where bins of numbers begin and end: frozen with the reference, the first and the last open.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum BinRule {
    /// A tenth of the reference's rows in each.
    #[default]
    Deciles,
    /// So many equally wide ones from the least number of the reference to its greatest.
    Even(u32),
    /// Equally wide by Sturges' rule over the reference.
    Sturges,
    /// Equally wide by Doane's rule over the reference.
    Doane,
    /// These edges.
    Edges(Vec<f64>),
}

impl FromStr for BinRule {
    type Err = String;

    fn from_str(text: &str) -> Result<BinRule, String> {
        let number = |text: &str| {
            let number = text
                .trim()
                .parse()
                .ok()
                .filter(|edge: &f64| edge.is_finite());
            number.ok_or_else(|| format!("the edge `{text}` is no number"))
        };
        match text.split_once(':') {
            None if text == "deciles" => Ok(BinRule::Deciles),
            None if text == "sturges" => Ok(BinRule::Sturges),
            None if text == "doane" => Ok(BinRule::Doane),
            Some(("even", count)) => match count.parse() {
                Ok(count @ 1..=10_000) => Ok(BinRule::Even(count)),
                _ => Err(format!("`{count}` is no number of bins from 1 to 10000")),
            },
            Some(("edges", edges)) => {
                let edges = edges
                    .split(',')
                    .map(number)
                    .collect::<Result<Vec<f64>, String>>()?;
                Edges::given(edges.clone(), Ends::Open)?;
                Ok(BinRule::Edges(edges))
            }
            _ => Err(format!(
                "`{text}` is no rule for bins; there are deciles, even:10, sturges, doane and edges:0,10,20"
            )),
        }
    }
}

impl fmt::Display for BinRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BinRule::Deciles => f.write_str("deciles of the reference"),
            BinRule::Even(count) => write!(f, "{count} equally wide over the reference"),
            BinRule::Sturges => f.write_str("Sturges over the reference"),
            BinRule::Doane => f.write_str("Doane over the reference"),
            BinRule::Edges(_) => f.write_str("given edges"),
        }
    }
}

impl BinRule {
    fn edges(&self, reference: Sample<'_>, numbers: Numbers) -> Edges {
        match self {
            BinRule::Deciles => Edges::deciles(reference),
            BinRule::Even(count) => opened(&Edges::even(
                reference.least(),
                reference.greatest(),
                *count,
            )),
            BinRule::Sturges => opened(&Edges::sturges(reference, numbers)),
            BinRule::Doane => opened(&Edges::doane(reference, numbers)),
            BinRule::Edges(edges) => Edges::given(edges.clone(), Ends::Open)
                .expect("edges are checked when they are read"),
        }
    }
}

/// The same edges but for the outer ones, so that every number has a bin.
fn opened(edges: &Edges) -> Edges {
    let all = edges.edges();
    let inner = all[1..all.len() - 1].to_vec();
    Edges::given(inner, Ends::Open).expect("edges of a rule ascend")
}

/// How the rows of both sides are parted.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bins {
    /// Numbers: by a rule.
    Rule(BinRule),
    /// Numbers: Evidently's, over both sides.
    Evidently,
    /// Numbers: Evidently's for Hellinger, by the distinct values of both sides.
    EvidentlyDistinct,
    /// Numbers: Doane's rule over the reference, and one more for what is outside.
    Nannyml,
    /// Numbers: ten equally wide ones over the reference; what is outside counts in the nearest.
    Hopsworks,
    /// Categories: those of either side.
    Union,
    /// Categories: those of the reference, and one for all others.
    Reference,
}

impl fmt::Display for Bins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bins::Rule(rule) => rule.fmt(f),
            Bins::Evidently => f.write_str(
                "Sturges over both sides, or a bin per value if the reference has at most 20",
            ),
            Bins::EvidentlyDistinct => {
                f.write_str("Sturges over the distinct values of both sides")
            }
            Bins::Nannyml => f.write_str("Doane over the reference, and one for what is outside"),
            Bins::Hopsworks => f.write_str("10 equally wide over the reference"),
            Bins::Union => f.write_str("categories of both sides"),
            Bins::Reference => f.write_str("categories of the reference, and one for all others"),
        }
    }
}

/// Counts of both sides.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Binned {
    /// What each bin holds.
    pub(super) labels: Vec<String>,
    pub(super) counts: Vec<Counts>,
    /// The middle of each bin, where bins have one.
    pub(super) centres: Option<Vec<f64>>,
}

impl Bins {
    /// Counts numbers.
    pub(super) fn count(
        &self,
        reference: Sample<'_>,
        current: Sample<'_>,
        numbers: Numbers,
    ) -> Binned {
        let closed = Edges::even(reference.least(), reference.greatest(), 10);
        let mut centres = None;
        let edges = match self {
            Bins::Rule(rule) => rule.edges(reference, numbers),
            Bins::Evidently => Edges::of_both_as_evidently(reference, current, numbers),
            Bins::EvidentlyDistinct => {
                let mut both = reference.merged(current);
                both.dedup();
                let distinct = Sample::sorted(&both).expect("merged samples are sorted");
                Edges::sturges(distinct, numbers)
            }
            Bins::Nannyml => Edges::doane(reference, Numbers::Real),
            Bins::Hopsworks => {
                centres = closed.centres();
                opened(&closed)
            }
            Bins::Union | Bins::Reference => panic!("{self} are no bins of numbers"),
        };
        let counts = edges.count_both(reference.values(), current.values());
        let mut labels = labels(&edges);
        if counts.len() > labels.len() {
            labels.push("outside".to_owned());
        }
        Binned {
            labels,
            counts,
            centres,
        }
    }
}

/// What each bin holds, in words.
fn labels(edges: &Edges) -> Vec<String> {
    let all = edges.edges();
    let mut labels: Vec<String> = all
        .windows(2)
        .map(|pair| format!("[{}, {})", pair[0], pair[1]))
        .collect();
    match (edges.ends(), all) {
        (Ends::Open, [first, .., last] | [first @ last]) => {
            labels.insert(0, format!("below {first}"));
            labels.push(format!("from {last}"));
        }
        (Ends::Open, []) => labels.push("all".to_owned()),
        (Ends::Closed, [.., before, last]) => {
            labels.pop();
            labels.push(format!("[{before}, {last}]"));
        }
        (Ends::Closed, _) => {}
    }
    labels
}
