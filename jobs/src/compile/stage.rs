//! One stage per entity: which filters and measures its facts carry, and what is made of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use tidegate_operators::features::Features;
use tidegate_schemas::fact::Seen;
use tidegate_schemas::job::{OutputKind, Place, Sql, Text};
use tidegate_schemas::rows::{Kind, OutputSchema};
use tidegate_schemas::time::TimeUnit;

use super::ids::{lasting, named};
use super::presence::ask_for_presence;
use super::source::unit_of;
use super::{Compiler, Feed, JourneysPlan, Need, SinkPlan, StagePlan};
use crate::normalise::{FactsPlan, Filter, IdPlan, IdTag, Word, WordKind};

/// A filter of an entity: true for the rows of these sources that satisfy the expression.
#[derive(Clone, Debug, PartialEq)]
struct FilterKey {
    from: Vec<String>,
    sql: Option<Sql>,
}

/// A measure of an entity.
#[derive(Clone, Debug, PartialEq)]
struct WordKey {
    from: Vec<String>,
    text: String,
    sql: Sql,
    kind: WordKind,
}

/// An entity being compiled.
pub(super) struct StageBuilder {
    /// The sources that feed it.
    pub(super) sources: Vec<String>,
    filters: Vec<FilterKey>,
    words: Vec<WordKey>,
    /// By word: the bit that says whether there is a value, if somebody asks for it.
    present: Vec<(usize, u8)>,
    /// The names of the journeys that the plan has.
    pub(super) journeys: Vec<String>,
    pub(super) plan: StagePlan,
}

impl StageBuilder {
    /// Adds an output and answers its index.
    pub(super) fn output(&mut self, schema: OutputSchema) -> usize {
        self.plan.outputs.push(schema);
        self.plan.outputs.len() - 1
    }
}

/// Which rows anybody sees: those that enter a feature, an anchor, a session, a journey or a step of a pattern. A
/// trigger at changes looks at every instant with facts, and drift, models and detectors look at every row.
fn seen(plan: &StagePlan) -> Option<Seen> {
    if !(plan.drift.is_empty() && plan.retrain.is_empty() && plan.detectors.is_empty()) {
        return None;
    }
    let mut all = Seen::default();
    for features in &plan.features {
        let seen = Features::new(features, Arc::default()).ok()?.seen()?;
        all.bits |= seen.bits;
        all.words.extend(seen.words);
    }
    let journeys = plan.journeys.specs.iter();
    all.words.extend(journeys.map(|journey| journey.kind));
    let triggers = plan.triggers.iter().map(|trigger| trigger.anchor);
    let sessions = plan.sessions.iter().map(|sessions| sessions.filter);
    for bit in triggers.chain(sessions) {
        all.bits |= 1 << bit?;
    }
    for pattern in &plan.patterns {
        all.bits |= pattern.seen()?;
    }
    Some(all)
}

