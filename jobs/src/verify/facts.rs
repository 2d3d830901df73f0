//! The facts of an entity in SQL: rows that count, each once, in (key, time, id) order.
//!
//! | step | rule |
//! |---|---|
//! | reject | no event time, an expectation that does not hold, no key, a measure out of range |
//! | late | older than the newest row before it, in the order of arrival, less the lateness |
//! | duplicate | an id that came before and is still remembered; with `latest` the last row of an id holds, unless what came before was settled |
//!
//! The table [`FACTS`] has the columns `k` (number of the key), `at` (microseconds), `id`, `rn` (its
//! place in the order, which also names it), `named` (the id as a text, where an output shows it), and
//! the [`Ledger`]'s.

use tidegate_schemas::job::OnConflict;
use tidegate_schemas::time::Span;

use super::database::{Database, floor_divided, quoted};
use super::error::VerifyError;
use super::ledger::Ledger;
use super::raw::{ARRIVAL, ID, KEY, NAMED, RawRows};
use crate::normalise::{IdPlan, IdTag};

/// The name of the table.
pub(super) const FACTS: &str = "facts";
/// Rows that are neither rejected nor late.
const ARRIVED: &str = "arrived";

/// A source that feeds the entity.
pub(super) struct Feeding {
    /// Its name.
    pub(super) name: String,
    /// Its rows.
    pub(super) rows: RawRows,
    /// The column of its event time, and how many of its units make a second.
    pub(super) time: (String, i64),
    /// What must hold of its rows; `$at` is their event time in microseconds.
    pub(super) expect: Vec<String>,
    /// Where ids come from, and what they begin with.
    pub(super) id: (IdPlan, IdTag),
    /// Whether ids are shown as texts, too.
    pub(super) named: bool,
}

/// What decides which rows count.
pub(super) struct Rules {
    /// How far a row may lag behind.
    pub(super) lateness: Span,
    /// How long ids are remembered, and what a second row with other content does.
    pub(super) dedupe: Option<(Span, OnConflict)>,
}

/// Makes the table of facts.
///
/// # Errors
/// When a source cannot be read, or DataFusion cannot compute an expression of the job.
pub(super) fn make(
    database: &Database,
    feeding: &[Feeding],
    ledger: &Ledger,
    rules: &Rules,
) -> Result<(), VerifyError> {
    let mut parts = Vec::new();
    for (index, source) in feeding.iter().enumerate() {
        let table = format!("raw_{index}");
        let rows = source.rows.table().map_err(|error| VerifyError::Query {
            what: source.name.clone(),
            sql: String::new(),
            error: Box::new(error),
        })?;
        database.add(&table, std::sync::Arc::new(rows))?;
        let sound = format!("NOT ({})", ledger.faulty(&source.name));
        let sound = (rules.lateness, sound.as_str());
        parts.push(admitted(&table, index, source, ledger, sound));
    }
    let columns = ledger.columns();
    let named = feeding.iter().any(|source| source.named);
    let named = named.then(|| "named".to_owned());
    let columns = named.into_iter().chain(columns);
    let carried: String = columns.map(|column| format!(", {column}")).collect();
    let arrived = database.keep(ARRIVED, &[], &parts.join(" UNION ALL "));
    for source in feeding {
        read_failure(source)?;
    }
    arrived?;
    for index in 0..feeding.len() {
        database.forget(&format!("raw_{index}"))?;
    }
    let once = match rules.dedupe {
        None => ARRIVED.to_owned(),
        Some((keep, on_conflict)) => {
            let columns = format!("k, at, id{carried}");
            once(&columns, rules.lateness + keep, rules.lateness, on_conflict)
        }
    };
    let sql = format!(
        "SELECT k, at, id{carried}, \
         CAST(row_number() OVER (ORDER BY k, at, id) AS BIGINT) AS rn FROM {once}"
    );
    database.keep(FACTS, &[&["k", "at", "id"], &["rn"]], &sql)?;
    database.forget(ARRIVED)
}

/// What ended the reading of a source early.
///
/// # Errors
/// With that.
pub(super) fn read_failure(source: &Feeding) -> Result<(), VerifyError> {
    let failure = source.rows.failure.lock().ok();
    match failure.and_then(|mut failure| failure.take()) {
        None => Ok(()),
        Some(error) => Err(VerifyError::Source {
            source_name: source.name.clone(),
            error,
        }),
    }
}

