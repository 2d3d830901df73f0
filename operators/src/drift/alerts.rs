//! Alerts: episodes in which the measures of windows meet a condition, over the windows of one length of
//! one monitor (and segment), in the order of their ends.
//!
//! Windows that have no row are passed over. An episode opens at the end of the last of `windows` in a
//! row of which `when` holds, and closes at the end of the first after it of which `clear_when` does;
//! where both hold it is closed. An opening less than `cooldown` after the one before waits for that
//! long, and comes then if `when` still holds.

use tidegate_schemas::names::code_of;
use tidegate_schemas::rows::{Kind, OutputSchema};
use tidegate_schemas::time::{EventTime, Span, TimeUnit};

use super::measures::Row;
use super::spec::{DriftSpec, column};
use crate::codec::{CodecError, Reader, Writer};
use crate::program::{Program, Type};

/// The texts behind the codes of an alert's state.
pub const TEXTS: [&str; 2] = ["opened", "closed"];

/// How many columns of an alert's row are not those of its window's.
pub(crate) const COLUMNS: usize = 8;

/// When windows make an alert. The conditions see [`DriftSpec::registers`].
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// What must hold of a window.
    pub when: Program,
    /// Of how many windows in a row; at least one.
    pub windows: u32,
    /// What ends an episode; `None`: `when` holds no longer.
    pub clear_when: Option<Program>,
    /// How long after an opening there is no other; exactly so long after it, there may be.
    pub cooldown: Span,
}

impl Alert {
    pub(super) fn check(&self, registers: usize) -> Result<(), String> {
        if self.windows == 0 {
            return Err("an alert is of at least one window".into());
        }
        for program in [Some(&self.when), self.clear_when.as_ref()]
            .into_iter()
            .flatten()
        {
            if program.result() != Type::Bool || program.reads().any(|it| it >= registers) {
                return Err(format!(
                    "the condition of an alert is {:?}, and must be true or false of {registers} columns",
                    program.result()
                ));
            }
        }
        Ok(())
    }
}

/// What the rows of alerts look like.
pub(super) fn output(spec: &DriftSpec, name: &str, unit: TimeUnit, segment: Kind) -> OutputSchema {
    let mut columns = vec![
        column("column", Kind::Text),
        column("segment", segment),
        column("window", Kind::Text),
        column("opened_at", Kind::Time(unit)),
        column("closed_at", Kind::Time(unit)),
        column("state", Kind::Text),
        column("reference_from", Kind::Time(unit)),
        column("reference_until", Kind::Time(unit)),
    ];
    columns.extend(spec.measured());
    OutputSchema {
        name: name.to_owned(),
        key: None,
        columns,
        identity: vec![0, 1, 2, 3],
    }
}

/// One stretch of windows that are alarming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Episode {
    pub(super) opened_at: EventTime,
    pub(super) closed_at: Option<EventTime>,
    /// The row at whose end it opened: the values and the limit that caused it.
    pub(super) row: Row,
}

impl Episode {
    pub(super) fn state(&self) -> i64 {
        code_of(TEXTS[usize::from(self.closed_at.is_some())])
    }
}

/// A window that has a row.
pub(super) struct Seen<'a> {
    pub(super) end: EventTime,
    pub(super) registers: &'a [i64],
    pub(super) row: &'a Row,
}

/// Where the windows have come to, seen one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Watch {
    /// Of how many windows in a row the condition has held.
    run: u32,
    /// The last opening.
    opened: Option<EventTime>,
    pub(super) open: Option<Episode>,
}

/// What a window did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Nothing,
    Opened,
    Closed(Episode),
}

impl Watch {
    pub(super) fn see(&mut self, alert: &Alert, window: &Seen<'_>) -> Turn {
        let holds = alert.when.holds(window.registers);
        let clears = match &alert.clear_when {
            Some(clear_when) => clear_when.holds(window.registers),
            None => !holds,
        };
        self.run = if holds { self.run.saturating_add(1) } else { 0 };
        if let Some(mut episode) = self.open.take_if(|_| clears) {
            episode.closed_at = Some(window.end);
            self.run = 0;
            return Turn::Closed(episode);
        }
        let rested = self
            .opened
            .is_none_or(|at| at.plus(alert.cooldown) <= window.end);
        if self.open.is_some() || clears || self.run < alert.windows || !rested {
            return Turn::Nothing;
        }
        self.opened = Some(window.end);
        self.open = Some(Episode {
            opened_at: window.end,
            closed_at: None,
            row: window.row.clone(),
        });
        Turn::Opened
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        to.unsigned(u128::from(self.run));
        to.option(self.opened, Writer::time);
        to.option(self.open.as_ref(), |to, episode| episode.encode(to));
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Watch, CodecError> {
        Ok(Watch {
            run: from.number("a number of windows")?,
            opened: from.option("an opening", |from| from.time("its time"))?,
            open: from.option("an episode", Episode::decode)?,
        })
    }
}

impl Episode {
    pub(super) fn encode(&self, to: &mut Writer) {
        to.time(self.opened_at);
        to.option(self.closed_at, Writer::time);
        self.row.encode(to);
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Episode, CodecError> {
        Ok(Episode {
            opened_at: from.time("when it opened")?,
            closed_at: from.option("when it closed", |from| from.time("the time"))?,
            row: Row::decode(from)?,
        })
    }
}
