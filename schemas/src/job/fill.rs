//! What comes into a job file from outside: overrides of keys, and the environment.

use super::meant::meant;
use super::problems::{Origin, Problem};
use super::suggest;
use super::text::Place;
use super::tree::{Key, Node, Table, Value, parse_override};

/// Where a variable's value comes from.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Sets keys of the tree: `source.events.path` to `x.jsonl`. Sections and their names must exist;
/// below them a key may be new. An entry of a list is named by its `name` or by its number, from 0.
pub(super) fn override_keys(
    root: &mut Node,
    overrides: &[(String, String)],
    origin: &Origin,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, (path, value)) in overrides.iter().enumerate() {
        let document = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let node = parse_override(value, document, path.len() + 1);
        let segments = segments(path, document);
        if let Err(problem) = set(root, &segments, node, origin) {
            let keys: Vec<&str> = segments.iter().map(|key| key.name.as_str()).collect();
            problems.push(match meant(root, &keys) {
                Some(help) => problem.help(help),
                None => *problem,
            });
        }
    }
    problems
}

/// The keys of a path and where they stand. A key in quotes may hold points and blanks.
fn segments(path: &str, document: u32) -> Vec<Key> {
    let short = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let mut start = 0;
    let mut keys = Vec::new();
    let mut quote = None;
    for (at, c) in path.char_indices().chain([(path.len(), '.')]) {
        let within = quote.is_some() && at < path.len();
        if quote == Some(c) {
            quote = None;
        } else if !within && matches!(c, '"' | '\'') && path[start..at].trim().is_empty() {
            quote = Some(c);
        }
        if within || c != '.' {
            continue;
        }
        let place = Place {
            document,
            start: short(start),
            end: short(at),
        };
        let name = unquoted(path[start..at].trim()).to_owned();
        keys.push(Key { name, place });
        start = at + 1;
    }
    keys
}

fn unquoted(name: &str) -> &str {
    let inside = |quote| name.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(name)
}

/// Sets the node at the path `keys`.
fn set(root: &mut Node, keys: &[Key], value: Node, origin: &Origin) -> Result<(), Box<Problem>> {
    let named = match keys.first() {
        Some(first) if first.name == "job" => 1,
        _ => 2,
    };
    let mut node = root;
    for (depth, key) in keys.iter().enumerate() {
        if key.name.is_empty() {
            let problem = origin.problem(Some(key.place), "a key is missing here");
            let help = "write it like --set source.events.path=events.jsonl";
            return Err(Box::new(problem.help(help)));
        }
        node = child(node, &keys[..=depth], depth >= named, origin)?;
    }
    *node = value;
    Ok(())
}

/// The node that the last of `keys` names in `node`; made when it `may_be_new`.
fn child<'a>(
    node: &'a mut Node,
    keys: &[Key],
    may_be_new: bool,
    origin: &Origin,
) -> Result<&'a mut Node, Box<Problem>> {
    let (key, above) = match keys {
        [above @ .., key] => (key, above),
        [] => return Ok(node),
    };
    let unknown = |known: Vec<String>| {
        let above: Vec<_> = above.iter().map(|key| key.name.as_str()).collect();
        let place = match above.as_slice() {
            [] => "the job file".to_owned(),
            above => format!("`{}`", above.join(".")),
        };
        let message = format!("there is no `{}` in {place}", key.name);
        let help = suggest::help(&key.name, "there are", known.iter().map(String::as_str));
        let problem = origin.problem(Some(key.place), message);
        Box::new(problem.maybe_help(help))
    };
    match &mut node.value {
        Value::Table(table) => {
            let at = match table.position(&key.name) {
                Some(at) => at,
                None if may_be_new => {
                    let fresh = Node::new(Value::Table(Table::default()), key.place);
                    table.0.push((key.clone(), fresh));
                    table.0.len() - 1
                }
                None => return Err(unknown(table.names().map(str::to_owned).collect())),
            };
            Ok(&mut table.0[at].1)
        }
        Value::List(list) => {
            let name = |node: &Node| node.table()?.get("name")?.text().map(str::to_owned);
            let named = |node: &Node| name(node).is_some_and(|name| name == key.name);
            let number = key.name.parse().ok().filter(|at| *at < list.len());
            match list.iter().position(named).or(number) {
                Some(at) => Ok(&mut list[at]),
                None => Err(unknown(list.iter().filter_map(name).collect())),
            }
        }
        _ => {
            let above = above.last().map_or("", |key| key.name.as_str());
            let message = format!("`{above}` holds a single value");
            let problem = origin.problem(Some(key.place), message);
            Err(Box::new(problem.help("set it without a further `.`")))
        }
    }
}

/// The variables that were filled in, by name, and what is wrong with others.
#[derive(Default)]
pub(super) struct Filled {
    values: Vec<(String, String)>,
    pub(super) problems: Vec<Problem>,
}

impl Filled {
    /// The shortest value that is looked for: shorter ones are in too many words by chance.
    const SHORTEST: usize = 4;

