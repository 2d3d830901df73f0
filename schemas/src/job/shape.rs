//! The shape of the job file, as the JSON Schema of its structs describes it.
//!
//! The structs are the only description of the format: their derived schema is what editors get, what
//! files are checked against, and serde reads what passed. serde alone stops at the first error.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::Value as Json;

use super::Job;
use super::aggregate::Window;
use super::drift::Until;
use super::journey::Fraction;
use super::sink::Output;
use super::source::ColumnType;
use super::text::Name;
use crate::time::Span;

/// The JSON Schema of the job file, for editors.
#[must_use]
pub fn json_schema() -> Json {
    let settings = SchemaSettings::draft2020_12().with_transform(NoNull);
    let mut schema = settings.into_generator().into_root_schema_for::<Job>();
    schema.insert("title".to_owned(), "Tidegate job".into());
    schema.to_value()
}

/// TOML has no null: a key that may be null is simply one that may be left out.
#[derive(Clone)]
struct NoNull;

impl Transform for NoNull {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(Json::Array(types)) = schema.get_mut("type") {
            types.retain(|kind| kind != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                schema.insert("type".to_owned(), only);
            }
        }
        if let Some(Json::Array(choices)) = schema.get_mut("anyOf") {
            choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
            if let [Json::Object(only)] = choices.as_slice() {
                let only = only.clone();
                schema.remove("anyOf");
                for (key, value) in only {
                    let object = schema.ensure_object();
                    object.entry(key).or_insert(value);
                }
            }
        }
        transform_subschemas(self, schema);
    }
}

/// What a value may be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// Anything.
    Any,
    Bool,
    /// A whole number in a range.
    Int(i64, i64),
    /// A number in a range.
    Float(f64, f64),
    /// A text, perhaps with a form of its own.
    Text(Form),
    /// One of some words.
    Words(Vec<String>),
    /// A list of at least so many.
    List(Box<Shape>, usize),
    /// A table of given keys.
    Record(BTreeMap<String, Field>),
    /// A table of any keys.
    Map(Box<Shape>),
    /// One of several.
    Choice(Vec<Shape>),
    /// A shape by its name.
    Ref(String),
}

/// A key of a record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub(super) shape: Shape,
    pub(super) required: bool,
    /// What it is for.
    pub(super) description: String,
}

/// The form of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Sql,
    Name,
    Duration,
    Window,
    Until,
    ColumnType,
    OutputName,
    Fraction,
}

impl Form {
    /// The forms by the names of their schemas.
    const ALL: [(&'static str, Form); 8] = [
        ("Sql", Form::Sql),
        ("Name", Form::Name),
        ("Duration", Form::Duration),
        ("Window", Form::Window),
        ("TimeOrDuration", Form::Until),
        ("ColumnType", Form::ColumnType),
        ("OutputName", Form::OutputName),
        ("Fraction", Form::Fraction),
    ];

    /// What it is, in words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Form::Plain => "a text",
            Form::Sql => "an SQL expression as a text",
            Form::Name => "a name",
            Form::Duration => "a duration such as \"30m\" or \"7d\"",
            Form::Window => "a window such as \"24h\", \"7d\" or \"lifetime\"",
            Form::Until => "a duration such as \"7d\" or a time such as \"2026-01-31T00:00:00Z\"",
            Form::ColumnType => "a column type such as \"text\" or \"timestamp_ms\"",
            Form::OutputName => "an output such as \"features.contact\"",
            Form::Fraction => "a part of a whole such as \"2/3\"",
        }
    }

    /// Whether `text` has the form; if not, why.
    pub(super) fn check(self, text: &str) -> Result<(), String> {
        match self {
            Form::Plain => Ok(()),
            Form::Sql if text.trim().is_empty() => Err("the SQL expression is empty".to_owned()),
            Form::Sql => Ok(()),
            Form::Name => text.parse::<Name>().map(drop),
            Form::Duration => exact(text).and_then(|()| text.parse::<Span>().map(drop)),
            Form::Window if text == "lifetime" => Ok(()),
            Form::Window => exact(text).and_then(|()| text.parse::<Window>().map(drop)),
            Form::Until => exact(text).and_then(|()| text.parse::<Until>().map(drop)),
            Form::ColumnType => text.parse::<ColumnType>().map(drop),
            Form::OutputName => text.parse::<Output>().map(drop),
            Form::Fraction => text.parse::<Fraction>().map(drop),
        }
    }
}

