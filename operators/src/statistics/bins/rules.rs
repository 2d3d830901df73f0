//! How edges are chosen: by the reference, evenly, and as libraries do.

use super::super::sample::Sample;
use super::{Edges, Ends, Numbers};

impl Edges {
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
}

/// From where to where bins go: values that are all equal get room.
fn outer(least: f64, greatest: f64) -> (f64, f64) {
    match least == greatest {
        true => (least - 0.5, greatest + 0.5),
        false => (least, greatest),
    }
}
