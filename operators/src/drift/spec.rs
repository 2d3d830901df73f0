//! What a drift job declares: its monitors, its windows, its reference, and when rows leave.

use tidegate_schemas::names::code_of;
use tidegate_schemas::rows::{Kind, OutputColumn, OutputSchema};
use tidegate_schemas::time::{EventTime, Span, TimeUnit};

use super::alerts::Alert;
use super::cuts::{Bins, Number};
use super::measures::Measure;
use crate::statistics::Smoothing;
use crate::statistics::divergence::Direction;

/// What the values of a column are to the measures.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Every distinct value is a category; this is how it reads.
    Categories(Kind),
    /// Values are numbers and are put into bins, whose edges are those of the reference.
    Numbers(Number, Bins),
}

/// One column that is watched. Facts without a value in it count as missing, and nowhere else.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    /// The code of its name, as it is shown.
    pub name: i64,
    /// Which word of a fact it is.
    pub column: usize,
    /// Count only facts that pass this filter.
    pub filter: Option<u8>,
    /// What its values are.
    pub values: Values,
}

/// The steps of time, of which windows are made: number i is
/// `[origin + i · every, origin + (i + 1) · every)`, for every whole number i. A fact exactly at a
/// boundary belongs to the step that begins there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// Where step 0 begins.
    pub origin: EventTime,
    /// How long each is; more than zero.
    pub every: Span,
}

impl Steps {
    /// The number of the step that holds `at`.
    #[must_use]
    pub fn index(&self, at: EventTime) -> i64 {
        let passed = i128::from(at.0) - i128::from(self.origin.0);
        clamp(passed.div_euclid(i128::from(self.every.0)))
    }

    /// The last step that is over at `at`.
    pub(super) fn ended(&self, at: EventTime) -> i64 {
        match at {
            EventTime::MAX => i64::MAX,
            at => self.index(at).saturating_sub(1),
        }
    }

    /// The first moment of a step.
    #[must_use]
    pub fn start(&self, index: i64) -> EventTime {
        self.boundary(i128::from(index))
    }

    /// The first moment after a step.
    #[must_use]
    pub fn end(&self, index: i64) -> EventTime {
        self.boundary(i128::from(index) + 1)
    }

    fn boundary(&self, index: i128) -> EventTime {
        EventTime(clamp(
            i128::from(self.origin.0) + index * i128::from(self.every.0),
        ))
    }
}

fn clamp(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// What the windows are compared with: a stretch of time, frozen when the watermark has passed it.
/// No row leaves before that.
///
/// Others (a sliding stretch, a stored profile) are further variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// All facts with `from <= at < until`. It need not begin or end with a window.
    Stretch {
        /// Its first moment.
        from: EventTime,
        /// The first moment after it.
        until: EventTime,
    },
    /// So long from the beginning of the step of the earliest fact that the monitor counts, in each
    /// segment by itself; a whole number of steps. Once it is frozen, it stays where it is, even if
    /// that fact is taken back.
    First(Span),
}

impl Reference {
    /// Whether `at` is inside, if that can be said of a time by itself, and the part of
    /// `[start, end)` around `at` of which the same is true.
    pub(super) fn part(
        &self,
        at: EventTime,
        (start, end): (EventTime, EventTime),
    ) -> (bool, EventTime, EventTime) {
        match *self {
            Reference::Stretch { from, .. } if at < from => (false, start, end.min(from)),
            Reference::Stretch { from, until } if at < until => {
                (true, start.max(from), end.min(until))
            }
            Reference::Stretch { until, .. } => (false, start.max(until), end),
            Reference::First(_) => (false, start, end),
        }
    }
}

/// When rows leave, and what becomes of corrections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firing {
    /// A window's row leaves once, when the watermark has passed its end and that of the reference,
    /// and its counts are forgotten then. What still arrives for it is ignored.
    Final,
    /// From when the watermark has passed the end of the reference, every window whose last step has
    /// begun has its row, revised at each tick in which its counts or those of the reference change.
    /// A step has begun when it has a fact of the monitor's segment, or the watermark has come to it.
    Changes {
        /// How long after the end of a window (and of the reference) corrections are still taken.
        /// Then its counts are forgotten and its row stands.
        keep: Span,
    },
}

