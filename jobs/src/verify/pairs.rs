//! Columns over rows that are joined with what they belong to: anchors with the rows in their window,
//! or sessions with their own.
//!
//! All queries read rows of owner (`o`), number (`rn`), time (`at`), and the columns of the facts.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use tidegate_schemas::job::{Bounds, Op};

use super::aggregate::{End, Wanted, Way};
use super::database::floor_divided;
use super::error::VerifyError;
use super::expected::Computed;
use super::facts::FACTS;
use super::features::{Anchors, newest_first, picked};
use super::shares::Shares;
use super::shown::{Owners, shown, wholes};
use super::tallies;

/// A column at anchors.
///
/// A window and its hop fit into a bucket of their length and the bucket before, so anchors meet only
/// the rows of two buckets.
pub(super) fn column(anchors: &Anchors<'_>, wanted: &Wanted) -> Result<Computed, VerifyError> {
    let (anchor, matters) = (anchors.anchor, wanted.matters());
    let bucket = wanted.window.map(|window| {
        let length = window.0.saturating_add(wanted.hop.map_or(0, |hop| hop.0));
        floor_divided("at", length)
    });
    let bucket = bucket.unwrap_or_else(|| "0".to_owned());
    let facts = |of_keys: &str| {
        format!("SELECT *, {bucket} AS b FROM {FACTS} WHERE {of_keys} AND {matters}")
    };
    let asking = |of_keys: &str| {
        format!(
            "SELECT k, at, rn, b - j AS b FROM (SELECT k, at, rn, {bucket} AS b FROM {FACTS} \
             WHERE {of_keys} AND {anchor}) CROSS JOIN (VALUES (0), (1)) AS t(j)"
        )
    };
    let costs = format!(
        "SELECT a.k, sum(a.n * f.n) FROM (SELECT k, b, count(*) AS n FROM ({}) GROUP BY k, b) a \
         JOIN (SELECT k, b, count(*) AS n FROM ({}) GROUP BY k, b) f ON a.k = f.k AND a.b = f.b \
         GROUP BY a.k ORDER BY a.k",
        asking("true"),
        facts("true")
    );
    let costs = anchors.database.query(&wanted.name, &costs)?;
    let shares = Shares::of(&costs, anchors.most_pairs)?;
    let inside = inside(anchors.bounds, wanted);
    let mut answers = Vec::new();
    for (first, last) in &shares.ranges {
        let of_keys = format!("k BETWEEN {first} AND {last}");
        let rows = format!(
            "SELECT a.rn AS o, a.at AS oat, f.* FROM ({}) a JOIN ({}) f \
             ON a.k = f.k AND a.b = f.b WHERE {inside}",
            asking(&of_keys),
            facts(&of_keys)
        );
        let sql = asked(wanted, &rows);
        answers.push(anchors.database.query(&wanted.name, &sql)?);
    }
    let unknown = shares.unknown(anchors.owners, anchors.keys, "anchors and rows");
    let values = answered(anchors.owners, wanted, &answers)?;
    Ok(Computed {
        values,
        unknown,
        size: None,
    })
}

/// The condition that a row (`f`) is in the window of an anchor (`a`).
fn inside(bounds: Bounds, wanted: &Wanted) -> String {
    let end = match bounds {
        Bounds::ClosedOpen => "f.at < a.at",
        _ => "f.at <= a.at",
    };
    let Some(window) = wanted.window else {
        return end.to_owned();
    };
    let start = format!("(a.at - {})", window.0);
    let start = match wanted.hop {
        Some(hop) => format!("({} * {})", floor_divided(&start, hop.0), hop.0),
        None => start,
    };
    let after = match bounds {
        Bounds::OpenClosed => ">",
        _ => ">=",
    };
    format!("{end} AND f.at {after} {start}")
}

/// The query for a column over joined rows.
pub(super) fn asked(wanted: &Wanted, rows: &str) -> String {
    let (counts, value) = (&wanted.counts, wanted.value());
    match wanted.way() {
        Way::Calls | Way::Decayed => {
            let calls = wanted.calls().into_iter().enumerate();
            let calls: String = calls
                .map(|(at, call)| format!(", {call} AS c{at}"))
                .collect();
            format!("SELECT o{calls} FROM ({rows}) GROUP BY o ORDER BY o")
        }
        Way::Picks(end) => {
            let k = match wanted.op {
                Op::FirstK { k, .. } | Op::LastK { k, .. } | Op::List { k } => k,
                _ => 1,
            };
            let from = if end == End::Oldest { "ASC" } else { "DESC" };
            let direction = if newest_first(&wanted.op) {
                "DESC"
            } else {
                "ASC"
            };
            format!(
                "SELECT o, v FROM (SELECT o, rn, {value} AS v, row_number() OVER \
                 (PARTITION BY o ORDER BY rn {from}) AS place FROM ({rows}) WHERE {counts}) \
                 WHERE place <= {k} ORDER BY o, rn {direction}"
            )
        }
        Way::Tallies => {
            let tallies = format!(
                "SELECT o, {value} AS v, count(*) AS n, max(rn) AS last FROM ({rows}) \
                 WHERE {counts} GROUP BY o, {value}"
            );
            tallies::finishing(wanted, &tallies)
        }
        Way::SinceLast => format!(
            "SELECT o, max(oat) - max(at) FROM ({rows}) WHERE {counts} AND at < oat \
             GROUP BY o ORDER BY o"
        ),
        Way::LongestGap => format!(
            "SELECT o, max(at - before) FROM (SELECT o, at, lag(at) OVER \
             (PARTITION BY o ORDER BY rn) AS before FROM ({rows}) WHERE {counts}) \
             GROUP BY o ORDER BY o"
        ),
    }
}

/// The column, from the answers to [`asked`] in the order of owners.
pub(super) fn answered(
    owners: &Owners,
    wanted: &Wanted,
    answers: &[RecordBatch],
) -> Result<ArrayRef, VerifyError> {
    let Some(first) = answers.first() else {
        return tallies::nothing(owners, wanted);
    };
    let all = concat_batches(&first.schema(), answers)
        .map_err(|error| VerifyError::Shape(error.to_string()))?;
    match wanted.way() {
        Way::Calls | Way::Decayed => {
            let mut columns = Vec::new();
            for column in &all.columns()[1..] {
                columns.push(owners.spread(all.column(0), column)?);
            }
            wanted.finish(&columns)
        }
        Way::Picks(_) => picked(owners, wanted, all.column(0), all.column(1)),
        Way::Tallies => tallies::finished(owners, wanted, answers),
        Way::SinceLast | Way::LongestGap => {
            let spread = owners.spread(all.column(0), all.column(1))?;
            shown(&wanted.kind, &wholes(&spread)?)
        }
    }
}
