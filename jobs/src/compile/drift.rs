//! Drift: from `[drift.*]` to monitors over the facts of the entity that reads the source.

use tidegate_operators::drift::spec::{
    DriftSpec, Firing, Monitor, Nulls, Reference as DriftReference, Windows,
};
use tidegate_operators::statistics::Smoothing;
use tidegate_operators::statistics::divergence::Direction;
use tidegate_schemas::job::{Drift, Mode, OutputKind, Until};

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
                if sinks.iter().any(|(_, sink)| (sink.mode == Mode::Final) == settled) {
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
                let name = self.plan.names.code(&sql.column_name());
                monitors.push(Monitor { name, column, filter, nulls: Nulls::Skip });
            }
        }
        let Some(Until::At(begin)) = drift.reference.from else {
            let place = drift.from.place();
            let problem = self.job.origin.problem(place, "the reference of a drift needs a beginning");
            self.push(problem.help("write reference = { from = \"2026-01-01T00:00:00Z\", until = \"7d\" }"));
            return;
        };
        let until = match drift.reference.until {
            Until::At(at) => at,
            Until::After(span) => begin.plus(span),
        };
        let spec = DriftSpec {
            monitors,
            windows: Windows { origin: begin, every: drift.every },
            reference: DriftReference::Stretch { from: begin, until },
            smoothing: Smoothing::AddToCounts(drift.smoothing),
            direction: Direction::CurrentFromReference,
            min_rows: 1,
            firing: match settled {
                true => Firing::Final,
                false => Firing::Changes { keep: self.job.job.lateness },
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
