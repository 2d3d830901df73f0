//! An aggregate as it is written: which keys each op takes, needs and refuses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::aggregate::{Aggregate, Empty, Nulls, Op, OpName, Order, Spread, Window};
use super::one_or_many::OneOrMany;
use super::text::{Name, Sql, Text};
use crate::time::Span;

/// One aggregate: one output column for each of its windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AggregateKeys {
    /// The column's name. A window of a given length adds `_` and its length: contacts_24h.
    pub(super) name: Name,
    /// What is computed.
    pub(super) op: OpName,
    /// The measured value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<Sql>,
    /// Which rows count. For op ratio: which rows count above the line. Default: all rows.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    filter: Option<Sql>,
    /// For op ratio: which rows count below the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    per: Option<Sql>,
    /// In patterns: the step whose rows count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<Text>,
    /// How far back to look: durations, or lifetime, or both. Not in sessions and patterns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    windows: Option<OneOrMany<Window>>,
    /// For very long windows: let rows leave in steps of this length, so that less is kept. The window's far end is then rounded down to a whole multiple of it. Default: rows leave one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hop: Option<Span>,
    /// For the ops that give lists: how many values at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65536))]
    k: Option<u32>,
    /// For first_k, last_k, distinct_k: in which order the values come out. Default: oldest_first for first_k, newest_first for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<Order>,
    /// For variance and stddev: which one. Default: population.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<Spread>,
    /// For decayed_sum: after how long a value counts half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    half_life: Option<Span>,
    /// Decimals kept of a float measure; sums are exact in them. Default: 6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 12))]
    scale: Option<u8>,
    /// For the ops of features that show values: what a row whose `of` is null does. Default: skip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nulls: Option<Nulls>,
    /// What comes out when no row counts. Default: zero for counts, any and lists, null for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    empty: Option<Empty>,
}

/// Where an aggregate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    Features,
    Sessions,
    Patterns,
    /// Not known: only what holds everywhere is asked for.
    Anywhere,
}

/// What is wrong with a key of an aggregate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyProblem {
    /// The key that is wrong; `None` when one is missing.
    pub(super) key: Option<&'static str>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// Whether an op takes a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Must,
    May,
    No,
}

impl OpName {
    fn takes_of(self) -> Takes {
        use OpName as O;
        match self {
            O::Count => Takes::May,
            O::Ratio | O::TimeSinceLast | O::LongestGap | O::Any => Takes::No,
            _ => Takes::Must,
        }
    }

    fn takes_where(self) -> Takes {
        match self {
            OpName::Ratio | OpName::Any => Takes::Must,
            _ => Takes::May,
        }
    }

    fn takes_k(self) -> Takes {
        use OpName as O;
        match self {
            O::FirstK | O::LastK | O::DistinctK | O::Histogram | O::List => Takes::Must,
            _ => Takes::No,
        }
    }

    fn takes_windows(self, setting: Setting) -> Takes {
        match (setting, self) {
            (Setting::Sessions | Setting::Patterns, _) | (_, OpName::DecayedSum) => Takes::No,
            (Setting::Anywhere, _) => Takes::May,
            (Setting::Features, _) => Takes::Must,
        }
    }

    fn takes_order(self) -> bool {
        matches!(self, OpName::FirstK | OpName::LastK | OpName::DistinctK)
    }

    fn takes_kind(self) -> bool {
        matches!(self, OpName::Variance | OpName::Stddev)
    }

    fn takes_scale(self) -> bool {
        use OpName as O;
        matches!(
            self,
            O::Sum | O::Mean | O::Min | O::Max | O::Variance | O::Stddev | O::DecayedSum
        )
    }

    fn takes_nulls(self, setting: Setting) -> bool {
        use OpName as O;
        let takes = matches!(
            self,
            O::First
                | O::Last
                | O::FirstK
                | O::LastK
                | O::List
                | O::CountDistinct
                | O::DistinctK
                | O::Histogram
                | O::MaxCountBy
                | O::Entropy
        );
        takes && !matches!(setting, Setting::Sessions | Setting::Patterns)
    }

    fn takes_step(setting: Setting) -> Takes {
        match setting {
            Setting::Patterns => Takes::Must,
            Setting::Anywhere => Takes::May,
            Setting::Features | Setting::Sessions => Takes::No,
        }
    }

    fn is_for_sessions(self) -> bool {
        use OpName as O;
        self.is_for_patterns() || matches!(self, O::CountDistinct | O::List)
    }

    fn is_for_patterns(self) -> bool {
        use OpName as O;
        let plain = matches!(self, O::Count | O::Any | O::Sum | O::Mean | O::Min | O::Max);
        plain || matches!(self, O::First | O::Last)
    }

    /// Whether the empty value may be zero: not for moments and not for values of any type.
    fn may_be_zero(self) -> bool {
        use OpName as O;
        !matches!(self, O::First | O::Last | O::TimeSinceLast | O::LongestGap)
    }

