//! Changed thresholds are answered at once, by those whose verdict they alter.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tidegate_schemas::fact::{FactBlock, NULL};
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

/// From `at` on the limit of a word is another one.
fn limit(word: i64, at: i64, id: u64, limit: i64) -> TableRow {
    TableRow {
        table: 0,
        key: [word].into(),
        at: EventTime(at),
        id,
        row: Some([limit].into()),
        diff: 1,
    }
}

fn event(key: String, at: i64, id: u64, word: i64) -> Event {
    Event {
        key,
        at,
        id,
        word,
        diff: 1,
    }
}

fn facts(events: &[Event]) -> Arc<FactBlock> {
    Arc::new(block(events, |_| 0, |event| [event.word, 0]))
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
                let (word, most) = (random.random_range(0..2), random.random_range(1..8));
                let at = match in_order {
                    true => now,
                    false => now - random.random_range(0..6),
                };
                let by_time = limits.entry(word).or_default();
                by_time.insert(at, most);
                arrivals.tables.push(limit(word, at, tick, most));
            } else {
                let key = format!("k{}", random.random_range(0..9));
                let word = random.random_range(0..2);
                keys.entry(key.clone()).or_default().push((now, word));
                arrivals.facts.push(facts(&[event(key, now, tick, word)]));
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
                let row = limit(0, now, tick, random.random_range(1..4));
                arrivals
                    .iter_mut()
                    .for_each(|to| to.tables.push(row.clone()));
            } else if tick < 40 {
                let key = format!("k{}", random.random_range(0..4));
                let facts = facts(&[event(key, now, tick, 0)]);
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

/// What comes in a tick: facts, one limit, or the watermark alone.
enum Comes {
    Facts(Vec<Event>),
    Limit(TableRow),
    Watermark(i64),
}

/// A live driver, which says in each tick how much it holds, and whose rows came together.
fn live(comes: impl IntoIterator<Item = Comes>) -> Vec<(u64, Vec<Vec<String>>)> {
    let settings = settings(Firing::OnArrival, &[REASONS + 1]);
    let gauge = Arc::clone(&settings.gauge);
    let mut driver = Driver::new(by_segment(None).entity(), settings);
    let tick = |(tick, comes)| {
        let mut arrivals = Arrivals::default();
        match comes {
            Comes::Facts(events) => arrivals.facts.push(facts(&events)),
            Comes::Limit(row) => arrivals.tables.push(row),
            Comes::Watermark(at) => arrivals.watermark = Some(EventTime(at)),
        }
        let mut said = Vec::new();
        driver.tick(tick, arrivals, |emission| {
            let rows = &emission.live[0];
            let keys: Vec<String> = (0..rows.len())
                .map(|row| rows.keys.get(row).to_owned())
                .collect();
            said.extend((!keys.is_empty()).then_some(keys));
        });
        (gauge.bytes(), said)
    };
    (0..).zip(comes).map(tick).collect()
}

/// Most keys fall silent, so that the slots of the others move, and what was kept for the silent ones is given back.
#[test]
fn a_changed_limit_is_answered_by_whoever_is_left() {
    const SILENT: u64 = 4_000;
    let [among, alone] = [0, SILENT].map(|first| {
        let at = |id| if id == SILENT { 900 } else { 0 };
        let events = (first..=SILENT).map(|id| event(format!("k{id}"), at(id), id, 0));
        live([
            Comes::Facts(events.collect()),
            Comes::Watermark(1_100),
            Comes::Limit(limit(0, 1_200, 0, 1)),
        ])
    });
    for said in [&among, &alone] {
        assert!(said[0].1.is_empty() && said[1].1.is_empty());
        assert_eq!(said[2].1, [[format!("k{SILENT}")]]);
    }
    let [(full, _), _, (left, _)] = &among[..] else {
        panic!("three ticks")
    };
    let only = alone[2].0;
    assert!(
        *left <= 2 * only + full / 10,
        "{left} of {full} are left; one key alone takes {only}"
    );
}

/// What a changed limit makes many keys say does not wait for the last of them.
#[test]
fn what_many_say_leaves_piece_by_piece() {
    const KEYS: u64 = 4_000;
    let events = (0..KEYS).map(|id| event(format!("k{id}"), 0, id, 0));
    let comes = [
        Comes::Facts(events.collect()),
        Comes::Limit(limit(0, 10, 0, 1)),
    ];
    let (_, said) = live(comes).pop().expect("two ticks");
    let mut keys: Vec<&String> = said.iter().flatten().collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len() as u64, KEYS);
    let most = said.iter().map(Vec::len).max();
    assert!(
        most < Some(KEYS as usize / 10),
        "{most:?} of {KEYS} at once"
    );
}
