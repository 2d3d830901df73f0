//! The job file as a tree of values that know their places.

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
    swallow_cascades(&mut found, &reading.lists);
    found.dedup_by_key(|(place, _)| origin.line(*place));
    let problem = |(place, message): (Place, String)| syntax_problem(origin, place, &message);
    let root = Node::new(Value::Table(root), Place::default());
    (root, found.into_iter().map(problem).collect())
}

/// An unclosed list swallows what follows, and the parser then stumbles over each line of it: only the
/// first complaint and that it was not closed are worth telling.
fn swallow_cascades(found: &mut Vec<(Place, String)>, lists: &[Place]) {
    let unclosed: Vec<Place> = found
        .iter()
        .filter(|(_, message)| message.starts_with("unclosed array"))
        .filter_map(|(at, _)| {
            let around = |list: &&Place| list.start <= at.start && at.start <= list.end;
            lists.iter().filter(around).min_by_key(|list| list.start)
        })
        .copied()
        .collect();
    for list in unclosed {
        let inside = |place: &Place| list.start <= place.start && place.start <= list.end;
        let mut first = true;
        found.retain(|(place, _)| !inside(place) || std::mem::take(&mut first));
        found.push((
            Place {
                end: list.start + 1,
                ..list
            },
            "unclosed list, expected `]`".to_owned(),
        ));
    }
    found.sort();
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
    lists: Vec<Place>,
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
            DeValue::Array(list) => {
                self.lists.push(place);
                Value::List(self.list(list))
            }
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
