//! The promise as a whole: after every tick the requests are those of looking at everything anew, whatever comes late,
//! closes, or is taken back.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tidegate_schemas::fact::NULL;
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::{EventTime, Span, TimeUnit};

use self::oracle::World;
use super::alert::{Alert, Item};
use super::desk::{Desk, Request};
use super::spec::{Reason, RetrainSpec, Watched};
use crate::bed::facts::{LATENESS, one};
use crate::bed::play::{self, Counts};
use crate::bed::seeds;
use crate::codec::{Reader, Writer};
use crate::drift::spec::{Firing, column};

mod flow;
mod oracle;

/// Times are small numbers here.
fn at(at: i64) -> EventTime {
    EventTime(at)
}

/// Two drifts: of two columns and a measure, and of one column and two measures, one of them the first one's.
fn spec(rng: &mut SmallRng, firing: Firing) -> RetrainSpec {
    let watched = |name, monitors: &[i64], lengths: &[(i64, i64)], measures: &[usize]| Watched {
        name,
        monitors: monitors.to_vec(),
        lengths: lengths.iter().map(|it| (it.0, Span(it.1))).collect(),
        measures: measures.to_vec(),
    };
    let span = |rng: &mut SmallRng, most| Span(rng.random_range(1..most));
    RetrainSpec {
        model: 900,
        drifts: vec![
            watched(50, &[51, 52], &[(53, 10), (54, 30)], &[0]),
            watched(60, &[61], &[(53, 10)], &[1, 0]),
        ],
        measures: ["psi", "js"].map(|name| column(name, Kind::Float)).to_vec(),
        step: Span(rng.random_range(1..9)),
        since: rng
            .random_bool(0.3)
            .then(|| at(rng.random_range(-100..200))),
        max_age: rng.random_bool(0.5).then(|| span(rng, 150)),
        rows: rng.random_bool(0.5).then(|| rng.random_range(1..80)),
        cooldown: Span(rng.random_range(0..4) * 25),
        window: rng.random_bool(0.5).then(|| span(rng, 90)),
        train: one(rng, &[NULL, 901]),
        filter: None,
        firing,
    }
}

fn alert(rng: &mut SmallRng, known: i64) -> Alert {
    let drift = rng.random_range(0..2);
    let early = rng.random_range(0..3) * 7;
    let opened = one(rng, &[known, known - early]);
    Alert {
        known: at(known),
        drift,
        monitor: if drift == 0 {
            rng.random_range(0..2)
        } else {
            0
        },
        length: if drift == 0 {
            rng.random_range(0..2)
        } else {
            0
        },
        segment: one(rng, &[NULL, 3, 4]),
        opened_at: at(opened),
        closed_at: None,
        reference: (at(-50), at(if opened == known { 0 } else { known })),
        words: (0..=drift).map(|_| rng.random_range(0..100)).collect(),
        moved: (0..rng.random_range(0..4)).collect(),
    }
}

/// What comes in a tick, the watermark after it, and what stands then.
struct Tick {
    items: Vec<Item>,
    watermark: i64,
    world: World,
}

/// What comes: rows out of order, alerts as drift tells them.
fn script(rng: &mut SmallRng, spec: &RetrainSpec) -> Vec<Tick> {
    let (mut world, mut ticks) = (World::default(), Vec::new());
    let (mut before, mut newest) = (i64::MIN, 0);
    let quiet = rng.random_bool(0.3);
    for _ in 0..rng.random_range(1..60) {
        let mut items = Vec::new();
        newest += one(rng, &[0, 1, 3, 20, if quiet { 200 } else { 40 }]);
        let watermark = newest - LATENESS;
        for _ in 0..rng.random_range(0..5) {
            let row = rng.random_range(before.max(-60)..=newest.max(before));
            let start = row.div_euclid(spec.step.0) * spec.step.0;
            let standing = world.rows.entry(start).or_default();
            let back = *standing > 0 && rng.random_bool(0.2);
            let count = if back { -1 } else { rng.random_range(1..20) };
            *standing += count;
            let start = at(start);
            items.push(Item::Rows { start, count });
        }
        match spec.firing {
            Firing::Final => pass(rng, &mut world, &mut items, before..watermark),
            Firing::Changes { keep } => {
                let unsettled = before.saturating_sub(keep.0).max(-60);
                change(rng, &mut world, &mut items, unsettled..newest + 30);
            }
        }
        before = before.max(watermark);
        ticks.push(Tick {
            items,
            watermark,
            world: world.clone(),
        });
    }
    if rng.random_bool(0.7) {
        let (items, watermark) = (Vec::new(), i64::MAX);
        ticks.push(Tick {
            items,
            watermark,
            world,
        });
    }
    ticks
}

