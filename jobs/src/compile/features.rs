//! Features of an entity, and what else is kept of it: from names to bits, words and outputs.

use std::collections::BTreeSet;

use tidegate_operators::aggregate::moments::Spread as MomentSpread;
use tidegate_operators::aggregate::window::Bounds as WindowBounds;
use tidegate_operators::entity::track_what_is_read;
use tidegate_operators::features::spec::{
    FeatureSpec, FeaturesSpec, Measure, Nulls as FeatureNulls, Op as FeatureOp,
    Order as FeatureOrder,
};
use tidegate_schemas::fact::NULL;
use tidegate_schemas::job::{
    Aggregate, Bounds, Empty, Features, Nulls, Op, Order, OutputKind, Spread, Text,
};
use tidegate_schemas::rows::{Kind, OutputColumn, OutputSchema};

use super::Compiler;
use super::stage::StageBuilder;

/// The columns of features or sessions, as conditions see them: name and kind of each register.
#[derive(Clone, Debug)]
pub(super) struct Registers {
    /// The name of the features or sessions.
    pub(super) block: String,
    pub(super) columns: Vec<OutputColumn>,
}

impl Compiler<'_> {
    /// Compiles all that is kept of an entity.
    pub(super) fn entity(&mut self, stage: &mut StageBuilder, entity: &str) {
        let job = self.job;
        let of = |name: &str| {
            job.entity_behind(name)
                .is_some_and(|(found, _)| found == entity)
        };
        let mut registers = Vec::new();
        for (name, features) in job.features.iter().filter(|(name, _)| of(name)) {
            registers.extend(self.features(stage, entity, name, features));
        }
        for (name, sessions) in job.sessions.iter().filter(|(name, _)| of(name)) {
            registers.extend(self.sessions(stage, entity, name, sessions));
        }
        for (name, pattern) in &job.patterns {
            let behind = job.entity(pattern.entity.as_ref());
            if behind.is_some_and(|(found, _)| found == entity) {
                self.pattern(stage, entity, name, pattern);
            }
        }
        for (name, trigger) in &job.triggers {
            let behind = trigger
                .on
                .iter()
                .find_map(|on| job.entity_behind(on.as_str()));
            if behind.is_some_and(|(found, _)| found == entity) {
                self.trigger(stage, entity, name, trigger, &registers);
            }
        }
        track_what_is_read(&mut stage.plan.features, &stage.plan.triggers);
    }

    /// Whether a trigger with a sink looks at these features or sessions.
    pub(super) fn is_watched(&self, name: &str) -> bool {
        self.job.triggers.iter().any(|(trigger, spec)| {
            !self.sinks_of(OutputKind::Trigger, trigger).is_empty()
                && spec.on.iter().any(|on| *on == *name)
        })
    }

    /// Whether a trigger with a sink looks at these at every change.
    fn is_followed(&self, name: &str) -> bool {
        self.job.triggers.iter().any(|(trigger, spec)| {
            !self.sinks_of(OutputKind::Trigger, trigger).is_empty()
                && spec.at == tidegate_schemas::job::EvaluateAt::Changes
                && spec.on.iter().any(|on| *on == *name)
        })
    }

    fn features(
        &mut self,
        stage: &mut StageBuilder,
        entity: &str,
        name: &str,
        features: &Features,
    ) -> Option<Registers> {
        let anchored = features.at.is_some();
        let wants_anchors = anchored && !self.sinks_of(OutputKind::Features, name).is_empty();
        let current_kinds: &[OutputKind] = match anchored {
            true => &[OutputKind::Current],
            false => &[OutputKind::Features, OutputKind::Current],
        };
        let wants_current = current_kinds
            .iter()
            .any(|kind| !self.sinks_of(*kind, name).is_empty());
        if !wants_anchors && !wants_current && !self.is_watched(name) {
            return None;
        }
        let from: Vec<String> = features
            .from
            .iter()
            .map(|s| s.as_str().to_owned())
            .collect();
        let mut columns = Vec::new();
        let mut specs = Vec::new();
        for aggregate in &features.add {
            for (column, spec) in self.feature_columns(stage, &from, aggregate) {
                columns.push(OutputColumn {
                    name: column,
                    kind: spec.kind(),
                });
                specs.push(spec);
            }
        }
        let tracked = (0..specs.len()).filter(|_| self.is_followed(name));
        let tracked = tracked.collect();
        let anchor = features
            .at
            .as_ref()
            .and_then(|at| self.filter(stage, &from, Some(at)));
        let (carry, carried) = self.carried(stage, &from, features);
        let time = self.time_column(&from);
        let key = self
            .job
            .entities
            .get(entity)
            .map(|entity| entity.key.as_str().to_owned());
        let schema =
            |first: Vec<OutputColumn>, kind: OutputKind, identity: Vec<usize>| OutputSchema {
                name: format!("{}.{name}", kind.word()),
                key: key.clone(),
                columns: first.into_iter().chain(columns.iter().cloned()).collect(),
                identity,
            };
        let anchor_output = wants_anchors.then(|| {
            let id = OutputColumn {
                name: self.job.id_column(&features.from).to_owned(),
                kind: self.id_kind(stage, from.iter().map(String::as_str)),
            };
            let first = [id, time.clone()].into_iter().chain(carried).collect();
            stage.output(schema(first, OutputKind::Features, vec![0]))
        });
        let current_output =
            wants_current.then(|| stage.output(schema(vec![time], current_kinds[0], Vec::new())));
        if let Some(output) = anchor_output {
            self.sinks_for(OutputKind::Features, name, output, None);
        }
        if let Some(output) = current_output {
            for kind in current_kinds {
                self.sinks_for(*kind, name, output, None);
            }
        }
        stage.plan.features.push(FeaturesSpec {
            features: specs,
            anchor: anchor.filter(|_| anchor_output.is_some()),
            carry,
            bounds: match features.bounds {
                Bounds::OpenClosed => WindowBounds::OpenClosed,
                Bounds::ClosedClosed => WindowBounds::ClosedClosed,
                Bounds::ClosedOpen => WindowBounds::ClosedOpen,
            },
            anchor_output,
            current_output,
            tracked,
        });
        Some(Registers {
            block: name.to_owned(),
            columns,
        })
    }

    /// The column that shows the time of a row.
    fn time_column(&self, from: &[String]) -> OutputColumn {
        let name = from
            .first()
            .map(|source| self.job.event_time(source).as_str().to_owned());
        OutputColumn {
            name: name.unwrap_or_default(),
            kind: Kind::Time(self.unit(from)),
        }
    }

    /// The columns of the anchor row that go out beside the values. The id goes out anyway.
    fn carried(
        &mut self,
        stage: &mut StageBuilder,
        from: &[String],
        features: &Features,
    ) -> (Vec<Measure>, Vec<OutputColumn>) {
        let id = self.job.id_column(&features.from);
        let mut measures = Vec::new();
        let mut columns = Vec::new();
        let wanted: Vec<&Text> = features
            .carry
            .iter()
            .filter(|name| name.as_str() != id)
            .collect();
        for name in wanted {
            let sql = tidegate_schemas::job::Sql(name.clone());
            let text = format!("\"{}\"", name.as_str());
            if let Some((word, kind)) = self.word_of(stage, from, &sql, &text, None) {
                measures.push(Measure {
                    word,
                    kind: kind.clone(),
                });
                columns.push(OutputColumn {
                    name: name.as_str().to_owned(),
                    kind,
                });
            }
        }
        (measures, columns)
    }

    /// The columns of one aggregate, one for each window.
    fn feature_columns(
        &mut self,
        stage: &mut StageBuilder,
        from: &[String],
        aggregate: &Aggregate,
    ) -> Vec<(String, FeatureSpec)> {
        let of = match &aggregate.of {
            None => None,
            Some(sql) => match self.word(stage, from, sql, aggregate.decimals()) {
                Some((word, kind)) => Some(Measure { word, kind }),
                None => return Vec::new(),
            },
        };
        let over = match &aggregate.op {
            Op::Ratio { per } => self.filter(stage, from, Some(per)),
            _ => None,
        };
        let Some(op) = feature_op(&aggregate.op, over) else {
            let place = aggregate.name.place();
            self.problem(
                place,
                format!("`{}` is for sessions only", aggregate.op.name()),
            );
            return Vec::new();
        };
        let spec = FeatureSpec {
            op,
            filter: self.filter(stage, from, aggregate.filter.as_ref()),
            of,
            nulls: match aggregate.nulls {
                Nulls::Skip => FeatureNulls::Skip,
                Nulls::Keep => FeatureNulls::Keep,
            },
            window: None,
            hop: aggregate.hop,
            empty: match aggregate.empty {
                Empty::Null => NULL,
                Empty::Zero => 0,
            },
        };
        let windows = aggregate.windows.iter().map(|window| window.span());
        let windows: Vec<_> = if aggregate.windows.is_empty() {
            vec![None]
        } else {
            windows.collect()
        };
        let mut columns = Vec::new();
        for (column, window) in aggregate.columns().into_iter().zip(windows) {
            let hop = spec.hop.filter(|_| window.is_some());
            columns.push((
                column,
                FeatureSpec {
                    window,
                    hop,
                    ..spec.clone()
                },
            ));
        }
        let names = std::sync::Arc::clone(&self.plan.names);
        if let Some((_, first)) = columns.first() {
            let alone = FeaturesSpec {
                features: vec![first.clone()],
                anchor: None,
                carry: Vec::new(),
                bounds: WindowBounds::OpenClosed,
                anchor_output: None,
                current_output: None,
                tracked: BTreeSet::new(),
            };
            if let Err(error) = tidegate_operators::features::Features::new(&alone, names) {
                let name = aggregate.name.as_str();
                let of = match (&aggregate.of, first.of.as_ref().map(|of| &of.kind)) {
                    (Some(sql), Some(Kind::Text)) => format!(", and `{}` is text", sql.written()),
                    _ => String::new(),
                };
                self.problem(
                    aggregate.name.place(),
                    format!("`{name}` cannot be computed: {}{of}", error.why),
                );
                return Vec::new();
            }
        }
        columns
    }
}

