//! Features and sessions.

use std::collections::{BTreeMap, BTreeSet};

use super::Check;
use crate::job::aggregate::Aggregate;
use crate::job::aggregate_keys::Setting;
use crate::job::suggest;
use crate::job::text::Text;
use crate::job::{Entity, Source};
use crate::time::Span;

/// What the aggregates of a section stand in; `None` when it has none.
pub(in crate::job) fn setting(section: &str) -> Option<Setting> {
    match section {
        "features" => Some(Setting::Features),
        "sessions" => Some(Setting::Sessions),
        "pattern" => Some(Setting::Patterns),
        _ => None,
    }
}

impl<'a> Check<'a> {
    pub(super) fn features(&mut self) {
        for (name, features) in &self.job.features {
            let here = ["features", name.as_str()];
            let entity = self.entity(&here, features.entity.as_ref());
            self.rows_of(&features.from, entity);
            for column in &features.carry {
                for from in features.from.iter() {
                    if let Some(source) = self.job.sources.get(from.as_str()) {
                        self.column(column, from.as_str(), &source.columns);
                    }
                }
            }
            if features.at.is_none() && !features.carry.is_empty() {
                self.tell_key(
                    &["features", name, "carry"],
                    "`carry` needs `at`: only anchor rows can carry columns of theirs",
                    "say which rows are anchors, for example at = \"kind = 'contact_opened'\"",
                );
            }
            let mut taken = Taken::default();
            if let Some(entity) = entity {
                taken.reserve(entity.key.as_str(), "the entity's key");
            }
            if let Some(from) = features.from.first() {
                taken.reserve(
                    self.job.event_time(from.as_str()).as_str(),
                    "the event time",
                );
            }
            for column in &features.carry {
                self.take(&mut taken, column.as_str(), column);
            }
            if features.at.is_some() {
                taken.reserve(
                    self.job.id_column(&features.from),
                    "the id of the anchor row",
                );
            }
            self.take_aggregates(&mut taken, &features.add);
        }
    }

    pub(super) fn sessions(&mut self) {
        for (name, sessions) in &self.job.sessions {
            let here = ["sessions", name.as_str()];
            let entity = self.entity(&here, sessions.entity.as_ref());
            self.rows_of(&sessions.from, entity);
            if sessions.gap <= Span::ZERO {
                let message = "`gap` must be longer than nothing";
                self.tell_key(&["sessions", name, "gap"], message, "for example 30m");
            }
            if sessions
                .max_length
                .is_some_and(|longest| longest < sessions.gap)
            {
                self.tell_key(
                    &["sessions", name, "max_length"],
                    "`max_length` must not be shorter than `gap`",
                    "for example 12h",
                );
            }
            let mut taken = Taken::default();
            if let Some(entity) = entity {
                taken.reserve(entity.key.as_str(), "the entity's key");
            }
            for column in ["start", "end", "rows", "closed", "cut"] {
                taken.reserve(column, "a column that sessions have of themselves");
            }
            self.take_aggregates(&mut taken, &sessions.add);
        }
    }

    /// The entity of an entry; tells when it cannot be known which.
    pub(super) fn entity(&mut self, here: &[&str; 2], named: Option<&Text>) -> Option<&'a Entity> {
        let known: Vec<_> = self.declared.names("entity").collect();
        match known.as_slice() {
            _ if named.is_some() => {}
            [_] => {}
            [] => self.tell_key(
                here,
                format!("`{}` needs an entity", here.join(".")),
                "say what it is kept for: [entity.customer] with key = \"customer_id\"",
            ),
            many => {
                let message = format!("`{}` needs the key `entity`", here.join("."));
                let help = format!("there are: {}", many.join(", "));
                self.tell_key(here, message, &help);
            }
        }
        self.job.entity(named).map(|(_, entity)| entity)
    }

    /// The sources of features, sessions or a pattern: each has rows, and the entity's key.
    pub(super) fn rows_of(&mut self, from: &'a [Text], entity: Option<&'a Entity>) {
        self.twice(from, "source");
        for name in from {
            let source = self.job.sources.get(name.as_str());
            let (Some(source), Some(entity)) = (source, entity) else {
                continue;
            };
            if source.format.is_changelog() {
                continue;
            }
            if lacks(source, entity) && !self.is_nowhere(entity) {
                let message = format!(
                    "source `{}` has no column `{}`, the key of the entity",
                    name.written(),
                    entity.key.written()
                );
                let help = suggest::help(
                    entity.key.as_str(),
                    "its columns are",
                    source.columns.names(),
                );
                self.tell_with(name.place(), message, help);
            }
        }
    }

    /// Entities whose key is in no source at all: it is the key that is wrong.
    pub(super) fn entities(&mut self) {
        for entity in self.job.entities.values() {
            if self.is_nowhere(entity) {
                let key = entity.key.written();
                let message = format!("no source has a column `{key}`, the key of the entity");
                let sources = self.job.sources.values();
                let columns: BTreeSet<&str> =
                    sources.flat_map(|source| source.columns.names()).collect();
                let help = suggest::help(entity.key.as_str(), "their columns are", columns);
                self.tell_with(entity.key.place(), message, help);
            }
        }
    }

    /// Whether there are sources of rows, and all of them lack the entity's key.
    fn is_nowhere(&self, entity: &Entity) -> bool {
        let sources = self.job.sources.values();
        let mut of_rows = sources
            .filter(|source| !source.format.is_changelog())
            .peekable();
        !self.broken && of_rows.peek().is_some() && of_rows.all(|source| lacks(source, entity))
    }

    pub(super) fn take_aggregates(&mut self, taken: &mut Taken, add: &[Aggregate]) {
        for aggregate in add {
            let name = &aggregate.name;
            for column in aggregate.columns() {
                self.take(taken, &column, name);
            }
        }
    }

    /// Gives a column to what is called `owner`; tells when something has it already.
    pub(super) fn take(&mut self, taken: &mut Taken, column: &str, owner: &Text) {
        if let Some(other) = taken.0.get(column) {
            let shown = if owner.is_from_environment() {
                owner.written()
            } else {
                column
            };
            let message = format!("the column `{shown}` is there already: it is {other}");
            let help = Some("give it another name".to_owned());
            self.tell_with(owner.place(), message, help);
            return;
        }
        let what = format!("that of `{}`", owner.written());
        taken.0.insert(column.to_owned(), what);
    }
}

/// Whether a source is known to have no column that is the key of the entity.
fn lacks(source: &Source, entity: &Entity) -> bool {
    !source.columns.is_empty() && source.columns.get(entity.key.as_str()).is_none()
}

/// The columns of an output so far, and whose they are.
#[derive(Default)]
pub(super) struct Taken(BTreeMap<String, String>);

impl Taken {
    pub(super) fn reserve(&mut self, column: &str, what: &str) {
        self.0.insert(column.to_owned(), what.to_owned());
    }
}