    /// Takes values out of a problem that speaks of them in another place, say as the name of a column.
    pub(super) fn hide(&self, problem: &mut Problem) {
        let long = |value: &&(String, String)| value.1.len() >= Filled::SHORTEST;
        for (name, value) in self.values.iter().filter(long) {
            for text in [Some(&mut problem.message), problem.help.as_mut()] {
                if let Some(text) = text.filter(|text| text.contains(value)) {
                    *text = text.replace(value, &format!("${{{name}}}"));
                }
            }
        }
    }
}

/// Replaces `${NAME}` and `${NAME:-default}` in every text, save in tests: their rows are data.
pub(super) fn fill_environment(root: &mut Node, env: Environment<'_>, origin: &Origin) -> Filled {
    let mut filled = Filled::default();
    if let Value::Table(table) = &mut root.value {
        for (key, node) in &mut table.0 {
            if key.name != "test" {
                fill_node(node, env, origin, &mut filled);
            }
        }
    }
    filled
}

fn fill_node(node: &mut Node, env: Environment<'_>, origin: &Origin, filled: &mut Filled) {
    match &mut node.value {
        Value::List(list) => {
            for inner in list {
                fill_node(inner, env, origin, filled);
            }
        }
        Value::Table(table) => {
            for (_, inner) in &mut table.0 {
                fill_node(inner, env, origin, filled);
            }
        }
        Value::Text(text) if text.contains("${") => {
            let mut asked = |name: &str| {
                let value = env(name)?;
                filled.values.push((name.to_owned(), value.clone()));
                Some(value)
            };
            let (full, wrong) = fill(text, &mut asked);
            for (message, help) in wrong {
                let problem = origin.problem(Some(node.place), message).help(help);
                filled.problems.push(problem);
            }
            node.written = Some(std::mem::replace(text, full.clone()));
            node.loose = Some(full);
        }
        _ => {}
    }
}

/// The text with its variables filled in, and what is wrong with them. `$${` stands for `${`.
fn fill(
    text: &str,
    env: &mut dyn FnMut(&str) -> Option<String>,
) -> (String, Vec<(String, String)>) {
    let mut filled = String::new();
    let mut wrong = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, behind) = (&rest[..at], &rest[at + 2..]);
        if let Some(literal) = before.strip_suffix('$') {
            filled.push_str(literal);
            filled.push_str("${");
            rest = behind;
            continue;
        }
        filled.push_str(before);
        let Some(end) = behind.find('}') else {
            wrong.push((
                "`${` is not closed".to_owned(),
                "write ${NAME} or ${NAME:-default}, and $${ for a plain ${".to_owned(),
            ));
            return (filled, wrong);
        };
        let inside = &behind[..end];
        rest = &behind[end + 1..];
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !is_variable(name) {
            wrong.push((
                format!("`{name}` is not the name of an environment variable"),
                "write ${NAME} or ${NAME:-default}, and $${ for a plain ${".to_owned(),
            ));
            continue;
        }
        match (env(name).filter(|value| !value.is_empty()), default) {
            (Some(value), _) => filled.push_str(&value),
            (None, Some(default)) => filled.push_str(default),
            (None, None) => wrong.push((
                format!("the environment variable `{name}` is not set"),
                format!("set it, or give a default: ${{{name}:-...}}"),
            )),
        }
    }
    filled.push_str(rest);
    (filled, wrong)
}

fn is_variable(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> (String, usize) {
        let mut env = |name: &str| (name == "A").then(|| "x".to_owned());
        let (filled, wrong) = fill(text, &mut env);
        (filled, wrong.len())
    }

    #[test]
    fn variables_are_filled_in_with_defaults_and_escapes() {
        assert_eq!(filled("${A}/b"), ("x/b".to_owned(), 0));
        assert_eq!(filled("${B:-y}${A:-z}"), ("yx".to_owned(), 0));
        assert_eq!(filled("${B:-}"), (String::new(), 0));
        assert_eq!(filled("a $${A} $5"), ("a ${A} $5".to_owned(), 0));
    }

    #[test]
    fn keys_in_quotes_may_hold_points_and_blanks() {
        let names = |path: &str| -> Vec<String> {
            segments(path, 1).into_iter().map(|key| key.name).collect()
        };
        assert_eq!(names("a.b . c"), ["a", "b", "c"]);
        assert_eq!(names("a.\"b. c\".d"), ["a", "b. c", "d"]);
        assert_eq!(names("a.'it\"s'"), ["a", "it\"s"]);
        assert_eq!(names("a.it's.\"open.b"), ["a", "it's", "\"open.b"]);
        assert_eq!(names("a."), ["a", ""]);
        let place = segments("a.\"b\".c", 1)[2].place;
        assert_eq!((place.start, place.end), (6, 7));
    }

    #[test]
    fn each_variable_that_is_wrong_is_told() {
        assert_eq!(filled("${B} ${1x} ${A").1, 3);
    }
}