    fn default_empty(self) -> Empty {
        use OpName as O;
        match self {
            O::Count | O::CountDistinct | O::MaxCountBy | O::Any => Empty::Zero,
            O::FirstK | O::LastK | O::DistinctK | O::Histogram | O::List => Empty::Zero,
            _ => Empty::Null,
        }
    }
}

impl AggregateKeys {
    /// Everything that is wrong with the keys taken together.
    pub(super) fn problems(&self, setting: Setting) -> Vec<KeyProblem> {
        let op = self.op;
        let mut found = Vec::new();
        let only = |yes| if yes { Takes::May } else { Takes::No };
        let ratio = op == OpName::Ratio;
        let decayed = op == OpName::DecayedSum;
        let must = |yes| if yes { Takes::Must } else { Takes::No };
        let hop = op.takes_windows(setting) != Takes::No;
        for (key, given, takes) in [
            ("of", self.of.is_some(), op.takes_of()),
            ("where", self.filter.is_some(), op.takes_where()),
            ("per", self.per.is_some(), must(ratio)),
            ("k", self.k.is_some(), op.takes_k()),
            ("step", self.step.is_some(), OpName::takes_step(setting)),
            ("windows", self.windows.is_some(), op.takes_windows(setting)),
            ("hop", self.hop.is_some(), only(hop)),
            ("order", self.order.is_some(), only(op.takes_order())),
            ("kind", self.kind.is_some(), only(op.takes_kind())),
            ("half_life", self.half_life.is_some(), must(decayed)),
            ("scale", self.scale.is_some(), only(op.takes_scale())),
            ("nulls", self.nulls.is_some(), only(op.takes_nulls(setting))),
        ] {
            match takes {
                Takes::No if given => found.push(refused(key, op, setting)),
                Takes::Must if !given => found.push(missing(key, op)),
                _ => {}
            }
        }
        self.setting_problem(setting, &mut found);
        self.value_problems(&mut found);
        found
    }

    fn setting_problem(&self, setting: Setting, found: &mut Vec<KeyProblem>) {
        let (message, help) = match (setting, self.op) {
            (Setting::Sessions, op) if !op.is_for_sessions() => (
                format!("op `{op}` is for features"),
                "sessions have count, any, sum, mean, min, max, first, last, count_distinct, list",
            ),
            (Setting::Patterns, op) if !op.is_for_patterns() => (
                format!("op `{op}` is not for patterns"),
                "patterns have count, any, sum, mean, min, max, first, last",
            ),
            (Setting::Features, OpName::List) => (
                "op `list` is for sessions".to_owned(),
                "use first_k or last_k",
            ),
            _ => return,
        };
        found.push(KeyProblem {
            key: Some("op"),
            message,
            help: Some(help.to_owned()),
        });
    }

    fn value_problems(&self, found: &mut Vec<KeyProblem>) {
        let mut wrong = |key, message: String, help: &str| {
            found.push(KeyProblem {
                key: Some(key),
                message,
                help: Some(help.to_owned()),
            });
        };
        if self.empty == Some(Empty::Zero) && !self.op.may_be_zero() {
            let message = format!("an empty `{}` cannot be zero", self.op);
            wrong("empty", message, "leave `empty` out: it is null");
        }
        if self.half_life.is_some_and(|span| span <= Span::ZERO) {
            let message = "`half_life` must be longer than nothing".to_owned();
            wrong("half_life", message, "write it like 24h or 7d");
        }
        let windows = self.windows.iter().flat_map(|windows| windows.iter());
        let spans: Vec<_> = windows.map(Window::span).collect();
        if (1..spans.len()).any(|i| spans[..i].contains(&spans[i])) {
            let message = "two windows have the same length".to_owned();
            wrong("windows", message, "leave one of them out");
        }
        if let Some(hop) = self.hop {
            if hop <= Span::ZERO {
                let message = "`hop` must be longer than nothing".to_owned();
                wrong(
                    "hop",
                    message,
                    "leave `hop` out to let rows leave one by one",
                );
            } else if let Some(shortest) = spans.iter().flatten().min()
                && *shortest <= hop
            {
                let message = format!("`hop` must be shorter than the shortest window, {shortest}");
                wrong(
                    "hop",
                    message,
                    "give the shorter windows an aggregate of their own",
                );
            }
        }
    }
}

