//! One monitor in one segment: its counts by step, its reference, and the rows that stand.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_schemas::names::Names;
use tidegate_schemas::time::EventTime;

use super::counts::{Binning, Counts};
use super::emit::Emit;
use super::ledger::Delta;
use super::measures::{Meter, Row, Side};
use super::series::Series;
use super::spec::{DriftSpec, Firing, Monitor, Reference};

/// What is kept of a monitor in a segment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Page {
    /// From when to when the reference is, once the watermark has passed it.
    pub(super) frozen: Option<(EventTime, EventTime)>,
    pub(super) binning: Binning,
    pub(super) reference: Counts,
    pub(super) steps: BTreeMap<i64, Counts>,
    /// One for each length of windows.
    pub(super) series: Vec<Series>,
    /// Since the last tick was closed: whether the reference changed, and which steps did.
    reference_changed: bool,
    changed: BTreeSet<i64>,
}

/// What a tick is closed with.
pub(super) struct Closing<'a> {
    pub(super) spec: &'a DriftSpec,
    pub(super) names: &'a Names,
    pub(super) meter: &'a mut Meter,
    /// The watermark when the tick before was closed.
    pub(super) before: EventTime,
    pub(super) now: EventTime,
}

impl Page {
    pub(super) fn new(spec: &DriftSpec, monitor: &Monitor) -> Page {
        Page {
            frozen: None,
            binning: Binning::of(&monitor.values),
            reference: Counts::default(),
            steps: BTreeMap::new(),
            series: vec![Series::default(); spec.lengths.len()],
            reference_changed: false,
            changed: BTreeSet::new(),
        }
    }

    /// Takes counts of the tick that will be closed next; those of what is settled are ignored.
    pub(super) fn apply(&mut self, delta: &Delta, spec: &DriftSpec, watermark: EventTime) {
        let settled = |end| spec.settled_from(end) <= watermark;
        let reference_settled = self.frozen.is_some_and(|(_, until)| settled(until));
        let start = spec.steps.start(delta.step);
        let in_reference = match spec.reference {
            Reference::Stretch { .. } => delta.in_reference,
            // Before it is frozen, nobody knows; freezing adds up the steps.
            Reference::First(_) => self
                .frozen
                .is_some_and(|(from, until)| from <= start && start < until),
        };
        if in_reference && !reference_settled {
            self.reference.add(delta, &self.binning);
            self.reference_changed = true;
        }
        if reference_settled && settled(spec.steps.end(delta.step)) {
            return;
        }
        let step = self.steps.entry(delta.step).or_default();
        step.add(delta, &self.binning);
        for (series, length) in self.series.iter_mut().zip(&spec.lengths) {
            series.add(delta, *length, &self.binning);
        }
        self.changed.insert(delta.step);
    }

    /// Closes a tick. Answers whether the bins have become fixed by it.
    pub(super) fn close(&mut self, closing: &mut Closing<'_>, emit: &mut Emit<'_>) -> bool {
        let (spec, now) = (closing.spec, closing.now);
        let just_frozen = self.frozen.is_none() && self.freeze(spec, now);
        let all = std::mem::take(&mut self.reference_changed) || just_frozen;
        let changed = std::mem::take(&mut self.changed);
        let Some(reference) = self.frozen else {
            return false;
        };
        emit.reference = reference;
        let reference_end = reference.1;
        if all && self.binning.cut(&mut self.reference) {
            for counts in self.steps.values_mut() {
                counts.bin(&self.binning);
            }
            self.series.iter_mut().for_each(Series::forget_sums);
        }
        let fixed = spec.settled_from(reference_end) <= now && self.binning.fix();
        if fixed {
            self.reference.drop_values();
            self.steps.values_mut().for_each(Counts::drop_values);
        }
        // Windows that were settled before are gone, though steps of theirs may be here for longer ones.
        let unsettled = match spec.settled_from(reference_end) <= closing.before && !just_frozen {
            true => spec.unsettled(closing.before),
            false => i64::MIN,
        };
        for place in 0..spec.lengths.len() {
            let candidates = match spec.firing {
                Firing::Final => self.closed_since(place, just_frozen, closing),
                Firing::Changes { .. } => {
                    let changed = (!all).then_some(&changed);
                    self.to_revise(place, changed, unsettled, closing)
                }
            };
            for end in candidates {
                let row = self.row(place, end, closing);
                self.series[place].place(end, row, emit, place, spec);
            }
            self.series[place].alarm(emit, place, spec);
        }
        self.forget(reference_end, changed, closing, emit);
        fixed
    }

