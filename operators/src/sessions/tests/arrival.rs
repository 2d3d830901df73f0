//! Sessions through the driver.

use rand::Rng;
use rand::rngs::SmallRng;

use super::super::oracle::{SessionRow, closed, sessions};
use super::random::random_spec;
use super::*;
use crate::bed::by_build;
use crate::bed::facts::word;
use crate::driver::tests::history::{Subject, check_every_tick, check_workers};

impl Subject for SessionsSpec {
    type Logic = Sessions;

    fn random(random: &mut SmallRng) -> SessionsSpec {
        random_spec(random)
    }

    fn bits(random: &mut SmallRng) -> u64 {
        random.random_range(0..4)
    }

    fn words(random: &mut SmallRng) -> Vec<i64> {
        vec![word(random), word(random)]
    }

    fn logic(&self) -> Sessions {
        Sessions::new(self.clone())
    }

    fn columns(&self) -> Vec<usize> {
        vec![self.width(); 2]
    }

    fn rows(&self, facts: &[Fact<'_>], clock: EventTime) -> Vec<(usize, SessionRow)> {
        let rows = sessions(self, facts, clock);
        let closed = closed(self, &rows).into_iter().map(|row| (0, row));
        closed.chain(rows.into_iter().map(|row| (1, row))).collect()
    }
}

#[test]
fn at_every_tick_the_rows_are_those_of_the_facts_so_far() {
    check_every_tick::<SessionsSpec>(by_build(200, 10_000));
}

#[test]
fn one_to_four_workers_give_the_same_sessions() {
    check_workers::<SessionsSpec>();
}
