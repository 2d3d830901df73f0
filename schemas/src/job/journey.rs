//! Which kind of row follows which: `[journey.*]`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use super::one_or_many::OneOrMany;
use super::text::{Sql, Text};
use crate::time::Span;

/// `[journey.NAME]`: which kind of row follows which, for each entity and over all of them.
///
/// Three outputs, and none of them has a key. `transitions.NAME`: one row for each pair of kinds: `from` (or `start`), `to` (or
/// `end`), `count`, `share` of all that come from there, `mean_seconds` between. `accuracy.NAME`: one row for each `order`: how often
/// the next kind was predicted from all steps before it, and how well the predictions were calibrated. `holdout.NAME`: one
/// row for each `k`: how well later journeys are predicted by the first ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Journey {
    /// The source, or sources, of the rows.
    pub from: OneOrMany<Text>,
    /// The entity. May be left out when the job has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<Text>,
    /// The kind of a row; one where it is null is no step.
    pub kind: Sql,
    /// A silence of so long, or longer, ends a journey. Default: only the end of the input does, and no entity is ever forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Span>,
    /// The most kinds that predictions look back at. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 16))]
    pub order: u32,
    /// An evaluation at the end of the input: the first journeys are counted, the others predicted. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holdout: Option<JourneyHoldout>,
}

fn one() -> u32 {
    1
}

/// `holdout = { train = "2/3" }`: which journeys are counted, in the order of the least ids of their rows (of arrival, where a source has no `dedupe`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JourneyHoldout {
    /// How many of all journeys are counted, rounded down; the others are predicted.
    pub train: Fraction,
}

/// A part of a whole, such as `2/3`: more than nothing, and less than all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fraction {
    /// So many
    pub part: u32,
    /// of so many.
    pub of: u32,
}

impl FromStr for Fraction {
    type Err = String;

    fn from_str(text: &str) -> Result<Fraction, String> {
        let parts = text.split_once('/').and_then(|(part, of)| {
            let (part, of) = (part.trim().parse().ok()?, of.trim().parse().ok()?);
            (0 < part && part < of).then_some(Fraction { part, of })
        });
        parts.ok_or_else(|| {
            format!("`{text}` is no part of a whole; write it like 2/3, between 0 and 1")
        })
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

impl Serialize for Fraction {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Fraction, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl JsonSchema for Fraction {
    fn schema_name() -> Cow<'static, str> {
        "Fraction".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A part of a whole, such as 2/3."
        })
    }
}
