//! The windows of one length of a page: their sums, the rows that stand, and the alerts they make.

use std::collections::BTreeMap;

use super::alerts::{Episode, Seen, Turn, Watch};
use super::bag::Bag;
use super::counts::{Binning, Counts, add_bins};
use super::emit::Emit;
use super::ledger::Delta;
use super::measures::{Row, Side};
use super::spec::{DriftSpec, Firing};
use crate::codec::{CodecError, Reader, Writer};

/// Windows are told by their last steps.
///
/// # State
/// A sum for each window of several steps that is not settled, and that of the window before: made
/// from the one before by adding the newest step and taking the oldest away. The row of each window
/// that is not settled, and the episodes that they can still change.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Series {
    sums: BTreeMap<i64, Sum>,
    rows: BTreeMap<i64, Row>,
    /// After all windows that are settled.
    watch: Watch,
    /// The episodes whose rows stand and that may change.
    standing: Vec<Episode>,
    /// Whether rows changed since the last tick.
    changed: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Sum {
    bins: Bag,
    missing: i64,
}

impl Sum {
    fn add(&mut self, step: Option<&Counts>, times: i64) {
        if let Some(step) = step {
            self.bins.add_all(&step.bins, times);
            self.missing += step.missing * times;
        }
    }
}

impl Series {
    /// Takes counts into the windows that there are.
    pub(super) fn add(&mut self, delta: &Delta, length: u32, binning: &Binning) {
        let last = delta.step.saturating_add(i64::from(length) - 1);
        for sum in self.sums.range_mut(delta.step..=last) {
            sum.1.missing += delta.missing;
            add_bins(&mut sum.1.bins, delta, binning);
        }
    }

    pub(super) fn forget_sums(&mut self) {
        self.sums.clear();
    }

