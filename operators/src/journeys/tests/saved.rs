//! What is kept behind the keys may be saved after any tick, and read back by another number of workers.

use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::EventTime;

use super::super::transitions::Tally;
use super::random::{Case, Given, KEYS, case};
use super::*;
use crate::bed::seeds;

/// Everything that is kept behind the keys, stepped by hand.
struct Kept {
    transitions: Transitions,
    predictor: Predictor,
    scores: Scores,
    holdout: HoldOut,
}

impl Kept {
    fn new(case: &Case) -> Kept {
        let names = || Arc::clone(&case.names);
        Kept {
            transitions: Transitions::new(Firing::Changes),
            predictor: Predictor::new(case.order, names()),
            scores: Scores::new(Firing::Changes, case.order),
            holdout: HoldOut::new(case.order, case.split, names()),
        }
    }

    fn tick(
        &mut self,
        moves: &Rows,
        steps: &Rows,
        paths: &Rows,
        watermark: EventTime,
    ) -> Vec<Rows> {
        let mut tally = Tally::default();
        tally.add(moves);
        tally
            .drain()
            .for_each(|delta| self.transitions.apply(delta));
        if let Some(scores) = self.predictor.tick(Step::of(steps).collect(), watermark) {
            self.scores.add(&scores);
        }
        let rows = [
            self.transitions.close(watermark),
            self.scores.close(watermark),
            self.holdout.tick(Path::of(paths).collect(), watermark),
        ];
        rows.into_iter().flatten().collect()
    }

    /// Taken apart by so many workers, saved, read back, and joined.
    fn back(&self, case: &Case, rng: &mut SmallRng) -> Kept {
        let workers = rng.random_range(1..4);
        let mut whole = Kept::new(case);
        for worker in 0..workers {
            let owned = |kind: i64| kind as u64 % workers == worker;
            let (mut transitions, mut predictor) =
                (self.transitions.clone(), self.predictor.clone());
            transitions.retain(owned);
            predictor.retain(owned);
            let mut to = Writer::default();
            transitions.encode(&mut to);
            predictor.encode(&mut to);
            let from = &mut Reader::new(&to.bytes);
            let back = Transitions::decode(Firing::Changes, from).expect("it was just written");
            assert_eq!(back, transitions);
            whole.transitions.join(back);
            let back = Predictor::decode(case.order, Arc::clone(&case.names), from);
            let back = back.expect("it was just written");
            assert_eq!(back, predictor);
            whole.predictor.join(back);
            assert!(from.is_empty());
            for _ in 0..50 {
                let cut = rng.random_range(0..to.bytes.len());
                let from = &mut Reader::new(&to.bytes[..cut]);
                let counts = Transitions::decode(Firing::Changes, from);
                let names = Arc::clone(&case.names);
                assert!(counts.is_err() || Predictor::decode(case.order, names, from).is_err());
            }
        }
        let mut to = Writer::default();
        self.scores.encode(&mut to);
        self.holdout.encode(&mut to);
        let from = &mut Reader::new(&to.bytes);
        whole.scores = Scores::decode(Firing::Changes, case.order, from).expect("just written");
        assert_eq!(whole.scores, self.scores);
        whole.holdout.decode(from).expect("it was just written");
        assert!(from.is_empty());
        whole
    }
}

#[test]
fn what_is_saved_and_read_back_between_any_ticks_goes_on_as_before() {
    for seed in seeds(40) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let case = case(&mut rng);
        let facts: Vec<Given> = case
            .ticks
            .iter()
            .flat_map(|tick| &tick.given)
            .copied()
            .collect();
        let (mut one, mut other) = (Kept::new(&case), Kept::new(&case));
        let mut ticks: Vec<(Vec<Given>, EventTime)> = Vec::new();
        for part in facts.chunks(rng.random_range(1..30)) {
            ticks.push((part.to_vec(), EventTime(i64::MIN)));
        }
        ticks.push((vec![], EventTime::MAX));
        for (given, watermark) in ticks {
            let mut out = outputs();
            for key in 0..KEYS.len() {
                let mut given: Vec<Given> = given
                    .iter()
                    .copied()
                    .filter(|g| g.key as usize == key)
                    .collect();
                given.sort_by_key(|given| (given.at, given.id));
                let facts: Vec<(i64, i64)> = given
                    .iter()
                    .map(|given| (given.at, given.words[0]))
                    .collect();
                for (rows, more) in out.rows.iter_mut().zip(run(&case.logic(), &facts)) {
                    (0..more.len()).for_each(|row| rows.append_row(&more, row, 1));
                }
            }
            let [moves, steps, paths] = &out.rows[..] else {
                unreachable!("there are three outputs");
            };
            let expected = one.tick(moves, steps, paths, watermark);
            assert_eq!(
                other.tick(moves, steps, paths, watermark),
                expected,
                "seed {seed}"
            );
            other = other.back(&case, &mut rng);
        }
    }
}
