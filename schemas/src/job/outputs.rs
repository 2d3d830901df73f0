//! What follows from a job file: its outputs, their columns, its tables, and who refers to whom.

use std::collections::BTreeMap;

use super::sink::{Output, OutputKind};
use super::text::{Sql, Text};
use super::{Aggregate, Detector, Entity, Job};

/// A table that changes, whether it has a section of its own or is a changelog source with a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TableView<'a> {
    /// Its name.
    pub name: &'a str,
    /// The source of its rows' versions.
    pub source: &'a str,
    /// The columns that name a row.
    pub key: &'a [Text],
    /// Which versions remove the row.
    pub delete_when: Option<&'a Sql>,
}

/// The columns of a trigger's output between the entity's key and what explains it.
const FIRING: [&str; 7] = [
    "event_id",
    "fired_at",
    "closed_at",
    "state",
    "segment",
    "arm",
    "action",
];

/// The columns of a pattern's output between the entity's key and the numbers of rows.
pub(super) const MATCH: [&str; 4] = ["start_id", "start", "end", "how"];

/// The last column of a pattern's output.
pub(super) const SKIPPED: &str = "skipped";

/// The columns of the transitions of a journey.
const TRANSITIONS: [&str; 5] = ["from", "to", "count", "share", "mean_seconds"];

/// The columns of the accuracy of a journey.
const ACCURACY: [&str; 8] = [
    "order",
    "steps",
    "predicted",
    "right",
    "accuracy",
    "bin_steps",
    "bin_probability",
    "bin_right",
];

/// The columns of the hold-out of a journey.
const HOLDOUT: [&str; 6] = ["k", "counted", "journeys", "prefixes", "right", "accuracy"];

