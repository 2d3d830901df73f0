//! What is read of the alerts of drifts, and how it is saved.

use serde::{Deserialize, Serialize};
use tidegate_schemas::fact::NULL;
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::EventTime;

use super::spec::RetrainSpec;
use crate::codec::{CodecError, Reader, Writer};
use crate::drift::alerts::COLUMNS;

/// What comes to a [`Desk`](super::desk::Desk).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Item {
    /// An alert, once more or once less.
    Alert(Alert, i64),
    /// So many rows more, or fewer, in a step.
    Rows {
        /// Its beginning.
        start: EventTime,
        /// How many.
        count: i64,
    },
}

/// An alert of a drift. Those that are known first come first; then the order is that of the job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alert {
    /// When it opened, or when its reference was complete, if that was later.
    pub known: EventTime,
    /// Which drift, by its place in the spec.
    pub drift: u32,
    /// Which of its monitors.
    pub monitor: u32,
    /// Which of its lengths of windows.
    pub length: u32,
    /// The segment; [`NULL`] for all rows.
    pub segment: i64,
    /// When it opened: the end of the window that opened it.
    pub opened_at: EventTime,
    /// When it closed, if it did.
    pub closed_at: Option<EventTime>,
    /// From when to when its reference is.
    pub reference: (EventTime, EventTime),
    /// The measures of the window that opened it.
    pub words: Vec<i64>,
    /// What moved most in it.
    pub moved: Vec<i64>,
}

impl RetrainSpec {
    /// Changes of the alerts of a drift.
    pub(super) fn changes(&self, drift: usize, rows: &Rows) -> Vec<Item> {
        let heads = rows.heads.iter().enumerate();
        let item = |(row, head): (usize, &tidegate_schemas::rows::RowHead)| {
            Item::Alert(self.alert(drift, rows, row), head.diff.into())
        };
        heads.map(item).collect()
    }

    /// Alerts that have closed, and were open so far.
    pub(super) fn closings(&self, drift: usize, rows: &Rows) -> Vec<Item> {
        let closing = |row| {
            let closed = self.alert(drift, rows, row);
            let open = Alert {
                closed_at: None,
                ..closed.clone()
            };
            [Item::Alert(open, -1), Item::Alert(closed, 1)]
        };
        (0..rows.len()).flat_map(closing).collect()
    }

    /// Reads a row of [`DriftSpec::alerts_output`](crate::drift::spec::DriftSpec::alerts_output).
    fn alert(&self, drift: usize, rows: &Rows, row: usize) -> Alert {
        let watched = &self.drifts[drift];
        let word = |column: usize| rows.columns[column].words[row];
        let time = |column: usize| EventTime(word(column));
        let (name, window) = (word(0), word(2));
        let monitor = watched.monitors.iter().position(|it| *it == name);
        let length = watched.lengths.iter().position(|it| it.0 == window);
        let (Some(monitor), Some(length)) = (monitor, length) else {
            panic!("an alert of {name} over {window} is none of {watched:?}");
        };
        let measured = COLUMNS..COLUMNS + watched.measures.len();
        Alert {
            known: time(3).max(time(7)),
            drift: drift as u32,
            monitor: monitor as u32,
            length: length as u32,
            segment: word(1),
            opened_at: time(3),
            closed_at: (word(4) != NULL).then(|| time(4)),
            reference: (time(6), time(7)),
            moved: rows.columns[measured.end].row(row).to_vec(),
            words: measured.map(word).collect(),
        }
    }
}

impl Alert {
    /// Whether it is open at a moment at which it is known.
    pub(super) fn is_open(&self, at: EventTime) -> bool {
        self.closed_at.is_none_or(|closed| closed > at)
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        to.time(self.known);
        for place in [self.drift, self.monitor, self.length] {
            to.unsigned(place.into());
        }
        to.word(self.segment);
        to.time(self.opened_at);
        to.option(self.closed_at, Writer::time);
        to.time(self.reference.0);
        to.time(self.reference.1);
        for words in [&self.words, &self.moved] {
            to.length(words.len());
            words.iter().for_each(|word| to.word(*word));
        }
    }

    /// Reads what [`Alert::encode`] wrote, for the same spec.
    pub(super) fn decode(spec: &RetrainSpec, from: &mut Reader<'_>) -> Result<Alert, CodecError> {
        let known = from.time("when an alert was known")?;
        let drift: u32 = from.number("a drift")?;
        let monitor: u32 = from.number("a monitor")?;
        let length: u32 = from.number("a length of windows")?;
        let Some(watched) = spec.drifts.get(drift as usize).filter(|watched| {
            (monitor as usize) < watched.monitors.len() && (length as usize) < watched.lengths.len()
        }) else {
            return Err(from.error("a drift, a monitor and a window that are declared"));
        };
        let segment = from.word("a segment")?;
        let opened_at = from.time("when it opened")?;
        let closed_at = from.option("when it closed", |from| from.time("the time"))?;
        let reference = (from.time("its reference")?, from.time("the end of that")?);
        let mut lists = [Vec::new(), Vec::new()];
        for list in &mut lists {
            for _ in 0..from.length("the values of an alert")? {
                list.push(from.word("a value of an alert")?);
            }
        }
        let [words, moved] = lists;
        if words.len() != watched.measures.len() {
            return Err(from.error("as many measures as the drift has"));
        }
        Ok(Alert {
            known,
            drift,
            monitor,
            length,
            segment,
            opened_at,
            closed_at,
            reference,
            words,
            moved,
        })
    }
}