fn replace(world: &mut World, items: &mut Vec<Item>, place: usize, new: Option<Alert>) {
    let old = world.alerts.swap_remove(place);
    items.push(Item::Alert(old, -1));
    if let Some(new) = new {
        items.push(Item::Alert(new.clone(), 1));
        world.alerts.push(new);
    }
}

/// Alerts open and close in the time that the watermark passes.
fn pass(
    rng: &mut SmallRng,
    world: &mut World,
    items: &mut Vec<Item>,
    passed: std::ops::Range<i64>,
) {
    let passed = passed.start.max(-60) + 1..=passed.end;
    if passed.is_empty() {
        return;
    }
    for place in 0..world.alerts.len() {
        let closes = rng.random_range(passed.clone());
        let old = &world.alerts[place];
        if old.closed_at.is_none() && rng.random_bool(0.4) {
            let closed_at = Some(at(closes));
            let new = Alert {
                closed_at,
                ..old.clone()
            };
            replace(world, items, place, Some(new));
        }
    }
    for _ in 0..rng.random_range(0..3) {
        let known = rng.random_range(passed.clone());
        let mut new = alert(rng, known);
        if world.knows(&new) {
            continue;
        }
        items.push(Item::Alert(new.clone(), 1));
        if rng.random_bool(0.2) {
            items.push(Item::Alert(new.clone(), -1));
            new.closed_at = Some(at(rng.random_range(new.known.0..=*passed.end())));
            items.push(Item::Alert(new.clone(), 1));
        }
        world.alerts.push(new);
    }
}

/// Alerts come, change and go in the time that is not settled.
fn change(
    rng: &mut SmallRng,
    world: &mut World,
    items: &mut Vec<Item>,
    free: std::ops::Range<i64>,
) {
    for _ in 0..rng.random_range(0..3) {
        let Some(place) =
            (!world.alerts.is_empty()).then(|| rng.random_range(0..world.alerts.len()))
        else {
            break;
        };
        let old = world.alerts[place].clone();
        let closes = rng.random_range(free.clone()) + 1;
        let closed_for_good = old.closed_at.is_some_and(|it| it.0 <= free.start);
        if old.known.0 > free.start && rng.random_bool(0.4) {
            replace(world, items, place, None);
        } else if closes > old.known.0 && !closed_for_good {
            let closed_at = rng.random_bool(0.8).then(|| at(closes));
            replace(world, items, place, Some(Alert { closed_at, ..old }));
        }
    }
    for _ in 0..rng.random_range(0..3) {
        let known = rng.random_range(free.clone()) + 1;
        let new = alert(rng, known);
        if world.knows(&new) {
            continue;
        }
        items.push(Item::Alert(new.clone(), 1));
        world.alerts.push(new);
    }
}

/// The rows that requests become, written out.
fn rows(spec: &RetrainSpec, requests: &[Request]) -> Counts<Vec<i64>> {
    let mut rows = Counts::new();
    for request in requests {
        let mut row = vec![spec.model, request.at.0];
        row.extend([request.reason.word(), "requested"].map(tidegate_schemas::names::code_of));
        let mut measures = vec![NULL; spec.measures.len()];
        let (mut about, mut moved, mut times) = ([NULL; 4], vec![], [NULL; 4]);
        if let Some(alert) = &request.alert {
            let watched = &spec.drifts[alert.drift as usize];
            let (window, length) = watched.lengths[alert.length as usize];
            let monitor = watched.monitors[alert.monitor as usize];
            about = [watched.name, monitor, alert.segment, window];
            for (place, word) in watched.measures.iter().zip(&alert.words) {
                measures[*place] = *word;
            }
            moved.clone_from(&alert.moved);
            let opened = alert.opened_at.0;
            let (from, until) = alert.reference;
            times = [from.0, until.0, opened - length.0, opened];
        }
        row.extend(about);
        row.extend(measures);
        row.extend(moved);
        row.extend(times);
        let from = request.train_from.map_or(NULL, |from| from.0);
        row.extend([spec.train, from, request.at.0]);
        rows.insert(row, 1);
    }
    rows
}

