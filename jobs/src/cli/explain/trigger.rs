//! A firing, explained: what the condition saw, in the key's features and sessions and in tables.

use tidegate_operators::triggers::{CLOSED_AT, FIRED_AT};
use tidegate_schemas::job::{OutputKind, TableView, Text, Trigger};
use tidegate_schemas::rows::{OutputSchema, Rows};
use tidegate_schemas::time::{EventTime, Span};

use super::features::{counting, told};
use super::gather::Rows as SourceRows;
use super::ledger::Ledger;
use super::replayed::Replayed;
use super::shown::{became, cell, facts, nearest, table, time, values};
use super::{Question, looked_at};
use crate::cli::failure::Failure;

/// A row of an output: its columns and values.
type Values = Vec<(String, String)>;

pub(super) fn explained(question: &Question<'_>) -> Result<String, Failure> {
    let Some(trigger) = question.job.triggers.get(&question.output.name) else {
        return Err(Failure::internal("an output of no trigger"));
    };
    let (schema, rows, row) = answer(question)?;
    let fired_at = time(&rows, FIRED_AT, row).unwrap_or(question.at);
    let answer = values(question, &schema, &rows, row)?;
    let mut text = question.headline(fired_at);
    text.push_str(&format!("\nRows\n{}", became(question)));
    let then = question.replayed(fired_at)?;
    let mut known = answer.clone();
    for output in looked_at(question.job, trigger) {
        let (shown, values) = block(question, &then, &output.name, output.kind, fired_at)?;
        text.push_str(&shown);
        known.extend(values);
    }
    let tables = question.job.all_tables();
    for on in trigger.on.iter() {
        if let Some(view) = tables.get(on.as_str()) {
            text.push_str(&versions(question, view, &known, fired_at));
        }
    }
    text.push_str(&condition(trigger, &rows, row, fired_at));
    let lines: Vec<Vec<String>> = answer
        .into_iter()
        .map(|(name, value)| vec![name, format!("= {value}")])
        .collect();
    text.push_str(&format!("\nAnswer\n{}", table(&lines)));
    Ok(text)
}

/// The firing at the moment, or the episode around it.
fn answer(question: &Question<'_>) -> Result<(OutputSchema, Rows, usize), Failure> {
    let (schema, rows) = question.answers()?;
    let at = question.at;
    let exactly = |row: &usize| time(&rows, FIRED_AT, *row) == Some(at);
    let around = |row: &usize| {
        time(&rows, FIRED_AT, *row).is_some_and(|fired| fired <= at)
            && time(&rows, CLOSED_AT, *row).is_some_and(|closed| at < closed)
    };
    let found = (0..rows.len())
        .find(exactly)
        .or_else(|| (0..rows.len()).find(around));
    if let Some(row) = found {
        return Ok((schema, rows, row));
    }
    let times = (0..rows.len())
        .filter_map(|row| time(&rows, FIRED_AT, row))
        .collect();
    Err(Failure::not_found(format!(
        "{} has no firing of `{}` at {at}\n  of its firings, {}",
        question.output,
        question.key,
        nearest(times, at)
    )))
}

/// What features or sessions showed at the firing.
fn block(
    question: &Question<'_>,
    then: &Replayed<'_>,
    name: &str,
    kind: OutputKind,
    at: EventTime,
) -> Result<(String, Values), Failure> {
    let words = match kind {
        OutputKind::Sessions => format!("sessions.{name}"),
        _ => format!("current.{name}"),
    };
    let mut text = format!("\n{name} at {at}\n");
    // Without anchors, the current values are the output `features`.
    let standing = then
        .standing(&words)
        .or_else(|| then.standing(&format!("features.{name}")));
    let Some((schema, rows)) = standing.filter(|(_, rows)| !rows.is_empty()) else {
        text.push_str("  nothing\n");
        return Ok((text, Values::new()));
    };
    let values = values(question, schema, &rows, rows.len() - 1)?;
    match question.job.features.get(name) {
        Some(features) => {
            let counting = counting(question, features, at);
            text.push_str(&facts(question, &counting));
            text.push_str(&told(
                &mut Ledger::new(question, counting),
                features,
                schema,
                &values,
                at,
            ));
        }
        None => {
            let lines = values
                .iter()
                .map(|(name, value)| vec![name.clone(), format!("= {value}")]);
            text.push_str(&table(&lines.collect::<Vec<_>>()));
        }
    }
    Ok((text, values))
}

