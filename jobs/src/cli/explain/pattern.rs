//! A match of a pattern, explained: which row each step took.

use tidegate_operators::patterns::{Pattern as PatternLogic, PatternSpec};
use tidegate_schemas::fact::Fact;
use tidegate_schemas::job::Pattern;
use tidegate_schemas::rows::{Kind, OutputSchema, Rows};
use tidegate_schemas::time::EventTime;

use super::Question;
use super::gather::KeyFact;
use super::ledger::{Inside, Ledger, listed, picked};
use super::shown::{became, facts, nearest, table, time, values};
use crate::cli::check::of_aggregate;
use crate::cli::failure::Failure;

pub(super) fn explained(question: &Question<'_>) -> Result<String, Failure> {
    let Some(pattern) = question.job.patterns.get(&question.output.name) else {
        return Err(Failure::internal("an output of no pattern"));
    };
    let (schema, rows, matches) = answers(question)?;
    let mut text = String::new();
    for row in matches {
        let start = time(&rows, PatternSpec::START, row).unwrap_or(question.at);
        let end = time(&rows, PatternSpec::END, row).unwrap_or(question.at);
        let steps = steps(question, &rows, row, end)?;
        let inside: Vec<&KeyFact> = steps.iter().map(|(fact, _)| *fact).collect();
        text.push_str(&question.headline(start));
        text.push_str(&format!("\nRows\n{}", became(question)));
        text.push_str(&facts(question, &inside));
        text.push_str(&format!("\nSteps\n{}", told_steps(pattern, &steps)));
        let values = values(question, &schema, &rows, row)?;
        let answer = told(question, pattern, &schema, &values, &steps);
        text.push_str(&format!("\nAnswer\n{answer}"));
    }
    Ok(text)
}

/// A row of the match's time, and the step that took it.
type Taken<'a> = (&'a KeyFact, Option<usize>);

/// The matches around the moment.
fn answers(question: &Question<'_>) -> Result<(OutputSchema, Rows, Vec<usize>), Failure> {
    let (schema, rows) = question.answers()?;
    let at = question.at;
    let around = |row: &usize| {
        let start = time(&rows, PatternSpec::START, *row);
        let end = time(&rows, PatternSpec::END, *row);
        start.is_some_and(|start| start <= at) && end.is_some_and(|end| at <= end)
    };
    let found: Vec<usize> = (0..rows.len()).filter(around).collect();
    if !found.is_empty() {
        return Ok((schema, rows, found));
    }
    let starts = (0..rows.len())
        .filter_map(|row| time(&rows, PatternSpec::START, row))
        .collect();
    Err(Failure::not_found(format!(
        "{} has no match of `{}` around {at}\n  of the beginnings of matches, {}",
        question.output,
        question.key,
        nearest(starts, at)
    )))
}

/// The rows from the first one to the end of a match, each with the step that took it.
fn steps<'a>(
    question: &'a Question<'_>,
    rows: &Rows,
    row: usize,
    end: EventTime,
) -> Result<Vec<Taken<'a>>, Failure> {
    let stage = &question.plan.stages[question.stage];
    let Some(spec) = stage.patterns.first() else {
        return Err(Failure::internal("a stage without the pattern"));
    };
    let [id] = rows.columns[PatternSpec::START_ID].row(row) else {
        return Err(Failure::internal("a match without an id"));
    };
    let logic = PatternLogic::new(spec.clone());
    let seen = logic.seen().unwrap_or(u64::MAX);
    let all = question.gathered.facts.iter();
    let own = all.skip_while(|fact| fact.id != *id as u64);
    let own = own.take_while(|fact| fact.at <= end);
    let own: Vec<&KeyFact> = own.collect();
    let taken = logic.taken(own.iter().map(|fact| Fact {
        at: fact.at,
        id: fact.id,
        bits: fact.bits,
        words: &fact.words,
    }));
    let all = own.into_iter().zip(taken);
    Ok(all
        .filter(|(fact, taken)| taken.is_some() || fact.bits & seen != 0)
        .collect())
}

/// Which rows each step took, and what stayed away.
fn told_steps(pattern: &Pattern, steps: &[Taken<'_>]) -> String {
    let mut lines = Vec::new();
    for (number, (step, absent)) in pattern.present().enumerate() {
        let took =
            |(row, (_, taken)): (usize, &Taken<'_>)| (*taken == Some(number)).then_some(row + 1);
        let rows: Vec<usize> = steps.iter().enumerate().filter_map(took).collect();
        lines.push(vec![step.name.written().to_owned(), listed(&rows)]);
        if let Some(absent) = absent {
            let name = absent.name.written().to_owned();
            lines.push(vec![name, "none came in its time".to_owned()]);
        }
    }
    table(&lines)
}

fn told(
    question: &Question<'_>,
    pattern: &Pattern,
    schema: &OutputSchema,
    values: &[(String, String)],
    steps: &[Taken<'_>],
) -> String {
    let forever = Inside {
        after: EventTime::MIN,
        until: EventTime::MAX,
    };
    let mut lines = Vec::new();
    for (name, value) in values {
        let mut line = vec![name.clone(), format!("= {value}")];
        let mut added = pattern.add.iter();
        if let Some(aggregate) = added.find(|aggregate| *aggregate.name == *name.as_str()) {
            let step = aggregate.step.as_ref().map(|step| step.as_str());
            let mut present = pattern.present();
            let number = present.position(|(other, _)| Some(other.name.as_str()) == step);
            // Rows of other steps keep their numbers and do not count.
            let own = |(row, (_, taken)): (usize, &Taken<'_>)| {
                (taken.is_some() && *taken == number).then_some(row + 1)
            };
            let own: Vec<usize> = steps.iter().enumerate().filter_map(own).collect();
            let inside = steps.iter().map(|(fact, _)| *fact).collect();
            let mut ledger = Ledger::new(question, inside);
            let counted = ledger.counted(&pattern.from, aggregate, forever);
            let rows: Vec<usize> = counted
                .into_iter()
                .filter(|row| own.contains(row))
                .collect();
            line.push(listed(&picked(&aggregate.op, rows)));
            let kind = schema.columns.iter().find(|column| column.name == *name);
            let kind = kind.map_or(Kind::Int, |column| column.kind.clone());
            line.push(of_aggregate(aggregate, None, &kind));
        }
        lines.push(line);
    }
    table(&lines)
}
