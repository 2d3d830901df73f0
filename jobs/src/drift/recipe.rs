//! What a measure of a name means, by each library: bins, fill, formula and unit.

use tidegate_operators::statistics::Smoothing;
use tidegate_operators::statistics::divergence::{Direction, Unit};

use super::bins::{BinRule, Bins};
use super::column::Kind;
use super::measure::{Compat, Measure};

/// From how many rows of the reference on NannyML estimates.
const MANY: usize = 10_000;

/// A formula over what it is given.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Formula {
    Psi,
    Kl(Direction),
    /// The shares are scaled back to one before.
    KlToOne(Direction),
    JsDistance(Unit),
    JsDivergence(Unit),
    Hellinger,
    TotalVariation,
    LargestDifference,
    GoodnessOfFit,
    Independence,
    TwoProportions,
    /// Of the samples.
    Ks,
    /// Of the shares.
    KsBinned,
    Wasserstein,
    WassersteinNormed,
    /// Of the shares at the middles of the bins.
    WassersteinBinned,
    /// NannyML's estimates.
    KsEstimate,
    WassersteinEstimate,
    MeanShift,
    MedianShift,
    MissingShift,
    NewRate,
}

/// How to come to an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Recipe {
    pub(super) formula: Formula,
    /// `None`: of the rows as they are.
    pub(super) bins: Option<Bins>,
    pub(super) fill: Smoothing,
}

const PLAIN: Smoothing = Smoothing::Floor(0.0);

/// What a library means by a measure, for a reference of so many rows. `None` when it has no such measure.
pub(super) fn recipe(
    compat: Compat,
    measure: Measure,
    kind: Kind,
    rule: &BinRule,
    rows: usize,
) -> Option<Recipe> {
    if !measure.is_of(kind) {
        return None;
    }
    match compat {
        Compat::Tidegate => Some(own(measure, kind, rule)),
        Compat::Evidently => evidently(measure, kind),
        Compat::Nannyml => nannyml(measure, kind, rows),
        Compat::Hopsworks => hopsworks(measure, kind),
        Compat::Scipy => scipy(measure, kind),
    }
}

fn by(bins: Bins, fill: Smoothing, formula: Formula) -> Recipe {
    Recipe {
        formula,
        bins: Some(bins),
        fill,
    }
}

fn of_rows(formula: Formula) -> Recipe {
    Recipe {
        formula,
        bins: None,
        fill: PLAIN,
    }
}

/// Numbers by `rule`, categories as the reference has them; empty bins are raised to 0.0001 where a logarithm needs
/// it; directed measures go from the reference; distances in nats.
fn own(measure: Measure, kind: Kind, rule: &BinRule) -> Recipe {
    let bins = match kind {
        Kind::Number => Bins::Rule(rule.clone()),
        Kind::Category => Bins::Reference,
    };
    let floor = Smoothing::Floor(1e-4);
    match measure {
        Measure::Psi => by(bins, floor, Formula::Psi),
        Measure::Kl => by(bins, floor, Formula::Kl(Direction::ReferenceFromCurrent)),
        Measure::Js => by(bins, PLAIN, Formula::JsDistance(Unit::Nats)),
        Measure::Hellinger => by(bins, PLAIN, Formula::Hellinger),
        Measure::Tvd => by(bins, PLAIN, Formula::TotalVariation),
        Measure::Linf => by(bins, PLAIN, Formula::LargestDifference),
        Measure::Chi2 => by(bins, PLAIN, Formula::Independence),
        Measure::Z => by(Bins::Union, PLAIN, Formula::TwoProportions),
        Measure::Ks => of_rows(Formula::Ks),
        Measure::Wasserstein => of_rows(Formula::Wasserstein),
        Measure::WassersteinNormed => of_rows(Formula::WassersteinNormed),
        Measure::Mean => of_rows(Formula::MeanShift),
        Measure::Median => of_rows(Formula::MedianShift),
        Measure::Missing => of_rows(Formula::MissingShift),
        Measure::New => by(Bins::Union, PLAIN, Formula::NewRate),
    }
}

