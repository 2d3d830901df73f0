//! Rows and answers as text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;
use tidegate_schemas::fact::NULL;
use tidegate_schemas::rows::{Kind, OutputSchema, Rows};
use tidegate_schemas::time::EventTime;

use super::Question;
use super::gather::KeyFact;
use crate::cli::failure::Failure;
use crate::cli::numbers::grouped;
use crate::sinks::render::Renderer;

/// Longer texts are cut.
const LONGEST: usize = 48;

/// What became of the key's rows, source by source.
pub(super) fn became(question: &Question<'_>) -> String {
    let plan = question.plan;
    let mut text = String::new();
    for (source, rows) in plan.sources.iter().zip(&question.gathered.sources) {
        if !source
            .feeds
            .iter()
            .any(|(stage, _)| *stage == question.stage)
        {
            continue;
        }
        let facts = question.gathered.facts.iter();
        let counted = facts
            .filter(|fact| plan.sources[fact.source].name == source.name)
            .count();
        text.push_str(&format!(
            "  {}: {} rows of this key count; {} came too late\n",
            source.name,
            grouped(counted as u64),
            grouped(rows.late as u64)
        ));
        for reject in rows.rejects.iter().take(question.most) {
            text.push_str(&format!("    rejected: {reject}\n"));
        }
    }
    if question.gathered.copies > 0 {
        let copies = grouped(question.gathered.copies as u64);
        text.push_str(&format!(
            "  copies of these (same id), left out: {copies}\n"
        ));
    }
    text
}

/// A table of the key's rows: number, place, time and the columns that matter.
pub(super) fn facts(question: &Question<'_>, facts: &[&KeyFact]) -> String {
    if facts.is_empty() {
        return "  no rows\n".to_owned();
    }
    let hidden = facts.len().saturating_sub(question.most);
    let mut lines: Vec<Vec<String>> = Vec::new();
    let names = columns(question);
    let mut head = vec!["#".to_owned(), "row".to_owned(), "time".to_owned()];
    head.extend(names.iter().cloned());
    lines.push(head);
    for (number, fact) in facts.iter().enumerate().skip(hidden) {
        let rows = &question.gathered.sources[fact.source];
        let mut line = vec![
            (number + 1).to_string(),
            rows.places[fact.row].clone(),
            fact.at.to_string(),
        ];
        line.extend(names.iter().map(|name| {
            let column = rows
                .batch
                .as_ref()
                .and_then(|batch| batch.column_by_name(name));
            column.map_or_else(String::new, |column| cell(column, fact.row))
        }));
        lines.push(line);
    }
    let mut text = String::new();
    if hidden > 0 {
        text.push_str(&format!(
            "  {} older rows are not shown; --rows {} shows them\n",
            grouped(hidden as u64),
            facts.len()
        ));
    }
    text + &table(&lines)
}

/// The columns of the key's rows, but for the key and the time, which are shown anyway.
fn columns(question: &Question<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for source in &question.plan.sources {
        let Some((_, feed)) = source
            .feeds
            .iter()
            .find(|(stage, _)| *stage == question.stage)
        else {
            continue;
        };
        for (index, field) in source.declared.schema().fields().iter().enumerate() {
            let told = index == source.time || feed.key == Some(index);
            if !told && !names.contains(field.name()) {
                names.push(field.name().clone());
            }
        }
    }
    names
}

/// Lines of cells below each other.
pub(super) fn table(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        let lengths = cells.map(|cell| cell.chars().count());
        // What is longer pushes the rest of its own line alone.
        lengths
            .filter(|length| *length <= LONGEST)
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(&format!("  {}\n", line.trim_end()));
    }
    text
}

/// A value of a source's row.
pub(super) fn cell(column: &ArrayRef, row: usize) -> String {
    if column.is_null(row) {
        return "null".to_owned();
    }
    let text = array_value_to_string(column, row).unwrap_or_else(|error| error.to_string());
    let zone = match column.data_type() {
        DataType::Timestamp(..) => "Z",
        _ => "",
    };
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text + zone,
    }
}

/// The values of a row of an output, column by column behind the key.
pub(super) fn values(
    question: &Question<'_>,
    schema: &OutputSchema,
    rows: &Rows,
    row: usize,
) -> Result<Vec<(String, String)>, Failure> {
    let mut one = Rows::new(schema.columns.len());
    one.append_row(rows, row, 1);
    let mut renderer = Renderer::new(schema, Arc::clone(&question.plan.names));
    let batch = renderer.render(&one).map_err(Failure::internal)?;
    let first = usize::from(schema.key.is_some());
    let value = |(index, column): (usize, &tidegate_schemas::rows::OutputColumn)| {
        let text = match column.kind {
            Kind::Time(_) => match one.columns[index].words[0] {
                NULL => "null".to_owned(),
                micros => EventTime(micros).to_string(),
            },
            _ => {
                let array = batch.column(first + index);
                match array.is_null(0) {
                    true => "null".to_owned(),
                    false => array_value_to_string(array, 0).unwrap_or_else(|e| e.to_string()),
                }
            }
        };
        (column.name.clone(), text)
    };
    Ok(schema.columns.iter().enumerate().map(value).collect())
}

/// The time in a column of an output's row; none when it is null.
pub(super) fn time(rows: &Rows, column: usize, row: usize) -> Option<EventTime> {
    match rows.columns[column].row(row) {
        [NULL] | [] => None,
        [micros, ..] => Some(EventTime(*micros)),
    }
}

/// The times that are nearest to `at`, in order, for people who meant another.
pub(super) fn nearest(mut times: Vec<EventTime>, at: EventTime) -> String {
    const SHOWN: usize = 6;
    times.sort_unstable();
    times.dedup();
    times.sort_by_key(|time| time.0.abs_diff(at.0));
    let more = times.len() > SHOWN;
    times.truncate(SHOWN);
    times.sort_unstable();
    let told: Vec<String> = times.iter().map(ToString::to_string).collect();
    match (told.is_empty(), more) {
        (true, _) => "there are none".to_owned(),
        (_, true) => format!("the nearest are {}", told.join(", ")),
        (_, false) => format!("there are {}", told.join(", ")),
    }
}
