//! Two columns compared: one answer for each measure, with all that it depends on.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use tidegate_operators::statistics::divergence::{
    Direction, Unit, hellinger, js_distance, js_divergence, kl, largest_difference, psi,
    total_variation,
};
use tidegate_operators::statistics::no_drift::{PsiLimits, contributions};
use tidegate_operators::statistics::{
    Share, Smoothing, contingency, kolmogorov, shares_of, shift, to_one, wasserstein,
};

use super::bins::{BinRule, Binned, Bins};
use super::column::{Column, Kind};
use super::distribution::Distribution;
use super::estimates;
use super::measure::{Compat, Measure};
use super::recipe::{Formula, Recipe, recipe};
use super::sides::Sides;

/// How many of the bins that moved most are told.
const MOST_MOVED: usize = 5;

/// What to compare, and by whose definitions.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The measures, in the order of the answers.
    pub measures: Vec<Measure>,
    /// Whose they are.
    pub compat: Compat,
    /// Bins of numbers, where the definitions are Tidegate's own.
    pub bins: BinRule,
}

/// What a measure says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// Which measure.
    pub measure: Measure,
    /// What it comes to. `None` when a side has no rows.
    #[serde(serialize_with = "number")]
    pub value: Option<f64>,
    /// In what it is counted.
    pub unit: &'static str,
    /// Which side it starts from, where that matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<&'static str>,
    /// Of a test: how likely chance alone goes so far.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "number")]
    pub p_value: Option<f64>,
    /// How rows were parted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bins: Option<String>,
    /// Into how many bins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bin_count: Option<usize>,
    /// What share an empty bin has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill: Option<String>,
    /// What it stays below with probability 0.95 if nothing drifts.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "number")]
    pub no_drift_95: Option<f64>,
    /// The bins that made most of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<Moved>,
}

/// A bin that moved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moved {
    /// What it holds.
    pub bin: String,
    /// Its share of the reference.
    pub reference: f64,
    /// Its share of the current rows.
    pub current: f64,
    /// What it adds to PSI, in nats.
    pub psi: f64,
}

/// Both sides of a column and how far they are apart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The column.
    pub column: String,
    /// What its values are taken for.
    pub kind: Kind,
    /// Whose definitions hold.
    pub compat: Compat,
    /// The side that is compared with.
    pub reference: SideSize,
    /// The side that is compared.
    pub current: SideSize,
    /// One for each measure.
    pub measures: Vec<Answer>,
    /// Where the rows lie, by the bins of the first measure that has any. `None` when a side has no rows.
    #[serde(skip)]
    pub distribution: Option<Distribution>,
}

/// How many rows a side has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SideSize {
    /// With a value.
    pub rows: u64,
    /// Without one.
    pub missing: u64,
    /// That could not be read.
    pub rejected: u64,
}

impl SideSize {
    fn of(column: &Column) -> SideSize {
        SideSize {
            rows: column.rows(),
            missing: column.missing.len() as u64,
            rejected: column.rejected,
        }
    }

    fn missing_of_all(self) -> (u64, u64) {
        (self.missing, self.missing + self.rows)
    }
}

/// Compares two columns of a kind.
///
/// # Errors
/// When a measure is not of such columns, or the library does not have it.
pub fn compare(
    name: &str,
    kind: Kind,
    mut reference: Column,
    mut current: Column,
    request: &Request,
) -> Result<Comparison, String> {
    let sizes = (SideSize::of(&reference), SideSize::of(&current));
    let of = |measure| {
        recipe(
            request.compat,
            measure,
            kind,
            &request.bins,
            sizes.0.rows as usize,
        )
    };
    let recipes = request.measures.iter().map(|measure| {
        let found = of(*measure).map(|recipe| (*measure, recipe));
        found.ok_or_else(|| refusal(name, kind, *measure, request.compat, &of))
    });
    let recipes = recipes.collect::<Result<Vec<_>, String>>()?;
    let sides = Sides::new(&mut reference, &mut current);
    let mut kitchen = Kitchen {
        sides,
        sizes,
        counted: BTreeMap::new(),
    };
    let measures = recipes
        .iter()
        .map(|(measure, recipe)| kitchen.answer(*measure, recipe))
        .collect();
    let parted = recipes.iter().find_map(|(_, recipe)| recipe.bins.clone());
    let parted = parted.unwrap_or_else(|| match kind {
        Kind::Number => Bins::Rule(request.bins.clone()),
        Kind::Category => Bins::Reference,
    });
    Ok(Comparison {
        column: name.to_owned(),
        kind,
        compat: request.compat,
        reference: sizes.0,
        current: sizes.1,
        measures,
        distribution: kitchen.distribution(&parted),
    })
}

