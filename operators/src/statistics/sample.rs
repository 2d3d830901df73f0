//! Samples of numbers: sorted, finite, never empty, so that what is computed of them always exists.

/// Numbers in ascending order, at least one, all of them finite, and so is the distance between the
/// least and the greatest.
///
/// A missing value is no number and does not belong here: count the missing ones apart
/// (`shift::missing_rate`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a>(pub(super) &'a [f64]);

impl<'a> Sample<'a> {
    /// Sorts the values where they are. `None` if there are none, one is not finite, or they lie further
    /// apart than the largest number.
    ///
    /// # Example
    /// ```
    /// use tidegate_operators::statistics::sample::Sample;
    ///
    /// let mut values = [3.0, 1.0, 2.0];
    /// assert_eq!(Sample::sort(&mut values).map(|it| it.values()), Some(&[1.0, 2.0, 3.0][..]));
    /// assert_eq!(Sample::sort(&mut [1.0, f64::NAN]), None);
    /// ```
    #[must_use]
    pub fn sort(values: &'a mut [f64]) -> Option<Sample<'a>> {
        values.sort_unstable_by(f64::total_cmp);
        Sample::sorted(values)
    }

    /// Takes values that are in ascending order already. `None` if they are not, and as
    /// [`Sample::sort`].
    #[must_use]
    pub fn sorted(values: &'a [f64]) -> Option<Sample<'a>> {
        let (least, greatest) = (values.first()?, values.last()?);
        // The ends being finite, what lies between them in order is finite too.
        let fine = (greatest - least).is_finite() && values.is_sorted();
        fine.then_some(Sample(values))
    }

    /// The values, ascending.
    #[must_use]
    pub fn values(self) -> &'a [f64] {
        self.0
    }

    /// How many there are; never none.
    #[must_use]
    pub fn rows(self) -> usize {
        self.0.len()
    }

    /// The smallest value.
    #[must_use]
    pub fn least(self) -> f64 {
        self.0[0]
    }

    /// The largest value.
    #[must_use]
    pub fn greatest(self) -> f64 {
        self.0[self.0.len() - 1]
    }

    /// Σ x / n, in the unit of the column.
    #[must_use]
    pub fn mean(self) -> f64 {
        self.mean_of(|value| value)
    }

    /// √(Σ (x − mean)² / n): the *population's* deviation, as NumPy's `std` has it by default, in
    /// the unit of the column. 0 for a single value.
    ///
    /// # Example
    /// ```
    /// use tidegate_operators::statistics::sample::Sample;
    ///
    /// let eight = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
    /// let sample = Sample::sorted(&eight).expect("ascending numbers");
    /// assert_eq!((sample.mean(), sample.deviation()), (5.0, 2.0));
    /// ```
    #[must_use]
    pub fn deviation(self) -> f64 {
        let mean = self.mean();
        self.mean_of(|value| (value - mean) * (value - mean)).sqrt()
    }

    /// The mean of a function of the values: a compensated sum (Neumaier's), in ascending order.
    pub(super) fn mean_of(self, of: impl Fn(f64) -> f64) -> f64 {
        let (mut sum, mut lost) = (0.0f64, 0.0);
        for value in self.0.iter().map(|value| of(*value)) {
            let next = sum + value;
            lost += match sum.abs() >= value.abs() {
                true => (sum - next) + value,
                false => (value - next) + sum,
            };
            sum = next;
        }
        (sum + lost) / self.0.len() as f64
    }

    /// The quantile at `level`, by linear interpolation between order statistics (type 7 of Hyndman
    /// and Fan, the default of NumPy, pandas and R): the value at place `level · (n − 1)`, counted
    /// from 0, in the unit of the column.
    ///
    /// # Panics
    /// When `level` is not from 0 to 1.
    ///
    /// # Example
    /// ```
    /// use tidegate_operators::statistics::sample::Sample;
    ///
    /// let sample = Sample::sorted(&[1.0, 2.0, 4.0, 8.0]).expect("ascending numbers");
    /// assert_eq!(sample.quantile(0.5), 3.0);
    /// assert_eq!(sample.quantile(1.0), 8.0);
    /// ```
    #[must_use]
    pub fn quantile(self, level: f64) -> f64 {
        assert!(
            (0.0..=1.0).contains(&level),
            "a quantile has a level from 0 to 1, not {level}"
        );
        let place = level * (self.0.len() - 1) as f64;
        let below = place.floor() as usize;
        let above = (below + 1).min(self.0.len() - 1);
        let (low, high, part) = (self.0[below], self.0[above], place - below as f64);
        // From the nearer end, as NumPy does, so that bins cut at quantiles hold the same rows.
        match part < 0.5 {
            true => low + (high - low) * part,
            false => high - (high - low) * (1.0 - part),
        }
    }

    /// The distinct values, ascending.
    #[must_use]
    pub fn distinct(self) -> Vec<f64> {
        let mut values = self.0.to_vec();
        values.dedup();
        values
    }

    /// The values of both, ascending.
    #[must_use]
    pub fn merged(self, other: Sample<'_>) -> Vec<f64> {
        let mut values = [self.0, other.0].concat();
        values.sort_by(f64::total_cmp);
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ascending_finite_numbers_are_a_sample() {
        for values in [
            &[][..],
            &[2.0, 1.0],
            &[f64::NAN],
            &[1.0, f64::INFINITY],
            &[f64::NEG_INFINITY, 1.0],
            &[0.0, f64::NAN, 1.0],
            &[-1e308, 1e308],
        ] {
            assert_eq!(Sample::sorted(values), None);
        }
        assert!(Sample::sorted(&[0.0, -0.0, 1.0, 1.0]).is_some());
        assert_eq!(Sample::sort(&mut []), None);
    }

    #[test]
    fn one_value_is_every_quantile_of_itself() {
        let one = Sample::sorted(&[7.5]).expect("a number");
        for level in [0.0, 0.3, 1.0] {
            assert_eq!(one.quantile(level), 7.5);
        }
        assert_eq!(one.deviation(), 0.0);
    }

    #[test]
    fn small_values_are_not_lost_beside_large_ones() {
        let values = [-1e16, 1.0, 1.0, 1e16];
        let sample = Sample::sorted(&values).expect("ascending");
        assert_eq!(sample.mean(), 0.5);
    }

    #[test]
    fn samples_merge_in_order() {
        let (left, right) = ([1.0, 3.0, 3.0], [0.0, 3.0]);
        let left = Sample::sorted(&left).expect("ascending");
        let merged = left.merged(Sample::sorted(&right).expect("ascending"));
        assert_eq!(merged, [0.0, 1.0, 3.0, 3.0, 3.0]);
        let merged = Sample::sorted(&merged).expect("ascending");
        assert_eq!(merged.distinct(), [0.0, 1.0, 3.0]);
    }
}
