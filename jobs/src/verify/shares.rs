//! Work that grows with the square of a key's rows: cut into shares, and left out where it is too much.

use arrow::array::RecordBatch;

use super::error::VerifyError;
use super::expected::Unknown;
use super::shown::{Owners, wholes};

/// The keys of a query, in shares that fit.
pub(super) struct Shares {
    /// First and last key of each.
    pub(super) ranges: Vec<(i128, i128)>,
    /// Keys that are too much alone.
    pub(super) left_out: Vec<i128>,
    most: u64,
}

impl Shares {
    /// Cuts the keys of `costs`, rows of key and cost in the order of keys, into shares that cost
    /// `most` each.
    pub(super) fn of(costs: &RecordBatch, most: u64) -> Result<Shares, VerifyError> {
        let keys = wholes(costs.column(0))?.into_iter().flatten();
        let costs = wholes(costs.column(1))?;
        let costs = costs.into_iter().map(|cost| cost.unwrap_or(0) as u64);
        let mut shares = Shares {
            ranges: Vec::new(),
            left_out: Vec::new(),
            most,
        };
        let mut sum = u64::MAX;
        for (key, cost) in keys.zip(costs) {
            if cost > most {
                shares.left_out.push(key);
                sum = u64::MAX;
                continue;
            }
            sum = sum.saturating_add(cost);
            match shares.ranges.last_mut() {
                Some((_, last)) if sum <= most => *last = key,
                _ => {
                    shares.ranges.push((key, key));
                    sum = cost;
                }
            }
        }
        Ok(shares)
    }

    /// What is not known because a key was left out. `keys` are those of the rows.
    pub(super) fn unknown(&self, owners: &Owners, keys: &[i128], pairs: &str) -> Unknown {
        if self.left_out.is_empty() {
            return Unknown::Nothing;
        }
        let rows: Vec<bool> = keys
            .iter()
            .map(|key| self.left_out.binary_search(key).is_ok())
            .collect();
        debug_assert_eq!(rows.len(), owners.0.len());
        let why = format!(
            "{} keys have more than {} pairs of {pairs}",
            self.left_out.len(),
            self.most
        );
        match rows.contains(&true) {
            true => Unknown::Rows(rows, why),
            false => Unknown::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};
    use std::sync::Arc;

    #[test]
    fn keys_are_shared_out_in_order_and_large_ones_left_out() {
        let columns: [(&str, ArrayRef); 2] = [
            ("k", Arc::new(Int64Array::from(vec![1, 2, 4, 5, 7, 8]))),
            ("n", Arc::new(Int64Array::from(vec![4, 6, 11, 3, 8, 2]))),
        ];
        let costs = RecordBatch::try_from_iter(columns).unwrap();
        let shares = Shares::of(&costs, 10).unwrap();
        assert_eq!(shares.ranges, [(1, 2), (5, 5), (7, 8)]);
        assert_eq!(shares.left_out, [4]);
    }
}
