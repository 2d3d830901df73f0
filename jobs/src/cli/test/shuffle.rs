//! Other orders of arrival that change nothing: the same rows are late in them, and of rows that the
//! order decides between (copies of an event; rows at one instant without ids) the same comes first.

use std::collections::HashMap;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use tidegate_schemas::job::{Job, Source};
use tidegate_schemas::time::{EventTime, Span};

use super::table::TextTable;
use crate::compile::SourcePlan;
use crate::normalise::Faults;
use crate::sources::{Event, open};

/// How often another order is drawn until one is good.
const TRIES: usize = 50;

/// The rows of a source in another order that means the same; in their own if none is found.
///
/// `plan` reads `table` as it was written.
///
/// # Errors
/// When the rows cannot be read, in plain words.
pub(super) fn shuffled(
    job: &Job,
    plan: &SourcePlan,
    table: &TextTable,
    dice: &mut Dice,
) -> Result<TextTable, String> {
    let times = admitted_times(plan, table)?;
    let Some(source) = job.sources.get(&plan.name) else {
        return Ok(table.clone());
    };
    let ties = ties(source, table, &times);
    let lateness = job.job.lateness;
    let own: Vec<usize> = (0..table.records.len()).collect();
    let verdicts = late(&times, &own, lateness);
    let found = (0..TRIES)
        .map(|_| draw(&times, &verdicts, &ties, lateness, dice))
        .find(|order| late(&times, order, lateness) == verdicts);
    let order = found.unwrap_or(own);
    Ok(TextTable {
        header: table.header.clone(),
        records: order
            .iter()
            .map(|row| table.records[*row].clone())
            .collect(),
    })
}

/// The event time of each record; none where the record is rejected, so that it moves no clock.
fn admitted_times(plan: &SourcePlan, table: &TextTable) -> Result<Vec<Option<EventTime>>, String> {
    let lines = table.csv().1;
    let index: HashMap<u64, usize> = lines.into_iter().zip(0..).collect();
    let mut times = vec![None; index.len()];
    let mut source = open(plan.declared.clone()).map_err(|error| error.to_string())?;
    loop {
        let rows = match source.next().map_err(|error| error.to_string())? {
            Event::Batch(rows) => rows,
            Event::Idle => continue,
            Event::End => return Ok(times),
        };
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let column = cast(rows.batch.column(plan.time), &micros).map_err(|e| e.to_string())?;
        let column = column.as_primitive::<TimestampMicrosecondType>();
        let mut admitted = vec![true; rows.batch.num_rows()];
        for (_, expression) in &plan.expect {
            // A row that it cannot be computed for is rejected as well.
            let truths = Faults::default().truths(expression, &rows.batch);
            let truths = truths.map_err(|e| e.to_string())?;
            for (row, admitted) in admitted.iter_mut().enumerate() {
                *admitted &= truths.value(row);
            }
        }
        for (row, admitted) in admitted.into_iter().enumerate() {
            let record = rows.row_numbers.get(row).and_then(|line| index.get(&line));
            if let Some(record) = record
                && admitted
                && column.is_valid(row)
            {
                times[*record] = Some(EventTime(column.value(row)));
            }
        }
    }
}

/// Groups of records of which the first counts, whichever it is.
fn ties(source: &Source, table: &TextTable, times: &[Option<EventTime>]) -> Vec<Vec<usize>> {
    let mut groups: HashMap<(Vec<&str>, Option<EventTime>), Vec<usize>> = HashMap::new();
    for (row, record) in table.records.iter().enumerate() {
        let group = match &source.dedupe {
            Some(dedupe) => {
                let columns = dedupe
                    .key
                    .iter()
                    .filter_map(|key| table.column(key.as_str()));
                (
                    columns.map(|column| record[column].as_str()).collect(),
                    None,
                )
            }
            None => (Vec::new(), times[row]),
        };
        groups.entry(group).or_default().push(row);
    }
    groups.into_values().filter(|rows| rows.len() > 1).collect()
}

