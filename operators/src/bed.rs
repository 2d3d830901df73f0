//! The test bed: what the random tests of operators do alike. How many cases are tried and by how many workers,
//! how facts arrive ([`facts`]), how a dataflow runs and what it leaves ([`play`]), how one key is stepped ([`stepper`]).

use std::ops::{Range, RangeInclusive};

pub(crate) mod facts;
pub(crate) mod play;
pub(crate) mod stepper;

/// The seeds of the cases that are tried: `usual` many from 0 on. `TIDEGATE_CASES` says how many instead, and
/// `TIDEGATE_SEED` where they begin.
pub(crate) fn seeds(usual: u64) -> Range<u64> {
    let first = number("TIDEGATE_SEED").unwrap_or(0);
    first..first + number("TIDEGATE_CASES").unwrap_or(usual)
}

fn number(name: &str) -> Option<u64> {
    let given = std::env::var(name).ok()?;
    let number = given.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is {given:?}, which is no number of cases")))
}

/// The usual number of cases of a fast test: fewer where the code is not optimised.
pub(crate) fn by_build(plain: u64, optimised: u64) -> u64 {
    match cfg!(debug_assertions) {
        true => plain,
        false => optimised,
    }
}

/// By how many workers a case is run: the first cases by each number from one to four, all others by one of these.
pub(crate) fn crews(seed: u64) -> RangeInclusive<usize> {
    let one = 1 + seed as usize % 4;
    if seed < 200 { 1..=4 } else { one..=one }
}
