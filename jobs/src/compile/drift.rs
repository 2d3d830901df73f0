//! Drift: from `[drift.*]` to monitors over the facts of the entity that reads the source.

use tidegate_operators::drift::spec::{
    DriftSpec, Firing, Monitor, Nulls, Reference as DriftReference, Windows,
};
use tidegate_operators::statistics::Smoothing;
use tidegate_operators::statistics::divergence::Direction;
use tidegate_schemas::job::{Drift, Mode, OutputKind, Until};

use tidegate_schemas::time::EventTime;

use super::Compiler;
use super::stage::StageBuilder;

impl Compiler<'_> {
    /// Compiles the drifts whose source feeds this stage.
    pub(super) fn drift_of(&mut self, stage: &mut StageBuilder, entity: Option<&str>) {
        let job = self.job;
        for (name, drift) in &job.drift {
            if self.home_of(drift.from.as_str()) != entity {
                continue;
            }
            for settled in [true, false] {
                let sinks = self.sinks_of(OutputKind::Drift, name);
                if sinks
                    .iter()
                    .any(|(_, sink)| (sink.mode == Mode::Final) == settled)
                {
                    self.drift(stage, name, drift, settled);
                }
            }
        }
    }

    fn drift(&mut self, stage: &mut StageBuilder, name: &str, drift: &Drift, settled: bool) {
        let from = [drift.from.as_str().to_owned()];
        let filter = self.filter(stage, &from, drift.filter.as_ref());
        let mut monitors = Vec::new();
        for sql in drift.of.iter() {
            let (text, _) = sql.split_alias();
            let text = text.to_owned();
            if let Some((column, _)) = self.word_of(stage, &from, sql, &text, None) {
                let name = self.code(&sql.column_name(), sql.place());
                monitors.push(Monitor {
                    name,
                    column,
                    filter,
                    nulls: Nulls::Skip,
                });
            }
        }
        let (origin, reference) = match (drift.reference.from, drift.reference.until) {
            (Some(Until::At(from)), Until::At(until)) => {
                (from, DriftReference::Stretch { from, until })
            }
            (Some(Until::At(from)), Until::After(span)) => (
                from,
                DriftReference::Stretch {
                    from,
                    until: from.plus(span),
                },
            ),
            (None, Until::After(span)) => (EventTime(0), DriftReference::First(span)),
            (None, Until::At(until)) => (
                EventTime(0),
                DriftReference::Stretch {
                    from: EventTime::MIN,
                    until,
                },
            ),
            (Some(Until::After(_)), _) => {
                let message = "the reference of a drift begins at a time, not after a duration";
                self.problem(drift.from.place(), message);
                return;
            }
        };
        let spec = DriftSpec {
            monitors,
            windows: Windows {
                origin,
                every: drift.every,
            },
            reference,
            smoothing: Smoothing::AddToCounts(drift.smoothing),
            direction: Direction::CurrentFromReference,
            min_rows: 1,
            firing: match settled {
                true => Firing::Final,
                false => Firing::Changes {
                    keep: self.job.job.lateness,
                },
            },
        };
        if let Err(message) = spec.check() {
            self.problem(drift.from.place(), message);
            return;
        }
        let unit = self.unit(&from);
        let output = stage.output(DriftSpec::output(&format!("drift.{name}"), unit));
        self.sinks_for(OutputKind::Drift, name, output, Some(settled));
        stage.plan.drift.push((spec, output));
    }
}
