//! Admission: which rows of a source count, decided row by row in the order of arrival.
//!
//! A row is rejected when its event time, its entity's key or its dedupe key is null, or an expectation
//! does not hold or cannot be computed; it is late when it is older than the newest row that was admitted
//! before it, less the lateness. A row that is further ahead of that row than `max_ahead` is rejected: what
//! a broker does by its clock is done by the rows alone, so that a replay decides alike. Rows that are not
//! admitted move no clock. The decision does not depend on how rows are cut into batches.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray, RecordBatch,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{
    DataType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use datafusion::common::DataFusionError;
use tidegate_schemas::time::{EventTime, Span};

use super::rejects::reject_of;
use super::sound::unsound;
use crate::compile::SourcePlan;
use crate::normalise::Fault;
use crate::sources::{Reject, RowNumbers, SourceBatch};

/// The stretch of event time that a replay looks at, `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its first moment.
    pub from: EventTime,
    /// The first moment after it.
    pub to: EventTime,
}

impl Stretch {
    /// All of time.
    pub const ALL: Stretch = Stretch {
        from: EventTime::MIN,
        to: EventTime::MAX,
    };
}

/// Rows that count.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// Index of the source.
    pub(crate) source: usize,
    /// The rows.
    pub(crate) batch: RecordBatch,
    /// Their event times.
    pub(crate) times: Vec<EventTime>,
    /// How many rows of the source were admitted before.
    pub(crate) ordinal: u64,
    /// The file they came from.
    pub(crate) file: Arc<str>,
    /// The number of each in its file, where rows were left out; otherwise they are consecutive.
    pub(crate) numbers: RowNumbers,
    /// The newest event time that was admitted before these rows.
    pub(crate) before: EventTime,
    /// The newest event time that was admitted so far.
    pub(crate) newest: EventTime,
    /// How many rows of the source were read before.
    pub(crate) read: u64,
    /// Rows that were read for this, whatever became of them.
    pub(crate) rows_in: u64,
    /// Rows outside the stretch, which are not counted as read.
    pub(crate) skipped: u64,
    /// Rows that were rejected.
    pub(crate) rejects: Vec<Reject>,
    /// Rows that were late.
    pub(crate) late: Option<RecordBatch>,
    /// How far any row of the source was too late so far.
    pub(crate) furthest_behind: Span,
}

/// Decides for one source.
pub(crate) struct Admission {
    source: usize,
    plan: SourcePlan,
    lateness: Span,
    stretch: Stretch,
    newest: EventTime,
    furthest_behind: Span,
    ordinal: u64,
    read: u64,
}

/// So many rows are first looked at together: few enough that they seldom lie far apart.
const RUN: usize = 256;

/// What becomes of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    In,
    Late,
    Rejected,
    Outside,
}

impl Admission {
    /// Admission to the source with this index and plan.
    #[must_use]
    pub(crate) fn new(
        source: usize,
        plan: SourcePlan,
        lateness: Span,
        stretch: Stretch,
    ) -> Admission {
        Admission {
            source,
            plan,
            lateness,
            stretch,
            newest: EventTime::MIN,
            furthest_behind: Span::ZERO,
            ordinal: 0,
            read: 0,
        }
    }

    /// The furthest event time that is allowed next; any, before the first row.
    #[inline]
    fn furthest_after(&self, newest: EventTime) -> EventTime {
        match self.plan.max_ahead {
            Some(ahead) if newest != EventTime::MIN => newest.plus(ahead),
            _ => EventTime::MAX,
        }
    }

