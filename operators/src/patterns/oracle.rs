//! The obvious way to patterns, for tests: one start after the other, each tried with the whole list of facts.
//!
//! Slow on purpose, and sharing no code with the logic: it keeps no attempts side by side, and an attempt is
//! the lists of its steps' rows.

use tidegate_schemas::fact::Fact;
use tidegate_schemas::names::code_of;
use tidegate_schemas::time::EventTime;

use super::{COMPLETED, PatternSpec, TIMED_OUT};
use crate::sessions::oracle::{SessionRow, passes, words};

/// How an attempt ended. Facts are told by their place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// At this fact, its last row.
    Completed(usize),
    /// At this time, as a match.
    TimedOut(i64),
    FailedAtFact(usize),
    FailedAtTime(i64),
    Open,
}

/// An attempt, tried to its end.
#[derive(Clone, Debug)]
struct Tried<'a> {
    start: usize,
    /// The rows of each step that it reached, as places in the list.
    rows: Vec<Vec<usize>>,
    end: End,
    facts: &'a [Fact<'a>],
}

impl Tried<'_> {
    fn last(&self) -> usize {
        *self
            .rows
            .last()
            .and_then(|rows| rows.last())
            .unwrap_or(&self.start)
    }

    fn is_match(&self) -> bool {
        matches!(self.end, End::Completed(_) | End::TimedOut(_))
    }

    /// Whether it had ended when fact `i` had been given to it.
    fn ended_by(&self, i: usize) -> bool {
        match self.end {
            End::Completed(at) | End::FailedAtFact(at) => at <= i,
            End::TimedOut(at) | End::FailedAtTime(at) => at <= self.facts[i].at.0,
            End::Open => false,
        }
    }
}

