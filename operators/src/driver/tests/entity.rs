//! The driver's promise with a whole entity inside: random features, sessions, triggers and tables
//! that change late, against a loop that knows everything from the start.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use tidegate_schemas::fact::{Fact, NULL};
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::{EventTime, Span};

use super::super::{Arrivals, Firing};
use super::{Collection, Event, LATENESS, add, alone, block, random_events, ticks};
use crate::aggregate::window::Bounds;
use crate::bed::{by_build, seeds};
use crate::entity::{Entity, State, track_what_is_read};
use crate::features::Features;
use crate::features::spec::{FeatureSpec, FeaturesSpec, Measure, Nulls, Op};
use crate::journeys::Journeys;
use crate::journeys::spec::{JourneySpec, MOVES, PATHS, STEPS};
use crate::logic::{Logic, Outputs, Wake};
use crate::parcel::TableRow;
use crate::patterns::{Absent, Pattern, PatternSpec, Step as PatternStep};
use crate::program::{Comparison, Expr, Program};
use crate::sessions::{AtGap, Empty, SessionColumn, SessionOp, Sessions, SessionsSpec};
use crate::triggers::{KeyPart, Lookup, REASONS, Trigger, TriggerSpec};

const KINDS: usize = 3;

/// What an entity is made of, so that it can be made again.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) features: Vec<FeaturesSpec>,
    pub(super) sessions: Vec<SessionsSpec>,
    pub(super) patterns: Vec<PatternSpec>,
    pub(super) journeys: Vec<JourneySpec>,
    pub(super) triggers: Vec<TriggerSpec>,
    pub(super) columns: Vec<usize>,
}

pub(super) fn feature(op: Op, filter: Option<u8>, of: Option<usize>, window: i64) -> FeatureSpec {
    FeatureSpec {
        op,
        filter,
        of: of.map(|word| Measure {
            word,
            kind: Kind::Int,
        }),
        nulls: Nulls::Skip,
        window: Some(Span(window)),
        hop: None,
        empty: op.usual_empty(),
    }
}

impl Parts {
    pub(super) fn some(random: &mut StdRng) -> Parts {
        let mut parts = Parts {
            features: vec![],
            sessions: vec![],
            patterns: vec![],
            journeys: vec![],
            triggers: vec![],
            columns: vec![],
        };
        let features = [1, 1, 1, 0, 2][random.random_range(0..5)];
        let sessions = [1, 1, 0, 2][random.random_range(0..4)];
        let triggers = [1, 1, 0, 2][random.random_range(0..4)];
        let changes: Vec<bool> = (0..triggers).map(|_| random.random_bool(0.5)).collect();
        for _ in 0..features {
            parts.add_features(random, changes.contains(&true));
        }
        for _ in 0..sessions {
            parts.add_sessions(random);
        }
        for _ in 0..[0, 0, 0, 1, 2][random.random_range(0..5)] {
            parts.add_pattern(random);
        }
        for _ in 0..[0, 0, 0, 1, 2][random.random_range(0..5)] {
            parts.add_journeys(random);
        }
        for changes in changes {
            if !parts.features.is_empty() || !parts.sessions.is_empty() {
                parts.add_trigger(random, changes);
            }
        }
        parts
    }

    fn output(&mut self, columns: usize) -> usize {
        self.columns.push(columns);
        self.columns.len() - 1
    }

    fn add_features(&mut self, random: &mut StdRng, tracked: bool) {
        let filter = [None, Some(0), Some(1)][random.random_range(0..3)];
        let features = vec![
            feature(Op::Count, filter, None, random.random_range(1..20)),
            feature(Op::Last, Some(0), Some(0), random.random_range(1..30)),
            feature(Op::Sum, filter, Some(1), random.random_range(1..15)),
        ];
        let anchor_output = random.random_bool(0.7).then(|| self.output(5));
        let current_output = random.random_bool(0.4).then(|| self.output(4));
        self.features.push(FeaturesSpec {
            features,
            anchor: Some(0),
            carry: vec![],
            bounds: match random.random_bool(0.7) {
                true => Bounds::OpenClosed,
                false => Bounds::ClosedOpen,
            },
            anchor_output,
            current_output,
            tracked: (0..3).filter(|_| tracked).collect(),
        });
    }

    fn add_sessions(&mut self, random: &mut StdRng) {
        let column = |op, filter| SessionColumn {
            op,
            filter,
            empty: Empty::Zero,
        };
        let mut spec = SessionsSpec {
            filter: [None, Some(1)][random.random_range(0..2)],
            gap: Span(random.random_range(0..8)),
            at_gap: [AtGap::New, AtGap::Same][random.random_range(0..2)],
            max_length: random
                .random_bool(0.3)
                .then(|| Span(random.random_range(1..10))),
            columns: vec![
                column(SessionOp::Count, Some(0)),
                column(SessionOp::Any, Some(1)),
            ],
            closed_output: None,
            open_output: None,
        };
        if random.random_bool(0.8) {
            spec.closed_output = Some(self.output(spec.width()));
        }
        if random.random_bool(0.4) {
            spec.open_output = Some(self.output(spec.width()));
        }
        self.sessions.push(spec);
    }

