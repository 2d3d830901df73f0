//! Which of the key's rows an aggregate looks at.

use std::collections::BTreeMap;

use arrow::array::{Array, BooleanArray};
use tidegate_operators::aggregate::window::{Bounds as WindowBounds, Window as RollingWindow};
use tidegate_schemas::job::{Aggregate, Bounds, Nulls, Op, Sql, Text, Window};
use tidegate_schemas::time::EventTime;

use super::Question;
use super::gather::KeyFact;
use crate::expressions::Planner;

/// Looks up rows, by the number under which they are shown.
pub(super) struct Ledger<'a> {
    question: &'a Question<'a>,
    planner: Planner,
    /// The rows that are talked about: row `i` is shown as `i + 1`.
    pub(super) facts: Vec<&'a KeyFact>,
    known: BTreeMap<(usize, String), Option<BooleanArray>>,
}

/// A stretch of time: later than the first, and up to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inside {
    pub(super) after: EventTime,
    pub(super) until: EventTime,
}

impl Inside {
    /// What a window with these ends shows at `at`.
    pub(super) fn of(
        window: &Window,
        aggregate: &Aggregate,
        bounds: Bounds,
        at: EventTime,
    ) -> Inside {
        let until = match bounds {
            Bounds::ClosedOpen => EventTime(at.0.saturating_sub(1)),
            Bounds::OpenClosed | Bounds::ClosedClosed => at,
        };
        let after = window.span().map_or(EventTime::MIN, |span| {
            let bounds = match bounds {
                Bounds::OpenClosed => WindowBounds::OpenClosed,
                Bounds::ClosedClosed => WindowBounds::ClosedClosed,
                Bounds::ClosedOpen => WindowBounds::ClosedOpen,
            };
            RollingWindow::new(span, aggregate.hop, bounds).cut(at)
        });
        Inside { after, until }
    }

    fn has(self, at: EventTime) -> bool {
        at > self.after && at <= self.until
    }
}

impl<'a> Ledger<'a> {
    pub(super) fn new(question: &'a Question<'a>, facts: Vec<&'a KeyFact>) -> Ledger<'a> {
        Ledger {
            question,
            planner: Planner::new(),
            facts,
            known: BTreeMap::new(),
        }
    }

    /// The rows that an aggregate looks at, in words: `rows 1-3, 7`.
    pub(super) fn rows(
        &mut self,
        from: &[Text],
        aggregate: &Aggregate,
        inside: Inside,
        also: Option<&Sql>,
    ) -> String {
        let above = self.passing(from, aggregate, aggregate.filter.as_ref(), inside, also);
        let above = picked(&aggregate.op, above);
        match &aggregate.op {
            Op::Ratio { per } => {
                let below = self.passing(from, aggregate, Some(per), inside, also);
                format!("{} over {}", listed(&above), listed(&below))
            }
            _ => listed(&above),
        }
    }

    /// The rows that an aggregate looks at, by number.
    pub(super) fn counted(
        &mut self,
        from: &[Text],
        aggregate: &Aggregate,
        inside: Inside,
    ) -> Vec<usize> {
        let mut rows = self.passing(from, aggregate, aggregate.filter.as_ref(), inside, None);
        if let Op::Ratio { per } = &aggregate.op {
            rows.extend(self.passing(from, aggregate, Some(per), inside, None));
        }
        rows
    }

    fn passing(
        &mut self,
        from: &[Text],
        aggregate: &Aggregate,
        filter: Option<&Sql>,
        inside: Inside,
        also: Option<&Sql>,
    ) -> Vec<usize> {
        let facts = self.facts.clone();
        let mut rows = Vec::new();
        for (number, fact) in facts.into_iter().enumerate() {
            let source = &self.question.plan.sources[fact.source].name;
            let counts = inside.has(fact.at)
                && from.iter().any(|name| *name == *source.as_str())
                && filter.is_none_or(|sql| self.is_true(fact, sql))
                && also.is_none_or(|sql| self.is_true(fact, sql))
                && match &aggregate.of {
                    Some(of) if aggregate.nulls == Nulls::Skip => self.is_known(fact, of),
                    _ => true,
                };
            if counts {
                rows.push(number + 1);
            }
        }
        rows
    }

    fn is_true(&mut self, fact: &KeyFact, sql: &Sql) -> bool {
        self.answer(fact, sql.as_str().to_owned())
    }

    /// Whether an expression is not null.
    fn is_known(&mut self, fact: &KeyFact, sql: &Sql) -> bool {
        self.answer(fact, format!("({}) is not null", sql.as_str()))
    }

    fn answer(&mut self, fact: &KeyFact, sql: String) -> bool {
        let (question, planner) = (self.question, &self.planner);
        let truths = self
            .known
            .entry((fact.source, sql))
            .or_insert_with_key(|(source, sql)| {
                let batch = question.gathered.sources[*source].batch.as_ref()?;
                planner.plan(sql, &batch.schema()).ok()?.truths(batch).ok()
            });
        truths
            .as_ref()
            .is_some_and(|truths| truths.is_valid(fact.row) && truths.value(fact.row))
    }
}

/// Of the rows that count, those whose values come out.
pub(super) fn picked(op: &Op, rows: Vec<usize>) -> Vec<usize> {
    let last = |k: usize| rows[rows.len().saturating_sub(k)..].to_vec();
    let first = |k: usize| rows[..rows.len().min(k)].to_vec();
    match op {
        Op::First => first(1),
        Op::Last => last(1),
        Op::FirstK { k, .. } | Op::List { k } => first(*k as usize),
        Op::LastK { k, .. } => last(*k as usize),
        _ => rows,
    }
}

/// Numbers with runs drawn together.
pub(super) fn listed(rows: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for row in rows {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == *row => *end = *row,
            _ => runs.push((*row, *row)),
        }
    }
    let told = runs.iter().map(|(start, end)| match end - start {
        0 => start.to_string(),
        _ => format!("{start}-{end}"),
    });
    let told = told.collect::<Vec<_>>().join(", ");
    match rows.len() {
        0 => "no row".to_owned(),
        1 => format!("row {told}"),
        _ => format!("rows {told}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_numbers_are_drawn_together() {
        assert_eq!(listed(&[]), "no row");
        assert_eq!(listed(&[4]), "row 4");
        assert_eq!(listed(&[1, 2, 3, 7, 9, 10]), "rows 1-3, 7, 9-10");
    }

    #[test]
    fn only_the_rows_whose_values_come_out_are_named() {
        let rows = || vec![1, 2, 3];
        assert_eq!(picked(&Op::Last, rows()), [3]);
        assert_eq!(picked(&Op::List { k: 2 }, rows()), [1, 2]);
        assert_eq!(picked(&Op::Count, rows()), [1, 2, 3]);
        assert_eq!(picked(&Op::First, vec![]), Vec::<usize>::new());
    }
}
