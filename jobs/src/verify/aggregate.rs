//! The aggregates as SQL over whatever rows they are to count, and what their columns show.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use tidegate_schemas::job::{Aggregate, Empty, Nulls, Op, OpName, Spread};
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::Span;

use super::error::VerifyError;
use super::ledger::{Ledger, Measure};
use super::shown::{empty_whole, floats, shown, values, wholes};

/// One output column that an aggregate makes.
pub(super) struct Wanted {
    /// Its name in the output.
    pub(super) name: String,
    /// How it reads there.
    pub(super) kind: Kind,
    /// What is computed.
    pub(super) op: Op,
    /// What it shows when no row counts.
    pub(super) empty: Empty,
    /// Which rows count, over the columns of the facts.
    pub(super) counts: String,
    /// What is measured.
    pub(super) of: Option<Measure>,
    /// For a ratio: which rows count below the line.
    pub(super) per: String,
    /// How far back it looks.
    pub(super) window: Option<Span>,
    /// The hop of the window's tail.
    pub(super) hop: Option<Span>,
}

impl Wanted {
    /// The columns of an aggregate over rows of `from`; where they are shown, `planned` says how.
    pub(super) fn of(
        ledger: &mut Ledger,
        from: &[String],
        aggregate: &Aggregate,
        planned: &dyn Fn(&str) -> Option<Kind>,
    ) -> Result<Vec<Wanted>, VerifyError> {
        let of = match &aggregate.of {
            None => None,
            Some(sql) => Some(ledger.measure(from, sql.as_str(), aggregate.decimals())?),
        };
        let passes = ledger.filter(from, aggregate.filter.as_ref().map(|sql| sql.as_str()));
        let counts = match &of {
            Some(of) if aggregate.nulls == Nulls::Skip => {
                format!("({passes} AND {} IS NOT NULL)", of.column)
            }
            _ => passes,
        };
        let per = match &aggregate.op {
            Op::Ratio { per } => ledger.filter(from, Some(per.as_str())),
            _ => "false".to_owned(),
        };
        let windows = aggregate.windows.iter().map(|window| window.span());
        let windows = match aggregate.windows.is_empty() {
            true => vec![None],
            false => windows.collect(),
        };
        let mut wanted = Vec::new();
        for (name, window) in aggregate.columns().into_iter().zip(windows) {
            let kind = planned(&name).unwrap_or_else(|| usual_kind(&aggregate.op, of.as_ref()));
            wanted.push(Wanted {
                name,
                kind,
                op: aggregate.op.clone(),
                empty: aggregate.empty,
                counts: counts.clone(),
                of: of.clone(),
                per: per.clone(),
                window,
                hop: aggregate.hop.filter(|_| window.is_some()),
            });
        }
        Ok(wanted)
    }

    /// The column of the facts that is measured.
    pub(super) fn value(&self) -> &str {
        self.of.as_ref().map_or("1", |of| of.column.as_str())
    }

    /// How many of the smallest units of the measure make one.
    pub(super) fn unit(&self) -> f64 {
        match self.of.as_ref().map(|of| &of.kind) {
            Some(Kind::Fixed { scale }) => 10f64.powi(i32::from(*scale)),
            _ => 1.0,
        }
    }

    /// Which rows matter to it.
    pub(super) fn matters(&self) -> String {
        format!("({} OR {})", self.counts, self.per)
    }

    /// How it is computed.
    pub(super) fn way(&self) -> Way {
        match self.op {
            Op::Count
            | Op::Any
            | Op::Sum
            | Op::Mean
            | Op::Min
            | Op::Max
            | Op::Variance(_)
            | Op::Stddev(_)
            | Op::CountDistinct
            | Op::Ratio { .. } => Way::Calls,
            Op::First | Op::FirstK { .. } | Op::List { .. } => Way::Picks(End::Oldest),
            Op::Last | Op::LastK { .. } => Way::Picks(End::Newest),
            Op::MaxCountBy | Op::Histogram { .. } | Op::Entropy | Op::DistinctK { .. } => {
                Way::Tallies
            }
            Op::TimeSinceLast => Way::SinceLast,
            Op::LongestGap => Way::LongestGap,
            Op::DecayedSum { .. } => Way::Decayed,
        }
    }

    /// The aggregate functions that it needs.
    pub(super) fn calls(&self) -> Vec<String> {
        let counts = &self.counts;
        let counted = |rows: &str| format!("count(CASE WHEN {rows} THEN 1 END)");
        let of = format!("CASE WHEN {counts} THEN {} END", self.value());
        let wide = format!("CAST({of} AS DECIMAL(38, 0))");
        let sum = format!("sum({wide})");
        match self.op {
            Op::Sum | Op::Mean => vec![counted(counts), sum],
            Op::Min => vec![format!("min({of})")],
            Op::Max => vec![format!("max({of})")],
            Op::Variance(_) | Op::Stddev(_) => {
                vec![counted(counts), sum, format!("sum({wide} * {wide})")]
            }
            Op::CountDistinct => {
                let null = format!("({counts} AND {} IS NULL)", self.value());
                vec![format!("count(DISTINCT {of})"), counted(&null)]
            }
            Op::Ratio { .. } => vec![counted(counts), counted(&self.per)],
            _ => vec![counted(counts)],
        }
    }