fn refusal(
    name: &str,
    kind: Kind,
    measure: Measure,
    compat: Compat,
    of: &impl Fn(Measure) -> Option<Recipe>,
) -> String {
    let there: Vec<String> = Measure::all()
        .filter(|measure| of(*measure).is_some())
        .map(|measure| measure.to_string())
        .collect();
    let there = there.join(", ");
    format!("{compat} has no `{measure}` for column `{name}`, which holds {kind}; it has {there}")
}

/// Both sides and what was counted of them already.
struct Kitchen<'a> {
    sides: Option<Sides<'a>>,
    sizes: (SideSize, SideSize),
    counted: BTreeMap<String, Binned>,
}

impl Kitchen<'_> {
    fn answer(&mut self, measure: Measure, recipe: &Recipe) -> Answer {
        let mut answer = Answer {
            measure,
            value: None,
            unit: unit(&recipe.formula),
            direction: direction(&recipe.formula),
            p_value: None,
            bins: recipe.bins.as_ref().map(ToString::to_string),
            bin_count: None,
            fill: None,
            no_drift_95: None,
            moved: Vec::new(),
        };
        if recipe.formula == Formula::MissingShift {
            let (reference, current) = self.sizes;
            answer.value =
                shift::missing_shift(reference.missing_of_all(), current.missing_of_all());
            return answer;
        }
        let Some(sides) = &self.sides else {
            return answer;
        };
        match &recipe.bins {
            None => of_samples(sides, &recipe.formula, &mut answer),
            Some(bins) => {
                let binned = counted(&mut self.counted, sides, bins);
                answer.bin_count = Some(binned.counts.len());
                of_counts(binned, recipe, self.sizes, &mut answer);
            }
        }
        answer
    }

    fn distribution(&mut self, bins: &Bins) -> Option<Distribution> {
        let sides = self.sides.as_ref()?;
        let binned = counted(&mut self.counted, sides, bins);
        Some(Distribution::of(sides, bins, binned))
    }
}

/// Both sides counted by these bins, once.
fn counted<'a>(
    known: &'a mut BTreeMap<String, Binned>,
    sides: &Sides<'_>,
    bins: &Bins,
) -> &'a Binned {
    let known = known.entry(bins.to_string());
    known.or_insert_with(|| sides.counted(bins))
}

/// What is measured over samples of numbers.
fn of_samples(sides: &Sides<'_>, formula: &Formula, answer: &mut Answer) {
    let Sides::Numbers {
        reference, current, ..
    } = sides
    else {
        return;
    };
    let (reference, current) = (*reference, *current);
    answer.value = Some(match formula {
        Formula::Ks => {
            let d = kolmogorov::statistic(reference, current);
            answer.p_value = Some(kolmogorov::p(d, reference.rows(), current.rows()));
            d
        }
        Formula::KsEstimate => estimates::ks(reference, current),
        Formula::Wasserstein => wasserstein::distance(reference, current),
        Formula::WassersteinNormed => wasserstein::in_deviations(reference, current),
        Formula::WassersteinEstimate => estimates::wasserstein(reference, current),
        Formula::MeanShift => shift::mean(reference, current),
        Formula::MedianShift => shift::quantile(reference, current, 0.5),
        _ => return,
    });
}

/// What is measured over counts of bins or categories.
fn of_counts(binned: &Binned, recipe: &Recipe, sizes: (SideSize, SideSize), answer: &mut Answer) {
    let counts = &binned.counts;
    let mut test = |found: Option<contingency::ChiSquare>| {
        answer.p_value = found.map(|found| found.p);
        found.map(|found| found.statistic)
    };
    answer.value = match recipe.formula {
        Formula::GoodnessOfFit => test(contingency::goodness_of_fit(counts)),
        Formula::Independence => test(contingency::independence(counts)),
        Formula::TwoProportions => {
            // Whether a row is of any category but the first, as Evidently asks.
            let (n, m) = (sizes.0.rows, sizes.1.rows);
            let first = counts
                .first()
                .map_or((0, 0), |n| (n.reference as u64, n.current as u64));
            let found = contingency::two_proportions((n - first.0, n), (m - first.1, m));
            answer.p_value = found.map(|found| found.p);
            found.map(|found| found.z)
        }
        Formula::NewRate => {
            let new = counts.iter().filter(|n| n.reference == 0);
            let rows: i64 = new.map(|n| n.current).sum();
            (sizes.1.rows > 0).then(|| rows as f64 / sizes.1.rows as f64)
        }
        Formula::KlToOne(direction) => {
            shares_of(counts, recipe.fill).map(|shares| kl(&to_one(&shares), direction))
        }
        _ => {
            let shares = shares_of(counts, recipe.fill);
            shares.map(|shares| of_shares(&shares, binned, recipe, answer))
        }
    };
    if let Some(fill) = fill(recipe.fill) {
        answer.fill = Some(fill);
    }
}