/// All matches of one key's facts, in any order but each once, when event time has reached `clock`.
///
/// # Panics
/// When an attempt is a match before one that began before it and drops it: the module of patterns
/// proves that there is none.
#[must_use]
pub fn matches(spec: &PatternSpec, facts: &[Fact<'_>], clock: EventTime) -> Vec<SessionRow> {
    let mut facts = facts.to_vec();
    facts.sort_by_key(|fact| (fact.at, fact.id));
    let mut begun: Vec<Tried<'_>> = Vec::new();
    let mut dropped: Vec<bool> = Vec::new();
    let mut skipped = Vec::new();
    for i in (0..facts.len()).filter(|i| passes(&facts[*i], spec.steps[0].filter)) {
        let matched = || {
            let stand = begun.iter().zip(&dropped);
            stand.filter(|(tried, dropped)| tried.is_match() && !**dropped)
        };
        // The last row of a completed match begins none, whatever is open.
        if matched().any(|(tried, _)| tried.end == End::Completed(i)) {
            continue;
        }
        let open = begun.iter().filter(|tried| !tried.ended_by(i)).count();
        if open >= spec.most_open as usize {
            skipped.push(i);
            continue;
        }
        let mut tried = attempt(spec, &facts, i, clock);
        // A match that began before takes all starts up to its last row, and their attempts end with it.
        let takes = matched().find(|(older, _)| i <= older.last());
        let taken = takes.map(|(older, _)| older.end);
        if let Some(end) = taken {
            assert!(!tried.is_match() || !is_before(&facts, tried.end, end));
            if is_before(&facts, end, tried.end) {
                tried.end = end;
            }
        }
        begun.push(tried);
        dropped.push(taken.is_some());
    }
    let stand = begun.iter().zip(&dropped);
    let stand = stand.filter(|(tried, dropped)| tried.is_match() && !**dropped);
    stand.map(|(tried, _)| row(spec, tried, &skipped)).collect()
}

/// The matches as they are defined: behind a match the next start is behind its last row, behind a failure
/// behind its start. No bound says how many attempts may be open.
#[must_use]
pub fn one_by_one(spec: &PatternSpec, facts: &[Fact<'_>], clock: EventTime) -> Vec<SessionRow> {
    let mut facts = facts.to_vec();
    facts.sort_by_key(|fact| (fact.at, fact.id));
    let mut rows = Vec::new();
    let mut next = 0;
    while next < facts.len() {
        if passes(&facts[next], spec.steps[0].filter) {
            let tried = attempt(spec, &facts, next, clock);
            if tried.is_match() {
                rows.push(row(spec, &tried, &[]));
                next = tried.last();
            }
        }
        next += 1;
    }
    rows
}

/// Tries the fact at `start` as the first row of a match.
fn attempt<'a>(
    spec: &PatternSpec,
    facts: &'a [Fact<'a>],
    start: usize,
    clock: EventTime,
) -> Tried<'a> {
    let mut tried = Tried {
        start,
        rows: vec![vec![start]],
        end: End::Open,
        facts,
    };
    for i in start.. {
        let step = &spec.steps[tried.rows.len() - 1];
        let next = spec.steps.get(tried.rows.len());
        let count = tried.rows[tried.rows.len() - 1].len();
        let full = count >= step.at_least as usize;
        let last = facts[tried.last()].at.0;
        if full && next.is_none() && step.absent.is_none() {
            tried.end = End::Completed(tried.last());
            return tried;
        }
        // The fact at `start` is in already; what comes next is the one behind it.
        let fact = facts.get(i + 1);
        let mut until = facts[start].at.0 + spec.within.0;
        if full {
            let within = match next {
                Some(next) => next.within,
                None => step.absent.and_then(|absent| absent.within),
            };
            until = until.min(within.map_or(i64::MAX, |within| last + within.0));
        }
        let reached = clock.0.max(fact.map_or(i64::MIN, |fact| fact.at.0));
        if fact.is_none_or(|fact| fact.at.0 >= until) {
            tried.end = match (reached >= until, full && next.is_none()) {
                (false, _) => End::Open,
                (true, true) => End::TimedOut(until),
                (true, false) => End::FailedAtTime(until),
            };
            return tried;
        }
        let Some(fact) = fact else {
            return tried;
        };
        let forbidden = step.absent.is_some_and(|absent| {
            let in_time = absent
                .within
                .is_none_or(|within| fact.at.0 < last + within.0);
            in_time && passes(fact, absent.filter)
        });
        if full && forbidden {
            tried.end = End::FailedAtFact(i + 1);
            return tried;
        }
        if full && next.is_some_and(|next| passes(fact, next.filter)) {
            tried.rows.push(vec![i + 1]);
        } else if passes(fact, step.filter)
            && step.at_most.is_none_or(|most| count < most as usize)
            && let Some(rows) = tried.rows.last_mut()
        {
            rows.push(i + 1);
        }
    }
    tried
}

/// Whether one end is before another. A time is before the facts of that time.
fn is_before(facts: &[Fact<'_>], one: End, other: End) -> bool {
    let moment = |end| match end {
        End::Completed(fact) | End::FailedAtFact(fact) => (facts[fact].at.0, 1, fact),
        End::TimedOut(at) | End::FailedAtTime(at) => (at, 0, 0),
        End::Open => (i64::MAX, 2, 0),
    };
    moment(one) < moment(other)
}

fn row(spec: &PatternSpec, tried: &Tried<'_>, skipped: &[usize]) -> SessionRow {
    let start = tried.facts[tried.start];
    let (end, how) = match tried.end {
        End::TimedOut(at) => (at, TIMED_OUT),
        _ => (tried.facts[tried.last()].at.0, COMPLETED),
    };
    let mut columns = vec![
        vec![start.id as i64],
        vec![start.at.0],
        vec![end],
        vec![code_of(how)],
    ];
    columns.extend(tried.rows.iter().map(|rows| vec![rows.len() as i64]));
    for column in &spec.columns {
        let rows = tried.rows[column.step].iter();
        let facts: Vec<Fact<'_>> = rows.map(|i| tried.facts[*i]).collect();
        columns.push(words(&column.column, &facts));
    }
    let skipped = skipped
        .iter()
        .filter(|i| **i > tried.start && !tried.ended_by(**i));
    columns.push(vec![skipped.count() as i64]);
    SessionRow {
        at: EventTime(end),
        columns,
    }
}
