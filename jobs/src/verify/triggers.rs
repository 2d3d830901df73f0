//! Triggers at anchors: their conditions in SQL over features and tables, both as of the anchor.
//!
//! What fires within the cooldown of an earlier firing of its key does not fire. From every anchor
//! that meets the condition one can say which would be the next after its cooldown; a recursive
//! query follows these from the first of each key.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use tidegate_schemas::job::{Bounds, Trigger};
use tidegate_schemas::rows::OutputSchema;
use tidegate_schemas::time::Span;

use super::aggregate::Wanted;
use super::database::{Database, quoted};
use super::error::VerifyError;
use super::expected::{Computed, Expected, Unknown};
use super::facts::{FACTS, Rules};
use super::features::Anchors;
use super::sessions::key_names;
use super::shown::{Owners, id_column, shown, wholes};
use super::tables::Table;
use crate::sinks::arrow_schema;

/// Features that a trigger looks at.
pub(super) struct Watched {
    /// Their name in the job.
    pub(super) name: String,
    /// Which ends belong to their windows.
    pub(super) bounds: Bounds,
    /// The columns that conditions can see.
    pub(super) wanted: Vec<Wanted>,
}

/// What trigger to compute.
pub(super) struct TriggerOf<'a> {
    /// Where the facts are.
    pub(super) database: &'a Database,
    /// Which rows of changelogs count.
    pub(super) rules: &'a Rules,
    /// The job's section.
    pub(super) trigger: &'a Trigger,
    /// The columns of its output.
    pub(super) schema: &'a OutputSchema,
    /// The condition that a fact is an anchor.
    pub(super) anchor: &'a str,
    /// The features that it looks at.
    pub(super) watched: &'a [Watched],
    /// The tables that it looks at.
    pub(super) tables: &'a [Table],
    /// The column of the entity's key, and the names of the keys.
    pub(super) key: (&'a str, &'a [Arc<str>]),
    /// How many rows a key may be joined with.
    pub(super) most_pairs: u64,
}

/// Anchors: `$o`, `$k`, `$at`, `$id`, `$name`.
const ANCHORS: &str = "anchors";
/// Anchors that meet the condition: `o`, `k`, `at`, `id`, `segment`, and the reasons `r0`, ...
const MET: &str = "met";
/// Each with the one that would fire next.
const NEXT: &str = "next_met";
/// Those that fire.
const FIRED: &str = "fired";

