//! Changed thresholds are answered at once, by those whose verdict they alter.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tidegate_schemas::fact::NULL;
use tidegate_schemas::rows::{Kind, Rows};
use tidegate_schemas::time::{EventTime, Span};

use super::super::{Arrivals, Driver, Firing};
use super::entity::{Parts, feature};
use super::{Collection, Event, add, block, give, settings};
use crate::aggregate::window::Bounds;
use crate::features::spec::{FeaturesSpec, Op};
use crate::parcel::TableRow;
use crate::program::{Comparison, Expr, Program};
use crate::triggers::{CLOSED_AT, FIRED_AT, KeyPart, Lookup, REASONS, TriggerSpec};

/// Opens while the count of the last 1000 is at least the limit of the key's last word.
fn by_segment(cooldown: Option<Span>) -> Parts {
    let kinds = vec![Kind::Int; 5];
    let compiled = |expr: &Expr| Program::compile(expr, &kinds).unwrap();
    let (count, limit) = (Expr::Register(0), Expr::Register(3));
    let met = Expr::Compare(Comparison::GreaterEqual, Box::new(count), Box::new(limit));
    Parts {
        features: vec![FeaturesSpec {
            features: vec![
                feature(Op::Count, None, None, 1_000),
                feature(Op::Last, None, Some(0), 1_000),
                feature(Op::MaxCountBy, None, Some(0), 3),
            ],
            anchor: None,
            carry: vec![],
            bounds: Bounds::OpenClosed,
            anchor_output: None,
            current_output: None,
            tracked: (0..3).collect(),
        }],
        sessions: vec![],
        patterns: vec![],
        journeys: vec![],
        triggers: vec![TriggerSpec {
            anchor: None,
            inputs: 3,
            lookups: vec![Lookup {
                table: 0,
                key: vec![KeyPart::Segment],
                columns: 1,
            }],
            segment: Some(compiled(&Expr::Register(1))),
            when: compiled(&met),
            clear_when: None,
            cooldown,
            holdout: None,
            action: None,
            reasons: vec![0],
            firings: None,
            episodes: Some(0),
        }],
        columns: vec![REASONS + 1],
    }
}

/// A changed limit is answered in its own tick, by those whose verdict it alters and nobody else. What one that is older
/// than others alters after these is answered when the watermark comes there, at the latest.
#[test]
fn a_changed_limit_is_answered_at_once_by_exactly_those_it_concerns() {
    for seed in 0..1_000 {
        let mut random = StdRng::seed_from_u64(seed);
        let in_order = seed % 2 == 0;
        let settings = settings(Firing::OnArrival, &[REASONS + 1]);
        let mut driver = Driver::new(by_segment(None).entity(), settings);
        // By word, the limits by time.
        let mut limits: BTreeMap<i64, BTreeMap<i64, i64>> = BTreeMap::new();
        // By key: the times of its facts, and its words.
        let mut keys: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
        let mut live = Collection::new();
        for tick in 0..40 {
            let now = tick as i64 * 2;
            let mut arrivals = Arrivals {
                watermark: Some(EventTime(now - 6)),
                ..Arrivals::default()
            };
            let before = episodes(&keys, &limits);
            let changes = random.random_bool(0.5);
            if changes {
                let (word, limit) = (random.random_range(0..2), random.random_range(1..8));
                let at = match in_order {
                    true => now,
                    false => now - random.random_range(0..6),
                };
                let by_time = limits.entry(word).or_default();
                by_time.insert(at, limit);
                arrivals.tables.push(TableRow {
                    table: 0,
                    key: [word].into(),
                    at: EventTime(at),
                    id: tick,
                    row: Some([limit].into()),
                    diff: 1,
                });
            } else {
                let key = format!("k{}", random.random_range(0..9));
                let word = random.random_range(0..2);
                keys.entry(key.clone()).or_default().push((now, word));
                let event = Event {
                    key,
                    at: now,
                    id: tick,
                    word,
                    diff: 1,
                };
                let facts = block(&[event], |_| 0, |event| [event.word, 0]);
                arrivals.facts.push(Arc::new(facts));
            }
            let after = episodes(&keys, &limits);
            let mut said = false;
            driver.tick(tick, arrivals, |emission| {
                said |= !emission.live.iter().all(Rows::is_empty);
                add(&mut live, &emission.live);
            });
            if in_order {
                assert_eq!(told(&live), after, "seed {seed}, tick {tick}");
                assert_eq!(said, before != after, "seed {seed}, tick {tick}");
            }
        }
        let end = Arrivals {
            watermark: Some(EventTime(100)),
            ..Arrivals::default()
        };
        driver.tick(40, end, |emission| add(&mut live, &emission.live));
        assert_eq!(told(&live), episodes(&keys, &limits), "seed {seed}");
    }
}