/// Months and years have no exact length, and `M` is easily taken for minutes.
fn exact(text: &str) -> Result<(), String> {
    let days = |unit: &&str| match *unit {
        "M" => Some(0),
        "mo" | "mon" | "mos" | "month" | "months" => Some(30),
        "q" | "quarter" | "quarters" => Some(90),
        "y" | "yr" | "yrs" | "year" | "years" => Some(365),
        _ => None,
    };
    let mut units = text.split(|c: char| !c.is_ascii_alphabetic());
    let Some((unit, days)) = units.find_map(|unit| Some((unit, days(&unit)?))) else {
        return Ok(());
    };
    let count = text.trim().strip_suffix(unit).map(str::trim);
    let instead = match count.and_then(|count| count.parse::<u64>().ok()) {
        Some(count @ 1..1000) if days > 0 => format!("write `{}d`", count * days),
        _ => "use d (days) or w (weeks), and m for minutes".to_owned(),
    };
    Err(format!(
        "`{unit}` in `{text}` has no exact length; {instead}"
    ))
}

/// The shape of the whole file and the shapes it names.
pub(super) struct Shapes {
    pub(super) root: Shape,
    named: BTreeMap<String, Shape>,
}

impl Shapes {
    /// Those of the job file.
    pub(super) fn job() -> &'static Shapes {
        static SHAPES: LazyLock<Shapes> = LazyLock::new(|| Shapes::new(&json_schema()));
        &SHAPES
    }

    fn new(schema: &Json) -> Shapes {
        let none = serde_json::Map::new();
        let named = schema
            .get("$defs")
            .and_then(Json::as_object)
            .unwrap_or(&none);
        Shapes {
            root: shape(schema),
            named: named
                .iter()
                .map(|(name, schema)| (name.clone(), named_shape(name, schema)))
                .collect(),
        }
    }

    /// The shape itself, when it is given by name.
    pub(super) fn resolve<'a>(&'a self, shape: &'a Shape) -> &'a Shape {
        match shape {
            Shape::Ref(name) => self.named.get(name).unwrap_or(&Shape::Any),
            other => other,
        }
    }
}

fn named_shape(name: &str, schema: &Json) -> Shape {
    match Form::ALL.iter().find(|(known, _)| *known == name) {
        Some((_, form)) => Shape::Text(*form),
        None => shape(schema),
    }
}

fn shape(schema: &Json) -> Shape {
    if let Some(name) = schema.get("$ref").and_then(Json::as_str) {
        return Shape::Ref(name.trim_start_matches("#/$defs/").to_owned());
    }
    if let Some(choices) = schema.get("oneOf").and_then(Json::as_array) {
        let words = choices
            .iter()
            .filter_map(|choice| choice.get("const")?.as_str());
        return Shape::Words(words.map(str::to_owned).collect());
    }
    if let Some(choices) = schema.get("anyOf").and_then(Json::as_array) {
        return Shape::Choice(choices.iter().map(shape).collect());
    }
    let number = |key: &str| schema.get(key).and_then(Json::as_f64);
    match schema.get("type").and_then(Json::as_str) {
        Some("boolean") => Shape::Bool,
        Some("integer") => {
            let whole = |key: &str| schema.get(key).and_then(Json::as_i64);
            let widest = match schema.get("format").and_then(Json::as_str) {
                Some("uint8") => (0, i64::from(u8::MAX)),
                Some("uint32") => (0, i64::from(u32::MAX)),
                _ => (i64::MIN, i64::MAX),
            };
            Shape::Int(
                whole("minimum").unwrap_or(widest.0),
                whole("maximum").unwrap_or(widest.1),
            )
        }
        Some("number") => Shape::Float(
            number("minimum").unwrap_or(f64::NEG_INFINITY),
            number("maximum").unwrap_or(f64::INFINITY),
        ),
        Some("string") => Shape::Text(Form::Plain),
        Some("array") => {
            let least = schema.get("minItems").and_then(Json::as_u64).unwrap_or(0);
            let item = schema.get("items").map_or(Shape::Any, shape);
            Shape::List(Box::new(item), usize::try_from(least).unwrap_or(0))
        }
        Some("object") => object(schema),
        _ => Shape::Any,
    }
}