/// The rows of a source that are neither rejected nor late, with the ledger's columns. Rows that are
/// not `sound` are left out after they have moved the clock.
pub(super) fn admitted(
    table: &str,
    index: usize,
    source: &Feeding,
    ledger: &Ledger,
    (lateness, sound): (Span, &str),
) -> String {
    let at = micros(&source.time);
    let mut holds = "\"$at\" IS NOT NULL".to_owned();
    for expectation in &source.expect {
        holds.push_str(&format!(" AND ({expectation}\n)"));
    }
    let id = match source.id {
        (IdPlan::Ordinal, tag) => {
            let first = tag.put(0);
            format!("CAST(\"$ordinal\" - 1 + {first} AS BIGINT UNSIGNED)")
        }
        _ => format!("\"{ID}\""),
    };
    let named = match (source.named, &source.id.0) {
        (false, _) => String::new(),
        (true, IdPlan::Ordinal) => ", CAST(\"$ordinal\" - 1 AS VARCHAR) AS named".to_owned(),
        (true, _) => format!(", \"{NAMED}\" AS named"),
    };
    let lateness = longest(lateness);
    let selected = ledger.selected(&source.name);
    let before = format!("ORDER BY \"{ARRIVAL}\" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING");
    format!(
        "SELECT \"{KEY}\" AS k, \"$at\" AS at, {id} AS id, {index} AS source, \
         \"{ARRIVAL}\" AS arrival, \"$newest\" AS newest{named}{selected} \
         FROM (SELECT *, row_number() OVER (ORDER BY \"{ARRIVAL}\") AS \"$ordinal\" \
         FROM (SELECT *, max(\"$at\") OVER ({before}) AS \"$newest\" \
         FROM (SELECT *, {at} AS \"$at\" FROM {table}) WHERE {holds}) \
         WHERE \"$newest\" IS NULL OR \"$at\" >= \"$newest\" - {lateness}) \
         WHERE \"{KEY}\" IS NOT NULL AND {sound}"
    )
}

/// The event time in microseconds, rounded down.
fn micros((column, per_second): &(String, i64)) -> String {
    let raw = format!("CAST({} AS BIGINT)", quoted(column));
    match per_second {
        1_000_000_000 => floor_divided(&raw, 1_000),
        1_000_000 => raw,
        fewer => format!("({raw} * {})", 1_000_000 / fewer),
    }
}

/// A span that can be subtracted from any event time.
fn longest(span: Span) -> i64 {
    span.0.min(9_000_000_000_000_000_000)
}

/// Of the rows with one id, the one that holds. An id is forgotten, and begins anew, when the clock is
/// past its last row by `remembered`; with `latest`, a row that is older than the clock by the
/// lateness is settled and not replaced.
fn once(columns: &str, remembered: Span, lateness: Span, on_conflict: OnConflict) -> String {
    let (remembered, lateness) = (longest(remembered), longest(lateness));
    let order = match on_conflict {
        OnConflict::First => "source, arrival",
        OnConflict::Latest => "replaces DESC, source DESC, arrival DESC",
    };
    let arrived = "PARTITION BY id ORDER BY source, arrival";
    // Few ids come twice, and only those need a window each.
    let again = format!("SELECT id FROM {ARRIVED} GROUP BY id HAVING count(*) > 1");
    format!(
        "(SELECT {columns} FROM {ARRIVED} WHERE id NOT IN ({again}) UNION ALL \
         SELECT {columns} FROM (SELECT *, \
         row_number() OVER (PARTITION BY id, again ORDER BY {order}) AS nth \
         FROM (SELECT *, CASE WHEN before < newest - {lateness} THEN 0 ELSE 1 END AS replaces, \
         sum(CASE WHEN before < newest - {remembered} THEN 1 ELSE 0 END) \
         OVER ({arrived} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS again \
         FROM (SELECT *, lag(at) OVER ({arrived}) AS before \
         FROM {ARRIVED} WHERE id IN ({again})))) WHERE nth = 1)"
    )
}