    /// Freezes the reference if the watermark has passed it, and says whether it did.
    fn freeze(&mut self, spec: &DriftSpec, watermark: EventTime) -> bool {
        let (from, until) = match spec.reference {
            Reference::Stretch { from, until } => (from, until),
            Reference::First(span) => {
                let mut counted = self.steps.iter().filter(|(_, step)| step.rows() > 0);
                let Some((earliest, _)) = counted.next() else {
                    return false;
                };
                let from = spec.steps.start(*earliest);
                (from, from.plus(span))
            }
        };
        if watermark < until {
            return false;
        }
        self.frozen = Some((from, until));
        if let Reference::First(_) = spec.reference {
            for (index, step) in &self.steps {
                let start = spec.steps.start(*index);
                if from <= start && start < until {
                    self.reference.add_counts(step);
                }
            }
        }
        true
    }

    /// The windows, by their last steps, that hold these steps.
    fn around<'a>(
        steps: impl Iterator<Item = &'a i64>,
        length: i64,
        from: i64,
        to: i64,
    ) -> BTreeSet<i64> {
        let ends =
            steps.flat_map(|step| (*step).max(from)..=step.saturating_add(length - 1).min(to));
        ends.collect()
    }

    /// The windows that the watermark has passed by this tick.
    fn closed_since(
        &self,
        place: usize,
        just_frozen: bool,
        closing: &Closing<'_>,
    ) -> BTreeSet<i64> {
        let spec = closing.spec;
        let length = i64::from(spec.lengths[place]);
        // The last that ends at or before the watermark.
        let last = spec.steps.ended(closing.now);
        let first = match just_frozen {
            true => i64::MIN,
            false => spec.steps.ended(closing.before).saturating_add(1),
        };
        let steps = self.steps.range(first.saturating_sub(length - 1)..);
        Page::around(steps.map(|(step, _)| step), length, first, last)
    }

    /// The windows whose rows may have changed, all if `changed` is not known.
    fn to_revise(
        &self,
        place: usize,
        changed: Option<&BTreeSet<i64>>,
        unsettled: i64,
        closing: &Closing<'_>,
    ) -> BTreeSet<i64> {
        let steps = closing.spec.steps;
        let length = i64::from(closing.spec.lengths[place]);
        let now = steps.index(closing.now);
        // A window may have begun without the watermark: by a fact in its last step.
        let newest = self
            .steps
            .keys()
            .next_back()
            .map_or(now, |step| now.max(*step));
        let Some(changed) = changed else {
            return Page::around(self.steps.keys(), length, unsettled, newest);
        };
        let mut ends = Page::around(changed.iter(), length, unsettled, newest);
        let before = steps.index(closing.before);
        if length > 1 && before < now {
            let begun = before.saturating_add(1).max(unsettled);
            let near = self.steps.range(begun.saturating_sub(length - 1)..);
            ends.extend(Page::around(near.map(|(step, _)| step), length, begun, now));
        }
        ends
    }

    /// The row of the window that ends with a step, if it has one.
    fn row(&mut self, place: usize, end: i64, closing: &mut Closing<'_>) -> Option<Row> {
        let spec = closing.spec;
        let length = spec.lengths[place];
        let last = self.steps.get(&end);
        let has_fact = last.is_some_and(|it| closing.meter.counted(it.rows(), it.missing) > 0);
        if !has_fact && spec.steps.index(closing.now) < end {
            return None;
        }
        let reference = Side {
            missing: self.reference.missing,
            bins: self.reference.bins.counts(),
        };
        let words = self.binning.words();
        let current = match length {
            1 => self.steps.get_mut(&end)?.side(),
            _ => self.series[place].sum(end, length, &self.steps, spec.firing),
        };
        closing
            .meter
            .measure(&reference, &current, &words, closing.names)
    }

    /// Forgets what is settled, and steps that became empty.
    fn forget(
        &mut self,
        reference_end: EventTime,
        changed: BTreeSet<i64>,
        closing: &Closing<'_>,
        emit: &Emit<'_>,
    ) {
        let spec = closing.spec;
        let longest = spec.lengths.iter().copied().max().unwrap_or(1);
        // The sum of the next window is made by taking the first step of this one away.
        let behind = i64::from(longest) - i64::from(longest == 1);
        let settled = |window: i64| {
            let end = spec.steps.end(window).max(reference_end);
            spec.settled_from(end) <= closing.now
        };
        for (place, series) in self.series.iter_mut().enumerate() {
            series.forget(&settled, emit, place, spec);
        }
        for step in changed {
            if self.steps.get(&step).is_some_and(Counts::is_empty) {
                self.steps.remove(&step);
            }
        }
        while let Some(first) = self.steps.first_entry() {
            if !settled(first.key().saturating_add(behind)) {
                break;
            }
            first.remove();
        }
    }
}
