//! The obvious way to sessions, for tests: sort all facts, cut the list, look at each piece.
//!
//! Slow on purpose, and sharing no code with the logic: what the logic keeps in four words is
//! computed here from the session's whole list of facts.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_schemas::fact::{Fact, NULL, float_word};
use tidegate_schemas::rows::{Kind, Rows};
use tidegate_schemas::time::{EventTime, Span};

use super::{AtGap, Empty, Measure, SessionColumn, SessionOp, SessionsSpec};

/// A row as a value: its time and its columns, each a run of words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionRow {
    /// The time in the row's head.
    pub at: EventTime,
    /// The words of each column.
    pub columns: Vec<Vec<i64>>,
}

/// All sessions of one key's facts, in any order but each once, when event time has reached `clock`.
///
/// These are the rows of the open output; those of the closed output are the ones whose column
/// `closed` is 1 ([`closed`]).
#[must_use]
pub fn sessions(spec: &SessionsSpec, facts: &[Fact<'_>], clock: EventTime) -> Vec<SessionRow> {
    let mut facts: Vec<Fact<'_>> = facts
        .iter()
        .copied()
        .filter(|fact| passes(fact, spec.filter))
        .collect();
    facts.sort_by_key(|fact| (fact.at, fact.id));
    let mut rows = Vec::new();
    let mut first = 0;
    for i in 1..=facts.len() {
        let (start, end) = (facts[first].at, facts[i - 1].at);
        let (over, cut) = match facts.get(i) {
            Some(next) if next.at == end => continue,
            Some(next) if near(spec, end, next.at) => match spec.max_length {
                Some(most) if next.at.0 - start.0 > most.0 => (Some(next.at), true),
                _ => continue,
            },
            Some(_) => (Some(over_at(spec, end)), false),
            None => (
                Some(over_at(spec, end)).filter(|over| clock >= *over),
                false,
            ),
        };
        rows.push(row(spec, &facts[first..i], over, cut));
        first = i;
    }
    rows
}

/// Those of `rows` that are over: the rows of the closed output.
#[must_use]
pub fn closed(spec: &SessionsSpec, rows: &[SessionRow]) -> Vec<SessionRow> {
    let column = spec.columns.len() + 3;
    (rows.iter().filter(|row| row.columns[column] == [1]))
        .cloned()
        .collect()
}

/// What stands of one key's output once everything taken back is gone: each row with how often it
/// is there, in order.
#[must_use]
pub fn standing(rows: &Rows, key: &str) -> Vec<(SessionRow, i64)> {
    let mut counts = BTreeMap::new();
    for i in (0..rows.len()).filter(|i| rows.keys.get(*i) == key) {
        let row = SessionRow {
            at: rows.heads[i].at,
            columns: (rows.columns.iter().map(|c| c.row(i).to_vec())).collect(),
        };
        *counts.entry(row).or_insert(0) += i64::from(rows.heads[i].diff);
    }
    counts.into_iter().filter(|(_, n)| *n != 0).collect()
}

pub(crate) fn passes(fact: &Fact<'_>, filter: Option<u8>) -> bool {
    match filter {
        None => true,
        Some(bit) => fact.bits & (1 << bit) != 0,
    }
}

fn near(spec: &SessionsSpec, end: EventTime, next: EventTime) -> bool {
    let apart = next.0 - end.0;
    match spec.at_gap {
        AtGap::New => apart < spec.gap.0,
        AtGap::Same => apart <= spec.gap.0,
    }
}

fn over_at(spec: &SessionsSpec, end: EventTime) -> EventTime {
    match spec.at_gap {
        AtGap::New if spec.gap == Span::ZERO => EventTime(end.0 + 1),
        AtGap::New => EventTime(end.0 + spec.gap.0),
        AtGap::Same => EventTime(end.0 + spec.gap.0 + 1),
    }
}

fn row(spec: &SessionsSpec, facts: &[Fact<'_>], over: Option<EventTime>, cut: bool) -> SessionRow {
    let (start, end) = (facts[0].at, facts[facts.len() - 1].at);
    let mut columns = vec![vec![start.0], vec![end.0], vec![facts.len() as i64]];
    for column in &spec.columns {
        columns.push(words(column, facts));
    }
    columns.push(vec![i64::from(over.is_some())]);
    if spec.max_length.is_some() {
        columns.push(vec![i64::from(cut)]);
    }
    SessionRow {
        at: over.unwrap_or(end),
        columns,
    }
}

pub(crate) fn words(column: &SessionColumn, facts: &[Fact<'_>]) -> Vec<i64> {
    let passing = || facts.iter().filter(|fact| passes(fact, column.filter));
    let times: Vec<i64> = passing().map(|fact| fact.at.0).collect();
    let values = |of: &Measure| -> Vec<i64> {
        (passing().map(|fact| fact.words[of.word]))
            .filter(|word| *word != NULL)
            .collect()
    };
    let sum = |of: &Measure| -> i128 { values(of).into_iter().map(i128::from).sum() };
    let shown = match &column.op {
        SessionOp::Count => Some(times.len() as i64).filter(|n| *n > 0),
        SessionOp::Any => (!times.is_empty()).then_some(1),
        SessionOp::FirstTime => times.first().copied(),
        SessionOp::LastTime => times.last().copied(),
        SessionOp::Duration => times.last().map(|last| last - times[0]),
        SessionOp::Sum(of) if values(of).is_empty() => None,
        SessionOp::Sum(of) => Some(i64::try_from(sum(of)).unwrap_or(NULL)),
        SessionOp::Mean(of) if values(of).is_empty() => None,
        SessionOp::Mean(of) => {
            let unit = match of.kind {
                Kind::Fixed { scale } => 10f64.powi(i32::from(scale)),
                Kind::Span => 1_000_000.0,
                _ => 1.0,
            };
            Some(float_word(
                sum(of) as f64 / (values(of).len() as f64 * unit),
            ))
        }
        SessionOp::Min(of) => values(of).into_iter().min(),
        SessionOp::Max(of) => values(of).into_iter().max(),
        SessionOp::First(of) => values(of).first().copied(),
        SessionOp::Last(of) => values(of).last().copied(),
        SessionOp::CountDistinct(of) => {
            let distinct: BTreeSet<i64> = values(of).into_iter().collect();
            Some(distinct.len() as i64).filter(|n| *n > 0)
        }
        SessionOp::List { of, k } => return values(of).into_iter().take(*k).collect(),
    };
    vec![shown.unwrap_or(match column.empty {
        Empty::Null => NULL,
        Empty::Zero => 0,
    })]
}
