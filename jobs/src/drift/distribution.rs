//! How the rows of both sides of a column lie: the share of each bin, not more of them than can be shown.

use serde::Serialize;

use super::bins::{Binned, Bins};
use super::sides::Sides;

/// So many bins are told; of more, those with the largest shares, and the others as one.
const MOST_PARTS: usize = 40;
/// So many categories that the reference lacks are told by name.
const MOST_NEW: usize = 10;

/// Where the rows of both sides lie.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Distribution {
    /// How rows were parted.
    pub bins: String,
    /// Bins of numbers in their order, categories by the reference's rows; what was summed up comes last.
    pub parts: Vec<Part>,
    /// How many bins the last part sums up; 0 when all are told.
    pub summed_up: usize,
    /// The categories that the reference lacks, the most frequent ones first.
    pub new: Vec<NewCategory>,
    /// How many more of them there are.
    pub more_new: usize,
}

/// A bin and its rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// What it holds.
    pub bin: String,
    /// Rows of the reference.
    pub reference: u64,
    /// Current rows.
    pub current: u64,
}

/// A category that only the current file has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NewCategory {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
}

impl Distribution {
    /// The distribution by bins that were counted already.
    pub(super) fn of(sides: &Sides<'_>, bins: &Bins, binned: &Binned) -> Distribution {
        let counted = binned.labels.iter().zip(&binned.counts);
        let mut parts: Vec<Part> = counted
            .map(|(bin, counts)| Part {
                bin: bin.clone(),
                reference: counts.reference.unsigned_abs(),
                current: counts.current.unsigned_abs(),
            })
            .collect();
        let mut new = Vec::new();
        if let Sides::Categories(both) = sides {
            parts.sort_by_key(|part| std::cmp::Reverse((part.reference, part.current)));
            let lacking = both.iter().filter(|(_, counts)| counts.reference == 0);
            new.extend(lacking.map(|(name, counts)| NewCategory {
                name: (*name).to_owned(),
                rows: counts.current.unsigned_abs(),
            }));
            new.sort_by_key(|category| std::cmp::Reverse(category.rows));
        }
        let summed_up = sum_up(&mut parts);
        let more_new = new.len().saturating_sub(MOST_NEW);
        new.truncate(MOST_NEW);
        Distribution {
            bins: bins.to_string(),
            parts,
            summed_up,
            new,
            more_new,
        }
    }
}

/// Leaves the parts with the largest shares in their order, and sums the others up behind them; answers how many.
fn sum_up(parts: &mut Vec<Part>) -> usize {
    if parts.len() <= MOST_PARTS {
        return 0;
    }
    let rows = |of: fn(&Part) -> u64| parts.iter().map(of).sum::<u64>().max(1) as f64;
    let (reference, current) = (rows(|part| part.reference), rows(|part| part.current));
    let share = |part: &Part| {
        let [a, b] = [
            part.reference as f64 / reference,
            part.current as f64 / current,
        ];
        a.max(b)
    };
    let mut places: Vec<usize> = (0..parts.len()).collect();
    places.sort_by(|a, b| share(&parts[*b]).total_cmp(&share(&parts[*a])));
    let mut left_out = places.split_off(MOST_PARTS - 1);
    left_out.sort_unstable();
    let mut rest = Part {
        bin: format!("({} more)", left_out.len()),
        reference: 0,
        current: 0,
    };
    for place in left_out.iter().rev() {
        let part = parts.remove(*place);
        rest.reference += part.reference;
        rest.current += part.current;
    }
    parts.push(rest);
    left_out.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_parts_the_small_ones_are_summed_up_and_no_row_is_lost() {
        let part = |n: u64| Part {
            bin: n.to_string(),
            reference: n,
            current: 100 - n,
        };
        let mut parts: Vec<Part> = (1..=100).map(part).collect();
        assert_eq!(sum_up(&mut parts), 61);
        assert_eq!(parts.len(), MOST_PARTS);
        assert_eq!(parts.iter().map(|part| part.reference).sum::<u64>(), 5050);
        assert_eq!(parts.iter().map(|part| part.current).sum::<u64>(), 4950);
        assert_eq!(parts[0].bin, "1");
        assert_eq!(parts[38].bin, "100");
        assert_eq!(parts[39].bin, "(61 more)");
        let mut few: Vec<Part> = (1..=40).map(part).collect();
        assert_eq!(sum_up(&mut few), 0);
        assert_eq!(few.len(), 40);
    }
}
