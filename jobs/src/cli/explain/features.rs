//! Features, explained: the rows inside the windows, and what each column made of them.

use tidegate_schemas::job::{Aggregate, Bounds, Features, OutputKind, Window};
use tidegate_schemas::rows::{Kind, OutputSchema, Rows};
use tidegate_schemas::time::EventTime;

use super::gather::KeyFact;
use super::ledger::{Inside, Ledger};
use super::shown::{became, facts, nearest, table, time, values};
use super::{Question, anchored};
use crate::cli::check::of_aggregate;
use crate::cli::failure::Failure;

pub(super) fn explained(question: &Question<'_>) -> Result<String, Failure> {
    let (schema, rows, answers) = answers(question)?;
    let Some(features) = question.job.features.get(&question.output.name) else {
        return Err(Failure::internal("an output of no features"));
    };
    let at = question.at;
    let counting = counting(question, features, at);
    let mut text = question.headline(at);
    text.push_str(&format!("\nRows\n{}", became(question)));
    text.push_str(&format!(
        "  {} of them matter here:\n{}",
        counting.len(),
        facts(question, &counting)
    ));
    let mut ledger = Ledger::new(question, counting);
    for row in answers {
        let values = values(question, &schema, &rows, row)?;
        text.push_str(&format!(
            "\nAnswer\n{}",
            told(&mut ledger, features, &schema, &values, at)
        ));
    }
    Ok(text)
}

/// The output's rows, and which of them are the answer.
fn answers(question: &Question<'_>) -> Result<(OutputSchema, Rows, Vec<usize>), Failure> {
    let is_anchored =
        question.output.kind == OutputKind::Features && anchored(question.job, question.output);
    // Anchors are looked for beyond the moment, too, to name those that are near.
    let until = if is_anchored {
        EventTime::MAX
    } else {
        question.at
    };
    let output = question.output.to_string();
    let standing = question.replayed(until)?;
    let Some((schema, rows)) = standing.standing(&output).or_else(|| {
        // Without anchors, `current` and `features` are one output.
        let name = &question.output.name;
        standing.standing(&format!("features.{name}"))
    }) else {
        return Err(Failure::internal(format!("no output {output}")));
    };
    let found: Vec<usize> = match is_anchored {
        true => (0..rows.len())
            .filter(|row| time(&rows, 1, *row) == Some(question.at))
            .collect(),
        false => (0..rows.len()).collect(),
    };
    if !found.is_empty() {
        return Ok((schema.clone(), rows, found));
    }
    let (key, at) = (question.key, question.at);
    Err(Failure::not_found(match is_anchored {
        true => {
            let times = (0..rows.len())
                .filter_map(|row| time(&rows, 1, row))
                .collect();
            format!(
                "{output} has no row of `{key}` at {at}: no anchor row is at that time\n  {}",
                nearest(times, at)
            )
        }
        false => {
            format!("{output} has no row of `{key}` at {at}: nothing is in any window at that time")
        }
    }))
}

/// The facts that some column counts at a moment, and those of the moment itself.
pub(super) fn counting<'a>(
    question: &'a Question<'_>,
    features: &Features,
    at: EventTime,
) -> Vec<&'a KeyFact> {
    let insides: Vec<(&Aggregate, Inside)> = features
        .add
        .iter()
        .flat_map(|aggregate| {
            let inside = move |window| {
                (
                    aggregate,
                    Inside::of(window, aggregate, features.bounds, at),
                )
            };
            windows(aggregate).map(inside)
        })
        .collect();
    let after = insides.iter().map(|(_, inside)| inside.after).min();
    let after = after.unwrap_or(EventTime::MIN);
    let all = question.gathered.facts.iter();
    let seen: Vec<&KeyFact> = all
        .filter(|fact| fact.at > after && fact.at <= at)
        .collect();
    let mut ledger = Ledger::new(question, seen.clone());
    let mut counts: Vec<bool> = seen.iter().map(|fact| fact.at == at).collect();
    for (aggregate, inside) in insides {
        for number in ledger.counted(&features.from, aggregate, inside) {
            counts[number - 1] = true;
        }
    }
    let counting = seen.into_iter().zip(counts).filter(|(_, counts)| *counts);
    counting.map(|(fact, _)| fact).collect()
}

/// The windows of an aggregate; one that has none speaks of the key's lifetime.
fn windows(aggregate: &Aggregate) -> impl Iterator<Item = &Window> {
    let lifetime = aggregate.windows.is_empty().then_some(&Window::Lifetime);
    aggregate.windows.iter().chain(lifetime)
}

/// Each column of an answer: its value, what it says, and the rows that it looked at.
pub(super) fn told(
    ledger: &mut Ledger<'_>,
    features: &Features,
    schema: &OutputSchema,
    values: &[(String, String)],
    at: EventTime,
) -> String {
    let mut lines = Vec::new();
    for (name, value) in values {
        let mut line = vec![name.clone(), format!("= {value}")];
        let kind = schema.columns.iter().find(|column| column.name == *name);
        let kind = kind.map_or(Kind::Int, |column| column.kind.clone());
        for aggregate in &features.add {
            for (column, window) in aggregate.columns().iter().zip(windows(aggregate)) {
                if column != name {
                    continue;
                }
                let inside = Inside::of(window, aggregate, features.bounds, at);
                let rows = ledger.rows(&features.from, aggregate, inside, None);
                line.push(rows);
                let says = of_aggregate(aggregate, Some(window), &kind);
                line.push(says + &stretch(window, features.bounds, at));
            }
        }
        lines.push(line);
    }
    table(&lines)
}

/// The ends of a window, in words.
fn stretch(window: &Window, bounds: Bounds, at: EventTime) -> String {
    let Some(span) = window.span() else {
        return String::new();
    };
    let from = at.minus(span);
    match bounds {
        Bounds::OpenClosed => format!(" in ({from}, {at}]"),
        Bounds::ClosedClosed => format!(" in [{from}, {at}]"),
        Bounds::ClosedOpen => format!(" in [{from}, {at})"),
    }
}
