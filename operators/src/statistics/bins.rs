//! Numbers to bins: edges that are frozen with a reference, and how libraries choose them.
//!
//! Bin i holds `edge i <= value < edge i + 1`. The edges decide the measures as much as the data does:
//! the same two samples have a PSI of 0.31 by ten even bins and of 1.23 by Sturges' rule.
//!
//! | | edges |
//! |---|---|
//! | [`Edges::deciles`] | the default here: equal rows of the reference in each, first and last open |
//! | [`Edges::given`] | known beforehand |
//! | [`Edges::even`] | Hopsworks, Scouter: equally wide |
//! | [`Edges::of_both_evenly`] | Frouros: 10 equally wide over both sides |
//! | [`Edges::of_both_as_evidently`] | Evidently: Sturges' rule over both sides, or a bin per value |
//! | [`Edges::sturges`], [`Edges::doane`] | NumPy's `histogram_bin_edges`; NannyML: Doane's of the reference |
//!
//! Edges *of both sides* move with every row of either: they are for comparing closed windows with what
//! another library says, not for counts that are kept.

use super::Counts;

/// What becomes of values before the first edge and after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The first and the last bin go on: k edges make k + 1 bins, and every number has one.
    Open,
    /// The last bin includes its upper edge, and what is outside is in no bin: k edges make k − 1.
    /// NumPy.
    Closed,
}

/// What kind of numbers a column holds: NumPy from version 2 makes no bin of whole numbers narrower
/// than 1, so the same values have other bins as integers than as floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// An integer column.
    Whole,
    /// A column of floats.
    Real,
}

/// Where bins of numbers begin and end.
#[derive(Clone, Debug, PartialEq)]
pub struct Edges {
    /// Finite, strictly ascending; at least two if the ends are closed.
    edges: Vec<f64>,
    ends: Ends,
    /// Equally wide, so that a bin is found by arithmetic.
    even: bool,
}

impl Edges {
    /// These edges.
    ///
    /// # Errors
    /// When one is not finite, not more than the one before it, or there are fewer than two and the ends
    /// are closed.
    ///
    /// # Example
    /// ```
    /// use tidegate_operators::statistics::bins::{Edges, Ends};
    ///
    /// let ages = Edges::given(vec![18.0, 65.0], Ends::Open).expect("ascending");
    /// assert_eq!(ages.bins(), 3);
    /// assert_eq!([17.9, 18.0, 80.0].map(|age| ages.bin(age)), [Some(0), Some(1), Some(2)]);
    /// assert!(Edges::given(vec![65.0, 18.0], Ends::Open).is_err());
    /// ```
    pub fn given(edges: Vec<f64>, ends: Ends) -> Result<Edges, String> {
        if let Some((place, edge)) = (1..).zip(&edges).find(|(_, edge)| !edge.is_finite()) {
            return Err(format!(
                "edge {place} is {edge}: an edge is a finite number"
            ));
        }
        let pairs = (1..).zip(edges.windows(2));
        for (place, pair) in pairs {
            if pair[0] >= pair[1] {
                return Err(format!(
                    "edge {place} is {}, and edge {} is {}: each edge is more than the one before it",
                    pair[0],
                    place + 1,
                    pair[1]
                ));
            }
        }
        if ends == Ends::Closed && edges.len() < 2 {
            return Err(format!(
                "{} edges make no bin: give at least two, or leave the ends open",
                edges.len()
            ));
        }
        Ok(Edges {
            edges,
            ends,
            even: false,
        })
    }

    /// How many bins there are.
    #[must_use]
    pub fn bins(&self) -> usize {
        match self.ends {
            Ends::Open => self.edges.len() + 1,
            Ends::Closed => self.edges.len() - 1,
        }
    }

    /// Where bins begin and end; the outer ends only if they are closed.
    #[must_use]
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// What becomes of values beyond the edges.
    #[must_use]
    pub fn ends(&self) -> Ends {
        self.ends
    }

    /// The middle of each bin, in the unit of the column. `None` if the ends are open: the outer bins
    /// have no middle.
    ///
    /// # Example
    /// ```
    /// use tidegate_operators::statistics::bins::Edges;
    ///
    /// assert_eq!(Edges::even(0.0, 4.0, 2).centres(), Some(vec![1.0, 3.0]));
    /// ```
    #[must_use]
    pub fn centres(&self) -> Option<Vec<f64>> {
        let middle = |pair: &[f64]| pair[0] + (pair[1] - pair[0]) / 2.0;
        match self.ends {
            Ends::Open => None,
            Ends::Closed => Some(self.edges.windows(2).map(middle).collect()),
        }
    }

    /// The bin of a value, from 0. `None` for what is in none: beyond closed ends, or no number.
    ///
    /// By arithmetic if the bins are equally wide, else by bisection: 3 to 6 ns.
    #[must_use]
    pub fn bin(&self, value: f64) -> Option<usize> {
        if value.is_nan() {
            return None;
        }
        match self.ends {
            Ends::Open => Some(self.edges.partition_point(|edge| *edge <= value)),
            Ends::Closed => {
                let last = self.edges.len() - 1;
                let (first_edge, last_edge) = (self.edges[0], self.edges[last]);
                if !(first_edge..=last_edge).contains(&value) {
                    return None;
                }
                if !self.even {
                    let below = self.edges.partition_point(|edge| *edge <= value);
                    return Some(below.min(last) - 1);
                }
                let place = (value - first_edge) / (last_edge - first_edge) * last as f64;
                let mut bin = (place as usize).min(last - 1);
                // Rounding may be an edge off.
                while value < self.edges[bin] {
                    bin -= 1;
                }
                while bin + 1 < last && value >= self.edges[bin + 1] {
                    bin += 1;
                }
                Some(bin)
            }
        }
    }

    /// How many values are in each bin, and at the end how many are in none.
    #[must_use]
    pub fn count(&self, values: &[f64]) -> Vec<i64> {
        let outside = self.bins();
        let mut counts = vec![0; outside + 1];
        for value in values {
            counts[self.bin(*value).unwrap_or(outside)] += 1;
        }
        counts
    }

    /// How many values of both sides are in each bin, with one more for what is in none if there is
    /// such: NannyML's leftover.
    ///
    /// # Example
    /// ```
    /// use tidegate_operators::statistics::{Counts, bins::Edges};
    ///
    /// let both = Edges::even(0.0, 2.0, 2).count_both(&[0.0, 1.0, 2.0], &[1.5, 7.0]);
    /// let counts = [(1, 0), (2, 1), (0, 1)].map(|(reference, current)| Counts { reference, current });
    /// assert_eq!(both, counts);
    /// ```
    #[must_use]
    pub fn count_both(&self, reference: &[f64], current: &[f64]) -> Vec<Counts> {
        let both = self.count(reference).into_iter().zip(self.count(current));
        let mut both: Vec<Counts> = both
            .map(|(reference, current)| Counts { reference, current })
            .collect();
        both.pop_if(|outside| outside.reference == 0 && outside.current == 0);
        both
    }
}

mod rules;
#[cfg(test)]
mod tests;