    /// Decides on a batch.
    ///
    /// # Errors
    /// When Arrow cannot bring columns into form.
    pub(crate) fn admit(&mut self, arrived: SourceBatch) -> Result<Admitted, DataFusionError> {
        let SourceBatch {
            position,
            batch,
            row_numbers,
            mut rejects,
            rows_in,
            ..
        } = arrived;
        let rows = batch.num_rows();
        let mut verdicts = vec![Verdict::In; rows];
        let times = event_times(batch.column(self.plan.time));
        let mut faults = unsound(&self.plan, &batch)?;
        for row in faults.rows() {
            verdicts[row] = Verdict::Rejected;
        }
        let before = self.newest;
        let too_far = self.judge(&times, &mut verdicts);
        let time = batch.schema_ref().field(self.plan.time).name();
        for (row, reason) in too_far {
            faults.add(row, Some(time.clone()), reason);
        }
        let told = faults.into_list().into_iter();
        rejects.extend(told.map(|fault| reject_of(&batch, &position.file, &row_numbers, fault)));
        let all_in = all_in(&verdicts);
        let (skipped, late) = match all_in {
            true => (0, None),
            false => (
                count(&verdicts, Verdict::Outside),
                part(&batch, &verdicts, Verdict::Late)?,
            ),
        };
        let (batch, times, numbers) = if all_in {
            (batch, times, row_numbers)
        } else {
            let numbers = (0..rows)
                .filter(|row| verdicts[*row] == Verdict::In)
                .filter_map(|row| row_numbers.get(row))
                .collect();
            let times = times
                .iter()
                .zip(&verdicts)
                .filter(|(_, v)| **v == Verdict::In);
            let times = times.map(|(at, _)| *at).collect();
            let kept = part(&batch, &verdicts, Verdict::In)?.unwrap_or_else(|| batch.slice(0, 0));
            (kept, times, RowNumbers::Each(numbers))
        };
        let ordinal = self.ordinal;
        self.ordinal += batch.num_rows() as u64;
        let read = self.read;
        self.read += rows_in;
        Ok(Admitted {
            source: self.source,
            batch,
            times,
            ordinal,
            file: position.file,
            numbers,
            before,
            newest: self.newest,
            read,
            rows_in: rows_in - skipped,
            skipped,
            rejects,
            late,
            furthest_behind: self.furthest_behind,
        })
    }

    /// Judges sound rows by their times. Answers those that are too far ahead, and why.
    fn judge(&mut self, times: &[EventTime], verdicts: &mut [Verdict]) -> Vec<(usize, String)> {
        let mut too_far = Vec::new();
        let runs = times.chunks(RUN).zip(verdicts.chunks_mut(RUN));
        for (run, (times, verdicts)) in runs.enumerate() {
            if !(all_in(verdicts) && self.lets_in(times)) {
                self.judge_each(run * RUN, times, verdicts, &mut too_far);
            }
        }
        too_far
    }

    /// Whether rows with these times all count, whatever their order. If so, they have been counted.
    fn lets_in(&mut self, times: &[EventTime]) -> bool {
        let ends = (EventTime::MAX.0, EventTime::MIN.0);
        let (first, last) = times
            .iter()
            .fold(ends, |(first, last), at| (first.min(at.0), last.max(at.0)));
        let (first, last) = (EventTime(first), EventTime(last));
        let newest = self.newest.max(last);
        // The first row of all says how far ahead the next may be.
        let furthest = match self.newest {
            EventTime::MIN => self.furthest_after(first),
            newest => self.furthest_after(newest),
        };
        let all_in = first >= self.stretch.from
            && last < self.stretch.to
            && first >= newest.minus(self.lateness)
            && last <= furthest;
        if all_in {
            self.newest = newest;
        }
        all_in
    }

    /// Judges sound rows one after the other.
    fn judge_each(
        &mut self,
        start: usize,
        times: &[EventTime],
        verdicts: &mut [Verdict],
        too_far: &mut Vec<(usize, String)>,
    ) {
        let mut newest = self.newest;
        let mut oldest = newest.minus(self.lateness);
        let mut furthest = self.furthest_after(newest);
        for (row, (at, verdict)) in (start..).zip(times.iter().zip(verdicts)) {
            if *verdict != Verdict::In {
                continue;
            }
            if *at < self.stretch.from || *at >= self.stretch.to {
                *verdict = Verdict::Outside;
            } else if *at < oldest {
                *verdict = Verdict::Late;
                let behind = Span(newest.0.saturating_sub(at.0));
                self.furthest_behind = self.furthest_behind.max(behind);
            } else if *at > furthest {
                *verdict = Verdict::Rejected;
                let reason = "it is further ahead of the newest row than `max_ahead` allows";
                too_far.push((row, format!("{reason}: {at} after {newest}")));
            } else if *at > newest {
                newest = *at;
                oldest = newest.minus(self.lateness);
                furthest = self.furthest_after(newest);
            }
        }
        self.newest = newest;
    }
}

