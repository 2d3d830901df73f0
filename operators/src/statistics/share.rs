//! From counts to shares: both sides' categories beside each other, and what share an empty one has.

use super::Histogram;

/// What a category's share is, in particular that of a category without rows: there the logarithm
/// of a plain share would be infinite, so *this choice is most of the result* when a category is
/// new or gone. One new category at a tenth of the rows makes a PSI of 0.6 by Laplace's rule, 1.1 by
/// Evidently's, 2.5 by Scouter's and 71 by Frouros'.
///
/// Each side is treated by itself. The plain share is count / rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Smoothing {
    /// Share = (count + c) / (rows + c · k), with k categories. The shares add up to one.
    /// 0.5 is Jeffreys' rule, 1 is Laplace's, 1e-6 that of Hopsworks.
    AddToCounts(f64),
    /// The plain share plus this. The shares are *not* scaled back to one. 1e-10 is Scouter's rule.
    AddToShares(f64),
    /// The plain share, raised to this where it is less. The shares are *not* scaled back to
    /// one. `Floor(0.0)` is no smoothing at all; `Floor(f64::MIN_POSITIVE)` is Frouros' rule.
    Floor(f64),
    /// As [`Smoothing::Floor`], and the shares are scaled back to one.
    FloorToOne(f64),
    /// Evidently's rule: the plain share, and where it is zero 0.0001, or a millionth of the side's
    /// smallest share that is not zero if that is at most 0.0001. Not scaled back to one.
    FillEmpty,
    /// Chronon's rule, there with 1e-6: if a category is empty, every other one gives this much of its
    /// share, and the empty ones divide it evenly. The shares add up to one. A share that is no larger
    /// gives nothing (in Chronon it becomes negative, and PSI not a number).
    MoveToEmpty(f64),
}

impl Smoothing {
    /// Whether it makes shares of counts: its amount, if it has one, is a finite number that is not
    /// negative.
    #[must_use]
    pub fn is_valid(self) -> bool {
        match self {
            Smoothing::AddToCounts(amount)
            | Smoothing::AddToShares(amount)
            | Smoothing::Floor(amount)
            | Smoothing::FloorToOne(amount)
            | Smoothing::MoveToEmpty(amount) => amount.is_finite() && amount >= 0.0,
            Smoothing::FillEmpty => true,
        }
    }

    /// Turns one side's counts into shares; there are rows.
    fn apply(self, counts: impl ExactSizeIterator<Item = i64> + Clone) -> Vec<f64> {
        let rows = counts.clone().sum::<i64>() as f64;
        let categories = counts.len() as f64;
        let plain = counts.map(|count| count as f64);
        if let Smoothing::AddToCounts(c) = self {
            return plain
                .map(|count| (count + c) / (rows + c * categories))
                .collect();
        }
        let mut shares: Vec<f64> = plain.map(|count| count / rows).collect();
        match self {
            Smoothing::AddToCounts(_) => {}
            Smoothing::AddToShares(more) => shares.iter_mut().for_each(|share| *share += more),
            Smoothing::Floor(least) => raise(&mut shares, least),
            Smoothing::FloorToOne(least) => {
                raise(&mut shares, least);
                let sum: f64 = shares.iter().sum();
                shares.iter_mut().for_each(|share| *share /= sum);
            }
            Smoothing::FillEmpty => {
                let some = shares.iter().copied().filter(|share| *share > 0.0);
                let smallest = some.fold(1.0, f64::min);
                let fill = if smallest <= 1e-4 {
                    smallest / 1e6
                } else {
                    1e-4
                };
                let empty = shares.iter_mut().filter(|share| **share == 0.0);
                empty.for_each(|share| *share = fill);
            }
            Smoothing::MoveToEmpty(part) => move_to_empty(&mut shares, part),
        }
        shares
    }
}

fn raise(shares: &mut [f64], least: f64) {
    shares
        .iter_mut()
        .for_each(|share| *share = share.max(least));
}

fn move_to_empty(shares: &mut [f64], part: f64) {
    let empty = shares.iter().filter(|share| **share == 0.0).count();
    if empty == 0 {
        return;
    }
    let givers = shares.iter().filter(|share| **share > part).count();
    let fill = part * givers as f64 / empty as f64;
    for share in shares {
        if *share == 0.0 {
            *share = fill;
        } else if *share > part {
            *share -= part;
        }
    }
}

/// One category's rows on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// How many rows of the reference it has.
    pub reference: i64,
    /// How many of the rows that are compared with it.
    pub current: i64,
}

/// One category's share of the rows on both sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Its share of the reference.
    pub reference: f64,
    /// Its share of the rows that are compared with it.
    pub current: f64,
}