/// Steps a desk through what comes, and looks at what stands after every tick; `between` may replace it.
fn step(spec: &RetrainSpec, ticks: &[Tick], case: &str, between: impl Fn(Desk) -> Desk) -> Desk {
    let (mut desk, mut standing) = (Desk::new(spec.clone()), Counts::new());
    for (number, tick) in ticks.iter().enumerate() {
        let mut changes = Counts::new();
        if let Some(rows) = desk.close(tick.items.clone(), at(tick.watermark)) {
            play::add(&mut changes, &rows, play::flat);
        }
        let case = format!("{case}, tick {number}, {spec:?}");
        let taken_back = changes.values().any(|diff| *diff < 0);
        assert!(spec.firing != Firing::Final || !taken_back, "{case}");
        play::follow(&mut standing, &changes, &case);
        let expected = rows(spec, &tick.world.requests(spec, tick.watermark));
        let wrong = standing.iter().find(|it| expected.get(it.0) != Some(it.1));
        let missing = expected.iter().find(|it| standing.get(it.0) != Some(it.1));
        assert_eq!(wrong, missing, "{case}");
        desk = between(desk);
    }
    desk
}

fn back(desk: &Desk) -> Desk {
    let mut to = Writer::default();
    desk.encode(&mut to);
    let mut from = Reader::new(&to.bytes);
    let back = Desk::decode(desk.spec().clone(), &mut from).expect("it was just written");
    assert!(from.is_empty());
    assert_eq!(back, *desk);
    back
}

/// A job of each firing, and what comes.
fn of_each_firing(rng: &mut SmallRng) -> [(RetrainSpec, Vec<Tick>); 2] {
    let keep = Span(one(rng, &[0, LATENESS, 55]));
    [Firing::Final, Firing::Changes { keep }].map(|firing| {
        let spec = spec(rng, firing);
        let ticks = script(rng, &spec);
        (spec, ticks)
    })
}

#[test]
fn requests_are_those_of_looking_at_every_step_of_time() {
    for seed in seeds(300) {
        let mut rng = SmallRng::seed_from_u64(seed);
        for (spec, ticks) in of_each_firing(&mut rng) {
            step(&spec, &ticks, &format!("seed {seed}"), |desk| desk);
        }
    }
}

#[test]
fn a_desk_saved_and_read_back_between_any_ticks_goes_on_as_before() {
    for seed in seeds(100) {
        let mut rng = SmallRng::seed_from_u64(seed);
        for (spec, ticks) in of_each_firing(&mut rng) {
            step(&spec, &ticks, &format!("seed {seed}"), |desk| back(&desk));
        }
    }
}

#[test]
fn damaged_bytes_are_no_desk() {
    let mut rng = SmallRng::seed_from_u64(3);
    for (spec, ticks) in of_each_firing(&mut rng) {
        let until = ticks.len() / 2;
        let desk = step(&spec, &ticks[..until], "to the middle", |desk| desk);
        let mut to = Writer::default();
        desk.encode(&mut to);
        for length in 0..to.bytes.len() {
            let mut cut = Reader::new(&to.bytes[..length]);
            assert!(Desk::decode(spec.clone(), &mut cut).is_err());
        }
    }
}

#[test]
fn what_the_watermark_has_passed_leaves_a_few_numbers_and_open_alerts() {
    for seed in seeds(100) {
        let mut rng = SmallRng::seed_from_u64(seed);
        for (spec, mut ticks) in of_each_firing(&mut rng) {
            ticks.retain(|tick| tick.watermark != i64::MAX);
            let mut desk = step(&spec, &ticks, &format!("seed {seed}"), |desk| desk);
            let later = ticks.last().expect("a tick").watermark + 1_000;
            desk.close(vec![], at(later));
            let world = &ticks[ticks.len() - 1].world;
            let open = world.alerts.iter();
            let open = open.filter(|it| it.closed_at.is_none_or(|closed| closed > it.known));
            assert!(desk.kept() <= open.count(), "seed {seed}: {desk:?}");
        }
    }
}