fn refused(key: &'static str, op: OpName, setting: Setting) -> KeyProblem {
    let windowed = key == "windows" || key == "hop";
    let (message, help) = match (key, op) {
        _ if windowed && setting == Setting::Sessions => (
            format!("`{key}` has no meaning in sessions"),
            Some("leave it out: the session is the window"),
        ),
        _ if windowed && setting == Setting::Patterns => (
            format!("`{key}` has no meaning in patterns"),
            Some("leave it out: the rows are those of the step"),
        ),
        ("step", _) => (
            "`step` is for patterns".to_owned(),
            Some("leave it out, or use `where` to say which rows count"),
        ),
        ("windows", _) => (
            format!("op `{op}` takes no `windows`"),
            Some("leave it out: `half_life` says how fast rows are forgotten"),
        ),
        ("of", _) => (
            format!("op `{op}` takes no `of`"),
            Some("leave it out, or use `where` to say which rows count"),
        ),
        _ => (format!("op `{op}` takes no `{key}`"), Some("leave it out")),
    };
    KeyProblem {
        key: Some(key),
        message,
        help: help.map(str::to_owned),
    }
}

fn missing(key: &'static str, op: OpName) -> KeyProblem {
    let help = match key {
        "of" => "the value to measure, in SQL: of = \"handle_secs\"",
        "where" => "which rows count, in SQL: where = \"kind = 'contact_opened'\"",
        "per" => "which rows count below the line, in SQL: per = \"kind = 'contact_opened'\"",
        "step" => "the step whose rows count: step = \"errors\"",
        "k" => "how many values to give: k = 5",
        "half_life" => "after how long a value counts half: half_life = \"7d\"",
        _ => "how far back to look: windows = [\"24h\", \"7d\"], or windows = \"lifetime\"",
    };
    KeyProblem {
        key: None,
        message: format!("op `{op}` needs `{key}`"),
        help: Some(help.to_owned()),
    }
}

impl TryFrom<AggregateKeys> for Aggregate {
    type Error = String;

    fn try_from(keys: AggregateKeys) -> Result<Aggregate, String> {
        if let Some(problem) = keys.problems(Setting::Anywhere).into_iter().next() {
            return Err(problem.message);
        }
        let name = keys.op;
        let k = keys.k.unwrap_or(1);
        let spread = keys.kind.unwrap_or_default();
        let order = |default| keys.order.unwrap_or(default);
        let op = match name {
            OpName::Count => Op::Count,
            OpName::Sum => Op::Sum,
            OpName::Mean => Op::Mean,
            OpName::Min => Op::Min,
            OpName::Max => Op::Max,
            OpName::Variance => Op::Variance(spread),
            OpName::Stddev => Op::Stddev(spread),
            OpName::First => Op::First,
            OpName::Last => Op::Last,
            OpName::FirstK => Op::FirstK {
                k,
                order: order(Order::OldestFirst),
            },
            OpName::LastK => Op::LastK {
                k,
                order: order(Order::NewestFirst),
            },
            OpName::CountDistinct => Op::CountDistinct,
            OpName::DistinctK => Op::DistinctK {
                k,
                order: order(Order::NewestFirst),
            },
            OpName::Histogram => Op::Histogram { k },
            OpName::MaxCountBy => Op::MaxCountBy,
            OpName::Ratio => Op::Ratio {
                per: keys.per.unwrap_or_default(),
            },
            OpName::TimeSinceLast => Op::TimeSinceLast,
            OpName::LongestGap => Op::LongestGap,
            OpName::Entropy => Op::Entropy,
            OpName::DecayedSum => Op::DecayedSum {
                half_life: keys.half_life.unwrap_or_default(),
            },
            OpName::Any => Op::Any,
            OpName::List => Op::List { k },
        };
        Ok(Aggregate {
            name: keys.name,
            op,
            of: keys.of,
            filter: keys.filter,
            step: keys.step,
            windows: keys.windows.unwrap_or_default().0,
            hop: keys.hop,
            scale: keys.scale,
            nulls: keys.nulls.unwrap_or_default(),
            empty: keys.empty.unwrap_or(name.default_empty()),
        })
    }
}

impl From<Aggregate> for AggregateKeys {
    fn from(aggregate: Aggregate) -> AggregateKeys {
        let op = aggregate.op.name();
        let (mut per, mut k, mut order, mut kind, mut half_life) = (None, None, None, None, None);
        match aggregate.op {
            Op::Variance(spread) | Op::Stddev(spread) => kind = Some(spread),
            Op::FirstK { k: n, order: o }
            | Op::LastK { k: n, order: o }
            | Op::DistinctK { k: n, order: o } => (k, order) = (Some(n), Some(o)),
            Op::Histogram { k: n } | Op::List { k: n } => k = Some(n),
            Op::Ratio { per: below } => per = Some(below),
            Op::DecayedSum { half_life: span } => half_life = Some(span),
            _ => {}
        }
        AggregateKeys {
            name: aggregate.name,
            op,
            of: aggregate.of,
            filter: aggregate.filter,
            step: aggregate.step,
            per,
            windows: (!aggregate.windows.is_empty()).then_some(OneOrMany(aggregate.windows)),
            hop: aggregate.hop,
            k,
            order,
            kind,
            half_life,
            scale: aggregate.scale,
            nulls: (aggregate.nulls == Nulls::Keep).then_some(aggregate.nulls),
            empty: Some(aggregate.empty),
        }
    }
}
