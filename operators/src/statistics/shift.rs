//! Plain differences: of missing values, new categories, means and quantiles.

use super::sample::Sample;
use super::{Counts, Histogram};

/// The share of rows without a value: from 0 to 1. `None` without rows.
///
/// # Panics
/// When more are missing than there are.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::shift::missing_rate;
///
/// assert_eq!(missing_rate(5, 20), Some(0.25));
/// assert_eq!(missing_rate(0, 0), None);
/// ```
#[must_use]
pub fn missing_rate(missing: u64, rows: u64) -> Option<f64> {
    assert!(missing <= rows, "{missing} of {rows} rows are missing");
    (rows > 0).then(|| missing as f64 / rows as f64)
}

/// How much the missing rate of the current rows is above that of the reference, each given as
/// (missing, rows): from −1 to 1. `None` when one of the sides has no rows.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::shift::missing_shift;
///
/// assert_eq!(missing_shift((1, 4), (3, 4)), Some(0.5));
/// ```
#[must_use]
pub fn missing_shift(reference: (u64, u64), current: (u64, u64)) -> Option<f64> {
    let rate = |(missing, rows)| missing_rate(missing, rows);
    Some(rate(current)? - rate(reference)?)
}

/// The share of the current rows that are of categories the reference lacks: from 0 to 1. `None`
/// without current rows.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::{Histogram, shift::new_category_rate};
///
/// let reference = Histogram::from_iter([(1, 50), (2, 30), (3, 20)]);
/// let current = Histogram::from_iter([(1, 20), (2, 30), (3, 40), (4, 10)]);
/// assert_eq!(new_category_rate(&reference, &current), Some(0.1));
/// ```
#[must_use]
pub fn new_category_rate(reference: &Histogram, current: &Histogram) -> Option<f64> {
    let new = |here: &Counts| here.reference == 0;
    let counts = super::side_by_side(reference, current);
    let rows: i64 = counts
        .iter()
        .filter(|here| new(here))
        .map(|here| here.current)
        .sum();
    (current.rows() > 0).then(|| rows as f64 / current.rows() as f64)
}

/// The mean of the current rows less that of the reference, in the unit of the column.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::{sample::Sample, shift};
///
/// let (reference, current) = ([1.0, 2.0], [2.0, 3.0, 4.0]);
/// let reference = Sample::sorted(&reference).expect("ascending");
/// let current = Sample::sorted(&current).expect("ascending");
/// assert_eq!(shift::mean(reference, current), 1.5);
/// assert_eq!(shift::quantile(reference, current, 0.5), 1.5);
/// ```
#[must_use]
pub fn mean(reference: Sample<'_>, current: Sample<'_>) -> f64 {
    current.mean() - reference.mean()
}

/// A quantile (type 7, linear) of the current rows less that of the reference, in the unit of the
/// column. The level 0.5 is the median; 0 and 1 are the least and the greatest value.
///
/// # Panics
/// When `level` is not from 0 to 1.
#[must_use]
pub fn quantile(reference: Sample<'_>, current: Sample<'_>, level: f64) -> f64 {
    current.quantile(level) - reference.quantile(level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{golden, wasserstein};

    #[test]
    fn what_is_shifted_by_a_number_is_shifted_by_it_everywhere() {
        let values = golden::reference();
        let shifted: Vec<f64> = values.iter().map(|value| value + 0.25).collect();
        let reference = Sample::sorted(&values).expect("ascending");
        let current = Sample::sorted(&shifted).expect("ascending");
        assert!((mean(reference, current) - 0.25).abs() < 1e-15);
        assert!((wasserstein::distance(reference, current) - 0.25).abs() < 1e-14);
        for level in [0.0, 0.05, 0.5, 0.99, 1.0] {
            assert!((quantile(reference, current, level) - 0.25).abs() < 1e-15);
            assert_eq!(quantile(reference, reference, level), 0.0);
        }
    }

    #[test]
    fn rates_of_nothing_are_unknown() {
        let some = Histogram::from_iter([(1, 4)]);
        let none = Histogram::default();
        assert_eq!(new_category_rate(&some, &none), None);
        assert_eq!(new_category_rate(&none, &some), Some(1.0));
        assert_eq!(new_category_rate(&some, &some), Some(0.0));
        assert_eq!(missing_shift((0, 0), (1, 1)), None);
        assert_eq!(missing_shift((2, 2), (0, 7)), Some(-1.0));
    }
}
