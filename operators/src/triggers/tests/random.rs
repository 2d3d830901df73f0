//! Triggers equal an oracle that looks at every moment of event time, one by one.

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::*;
use crate::bed::{by_build, seeds};

const END: i64 = 60;

/// A time, its facts (id, whether it is an anchor), and the inputs from then on.
type Instant = (i64, Vec<(u64, bool)>, [i64; 2]);

/// One key's story: what happens at each moment, and all versions of the limits.
#[derive(Debug)]
struct Story {
    /// In the order of time.
    instants: Vec<Instant>,
    limits: Vec<TableRow>,
    cooldown: Option<i64>,
    sticky: bool,
    anchored: bool,
    /// Looks the limit up by register, and makes it the segment.
    by_register: bool,
}

impl Story {
    fn some(rng: &mut SmallRng) -> Story {
        let word = |rng: &mut SmallRng, end| match rng.random_range(0..8) {
            0 => NULL,
            _ => rng.random_range(0..end),
        };
        let times: Vec<_> = (0..END).filter(|_| rng.random_bool(0.25)).collect();
        let mut id = 0;
        let mut segment = 0;
        let instants = times.into_iter().map(|at| {
            let facts = (0..rng.random_range(1..4)).map(|_| {
                id += 1;
                (id, rng.random_bool(0.4))
            });
            let facts = facts.collect();
            if rng.random_bool(0.2) {
                segment = word(rng, 3);
            }
            (at, facts, [word(rng, 6), segment])
        });
        let instants = instants.collect();
        let limits = (0..rng.random_range(1..12)).map(|id| Story::some_limit(rng, id));
        Story {
            instants,
            limits: limits.collect(),
            cooldown: rng.random_bool(0.7).then(|| rng.random_range(0..25)),
            sticky: rng.random_bool(0.4),
            anchored: rng.random_bool(0.4),
            by_register: rng.random_bool(0.3),
        }
    }

    fn some_limit(rng: &mut SmallRng, id: u64) -> TableRow {
        let limit = rng.random_bool(0.85).then(|| rng.random_range(1..6));
        let at = rng.random_range(-10..END);
        limit_row(at, id, rng.random_range(0..3), limit)
    }

    fn spec(&self) -> TriggerSpec {
        let below = compare(Comparison::Less, Expr::Register(COUNT), Expr::Int(3));
        let (part, segment) = match self.by_register {
            true => (KeyPart::Register(SOURCE), LIMIT),
            false => (KeyPart::Segment, SOURCE),
        };
        let mut spec = spec();
        spec.lookups[0].key = vec![part];
        TriggerSpec {
            segment: Some(compiled(&Expr::Register(segment))),
            anchor: self.anchored.then_some(0),
            cooldown: self.cooldown.map(Span),
            clear_when: (self.sticky && !self.anchored).then(|| compiled(&below)),
            ..spec
        }
    }

    /// The limit of a segment at a moment, by looking at all versions.
    fn limit(&self, segment: i64, at: i64) -> i64 {
        let versions = self.limits.iter();
        versions
            .filter(|row| *row.key == [segment] && row.at.0 <= at)
            .max_by_key(|row| (row.at, row.id))
            .and_then(|row| row.row.as_ref())
            .map_or(NULL, |row| row[0])
    }

    /// The rows, from the definition: every moment in turn.
    fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        let mut last = None;
        let mut open = false;
        let cooldown = self.cooldown.unwrap_or(0);
        for at in 0..=END {
            let Some((time, facts, [count, source])) =
                self.instants.iter().rfind(|instant| instant.0 <= at)
            else {
                continue;
            };
            let limit = self.limit(*source, at);
            let segment = if self.by_register { limit } else { *source };
            let met = *count != NULL && limit != NULL && *count >= limit;
            let cool = |last: Option<i64>| last.is_none_or(|last| at - last >= cooldown);
            if self.anchored {
                for (id, anchor) in facts {
                    if *time == at && *anchor && met && cool(last) {
                        rows.push((*id as i64, at, NULL, segment, *count, limit));
                        last = Some(at);
                    }
                }
                continue;
            }
            let clear = if self.sticky {
                *count != NULL && *count < 3
            } else {
                !met
            };
            if open && clear {
                rows.last_mut().expect("it is open").2 = at;
                open = false;
            } else if !open && met && !clear && cool(last) {
                rows.push((NULL, at, NULL, segment, *count, limit));
                open = true;
                last = Some(at);
            }
        }
        rows.sort_unstable();
        rows
    }

    /// Plays the story up to `end`; the versions come in any order and settle now and then.
    fn play(&self, rng: &mut SmallRng, end: i64, forget: bool) -> Play {
        let mut play = Play::new(self.spec());
        let mut limits = self.limits.clone();
        limits.shuffle(rng);
        for row in &limits {
            play.tables.apply(row);
        }
        for (at, facts, inputs) in &self.instants {
            if *at > end {
                break;
            }
            play.instant(*at, facts, *inputs);
            if rng.random_bool(0.3) {
                play.tables.settle(EventTime(*at));
            }
            // A forgotten trigger at anchors starts afresh, and nobody can tell.
            if forget && self.anchored && play.trigger.wake(&play.state) == Wake::Forget {
                play.state = State::default();
            }
        }
        play.pass(end + 1);
        play
    }
}

fn stories() -> std::ops::Range<u64> {
    seeds(by_build(1_000, 20_000))
}

#[test]
fn verdicts_are_a_function_of_event_time() {
    for seed in stories() {
        let mut rng = SmallRng::seed_from_u64(seed);
        let story = Story::some(&mut rng);
        let play = story.play(&mut rng, END, true);
        assert_eq!(play.rows(), story.rows(), "seed {seed}: {story:#?}");
    }
}

#[test]
fn keys_that_a_row_does_not_affect_are_told_the_same() {
    let (mut spared, mut tried) = (0, 0);
    for seed in stories() {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut story = Story::some(&mut rng);
        let now = rng.random_range(0..END);
        let before = story.play(&mut SmallRng::seed_from_u64(seed), now, false);
        let late = Story::some_limit(&mut rng, 99);
        let affected = before.trigger.affected(&before.state, &late);
        story.limits.push(late);
        let after = story.play(&mut SmallRng::seed_from_u64(seed), now, false);
        tried += 1;
        let again = after
            .trigger
            .affected(&after.state, &story.limits[story.limits.len() - 1]);
        if !affected {
            assert_eq!(before.rows(), after.rows(), "seed {seed}: {story:#?}");
            assert_eq!(before.next(), after.next(), "seed {seed}: {story:#?}");
            assert!(!again, "seed {seed}");
            spared += 1;
        }
    }
    assert!(spared > tried / 10, "only {spared} are spared");
}
