//! What the sections of a job must agree on: names, references, and keys that depend on each other.

mod features;
mod inputs;
mod journeys;
mod outputs;
mod patterns;
mod references;
mod retrain;
mod triggers;

use std::collections::{BTreeMap, BTreeSet};

use super::aggregate_keys::{AggregateKeys, Setting};
use super::problems::{Origin, Problem};
use super::read::read;
use super::source::Columns;
use super::suggest;
use super::text::{Place, Text};
use super::tree::{Node, Value};
use super::{Job, OutputKind};

use features::setting;
pub(super) use references::references;

/// The names in each section, with those of entries that are broken and so not in the job.
#[derive(Clone, Debug, Default)]
pub(super) struct Declared(BTreeMap<String, BTreeSet<String>>);

impl Declared {
    /// The names in a file.
    pub(super) fn of(root: &Node) -> Declared {
        let sections = root.table().into_iter().flat_map(|table| &table.0);
        let names = sections.filter_map(|(key, node)| {
            let names = node.table()?.names().map(str::to_owned).collect();
            Some((key.name.clone(), names))
        });
        Declared(names.collect())
    }

    fn names(&self, section: &str) -> impl Iterator<Item = &str> + Clone {
        self.0
            .get(section)
            .into_iter()
            .flatten()
            .map(String::as_str)
    }

    fn has(&self, section: &str, name: &str) -> bool {
        self.0
            .get(section)
            .is_some_and(|names| names.contains(name))
    }
}

/// Looks at a job whose parts can all be read. `tree` is what it was read from.
///
/// `broken` says that parts of the file could not be read and are missing from it.
pub(super) fn check(
    job: &Job,
    tree: &Node,
    declared: &Declared,
    broken: bool,
    origin: &Origin,
) -> Vec<Problem> {
    let mut check = Check {
        job,
        tree,
        declared,
        broken,
        origin,
        problems: Vec::new(),
    };
    check.job_section();
    check.sources();
    check.entities();
    check.tables();
    check.shared_names();
    check.features();
    check.sessions();
    check.patterns();
    check.triggers();
    check.drift();
    check.detectors();
    check.journeys();
    check.retrain();
    check.sinks();
    check.tests();
    check.problems
}

/// Tells what is wrong with the keys of each aggregate that can be read.
pub(super) fn aggregates(root: &mut Node, faulty: Faulty, origin: &Origin) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Value::Table(sections) = &mut root.value else {
        return problems;
    };
    for (section, node) in &mut sections.0 {
        let (Some(setting), Value::Table(entries)) = (setting(&section.name), &mut node.value)
        else {
            continue;
        };
        for (_, entry) in &mut entries.0 {
            let Value::Table(keys) = &mut entry.value else {
                continue;
            };
            let add = keys.0.iter_mut().find(|(key, _)| key.name == "add");
            if let Some(Value::List(list)) = add.map(|(_, node)| &mut node.value) {
                list.retain(|node| {
                    let found = aggregate_problems(node, setting, origin);
                    let good = found.is_empty();
                    problems.extend(found);
                    good || faulty == Faulty::Keep
                });
            }
        }
    }
    problems
}

/// What to do with aggregates that have problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Faulty {
    Keep,
    TakeOut,
}

fn aggregate_problems(node: &Node, setting: Setting, origin: &Origin) -> Vec<Problem> {
    let Ok(keys) = read::<AggregateKeys>(node) else {
        return Vec::new();
    };
    let place = |key: Option<&str>| {
        let entry = key.and_then(|key| node.table()?.entry(key));
        entry.map_or(node.place, |(key, _)| key.place)
    };
    let problem = |found: super::aggregate_keys::KeyProblem| {
        let message = format!("`{}`: {}", keys.name.written(), found.message);
        let problem = origin.problem(Some(place(found.key)), message);
        problem.maybe_help(found.help)
    };
    keys.problems(setting).into_iter().map(problem).collect()
}

