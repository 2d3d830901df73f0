//! Names that refer to other sections. Looked at in the tree as it was written, so that a section that is
//! broken elsewhere is neither missed nor passed over.

use super::{Declared, section_of};
use crate::job::problems::{Origin, Problem};
use crate::job::sink::{Output, OutputKind};
use crate::job::suggest;
use crate::job::tree::{Node, Value};

/// What a key may refer to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    /// A source of events.
    Events,
    /// A source that is a changelog.
    Changelog,
    Entity,
    /// What a trigger speaks of: features, sessions and tables.
    On,
    Output,
}

/// The keys that refer to other sections.
const REFERENCES: [(&str, &str, Target); 16] = [
    ("features", "from", Target::Events),
    ("features", "entity", Target::Entity),
    ("sessions", "from", Target::Events),
    ("sessions", "entity", Target::Entity),
    ("pattern", "from", Target::Events),
    ("pattern", "entity", Target::Entity),
    ("drift", "from", Target::Events),
    ("detector", "from", Target::Events),
    ("journey", "from", Target::Events),
    ("journey", "entity", Target::Entity),
    ("retrain", "on", Target::Output),
    ("retrain", "from", Target::Events),
    ("retrain", "train", Target::Output),
    ("table", "from", Target::Changelog),
    ("trigger", "on", Target::On),
    ("sink", "from", Target::Output),
];

/// Tells every reference to what is not there.
pub(in crate::job) fn references(
    root: &Node,
    declared: &Declared,
    origin: &Origin,
) -> Vec<Problem> {
    let look = Look {
        root,
        declared,
        origin,
    };
    let mut problems = Vec::new();
    for (section, key, target) in REFERENCES {
        let entries = root
            .table()
            .and_then(|sections| sections.get(section)?.table());
        for (_, entry) in entries.into_iter().flat_map(|entries| &entries.0) {
            let value = entry.table().and_then(|keys| keys.get(key));
            for node in value.into_iter().flat_map(each) {
                if let Some(name) = node.text() {
                    problems.extend(look.up(node, name, target));
                }
            }
        }
    }
    problems
}

/// A value alone, or those of a list.
fn each(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(list) => list,
        _ => std::slice::from_ref(node),
    }
}

struct Look<'a> {
    root: &'a Node,
    declared: &'a Declared,
    origin: &'a Origin,
}

impl Look<'_> {
    fn up(&self, node: &Node, name: &str, target: Target) -> Option<Problem> {
        let shown = node.shown().unwrap_or_default();
        let is_changelog = self.changelogs().any(|changelog| changelog == name);
        let (message, help) = match target {
            Target::Events if is_changelog => (
                format!("`{shown}` is a changelog, not a source of events"),
                Some("a changelog is a table: name it in a trigger's `on`".to_owned()),
            ),
            Target::Changelog if self.declared.has("source", name) && !is_changelog => (
                format!("`{shown}` is a source of events, not a changelog"),
                Some(
                    "give it the format changelog_csv, changelog_jsonl or changelog_parquet"
                        .to_owned(),
                ),
            ),
            Target::Events | Target::Changelog => {
                self.unknown(node, "there is no source", "source", name)?
            }
            Target::Entity => self.unknown(node, "there is no entity", "entity", name)?,
            Target::On => {
                let names: Vec<_> = self.named_on().collect();
                if names.contains(&name) {
                    return None;
                }
                let message = format!("there are no features, sessions or table `{shown}`");
                let help = match self.declared.has("pattern", name) {
                    true => Some("it is a pattern, and triggers look at none".to_owned()),
                    false => suggest::help(name, "there are", names),
                };
                (message, help)
            }
            Target::Output => {
                let output: Output = name.parse().ok()?;
                if self.declared.makes(&output) {
                    return None;
                }
                let message = format!("there is no output `{shown}`");
                (message, self.declared.output_help(&output))
            }
        };
        // Help may repeat the name or part of it, which may be a secret.
        let help = help.filter(|_| node.written.is_none());
        let problem = self.origin.problem(Some(node.place), message);
        Some(problem.maybe_help(help))
    }

    /// Message and help when a section has no entry of that name.
    fn unknown(
        &self,
        node: &Node,
        what: &str,
        section: &str,
        name: &str,
    ) -> Option<(String, Option<String>)> {
        if self.declared.has(section, name) {
            return None;
        }
        let message = format!("{what} `{}`", node.shown().unwrap_or_default());
        Some((
            message,
            suggest::help(name, "there are", self.declared.names(section)),
        ))
    }

    /// The sources that are changelogs, as far as their format can be read.
    fn changelogs(&self) -> impl Iterator<Item = &str> {
        self.sources().filter_map(|(name, keys)| {
            let format = keys.table()?.get("format")?.text()?;
            format.starts_with("changelog").then_some(name)
        })
    }

    fn sources(&self) -> impl Iterator<Item = (&str, &Node)> {
        let sources = self
            .root
            .table()
            .and_then(|sections| sections.get("source")?.table());
        let entries = sources.into_iter().flat_map(|sources| &sources.0);
        entries.map(|(key, node)| (key.name.as_str(), node))
    }

    /// Features, sessions, tables, and the changelogs that are tables of their own.
    fn named_on(&self) -> impl Iterator<Item = &str> {
        let sections = ["features", "sessions", "table"].into_iter();
        let keyed = self.sources().filter_map(|(name, keys)| {
            let keys = keys.table()?;
            let changelog = keys.get("format")?.text()?.starts_with("changelog");
            (changelog && keys.get("key").is_some()).then_some(name)
        });
        sections
            .flat_map(|section| self.declared.names(section))
            .chain(keyed)
    }
}

impl Declared {
    /// Whether there is something that makes this output, broken or not.
    pub(super) fn makes(&self, output: &Output) -> bool {
        self.has(section_of(output.kind), &output.name)
    }

    /// All outputs, the most wanted of each name first.
    pub(in crate::job) fn outputs(&self) -> impl Iterator<Item = String> {
        OutputKind::ALL.iter().flat_map(|(word, kind)| {
            let names = self.names(section_of(*kind));
            names.map(move |name| format!("{word}.{name}"))
        })
    }

    /// What output may have been meant.
    pub(super) fn output_help(&self, output: &Output) -> Option<String> {
        let all: Vec<String> = self.outputs().collect();
        let of_kind = format!("{}.", output.kind.word());
        let same_kind = all.iter().filter(|name| name.starts_with(&of_kind));
        let wanted = output.to_string();
        match suggest::closest(&wanted, same_kind.map(String::as_str)) {
            Some(close) => Some(format!("did you mean `{close}`?")),
            None => suggest::help(&wanted, "there are", all.iter().map(String::as_str)),
        }
    }
}