    fn add_pattern(&mut self, random: &mut StdRng) {
        let step = |random: &mut StdRng, within| PatternStep {
            filter: [None, Some(0), Some(1)][random.random_range(0..3)],
            at_least: random.random_range(1..3),
            at_most: random.random_bool(0.3).then_some(2),
            within,
            absent: random.random_bool(0.3).then(|| Absent {
                filter: [Some(0), Some(1)][random.random_range(0..2)],
                within: None,
            }),
        };
        let own = random.random_bool(0.3).then_some(Span(4));
        let mut spec = PatternSpec {
            within: Span(random.random_range(1..20)),
            steps: vec![step(random, None), step(random, own)],
            columns: vec![],
            most_open: random.random_range(1..5),
            output: None,
        };
        spec.output = Some(self.output(spec.width()));
        self.patterns.push(spec);
    }

    fn add_journeys(&mut self, random: &mut StdRng) {
        let mut wanted = |columns| random.random_bool(0.7).then(|| self.output(columns));
        let (moves, steps) = (wanted(MOVES.len()), wanted(STEPS.len()));
        let paths = wanted(PATHS.len());
        self.journeys.push(JourneySpec {
            kind: 0,
            gap: random
                .random_bool(0.7)
                .then(|| Span(random.random_range(0..20))),
            order: random.random_range(1..5),
            moves,
            steps,
            paths,
        });
    }

    /// Open while the first register is at least a limit, by a segment or a constant.
    fn add_trigger(&mut self, random: &mut StdRng, changes: bool) {
        let inputs = self.registers();
        let kinds = vec![Kind::Int; inputs + 2];
        let compiled = |expr: &Expr| Program::compile(expr, &kinds).unwrap();
        // The count of a feature, or the rows of a session.
        let value = match self.features.is_empty() {
            true => SessionsSpec::ROWS,
            false => 0,
        };
        // The last word of a feature, or the contacts of a session.
        let segment = match self.features.is_empty() {
            true => SessionsSpec::FIRST,
            false => 1,
        };
        let by_table = random.random_bool(0.7);
        let limit = match by_table {
            true => Expr::Register(inputs),
            false => Expr::Int(random.random_range(1..4)),
        };
        let lookup = Lookup {
            table: 0,
            key: vec![match random.random_bool(0.5) {
                true => KeyPart::Segment,
                false => KeyPart::Register(segment),
            }],
            columns: 1,
        };
        let compare = |op, a: usize, b| Expr::Compare(op, Box::new(Expr::Register(a)), Box::new(b));
        let last = inputs + usize::from(by_table);
        let firings = random.random_bool(0.7).then(|| self.output(REASONS + 2));
        let episodes = random.random_bool(0.7).then(|| self.output(REASONS + 2));
        self.triggers.push(TriggerSpec {
            anchor: (!changes).then_some(0),
            inputs,
            lookups: if by_table { vec![lookup] } else { vec![] },
            segment: Some(compiled(&Expr::Register(segment))),
            when: compiled(&compare(Comparison::GreaterEqual, value, limit)),
            clear_when: (changes && random.random_bool(0.3))
                .then(|| compiled(&compare(Comparison::Less, value, Expr::Int(1)))),
            cooldown: random
                .random_bool(0.6)
                .then(|| Span(random.random_range(0..25))),
            holdout: None,
            action: None,
            reasons: vec![value, last],
            firings,
            episodes,
        });
    }

    fn registers(&self) -> usize {
        let features = self.features.iter().map(|f| f.features.len());
        let sessions = self.sessions.iter().map(SessionsSpec::width);
        features.chain(sessions).sum()
    }

    pub(super) fn entity(&self) -> Entity {
        let names = Arc::new(Names::default());
        let features = self.features.iter();
        let features = features.map(|f| Features::new(f, Arc::clone(&names)).unwrap());
        let triggers = self.triggers.iter();
        Entity::new(
            features.collect(),
            self.sessions.iter().cloned().map(Sessions::new).collect(),
            self.patterns.iter().cloned().map(Pattern::new).collect(),
            self.journeys.iter().cloned().map(Journeys::new).collect(),
            triggers.map(|t| Trigger::new(t.clone()).unwrap()).collect(),
            &[(1, 1)],
        )
    }
}

/// What comes at one tick.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) events: Vec<Event>,
    pub(super) tables: Vec<TableRow>,
    pub(super) watermark: EventTime,
}

fn version(random: &mut StdRng, at: i64, id: u64) -> TableRow {
    let row = random.random_bool(0.85);
    TableRow {
        table: 0,
        key: [random.random_range(0..KINDS as i64)].into(),
        at: EventTime(at),
        id,
        row: row.then(|| [random.random_range(1..5)].into()),
        diff: 1,
    }
}