fn evidently(measure: Measure, kind: Kind) -> Option<Recipe> {
    let number = kind == Kind::Number;
    let bins = if number { Bins::Evidently } else { Bins::Union };
    let fill = Smoothing::FillEmpty;
    Some(match measure {
        Measure::Psi => by(bins, fill, Formula::Psi),
        Measure::Kl => by(
            bins,
            fill,
            Formula::KlToOne(Direction::ReferenceFromCurrent),
        ),
        Measure::Js => by(bins, PLAIN, Formula::JsDistance(Unit::Nats)),
        Measure::Hellinger if number => by(Bins::EvidentlyDistinct, PLAIN, Formula::Hellinger),
        Measure::Hellinger => by(bins, PLAIN, Formula::Hellinger),
        Measure::Tvd if !number => by(bins, PLAIN, Formula::TotalVariation),
        Measure::Chi2 if !number => by(bins, PLAIN, Formula::GoodnessOfFit),
        Measure::Z => by(bins, PLAIN, Formula::TwoProportions),
        Measure::Ks => of_rows(Formula::Ks),
        Measure::Wasserstein | Measure::WassersteinNormed => of_rows(Formula::WassersteinNormed),
        _ => return None,
    })
}

fn nannyml(measure: Measure, kind: Kind, rows: usize) -> Option<Recipe> {
    let number = kind == Kind::Number;
    let bins = if number {
        Bins::Nannyml
    } else {
        Bins::Reference
    };
    let many = rows >= MANY;
    Some(match measure {
        Measure::Js => by(bins, PLAIN, Formula::JsDistance(Unit::Bits)),
        Measure::Hellinger => by(bins, PLAIN, Formula::Hellinger),
        Measure::Linf if !number => by(Bins::Union, PLAIN, Formula::LargestDifference),
        Measure::Chi2 if !number => by(Bins::Union, PLAIN, Formula::Independence),
        Measure::Ks if many => of_rows(Formula::KsEstimate),
        Measure::Ks => of_rows(Formula::Ks),
        Measure::Wasserstein if many => of_rows(Formula::WassersteinEstimate),
        Measure::Wasserstein => of_rows(Formula::Wasserstein),
        _ => return None,
    })
}

fn hopsworks(measure: Measure, kind: Kind) -> Option<Recipe> {
    let number = kind == Kind::Number;
    let bins = if number { Bins::Hopsworks } else { Bins::Union };
    let fill = Smoothing::AddToCounts(1e-6);
    Some(match measure {
        Measure::Psi => by(bins, fill, Formula::Psi),
        Measure::Kl => by(bins, fill, Formula::Kl(Direction::CurrentFromReference)),
        Measure::Js => by(bins, fill, Formula::JsDivergence(Unit::Nats)),
        Measure::Hellinger => by(bins, fill, Formula::Hellinger),
        Measure::Ks => by(bins, fill, Formula::KsBinned),
        Measure::Wasserstein => by(bins, fill, Formula::WassersteinBinned),
        _ => return None,
    })
}

/// What SciPy's functions answer; it has no bins of its own, so of numbers there are those of the samples only.
fn scipy(measure: Measure, kind: Kind) -> Option<Recipe> {
    let number = kind == Kind::Number;
    Some(match measure {
        Measure::Kl if !number => by(
            Bins::Union,
            PLAIN,
            Formula::Kl(Direction::ReferenceFromCurrent),
        ),
        Measure::Js if !number => by(Bins::Union, PLAIN, Formula::JsDistance(Unit::Nats)),
        Measure::Chi2 if !number => by(Bins::Union, PLAIN, Formula::Independence),
        Measure::Ks => of_rows(Formula::Ks),
        Measure::Wasserstein => of_rows(Formula::Wasserstein),
        _ => return None,
    })
}