/// Which records are late in this order.
fn late(times: &[Option<EventTime>], order: &[usize], lateness: Span) -> Vec<bool> {
    let mut verdicts = vec![false; times.len()];
    let mut newest = EventTime::MIN;
    for row in order {
        let Some(at) = times[*row] else { continue };
        if at < newest.minus(lateness) {
            verdicts[*row] = true;
        } else {
            newest = newest.max(at);
        }
    }
    verdicts
}

/// An order in which every row arrives after those that are older by more than the lateness, late rows
/// at the end, and ties as they were.
fn draw(
    times: &[Option<EventTime>],
    late: &[bool],
    ties: &[Vec<usize>],
    lateness: Span,
    dice: &mut Dice,
) -> Vec<usize> {
    let known = || times.iter().flatten();
    let (first, last) = (known().min().copied(), known().max().copied());
    let reach = first
        .zip(last)
        .map_or(Span::ZERO, |(first, last)| last - first);
    let mut places: Vec<(EventTime, usize)> = Vec::with_capacity(times.len());
    for (row, at) in times.iter().enumerate() {
        let place = match (at, first) {
            _ if late[row] => EventTime::MAX,
            (Some(at), _) => at.plus(dice.span(lateness)),
            (None, Some(first)) => first.plus(dice.span(reach)),
            (None, None) => EventTime::MIN,
        };
        places.push((place, row));
    }
    places.sort_unstable();
    let mut order: Vec<usize> = places.into_iter().map(|(_, row)| row).collect();
    let mut at = vec![0; order.len()];
    for (place, row) in order.iter().enumerate() {
        at[*row] = place;
    }
    for rows in ties {
        let mut taken: Vec<usize> = rows.iter().map(|row| at[*row]).collect();
        taken.sort_unstable();
        for (row, place) in rows.iter().zip(taken) {
            order[place] = *row;
        }
    }
    order
}

/// Numbers drawn from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A span from nothing to `most`, both included.
    fn span(&mut self, most: Span) -> Span {
        let choices = u128::from(most.0.max(0).unsigned_abs()) + 1;
        let drawn = (u128::from(self.next()) * choices) >> 64;
        Span(i64::try_from(drawn).unwrap_or(most.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_rows_are_late_and_ties_keep_their_order() {
        let mut dice = Dice(3);
        let mut moved = 0;
        for round in 0..500 {
            let count = 1 + (dice.next() % 12) as usize;
            let times: Vec<Option<EventTime>> = (0..count)
                .map(|_| {
                    (!dice.next().is_multiple_of(8)).then(|| EventTime((dice.next() % 40) as i64))
                })
                .collect();
            let lateness = Span((dice.next() % 20) as i64);
            let ties = vec![
                (0..count)
                    .filter(|row| row.is_multiple_of(3))
                    .collect::<Vec<_>>(),
            ];
            let own: Vec<usize> = (0..count).collect();
            let verdicts = late(&times, &own, lateness);
            let order = draw(&times, &verdicts, &ties, lateness, &mut dice);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, own, "round {round}: every row is there once");
            let tied: Vec<usize> = order.iter().copied().filter(|row| row % 3 == 0).collect();
            assert_eq!(tied, ties[0], "round {round}");
            let untied = draw(&times, &verdicts, &[], lateness, &mut dice);
            assert_eq!(late(&times, &untied, lateness), verdicts, "round {round}");
            moved += usize::from(untied != own);
        }
        assert!(moved > 300, "orders do differ: {moved}");
    }

    #[test]
    fn without_lateness_the_order_is_that_of_time() {
        let times: Vec<_> = [3, 1, 2].map(|at| Some(EventTime(at))).into();
        let order = draw(&times, &[false; 3], &[], Span::ZERO, &mut Dice(1));
        assert_eq!(order, [1, 2, 0]);
    }
}
