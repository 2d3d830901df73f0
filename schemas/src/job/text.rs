//! Texts of a job file that remember where they stand and how they were written.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};

/// Where a text stands: which of the [`Origin`](super::Origin)'s documents, and which bytes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// 0 is the job file, `n` the n-th override.
    pub document: u32,
    /// The first byte.
    pub start: u32,
    /// Behind the last byte.
    pub end: u32,
}

/// The name by which [`Text`] asks the job file's own reader for place and writing.
pub(super) const TEXT: &str = "$tidegate::Text";

/// A text value of a job file.
///
/// `as_str` is the value with the environment filled in. What is shown (`Debug`, serialised) is the
/// text as it was *written*, so that a secret that came in through `${NAME}` never shows up in an
/// error, a log line or a plan. That is also why there is no `Display`.
#[derive(Clone, Default)]
pub struct Text {
    value: String,
    written: Option<String>,
    place: Option<Place>,
}

impl Text {
    /// The value, with the environment filled in.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.value
    }

    /// The text as it was written, safe to show.
    #[must_use]
    pub fn written(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.value)
    }

    /// Whether a part of the value came from the environment.
    #[must_use]
    pub fn is_from_environment(&self) -> bool {
        self.written.is_some()
    }

    /// Where it stands; `None` for a job built in Rust.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.place
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.written(), f)
    }
}

/// Two texts are equal when their values are, wherever they stand.
impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.value == other.value
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.value == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.value == *other
    }
}

impl From<&str> for Text {
    fn from(value: &str) -> Text {
        value.to_owned().into()
    }
}

impl From<String> for Text {
    fn from(value: String) -> Text {
        Text {
            value,
            written: None,
            place: None,
        }
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.value
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.written())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Text, D::Error> {
        from.deserialize_newtype_struct(TEXT, TextVisitor)
    }
}

/// Takes a plain string from any format, and value, writing and place from the job file's reader.
struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Text, E> {
        Ok(value.into())
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<Text, D::Error> {
        String::deserialize(from).map(Text::from)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
        let mut text = Text::default();
        let mut place = Place::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "value" => text.value = map.next_value()?,
                "written" => text.written = map.next_value()?,
                "document" => place.document = map.next_value()?,
                "start" => place.start = map.next_value()?,
                "end" => place.end = map.next_value()?,
                _ => return Err(de::Error::custom("a string was expected, not a table")),
            }
        }
        text.place = Some(place);
        Ok(text)
    }
}

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// Declares a text with a meaning of its own.
macro_rules! text_with_meaning {
    ($(#[$doc:meta])* $name:ident, $schema_name:literal, $($schema:tt)+) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Text);

        impl std::ops::Deref for $name {
            type Target = Text;
            fn deref(&self) -> &Text {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<&str> for $name {
            fn from(value: &str) -> $name {
                $name(value.into())
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $schema_name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", $($schema)+ })
            }
        }
    };
}

text_with_meaning!(
    /// A row-level SQL expression.
    Sql,
    "Sql",
    "minLength": 1,
    "description": "A row-level SQL expression."
);

text_with_meaning!(
    /// A name that the job gives to something: letters, digits and `_`, not beginning with a digit.
    Name,
    "Name",
    "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
    "description": "A name: letters, digits and _, not beginning with a digit."
);

impl Name {
    /// Whether `text` can be a name.
    #[must_use]
    pub fn is_valid(text: &str) -> bool {
        let mut chars = text.chars();
        chars
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Name, String> {
        if Name::is_valid(text) {
            Ok(text.into())
        } else {
            Err(format!(
                "`{text}` is not a name; use letters, digits and _, not beginning with a digit"
            ))
        }
    }
}