impl TriggerOf<'_> {
    /// The firings, or why they are not known.
    ///
    /// # Errors
    /// When a changelog cannot be read, or features cannot be computed.
    pub(super) fn compute(&self) -> Result<Result<Expected, String>, VerifyError> {
        let (owners, times, keys) = self.anchors()?;
        for (index, watched) in self.watched.iter().enumerate() {
            let anchors = Anchors {
                database: self.database,
                anchor: self.anchor,
                bounds: watched.bounds,
                owners: &owners,
                times: &times,
                keys: &keys,
                most_pairs: self.most_pairs,
            };
            if let Some(why) = self.watch(index, watched, &anchors)? {
                return Ok(Err(why));
            }
        }
        for (index, table) in self.tables.iter().enumerate() {
            table.keep(self.database, self.rules, &format!("versions_{index}"))?;
        }
        // The little programs of a run answer null where SQL fails, for example by zero.
        let met = self.meet().and_then(|()| self.fire());
        match met {
            Ok(()) => self.firings().map(Ok),
            Err(VerifyError::Query { error, .. }) => {
                Ok(Err(format!("SQL cannot compute its conditions: {error}")))
            }
            Err(other) => Err(other),
        }
    }

    fn anchors(&self) -> Result<(Owners, Vec<i64>, Vec<i128>), VerifyError> {
        let sql = format!(
            "SELECT rn, k, at, {} FROM {FACTS} WHERE {} ORDER BY rn",
            id_column(&self.schema.columns[0].kind),
            self.anchor
        );
        let answer = self.database.query("the anchors", &sql)?;
        let names = key_names(self.key.1, answer.column(1))?;
        let columns = ["$o", "$k", "$at", "$id"].into_iter();
        let columns = columns.zip(answer.columns().iter().cloned());
        self.add(ANCHORS, columns.chain([("$name", names)]))?;
        let whole = |column: usize| answer.column(column).as_primitive::<Int64Type>().values();
        let keys = wholes(answer.column(1))?.into_iter().flatten().collect();
        Ok((Owners(whole(0).to_vec()), whole(2).to_vec(), keys))
    }

    fn add<'n>(
        &self,
        table: &str,
        columns: impl Iterator<Item = (&'n str, ArrayRef)>,
    ) -> Result<(), VerifyError> {
        let rows = RecordBatch::try_from_iter_with_nullable(
            columns.map(|(name, column)| (name, column, true)),
        );
        let rows = rows.map_err(|error| VerifyError::Shape(error.to_string()))?;
        self.database.add_rows(table, rows)
    }

    /// Adds the values of features at the anchors as a table. Answers why a value that the trigger
    /// reads is not known.
    fn watch(
        &self,
        index: usize,
        watched: &Watched,
        anchors: &Anchors<'_>,
    ) -> Result<Option<String>, VerifyError> {
        let computed = anchors.compute(&watched.wanted)?;
        let owners: ArrayRef = Arc::new(Int64Array::from(anchors.owners.0.clone()));
        for (wanted, computed) in watched.wanted.iter().zip(&computed) {
            if !matches!(computed.unknown, Unknown::Nothing) && self.reads(&wanted.name) {
                return Ok(Some(format!(
                    "{} is not known at every anchor",
                    wanted.name
                )));
            }
        }
        let names = watched.wanted.iter().map(|wanted| wanted.name.as_str());
        let columns = names.zip(computed.into_iter().map(|computed| computed.values));
        let columns = [("$o", owners)].into_iter().chain(columns);
        self.add(&format!("watched_{index}"), columns)?;
        Ok(None)
    }

    /// Whether an expression of the trigger may read the column.
    fn reads(&self, column: &str) -> bool {
        let trigger = self.trigger;
        let texts = [Some(&trigger.when), trigger.segment.as_ref()];
        let mut texts = texts.into_iter().flatten().chain(&trigger.explain);
        texts.any(|sql| sql.as_str().contains(column))
    }

    /// Makes [`MET`].
    fn meet(&self) -> Result<(), VerifyError> {
        let mut sight = format!("{ANCHORS} a");
        for (index, watched) in self.watched.iter().enumerate() {
            let name = quoted(&watched.name);
            sight.push_str(&format!(
                " JOIN watched_{index} AS {name} ON {name}.\"$o\" = a.\"$o\""
            ));
        }
        let (early, late): (Vec<usize>, Vec<usize>) =
            (0..self.tables.len()).partition(|index| !self.by_segment(&self.tables[*index]));
        self.look_up(&early, &mut sight)?;
        let mut segment = "CAST(NULL AS BIGINT)".to_owned();
        if let Some(sql) = &self.trigger.segment {
            let asked = format!(
                "SELECT a.\"$o\", ({}\n) AS segment FROM {sight}",
                sql.as_str()
            );
            self.database.keep("segments", &[], &asked)?;
            sight.push_str(" JOIN segments AS \"$segment\" ON \"$segment\".\"$o\" = a.\"$o\"");
            segment = "\"$segment\".segment".to_owned();
        }
        self.look_up(&late, &mut sight)?;
        let reasons = self.trigger.explain.iter().enumerate();
        let reasons: String = reasons
            .map(|(index, sql)| format!(", ({}\n) AS r{index}", sql.split_alias().0))
            .collect();
        let sql = format!(
            "SELECT a.\"$o\" AS o, a.\"$k\" AS k, a.\"$at\" AS at, a.\"$id\" AS id, \
             {segment} AS segment{reasons} FROM {sight} WHERE ({}\n)",
            self.trigger.when.as_str()
        );
        self.database.keep(MET, &[], &sql)
    }

    /// Looks tables up and joins what they show.
    fn look_up(&self, tables: &[usize], sight: &mut String) -> Result<(), VerifyError> {
        let before = sight.clone();
        for index in tables {
            let table = &self.tables[*index];
            let parts = table.key.iter().enumerate();
            let parts: String = parts
                .map(|(part, column)| format!(", {} AS \"${part}\"", self.key_part(column)))
                .collect();
            let questions = format!("SELECT a.\"$o\", a.\"$at\"{parts} FROM {before}");
            let found = table.look_up(&format!("versions_{index}"), &questions);
            self.database.keep(&format!("found_{index}"), &[], &found)?;
            let name = quoted(&table.name);
            sight.push_str(&format!(
                " LEFT JOIN found_{index} AS {name} ON {name}.\"$o\" = a.\"$o\""
            ));
        }
        Ok(())
    }

    /// What a column of a table's key is looked up by: the entity's key, a column of the same name,
    /// or else the segment.
    fn key_part(&self, column: &str) -> String {
        if column == self.key.0 {
            return "a.\"$name\"".to_owned();
        }
        let mut watched = self.watched.iter();
        let shows = |watched: &&Watched| watched.wanted.iter().any(|w| w.name == column);
        match watched.find(shows) {
            Some(watched) => format!("{}.{}", quoted(&watched.name), quoted(column)),
            None => "\"$segment\".segment".to_owned(),
        }
    }

    fn by_segment(&self, table: &Table) -> bool {
        let mut key = table.key.iter();
        key.any(|column| self.key_part(column).starts_with("\"$segment\""))
    }

    /// Makes [`FIRED`].
    fn fire(&self) -> Result<(), VerifyError> {
        let cooldown = self.trigger.cooldown;
        if cooldown <= Span::ZERO {
            return self
                .database
                .keep(FIRED, &[], &format!("SELECT * FROM {MET}"));
        }
        let next = format!(
            "SELECT o, k, min(o) OVER (PARTITION BY k ORDER BY at \
             RANGE BETWEEN {} FOLLOWING AND UNBOUNDED FOLLOWING) AS next FROM {MET}",
            cooldown.0
        );
        self.database.keep(NEXT, &[], &next)?;
        let sql = format!(
            "WITH RECURSIVE firing AS (SELECT o, next FROM {NEXT} \
             WHERE o IN (SELECT min(o) FROM {NEXT} GROUP BY k) \
             UNION ALL SELECT n.o, n.next FROM firing f JOIN {NEXT} n ON n.o = f.next) \
             SELECT * FROM {MET} WHERE o IN (SELECT o FROM firing)"
        );
        self.database.keep(FIRED, &[], &sql)
    }

    /// The rows of those that fire.
    fn firings(&self) -> Result<Expected, VerifyError> {
        let answer = self
            .database
            .query("the firings", &format!("SELECT * FROM {FIRED} ORDER BY o"));
        let answer = answer?;
        let rows = answer.num_rows();
        let planned = arrow_schema(self.schema);
        let text =
            |text: Option<&str>| -> ArrayRef { Arc::new(StringArray::from(vec![text; rows])) };
        let time = &self.schema.columns[1].kind;
        let action = self.trigger.action.as_ref().map(|action| action.as_str());
        let mut values = vec![
            key_names(self.key.1, answer.column(1))?,
            Arc::clone(answer.column(3)),
            shown(time, &wholes(answer.column(2))?)?,
            new_null_array(planned.field(3).data_type(), rows),
            text(Some("fired")),
            Arc::clone(answer.column(4)),
            text(Some("treated")),
            text(action),
        ];
        values.extend(answer.columns()[5..].iter().cloned());
        let mut columns = Vec::new();
        for (index, (values, field)) in values.into_iter().zip(planned.fields()).enumerate() {
            let mut computed = Computed::known(as_planned(&values, field.data_type())?);
            if self.trigger.holdout.is_some() && (6..8).contains(&index) {
                let why = "who is held out is not drawn again".to_owned();
                computed.unknown = Unknown::All(why);
            }
            columns.push((field.name().clone(), computed));
        }
        Ok(Expected {
            columns,
            rows,
            identity: vec![1],
            told_by: [0, 2],
        })
    }
}

fn as_planned(values: &ArrayRef, planned: &DataType) -> Result<ArrayRef, VerifyError> {
    cast(values, planned).map_err(|error| VerifyError::Shape(error.to_string()))
}