/// When episodes were opened and closed, by the rows that stand.
fn told(live: &Collection) -> Vec<(String, i64, i64)> {
    let rows = live.keys().map(|(_, key, _, words)| {
        let (opened, closed) = (words[FIRED_AT], words[CLOSED_AT]);
        (key.clone(), opened, closed)
    });
    let mut told: Vec<_> = rows.collect();
    told.sort();
    told
}

/// The episodes of all keys: when each was opened and closed.
fn episodes(
    keys: &BTreeMap<String, Vec<(i64, i64)>>,
    limits: &BTreeMap<i64, BTreeMap<i64, i64>>,
) -> Vec<(String, i64, i64)> {
    let mut episodes = Vec::new();
    for (key, facts) in keys {
        let changes = limits.values().flat_map(|by_time| by_time.keys().copied());
        let mut moments: Vec<i64> = facts.iter().map(|(at, _)| *at).chain(changes).collect();
        moments.sort_unstable();
        moments.dedup();
        let mut open = None;
        for at in moments {
            let seen = facts.iter().filter(|(of, _)| *of <= at);
            let word = seen.clone().next_back().map(|(_, word)| word);
            let limit = word.and_then(|word| limits.get(word)?.range(..=at).next_back());
            let met = limit.is_some_and(|(_, limit)| seen.count() as i64 >= *limit);
            match open {
                None if met => open = Some(at),
                Some(since) if !met => {
                    episodes.push((key.clone(), since, at));
                    open = None;
                }
                _ => {}
            }
        }
        episodes.extend(open.map(|since| (key.clone(), since, NULL)));
    }
    episodes.sort();
    episodes
}

/// An episode that was closed inside its cooldown may open again at the end of that, between two changes.
#[test]
fn a_cooldown_ends_between_changes_as_in_a_replay() {
    for seed in 0..1_000 {
        let mut random = StdRng::seed_from_u64(seed);
        let parts = by_segment(Some(Span(random.random_range(1..30))));
        let driver = |firing| Driver::new(parts.entity(), settings(firing, &[REASONS + 1]));
        let [mut live, mut replay] = [Firing::OnArrival, Firing::OnWatermark].map(driver);
        let mut said = [(); 2].map(|()| (Collection::new(), Collection::new()));
        for tick in 0..=40 {
            let now = tick as i64 * 2;
            let watermark = Some(EventTime(if tick < 40 { now - 6 } else { 200 }));
            let mut arrivals = [(); 2].map(|()| Arrivals {
                watermark,
                ..Arrivals::default()
            });
            if tick < 40 && random.random_bool(0.6) {
                let row = TableRow {
                    table: 0,
                    key: [0].into(),
                    at: EventTime(now),
                    id: tick,
                    row: Some([random.random_range(1..4)].into()),
                    diff: 1,
                };
                arrivals
                    .iter_mut()
                    .for_each(|to| to.tables.push(row.clone()));
            } else if tick < 40 {
                let event = Event {
                    key: format!("k{}", random.random_range(0..4)),
                    at: now,
                    id: tick,
                    word: 0,
                    diff: 1,
                };
                let facts = Arc::new(block(&[event], |_| 0, |event| [event.word, 0]));
                arrivals
                    .iter_mut()
                    .for_each(|to| to.facts.push(Arc::clone(&facts)));
            }
            let [first, second] = arrivals;
            give(&mut live, tick, first, &mut said[0]);
            give(&mut replay, tick, second, &mut said[1]);
        }
        assert_eq!(said[0].0, said[1].1, "seed {seed}");
    }
}

/// Most keys fall silent, so that the slots of the others move.
#[test]
fn a_changed_limit_is_answered_by_whoever_is_left() {
    let settings = settings(Firing::OnArrival, &[REASONS + 1]);
    let mut driver = Driver::new(by_segment(None).entity(), settings);
    let mut tick = 0;
    let mut work = |arrivals| {
        let mut said = Vec::new();
        driver.tick(tick, arrivals, |emission| {
            let rows = &emission.live[0];
            said.extend((0..rows.len()).map(|row| rows.keys.get(row).to_owned()));
        });
        tick += 1;
        said
    };
    for (number, at) in (0..40).chain([900]).zip(0..) {
        let event = Event {
            key: format!("k{at}"),
            at: number,
            id: at,
            word: 0,
            diff: 1,
        };
        let facts = Arc::new(block(&[event], |_| 0, |event| [event.word, 0]));
        let facts = Arrivals {
            facts: vec![facts],
            ..Arrivals::default()
        };
        assert!(work(facts).is_empty());
    }
    let silent = Arrivals {
        watermark: Some(EventTime(1_100)),
        ..Arrivals::default()
    };
    assert!(work(silent).is_empty());
    let limit = Arrivals {
        tables: vec![TableRow {
            table: 0,
            key: [0].into(),
            at: EventTime(1_200),
            id: 0,
            row: Some([1].into()),
            diff: 1,
        }],
        ..Arrivals::default()
    };
    assert_eq!(work(limit), ["k40"]);
}