impl Job {
    /// All tables by name.
    #[must_use]
    pub fn all_tables(&self) -> BTreeMap<&str, TableView<'_>> {
        let implied = self
            .sources
            .iter()
            .filter(|(_, source)| source.format.is_changelog() && !source.key.is_empty());
        let implied = implied.map(|(name, source)| TableView {
            name,
            source: name,
            key: &source.key,
            delete_when: source.delete_when.as_ref(),
        });
        let declared = self.tables.iter().map(|(name, table)| TableView {
            name,
            source: table.from.as_str(),
            key: &table.key,
            delete_when: table.delete_when.as_ref(),
        });
        implied
            .chain(declared)
            .map(|table| (table.name, table))
            .collect()
    }

    /// The entity that is named, or the only one when none is.
    #[must_use]
    pub fn entity(&self, named: Option<&Text>) -> Option<(&str, &Entity)> {
        let found = match named {
            Some(name) => self.entities.get_key_value(name.as_str()),
            None if self.entities.len() == 1 => self.entities.first_key_value(),
            None => None,
        };
        found.map(|(name, entity)| (name.as_str(), entity))
    }

    /// The column that holds the event time of a source.
    #[must_use]
    pub fn event_time(&self, source: &str) -> &Text {
        let own = self
            .sources
            .get(source)
            .and_then(|source| source.event_time.as_ref());
        own.unwrap_or(&self.job.event_time)
    }

    /// Every output there is.
    #[must_use]
    pub fn outputs(&self) -> Vec<Output> {
        fn of<T>(kind: OutputKind, names: &BTreeMap<String, T>) -> impl Iterator<Item = Output> {
            let name = move |name: &String| Output {
                kind,
                name: name.clone(),
            };
            names.keys().map(name)
        }
        let held_out = self.journeys.iter();
        let held_out = held_out.filter(|(_, journey)| journey.holdout.is_some());
        let held_out = held_out.map(|(name, _)| (name.clone(), ())).collect();
        of(OutputKind::Features, &self.features)
            .chain(of(OutputKind::Current, &self.features))
            .chain(of(OutputKind::Sessions, &self.sessions))
            .chain(of(OutputKind::Pattern, &self.patterns))
            .chain(of(OutputKind::Trigger, &self.triggers))
            .chain(of(OutputKind::Drift, &self.drift))
            .chain(of(OutputKind::Detector, &self.detectors))
            .chain(of(OutputKind::Alerts, &self.drift).filter(|it| {
                let drift = self.drift.get(&it.name);
                drift.is_some_and(|drift| drift.alert.is_some())
            }))
            .chain(of(OutputKind::Transitions, &self.journeys))
            .chain(of(OutputKind::Accuracy, &self.journeys))
            .chain(of(OutputKind::Holdout, &held_out))
            .chain(of(OutputKind::Retrain, &self.retrain))
            .chain(of(OutputKind::Late, &self.sources))
            .chain(of(OutputKind::Rejects, &self.sources))
            .collect()
    }

    /// The columns of an output, in order. `None` when there is no such output, and for late and
    /// rejected rows, whose columns are those of the source.
    #[must_use]
    pub fn output_columns(&self, output: &Output) -> Option<Vec<String>> {
        match output.kind {
            OutputKind::Features | OutputKind::Current => self.feature_columns(output),
            OutputKind::Sessions => {
                let sessions = self.sessions.get(&output.name)?;
                let (_, entity) = self.entity(sessions.entity.as_ref())?;
                let mut columns = owned(&[entity.key.as_str(), "start", "end", "rows"]);
                columns.extend(sessions.add.iter().flat_map(Aggregate::columns));
                columns.push("closed".to_owned());
                if sessions.max_length.is_some() {
                    columns.push("cut".to_owned());
                }
                Some(columns)
            }
            OutputKind::Pattern => {
                let pattern = self.patterns.get(&output.name)?;
                let (_, entity) = self.entity(pattern.entity.as_ref())?;
                let mut columns = owned(&[entity.key.as_str()]);
                columns.extend(owned(&MATCH));
                let steps = pattern.present().map(|(step, _)| step.name.as_str());
                columns.extend(steps.map(str::to_owned));
                columns.extend(pattern.add.iter().flat_map(Aggregate::columns));
                columns.push(SKIPPED.to_owned());
                Some(columns)
            }
            OutputKind::Trigger => {
                let trigger = self.triggers.get(&output.name)?;
                let entity = trigger
                    .on
                    .iter()
                    .find_map(|on| self.entity_behind(on.as_str()));
                let mut columns = owned(&[entity?.1.key.as_str()]);
                columns.extend(owned(&FIRING));
                columns.extend(trigger.explain.iter().map(Sql::column_name));
                Some(columns)
            }
            OutputKind::Drift => {
                let drift = self.drift.get(&output.name)?;
                Some(owned(&drift.columns()))
            }
            OutputKind::Alerts => {
                let drift = self.drift.get(&output.name)?;
                drift.alert.as_ref()?;
                Some(owned(&drift.alert_columns()))
            }
            OutputKind::Detector => self.detectors.get(&output.name).map(Detector::columns),
            OutputKind::Transitions => self.journeys.get(&output.name).map(|_| owned(&TRANSITIONS)),
            OutputKind::Accuracy => self.journeys.get(&output.name).map(|_| owned(&ACCURACY)),
            OutputKind::Holdout => self.journeys.get(&output.name).map(|_| owned(&HOLDOUT)),
            OutputKind::Retrain => {
                let retrain = self.retrain.get(&output.name)?;
                Some(owned(&retrain.columns(self)))
            }
            OutputKind::Late | OutputKind::Rejects => None,
        }
    }

    fn feature_columns(&self, output: &Output) -> Option<Vec<String>> {
        let features = self.features.get(&output.name)?;
        let (_, entity) = self.entity(features.entity.as_ref())?;
        let time = features
            .from
            .first()
            .map(|source| self.event_time(source.as_str()));
        let mut columns = owned(&[entity.key.as_str()]);
        if output.kind == OutputKind::Features && features.at.is_some() {
            let id = self.id_column(&features.from);
            columns.extend(owned(&[id, time?.as_str()]));
            let carried = features.carry.iter().map(Text::as_str);
            columns.extend(carried.filter(|column| *column != id).map(str::to_owned));
        } else {
            columns.push(time?.as_str().to_owned());
        }
        columns.extend(features.add.iter().flat_map(Aggregate::columns));
        Some(columns)
    }

    /// The column that shows the id of a row of these sources: the one that tells the events of a single source
    /// apart, or else `row_id`.
    #[must_use]
    pub fn id_column(&self, from: &[Text]) -> &str {
        let source = match from {
            [source] => self.sources.get(source.as_str()),
            _ => None,
        };
        let dedupe = source.and_then(|source| source.dedupe.as_ref());
        match dedupe.map(|dedupe| &dedupe.key[..]) {
            Some([key]) => key.as_str(),
            _ => "row_id",
        }
    }

    /// The entity of the features or sessions of that name.
    #[must_use]
    pub fn entity_behind(&self, name: &str) -> Option<(&str, &Entity)> {
        let features = self
            .features
            .get(name)
            .map(|features| features.entity.as_ref());
        let sessions = || {
            self.sessions
                .get(name)
                .map(|sessions| sessions.entity.as_ref())
        };
        self.entity(features.or_else(sessions)?)
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
