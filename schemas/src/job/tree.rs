//! The job file as a tree of values that know their places.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::problems::{Origin, Problem};
use super::text::Place;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
    /// A text as it was written, when the environment was filled in; it is what may be shown.
    pub(super) written: Option<String>,
    /// The value as plain text, when it did not come from the file's own TOML (an override, the
    /// environment), so that its type is not meant strictly: `--set job.name=7` is a text.
    pub(super) loose: Option<String>,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// A date or time, as it was written.
    Time(String),
    List(Vec<Node>),
    Table(Table),
}

/// Keys and values in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Table(pub(super) Vec<(Key, Node)>);

/// A key and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) place: Place,
}

impl Table {
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|(key, _)| key.name == name)
    }

    pub(super) fn entry(&self, name: &str) -> Option<&(Key, Node)> {
        self.position(name).map(|at| &self.0[at])
    }

    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        self.entry(name).map(|(_, node)| node)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.iter().map(|(key, _)| key.name.as_str())
    }
}

impl Node {
    pub(super) fn new(value: Value, place: Place) -> Node {
        Node {
            value,
            place,
            written: None,
            loose: None,
        }
    }

    pub(super) fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The path of every text below, counted from 0 in lists, by its place.
    pub(super) fn paths(&self) -> BTreeMap<Place, String> {
        let mut paths = BTreeMap::new();
        let mut waiting = vec![(String::new(), self)];
        while let Some((path, node)) = waiting.pop() {
            match &node.value {
                Value::Table(table) => waiting.extend(table.0.iter().map(|(key, node)| {
                    let dot = if path.is_empty() { "" } else { "." };
                    (format!("{path}{dot}{}", key.name), node)
                })),
                Value::List(list) => {
                    let items = list.iter().enumerate();
                    waiting.extend(items.map(|(n, node)| (format!("{path}[{n}]"), node)));
                }
                Value::Text(_) => {
                    paths.insert(node.place, path);
                }
                _ => {}
            }
        }
        paths
    }

    /// A text as it may be shown: without what came from the environment.
    pub(super) fn shown(&self) -> Option<&str> {
        self.written.as_deref().or(self.text())
    }

    /// Whether a part of it came from the environment.
    pub(super) fn is_filled(&self) -> bool {
        self.written.is_some()
            || match &self.value {
                Value::List(list) => list.iter().any(Node::is_filled),
                Value::Table(table) => table.0.iter().any(|(_, node)| node.is_filled()),
                _ => false,
            }
    }