/// What the rows look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Windows of one step, by their number; PSI and KL.
    Plain,
    /// Everything: see [`DriftSpec::output`].
    Wide,
}

/// What a drift operator is to do. All settings are stated; there are no defaults here.
#[derive(Clone, Debug, PartialEq)]
pub struct DriftSpec {
    /// The columns that are watched, each by itself.
    pub monitors: Vec<Monitor>,
    /// Which word of a fact is its segment, if each monitor is also kept for every segment. A fact
    /// without one counts in the monitor of all facts only.
    pub by: Option<usize>,
    /// The steps of time.
    pub steps: Steps,
    /// How many steps the windows have that are compared with the reference. One of each length ends
    /// with every step.
    pub lengths: Vec<u32>,
    /// What they are compared with.
    pub reference: Reference,
    /// The share of a category that one side lacks, to PSI and KL.
    pub smoothing: Smoothing,
    /// Which side Kullback-Leibler starts from.
    pub direction: Direction,
    /// What is measured, in the order of the columns.
    pub measures: Vec<Measure>,
    /// A window with fewer rows than this, or none, has no row in the output. If missing values are
    /// measured, rows without a value count for that; the other measures are null if the rows with a
    /// value are fewer.
    pub min_rows: u64,
    /// What the rows look like.
    pub layout: Layout,
    /// What makes an alert of them.
    pub alert: Option<Alert>,
    /// When rows leave.
    pub firing: Firing,
}

impl DriftSpec {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// What is wrong, in plain words.
    pub fn check(&self) -> Result<(), String> {
        if self.steps.every <= Span::ZERO {
            return Err(format!(
                "steps of {} hold nothing: `every` must be more than zero",
                self.steps.every
            ));
        }
        match self.reference {
            Reference::Stretch { from, until } if from >= until => {
                return Err(format!(
                    "the reference ends ({until}) before it begins ({from})"
                ));
            }
            Reference::First(span) if span <= Span::ZERO || span.0 % self.steps.every.0 != 0 => {
                return Err(format!(
                    "a reference of the first {span} is not a whole number of steps of {}; \
                     say when it begins, or take a multiple",
                    self.steps.every
                ));
            }
            _ => {}
        }
        if !self.smoothing.is_valid() {
            return Err(format!(
                "a smoothing by {:?} gives no shares: its amount is a number of at least 0",
                self.smoothing
            ));
        }
        if self.lengths.is_empty() || self.lengths.contains(&0) {
            return Err(format!(
                "windows of {:?} steps: give one length or more, each of at least one step",
                self.lengths
            ));
        }
        let plain = self.lengths == [1]
            && self.by.is_none()
            && self.measures == [Measure::Psi, Measure::Kl]
            && self.alert.is_none();
        if self.layout == Layout::Plain && !plain {
            return Err("plain rows have PSI and KL of windows of one step, and no more".into());
        }
        for monitor in &self.monitors {
            if let Values::Numbers(_, bins) = &monitor.values {
                bins.check()?;
            }
        }
        let registers = WINDOW_COLUMNS + self.measured().count();
        self.alert
            .as_ref()
            .map_or(Ok(()), |alert| alert.check(registers))
    }

    /// What the rows look like; times are shown in `unit`, segments as `segment`. Rows have no key: a
    /// row is told from another by its window, its monitor and its segment.
    #[must_use]
    pub fn output(&self, name: &str, unit: TimeUnit, segment: Kind) -> OutputSchema {
        let (columns, identity) = match self.layout {
            Layout::Plain => {
                let mut columns = vec![
                    column("start", Kind::Time(unit)),
                    column("window", Kind::Int),
                    column("column", Kind::Text),
                ];
                columns.extend(self.measured());
                (columns, vec![0, 2])
            }
            Layout::Wide => {
                let mut columns = self.window_columns(unit, segment);
                columns.extend(self.measured());
                (columns, vec![0, 1, 3, 4])
            }
        };
        OutputSchema {
            name: name.to_owned(),
            key: None,
            columns,
            identity,
        }
    }