/// The shares of every category that has rows on either side, in the order of the codes.
/// `None` when one of the sides has no rows.
///
/// # Panics
/// When a count is negative: rows were taken back that had never been given.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::{Histogram, Share, Smoothing, shares};
///
/// let reference = Histogram::from_iter([(1, 3), (2, 1)]);
/// let current = Histogram::from_iter([(1, 2)]);
/// let shares = shares(&reference, &current, Smoothing::FillEmpty);
/// let [first, second] = [(0.75, 1.0), (0.25, 1e-4)].map(|(reference, current)| Share { reference, current });
/// assert_eq!(shares, Some(vec![first, second]));
/// ```
#[must_use]
pub fn shares(
    reference: &Histogram,
    current: &Histogram,
    smoothing: Smoothing,
) -> Option<Vec<Share>> {
    if reference.is_empty() || current.is_empty() {
        return None;
    }
    shares_of(&side_by_side(reference, current), smoothing)
}

/// The shares of these categories or bins, in their order, empty ones too. `None` when one of the
/// sides has no rows.
///
/// # Panics
/// When a count is negative.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::divergence::psi;
/// use tidegate_operators::statistics::{Counts, Smoothing, shares_of};
///
/// let counts = [(50, 20), (30, 30), (20, 40), (0, 10)]
///     .map(|(reference, current)| Counts { reference, current });
/// let psi_by = |smoothing| shares_of(&counts, smoothing).map_or(f64::NAN, |shares| psi(&shares));
/// assert!((psi_by(Smoothing::AddToCounts(1.0)) - 0.61518308805412).abs() < 1e-14);
/// assert!((psi_by(Smoothing::FillEmpty) - 1.103601408044551).abs() < 1e-14);
/// assert!((psi_by(Smoothing::MoveToEmpty(1e-6)) - 1.4549169072336008).abs() < 1e-14);
/// assert!((psi_by(Smoothing::AddToShares(1e-10)) - 2.4858432393288767).abs() < 1e-14);
/// ```
#[must_use]
pub fn shares_of(counts: &[Counts], smoothing: Smoothing) -> Option<Vec<Share>> {
    let (mut of_reference, mut of_current) = (0, 0);
    for (place, counts) in counts.iter().enumerate() {
        assert!(
            counts.reference >= 0 && counts.current >= 0,
            "category {place} has negative rows: {counts:?}"
        );
        of_reference += counts.reference;
        of_current += counts.current;
    }
    if of_reference == 0 || of_current == 0 {
        return None;
    }
    let reference = smoothing.apply(counts.iter().map(|counts| counts.reference));
    let current = smoothing.apply(counts.iter().map(|counts| counts.current));
    let both = reference.into_iter().zip(current);
    Some(
        both.map(|(reference, current)| Share { reference, current })
            .collect(),
    )
}

/// The counts of every category that has rows on either side, in the order of the codes.
///
/// # Panics
/// When a count is negative: rows were taken back that had never been given.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::{Counts, Histogram, side_by_side};
///
/// let reference = Histogram::from_iter([(1, 3), (5, 1)]);
/// let current = Histogram::from_iter([(5, 7)]);
/// let counts = [(3, 0), (1, 7)].map(|(reference, current)| Counts { reference, current });
/// assert_eq!(side_by_side(&reference, &current), counts);
/// ```
#[must_use]
pub fn side_by_side(reference: &Histogram, current: &Histogram) -> Vec<Counts> {
    let mut both = Vec::with_capacity(reference.categories().max(current.categories()));
    let (mut left, mut right) = (reference.iter().peekable(), current.iter().peekable());
    loop {
        let category = match (left.peek(), right.peek()) {
            (Some((a, _)), Some((b, _))) => *a.min(b),
            (Some((a, _)), None) => *a,
            (None, Some((b, _))) => *b,
            (None, None) => return both,
        };
        let of_reference = left.next_if(|(a, _)| *a == category).map_or(0, |(_, n)| n);
        let of_current = right.next_if(|(b, _)| *b == category).map_or(0, |(_, n)| n);
        assert!(
            of_reference >= 0 && of_current >= 0,
            "category {category} has {of_reference} rows in the reference and {of_current} beside \
             it: rows were taken back that had never been given"
        );
        both.push(Counts {
            reference: of_reference,
            current: of_current,
        });
    }
}