impl Compiler<'_> {
    /// Compiles all that is kept of an entity, or of nobody in particular.
    pub(super) fn stage(&mut self, entity: Option<&str>) {
        let mut stage = StageBuilder {
            sources: self.sources_of(entity),
            filters: Vec::new(),
            words: Vec::new(),
            present: Vec::new(),
            journeys: Vec::new(),
            plan: StagePlan {
                name: entity.unwrap_or_default().to_owned(),
                dedupe: None,
                features: Vec::new(),
                sessions: Vec::new(),
                patterns: Vec::new(),
                triggers: Vec::new(),
                tables: Vec::new(),
                journeys: JourneysPlan::default(),
                drift: Vec::new(),
                detectors: Vec::new(),
                retrain: Vec::new(),
                outputs: Vec::new(),
                logic_outputs: 0,
            },
        };
        let sinks = self.plan.sinks.len();
        if let Some(entity) = entity {
            self.entity(&mut stage, entity);
            self.journeys_of(&mut stage, entity);
        }
        stage.plan.logic_outputs = stage.plan.outputs.len();
        self.drift_of(&mut stage, entity);
        self.retrain_of(&mut stage, entity);
        self.detectors_of(&mut stage, entity);
        self.counted_journeys(&mut stage);
        if self.plan.sinks.len() == sinks {
            return;
        }
        stage.present = ask_for_presence(&mut stage.plan.features, stage.filters.len());
        self.dedupe(&mut stage);
        self.feed(&stage, entity);
        self.plan.stages.push(stage.plan);
    }

    /// The sources that feed an entity: those of its features, sessions, patterns and journeys; those of drift, models and detectors that no
    /// entity reads feed nobody in particular.
    fn sources_of(&self, entity: Option<&str>) -> Vec<String> {
        let job = self.job;
        let is = |name: &str| job.entity_behind(name).map(|(entity, _)| entity) == entity;
        let features = job.features.iter().filter(|(name, _)| is(name));
        let sessions = job.sessions.iter().filter(|(name, _)| is(name));
        let mut all: BTreeSet<String> = BTreeSet::new();
        if entity.is_some() {
            all.extend(
                features
                    .flat_map(|(_, f)| f.from.iter())
                    .map(|s| s.as_str().to_owned()),
            );
            all.extend(
                sessions
                    .flat_map(|(_, s)| s.from.iter())
                    .map(|s| s.as_str().to_owned()),
            );
            let of = |named: &Option<Text>| {
                let behind = job.entity(named.as_ref());
                behind.map(|(entity, _)| entity) == entity
            };
            let patterns = job.patterns.values().filter(|p| of(&p.entity));
            let patterns = patterns.flat_map(|pattern| pattern.from.iter());
            let journeys = job.journeys.values().filter(|j| of(&j.entity));
            let journeys = journeys.flat_map(|journey| journey.from.iter());
            all.extend(patterns.chain(journeys).map(|s| s.as_str().to_owned()));
        } else {
            let drift = job.drift.values().map(|drift| drift.from.as_str());
            let detectors = job
                .detectors
                .values()
                .map(|detector| detector.from.as_str());
            let models = job.retrain.values();
            let models = models.filter_map(|retrain| Some(retrain.source(job)?.as_str()));
            all.extend(
                drift
                    .chain(detectors)
                    .chain(models)
                    .filter(|source| self.home_of(source).is_none())
                    .map(str::to_owned),
            );
        }
        all.into_iter().collect()
    }

    /// The entity whose facts a drift of this source counts: the first that reads it.
    pub(super) fn home_of(&self, source: &str) -> Option<&str> {
        let mut entities = self.job.entities.keys();
        entities
            .find(|entity| {
                self.sources_of(Some(entity))
                    .iter()
                    .any(|fed| fed == source)
            })
            .map(String::as_str)
    }

    /// How the rows of the stage are deduplicated: all its sources must agree.
    fn dedupe(&mut self, stage: &mut StageBuilder) {
        let mut found = None;
        for name in &stage.sources {
            let Some(source) = self.job.sources.get(name) else {
                continue;
            };
            let lateness = self.job.job.lateness;
            let settings = source
                .dedupe
                .as_ref()
                .map(|d| (d.keep(lateness), d.on_conflict));
            if let Some(settings) = settings {
                if found.is_some_and(|other| other != settings) {
                    let message = "sources of one entity must deduplicate with the same `keep` and `on_conflict`";
                    let place = source.dedupe.as_ref().and_then(|d| d.key.first()?.place());
                    self.problem(place, message);
                }
                found = Some(settings);
            }
        }
        stage.plan.dedupe = found;
    }

    /// Tells each source what its facts are made of.
    fn feed(&mut self, stage: &StageBuilder, entity: Option<&str>) {
        let index = self.plan.stages.len();
        let key = entity
            .and_then(|entity| self.job.entities.get(entity))
            .map(|e| e.key.clone());
        for (number, name) in stage.sources.clone().iter().enumerate() {
            let Some(source) = self.job.sources.get(name) else {
                continue;
            };
            let mut plan = FactsPlan {
                key: None,
                id: IdPlan::Ordinal,
                tag: IdTag::new(number, stage.sources.len()),
                dedupe: stage.plan.dedupe.map(|(_, on_conflict)| on_conflict),
                seen: seen(&stage.plan),
                named: named(&stage.plan),
                lasting: lasting(&stage.plan),
                filters: Vec::new(),
                words: Vec::new(),
                stride: stage.words.len(),
            };
            let mut needs = Vec::new();
            if let Some(key) = &key {
                plan.key = self.column(name, key.as_str(), key.place());
                needs.extend(plan.key.map(|column| Need {
                    column,
                    what: "the entity's key",
                    bits: None,
                }));
            }
            if let Some(dedupe) = &source.dedupe {
                let columns: Vec<usize> = dedupe
                    .key
                    .iter()
                    .filter_map(|column| self.column(name, column.as_str(), column.place()))
                    .collect();
                plan.id = self.id_plan(name, &columns);
                let bits = matches!(plan.id, IdPlan::Number(_)).then_some(plan.tag.own);
                needs.extend(columns.into_iter().map(|column| Need {
                    column,
                    what: "the dedupe key",
                    bits: bits.filter(|own| *own != u64::MAX),
                }));
            }
            for (bit, filter) in stage.filters.clone().into_iter().enumerate() {
                if filter.from.contains(name) {
                    let sql = filter.sql.unwrap_or_else(|| "true".into());
                    if let Some(expression) = self.truth(name, &sql) {
                        plan.filters.push(Filter {
                            expression,
                            bit: bit as u8,
                        });
                    }
                }
            }
            for (index, word) in stage.words.clone().into_iter().enumerate() {
                if word.from.contains(name)
                    && let Some(expression) = self.expression(name, &word.sql, &word.text)
                {
                    let text = word.sql.written().to_owned();
                    let present = stage.present.iter().find(|(of, _)| *of == index);
                    plan.words.push(Word {
                        expression,
                        index,
                        kind: word.kind,
                        present: present.map(|(_, bit)| *bit),
                        text,
                    });
                }
            }
            if let Some(view) = self.views.get_mut(name) {
                view.plan.feeds.push((index, plan));
                view.plan.needs.extend(needs);
            }
        }
    }

    /// The index of a column of a source, which is read from now on.
    pub(super) fn column(
        &mut self,
        source: &str,
        name: &str,
        place: Option<Place>,
    ) -> Option<usize> {
        let view = self.views.get_mut(source)?;
        match view.column(name) {
            Some(column) => {
                view.used.insert(column);
                Some(column)
            }
            None => {
                let known: Vec<String> = view
                    .schema
                    .fields()
                    .iter()
                    .map(|field| field.name().clone())
                    .collect();
                let problem = self
                    .job
                    .origin
                    .problem(place, format!("source `{source}` has no column `{name}`"));
                self.push(problem.help(format!("the columns are {}", known.join(", "))));
                None
            }
        }
    }

    /// The bit of a filter; `None` when every fact of the stage passes.
    pub(super) fn filter(
        &mut self,
        stage: &mut StageBuilder,
        from: &[String],
        sql: Option<&Sql>,
    ) -> Option<u8> {
        if sql.is_none() && stage.sources.iter().all(|source| from.contains(source)) {
            return None;
        }
        let key = FilterKey {
            from: from.to_vec(),
            sql: sql.cloned(),
        };
        if let Some(known) = stage.filters.iter().position(|other| *other == key) {
            return Some(known as u8);
        }
        if stage.filters.len() == 64 {
            let place = sql.and_then(|sql| sql.place());
            self.problem(
                place,
                "an entity can have 64 different filters, and this is one more",
            );
            return None;
        }
        stage.filters.push(key);
        Some(stage.filters.len() as u8 - 1)
    }

    /// The word of a measure or category, and how it reads.
    pub(super) fn word(
        &mut self,
        stage: &mut StageBuilder,
        from: &[String],
        sql: &Sql,
        scale: Option<u8>,
    ) -> Option<(usize, Kind)> {
        self.word_of(stage, from, sql, sql.as_str(), scale)
    }

    /// As [`Compiler::word`], for a part of what was written.
    pub(super) fn word_of(
        &mut self,
        stage: &mut StageBuilder,
        from: &[String],
        sql: &Sql,
        text: &str,
        scale: Option<u8>,
    ) -> Option<(usize, Kind)> {
        let mut found: Option<(WordKind, Kind)> = None;
        for source in from {
            let expression = self.expression(source, sql, text)?;
            let Some(kinds) = word_kind(&expression.data_type, scale) else {
                let message = format!(
                    "`{}` is {}, which is neither a number, a truth, a text nor a time",
                    sql.written(),
                    expression.data_type
                );
                self.problem(sql.place(), message);
                return None;
            };
            if found.as_ref().is_some_and(|other| *other != kinds) {
                let message = format!(
                    "`{}` is not of the same type in every source",
                    sql.written()
                );
                self.problem(sql.place(), message);
                return None;
            }
            found = Some(kinds);
        }
        let (word, kind) = found?;
        let key = WordKey {
            from: from.to_vec(),
            text: text.to_owned(),
            sql: sql.clone(),
            kind: word,
        };
        if let Some(known) = stage.words.iter().position(|other| *other == key) {
            return Some((known, kind));
        }
        stage.words.push(key);
        Some((stage.words.len() - 1, kind))
    }

    /// The unit in which the times of these sources are shown.
    pub(super) fn unit(&self, from: &[String]) -> TimeUnit {
        let view = from.iter().find_map(|source| self.views.get(source));
        view.map_or(TimeUnit::Microsecond, |view| view.unit())
    }

    /// Adds a sink for each that writes this output.
    pub(super) fn sinks_for(
        &mut self,
        kind: OutputKind,
        name: &str,
        output: usize,
        only: Option<bool>,
    ) {
        let stage = self.plan.stages.len();
        for (sink_name, sink) in self.sinks_of(kind, name) {
            let settled = sink.mode == tidegate_schemas::job::Mode::Final;
            if only.is_none_or(|wanted| wanted == settled)
                && let Some(spec) = self.sink_spec(sink_name, sink)
            {
                self.plan.sinks.push(SinkPlan {
                    spec,
                    feed: Feed::Output { stage, output },
                });
            }
        }
    }
}

/// How values of a type become words, and how those read. Floats are rounded to `scale` decimals;
/// without one they stay as they are.
pub(super) fn word_kind(data_type: &DataType, scale: Option<u8>) -> Option<(WordKind, Kind)> {
    Some(match data_type {
        DataType::Boolean => (WordKind::Int, Kind::Bool),
        _ if data_type.is_integer() => (WordKind::Int, Kind::Int),
        _ if data_type.is_floating() || matches!(data_type, DataType::Decimal128(..)) => {
            match scale {
                Some(scale) => (WordKind::Fixed(scale), Kind::Fixed { scale }),
                None => (WordKind::Float, Kind::Float),
            }
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => (WordKind::Text, Kind::Text),
        DataType::Dictionary(_, value) => return word_kind(value, scale),
        DataType::Timestamp(..) | DataType::Date32 => {
            (WordKind::Time, Kind::Time(unit_of(data_type)))
        }
        _ => return None,
    })
}