fn object(schema: &Json) -> Shape {
    match schema.get("additionalProperties") {
        Some(values @ Json::Object(_)) => return Shape::Map(Box::new(shape(values))),
        None | Some(Json::Bool(true)) => return Shape::Map(Box::new(Shape::Any)),
        Some(_) => {}
    }
    let none = serde_json::Map::new();
    let required: Vec<_> = match schema.get("required").and_then(Json::as_array) {
        Some(names) => names.iter().filter_map(Json::as_str).collect(),
        None => Vec::new(),
    };
    let properties = schema.get("properties").and_then(Json::as_object);
    let field = |(name, schema): (&String, &Json)| {
        let description = schema.get("description").and_then(Json::as_str);
        let field = Field {
            shape: shape(schema),
            required: required.contains(&name.as_str()),
            description: description.unwrap_or_default().to_owned(),
        };
        (name.clone(), field)
    };
    Shape::Record(properties.unwrap_or(&none).iter().map(field).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every keyword that the schema uses is one that [`shape`] understands or that only informs.
    #[test]
    fn the_schema_says_nothing_that_the_check_does_not_know() {
        fn keywords(schema: &Json, names: bool, found: &mut Vec<String>) {
            match schema {
                Json::Object(object) => {
                    for (key, value) in object {
                        if !names {
                            found.push(key.clone());
                        }
                        keywords(
                            value,
                            !names && (key == "properties" || key == "$defs"),
                            found,
                        );
                    }
                }
                Json::Array(list) => list.iter().for_each(|inner| keywords(inner, false, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        keywords(&json_schema(), false, &mut found);
        let known = [
            "$schema",
            "title",
            "description",
            "default",
            "$defs",
            "$ref",
            "type",
            "properties",
            "additionalProperties",
            "required",
            "items",
            "minItems",
            "anyOf",
            "oneOf",
            "const",
            "format",
            "minimum",
            "maximum",
            "pattern",
            "minLength",
        ];
        found.retain(|keyword| !known.contains(&keyword.as_str()));
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn no_key_may_be_null() {
        assert!(!json_schema().to_string().contains("\"null\"]"));
        assert!(!json_schema().to_string().contains("{\"type\":\"null\"}"));
    }

    #[test]
    fn every_key_says_what_it_is_for() {
        for (name, shape) in &Shapes::job().named {
            if let Shape::Record(fields) = shape {
                for (key, field) in fields {
                    assert!(!field.description.is_empty(), "{name}.{key}");
                }
            }
        }
    }

    #[test]
    fn vague_units_are_refused() {
        assert!(Form::Duration.check("1M").is_err());
        let told = |text| Form::Window.check(text).unwrap_err();
        assert!(told("1y").ends_with("no exact length; write `365d`"));
        assert!(told("3 mo").ends_with("no exact length; write `90d`"));
        assert!(told("1y 3d").contains("use d (days)"));
        assert!(Form::Duration.check("1h 30m").is_ok());
        assert!(Form::Window.check("0s").is_err());
    }
}
