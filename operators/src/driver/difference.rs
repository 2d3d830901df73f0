//! The difference of two outputs of one key: what has to be sent so that the second one holds.

use std::ops::Range;

use tidegate_schemas::rows::Rows;

use crate::logic::Outputs;

/// Adds `new − old` to `to`, where `old` and `new` are what a logic put out before and after a
/// correction. Rows that stand in both are not sent.
pub(super) fn difference(old: &Outputs, new: &Outputs, to: &mut Outputs) {
    difference_to(old, old.rows.iter().map(|rows| 0..rows.len()), new, to);
}

/// The same for those rows of `old` that stand in `parts`, by output.
pub(super) fn difference_to(
    old: &Outputs,
    parts: impl Iterator<Item = Range<usize>>,
    new: &Outputs,
    to: &mut Outputs,
) {
    let outputs = old.rows.iter().zip(parts).zip(&new.rows);
    for (((old, part), new), to) in outputs.zip(&mut to.rows) {
        difference_of_rows(old, part, new, to);
    }
}

fn difference_of_rows(old: &Rows, part: Range<usize>, new: &Rows, to: &mut Rows) {
    let same =
        |a: usize, b: usize| old.heads[a].diff == new.heads[b].diff && old.same_row(a, new, b);
    let shorter = part.len().min(new.len());
    let start = (0..shorter)
        .take_while(|i| same(part.start + i, *i))
        .count();
    let end = (0..shorter - start)
        .take_while(|i| same(part.end - 1 - i, new.len() - 1 - i))
        .count();
    // In between, rows mostly correspond in order: the search for a partner starts where the last
    // one was found.
    let mut taken = vec![false; new.len() - end - start];
    let mut from = 0;
    for a in part.start + start..part.end - end {
        let partner = (from..taken.len())
            .chain(0..from)
            .find(|b| !taken[*b] && same(a, start + b));
        match partner {
            Some(b) => {
                taken[b] = true;
                from = b + 1;
            }
            None => to.append_row(old, a, -old.heads[a].diff),
        }
    }
    for (b, taken) in taken.iter().enumerate() {
        if !taken {
            to.append_row(new, start + b, new.heads[start + b].diff);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_schemas::time::EventTime;

    fn outputs(values: &[i64]) -> Outputs {
        let mut out = Outputs::new(&[1]);
        out.set_key("k");
        for value in values {
            out.begin(0, EventTime(0), 1)[0].push(*value);
        }
        out
    }

    fn sent(old: &[i64], new: &[i64]) -> Vec<(i64, i32)> {
        let mut to = Outputs::new(&[1]);
        difference(&outputs(old), &outputs(new), &mut to);
        let rows = &to.rows[0];
        rows.columns[0]
            .words
            .iter()
            .copied()
            .zip(rows.heads.iter().map(|h| h.diff))
            .collect()
    }

    #[test]
    fn a_part_of_the_old_rows_is_enough() {
        let mut to = Outputs::new(&[1]);
        let old = outputs(&[7, 1, 2, 3, 7]);
        difference_to(&old, std::iter::once(1..4), &outputs(&[1, 5, 3]), &mut to);
        assert_eq!(to.rows[0].columns[0].words, [2, 5]);
    }

    #[test]
    fn only_what_differs_is_sent() {
        assert_eq!(sent(&[], &[]), []);
        assert_eq!(sent(&[1, 2, 3], &[1, 2, 3]), []);
        assert_eq!(sent(&[1, 2, 3], &[1, 5, 3]), [(2, -1), (5, 1)]);
        assert_eq!(sent(&[1, 3], &[1, 2, 3]), [(2, 1)]);
        assert_eq!(sent(&[1, 2, 3], &[3, 1]), [(2, -1)]);
        assert_eq!(sent(&[4, 4], &[4]), [(4, -1)]);
    }
}