/// The same shares scaled so that those of each side add up to one, as SciPy's `entropy` and
/// `jensenshannon` do with what they are given, and with them Evidently.
///
/// # Example
/// ```
/// use tidegate_operators::statistics::{Share, to_one};
///
/// let share = |reference, current| Share { reference, current };
/// let scaled = to_one(&[share(3.0, 1.0), share(1.0, 1.0)]);
/// assert_eq!(scaled, [share(0.75, 0.5), share(0.25, 0.5)]);
/// ```
#[must_use]
pub fn to_one(shares: &[Share]) -> Vec<Share> {
    let reference: f64 = shares.iter().map(|share| share.reference).sum();
    let current: f64 = shares.iter().map(|share| share.current).sum();
    let scaled = |share: &Share| Share {
        reference: share.reference / reference,
        current: share.current / current,
    };
    shares.iter().map(scaled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Smoothing; 8] = [
        Smoothing::AddToCounts(0.5),
        Smoothing::AddToCounts(0.0),
        Smoothing::AddToShares(1e-10),
        Smoothing::Floor(1e-4),
        Smoothing::Floor(0.0),
        Smoothing::FloorToOne(1e-4),
        Smoothing::FillEmpty,
        Smoothing::MoveToEmpty(1e-6),
    ];

    fn both(counts: &[(i64, i64)]) -> Vec<Counts> {
        let pair = |&(reference, current)| Counts { reference, current };
        counts.iter().map(pair).collect()
    }

    /// The shares of a reference; the other side is there only to be there.
    fn of_reference(counts: &[i64], smoothing: Smoothing) -> Vec<f64> {
        let counts: Vec<_> = counts.iter().map(|count| (*count, 1)).collect();
        let shares = shares_of(&both(&counts), smoothing).expect("both sides have rows");
        shares.iter().map(|share| share.reference).collect()
    }

    #[test]
    fn both_sides_share_the_union_of_their_categories() {
        let reference = Histogram::from_iter([(1, 3), (5, 1)]);
        let current = Histogram::from_iter([(5, 1), (9, 1), (-4, 2)]);
        assert_eq!(
            side_by_side(&reference, &current),
            both(&[(0, 2), (3, 0), (1, 1), (0, 1)])
        );
        let shares = shares(&reference, &current, Smoothing::AddToCounts(0.5));
        let shares = shares.expect("both sides have rows");
        assert_eq!(shares[1].reference, 3.5 / 6.0);
        assert_eq!(shares[0].current, 2.5 / 6.0);
    }

    #[test]
    fn each_rule_gives_what_it_says() {
        for (smoothing, expected) in [
            (
                Smoothing::AddToCounts(1.0),
                [4.0 / 7.0, 2.0 / 7.0, 1.0 / 7.0],
            ),
            (Smoothing::AddToShares(0.5), [1.25, 0.75, 0.5]),
            (Smoothing::Floor(0.5), [0.75, 0.5, 0.5]),
            (Smoothing::Floor(0.0), [0.75, 0.25, 0.0]),
            (Smoothing::FloorToOne(0.25), [0.6, 0.2, 0.2]),
            (Smoothing::FillEmpty, [0.75, 0.25, 1e-4]),
            (Smoothing::MoveToEmpty(0.0625), [0.6875, 0.1875, 0.125]),
        ] {
            assert_eq!(
                of_reference(&[3, 1, 0], smoothing),
                expected,
                "{smoothing:?}"
            );
        }
    }

    #[test]
    fn a_fill_is_a_millionth_of_shares_that_are_small_themselves() {
        let shares = of_reference(&[9_999, 1, 0], Smoothing::FillEmpty);
        assert_eq!(shares, [0.9999, 1e-4, 1e-4 / 1e6]);
        let shares = of_reference(&[9_998, 2, 0], Smoothing::FillEmpty);
        assert_eq!(shares[2], 1e-4);
    }

    #[test]
    fn nothing_is_moved_to_where_nothing_is_empty_or_from_where_there_is_too_little() {
        let smoothing = Smoothing::MoveToEmpty(0.25);
        assert_eq!(of_reference(&[3, 1], smoothing), [0.75, 0.25]);
        assert_eq!(of_reference(&[3, 1, 0], smoothing), [0.5, 0.25, 0.25]);
    }

    #[test]
    fn shares_add_up_to_one_where_it_says_so() {
        let counts = [17, 0, 4, 0, 1, 90_000];
        for smoothing in ALL {
            let sum: f64 = of_reference(&counts, smoothing).iter().sum();
            let scaled = !matches!(
                smoothing,
                Smoothing::AddToShares(_) | Smoothing::Floor(1e-4) | Smoothing::FillEmpty
            );
            assert_eq!((sum - 1.0).abs() < 1e-15, scaled, "{smoothing:?} {sum}");
        }
    }

    #[test]
    fn amounts_that_make_no_shares_are_not_valid() {
        assert!(ALL.into_iter().all(Smoothing::is_valid));
        assert!(!Smoothing::Floor(f64::NAN).is_valid());
        assert!(!Smoothing::AddToCounts(-0.5).is_valid());
        assert!(!Smoothing::MoveToEmpty(f64::INFINITY).is_valid());
    }

    #[test]
    fn without_rows_on_both_sides_there_are_no_shares() {
        let some = Histogram::from_iter([(1, 1)]);
        let none = Histogram::default();
        for smoothing in ALL {
            assert_eq!(shares(&some, &none, smoothing), None);
            assert_eq!(shares(&none, &some, smoothing), None);
            assert_eq!(shares_of(&both(&[(1, 0)]), smoothing), None);
            assert_eq!(shares_of(&[], smoothing), None);
        }
    }

    #[test]
    #[should_panic(expected = "never been given")]
    fn rows_taken_back_that_were_never_given_are_told() {
        let some = Histogram::from_iter([(1, 1)]);
        let _ = shares(
            &some,
            &Histogram::from_iter([(1, 1), (2, -1)]),
            Smoothing::Floor(0.0),
        );
    }
}
