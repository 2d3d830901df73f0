//! Detectors: from `[detector.*]` to streams over the facts of the entity that reads the source.

use tidegate_operators::detection::{DetectionSpec, Number};
use tidegate_operators::detectors::Settings;
use tidegate_schemas::job::{Cell, Detector, OutputKind};
use tidegate_schemas::rows::{Kind, OutputColumn};

use super::stage::StageBuilder;
use super::{Compiler, DetectionPlan};

impl Compiler<'_> {
    /// Compiles the detectors whose source feeds this stage.
    pub(super) fn detectors_of(&mut self, stage: &mut StageBuilder, entity: Option<&str>) {
        let job = self.job;
        for (name, detector) in &job.detectors {
            let here = self.home_of(detector.from.as_str()) == entity;
            if here && !self.sinks_of(OutputKind::Detector, name).is_empty() {
                self.detector(stage, name, detector);
            }
        }
    }

    fn detector(&mut self, stage: &mut StageBuilder, name: &str, detector: &Detector) {
        let from = [detector.from.as_str().to_owned()];
        let settings = self.settings(detector);
        let filter = self.filter(stage, &from, detector.filter.as_ref());
        let (of, _) = detector.of.split_alias();
        let Some((column, kind)) = self.word_of(stage, &from, &detector.of, of, None) else {
            return;
        };
        let number = match kind {
            Kind::Int | Kind::Bool => Number::Whole,
            Kind::Float => Number::Float,
            _ => {
                let message = format!("a detector watches numbers, and `{of}` is none");
                self.problem(detector.of.place(), message);
                return;
            }
        };
        let by = detector.by.as_ref().and_then(|by| {
            let (text, _) = by.split_alias();
            let (column, kind) = self.word_of(stage, &from, by, text, None)?;
            let name = by.column_name();
            Some((column, OutputColumn { name, kind }))
        });
        let Some(settings) = settings else {
            return;
        };
        let place = detector.method.place();
        let spec = DetectionSpec {
            settings,
            column,
            number,
            filter,
            by: by.as_ref().map(|(column, _)| *column),
            forget: detector.forget,
            signals: ["drift", "warning"].map(|signal| self.code(signal, place)),
        };
        let (unit, by) = (self.unit(&from), by.map(|(_, column)| column));
        let output = stage.output(DetectionSpec::output(&format!("detector.{name}"), unit, by));
        self.sinks_for(OutputKind::Detector, name, output, None);
        stage.plan.detectors.push(DetectionPlan {
            name: name.to_owned(),
            spec,
            output,
        });
    }

    /// The detector's settings; what is wrong with them becomes a problem.
    fn settings(&mut self, detector: &Detector) -> Option<Settings> {
        let mut params = Vec::new();
        for (name, value) in &detector.params {
            params.push((
                name.as_str(),
                match value {
                    Cell::Int(value) => value.to_string(),
                    Cell::Float(value) => value.to_string(),
                    Cell::Bool(value) => value.to_string(),
                    Cell::Text(value) => value.clone(),
                    Cell::List(_) | Cell::Null {} => {
                        let message = format!("the parameter `{name}` is a number or a text");
                        self.problem(detector.method.place(), message);
                        return None;
                    }
                },
            ));
        }
        let params = params.iter().map(|(name, value)| (*name, value.as_str()));
        let settings = Settings::named(detector.method.as_str(), params);
        settings
            .map_err(|message| self.problem(detector.method.place(), message))
            .ok()
    }
}
