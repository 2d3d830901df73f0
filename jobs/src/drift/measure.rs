//! The measures and the libraries by name.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::column::Kind;

/// A way to say how far two sides of a column are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The population stability index.
    Psi,
    /// The Kullback-Leibler divergence.
    Kl,
    /// Jensen-Shannon: the distance, in Hopsworks the divergence.
    Js,
    /// The Hellinger distance.
    Hellinger,
    /// The total variation distance.
    Tvd,
    /// The largest difference of two shares.
    Linf,
    /// The chi-square test.
    Chi2,
    /// The z test of two proportions.
    Z,
    /// The Kolmogorov-Smirnov test.
    Ks,
    /// The first Wasserstein distance.
    Wasserstein,
    /// The first Wasserstein distance in standard deviations of the reference.
    WassersteinNormed,
    /// The shift of the mean.
    Mean,
    /// The shift of the median.
    Median,
    /// The shift of the share of rows without a value.
    Missing,
    /// The share of rows whose category the reference does not have.
    New,
}

const BOTH: &[Kind] = &[Kind::Category, Kind::Number];
const NUMBERS: &[Kind] = &[Kind::Number];
const CATEGORIES: &[Kind] = &[Kind::Category];

/// Every measure with its name and the kinds of columns it is of.
const MEASURES: [(Measure, &str, &[Kind]); 15] = [
    (Measure::Psi, "psi", BOTH),
    (Measure::Kl, "kl", BOTH),
    (Measure::Js, "js", BOTH),
    (Measure::Hellinger, "hellinger", BOTH),
    (Measure::Tvd, "tvd", BOTH),
    (Measure::Linf, "linf", BOTH),
    (Measure::Chi2, "chi2", BOTH),
    (Measure::Z, "z", CATEGORIES),
    (Measure::Ks, "ks", NUMBERS),
    (Measure::Wasserstein, "wasserstein", NUMBERS),
    (Measure::WassersteinNormed, "wasserstein_normed", NUMBERS),
    (Measure::Mean, "mean", NUMBERS),
    (Measure::Median, "median", NUMBERS),
    (Measure::Missing, "missing", BOTH),
    (Measure::New, "new", CATEGORIES),
];

/// Whose definitions hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compat {
    /// Tidegate's own.
    #[default]
    Tidegate,
    /// Those of Evidently 0.7.
    Evidently,
    /// Those of NannyML 0.13.
    Nannyml,
    /// Those of the Hopsworks client 5.
    Hopsworks,
    /// Those of SciPy 1.17.
    Scipy,
}

const COMPATS: [(Compat, &str); 5] = [
    (Compat::Tidegate, "tidegate"),
    (Compat::Evidently, "evidently"),
    (Compat::Nannyml, "nannyml"),
    (Compat::Hopsworks, "hopsworks"),
    (Compat::Scipy, "scipy"),
];

impl Measure {
    /// Every measure.
    pub fn all() -> impl Iterator<Item = Measure> {
        MEASURES.iter().map(|(measure, ..)| *measure)
    }

    /// Whether it is of columns of this kind.
    pub fn is_of(self, kind: Kind) -> bool {
        self.entry().2.contains(&kind)
    }

    fn entry(self) -> &'static (Measure, &'static str, &'static [Kind]) {
        let mut found = MEASURES.iter().filter(|(measure, ..)| *measure == self);
        found.next().expect("every measure has a name")
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.entry().1)
    }
}

impl fmt::Display for Compat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut found = COMPATS.iter().filter(|(compat, _)| compat == self);
        f.pad(found.next().map_or("", |(_, name)| name))
    }
}

impl FromStr for Measure {
    type Err = String;

    fn from_str(text: &str) -> Result<Measure, String> {
        let found = Measure::all().find(|measure| measure.to_string() == text);
        found.ok_or_else(|| unknown("measure", text, Measure::all()))
    }
}

impl FromStr for Compat {
    type Err = String;

    fn from_str(text: &str) -> Result<Compat, String> {
        let mut all = COMPATS.iter().map(|(compat, _)| *compat);
        let found = all.find(|compat| compat.to_string() == text);
        found.ok_or_else(|| unknown("library", text, COMPATS.iter().map(|(compat, _)| *compat)))
    }
}

fn unknown(what: &str, text: &str, known: impl Iterator<Item = impl fmt::Display>) -> String {
    let known: Vec<String> = known.map(|name| name.to_string()).collect();
    format!("`{text}` is no {what}; there are {}", known.join(", "))
}

impl Serialize for Measure {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl Serialize for Compat {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}
