//! What is kept, for how long, and how much it is: an estimate in words, from the figures that the
//! operators state.

use std::collections::BTreeMap;

use tidegate_schemas::job::{
    Aggregate, EvaluateAt, Features, Job, Op, Output, OutputKind, Pattern, Sessions, Text, Trigger,
    Window,
};
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::Span;

use super::whole::{Whole, is_written};

/// Bytes of a key's slot, index entry and timer, beside its name.
const SLOT: u32 = 120;
/// Bytes of a lane without its records.
const LANE: u32 = 56;
/// Bytes of a category in a tally.
const CATEGORY: u32 = 24;

/// A line or more for each thing that is kept.
pub(super) fn section(job: &Job) -> String {
    let mut lines = Vec::new();
    let waits = match job.job.lateness {
        Span::ZERO => "the rows of the last batch of each source".to_owned(),
        lateness => format!("the rows of the last {lateness} (the lateness)"),
    };
    lines.push(format!(
        "rows before they are settled: {waits}, about 60 bytes each and 8 for each measure"
    ));
    for (name, source) in &job.sources {
        if let Some(dedupe) = &source.dedupe {
            let keep = dedupe.keep(job.job.lateness);
            lines.push(format!(
                "ids of {name}: 40 to 56 bytes for each row of the last {keep}"
            ));
        }
    }
    for name in job.all_tables().keys() {
        lines.push(format!(
            "table {name}: on every worker, the versions since the watermark and one before, of each key"
        ));
    }
    for entity in job.entities.keys() {
        lines.extend(of_entity(job, entity));
    }
    for (name, drift) in &job.drift {
        let longest = drift.window.iter().max().copied().unwrap_or(drift.every);
        let segments = if drift.by.is_some() {
            ", of each segment"
        } else {
            ""
        };
        lines.push(format!(
            "drift.{name}: 16 bytes for each category or bin in each {} of the last {} and in the reference{segments}; \
             for each distinct number until the reference is over",
            drift.every,
            Span(job.job.lateness.0.saturating_add(longest.0)),
        ));
    }
    for name in job.detectors.keys() {
        lines.push(format!(
            "detector.{name}: 150 to 400 bytes and its window for each stream, and 32 bytes for each row of the last {}",
            job.job.lateness
        ));
    }
    for name in job.retrain.keys() {
        lines.push(format!(
            "retrain.{name}: on one worker, 16 bytes for each minute with rows of the last {}, and the alerts that are open",
            job.job.lateness
        ));
    }
    for (name, journey) in &job.journeys {
        let order = journey.order;
        lines.push(format!(
            "journey.{name}: about 100 bytes for each pair of kinds, and for each series of up to {order} kinds that was seen"
        ));
        if journey.holdout.is_some() {
            lines.push(format!(
                "holdout.{name}: on one worker, 24 bytes for each journey that is over and 8 for each of its rows"
            ));
        }
    }
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

/// A line for each output that is written and shows ids as texts.
pub(super) fn texts_of_ids(whole: &Whole<'_>) -> String {
    let lateness = whole.job.job.lateness;
    let rows = |output: &Output| {
        let pattern = whole.job.patterns.get(&output.name);
        let pattern = pattern.filter(|_| output.kind == OutputKind::Pattern);
        let (what, lasting) = match pattern {
            Some(pattern) => ("row that may begin a match", pattern.within),
            None => ("anchor", Span::ZERO),
        };
        match lateness + lasting {
            Span::ZERO => format!("{what} of the last batches"),
            span => format!("{what} of the last {}", span + span),
        }
    };
    let is_text = |output: &Output| {
        let schema = whole.schema(output);
        schema.is_some_and(|schema| schema.columns.iter().any(|c| c.kind == Kind::IdText))
    };
    let shown = whole.job.outputs().into_iter();
    let shown = shown.filter(|output| is_written(whole.job, output) && is_text(output));
    let line = |output: Output| {
        format!(
            "  ids that {output} shows: about 50 bytes and the text for each {}\n",
            rows(&output)
        )
    };
    shown.map(line).collect()
}

fn of_entity(job: &Job, entity: &str) -> Vec<String> {
    let is_of = |name: &str| {
        job.entity_behind(name)
            .is_some_and(|(found, _)| found == entity)
    };
    let mut parts = Vec::new();
    let mut ends = Vec::new();
    for (name, features) in job.features.iter().filter(|(name, _)| is_of(name)) {
        parts.extend(of_features(name, features));
        ends.push(end_of_features(features));
    }
    for (name, sessions) in job.sessions.iter().filter(|(name, _)| is_of(name)) {
        parts.push(of_sessions(name, sessions));
        ends.push(Some(sessions.gap));
    }
    for (name, pattern) in &job.patterns {
        let behind = job.entity(pattern.entity.as_ref());
        if behind.is_some_and(|(found, _)| found == entity) {
            parts.push(of_pattern(name, pattern));
            ends.push(Some(pattern.within));
        }
    }
    for (name, trigger) in &job.triggers {
        if trigger.on.iter().any(|on| is_of(on.as_str())) {
            parts.push(of_trigger(name, trigger));
            ends.push(Some(trigger.cooldown));
        }
    }
    for (name, journey) in &job.journeys {
        let of = job.entity(journey.entity.as_ref());
        if of.is_some_and(|(found, _)| found == entity) {
            let kinds = match journey.holdout {
                Some(_) => "and 8 for each row of the open journey, for the hold-out",
                None => "with the last kinds of the open journey",
            };
            parts.push(format!("{name}: about 56 bytes, {kinds}"));
            ends.push(journey.gap);
        }
    }
    if parts.is_empty() {
        return Vec::new();
    }
    let end = match ends.iter().copied().collect::<Option<Vec<Span>>>() {
        None => "never forgotten: something is kept for the key's lifetime".to_owned(),
        Some(ends) => {
            let longest = ends.into_iter().max().unwrap_or(Span::ZERO);
            format!(
                "forgotten about {longest} after its last row, when nothing in a window or open is left"
            )
        }
    };
    let mut lines = vec![format!(
        "each {entity}: about {SLOT} bytes and its name; {end}"
    )];
    lines.extend(parts.into_iter().map(|part| format!("    {part}")));
    lines
}

/// What features keep of a key: the rows that pass one filter and have one measure are kept once.
fn of_features(name: &str, features: &Features) -> Vec<String> {
    let mut lanes: BTreeMap<Lane, Kept> = BTreeMap::new();
    for aggregate in &features.add {
        let mut filters = vec![aggregate.filter.as_ref()];
        if let Op::Ratio { per } = &aggregate.op {
            filters.push(Some(per));
        }
        for filter in filters {
            let lane = Lane {
                filter: filter.map(|sql| sql.written().trim().to_owned()),
                of: aggregate
                    .of
                    .as_ref()
                    .map(|sql| sql.written().trim().to_owned()),
                hop: aggregate.hop,
            };
            lanes.entry(lane).or_default().add(aggregate);
        }
    }
    let told = |(lane, kept): (&Lane, &Kept)| format!("{name}: {}", kept.told(lane));
    lanes.iter().map(told).collect()
}

/// The longest window; none when something is kept for the key's lifetime.
fn end_of_features(features: &Features) -> Option<Span> {
    let windows = features.add.iter().flat_map(|aggregate| &aggregate.windows);
    let mut longest = Span::ZERO;
    for window in windows {
        longest = longest.max(window.span()?);
    }
    let lasting = |a: &Aggregate| a.windows.is_empty();
    (!features.add.iter().any(lasting)).then_some(longest)
}

/// Rows that are kept once for all columns on them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lane {
    filter: Option<String>,
    of: Option<String>,
    hop: Option<Span>,
}

