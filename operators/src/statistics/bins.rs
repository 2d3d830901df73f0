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
use super::sample::Sample;

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

    /// Ten bins with equally many rows of the reference: [`Edges::quantiles`] with 10 parts.
    ///
    /// # Example
    /// ```
    /// use tidegate_operators::statistics::bins::Edges;
    /// use tidegate_operators::statistics::{Smoothing, divergence::psi, sample::Sample, shares_of};
    ///
    /// let h = |i: u32| f64::from(7919 * i % 1000) / 1000.0;
    /// let mut reference: Vec<f64> = (0..500).map(h).collect();
    /// let mut current: Vec<f64> = (500..900).map(|i| h(i) * h(i) + 0.1).collect();
    /// let reference = Sample::sort(&mut reference).expect("finite numbers");
    /// let current = Sample::sort(&mut current).expect("finite numbers");
    ///
    /// let edges = Edges::deciles(reference);
    /// let counts = edges.count_both(reference.values(), current.values());
    /// let shares = shares_of(&counts, Smoothing::Floor(1e-4)).expect("both have rows");
    /// assert!((psi(&shares) - 1.0208493093079767).abs() < 1e-13);
    /// ```
    #[must_use]
    pub fn deciles(reference: Sample<'_>) -> Edges {
        Edges::quantiles(reference, 10)
    }

    /// Cuts the reference into parts of equally many rows, at its quantiles (type 7, linear). Edges that
    /// are equal count once, so there are fewer bins where values are frequent; the first and the last bin
    /// are open, so a constant reference has a single bin, and nothing ever moves.
    ///
    /// # Panics
    /// When there are no parts.
    ///
    /// # Example
    /// ```
    /// use tidegate_operators::statistics::{bins::Edges, sample::Sample};
    ///
    /// let values = [1.0, 2.0, 3.0, 4.0, 5.0];
    /// let reference = Sample::sorted(&values).expect("ascending");
    /// assert_eq!(Edges::quantiles(reference, 4).edges(), [2.0, 3.0, 4.0]);
    /// ```
    #[must_use]
    pub fn quantiles(reference: Sample<'_>, parts: u32) -> Edges {
        assert!(parts > 0, "a sample is cut into at least one part");
        let cut = |part| reference.quantile(f64::from(part) / f64::from(parts));
        let mut edges: Vec<f64> = (0..=parts).map(cut).collect();
        edges.dedup();
        // The outer edges are there to be merged with, and open.
        edges.pop();
        edges.drain(..edges.len().min(1));
        Edges {
            edges,
            ends: Ends::Open,
            even: false,
        }
    }

    /// A bin for each distinct value. (Between them a number counts as the value below it.)
    ///
    /// # Example
    /// ```
    /// use tidegate_operators::statistics::{bins::Edges, sample::Sample};
    ///
    /// let values = [1.0, 1.0, 2.0, 5.0];
    /// let edges = Edges::distinct(Sample::sorted(&values).expect("ascending"));
    /// assert_eq!(edges.count(&values), [2, 1, 1, 0]);
    /// ```
    #[must_use]
    pub fn distinct(values: Sample<'_>) -> Edges {
        Edges {
            edges: values.distinct().split_off(1),
            ends: Ends::Open,
            even: false,
        }
    }

    /// So many equally wide bins from the least to the greatest value, both included; from half below
    /// to half above if they are equal. NumPy's `linspace`: edge i is `least + i · width`.
    ///
    /// # Panics
    /// When there are no bins, or no finite distance from `least` up to `greatest`.
    ///
    /// # Example
    /// ```
    /// use tidegate_operators::statistics::bins::Edges;
    ///
    /// let edges = Edges::even(0.0, 1.0, 4);
    /// assert_eq!(edges.edges(), [0.0, 0.25, 0.5, 0.75, 1.0]);
    /// assert_eq!([0.25, 1.0, 1.1].map(|value| edges.bin(value)), [Some(1), Some(3), None]);
    /// ```
    #[must_use]
    pub fn even(least: f64, greatest: f64, bins: u32) -> Edges {
        let (first, last) = outer(least, greatest);
        let range = last - first;
        assert!(
            bins > 0 && range.is_finite() && range > 0.0,
            "{bins} bins from {least} to {greatest}"
        );
        let width = range / f64::from(bins);
        let mut edges: Vec<f64> = (0..bins).map(|i| f64::from(i) * width + first).collect();
        edges.push(last);
        // Where bins are narrower than numbers lie apart, some have no room.
        edges.dedup();
        Edges {
            even: edges.len() == bins as usize + 1 && edges.is_sorted(),
            edges,
            ends: Ends::Closed,
        }
    }

    /// Equally wide bins by Sturges' rule: as wide as the range over (log₂ n + 1), rounded to a whole
    /// number of bins. NumPy's `"sturges"`.
    ///
    /// # Example
    /// ```
    /// use tidegate_operators::statistics::bins::{Edges, Numbers};
    /// use tidegate_operators::statistics::sample::Sample;
    ///
    /// let mut values = [0.0, 1.0, 2.0, 3.0].repeat(50);
    /// let values = Sample::sort(&mut values).expect("finite numbers");
    /// assert_eq!(Edges::sturges(values, Numbers::Whole).bins(), 3);
    /// assert_eq!(Edges::sturges(values, Numbers::Real).bins(), 9);
    /// ```
    #[must_use]
    pub fn sturges(values: Sample<'_>, numbers: Numbers) -> Edges {
        let parts = (values.rows() as f64).log2() + 1.0;
        Edges::of_parts(values, parts, numbers)
    }

    /// Equally wide bins by Doane's rule: Sturges' with log₂(1 + |g| / σ) more bins, where g is the
    /// skewness of the values and σ its deviation in normal samples of that size. NumPy's `"doane"`.
    ///
    /// # Example
    /// ```
    /// use tidegate_operators::statistics::bins::{Edges, Numbers};
    /// use tidegate_operators::statistics::sample::Sample;
    ///
    /// let skew: Vec<f64> = (0..100).map(|i| f64::from(i * i)).collect();
    /// let skew = Sample::sorted(&skew).expect("ascending");
    /// assert_eq!(Edges::sturges(skew, Numbers::Real).bins(), 8);
    /// assert_eq!(Edges::doane(skew, Numbers::Real).bins(), 10);
    /// ```
    #[must_use]
    pub fn doane(values: Sample<'_>, numbers: Numbers) -> Edges {
        let (rows, mean, deviation) = (values.rows() as f64, values.mean(), values.deviation());
        if values.rows() < 3 || deviation == 0.0 {
            return Edges::even(values.least(), values.greatest(), 1);
        }
        let usual = (6.0 * (rows - 2.0) / ((rows + 1.0) * (rows + 3.0))).sqrt();
        let skewness = values.mean_of(|value| ((value - mean) / deviation).powi(3));
        let parts = 1.0 + rows.log2() + (1.0 + skewness.abs() / usual).log2();
        Edges::of_parts(values, parts, numbers)
    }

    fn of_parts(values: Sample<'_>, parts: f64, numbers: Numbers) -> Edges {
        let (least, greatest) = (values.least(), values.greatest());
        let mut width = (greatest - least) / parts;
        if width == 0.0 {
            return Edges::even(least, greatest, 1);
        }
        if numbers == Numbers::Whole {
            width = width.max(1.0);
        }
        // Parts that are not whole make one bin more, and so may rounding: as NumPy divides.
        let bins = ((greatest - least) / width).ceil();
        Edges::even(least, greatest, bins as u32)
    }

    /// Equally wide bins over both sides; Frouros has 10.
    ///
    /// # Example
    /// ```
    /// use tidegate_operators::statistics::bins::Edges;
    /// use tidegate_operators::statistics::{Smoothing, divergence::psi, sample::Sample, shares_of};
    ///
    /// let h = |i: u32| f64::from(7919 * i % 1000) / 1000.0;
    /// let mut reference: Vec<f64> = (0..500).map(h).collect();
    /// let mut current: Vec<f64> = (500..900).map(|i| h(i) * h(i) + 0.1).collect();
    /// let reference = Sample::sort(&mut reference).expect("finite numbers");
    /// let current = Sample::sort(&mut current).expect("finite numbers");
    ///
    /// let edges = Edges::of_both_evenly(reference, current, 10);
    /// let counts = edges.count_both(reference.values(), current.values());
    /// let shares = shares_of(&counts, Smoothing::Floor(f64::MIN_POSITIVE)).expect("both have rows");
    /// assert!((psi(&shares) - 0.31037566154664875).abs() < 1e-13);
    /// ```
    #[must_use]
    pub fn of_both_evenly(reference: Sample<'_>, current: Sample<'_>, bins: u32) -> Edges {
        let least = reference.least().min(current.least());
        Edges::even(least, reference.greatest().max(current.greatest()), bins)
    }

    /// Evidently's edges: Sturges' rule over all rows of both sides if the reference has more than 20
    /// distinct values, else a bin for each distinct value of both. (Its Hellinger distance has others:
    /// Sturges' rule over the *distinct* values of both.)
    ///
    /// # Example
    /// ```
    /// use tidegate_operators::statistics::bins::{Edges, Numbers};
    /// use tidegate_operators::statistics::{Smoothing, divergence::psi, sample::Sample, shares_of};
    ///
    /// let h = |i: u32| f64::from(7919 * i % 1000) / 1000.0;
    /// let mut reference: Vec<f64> = (0..500).map(h).collect();
    /// let mut current: Vec<f64> = (500..900).map(|i| h(i) * h(i) + 0.1).collect();
    /// let reference = Sample::sort(&mut reference).expect("finite numbers");
    /// let current = Sample::sort(&mut current).expect("finite numbers");
    ///
    /// let edges = Edges::of_both_as_evidently(reference, current, Numbers::Real);
    /// let counts = edges.count_both(reference.values(), current.values());
    /// let shares = shares_of(&counts, Smoothing::FillEmpty).expect("both have rows");
    /// assert!((psi(&shares) - 1.232938916112831).abs() < 1e-13);
    /// ```
    #[must_use]
    pub fn of_both_as_evidently(
        reference: Sample<'_>,
        current: Sample<'_>,
        numbers: Numbers,
    ) -> Edges {
        let both = reference.merged(current);
        let both = Sample(&both);
        match reference.distinct().len() > 20 {
            true => Edges::sturges(both, numbers),
            false => Edges::distinct(both),
        }
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

/// From where to where bins go: values that are all equal get room.
fn outer(least: f64, greatest: f64) -> (f64, f64) {
    match least == greatest {
        true => (least - 0.5, greatest + 0.5),
        false => (least, greatest),
    }
}

#[cfg(test)]
mod tests;
