//! The rows of sessions, by gaps and islands: a row that is far enough from the one before it begins an
//! island, and the number of that row names all rows of the island.
//!
//! `max_length` cuts an island into sessions. From every row one can say which row would come first
//! after a session that began there; a recursive query follows these from the first row of each
//! island that is too long.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use tidegate_schemas::job::{AtGap, Sessions};
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::{Span, TimeUnit};

use super::aggregate::Wanted;
use super::database::Database;
use super::error::VerifyError;
use super::expected::{Computed, Expected};
use super::facts::FACTS;
use super::pairs;
use super::shown::{Owners, shown, wholes};

/// The rows of sessions, each with the number of its session.
const SEEN: &str = "seen";
/// Where a session that begins at a row would be cut.
const CUTS: &str = "cuts";

/// What sessions to compute.
pub(super) struct SessionsOf<'a> {
    /// Where the facts are.
    pub(super) database: &'a Database,
    /// The job's section.
    pub(super) sessions: &'a Sessions,
    /// The condition that a fact belongs to sessions.
    pub(super) belongs: String,
    /// The columns of the facts.
    pub(super) columns: Vec<String>,
    /// The aggregates.
    pub(super) wanted: Vec<Wanted>,
    /// The names of the keys.
    pub(super) names: &'a [Arc<str>],
    /// The name of the key's column.
    pub(super) key: String,
    /// The unit in which times are shown.
    pub(super) unit: TimeUnit,
}

impl SessionsOf<'_> {
    /// All sessions, in the order of keys and time; each is over, since the rows have ended.
    pub(super) fn compute(&self) -> Result<Expected, VerifyError> {
        let cut = self.label()?;
        let sql = format!(
            "SELECT o, min(k), min(at), max(at), count(*) FROM {SEEN} GROUP BY o ORDER BY o"
        );
        let answer = self.database.query("sessions", &sql)?;
        let owners = Owners(
            answer
                .column(0)
                .as_primitive::<Int64Type>()
                .values()
                .to_vec(),
        );
        let mut columns = vec![(self.key.clone(), Computed::known(self.keys(&answer)?))];
        let time = Kind::Time(self.unit);
        for (column, name, kind) in [
            (2, "start", &time),
            (3, "end", &time),
            (4, "rows", &Kind::Int),
        ] {
            let values = shown(kind, &wholes(answer.column(column))?)?;
            columns.push((name.to_owned(), Computed::known(values)));
        }
        for wanted in &self.wanted {
            let rows = format!("SELECT * FROM {SEEN}");
            let sql = pairs::asked(wanted, &rows);
            let answer = self.database.query(&wanted.name, &sql)?;
            let values = pairs::answered(&owners, wanted, &[answer])?;
            columns.push((wanted.name.clone(), Computed::known(values)));
        }
        self.database.forget(SEEN)?;
        let truth = |of: &dyn Fn(&i64) -> bool| -> Computed {
            let truths: BooleanArray = owners.0.iter().map(|owner| Some(of(owner))).collect();
            Computed::known(Arc::new(truths))
        };
        columns.push(("closed".to_owned(), truth(&|_| true)));
        if self.sessions.max_length.is_some() {
            columns.push(("cut".to_owned(), truth(&|owner| cut.contains(owner))));
        }
        Ok(Expected {
            rows: owners.0.len(),
            columns,
            identity: vec![0, 1],
            told_by: [0, 1],
        })
    }

    fn keys(&self, answer: &RecordBatch) -> Result<ArrayRef, VerifyError> {
        key_names(self.names, answer.column(1))
    }

    /// Makes [`SEEN`]. Answers the sessions that were cut.
    fn label(&self) -> Result<HashSet<i64>, VerifyError> {
        let far = match self.sessions.at_gap {
            AtGap::New => ">=",
            AtGap::Same => ">",
        };
        let (belongs, gap) = (&self.belongs, self.sessions.gap.0);
        let columns = self.columns.iter().map(|column| format!(", {column}"));
        let columns: String = columns.collect();
        let islands = format!(
            "SELECT k, at, rn{columns}, \
             coalesce(at - lag(at) OVER (PARTITION BY k ORDER BY rn) {far} {gap}, true) AS begins \
             FROM {FACTS} WHERE {belongs}"
        );
        self.name_rows(&islands, &columns)?;
        match self.sessions.max_length {
            None => Ok(HashSet::new()),
            Some(longest) => self.cut(longest, &columns),
        }
    }

    /// Makes [`SEEN`] of rows that say which of them begin something.
    fn name_rows(&self, rows: &str, columns: &str) -> Result<(), VerifyError> {
        let sql = format!(
            "SELECT max(CASE WHEN begins THEN rn END) OVER \
             (ORDER BY rn ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS o, \
             k, at, rn{columns} FROM ({rows})"
        );
        self.database.keep(SEEN, &[&["rn"]], &sql)
    }

    /// Cuts islands that are longer than `longest`.
    fn cut(&self, longest: Span, columns: &str) -> Result<HashSet<i64>, VerifyError> {
        let after = longest.0.saturating_add(1);
        let too_long = format!(
            "SELECT o FROM {SEEN} GROUP BY o HAVING max(at) - min(at) > {}",
            longest.0
        );
        let next = format!(
            "SELECT o, rn, min(rn) OVER (PARTITION BY o ORDER BY at \
             RANGE BETWEEN {after} FOLLOWING AND UNBOUNDED FOLLOWING) AS next \
             FROM {SEEN} WHERE o IN ({too_long})"
        );
        self.database.keep(CUTS, &[], &next)?;
        let sql = format!(
            "WITH RECURSIVE begun AS (SELECT rn, next FROM {CUTS} WHERE rn = o \
             UNION ALL SELECT c.rn, c.next FROM begun b JOIN {CUTS} c ON c.rn = b.next) \
             SELECT rn, next FROM begun WHERE next IS NOT NULL ORDER BY rn"
        );
        let answer = self.database.query("the cuts of sessions", &sql)?;
        let words = |column: usize| answer.column(column).as_primitive::<Int64Type>().values();
        let cut: HashSet<i64> = words(0).iter().copied().collect();
        if !cut.is_empty() {
            let next = BooleanArray::from(vec![true; answer.num_rows()]);
            let begun = RecordBatch::try_from_iter([
                ("rn", Arc::clone(answer.column(1))),
                ("begins", Arc::new(next) as ArrayRef),
            ]);
            let begun = begun.map_err(|error| VerifyError::Shape(error.to_string()))?;
            self.database.add_rows(CUTS, begun)?;
            let columns_of_seen: String = columns.replace(", ", ", s.");
            let rows = format!(
                "SELECT s.k, s.at, s.rn{columns_of_seen}, \
                 (s.o = s.rn OR coalesce(c.begins, false)) AS begins \
                 FROM {SEEN} s LEFT JOIN {CUTS} c ON s.rn = c.rn"
            );
            self.name_rows(&rows, columns)?;
        }
        self.database.forget(CUTS)?;
        Ok(cut)
    }
}

/// The names of numbered keys.
pub(super) fn key_names(names: &[Arc<str>], keys: &ArrayRef) -> Result<ArrayRef, VerifyError> {
    let keys = wholes(keys)?;
    let name = |key: Option<i128>| names.get(usize::try_from(key?).ok()?).map(|name| &**name);
    let named: StringArray = keys.into_iter().map(name).collect();
    match named.null_count() {
        0 => Ok(Arc::new(named)),
        _ => Err(VerifyError::Shape("a key has no name".to_owned())),
    }
}
