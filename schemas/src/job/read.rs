//! Turns nodes into the structs of the job file, by serde.

use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::one_or_many::ONE_OR_MANY;
use super::source::KEY_OR_ALL;
use super::text::{Place, TEXT};
use super::tree::{Key, Node, Value};

/// Reads one value from a node.
pub(super) fn read<'de, T: serde::Deserialize<'de>>(node: &'de Node) -> Result<T, Error> {
    T::deserialize(node)
}

/// Gives a [`super::text::Text`] everything it remembers.
fn give_text<'de, V: Visitor<'de>>(
    visitor: V,
    value: &str,
    written: Option<&str>,
    place: Place,
) -> Result<V::Value, Error> {
    let mut fields = vec![
        ("value", Field::Text(value)),
        ("document", Field::Number(place.document)),
        ("start", Field::Number(place.start)),
        ("end", Field::Number(place.end)),
    ];
    if let Some(written) = written {
        fields.push(("written", Field::Text(written)));
    }
    visitor.visit_map(MapDeserializer::new(fields.into_iter()))
}

/// A field of a text.
enum Field<'a> {
    Text(&'a str),
    Number(u32),
}

impl<'de> IntoDeserializer<'de, Error> for Field<'_> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Field<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Field::Text(text) => visitor.visit_str(text),
            Field::Number(number) => visitor.visit_u32(number),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Bool(yes) => visitor.visit_bool(*yes),
            Value::Int(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Text(text) | Value::Time(text) => visitor.visit_str(text),
            Value::List(list) => visitor.visit_seq(SeqDeserializer::new(list.iter())),
            Value::Table(table) => {
                let entries = table.0.iter().map(|(key, node)| (key, node));
                visitor.visit_map(MapDeserializer::new(entries))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.value {
            Value::Text(text) => text
                .as_str()
                .into_deserializer()
                .deserialize_enum(name, variants, visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match (name, &self.value) {
            (TEXT, Value::Text(text)) => {
                give_text(visitor, text, self.written.as_deref(), self.place)
            }
            (TEXT, _) => self.deserialize_any(visitor),
            (ONE_OR_MANY, Value::List(_)) => self.deserialize_any(visitor),
            (ONE_OR_MANY, _) => visitor.visit_seq(SeqDeserializer::new(std::iter::once(self))),
            (KEY_OR_ALL, Value::Table(_)) => self.deserialize_any(visitor),
            (KEY_OR_ALL, _) => {
                visitor.visit_map(MapDeserializer::new(std::iter::once(("key", self))))
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for &'de Node {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for &'de Key {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(&self.name)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == TEXT {
            give_text(visitor, &self.name, None, self.place)
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for &'de Key {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}
