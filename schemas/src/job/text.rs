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

    /// Another text in the same place: what follows from this one, and how that is shown.
    #[must_use]
    pub fn followed_by(&self, value: String, written: String) -> Text {
        Text {
            value,
            written: Some(written),
            place: self.place,
        }
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

impl Sql {
    /// The expression, and the name behind `as` if it has one: `a + b as c`.
    #[must_use]
    pub fn split_alias(&self) -> (&str, Option<&str>) {
        let whole = self.as_str().trim();
        let (before, name) = match whole.strip_suffix('"') {
            Some(open) => match open.rfind('"') {
                Some(at) => (&whole[..at], &open[at + 1..]),
                None => return (whole, None),
            },
            None => match whole.rfind(char::is_whitespace) {
                Some(at) => (&whole[..at], whole[at..].trim()),
                None => return (whole, None),
            },
        };
        let quoted = whole.ends_with('"');
        let expression = before.trim_end();
        let as_at = expression.len().saturating_sub(2);
        let has_as = expression
            .get(as_at..)
            .is_some_and(|word| word.eq_ignore_ascii_case("as"))
            && expression[..as_at].ends_with(char::is_whitespace);
        if has_as && !name.is_empty() && (quoted || Name::is_valid(name)) {
            (expression[..as_at].trim_end(), Some(name))
        } else {
            (whole, None)
        }
    }

    /// The name of the column that it gives: the one behind `as`; for a plain column its name, with `_` for
    /// the dot of a qualified one; otherwise the whole text.
    #[must_use]
    pub fn column_name(&self) -> String {
        let (expression, alias) = self.split_alias();
        if let Some(alias) = alias {
            return alias.to_owned();
        }
        let unquoted = |part: &str| -> Option<String> {
            let bare = part
                .strip_prefix('"')
                .and_then(|part| part.strip_suffix('"'));
            match bare {
                Some(bare) if !bare.contains('"') => Some(bare.to_owned()),
                _ => Name::is_valid(part).then(|| part.to_owned()),
            }
        };
        let parts: Option<Vec<_>> = expression.split('.').map(unquoted).collect();
        parts.map_or_else(|| expression.to_owned(), |parts| parts.join("_"))
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_split_off_only_where_it_is_one() {
        let split = |text: &str| {
            let sql = Sql::from(text);
            let (expression, alias) = sql.split_alias();
            (expression.to_owned(), alias.map(str::to_owned))
        };
        let named = |expression: &str, name: &str| (expression.to_owned(), Some(name.to_owned()));
        let plain = |expression: &str| (expression.to_owned(), None);
        assert_eq!(split("a + b as c"), named("a + b", "c"));
        assert_eq!(split(" a  AS\tc "), named("a", "c"));
        assert_eq!(split("a as \"The C\""), named("a", "The C"));
        for text in [
            "a",
            "cast(a as int)",
            "a || ' as b'",
            "\"a as b\"",
            "as b",
            "as",
            "\"",
            "é as",
            "alias b",
        ] {
            assert_eq!(split(text), plain(text), "{text}");
        }
    }

    #[test]
    fn columns_are_named_by_alias_column_or_text() {
        let name = |text: &str| Sql::from(text).column_name();
        assert_eq!(name("contacts_24h"), "contacts_24h");
        assert_eq!(name("limits.contacts_24h"), "limits_contacts_24h");
        assert_eq!(name("\"Case ID\""), "Case ID");
        assert_eq!(name("a + 1"), "a + 1");
        assert_eq!(name("a + 1 as b"), "b");
    }

    #[test]
    fn a_text_shows_what_was_written() {
        let text = Text {
            value: "s3cret".to_owned(),
            written: Some("${TOKEN}".to_owned()),
            place: None,
        };
        assert_eq!(format!("{text:?}"), "\"${TOKEN}\"");
        assert_eq!(
            serde_json::to_string(&text).ok().as_deref(),
            Some("\"${TOKEN}\"")
        );
        assert_eq!(text.as_str(), "s3cret");
    }

    #[test]
    fn a_text_can_be_read_from_other_formats() {
        assert_eq!(serde_json::from_str::<Text>("\"a\"").ok(), Some("a".into()));
        assert!(serde_json::from_str::<Name>("7").is_err());
    }
}
