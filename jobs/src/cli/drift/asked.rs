//! What is asked about columns of two files: the kinds, the measures, the bins, and by whose definitions.

use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::numbers::grouped;
use crate::drift::{BinRule, Comparison, Compat, Kind, Measure, Request, compare, kind_of, read};

/// How columns are compared.
#[derive(Debug, Args)]
pub(super) struct Asked {
    /// What the values are taken for: category or number. Default: by the column's type, or in text by its first values.
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<Kind>,
    /// The measures. Default: psi, js and ks of numbers, psi, js and chi2 of categories.
    #[arg(long, value_name = "MEASURE", value_delimiter = ',')]
    measures: Vec<Measure>,
    /// The bins of numbers: deciles, even:10, sturges, doane, or edges:0,10,20. Default: deciles.
    #[arg(long, value_name = "RULE")]
    bins: Option<BinRule>,
    /// Measure as another library does: evidently, nannyml, hopsworks or scipy.
    #[arg(long, value_name = "LIBRARY", default_value_t)]
    compat: Compat,
}

fn kind(text: &str) -> Result<Kind, String> {
    match text {
        "category" => Ok(Kind::Category),
        "number" => Ok(Kind::Number),
        _ => Err(format!("`{text}` is neither category nor number")),
    }
}

impl Asked {
    /// Whether it makes sense.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.bins.is_some() && self.compat != Compat::Tidegate {
            let message = format!(
                "--bins and --compat {} cannot go together: its bins are its own",
                self.compat
            );
            return Err(Failure::usage(message));
        }
        Ok(())
    }

    /// Compares a column; rows that cannot be read are told.
    pub(super) fn compare(
        &self,
        [reference, current]: [&str; 2],
        column: &str,
    ) -> Result<Comparison, Failure> {
        let kind = match self.kind {
            Some(kind) => kind,
            None => match (kind_of(reference, column)?, kind_of(current, column)?) {
                (Kind::Number, Kind::Number) => Kind::Number,
                _ => Kind::Category,
            },
        };
        let mut sides = Vec::new();
        for path in [reference, current] {
            let side = read(path, column, kind)?;
            if let Some(first) = &side.first_reject {
                let rejected = grouped(side.rejected);
                eprintln!(
                    "warning: {rejected} rows cannot be read and do not count, first {first}"
                );
            }
            sides.push(side);
        }
        let (Some(current), Some(reference)) = (sides.pop(), sides.pop()) else {
            return Err(Failure::internal("a comparison has two sides"));
        };
        let request = Request {
            measures: self.measures(kind),
            compat: self.compat,
            bins: self.bins.clone().unwrap_or_default(),
        };
        compare(column, kind, reference, current, &request).map_err(Failure::usage)
    }

    fn measures(&self, kind: Kind) -> Vec<Measure> {
        match (self.measures.is_empty(), self.compat, kind) {
            (false, ..) => self.measures.clone(),
            (true, Compat::Nannyml | Compat::Scipy, Kind::Number) => {
                vec![Measure::Ks, Measure::Wasserstein]
            }
            (true, Compat::Nannyml | Compat::Scipy, Kind::Category) => {
                vec![Measure::Js, Measure::Chi2]
            }
            (true, Compat::Hopsworks, _) => vec![Measure::Psi, Measure::Js],
            (true, _, Kind::Number) => vec![Measure::Psi, Measure::Js, Measure::Ks],
            (true, _, Kind::Category) => vec![Measure::Psi, Measure::Js, Measure::Chi2],
        }
    }
}
