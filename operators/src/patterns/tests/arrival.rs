//! Patterns through the driver.

use rand::rngs::SmallRng;

use super::super::oracle::matches;
use super::random::{random_bits, random_spec};
use super::*;
use crate::bed::facts::word;
use crate::driver::tests::history::{Subject, check_every_tick, check_workers};
use crate::sessions::oracle::SessionRow;

impl Subject for PatternSpec {
    type Logic = Pattern;

    fn random(random: &mut SmallRng) -> PatternSpec {
        random_spec(random)
    }

    fn bits(random: &mut SmallRng) -> u64 {
        random_bits(random)
    }

    fn words(random: &mut SmallRng) -> Vec<i64> {
        vec![word(random), word(random)]
    }

    fn logic(&self) -> Pattern {
        Pattern::new(self.clone())
    }

    fn columns(&self) -> Vec<usize> {
        vec![self.width()]
    }

    fn rows(&self, facts: &[Fact<'_>], clock: EventTime) -> Vec<(usize, SessionRow)> {
        let rows = matches(self, facts, clock).into_iter();
        rows.map(|row| (0, row)).collect()
    }
}

#[test]
fn at_every_tick_the_matches_are_those_of_the_facts_so_far() {
    check_every_tick::<PatternSpec>(500);
}

#[test]
fn one_to_four_workers_give_the_same_matches() {
    check_workers::<PatternSpec>();
}