/// A job that looks at one drift, cools down for 100, and is told in steps of 10.
fn plain() -> RetrainSpec {
    let mut rng = SmallRng::seed_from_u64(0);
    RetrainSpec {
        step: Span(10),
        since: None,
        max_age: None,
        rows: None,
        cooldown: Span(100),
        window: Some(Span(500)),
        ..spec(&mut rng, Firing::Changes { keep: Span(0) })
    }
}

fn opens(known: i64, closed: Option<i64>) -> Alert {
    Alert {
        known: at(known),
        drift: 0,
        monitor: 0,
        length: 0,
        segment: known,
        opened_at: at(known),
        closed_at: closed.map(at),
        reference: (at(0), at(0)),
        words: vec![1],
        moved: vec![],
    }
}

/// When there are requests, and why; rows come up to `newest`, one every 10.
fn asked(spec: &RetrainSpec, alerts: &[Alert], newest: i64) -> Vec<(i64, Reason)> {
    let mut desk = Desk::new(spec.clone());
    let rows = (0..=newest / 10).map(|step| Item::Rows {
        start: at(step * 10),
        count: 1,
    });
    let alerts = alerts.iter().map(|alert| Item::Alert(alert.clone(), 1));
    let found = desk.close(rows.chain(alerts).collect(), at(0));
    let reason = |code| {
        let reason = Reason::ALL.into_iter();
        reason
            .into_iter()
            .find(|it| tidegate_schemas::names::code_of(it.word()) == code)
    };
    let found = found.into_iter().flat_map(|rows| {
        let [times, reasons] = [1, 2].map(|column: usize| rows.columns[column].words.clone());
        times.into_iter().zip(reasons).collect::<Vec<_>>()
    });
    found
        .map(|(at, code)| (at, reason(code).expect("a reason")))
        .collect()
}

#[test]
fn an_alert_in_the_cooldown_asks_at_its_end_if_it_is_still_open() {
    let (spec, first) = (plain(), opens(200, None));
    let drift = |at| (at, Reason::Drift);
    let with = |alert| asked(&spec, &[first.clone(), alert], 900);
    assert_eq!(with(opens(250, None)), [drift(200), drift(300)]);
    assert_eq!(with(opens(250, Some(301))), [drift(200), drift(300)]);
    assert_eq!(with(opens(250, Some(300))), [drift(200)]);
    assert_eq!(with(opens(200, None)), [drift(200)]);
    assert_eq!(with(opens(300, None)), [drift(200), drift(300)]);
    assert_eq!(with(opens(301, None)), [drift(200), drift(310)]);
    // Time has not come to the end of the cooldown.
    assert_eq!(
        asked(&spec, &[first.clone(), opens(250, None)], 290),
        [drift(200)]
    );
}

#[test]
fn rows_and_age_count_from_the_last_request_whatever_its_reason() {
    let spec = RetrainSpec {
        max_age: Some(Span(300)),
        ..plain()
    };
    let (drift, age) = (|at| (at, Reason::Drift), |at| (at, Reason::Age));
    assert_eq!(asked(&spec, &[], 700), [age(300), age(600)]);
    assert_eq!(
        asked(&spec, &[opens(200, None)], 700),
        [drift(200), age(500)]
    );
    let spec = RetrainSpec {
        rows: Some(25),
        ..spec
    };
    let rows = |at| (at, Reason::Rows);
    assert_eq!(
        asked(&spec, &[opens(200, None)], 500),
        [drift(200), rows(450)]
    );
}

#[test]
fn a_silence_longer_than_the_age_is_one_request_and_comes_with_the_next_row() {
    let spec = RetrainSpec {
        max_age: Some(Span(50)),
        cooldown: Span(0),
        ..plain()
    };
    let row = |start| Item::Rows {
        start: at(start),
        count: 1,
    };
    let mut desk = Desk::new(spec);
    let rows = desk.close(vec![row(0), row(1_000), row(1_010)], at(0));
    assert_eq!(rows.expect("a request").columns[1].words, [1_000]);
}

#[test]
fn rows_are_as_long_as_their_description() {
    let spec = plain();
    let output = spec.output("retrain.m", TimeUnit::Second, Kind::Text);
    assert_eq!(output.columns.len(), spec.columns());
    assert_eq!(output.columns[output.identity[0]].name, "requested_at");
}
