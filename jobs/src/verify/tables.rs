//! Tables that change, in SQL: every version of every row, for look-ups as of a time.

use tidegate_schemas::job::Job;
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::Span;

use super::database::{Database, quoted};
use super::error::VerifyError;
use super::facts::{Feeding, Rules, admitted, read_failure};
use super::ledger::{Ledger, LedgerSource, Measure};
use super::needs::{expectations, time_of};
use super::raw::{KeyNames, RawRows, raw_schema};
use crate::compile::Plan;
use crate::normalise::{FactsPlan, IdPlan, IdTag};

/// A table that a trigger looks at.
pub(super) struct Table {
    /// Its name in the job.
    pub(super) name: String,
    /// The columns of its key.
    pub(super) key: Vec<String>,
    /// Its other columns.
    pub(super) columns: Vec<String>,
    source: Feeding,
    ledger: Ledger,
    words: Vec<(String, Measure)>,
    gone: String,
}

impl Table {
    /// The table `name` of a job.
    ///
    /// # Errors
    /// When its columns cannot be planned again.
    pub(super) fn new(job: &Job, plan: &Plan, name: &str) -> Result<Table, VerifyError> {
        let missing = || VerifyError::Shape(format!("the plan has no table `{name}`"));
        let tables = job.all_tables();
        let table = tables.get(name).ok_or_else(missing)?;
        let source = plan
            .sources
            .iter()
            .find(|source| source.name == table.source);
        let source = source.ok_or_else(missing)?;
        let schema = raw_schema(&source.declared);
        let from = vec![source.name.clone()];
        let mut ledger = Ledger::new(vec![LedgerSource {
            name: source.name.clone(),
            schema: std::sync::Arc::clone(&schema),
        }]);
        let mut words = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            if index != source.time {
                let measure = ledger.measure(&from, &quoted(field.name()), None)?;
                words.push((field.name().clone(), measure));
            }
        }
        let gone = match table.delete_when {
            Some(sql) => ledger.filter(&from, Some(sql.as_str())),
            None => "false".to_owned(),
        };
        let key: Vec<String> = table
            .key
            .iter()
            .map(|key| key.as_str().to_owned())
            .collect();
        let others = words.iter().map(|(name, _)| name.clone());
        let nobody = FactsPlan {
            key: None,
            id: IdPlan::Ordinal,
            tag: IdTag::new(0, 1),
            dedupe: None,
            seen: None,
            named: 0,
            lasting: Span::ZERO,
            filters: Vec::new(),
            words: Vec::new(),
            stride: 0,
        };
        Ok(Table {
            name: name.to_owned(),
            columns: others.filter(|name| !key.contains(name)).collect(),
            key,
            source: Feeding {
                name: source.name.clone(),
                rows: RawRows::new(source, &nobody, &KeyNames::default()),
                time: time_of(source),
                expect: expectations(job, &source.name),
                id: (IdPlan::Ordinal, IdTag::new(0, 1)),
                named: false,
            },
            ledger,
            words,
            gone,
        })
    }

    /// Keeps all versions as the table `versions`: `$at`, `$id`, `$gone`, and the columns by name.
    ///
    /// # Errors
    /// When the changelog cannot be read.
    pub(super) fn keep(
        &self,
        database: &Database,
        rules: &Rules,
        versions: &str,
    ) -> Result<(), VerifyError> {
        let raw = format!("raw_{versions}");
        let rows = self
            .source
            .rows
            .table()
            .map_err(|error| VerifyError::Query {
                what: self.name.clone(),
                sql: String::new(),
                error: Box::new(error),
            })?;
        database.add(&raw, std::sync::Arc::new(rows))?;
        // A version before the stretch of a replay holds inside it.
        let sound = format!("NOT ({})", self.ledger.faulty(&self.source.name));
        let rows = admitted(
            &raw,
            0,
            &self.source,
            &self.ledger,
            (rules.lateness, &sound),
        );
        let mut sql = format!(
            "SELECT at AS \"$at\", id AS \"$id\", {} AS \"$gone\"",
            self.gone
        );
        for (name, measure) in &self.words {
            sql.push_str(&format!(", {} AS {}", read(measure), quoted(name)));
        }
        let kept = database.keep(versions, &[], &format!("{sql} FROM ({rows})"));
        read_failure(&self.source)?;
        kept?;
        database.forget(&raw)
    }

    /// The row of the table as of the time of each question. `questions` has the columns `$o`, `$at`
    /// and `$0`, `$1`, ... for the parts of the key.
    pub(super) fn look_up(&self, versions: &str, questions: &str) -> String {
        let key = self.key.iter().enumerate();
        let key: String = key
            .map(|(index, name)| format!(" AND q.\"${index}\" = v.{}", quoted(name)))
            .collect();
        let columns = |of: &str| -> String {
            let columns = self.columns.iter();
            columns
                .map(|name| format!(", {of}{}", quoted(name)))
                .collect()
        };
        format!(
            "SELECT \"$o\"{} FROM (SELECT q.\"$o\", v.\"$gone\"{}, row_number() OVER \
             (PARTITION BY q.\"$o\" ORDER BY v.\"$at\" DESC, v.\"$id\" DESC) AS \"$nth\" \
             FROM ({questions}) q JOIN {versions} v ON v.\"$at\" <= q.\"$at\"{key}) \
             WHERE \"$nth\" = 1 AND NOT \"$gone\"",
            columns(""),
            columns("v.")
        )
    }
}

/// A measure as the value that conditions see.
pub(super) fn read(measure: &Measure) -> String {
    let column = &measure.column;
    match &measure.kind {
        Kind::Fixed { scale } => format!("CAST({column} AS DOUBLE) / 1e{scale}"),
        Kind::Bool => format!("{column} <> 0"),
        Kind::Time(_) => format!("arrow_cast({column}, 'Timestamp(Microsecond, None)')"),
        _ => column.clone(),
    }
}