fn of_shares(shares: &[Share], binned: &Binned, recipe: &Recipe, answer: &mut Answer) -> f64 {
    match recipe.formula {
        Formula::Psi => {
            let limit = PsiLimits::new(0.95).of(&binned.counts, recipe.fill);
            answer.no_drift_95 = Some(limit);
            let moved = contributions(shares)
                .into_iter()
                .filter(|(_, psi)| *psi > 0.0);
            answer.moved = moved
                .take(MOST_MOVED)
                .map(|(place, psi)| Moved {
                    bin: binned.labels[place].clone(),
                    reference: shares[place].reference,
                    current: shares[place].current,
                    psi,
                })
                .collect();
            psi(shares)
        }
        Formula::Kl(direction) => kl(shares, direction),
        Formula::JsDistance(unit) => js_distance(shares, unit),
        Formula::JsDivergence(unit) => js_divergence(shares, unit),
        Formula::Hellinger => hellinger(shares),
        Formula::TotalVariation => total_variation(shares),
        Formula::LargestDifference => largest_difference(shares),
        Formula::KsBinned => kolmogorov::binned(shares),
        Formula::WassersteinBinned => {
            let places: Vec<f64> = (0..shares.len()).map(|place| place as f64).collect();
            wasserstein::binned(binned.centres.as_deref().unwrap_or(&places), shares)
        }
        _ => panic!("{:?} is not of shares", recipe.formula),
    }
}

fn unit(formula: &Formula) -> &'static str {
    match formula {
        Formula::Psi | Formula::Kl(_) | Formula::KlToOne(_) => "nats",
        Formula::JsDistance(Unit::Nats) => "nats, distance",
        Formula::JsDistance(Unit::Bits) => "bits, distance",
        Formula::JsDivergence(Unit::Nats) => "nats",
        Formula::JsDivergence(Unit::Bits) => "bits",
        Formula::Hellinger
        | Formula::TotalVariation
        | Formula::LargestDifference
        | Formula::Ks
        | Formula::KsBinned
        | Formula::KsEstimate
        | Formula::MissingShift
        | Formula::NewRate => "share",
        Formula::GoodnessOfFit | Formula::Independence => "chi-square",
        Formula::TwoProportions => "standard deviations",
        Formula::WassersteinNormed => "standard deviations of the reference",
        Formula::Wasserstein
        | Formula::WassersteinEstimate
        | Formula::WassersteinBinned
        | Formula::MeanShift
        | Formula::MedianShift => "unit of the column",
    }
}

fn direction(formula: &Formula) -> Option<&'static str> {
    match formula {
        Formula::Kl(Direction::ReferenceFromCurrent)
        | Formula::KlToOne(Direction::ReferenceFromCurrent) => Some("reference to current"),
        Formula::Kl(Direction::CurrentFromReference)
        | Formula::KlToOne(Direction::CurrentFromReference) => Some("current to reference"),
        Formula::MeanShift
        | Formula::MedianShift
        | Formula::MissingShift
        | Formula::TwoProportions => Some("current less reference"),
        _ => None,
    }
}

/// What share an empty bin has, in words.
fn fill(smoothing: Smoothing) -> Option<String> {
    match smoothing {
        Smoothing::Floor(least) => {
            (least > 0.0).then(|| format!("shares below {least} raised to it"))
        }
        Smoothing::AddToCounts(more) => Some(format!("{more:e} added to counts")),
        Smoothing::FillEmpty => {
            Some("empty shares 0.0001, or a millionth of the smallest".to_owned())
        }
        other => Some(format!("{other:?}")),
    }
}

/// Numbers as JSON has them; infinite ones as text.
fn number<S: Serializer>(number: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) if number.is_finite() => to.serialize_f64(*number),
        Some(number) => to.collect_str(number),
        None => to.serialize_none(),
    }
}