    /// What the value is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Bool(_) => "true or false",
            Value::Int(_) => "a whole number",
            Value::Float(_) => "a float",
            Value::Text(_) => "a text",
            Value::Time(_) => "a date or time",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

/// Reads a TOML document as far as it can be read. The problems are those of the syntax.
pub(super) fn parse(origin: &Origin, text: &str) -> (Node, Vec<Problem>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reading = Reading::default();
    let root = reading.table(table.get_ref());
    let mut found: Vec<(Place, String)> = errors
        .iter()
        .map(|error| {
            let span = error.span().unwrap_or_default();
            (place(&span, 0), error.message().to_owned())
        })
        .collect();
    found.extend(reading.problems);
    found.sort();
    swallow_cascade(&mut found, text);
    found.dedup_by_key(|(place, _)| origin.line(*place));
    let problem = |(place, message): (Place, String)| syntax_problem(origin, place, &message);
    let root = Node::new(Value::Table(root), Place::default());
    (root, found.into_iter().map(problem).collect())
}

/// The message of [`swallow_cascade`].
pub(super) const UNCLOSED: &str = "this bracket is not closed, or a comma is missing in it";

/// A bracket that is not closed swallows the sections behind it, and the parser then stumbles over each of
/// their lines: only the bracket is worth telling.
fn swallow_cascade(found: &mut Vec<(Place, String)>, text: &str) {
    let of_brackets = |message: &str| {
        let begins = [
            "missing comma",
            "missing key for inline",
            "unclosed array",
            "unclosed inline",
            "unexpected `=`",
        ];
        begins.iter().any(|begin| message.starts_with(begin))
    };
    let swallows = found.iter().any(|(place, message)| {
        let rest = text.get(place.start as usize..).unwrap_or_default();
        of_brackets(message) && (rest.starts_with('[') || rest.trim_start().is_empty())
    });
    if let (true, Some(at)) = (swallows, unclosed_bracket(text)) {
        let bracket = place(&(at..at + 1), 0);
        found.retain(|(place, _)| place.start < bracket.start);
        found.push((bracket, UNCLOSED.to_owned()));
    }
}

/// The first bracket that another kind of bracket or the end of the text closes.
fn unclosed_bracket(text: &str) -> Option<usize> {
    let mut open: Vec<(usize, u8)> = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.as_bytes().get(at..).filter(|rest| !rest.is_empty()) {
        match rest[0] {
            b'#' => {
                at += rest
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .unwrap_or(rest.len())
            }
            b'"' | b'\'' => at += string_length(rest),
            bracket @ (b'[' | b'{') => {
                open.push((at, bracket));
                at += 1;
            }
            bracket @ (b']' | b'}') => {
                match open.pop() {
                    Some((_, opened)) if opened + 2 == bracket => {}
                    other => return other.map(|(at, _)| at),
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    open.first().map(|(at, _)| *at)
}

/// How many bytes a string takes that begins `rest`; up to the end of the line when it is not closed.
fn string_length(rest: &[u8]) -> usize {
    let quote = rest[0];
    let long = rest.starts_with(&[quote; 3]);
    let mut at = if long { 3 } else { 1 };
    while let Some(byte) = rest.get(at) {
        match byte {
            b'\\' if quote == b'"' => at += 2,
            b'\n' if !long => return at,
            byte if *byte == quote && !long => return at + 1,
            byte if *byte == quote && rest[at..].starts_with(&[quote; 3]) => return at + 3,
            _ => at += 1,
        }
    }
    rest.len()
}

fn syntax_problem(origin: &Origin, place: Place, message: &str) -> Problem {
    let help = if message.starts_with("string values must be quoted") {
        Some("put it in quotes")
    } else if message.contains("basic string, expected `\"`") {
        Some("close the quotes on the same line, or use \"\"\" for a text of several lines")
    } else if message == "duplicate key" {
        Some("a name may be given once; leave one of them out")
    } else {
        None
    };
    let problem = origin.problem(Some(place), message);
    problem.maybe_help(help.map(str::to_owned))
}

/// A value written behind `--set key=`, in TOML or as a bare text.
pub(super) fn parse_override(text: &str, document: u32, offset: usize) -> Node {
    let mut reading = Reading {
        document,
        offset,
        ..Reading::default()
    };
    let here = place(&(offset..offset + text.len()), document);
    let mut node = match DeValue::parse(text) {
        Ok(value) => reading.node(&value),
        Err(_) => Node::new(Value::Text(text.to_owned()), here),
    };
    if !reading.problems.is_empty() {
        node = Node::new(Value::Text(text.to_owned()), here);
    }
    node.loose = Some(text.to_owned());
    node
}

fn place(span: &std::ops::Range<usize>, document: u32) -> Place {
    let short = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Place {
        document,
        start: short(span.start),
        end: short(span.end),
    }
}

/// Turns the parser's values into nodes and notes what cannot be one.
#[derive(Default)]
struct Reading {
    document: u32,
    offset: usize,
    problems: Vec<(Place, String)>,
}

impl Reading {
    fn place<T>(&self, value: &Spanned<T>) -> Place {
        let span = value.span();
        place(
            &(span.start + self.offset..span.end + self.offset),
            self.document,
        )
    }

    fn table(&mut self, table: &DeTable<'_>) -> Table {
        let mut entries: Vec<(Key, Node)> = table
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref().to_string();
                let place = self.place(key);
                (Key { name, place }, self.node(value))
            })
            .collect();
        entries.sort_by_key(|(key, _)| key.place);
        Table(entries)
    }

    fn list(&mut self, list: &DeArray<'_>) -> Vec<Node> {
        list.iter().map(|value| self.node(value)).collect()
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>) -> Node {
        let place = self.place(value);
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => Value::Int(number),
                    Err(_) => self.out_of_range(place, Value::Int(0)),
                }
            }
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(number) => Value::Float(number),
                Err(_) => self.out_of_range(place, Value::Float(0.0)),
            },
            DeValue::Boolean(yes) => Value::Bool(*yes),
            DeValue::Datetime(time) => Value::Time(time.to_string()),
            DeValue::Array(list) => Value::List(self.list(list)),
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Node::new(value, place)
    }

    fn out_of_range(&mut self, place: Place, instead: Value) -> Value {
        let message = "this number is out of range: whole numbers have 64 bits".to_owned();
        self.problems.push((place, message));
        instead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bracket_that_is_not_closed_is_found_among_strings_and_comments() {
        assert_eq!(unclosed_bracket("[a]\nb = [1, 2]"), None);
        assert_eq!(unclosed_bracket("b = [1, 2\n[c]\nd = {}"), Some(4));
        assert_eq!(unclosed_bracket("b = { c = [1 }\n"), Some(10));
        assert_eq!(
            unclosed_bracket("b = ['[', \"{\\\"[\"] # [\nc = \"\"\"\n[\"\"\""),
            None
        );
        assert_eq!(unclosed_bracket("b = \"[\nc = ["), Some(11));
        assert_eq!(unclosed_bracket("]"), None);
    }

    #[test]
    fn overrides_are_toml_or_else_plain_texts() {
        let value = |text: &str| parse_override(text, 1, 0).value;
        assert_eq!(value("true"), Value::Bool(true));
        assert_eq!(value("7"), Value::Int(7));
        assert_eq!(value("\"7\""), Value::Text("7".to_owned()));
        assert_eq!(value("30m"), Value::Text("30m".to_owned()));
        assert_eq!(value("a/*.csv"), Value::Text("a/*.csv".to_owned()));
        assert_eq!(value(""), Value::Text(String::new()));
        assert!(matches!(value("[1, 2]"), Value::List(_)));
        assert!(matches!(value("99999999999999999999"), Value::Text(_)));
    }
}
