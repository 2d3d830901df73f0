//! A session, explained: its rows, and the silences before and after them.

use tidegate_operators::sessions::SessionsSpec;
use tidegate_schemas::job::{AtGap, Op, Sessions};
use tidegate_schemas::rows::{Kind, OutputSchema, Rows};
use tidegate_schemas::time::{EventTime, Span};

use super::Question;
use super::gather::KeyFact;
use super::ledger::{Inside, Ledger};
use super::shown::{became, facts, nearest, table, time, values};
use crate::cli::check::of_aggregate;
use crate::cli::failure::Failure;
use crate::cli::numbers::span;

/// The column of a session's last row, behind that of its first.
const END: usize = SessionsSpec::START + 1;

pub(super) fn explained(question: &Question<'_>) -> Result<String, Failure> {
    let Some(sessions) = question.job.sessions.get(&question.output.name) else {
        return Err(Failure::internal("an output of no sessions"));
    };
    let (schema, rows, row) = answer(question)?;
    let start = time(&rows, SessionsSpec::START, row).unwrap_or(question.at);
    let end = time(&rows, END, row).unwrap_or(question.at);
    let own = belonging(question, sessions);
    let (mut before, mut inside, mut after) = (None, Vec::new(), None);
    for fact in own {
        match fact.at {
            at if at < start => before = Some(fact),
            at if at <= end => inside.push(fact),
            _ => after = after.or(Some(fact)),
        }
    }
    let mut text = question.headline(start);
    text.push_str(&format!("\nRows\n{}", became(question)));
    text.push_str(&edge("before", before, sessions, |fact| start - fact.at));
    text.push_str(&facts(question, &inside));
    text.push_str(&edge("after", after, sessions, |fact| fact.at - end));
    let values = values(question, &schema, &rows, row)?;
    let mut ledger = Ledger::new(question, inside);
    text.push_str(&format!(
        "\nAnswer\n{}",
        told(&mut ledger, sessions, &schema, &values, (start, end))
    ));
    Ok(text)
}

/// The session around the moment.
fn answer(question: &Question<'_>) -> Result<(OutputSchema, Rows, usize), Failure> {
    let (schema, rows) = question.answers()?;
    let at = question.at;
    let around = |row: &usize| {
        let start = time(&rows, SessionsSpec::START, *row);
        let end = time(&rows, END, *row);
        start.is_some_and(|start| start <= at) && end.is_some_and(|end| at <= end)
    };
    if let Some(row) = (0..rows.len()).find(around) {
        return Ok((schema, rows, row));
    }
    let starts = (0..rows.len())
        .filter_map(|row| time(&rows, SessionsSpec::START, row))
        .collect();
    Err(Failure::not_found(format!(
        "{} has no session of `{}` around {at}\n  of the beginnings of sessions, {}",
        question.output,
        question.key,
        nearest(starts, at)
    )))
}

/// The key's facts that belong to sessions.
fn belonging<'a>(question: &'a Question<'_>, sessions: &Sessions) -> Vec<&'a KeyFact> {
    let filter = sessions.filter.clone();
    let planner = crate::expressions::Planner::new();
    let truths: Vec<_> = question
        .gathered
        .sources
        .iter()
        .map(|rows| {
            let (sql, batch) = (filter.as_ref()?, rows.batch.as_ref()?);
            planner
                .plan(sql.as_str(), &batch.schema())
                .ok()?
                .truths(batch)
                .ok()
        })
        .collect();
    let is_own = |fact: &&KeyFact| {
        let source = &question.plan.sources[fact.source].name;
        let passes = match (&filter, &truths[fact.source]) {
            (None, _) => true,
            (Some(_), truths) => truths.as_ref().is_some_and(|truths| truths.value(fact.row)),
        };
        passes && sessions.from.iter().any(|name| *name == *source.as_str())
    };
    question.gathered.facts.iter().filter(is_own).collect()
}

/// What lies on one side of a session, and why it is apart.
fn edge(
    side: &str,
    fact: Option<&KeyFact>,
    sessions: &Sessions,
    distance: impl Fn(&KeyFact) -> Span,
) -> String {
    let Some(fact) = fact else {
        return format!("  no row {side} it\n");
    };
    let distance_ = distance(fact);
    let gap = sessions.gap;
    let why = match distance_.cmp(&gap) {
        std::cmp::Ordering::Greater => format!("longer than the gap of {gap}"),
        std::cmp::Ordering::Equal => match sessions.at_gap {
            AtGap::New => format!("exactly the gap of {gap}, which begins a new session"),
            AtGap::Same => "kept apart by max_length".to_owned(),
        },
        std::cmp::Ordering::Less => "kept apart by max_length".to_owned(),
    };
    format!(
        "  the row {side} it is at {}, {} apart: {why}\n",
        fact.at,
        span(distance_)
    )
}

fn told(
    ledger: &mut Ledger<'_>,
    sessions: &Sessions,
    schema: &OutputSchema,
    values: &[(String, String)],
    (start, end): (EventTime, EventTime),
) -> String {
    let inside = Inside {
        after: EventTime(start.0.saturating_sub(1)),
        until: end,
    };
    let mut lines = Vec::new();
    for (name, value) in values {
        let mut line = vec![name.clone(), format!("= {value}")];
        let aggregate = sessions
            .add
            .iter()
            .find(|aggregate| *aggregate.name == *name.as_str());
        if let Some(aggregate) = aggregate {
            let kind = schema.columns.iter().find(|column| column.name == *name);
            let kind = kind.map_or(Kind::Int, |column| column.kind.clone());
            debug_assert!(!matches!(aggregate.op, Op::Ratio { .. }), "not in sessions");
            line.push(ledger.rows(&sessions.from, aggregate, inside, sessions.filter.as_ref()));
            line.push(of_aggregate(aggregate, None, &kind));
        }
        lines.push(line);
    }
    table(&lines)
}