    /// What an alert's condition sees, in the order of its registers: the columns of a wide row.
    #[must_use]
    pub fn registers(&self, unit: TimeUnit, segment: Kind) -> Vec<OutputColumn> {
        let mut columns = self.window_columns(unit, segment);
        columns.extend(self.measured());
        columns
    }

    /// What the rows of alerts look like: one for each episode, told from another by its monitor, its
    /// segment, the length of its windows and when it opened.
    #[must_use]
    pub fn alerts_output(&self, name: &str, unit: TimeUnit, segment: Kind) -> OutputSchema {
        super::alerts::output(self, name, unit, segment)
    }

    fn window_columns(&self, unit: TimeUnit, segment: Kind) -> Vec<OutputColumn> {
        vec![
            column("start", Kind::Time(unit)),
            column("end", Kind::Time(unit)),
            column("window", Kind::Text),
            column("column", Kind::Text),
            column("segment", segment),
        ]
    }

    /// The columns that are computed, in the order of [`Row`](super::measures::Row).
    pub(crate) fn measured(&self) -> impl Iterator<Item = OutputColumn> {
        let measures = self.measures.iter().flat_map(|measure| measure.columns());
        let measures = measures.map(|(name, _)| column(name, Kind::Float));
        let counts = ["rows", "reference_rows", "categories"];
        let counts = counts.into_iter().map(|name| column(name, Kind::Int));
        let more = match self.layout {
            Layout::Plain => vec![],
            Layout::Wide => vec![
                column("no_drift_95", Kind::Float),
                column("moved", Kind::List(Box::new(Kind::Text))),
            ],
        };
        measures.chain(counts).chain(more)
    }

    /// How many columns a row has.
    pub(super) fn columns(&self) -> usize {
        let window = match self.layout {
            Layout::Plain => 3,
            Layout::Wide => WINDOW_COLUMNS,
        };
        window + self.measured().count()
    }

    /// How many columns the row of an alert has.
    pub(super) fn alert_columns(&self) -> usize {
        super::alerts::COLUMNS + self.measured().count()
    }

    /// How long a window of so many steps is.
    #[must_use]
    pub fn length(&self, steps: u32) -> Span {
        Span(self.steps.every.0.saturating_mul(i64::from(steps)))
    }

    /// The code of the text by which windows of so many steps are told; see [`DriftSpec::texts`].
    pub(crate) fn length_code(&self, steps: u32) -> i64 {
        code_of(&self.length(steps).to_string())
    }

    /// The texts behind codes in the rows; whoever renders them must know these.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        let lengths = self.lengths.iter();
        let lengths = lengths.map(|steps| self.length(*steps).to_string());
        lengths
            .chain(super::alerts::TEXTS.map(str::to_owned))
            .collect()
    }

    /// The watermark from which on a stretch that ends at `end` takes no more corrections.
    pub(super) fn settled_from(&self, end: EventTime) -> EventTime {
        match self.firing {
            Firing::Final => end,
            Firing::Changes { keep } => end.plus(keep),
        }
    }

    /// The first window, by its last step, that is not settled at this watermark, the reference being so.
    pub(super) fn unsettled(&self, watermark: EventTime) -> i64 {
        let keep = match self.firing {
            Firing::Final => Span::ZERO,
            Firing::Changes { keep } => keep,
        };
        self.steps.ended(watermark.minus(keep)).saturating_add(1)
    }
}

/// How many columns of a wide row tell the window.
pub(super) const WINDOW_COLUMNS: usize = 5;

/// A column of an output.
pub(crate) fn column(name: &str, kind: Kind) -> OutputColumn {
    OutputColumn {
        name: name.to_owned(),
        kind,
    }
}

#[cfg(test)]
mod tests;