fn feature_op(op: &Op, over: Option<u8>) -> Option<FeatureOp> {
    Some(match op {
        Op::Count => FeatureOp::Count,
        Op::Sum => FeatureOp::Sum,
        Op::Mean => FeatureOp::Mean,
        Op::Min => FeatureOp::Min,
        Op::Max => FeatureOp::Max,
        Op::Variance(spread) => FeatureOp::Variance(moment_spread(*spread)),
        Op::Stddev(spread) => FeatureOp::Deviation(moment_spread(*spread)),
        Op::First => FeatureOp::First,
        Op::Last => FeatureOp::Last,
        Op::FirstK { k, order } => FeatureOp::FirstK {
            k: *k,
            order: list_order(*order),
        },
        Op::LastK { k, order } => FeatureOp::LastK {
            k: *k,
            order: list_order(*order),
        },
        Op::CountDistinct => FeatureOp::CountDistinct,
        Op::DistinctK { k, order } => FeatureOp::DistinctK {
            k: *k,
            order: list_order(*order),
        },
        Op::Histogram { k } => FeatureOp::Histogram { k: *k },
        Op::MaxCountBy => FeatureOp::MaxCountBy,
        Op::Ratio { .. } => FeatureOp::Ratio { over },
        Op::TimeSinceLast => FeatureOp::TimeSinceLast,
        Op::LongestGap => FeatureOp::LongestGap,
        Op::Entropy => FeatureOp::Entropy,
        Op::DecayedSum { half_life } => FeatureOp::DecayedSum {
            half_life: *half_life,
        },
        Op::Any => FeatureOp::Any,
        Op::List { .. } => return None,
    })
}

fn moment_spread(spread: Spread) -> MomentSpread {
    match spread {
        Spread::Population => MomentSpread::Population,
        Spread::Sample => MomentSpread::Sample,
    }
}

fn list_order(order: Order) -> FeatureOrder {
    match order {
        Order::NewestFirst => FeatureOrder::NewestFirst,
        Order::OldestFirst => FeatureOrder::OldestFirst,
    }
}