impl Admitted {
    /// Turns rows that the watermark has passed into late rows: after a silence it can be ahead of
    /// a source that speaks again.
    ///
    /// # Errors
    /// When Arrow cannot filter the rows.
    pub(super) fn recheck(&mut self, watermark: EventTime) -> Result<(), DataFusionError> {
        if self.times.iter().all(|at| *at >= watermark) {
            return Ok(());
        }
        let verdict = |at: &EventTime| {
            if *at < watermark {
                Verdict::Late
            } else {
                Verdict::In
            }
        };
        let verdicts: Vec<Verdict> = self.times.iter().map(verdict).collect();
        let late = part(&self.batch, &verdicts, Verdict::Late)?;
        self.late = match (self.late.take(), late) {
            (Some(before), Some(more)) => Some(arrow::compute::concat_batches(
                self.batch.schema_ref(),
                [&before, &more],
            )?),
            (before, more) => before.or(more),
        };
        let numbers = self
            .times
            .iter()
            .enumerate()
            .filter(|(_, at)| **at >= watermark);
        let numbers = numbers
            .filter_map(|(row, _)| self.numbers.get(row))
            .collect();
        self.numbers = RowNumbers::Each(numbers);
        let kept = part(&self.batch, &verdicts, Verdict::In)?;
        self.batch = kept.unwrap_or_else(|| self.batch.slice(0, 0));
        self.times.retain(|at| *at >= watermark);
        Ok(())
    }

    /// The reject that a fault of one of the rows makes.
    #[must_use]
    pub(super) fn reject(&self, fault: Fault) -> Reject {
        reject_of(&self.batch, &self.file, &self.numbers, fault)
    }
}

/// Whether all rows are in. (Without an early exit this is vectorised.)
fn all_in(verdicts: &[Verdict]) -> bool {
    verdicts
        .iter()
        .fold(true, |all, verdict| all & (*verdict == Verdict::In))
}

fn count(verdicts: &[Verdict], wanted: Verdict) -> u64 {
    verdicts
        .iter()
        .filter(|verdict| **verdict == wanted)
        .count() as u64
}

/// The rows with this verdict, if there are any.
fn part(
    batch: &RecordBatch,
    verdicts: &[Verdict],
    wanted: Verdict,
) -> Result<Option<RecordBatch>, DataFusionError> {
    if !verdicts.contains(&wanted) {
        return Ok(None);
    }
    let mask: BooleanArray = verdicts
        .iter()
        .map(|verdict| Some(*verdict == wanted))
        .collect();
    Ok(Some(filter_record_batch(batch, &mask)?))
}

/// A column of times in microseconds; a null is the beginning of time.
fn event_times(column: &ArrayRef) -> Vec<EventTime> {
    fn map<T: ArrowPrimitiveType<Native = i64>>(
        column: &ArrayRef,
        micros: impl Fn(i64) -> i64,
    ) -> Vec<EventTime> {
        let array: &PrimitiveArray<T> = column.as_primitive();
        if array.null_count() == 0 {
            return array
                .values()
                .iter()
                .map(|at| EventTime(micros(*at)))
                .collect();
        }
        array
            .iter()
            .map(|at| at.map_or(EventTime::MIN, |at| EventTime(micros(at))))
            .collect()
    }
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            map::<TimestampSecondType>(column, |at| at.saturating_mul(1_000_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            map::<TimestampMillisecondType>(column, |at| at.saturating_mul(1_000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            map::<TimestampNanosecondType>(column, |at| at.div_euclid(1_000))
        }
        _ => map::<TimestampMicrosecondType>(column, |at| at),
    }
}