/// The version of a table that held at the firing, for the key that was looked up.
fn versions(
    question: &Question<'_>,
    view: &TableView<'_>,
    known: &Values,
    at: EventTime,
) -> String {
    let mut text = format!("\nTable {} at {at}\n", view.name);
    let sources = question.plan.sources.iter().zip(&question.gathered.sources);
    let source = sources
        .into_iter()
        .find(|(source, _)| source.name == view.source);
    let Some((_, rows)) = source else {
        return text + "  not read\n";
    };
    let wanted: Values = view
        .key
        .iter()
        .map(|column| looked_up(column, known))
        .collect();
    let told: Vec<String> = wanted
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    text.push_str(&format!("  looked up by {}\n", told.join(", ")));
    let matching = matching(rows, &wanted);
    let held = matching
        .iter()
        .filter(|row| rows.times[**row] <= at)
        .max_by_key(|row| rows.times[**row]);
    let next = matching
        .iter()
        .filter(|row| rows.times[**row] > at)
        .min_by_key(|row| rows.times[**row]);
    match held {
        None => text.push_str("  no version yet, so its columns are null\n"),
        Some(row) => text.push_str(&format!("  {}\n", version(rows, *row))),
    }
    if let Some(row) = next {
        text.push_str(&format!(
            "  the next one only from {} on\n",
            rows.times[*row]
        ));
    }
    text
}

/// A column of a table's key is looked up by the column of the same name, or else by the segment.
fn looked_up(column: &Text, known: &Values) -> (String, String) {
    let of = |name: &str| known.iter().find(|(other, _)| other == name);
    let found = of(column.as_str()).or_else(|| of("segment"));
    let value = found.map_or_else(|| "null".to_owned(), |(_, value)| value.clone());
    (column.as_str().to_owned(), value)
}

/// The rows of a changelog with these values, oldest version first.
fn matching(rows: &SourceRows, wanted: &Values) -> Vec<usize> {
    let Some(batch) = &rows.batch else {
        return Vec::new();
    };
    let is_wanted = |row: &usize| {
        wanted.iter().all(|(name, value)| {
            batch
                .column_by_name(name)
                .is_some_and(|column| cell(column, *row) == *value)
        })
    };
    (0..batch.num_rows()).filter(is_wanted).collect()
}

fn version(rows: &SourceRows, row: usize) -> String {
    let Some(batch) = &rows.batch else {
        return String::new();
    };
    let schema = batch.schema();
    let cells = schema.fields().iter().zip(batch.columns());
    let cells: Vec<String> = cells
        .map(|(field, column)| format!("{} = {}", field.name(), cell(column, row)))
        .collect();
    format!(
        "{} (since {}, {})",
        cells.join(", "),
        rows.times[row],
        rows.places[row]
    )
}

/// The condition, and what else decides.
fn condition(trigger: &Trigger, rows: &Rows, row: usize, fired_at: EventTime) -> String {
    let mut text = "\nCondition\n".to_owned();
    if let Some(segment) = &trigger.segment {
        text.push_str(&format!("  the segment is {}\n", segment.written()));
    }
    text.push_str(&format!("  {} holds\n", trigger.when.written()));
    let earlier = (0..rows.len())
        .filter(|other| *other != row)
        .filter_map(|other| time(rows, FIRED_AT, other))
        .filter(|at| *at < fired_at)
        .max();
    let cooldown = trigger.cooldown;
    text.push_str(&match (earlier, cooldown) {
        (_, Span::ZERO) => "  there is no cooldown\n".to_owned(),
        (None, _) => {
            format!("  it has not fired before, so the cooldown of {cooldown} does not matter\n")
        }
        (Some(at), _) => {
            format!("  it fired last at {at}, the cooldown of {cooldown} or more earlier\n")
        }
    });
    if let Some(holdout) = &trigger.holdout {
        text.push_str(&format!(
            "  {} of 100 keys are held out, by a hash of the key and `{}`\n",
            holdout.percent,
            holdout.salt.written()
        ));
    }
    text
}
