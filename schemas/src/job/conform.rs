//! Checks the tree of a job file against its shape, and leaves in it only what can be read.

use std::collections::BTreeMap;

use super::check::Declared;
use super::problems::{Origin, Problem};
use super::shape::{Field, Form, Shape, Shapes};
use super::suggest;
use super::text::{Name, Place};
use super::tree::{Key, Node, Table, Value};

/// Tells every key and value of `root` that does not fit, and takes out the smallest thing around it
/// that the rest can do without: an entry of a list of tables (an aggregate, a test) or a whole section.
pub(super) fn conform(
    root: &mut Node,
    shapes: &Shapes,
    origin: &Origin,
    whole: Whole,
) -> Vec<Problem> {
    let mut check = Check {
        outputs: Declared::of(root).outputs().collect(),
        shapes,
        whole,
        origin,
        path: Vec::new(),
        problems: Vec::new(),
    };
    check.sections(root);
    check.problems
}

/// Whether the tree holds the whole file. If it could not be read whole, nothing in it is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Yes,
    No,
}

/// The check on its way through the tree.
struct Check<'a> {
    /// The names of all outputs of the job.
    outputs: Vec<String>,
    shapes: &'a Shapes,
    whole: Whole,
    origin: &'a Origin,
    path: Vec<String>,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn sections(&mut self, root: &mut Node) {
        let (Value::Table(table), Shape::Record(fields)) = (&mut root.value, &self.shapes.root)
        else {
            return;
        };
        for (name, field) in fields {
            if self.is_missing(field, table, name) {
                let message = format!("the section [{name}] is missing");
                self.tell(Place::default(), message, Some(field.description.clone()));
            }
        }
        table
            .0
            .retain_mut(|(key, node)| match fields.get(&key.name) {
                Some(field) => {
                    self.path.push(key.name.clone());
                    let good = self.section(node, &field.shape);
                    self.path.pop();
                    good
                }
                None => {
                    let message = format!("unknown section `{}`", key.name);
                    let known = fields.keys().map(String::as_str);
                    let help = suggest::help(&key.name, "the sections are", known);
                    self.tell(key.place, message, help);
                    false
                }
            });
    }

    fn is_missing(&self, field: &Field, table: &Table, name: &str) -> bool {
        self.whole == Whole::Yes && field.required && table.get(name).is_none()
    }

    /// A section: its named entries stand for themselves.
    fn section(&mut self, node: &mut Node, shape: &Shape) -> bool {
        let (Shape::Map(entry), Value::Table(table)) = (shape, &mut node.value) else {
            return self.node(node, shape);
        };
        table.0.retain_mut(|(key, node)| {
            if let Err(message) = Form::Name.check(&key.name) {
                self.tell(key.place, message, None);
                return false;
            }
            self.inside(key.name.clone(), |check| check.node(node, entry))
        });
        true
    }

    /// Whether a value fits, after telling everything in it that does not.
    fn node(&mut self, node: &mut Node, shape: &Shape) -> bool {
        let shapes = self.shapes;
        let shape = shapes.resolve(shape);
        loosen(node, shape, shapes);
        match (shape, &mut node.value) {
            (Shape::Any, _) | (Shape::Bool, Value::Bool(_)) => true,
            (Shape::Int(least, most), Value::Int(number)) => {
                let fits = (*least..=*most).contains(number);
                fits || self.out_of_range(node, shape)
            }
            (Shape::Float(least, most), Value::Int(_) | Value::Float(_)) => {
                let number = match &node.value {
                    Value::Int(number) => *number as f64,
                    Value::Float(number) => *number,
                    _ => f64::NAN,
                };
                let fits = number.is_finite() && (*least..=*most).contains(&number);
                fits || self.out_of_range(node, shape)
            }
            (Shape::Text(Form::Plain | Form::Until), Value::Time(time)) => {
                node.value = Value::Text(std::mem::take(time));
                self.node(node, shape)
            }
            (Shape::Text(form), Value::Text(_)) => self.text(node, *form),
            (Shape::Words(words), Value::Text(_)) => self.word(node, words),
            (Shape::List(item, least), Value::List(list)) => {
                let at_least = list.len() >= *least;
                let good = self.list(list, item);
                if !at_least {
                    let message = format!("{} needs at least {least}", self.here());
                    self.tell(node.place, message, None);
                }
                good && at_least
            }
            (Shape::Record(fields), Value::Table(_)) => self.record(node, fields),
            (Shape::Map(entry), Value::Table(table)) => {
                let mut good = true;
                for (key, node) in &mut table.0 {
                    good &= self.inside(key.name.clone(), |check| check.node(node, entry));
                }
                good
            }
            (Shape::Choice(choices), _) => {
                match choices.iter().find(|choice| fits(choice, node, shapes)) {
                    Some(choice) => self.node(node, choice),
                    None => self.wrong_kind(node, shape),
                }
            }
            _ => self.wrong_kind(node, shape),
        }
    }

    /// Runs `step` one key or entry deeper.
    fn inside(&mut self, segment: String, step: impl FnOnce(&mut Self) -> bool) -> bool {
        self.path.push(segment);
        let good = step(self);
        self.path.pop();
        good
    }

    fn record(&mut self, node: &mut Node, fields: &BTreeMap<String, Field>) -> bool {
        let place = node.place;
        let Value::Table(table) = &mut node.value else {
            return false;
        };
        let mut good = true;
        for (key, node) in &mut table.0 {
            match fields.get(&key.name) {
                Some(field) => {
                    good &= self.inside(key.name.clone(), |check| check.node(node, &field.shape));
                }
                None => {
                    good = false;
                    self.unknown_key(key, fields);
                }
            }
        }
        for (name, field) in fields {
            if self.is_missing(field, table, name) {
                good = false;
                let message = format!("{} needs the key `{name}`", self.here());
                self.tell(
                    place,
                    message,
                    Some(format!("`{name}`: {}", field.description)),
                );
            }
        }
        good
    }

    fn unknown_key(&mut self, key: &Key, fields: &BTreeMap<String, Field>) {
        let message = format!("unknown key `{}` in {}", key.name, self.here());
        let known = fields.keys().map(String::as_str);
        let help = suggest::help(&key.name, "the keys are", known);
        self.tell(key.place, message, help);
    }

    /// Entries of a list. Tables that do not fit are taken out, so that the others can be looked at.
    fn list(&mut self, list: &mut Vec<Node>, item: &Shape) -> bool {
        let of_tables = matches!(self.shapes.resolve(item), Shape::Record(_));
        let mut good = true;
        let mut number = 0;
        list.retain_mut(|node| {
            let name = node.table().and_then(|table| table.get("name")?.shown());
            // Tests have sentences for names; they are told by their number.
            let short = name.filter(|name| Name::is_valid(name));
            let segment = short.map_or_else(|| number.to_string(), str::to_owned);
            number += 1;
            let fits = self.inside(segment, |check| check.node(node, item));
            good &= fits;
            fits || !of_tables
        });
        good || of_tables
    }

    fn text(&mut self, node: &Node, form: Form) -> bool {
        let Some(Err(message)) = node.text().map(|text| form.check(text)) else {
            return true;
        };
        // What came from the environment may be a secret: it is not repeated.
        let message = match &node.written {
            Some(written) => format!("`{written}`, filled in, is not {}", form.words()),
            None => message,
        };
        let help = match (form, node.text(), &node.written) {
            (Form::ColumnType, Some(text), None) => {
                let base = text.trim_end_matches('?');
                suggest::help(
                    base,
                    "the types are",
                    super::source::ColumnType::names().collect::<Vec<_>>(),
                )
            }
            (Form::OutputName, Some(text), None) => {
                let named =
                    |output: &&String| output.split_once('.').is_some_and(|(_, name)| name == text);
                let kind = text.split('.').next().unwrap_or_default();
                let words = super::sink::OutputKind::ALL.map(|(word, _)| word);
                let of_kind =
                    |output: &&String| output.split_once('.').is_some_and(|(word, _)| word == text);
                let found = self.outputs.iter().find(named);
                match found.or_else(|| self.outputs.iter().find(of_kind)) {
                    Some(output) => Some(format!("did you mean `{output}`?")),
                    None if words.contains(&text) => Some(format!("write {text}.NAME")),
                    None => suggest::help(kind, "the kinds are", words),
                }
            }
            _ => None,
        };
        self.tell(node.place, message, help);
        false
    }

    fn word(&mut self, node: &Node, words: &[String]) -> bool {
        let text = node.text().unwrap_or_default();
        if words.iter().any(|word| word == text) {
            return true;
        }
        let shown = node.shown().unwrap_or_default();
        let message = format!("{} cannot be `{shown}`", self.here());
        let known = words.iter().map(String::as_str);
        let help = match &node.written {
            Some(_) => Some(one_of(words)),
            None => suggest::help(text, "it can be", known),
        };
        self.tell(node.place, message, help);
        false
    }

    fn out_of_range(&mut self, node: &Node, shape: &Shape) -> bool {
        let message = format!("{} must be {}", self.here(), self.words(shape));
        self.tell(node.place, message, None);
        false
    }

    fn wrong_kind(&mut self, node: &Node, shape: &Shape) -> bool {
        let (here, words) = (self.here(), self.words(shape));
        let message = format!("{here} must be {words}, not {}", node.kind());
        let help = match (self.path.as_slice(), shape, &node.value) {
            ([section], Shape::List(..), Value::Table(_)) => Some(format!("write [[{section}]]")),
            ([section, name], Shape::Record(_), Value::List(_)) => Some(format!(
                "write [{section}.{name}], once and in single brackets"
            )),
            ([section, _], Shape::Record(_), _) => Some(format!(
                "give it a name: [{section}.NAME], and its keys below"
            )),
            (
                _,
                Shape::Text(_),
                Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Time(_),
            ) => Some("put it in quotes".to_owned()),
            ([.., expect, kind], Shape::Map(_), Value::List(_)) if expect == "expect" => {
                Some(format!("say of which output: expect.{kind}.NAME = [...]"))
            }
            _ => None,
        };
        self.tell(node.place, message, help);
        false
    }

    /// The path to here, as `--set` would say it.
    fn here(&self) -> String {
        format!("`{}`", self.path.join("."))
    }

    fn tell(&mut self, place: Place, message: String, help: Option<String>) {
        let problem = self.origin.problem(Some(place), message).maybe_help(help);
        self.problems.push(problem);
    }

    /// A shape in words.
    fn words(&self, shape: &Shape) -> String {
        match self.shapes.resolve(shape) {
            Shape::Any | Shape::Ref(_) => "a value".to_owned(),
            Shape::Bool => "true or false".to_owned(),
            Shape::Int(i64::MIN, i64::MAX) => "a whole number".to_owned(),
            Shape::Int(least, most) => format!("a whole number from {least} to {most}"),
            Shape::Float(least, most) => match (least.is_finite(), most.is_finite()) {
                (true, true) => format!("a number from {least} to {most}"),
                (true, false) => format!("a number, at least {least}"),
                (false, true) => format!("a number, at most {most}"),
                (false, false) => "a number".to_owned(),
            },
            Shape::Text(form) => form.words().to_owned(),
            Shape::Words(words) => one_of(words),
            Shape::List(item, _) => match self.shapes.resolve(item) {
                Shape::Record(_) => "a list of tables".to_owned(),
                _ => "a list".to_owned(),
            },
            Shape::Record(_) | Shape::Map(_) => "a table".to_owned(),
            Shape::Choice(choices) => {
                let all: Vec<_> = choices.iter().map(|choice| self.words(choice)).collect();
                all.join(", or ")
            }
        }
    }
}