/// What a lane keeps.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// The longest window that looks at all of its rows.
    history: Option<Span>,
    /// How many of the newest rows are kept however old.
    newest: u32,
    values: bool,
    sums: bool,
    squares: bool,
    categories: bool,
    /// For the key's lifetime: numbers only, or one entry for each category.
    life: bool,
    life_categories: bool,
}

impl Kept {
    fn add(&mut self, aggregate: &Aggregate) {
        let tallied = matches!(
            aggregate.op,
            Op::CountDistinct
                | Op::DistinctK { .. }
                | Op::Histogram { .. }
                | Op::MaxCountBy
                | Op::Entropy
        );
        let spans = aggregate.windows.iter().filter_map(Window::span);
        let lifetime = aggregate.windows.contains(&Window::Lifetime);
        if lifetime || aggregate.windows.is_empty() {
            self.life = true;
            self.life_categories |= tallied;
        }
        let Some(longest) = spans.max() else { return };
        match aggregate.op {
            Op::Any | Op::Last | Op::TimeSinceLast => self.newest = self.newest.max(1),
            Op::LastK { k, .. } => self.newest = self.newest.max(k),
            _ => self.history = self.history.max(Some(longest)),
        }
        match aggregate.op {
            Op::Count | Op::Any | Op::Ratio { .. } | Op::TimeSinceLast | Op::LongestGap => {}
            Op::Sum | Op::Mean => self.sums = true,
            Op::Variance(_) | Op::Stddev(_) => {
                self.sums = true;
                self.squares = true;
            }
            _ => self.values = true,
        }
        self.categories |= tallied;
    }

    /// Bytes of one record: its time, its value, the totals before it.
    fn record(&self, lane: &Lane) -> u32 {
        let words = 1
            + u32::from(self.values)
            + u32::from(lane.hop.is_some())
            + 2 * u32::from(self.sums)
            + 3 * u32::from(self.squares);
        8 * words
    }

