//! Features case by case, then against the oracle.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidegate_schemas::fact::{Fact, NULL, float_word};
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::{Kind, Rows};
use tidegate_schemas::time::{EventTime, Span};

use super::oracle::{OracleFact, OracleRow};
use super::spec::{FeatureSpec, FeaturesSpec, Measure, Nulls, Op, Order};
use super::{Features, State, lane, part};
use crate::aggregate::moments::Spread;
use crate::aggregate::window::Bounds;
use crate::codec::{Reader, Writer};
use crate::logic::{Logic, Outputs, Wake};

mod cases;
mod random;
mod rows;

const ANCHORS: usize = 0;
const CURRENT: usize = 1;

/// A column over all facts and the whole lifetime; tests change what they are about.
fn feature(op: Op) -> FeatureSpec {
    FeatureSpec {
        op,
        filter: None,
        of: None,
        nulls: Nulls::Skip,
        window: None,
        hop: None,
        empty: op.usual_empty(),
    }
}

/// A column of word 0, read as `kind`, in a window of `seconds`.
fn windowed(op: Op, kind: Kind, seconds: i64) -> FeatureSpec {
    FeatureSpec {
        of: Some(Measure { word: 0, kind }),
        window: Some(Span::seconds(seconds)),
        ..feature(op)
    }
}

/// Features with anchors at filter bit 63, and current rows.
fn spec(features: Vec<FeatureSpec>) -> FeaturesSpec {
    FeaturesSpec {
        features,
        anchor: Some(63),
        carry: Vec::new(),
        bounds: Bounds::OpenClosed,
        anchor_output: Some(ANCHORS),
        current_output: Some(CURRENT),
        tracked: BTreeSet::new(),
    }
}

/// Runs the features of one key as a driver does, keeping the contract it promises.
struct Run {
    features: Features,
    state: State,
    out: Outputs,
    /// Whether the state goes through its codec after each call.
    recode: bool,
    /// The latest call so far.
    last: EventTime,
}

impl Run {
    fn new(spec: &FeaturesSpec, names: &Arc<Names>) -> Run {
        let features = Features::new(spec, Arc::clone(names)).unwrap();
        let out = Outputs::new(&[features.anchor_width(), features.current_width()]);
        Run {
            features,
            state: State::default(),
            out,
            recode: false,
            last: EventTime::MIN,
        }
    }

    fn called(&mut self, at: EventTime) {
        self.last = at;
        if self.recode {
            let mut to = Writer::default();
            self.features.encode(&self.state, &mut to);
            let mut from = Reader::new(&to.bytes);
            let wake = self.features.wake(&self.state);
            self.state = self.features.decode(&mut from).unwrap();
            assert!(from.is_empty(), "everything written is read");
            assert_eq!(self.features.wake(&self.state), wake);
        }
    }

    /// Runs all timers up to and including `until`.
    fn timers(&mut self, until: EventTime) {
        while let Wake::At(at) = self.features.wake(&self.state) {
            assert!(at > self.last, "wake asks for what is to come");
            if at > until {
                return;
            }
            self.features.on_timer(&mut self.state, at, &mut self.out);
            self.called(at);
        }
        if self.features.wake(&self.state) == Wake::Forget {
            self.state = State::default();
        }
    }

    /// Gives all facts of one instant.
    fn instant(&mut self, facts: &[OracleFact]) {
        let at = facts[0].at;
        self.timers(at);
        for fact in facts {
            let fact = Fact {
                at: fact.at,
                id: fact.id,
                bits: fact.bits,
                words: &fact.words,
            };
            self.features.on_fact(&mut self.state, &fact, &mut self.out);
            self.called(at);
        }
        self.features.on_instant(&mut self.state, at, &mut self.out);
        self.called(at);
    }

    fn all(&mut self, facts: &[OracleFact]) {
        for instant in facts.chunk_by(|a, b| a.at == b.at) {
            self.instant(instant);
        }
    }

    fn values(&mut self, at: EventTime) -> Vec<i64> {
        let mut values = Vec::new();
        self.features.values(&mut self.state, at, &mut values);
        self.last = at;
        values
    }
}

/// Rows added up: each with how often it is so, without those that cancelled out.
fn added_up(rows: &[OracleRow]) -> BTreeMap<(EventTime, Vec<Vec<i64>>), i32> {
    let mut sums = BTreeMap::new();
    for (at, row, diff) in rows {
        *sums.entry((*at, row.clone())).or_insert(0) += diff;
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

fn owned(rows: &Rows) -> Vec<OracleRow> {
    let row = |row: usize| {
        let columns = rows.columns.iter();
        columns.map(|column| column.row(row).to_vec()).collect()
    };
    let heads = rows.heads.iter().enumerate();
    heads
        .map(|(i, head)| (head.at, row(i), head.diff))
        .collect()
}
