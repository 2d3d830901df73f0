//! Which key of the job file an override means whose path leaves something out.

use super::shape::{Shape, Shapes};
use super::suggest::closest;
use super::tree::Node;

/// So many are still a help.
const MOST: usize = 4;

/// The paths that `keys` may stand for: `lateness` for `job.lateness`, `events.path` and `source.path` for
/// `source.events.path`. None when there are none, or too many to be a help.
pub(super) fn meant(root: &Node, keys: &[&str]) -> Option<String> {
    let known = paths(root);
    let mut found: Vec<String> = known
        .iter()
        .filter_map(|path| completed(path, keys))
        .collect();
    if let ([word], true) = (keys, found.is_empty()) {
        let last = |path: &Vec<&str>| path[path.len() - 1].to_owned();
        let fields: Vec<String> = known.iter().map(last).collect();
        let near = closest(word, fields.iter().map(String::as_str))?;
        found = known
            .iter()
            .filter_map(|path| completed(path, &[near]))
            .collect();
    }
    let (last, others) = found.split_last().filter(|_| found.len() <= MOST)?;
    Some(match others {
        [] => format!("did you mean `{last}`?"),
        others => format!("did you mean `{}` or `{last}`?", others.join("`, `")),
    })
}

/// The keys of every section, each with the section and, if it has one, the name before it.
fn paths(root: &Node) -> Vec<Vec<&str>> {
    let shapes = Shapes::job();
    let (Some(sections), Shape::Record(known)) = (root.table(), &shapes.root) else {
        return Vec::new();
    };
    let mut paths = Vec::new();
    for (section, node) in &sections.0 {
        let section = section.name.as_str();
        let Some(field) = known.get(section) else {
            continue;
        };
        match (shapes.resolve(&field.shape), node.table()) {
            (Shape::Record(fields), _) => {
                paths.extend(fields.keys().map(|key| vec![section, key.as_str()]));
            }
            (Shape::Map(entry), Some(named)) => {
                if let Shape::Record(fields) = shapes.resolve(entry) {
                    for name in named.names() {
                        paths.extend(fields.keys().map(|key| vec![section, name, key.as_str()]));
                    }
                }
            }
            _ => {}
        }
    }
    paths
}

/// The whole path, if the keys are its end, perhaps with more behind it, or leave out its name.
fn completed(path: &[&str], keys: &[&str]) -> Option<String> {
    let without_name: Vec<&str> = match path {
        [section, _, key] => vec![section, key],
        _ => Vec::new(),
    };
    let ends = (1..path.len()).map(|from| &path[from..]);
    let mut ends = ends.chain(Some(&without_name[..]).filter(|end| !end.is_empty()));
    let end = ends.find(|end| keys.starts_with(end))?;
    Some([path, &keys[end.len()..]].concat().join("."))
}