/// The check on its way through the job.
struct Check<'a> {
    job: &'a Job,
    tree: &'a Node,
    declared: &'a Declared,
    broken: bool,
    origin: &'a Origin,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    /// Tells a problem with what stands at `place`.
    fn tell(&mut self, place: Option<Place>, message: impl Into<String>) {
        self.tell_with(place, message, None);
    }

    fn tell_with(
        &mut self,
        place: Option<Place>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let problem = self.origin.problem(place, message).maybe_help(help);
        self.problems.push(problem);
    }

    /// Tells a problem with the key at `path`, or with the nearest thing around it, and gives help.
    fn tell_key(&mut self, path: &[&str], message: impl Into<String>, help: &str) {
        let place = self.key(path);
        self.tell_with(place, message, Some(help.to_owned()));
    }

    /// Where the key at `path` stands; without such a key, the nearest one around it.
    fn key(&self, path: &[&str]) -> Option<Place> {
        let mut node = self.tree;
        let mut place = None;
        for segment in path {
            node = match &node.value {
                Value::Table(table) => match table.entry(segment) {
                    Some((key, inner)) => {
                        place = Some(key.place);
                        inner
                    }
                    None => return place,
                },
                Value::List(list) => {
                    match segment.parse().ok().and_then(|at: usize| list.get(at)) {
                        Some(inner) => {
                            place = Some(inner.place);
                            inner
                        }
                        None => return place,
                    }
                }
                _ => return place,
            };
        }
        place
    }

    /// Tells when `columns` are declared and have no column of that name.
    fn column(&mut self, column: &Text, source: &str, columns: &Columns) {
        if !columns.is_empty() && columns.get(column.as_str()).is_none() {
            let message = format!("source `{source}` has no column `{}`", column.written());
            let help = if column.is_from_environment() {
                None
            } else {
                suggest::help(column.as_str(), "its columns are", columns.names())
            };
            self.tell_with(column.place(), message, help);
        }
    }

    /// Tells when the same name comes twice.
    fn twice<'b>(&mut self, names: impl IntoIterator<Item = &'b Text>, what: &str) {
        let mut seen = BTreeSet::new();
        for name in names {
            if !seen.insert(name.as_str()) {
                let message = format!("{what} `{}` is named twice", name.written());
                self.tell_with(
                    name.place(),
                    message,
                    Some("leave one of them out".to_owned()),
                );
            }
        }
    }

    /// Features, sessions and tables share their names, since expressions qualify columns by them.
    fn shared_names(&mut self) {
        let job = self.job;
        let implied = job.all_tables();
        let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
        let features = job.features.keys().map(|name| (name.as_str(), "features"));
        let sessions = job.sessions.keys().map(|name| (name.as_str(), "sessions"));
        let tables = implied
            .values()
            .map(|table| match job.tables.contains_key(table.name) {
                true => (table.name, "table"),
                false => (table.name, "source"),
            });
        for (name, section) in features.chain(sessions).chain(tables) {
            if let Some(other) = owners.insert(name, section) {
                let message = format!(
                    "[{section}.{name}] and [{other}.{name}] have the same name, and triggers could not tell their columns apart"
                );
                self.tell_key(&[section, name], message, "give one of them another name");
            }
        }
    }

    fn job_section(&mut self) {
        let name = &self.job.job.name;
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.as_str().is_empty() || !name.as_str().chars().all(fits) {
            let message = format!("`{}` cannot be the name of a job", name.written());
            let help = "use letters, digits, - and _".to_owned();
            self.tell_with(name.place(), message, Some(help));
        }
        if self.declared.names("source").next().is_none() {
            let help = "say where its rows come from: [source.NAME]";
            self.tell_key(&["job"], "the job has no source", help);
        }
    }
}

/// The section whose entries make outputs of a kind.
fn section_of(kind: OutputKind) -> &'static str {
    match kind {
        OutputKind::Features | OutputKind::Current => "features",
        OutputKind::Sessions => "sessions",
        OutputKind::Pattern => "pattern",
        OutputKind::Trigger => "trigger",
        OutputKind::Drift | OutputKind::Alerts => "drift",
        OutputKind::Detector => "detector",
        OutputKind::Transitions | OutputKind::Accuracy | OutputKind::Holdout => "journey",
        OutputKind::Retrain => "retrain",
        OutputKind::Late | OutputKind::Rejects => "source",
    }
}