fn one_of(words: &[String]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    format!("one of {}", quoted.join(", "))
}

/// Whether a value is of the kind that a shape wants.
fn fits(shape: &Shape, node: &Node, shapes: &Shapes) -> bool {
    match (shapes.resolve(shape), &node.value) {
        (Shape::Any, _)
        | (Shape::Bool, Value::Bool(_))
        | (Shape::Int(..), Value::Int(_))
        | (Shape::Float(..), Value::Int(_) | Value::Float(_))
        | (Shape::Text(_) | Shape::Words(_), Value::Text(_))
        | (Shape::Text(Form::Plain | Form::Until), Value::Time(_))
        | (Shape::List(..), Value::List(_))
        | (Shape::Record(_) | Shape::Map(_), Value::Table(_)) => true,
        (Shape::Choice(choices), _) => choices.iter().any(|choice| fits(choice, node, shapes)),
        _ => false,
    }
}

/// Gives a value from an override or the environment the type that is wanted, if its text has one.
fn loosen(node: &mut Node, shape: &Shape, shapes: &Shapes) {
    let Some(text) = node.loose.as_deref() else {
        return;
    };
    if fits(shape, node, shapes) || matches!(node.value, Value::List(_) | Value::Table(_)) {
        return;
    }
    let wants_text = match shape {
        Shape::Choice(choices) => choices
            .iter()
            .any(|choice| matches!(shapes.resolve(choice), Shape::Text(_))),
        other => matches!(other, Shape::Text(_) | Shape::Words(_)),
    };
    let value = match shape {
        Shape::Bool => text.parse().ok().map(Value::Bool),
        Shape::Int(..) => text.parse().ok().map(Value::Int),
        Shape::Float(..) => text.parse().ok().map(Value::Float),
        _ if wants_text => Some(Value::Text(text.to_owned())),
        _ => None,
    };
    if let Some(value) = value {
        node.value = value;
    }
}
