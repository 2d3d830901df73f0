//! What a job declares of a model: what asks for it to be trained again, and on what.

use std::collections::BTreeMap;

use tidegate_schemas::fact::FactBlock;
use tidegate_schemas::names::code_of;
use tidegate_schemas::rows::{Kind, OutputColumn, OutputSchema};
use tidegate_schemas::time::{EventTime, Span, TimeUnit};

use super::alert::Item;
use crate::drift::spec::{DriftSpec, Firing, column};

/// Why a model is to be trained again. Where reasons fall together, the first of them counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// An alert of drift.
    Drift,
    /// So many rows came.
    Rows,
    /// So much time passed.
    Age,
}

impl Reason {
    /// All, in order.
    pub const ALL: [Reason; 3] = [Reason::Drift, Reason::Rows, Reason::Age];

    /// What rows call it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Reason::Drift => "drift",
            Reason::Rows => "rows",
            Reason::Age => "age",
        }
    }
}

/// What the state of a request is: it stands until it is taken back.
pub(super) const STATE: &str = "requested";

/// A drift whose alerts ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// The code of its name.
    pub name: i64,
    /// The codes of the names of its monitors.
    pub monitors: Vec<i64>,
    /// The lengths of its windows: the code by which alerts name them, and each.
    pub lengths: Vec<(i64, Span)>,
    /// By measure of an alert: the measure of the requests.
    pub measures: Vec<usize>,
}

/// When a model is to be trained again. All settings are stated; there are no defaults here.
#[derive(Clone, Debug, PartialEq)]
pub struct RetrainSpec {
    /// The code of the model's name.
    pub model: i64,
    /// The drifts whose alerts ask; see [`RetrainSpec::watch`].
    pub drifts: Vec<Watched>,
    /// The measures of their alerts, all together.
    pub measures: Vec<OutputColumn>,
    /// The steps that event time goes in here; more than zero.
    pub step: Span,
    /// When the model in use was trained; rounded up to a step. Without it there is no request before the first.
    pub since: Option<EventTime>,
    /// A model so old is to be trained again.
    pub max_age: Option<Span>,
    /// After so many rows, a model is to be trained again.
    pub rows: Option<u64>,
    /// How long after a request there is no other; exactly so long after it, there may be.
    pub cooldown: Span,
    /// How much history before a request there is to train on. `None`: all of it.
    pub window: Option<Span>,
    /// The code of the output to train on, or [`NULL`](tidegate_schemas::fact::NULL).
    pub train: i64,
    /// Only facts that pass this filter count as rows.
    pub filter: Option<u8>,
    /// When rows leave, as the drifts have it.
    pub firing: Firing,
}

impl RetrainSpec {
    /// Lets the alerts of a drift ask, too.
    pub fn watch(&mut self, name: i64, drift: &DriftSpec) {
        let place = |column: OutputColumn| {
            let known = self.measures.iter().position(|it| *it == column);
            known.unwrap_or_else(|| {
                self.measures.push(column);
                self.measures.len() - 1
            })
        };
        let measured = drift.measured();
        let measures = measured.filter(|column| !matches!(column.kind, Kind::List(_)));
        let measures = measures.map(place).collect();
        let length = |steps: &u32| (drift.length_code(*steps), drift.length(*steps));
        self.drifts.push(Watched {
            name,
            monitors: drift.monitors.iter().map(|it| it.name).collect(),
            lengths: drift.lengths.iter().map(length).collect(),
            measures,
        });
    }

    /// What the rows look like; times are shown in `unit`, segments as `segment`. A request is told from another
    /// by its time.
    #[must_use]
    pub fn output(&self, name: &str, unit: TimeUnit, segment: Kind) -> OutputSchema {
        let mut columns = vec![
            column("model", Kind::Text),
            column("requested_at", Kind::Time(unit)),
            column("reason", Kind::Text),
            column("state", Kind::Text),
            column("drift", Kind::Text),
            column("monitor", Kind::Text),
            column("segment", segment),
            column("window", Kind::Text),
        ];
        columns.extend(self.measures.iter().cloned());
        columns.push(column("moved", Kind::List(Box::new(Kind::Text))));
        let times = [
            "reference_from",
            "reference_until",
            "current_from",
            "current_until",
        ];
        columns.extend(times.map(|name| column(name, Kind::Time(unit))));
        columns.push(column("train", Kind::Text));
        columns.extend(["train_from", "train_until"].map(|name| column(name, Kind::Time(unit))));
        OutputSchema {
            name: name.to_owned(),
            key: None,
            columns,
            identity: vec![1],
        }
    }

    /// The texts behind codes in the rows, but for those of the drifts, the model and what it is trained on.
    #[must_use]
    pub fn texts() -> [&'static str; 4] {
        let [drift, rows, age] = Reason::ALL.map(Reason::word);
        [drift, rows, age, STATE]
    }

    /// How many columns a row has.
    pub(super) fn columns(&self) -> usize {
        self.measures.len() + 16
    }

    /// The code of [`STATE`].
    pub(super) fn state(&self) -> i64 {
        code_of(STATE)
    }

    /// The beginning of the step that holds `at`.
    pub(super) fn floor(&self, at: EventTime) -> EventTime {
        let step = i128::from(self.step.0);
        let floor = i128::from(at.0).div_euclid(step) * step;
        EventTime(floor.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    }

    /// The first boundary of steps that is not before `at`.
    pub(super) fn ceil(&self, at: EventTime) -> EventTime {
        match self.floor(at) {
            floor if floor == at => at,
            floor => floor.plus(self.step),
        }
    }

    /// An empty count of rows.
    pub(super) fn counts(&self) -> Counts<'_> {
        Counts {
            spec: self,
            steps: BTreeMap::new(),
            latest: (EventTime::MAX, 0),
        }
    }
}

/// Counts rows by step where they are, so that only counts travel.
pub(super) struct Counts<'a> {
    spec: &'a RetrainSpec,
    steps: BTreeMap<EventTime, i64>,
    /// The step of the last row, and those of its rows that are not in `steps`: neighbours are often of one step.
    latest: (EventTime, i64),
}

impl Counts<'_> {
    pub(super) fn add(&mut self, block: &FactBlock) {
        for head in &block.heads {
            if self
                .spec
                .filter
                .is_some_and(|bit| head.bits >> bit & 1 == 0)
            {
                continue;
            }
            let (start, count) = self.latest;
            let inside = start <= head.at && head.at < start.plus(self.spec.step);
            if !inside {
                *self.steps.entry(start).or_default() += count;
                self.latest = (self.spec.floor(head.at), 0);
            }
            self.latest.1 += i64::from(head.diff);
        }
    }

    /// All counts that are not zero.
    pub(super) fn items(mut self) -> impl Iterator<Item = Item> {
        *self.steps.entry(self.latest.0).or_default() += self.latest.1;
        let steps = self.steps.into_iter().filter(|(_, count)| *count != 0);
        steps.map(|(start, count)| Item::Rows { start, count })
    }
}