    /// The counts of a window of several steps.
    pub(super) fn sum(
        &mut self,
        end: i64,
        length: u32,
        steps: &BTreeMap<i64, Counts>,
        firing: Firing,
    ) -> Side<'_> {
        let sum = match self.sums.contains_key(&end) {
            true => None,
            false => Some(self.make(end, i64::from(length), steps, firing)),
        };
        let here = self.sums.entry(end).or_default();
        if let Some(sum) = sum {
            *here = sum;
        }
        Side {
            bins: here.bins.counts(),
            missing: here.missing,
        }
    }

    fn make(
        &mut self,
        end: i64,
        length: i64,
        steps: &BTreeMap<i64, Counts>,
        firing: Firing,
    ) -> Sum {
        let before = end.saturating_sub(1);
        let before = match firing {
            // Nobody asks for a window again.
            Firing::Final => self.sums.remove(&before),
            Firing::Changes { .. } => self.sums.get(&before).cloned(),
        };
        let first = end.saturating_sub(length - 1);
        match before {
            Some(mut sum) => {
                sum.add(steps.get(&end), 1);
                sum.add(steps.get(&first.saturating_sub(1)), -1);
                sum
            }
            None => {
                let mut sum = Sum::default();
                for (_, step) in steps.range(first..=end) {
                    sum.add(Some(step), 1);
                }
                sum
            }
        }
    }

    /// Puts the row of a window in the place of the one that stood.
    pub(super) fn place(
        &mut self,
        end: i64,
        row: Option<Row>,
        emit: &mut Emit<'_>,
        place: usize,
        spec: &DriftSpec,
    ) {
        if spec.firing == Firing::Final {
            let Some(row) = row else { return };
            emit.row(place, end, &row, 1);
            if let Some(alert) = &spec.alert {
                let registers = emit.registers(place, end, &row);
                let seen = Seen {
                    end: spec.steps.end(end),
                    registers: &registers,
                    row: &row,
                };
                match (self.watch.see(alert, &seen), &self.watch.open) {
                    (Turn::Opened, Some(episode)) => emit.episode(place, episode, 1),
                    (Turn::Closed(episode), _) => emit.closing(place, &episode),
                    _ => {}
                }
            }
            return;
        }
        let old = match &row {
            Some(row) => self.rows.insert(end, row.clone()),
            None => self.rows.remove(&end),
        };
        if old == row {
            return;
        }
        self.changed = true;
        for (row, diff) in [(old, -1), (row, 1)] {
            if let Some(row) = row {
                emit.row(place, end, &row, diff);
            }
        }
    }

    /// Brings the episodes up to date with the rows.
    pub(super) fn alarm(&mut self, emit: &mut Emit<'_>, place: usize, spec: &DriftSpec) {
        if !std::mem::take(&mut self.changed) || spec.alert.is_none() {
            return;
        }
        let now = self.episodes(emit, place, spec);
        for (episodes, others, diff) in [(&self.standing, &now, -1), (&now, &self.standing, 1)] {
            for episode in episodes.iter().filter(|it| !others.contains(it)) {
                emit.episode(place, episode, diff);
            }
        }
        self.standing = now;
    }

    /// What comes of the rows that stand after the windows that are settled.
    fn episodes(&self, emit: &Emit<'_>, place: usize, spec: &DriftSpec) -> Vec<Episode> {
        let mut watch = self.watch.clone();
        let mut episodes = Vec::new();
        for (end, row) in &self.rows {
            if let Turn::Closed(episode) = see(&mut watch, *end, row, emit, place, spec) {
                episodes.push(episode);
            }
        }
        episodes.extend(watch.open);
        episodes
    }

    /// Forgets what is settled.
    pub(super) fn forget(
        &mut self,
        settled: &impl Fn(i64) -> bool,
        emit: &Emit<'_>,
        place: usize,
        spec: &DriftSpec,
    ) {
        let mut gone = false;
        while let Some(first) = self.rows.first_entry() {
            if !settled(*first.key()) {
                break;
            }
            let (end, row) = first.remove_entry();
            see(&mut self.watch, end, &row, emit, place, spec);
            gone = true;
        }
        if gone && spec.alert.is_some() {
            self.standing = self.episodes(emit, place, spec);
        }
        while let Some(first) = self.sums.first_entry() {
            if !settled(first.key().saturating_add(1)) {
                break;
            }
            first.remove();
        }
    }

    pub(super) fn is_forgotten(&self) -> bool {
        self.sums.is_empty() && self.rows.is_empty()
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        to.length(self.sums.len());
        for (end, sum) in &self.sums {
            to.word(*end);
            sum.bins.encode(to);
            to.word(sum.missing);
        }
        to.length(self.rows.len());
        for (end, row) in &self.rows {
            to.word(*end);
            row.encode(to);
        }
        self.watch.encode(to);
        to.length(self.standing.len());
        self.standing.iter().for_each(|it| it.encode(to));
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Series, CodecError> {
        let mut series = Series::default();
        for _ in 0..from.length("the number of sums")? {
            let end = from.word("a window")?;
            let bins = Bag::decode(from)?;
            let missing = from.word("rows without a value")?;
            series.sums.insert(end, Sum { bins, missing });
        }
        for _ in 0..from.length("the number of rows")? {
            let end = from.word("a window")?;
            series.rows.insert(end, Row::decode(from)?);
        }
        series.watch = Watch::decode(from)?;
        for _ in 0..from.length("the number of episodes")? {
            series.standing.push(Episode::decode(from)?);
        }
        Ok(series)
    }
}

fn see(
    watch: &mut Watch,
    end: i64,
    row: &Row,
    emit: &Emit<'_>,
    place: usize,
    spec: &DriftSpec,
) -> Turn {
    let Some(alert) = &spec.alert else {
        return Turn::Nothing;
    };
    let seen = Seen {
        end: spec.steps.end(end),
        registers: &emit.registers(place, end, row),
        row,
    };
    watch.see(alert, &seen)
}