/// Ticks of facts, and now and then rows of the table, which keep to the lateness too.
pub(super) fn steps(random: &mut StdRng) -> Vec<Step> {
    let events = random_events(random);
    let mut id = 1_000;
    let mut watermark = EventTime(-LATENESS);
    let mut taken: Vec<TableRow> = Vec::new();
    let ticks = ticks(&events, random);
    let mut steps = Vec::new();
    for (events, after) in ticks {
        let mut tables = Vec::new();
        for _ in 0..[0, 0, 1, 2][random.random_range(0..4)] {
            let from = watermark.0.max(-10);
            if from < 90 {
                id += 1;
                let at = random.random_range(from..90);
                tables.push(version(random, at, id));
            }
        }
        taken.retain(|row| row.at >= watermark);
        if !taken.is_empty() && random.random_bool(0.2) {
            let mut back = taken.swap_remove(random.random_range(0..taken.len()));
            back.diff = -1;
            tables.push(back);
        }
        taken.extend(tables.iter().filter(|row| row.diff > 0).cloned());
        steps.push(Step {
            events,
            tables,
            watermark: after,
        });
        watermark = after;
    }
    steps
}

pub(super) fn bits(event: &Event) -> u64 {
    u64::from(event.word % 3 == 0) | u64::from(event.word % 2 == 1) << 1
}

pub(super) fn words(event: &Event) -> [i64; 2] {
    let measure = if event.word < 5 { event.word } else { NULL };
    [event.word % KINDS as i64, measure]
}

/// Each key's facts in order, with every version of the tables known from the start: the rows, and
/// how many keys have something to remember for ever.
fn plain_loop(parts: &Parts, steps: &[Step]) -> (Collection, u64) {
    let entity = parts.entity().minding_every_fact();
    for row in steps.iter().flat_map(|step| &step.tables) {
        entity.on_table(row);
    }
    let mut keys: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    let all = || steps.iter().flat_map(|step| &step.events);
    for event in all().filter(|e| e.diff > 0) {
        if !all().any(|e| e.diff < 0 && e.id == event.id) {
            keys.entry(&event.key).or_default().push(event);
        }
    }
    let (mut found, mut kept) = (Collection::new(), 0);
    for (key, mut events) in keys {
        events.sort_by_key(|e| (e.at, e.id));
        let mut out = Outputs::new(&parts.columns);
        out.set_key(key);
        let mut state = State::default();
        for instant in events.chunk_by(|a, b| a.at == b.at) {
            let at = EventTime(instant[0].at);
            timers(&entity, &mut state, at, &mut out);
            for event in instant {
                let fact = Fact {
                    at,
                    id: event.id,
                    bits: bits(event),
                    words: &words(event),
                };
                entity.on_fact(&mut state, &fact, &mut out);
            }
            entity.on_instant(&mut state, at, &mut out);
        }
        timers(&entity, &mut state, EventTime::MAX, &mut out);
        add(&mut found, &out.rows);
        kept += u64::from(entity.wake(&state) != Wake::Forget);
    }
    (found, kept)
}

fn timers(entity: &Entity, state: &mut State, until: EventTime, out: &mut Outputs) {
    while let Wake::At(at) = entity.wake(state) {
        if at > until {
            return;
        }
        entity.on_timer(state, at, out);
    }
    if entity.wake(state) == Wake::Forget {
        *state = State::default();
    }
}

fn play(parts: &Parts, steps: &[Step], firing: Firing) -> (Collection, Collection, u64) {
    let arrivals = steps.iter().map(|step| Arrivals {
        facts: vec![Arc::new(block(&step.events, bits, words))],
        tables: step.tables.clone(),
        watermark: Some(step.watermark),
        ..Arrivals::default()
    });
    alone(parts.entity(), &parts.columns, firing, arrivals)
}

#[test]
fn whatever_comes_when_an_entity_says_the_same() {
    for seed in seeds(by_build(1_500, 10_000)) {
        let mut random = StdRng::seed_from_u64(seed);
        let parts = Parts::some(&mut random);
        let mut steps = steps(&mut random);
        if random.random_bool(0.1) {
            for step in &mut steps {
                step.events.shuffle(&mut random);
                step.events.sort_by_key(|event| event.diff < 0);
            }
        }
        let (expected, kept) = plain_loop(&parts, &steps);
        let mut parts = parts;
        if random.random_bool(0.7) {
            track_what_is_read(&mut parts.features, &parts.triggers);
        }
        let (_, settled, keys) = play(&parts, &steps, Firing::OnWatermark);
        assert_eq!(settled, expected, "rows on the watermark, seed {seed}");
        assert_eq!(keys, kept, "keys left behind, seed {seed}");
        let (live, settled, keys) = play(&parts, &steps, Firing::OnArrival);
        assert_eq!(live, expected, "live rows, seed {seed}");
        assert_eq!(settled, expected, "settled rows, seed {seed}");
        assert_eq!(keys, kept, "keys left behind, seed {seed}");
    }
}
