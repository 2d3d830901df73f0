//! Columns that go by how often each value is there: histograms, entropies, distinct values.
//!
//! Every anchor is set beside every value that its key ever had; a frame over the rows of that key and
//! value then says how often the value is in the window, and which of its rows is the last.

use arrow::array::{ArrayRef, RecordBatch, new_empty_array, new_null_array};
use arrow::compute::concat_batches;
use tidegate_schemas::job::Op;
use tidegate_schemas::rows::Kind;

use super::aggregate::Wanted;
use super::error::VerifyError;
use super::expected::Computed;
use super::facts::FACTS;
use super::features::{Anchors, Until, frame, histogram, newest_first, picked};
use super::shares::Shares;
use super::shown::{Owners, bars, empty_whole, shown, wholes};
use crate::sinks::arrow_type;

/// A column at anchors.
pub(super) fn column(anchors: &Anchors<'_>, wanted: &Wanted) -> Result<Computed, VerifyError> {
    let (anchor, counts, value) = (anchors.anchor, &wanted.counts, wanted.value());
    let costs = format!(
        "SELECT a.k, a.n * d.n FROM (SELECT k, count(*) AS n FROM {FACTS} WHERE {anchor} GROUP BY k) a \
         JOIN (SELECT k, count(*) AS n FROM (SELECT DISTINCT k, {value} FROM {FACTS} WHERE {counts}) \
         GROUP BY k) d ON a.k = d.k ORDER BY a.k"
    );
    let costs = anchors.database.query(&wanted.name, &costs)?;
    let shares = Shares::of(&costs, anchors.most_pairs)?;
    let frame = frame(anchors.bounds, wanted.window, Until::TheBounds).unwrap_or_default();
    let over = format!("OVER (PARTITION BY k, v ORDER BY at {frame})");
    let mut answers = Vec::new();
    for (first, last) in &shares.ranges {
        let of_keys = format!("k BETWEEN {first} AND {last}");
        let rows =
            format!("SELECT k, {value} AS v, at, rn FROM {FACTS} WHERE {of_keys} AND {counts}");
        let tallies = format!(
            "SELECT o, v, n, last FROM (SELECT o, v, count(rn) {over} AS n, max(rn) {over} AS last \
             FROM (SELECT k, v, at, CAST(NULL AS BIGINT) AS o, rn FROM ({rows}) UNION ALL \
             SELECT a.k, d.v, a.at, a.rn AS o, CAST(NULL AS BIGINT) AS rn \
             FROM (SELECT k, at, rn FROM {FACTS} WHERE {of_keys} AND {anchor}) a \
             JOIN (SELECT DISTINCT k, v FROM ({rows})) d ON a.k = d.k)) \
             WHERE o IS NOT NULL AND n > 0"
        );
        let sql = finishing(wanted, &tallies);
        answers.push(anchors.database.query(&wanted.name, &sql)?);
    }
    let unknown = shares.unknown(anchors.owners, anchors.keys, "anchors and values");
    Ok(Computed {
        values: finished(anchors.owners, wanted, &answers)?,
        unknown,
        size: None,
    })
}

/// The query for a column, from one for rows of owner (`o`), value (`v`), how often it is there (`n`)
/// and the number of its last row (`last`).
pub(super) fn finishing(wanted: &Wanted, tallies: &str) -> String {
    match &wanted.op {
        Op::MaxCountBy => {
            format!("SELECT o, max(n) AS n FROM ({tallies}) GROUP BY o ORDER BY o")
        }
        Op::Entropy => format!(
            "SELECT o, -sum(p * ln(p)) AS nats FROM (SELECT o, CAST(n AS DOUBLE) / \
             sum(n) OVER (PARTITION BY o) AS p FROM ({tallies})) GROUP BY o ORDER BY o"
        ),
        Op::Histogram { k } => format!(
            "SELECT o, v, n FROM (SELECT o, v, n, row_number() OVER \
             (PARTITION BY o ORDER BY n DESC, v ASC NULLS FIRST) AS place FROM ({tallies})) \
             WHERE place <= {k} ORDER BY o, place"
        ),
        op => {
            let k = match op {
                Op::DistinctK { k, .. } => *k,
                _ => 0,
            };
            let direction = if newest_first(op) { "ASC" } else { "DESC" };
            format!(
                "SELECT o, v FROM (SELECT o, v, row_number() OVER \
                 (PARTITION BY o ORDER BY last DESC) AS place FROM ({tallies})) \
                 WHERE place <= {k} ORDER BY o, place {direction}"
            )
        }
    }
}

/// The column, from the answers to [`finishing`] in the order of owners.
pub(super) fn finished(
    owners: &Owners,
    wanted: &Wanted,
    answers: &[RecordBatch],
) -> Result<ArrayRef, VerifyError> {
    let Some(first) = answers.first() else {
        return nothing(owners, wanted);
    };
    let all = concat_batches(&first.schema(), answers)
        .map_err(|error| VerifyError::Shape(error.to_string()))?;
    let column = |index: usize| all.column(index);
    match &wanted.op {
        Op::MaxCountBy => {
            let words = wholes(&owners.spread(column(0), column(1))?)?;
            let empty = empty_whole(wanted.empty);
            let words: Vec<_> = words.into_iter().map(|word| word.or(empty)).collect();
            shown(&wanted.kind, &words)
        }
        Op::Entropy => wanted.float_column(&owners.spread(column(0), column(1))?),
        Op::Histogram { .. } => histogram(owners, wanted, column(0), (column(1), column(2))),
        _ => picked(owners, wanted, column(0), column(1)),
    }
}

/// The column where no row counts anywhere.
pub(super) fn nothing(owners: &Owners, wanted: &Wanted) -> Result<ArrayRef, VerifyError> {
    let rows = owners.0.len();
    match &wanted.kind {
        Kind::List(item) => owners.lists(&no_rows(&Kind::Int), no_rows(item)),
        Kind::Histogram(value) => {
            let items = bars(value, no_rows(value), &no_rows(&Kind::Int))?;
            owners.lists(&no_rows(&Kind::Int), items)
        }
        Kind::Float => Ok(wanted.float(std::iter::repeat_n(None, rows))),
        Kind::Text | Kind::Id { .. } | Kind::IdText => {
            Ok(new_null_array(&arrow_type(&wanted.kind), rows))
        }
        kind => shown(kind, &vec![empty_whole(wanted.empty); rows]),
    }
}

fn no_rows(kind: &Kind) -> ArrayRef {
    new_empty_array(&arrow_type(kind))
}
