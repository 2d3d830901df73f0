//! Which columns of the sources the columns of an output come from.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::SchemaRef;
use tidegate_schemas::job::{Aggregate, Entity, Job, Output, OutputKind, Sql, Text, Trigger};

use super::whole::Whole;
use crate::expressions::Planner;

/// Columns of sources, as `events.kind`.
pub(super) type Origins = BTreeSet<String>;

/// Finds origins.
pub(super) struct Lineage<'a> {
    job: &'a Job,
    planner: Planner,
    rows: BTreeMap<&'a str, SchemaRef>,
}

impl<'a> Lineage<'a> {
    pub(super) fn new(whole: &Whole<'a>) -> Lineage<'a> {
        let job = whole.job;
        let rows = |name: &'a String| Some((name.as_str(), whole.rows(name)?));
        Lineage {
            job,
            planner: Planner::new(),
            rows: job.sources.keys().filter_map(rows).collect(),
        }
    }

    /// The origins of each column of an output.
    pub(super) fn of(&self, output: &Output) -> BTreeMap<String, Origins> {
        let name = output.name.as_str();
        match output.kind {
            OutputKind::Features | OutputKind::Current => self.features(name),
            OutputKind::Sessions => self.sessions(name),
            OutputKind::Pattern => self.pattern(name),
            OutputKind::Trigger => self.trigger(name),
            OutputKind::Drift | OutputKind::Alerts => self.drift(name),
            OutputKind::Detector => self.detector(name),
            OutputKind::Transitions | OutputKind::Accuracy | OutputKind::Holdout => {
                self.journey(name, output)
            }
            OutputKind::Retrain => self.retrain(name),
            OutputKind::Late | OutputKind::Rejects => BTreeMap::new(),
        }
    }

    fn features(&self, name: &str) -> BTreeMap<String, Origins> {
        let Some(features) = self.job.features.get(name) else {
            return BTreeMap::new();
        };
        let from = &features.from;
        let behind = self.job.entity_behind(name);
        let mut columns = self.key_and_time(behind, from);
        let ids = self.ids(from);
        if !ids.is_empty() {
            columns.insert(self.job.id_column(from).to_owned(), ids);
        }
        for column in &features.carry {
            let origins = from.iter().map(|source| origin(source, column.as_str()));
            columns
                .entry(column.as_str().to_owned())
                .or_default()
                .extend(origins);
        }
        columns.extend(self.aggregates(from, &features.add, None));
        columns
    }

    fn sessions(&self, name: &str) -> BTreeMap<String, Origins> {
        let Some(sessions) = self.job.sessions.get(name) else {
            return BTreeMap::new();
        };
        let from = &sessions.from;
        let mut columns = self.key_and_time(self.job.entity_behind(name), from);
        let times = self.times(from);
        for column in ["start", "end", "closed", "cut"] {
            columns.insert(column.to_owned(), times.clone());
        }
        let filter = sessions.filter.as_ref();
        let rows = filter.map_or(times, |sql| self.columns(from, sql));
        columns.insert("rows".to_owned(), rows);
        columns.extend(self.aggregates(from, &sessions.add, filter));
        columns
    }

    fn pattern(&self, name: &str) -> BTreeMap<String, Origins> {
        let Some(pattern) = self.job.patterns.get(name) else {
            return BTreeMap::new();
        };
        let from = &pattern.from;
        let mut columns = self.key_and_time(self.job.entity(pattern.entity.as_ref()), from);
        let filters = pattern.steps.iter().filter_map(|step| step.filter.as_ref());
        let mut decides: Origins = filters.flat_map(|sql| self.columns(from, sql)).collect();
        for (step, _) in pattern.present() {
            let own = step.filter.as_ref().map(|sql| self.columns(from, sql));
            let own = own.unwrap_or_else(|| self.times(from));
            columns.insert(step.name.as_str().to_owned(), own);
        }
        columns.extend(self.aggregates(from, &pattern.add, None));
        columns.insert("start_id".to_owned(), self.ids(from));
        decides.extend(self.times(from));
        for column in ["start", "end", "how", "skipped"] {
            columns.insert(column.to_owned(), decides.clone());
        }
        columns
    }

    /// The columns that tell the rows of sources apart.
    fn ids(&self, from: &[Text]) -> Origins {
        let source = |name: &Text| self.job.sources.get(name.as_str());
        let dedupe = |name| source(name).and_then(|source| source.dedupe.as_ref());
        let keys = from.iter().filter_map(|name| Some((name, dedupe(name)?)));
        keys.flat_map(|(name, dedupe)| dedupe.key.iter().map(|key| origin(name, key.as_str())))
            .collect()
    }

    fn trigger(&self, name: &str) -> BTreeMap<String, Origins> {
        let Some(trigger) = self.job.triggers.get(name) else {
            return BTreeMap::new();
        };
        let registers = self.registers(trigger);
        let through = |sql: &Sql| -> Origins {
            let names = identifiers(sql.as_str());
            let known = names.iter().filter_map(|name| registers.get(name));
            known.flatten().cloned().collect()
        };
        let mut columns = BTreeMap::new();
        let conditions = [
            Some(&trigger.when),
            trigger.clear_when.as_ref(),
            trigger.segment.as_ref(),
        ];
        let decides: Origins = conditions.into_iter().flatten().flat_map(through).collect();
        for column in ["fired_at", "closed_at", "state"] {
            columns.insert(column.to_owned(), decides.clone());
        }
        let segment = trigger.segment.as_ref().map(through).unwrap_or_default();
        columns.insert("segment".to_owned(), segment);
        for sql in &trigger.explain {
            columns.insert(sql.column_name(), through(sql));
        }
        for on in trigger.on.iter() {
            let from = self.from(on.as_str());
            if let (Some((_, entity)), Some(from)) = (self.job.entity_behind(on.as_str()), from) {
                let keys = || {
                    from.iter()
                        .map(|source| origin(source, entity.key.as_str()))
                };
                columns
                    .entry(entity.key.as_str().to_owned())
                    .or_default()
                    .extend(keys());
                columns.entry("arm".to_owned()).or_default().extend(keys());
            }
        }
        columns
    }

    /// The origins of what a trigger can read, by name, qualified and not.
    fn registers(&self, trigger: &Trigger) -> BTreeMap<String, Origins> {
        let mut registers: BTreeMap<String, Origins> = BTreeMap::new();
        // Of two columns with one name, that of a feature or session is meant before that of a table.
        let mut add = |block: &str, column: String, origins: Origins| {
            registers
                .entry(column.clone())
                .or_insert_with(|| origins.clone());
            registers.insert(format!("{block}.{column}"), origins);
        };
        let tables = self.job.all_tables();
        let mut blocks: Vec<&str> = trigger.on.iter().map(Text::as_str).collect();
        blocks.sort_by_key(|on| tables.contains_key(on));
        for on in blocks {
            let columns = match tables.get(on) {
                Some(table) => self.table_columns(table.source),
                None if self.job.features.contains_key(on) => self.features(on),
                None => self.sessions(on),
            };
            for (column, origins) in columns {
                add(on, column, origins);
            }
        }
        registers
    }

    fn table_columns(&self, source: &str) -> BTreeMap<String, Origins> {
        let Some(rows) = self.rows.get(source) else {
            return BTreeMap::new();
        };
        let names = rows.fields().iter().map(|field| field.name().clone());
        names
            .map(|name| (name.clone(), Origins::from([format!("{source}.{name}")])))
            .collect()
    }

    fn detector(&self, name: &str) -> BTreeMap<String, Origins> {
        let Some(detector) = self.job.detectors.get(name) else {
            return BTreeMap::new();
        };
        let from = [detector.from.clone()];
        let read = [
            Some(&detector.of),
            detector.filter.as_ref(),
            detector.by.as_ref(),
        ];
        let read = read.into_iter().flatten().map(|sql| sql.split_alias().0);
        let watched: Origins = read.flat_map(|sql| self.columns_of(&from, sql)).collect();
        let columns = ["row", "value", "signal"].map(str::to_owned);
        let columns = columns
            .into_iter()
            .chain(detector.by.iter().map(Sql::column_name));
        let mut columns: BTreeMap<String, Origins> =
            columns.map(|column| (column, watched.clone())).collect();
        columns.insert("at".to_owned(), self.times(&from));
        columns
    }

    fn drift(&self, name: &str) -> BTreeMap<String, Origins> {
        let Some(drift) = self.job.drift.get(name) else {
            return BTreeMap::new();
        };
        let from = [drift.from.clone()];
        let counted: Origins = drift
            .of
            .iter()
            .map(|sql| sql.split_alias().0)
            .chain(drift.filter.iter().map(|sql| sql.as_str()))
            .chain(drift.by.iter().map(|sql| sql.split_alias().0))
            .flat_map(|sql| self.columns_of(&from, sql))
            .collect();
        let mut columns = BTreeMap::new();
        for column in drift.computed() {
            columns.insert(column.to_owned(), counted.clone());
        }
        if let Some(by) = &drift.by {
            let origins = self.columns_of(&from, by.split_alias().0);
            columns.insert("segment".to_owned(), origins.into_iter().collect());
        }
        let times = ["start", "end", "window", "opened_at", "closed_at"];
        for column in times
            .into_iter()
            .chain(["reference_from", "reference_until"])
        {
            columns.insert(column.to_owned(), self.times(&from));
        }
        columns
    }

    /// What shows the alert comes from where that does; the time of a request, from all that can ask.
    fn retrain(&self, name: &str) -> BTreeMap<String, Origins> {
        let Some(retrain) = self.job.retrain.get(name) else {
            return BTreeMap::new();
        };
        let times = retrain.source(self.job).map(std::slice::from_ref);
        let times = times.map_or_else(Origins::new, |from| self.times(from));
        let mut columns: BTreeMap<String, Origins> = BTreeMap::new();
        let mut decides = times.clone();
        for (drift, declared) in retrain.drifts(self.job) {
            for (column, origins) in self.drift(drift) {
                if declared.computed().contains(&column.as_str()) {
                    decides.extend(origins.clone());
                }
                columns.entry(column).or_default().extend(origins);
            }
        }
        for column in ["requested_at", "reason", "train_until"] {
            columns.insert(column.to_owned(), decides.clone());
        }
        for column in [
            "reference_from",
            "reference_until",
            "current_from",
            "current_until",
        ] {
            columns.insert(column.to_owned(), times.clone());
        }
        columns.insert("train_from".to_owned(), decides);
        columns
    }

    /// Kinds show themselves; what is counted of them depends on whose they are, and when.
    fn journey(&self, name: &str, output: &Output) -> BTreeMap<String, Origins> {
        let Some(journey) = self.job.journeys.get(name) else {
            return BTreeMap::new();
        };
        let from = &journey.from;
        let kinds = self.columns_of(from, journey.kind.as_str());
        let mut counted = kinds.clone();
        counted.extend(self.times(from));
        if let Some((_, entity)) = self.job.entity(journey.entity.as_ref()) {
            let key = |source| origin(source, entity.key.as_str());
            counted.extend(from.iter().map(key));
        }
        let columns = self.job.output_columns(output).unwrap_or_default();
        let origins = |column: String| {
            let origins = match column.as_str() {
                "from" | "to" => kinds.clone(),
                "order" | "k" => Origins::new(),
                _ => counted.clone(),
            };
            (column, origins)
        };
        columns.into_iter().map(origins).collect()
    }

    fn key_and_time(
        &self,
        behind: Option<(&str, &Entity)>,
        from: &[Text],
    ) -> BTreeMap<String, Origins> {
        let mut columns = BTreeMap::new();
        if let Some((_, entity)) = behind {
            let key = entity.key.as_str();
            let keys = from.iter().map(|source| origin(source, key));
            columns.insert(key.to_owned(), keys.collect());
        }
        if let Some(source) = from.first() {
            let time = self.job.event_time(source.as_str()).as_str().to_owned();
            columns.insert(time, self.times(from));
        }
        columns
    }

    fn times(&self, from: &[Text]) -> Origins {
        let time = |source: &Text| origin(source, self.job.event_time(source.as_str()).as_str());
        from.iter().map(time).collect()
    }

    fn aggregates(
        &self,
        from: &[Text],
        aggregates: &[Aggregate],
        filter: Option<&Sql>,
    ) -> BTreeMap<String, Origins> {
        let mut columns = BTreeMap::new();
        for aggregate in aggregates {
            let per = match &aggregate.op {
                tidegate_schemas::job::Op::Ratio { per } => Some(per),
                _ => None,
            };
            let read = [
                aggregate.of.as_ref(),
                aggregate.filter.as_ref(),
                per,
                filter,
            ];
            let mut origins: Origins = read
                .into_iter()
                .flatten()
                .flat_map(|sql| self.columns(from, sql))
                .collect();
            if origins.is_empty() {
                origins = self.times(from);
            }
            columns.extend(
                aggregate
                    .columns()
                    .into_iter()
                    .map(|name| (name, origins.clone())),
            );
        }
        columns
    }

    fn columns(&self, from: &[Text], sql: &Sql) -> Origins {
        self.columns_of(from, sql.as_str())
    }

    /// The columns that an expression over the rows of sources reads.
    fn columns_of(&self, from: &[Text], sql: &str) -> Origins {
        let mut origins = Origins::new();
        for source in from {
            let Some(rows) = self.rows.get(source.as_str()) else {
                continue;
            };
            if let Ok(expression) = self.planner.plan(sql, rows) {
                let name = |column: &usize| origin(source, rows.field(*column).name());
                origins.extend(expression.columns.iter().map(name));
            }
        }
        origins
    }

    fn from(&self, name: &str) -> Option<&[Text]> {
        let features = self.job.features.get(name).map(|features| &features.from);
        let sessions = || self.job.sessions.get(name).map(|sessions| &sessions.from);
        features.or_else(sessions).map(|from| &from[..])
    }
}

fn origin(source: &Text, column: &str) -> String {
    format!("{}.{column}", source.as_str())
}

/// The names in a condition, qualified ones whole and without quotes. Texts are none.
fn identifiers(sql: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut name = String::new();
    let mut inside: Option<char> = None;
    for c in sql.chars().chain(std::iter::once(' ')) {
        match (inside, c) {
            (Some(quote), _) if c == quote => inside = None,
            (Some('"'), _) => name.push(c),
            (Some(_), _) => {}
            (None, '"') => inside = Some(c),
            (None, _) if c.is_alphanumeric() || c == '_' => name.push(c),
            (None, '.') if !name.is_empty() => name.push(c),
            (None, _) => {
                if !name.is_empty() {
                    names.insert(std::mem::take(&mut name));
                }
                if c == '\'' {
                    inside = Some(c);
                }
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_texts_are_not() {
        let names = identifiers("a_1h>=limits.most and t.\"b b\"<>'c d' or f(e)");
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(
            names,
            ["a_1h", "and", "e", "f", "limits.most", "or", "t.b b"]
        );
    }
}
