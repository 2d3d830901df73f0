//! Retraining: from `[retrain.*]` to requests over the alerts and the facts of the entity that reads the source.

use tidegate_operators::drift::spec::Firing;
use tidegate_operators::retrain::spec::RetrainSpec;
use tidegate_schemas::fact::NULL;
use tidegate_schemas::job::{Mode, OutputKind, Retrain};
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::Span;

use super::stage::StageBuilder;
use super::{Compiler, RetrainPlan};

/// Requests come at whole minutes: so there is one count a minute to keep, and not one a row.
const STEP: Span = Span::seconds(60);

impl Compiler<'_> {
    /// Whether requests that are final, or not, look at the alerts of a drift.
    pub(super) fn models_on(&self, drift: &str, settled: bool) -> bool {
        let mut models = self.job.retrain.iter();
        models.any(|(name, retrain)| {
            let mut on = retrain.drifts(self.job);
            self.is_requested(name, settled) && on.any(|(name, _)| name == drift)
        })
    }

    fn is_requested(&self, name: &str, settled: bool) -> bool {
        let sinks = self.sinks_of(OutputKind::Retrain, name);
        sinks
            .iter()
            .any(|(_, sink)| (sink.mode == Mode::Final) == settled)
    }

    /// Compiles the requests whose rows are those of this stage.
    pub(super) fn retrain_of(&mut self, stage: &mut StageBuilder, entity: Option<&str>) {
        let job = self.job;
        for (name, retrain) in &job.retrain {
            let Some(from) = retrain.source(job) else {
                continue;
            };
            if self.home_of(from.as_str()) != entity {
                continue;
            }
            for settled in [true, false] {
                if self.is_requested(name, settled) {
                    self.retrain(stage, name, retrain, settled);
                }
            }
        }
    }

    fn retrain(
        &mut self,
        stage: &mut StageBuilder,
        name: &str,
        retrain: &Retrain,
        settled: bool,
    ) -> Option<()> {
        let job = self.job;
        let from = retrain.source(job)?;
        let place = retrain.on.first().unwrap_or(from).place();
        let from = [from.as_str().to_owned()];
        let mut spec = RetrainSpec {
            model: self.code(name, place),
            drifts: Vec::new(),
            measures: Vec::new(),
            step: STEP,
            since: retrain.since.map(|since| since.0),
            max_age: retrain.max_age,
            rows: retrain.rows,
            cooldown: retrain.cooldown,
            window: retrain.window,
            train: retrain
                .train
                .as_ref()
                .map_or(NULL, |train| self.code(train.as_str(), train.place())),
            filter: self.filter(stage, &from, None),
            firing: match settled {
                true => Firing::Final,
                false => Firing::Changes {
                    keep: job.job.lateness,
                },
            },
        };
        for text in RetrainSpec::texts() {
            self.code(text, place);
        }
        let (mut drifts, mut segment) = (Vec::new(), None);
        for (drift, declared) in retrain.drifts(job) {
            if self.home_of(declared.from.as_str()) != self.home_of(&from[0]) {
                let message = format!(
                    "`drift.{drift}` counts rows of `{}`, and not of the entity that `{}` feeds: \
                     give it a model of its own in [retrain.*]",
                    declared.from.written(),
                    from[0]
                );
                self.problem(place, message);
                continue;
            }
            let is_it = |plan: &super::DriftPlan| {
                plan.name == drift && (plan.spec.firing == Firing::Final) == settled
            };
            // Without a plan the drift has problems, which are told.
            let index = stage.plan.drift.iter().position(is_it)?;
            let plan = &stage.plan.drift[index];
            if let Some(kind) = &plan.segment
                && segment.get_or_insert_with(|| kind.clone()) != kind
            {
                let message = format!(
                    "the segments of `drift.{drift}` are not of the type of those before it: \
                     cast one of them, such as by = \"cast(number as text) as number\""
                );
                self.problem(place, message);
            }
            drifts.push(index);
            let code = self.code(drift, place);
            spec.watch(code, &stage.plan.drift[index].spec);
        }
        let segment = segment.unwrap_or(Kind::Text);
        let schema = spec.output(&format!("retrain.{name}"), self.unit(&from), segment);
        let output = stage.output(schema);
        self.sinks_for(OutputKind::Retrain, name, output, Some(settled));
        stage.plan.retrain.push(RetrainPlan {
            spec,
            drifts,
            output,
        });
        Some(())
    }
}