    fn told(&self, lane: &Lane) -> String {
        let rows = match (&lane.filter, &lane.of) {
            (None, None) => "row".to_owned(),
            (Some(filter), None) => format!("row where {filter}"),
            (None, Some(of)) => format!("row with {of}"),
            (Some(filter), Some(of)) => format!("row with {of} where {filter}"),
        };
        let record = self.record(lane);
        let mut parts = Vec::new();
        match (self.history, lane.hop) {
            (Some(span), Some(hop)) => {
                parts.push(format!(
                    "{record} bytes for each {hop} of the last {span} with a {rows}"
                ));
            }
            (Some(span), None) => {
                parts.push(format!("{record} bytes for each {rows} of the last {span}"));
            }
            (None, _) if self.newest == 1 => {
                parts.push(format!("{record} bytes for the newest {rows}"))
            }
            (None, _) if self.newest > 1 => {
                parts.push(format!(
                    "{record} bytes for each of the newest {} of: {rows}",
                    self.newest
                ));
            }
            (None, _) => {}
        }
        if self.categories || self.life_categories {
            let of = lane.of.as_deref().unwrap_or("value");
            parts.push(format!(
                "{CATEGORY} bytes for each different {of} among them"
            ));
        }
        if self.life && !self.life_categories {
            parts.push("a few words for its lifetime".to_owned());
        }
        format!("{LANE} bytes, {}", parts.join(", "))
    }
}

fn of_sessions(name: &str, sessions: &Sessions) -> String {
    let gap = sessions.gap;
    let mut text =
        format!("{name}: 64 bytes while a session is open (until {gap} after its last row)");
    for aggregate in &sessions.add {
        let column = aggregate.name.as_str();
        match &aggregate.op {
            Op::List { k } => text.push_str(&format!(", {} bytes at most for {column}", 8 * k)),
            Op::CountDistinct => {
                text.push_str(&format!(", 8 bytes for each different value of {column}"));
            }
            _ => {}
        }
    }
    text
}

fn of_pattern(name: &str, pattern: &Pattern) -> String {
    let of_column = |aggregate: &Aggregate| match aggregate.op {
        Op::Sum | Op::Mean => 3,
        _ => 1,
    };
    let columns: usize = pattern.add.iter().map(of_column).sum();
    format!(
        "{name}: 112 bytes while a match is under way (until {} after its first row), and about {} for each more of them, {} at most",
        pattern.within,
        40 + 8 * (pattern.present().count() + columns),
        pattern.most_open
    )
}

fn of_trigger(name: &str, trigger: &Trigger) -> String {
    let lasts = match (trigger.at, trigger.cooldown) {
        (EvaluateAt::Changes, Span::ZERO) => "an episode is open".to_owned(),
        (EvaluateAt::Changes, cooldown) => {
            format!("an episode is open or less than {cooldown} have passed since it fired")
        }
        (EvaluateAt::Anchors, cooldown) => {
            format!("less than {cooldown} have passed since it fired")
        }
    };
    let on: Vec<&str> = trigger.on.iter().map(Text::as_str).collect();
    format!(
        "{name}: about 80 bytes while {lasts}, beside what {} keep",
        on.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_schemas::job::load;

    fn of(add: &str) -> String {
        let text = format!(
            r#"
[job]
name = "t"
event_time = "ts"
[source.events]
format = "jsonl"
path = "x"
columns = {{ ts = "timestamp_ms", user = "text", n = "i64", kind = "text" }}
[entity.user]
key = "user"
[features.f]
from = "events"
add = [{add}]
"#
        );
        section(&load("t.toml", text.as_bytes(), &[], &|_| None).unwrap())
    }

    #[test]
    fn rows_are_kept_once_for_all_columns_on_them() {
        let text = of(
            r#"{ name = "a", op = "count", where = "n > 1", windows = ["1h", "7d"] },
               { name = "b", op = "sum", of = "n", windows = "2d" },
               { name = "c", op = "variance", of = "n", windows = "1d" },
               { name = "d", op = "last_k", k = 3, of = "kind", windows = "1h" },
               { name = "e", op = "count_distinct", of = "kind", windows = "1h", where = "n > 1" }"#,
        );
        for wanted in [
            "f: 56 bytes, 8 bytes for each row where n > 1 of the last 7d\n",
            "f: 56 bytes, 48 bytes for each row with n of the last 2d\n",
            "f: 56 bytes, 16 bytes for each of the newest 3 of: row with kind\n",
            "row with kind where n > 1 of the last 1h, 24 bytes for each different kind among them\n",
            "forgotten about 7d after its last row",
        ] {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
    }

    #[test]
    fn what_is_kept_for_a_lifetime_never_ends() {
        let text = of(r#"{ name = "a", op = "count", windows = ["1h", "lifetime"] }"#);
        assert!(text.contains("never forgotten"), "{text}");
        assert!(text.contains("a few words for its lifetime"), "{text}");
    }
}