    /// What the column shows, from the answers of the functions.
    pub(super) fn finish(&self, answers: &[ArrayRef]) -> Result<ArrayRef, VerifyError> {
        let empty = empty_whole(self.empty);
        let words = |column: usize| wholes(&answers[column]);
        let n = || -> Result<Vec<i128>, VerifyError> {
            Ok(words(0)?.into_iter().map(|n| n.unwrap_or(0)).collect())
        };
        match &self.op {
            Op::Sum => {
                let (n, sums) = (n()?, words(1)?);
                let fits = |sum: &i128| sum.unsigned_abs() <= i64::MAX as u128;
                let word = |(n, sum): (i128, Option<i128>)| match n {
                    0 => empty,
                    _ => sum.filter(fits),
                };
                shown(
                    &self.kind,
                    &n.into_iter().zip(sums).map(word).collect::<Vec<_>>(),
                )
            }
            Op::Min | Op::Max if matches!(self.kind, Kind::Text) => values(&self.kind, &answers[0]),
            Op::Min | Op::Max if matches!(self.kind, Kind::Float) => self.float_column(&answers[0]),
            Op::Min | Op::Max => {
                let words: Vec<_> = words(0)?.into_iter().map(|word| word.or(empty)).collect();
                shown(&self.kind, &words)
            }
            Op::Mean => {
                let (n, sums) = (n()?, words(1)?);
                let mean = |(n, sum): (i128, Option<i128>)| {
                    (n > 0).then(|| sum.unwrap_or(0) as f64 / (n as f64 * self.unit()))
                };
                Ok(self.float(n.into_iter().zip(sums).map(mean)))
            }
            Op::Variance(spread) | Op::Stddev(spread) => {
                let (n, sums, squares) = (n()?, words(1)?, words(2)?);
                let moments = n.into_iter().zip(sums).zip(squares);
                let variance = |((n, sum), squares): ((i128, Option<i128>), Option<i128>)| {
                    let variance = variance(n, sum?, squares?, *spread)? / self.unit().powi(2);
                    Some(match self.op {
                        Op::Stddev(_) => variance.sqrt(),
                        _ => variance,
                    })
                };
                Ok(self.float(moments.map(variance)))
            }
            Op::Ratio { .. } => {
                let (n, whole) = (n()?, words(1)?);
                let ratio = |(n, whole): (i128, Option<i128>)| match whole {
                    Some(whole) if whole > 0 => Some(n as f64 / whole as f64),
                    _ => None,
                };
                Ok(self.float(n.into_iter().zip(whole).map(ratio)))
            }
            Op::CountDistinct => {
                let (n, nulls) = (n()?, words(1)?);
                let all = n.into_iter().zip(nulls);
                let all = all.map(|(n, nulls)| n + i128::from(nulls.unwrap_or(0) > 0));
                shown(
                    &self.kind,
                    &all.map(|n| self.some(n, n)).collect::<Vec<_>>(),
                )
            }
            Op::Any => {
                let any = n()?.into_iter().map(|n| self.some(n, 1));
                shown(&self.kind, &any.collect::<Vec<_>>())
            }
            _ => {
                let count = n()?.into_iter().map(|n| self.some(n, n));
                shown(&self.kind, &count.collect::<Vec<_>>())
            }
        }
    }

    /// `word` where rows count.
    fn some(&self, n: i128, word: i128) -> Option<i128> {
        if n > 0 {
            Some(word)
        } else {
            empty_whole(self.empty)
        }
    }

    /// Floats, and what stands where there is none.
    pub(super) fn float(&self, all: impl Iterator<Item = Option<f64>>) -> ArrayRef {
        let empty = empty_whole(self.empty).map(|_| 0.0);
        Arc::new(all.map(|float| float.or(empty)).collect::<Float64Array>())
    }

    /// A column of floats that SQL answers with, and what stands where there is none.
    pub(super) fn float_column(&self, column: &ArrayRef) -> Result<ArrayRef, VerifyError> {
        Ok(self.float(floats(column)?.into_iter()))
    }
}

/// How the column of an op reads.
fn usual_kind(op: &Op, of: Option<&Measure>) -> Kind {
    let of = of.map_or(Kind::Int, |of| of.kind.clone());
    match (op, of) {
        (Op::Count | Op::CountDistinct | Op::MaxCountBy, _) => Kind::Int,
        (Op::Any, _) => Kind::Bool,
        (Op::Sum, Kind::Fixed { scale }) if scale > 0 => Kind::Fixed { scale },
        (Op::Sum, _) => Kind::Int,
        (Op::Min | Op::Max | Op::First | Op::Last, of) => of,
        (Op::TimeSinceLast | Op::LongestGap, _) => Kind::Span,
        (Op::Histogram { .. }, of) => Kind::Histogram(Box::new(of)),
        (op, of) if matches!(op.name(), OpName::FirstK | OpName::LastK | OpName::List) => {
            Kind::List(Box::new(of))
        }
        (Op::DistinctK { .. }, of) => Kind::List(Box::new(of)),
        _ => Kind::Float,
    }
}

/// How a column is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Way {
    /// By aggregate functions.
    Calls,
    /// By the first or last of the rows that count.
    Picks(End),
    /// By how often each value is there.
    Tallies,
    /// By the newest earlier row.
    SinceLast,
    /// By the distances of neighbouring rows.
    LongestGap,
    /// By a sum that fades.
    Decayed,
}

/// An end of the rows in their order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End {
    /// The first rows.
    Oldest,
    /// The last rows.
    Newest,
}

/// From the count, the sum and the sum of squares of whole numbers.
fn variance(n: i128, sum: i128, squares: i128, spread: Spread) -> Option<f64> {
    let freedom = match spread {
        Spread::Population => n,
        Spread::Sample => n - 1,
    };
    if freedom <= 0 {
        return None;
    }
    // Whoever asks has seen to it that this fits.
    let numerator = n.checked_mul(squares)?.checked_sub(sum.checked_mul(sum)?)? as f64;
    Some(numerator / (n as f64 * freedom as f64))
}
