//! Patterns of an entity: from names to bits, words and outputs.

use tidegate_operators::patterns::{Absent, PatternSpec, Step, StepColumn, TEXTS};
use tidegate_schemas::job::{OutputKind, Pattern, Sql};
use tidegate_schemas::rows::{OutputColumn, OutputSchema};

use super::Compiler;
use super::stage::StageBuilder;

impl Compiler<'_> {
    pub(super) fn pattern(
        &mut self,
        stage: &mut StageBuilder,
        entity: &str,
        name: &str,
        pattern: &Pattern,
    ) {
        if self.sinks_of(OutputKind::Pattern, name).is_empty() {
            return;
        }
        for text in TEXTS {
            self.code(text, None);
        }
        let from: Vec<String> = pattern.from.iter().map(|s| s.as_str().to_owned()).collect();
        let mut spec = PatternSpec {
            within: pattern.within,
            steps: self.steps(stage, &from, pattern),
            columns: Vec::new(),
            most_open: pattern.most_open,
            output: None,
        };
        let steps = || pattern.present().map(|(step, _)| step.name.as_str());
        let mut names: Vec<&str> = vec!["start_id", "start", "end", "how"];
        names.extend(steps());
        for aggregate in &pattern.add {
            let step = aggregate.step.as_ref().map(|step| step.as_str());
            let step = steps().position(|name| Some(name) == step);
            if let (Some(step), Some(column)) = (step, self.session_column(stage, &from, aggregate))
            {
                spec.columns.push(StepColumn { step, column });
                names.push(aggregate.name.as_str());
            }
        }
        names.push("skipped");
        let id = self.id_kind(stage, from.iter().map(String::as_str));
        let kinds = spec.kinds(id, self.unit(&from));
        let columns = names.into_iter().zip(kinds);
        let key = self.job.entities.get(entity);
        let output = stage.output(OutputSchema {
            name: format!("pattern.{name}"),
            key: key.map(|entity| entity.key.as_str().to_owned()),
            columns: columns
                .map(|(name, kind)| OutputColumn {
                    name: name.to_owned(),
                    kind,
                })
                .collect(),
            identity: vec![PatternSpec::START_ID, PatternSpec::START],
        });
        spec.output = Some(output);
        self.sinks_for(OutputKind::Pattern, name, output, None);
        stage.plan.patterns.push(spec);
    }

    fn steps(&mut self, stage: &mut StageBuilder, from: &[String], pattern: &Pattern) -> Vec<Step> {
        // The first step has a bit in any case: by it rows are known whose ids may go out.
        let every = Sql::from("true");
        let mut steps = Vec::new();
        for (step, absent) in pattern.present() {
            let first = steps.is_empty().then_some(&every);
            let filter = self.filter(stage, from, step.filter.as_ref().or(first));
            let absent = absent.map(|absent| Absent {
                filter: self.filter(stage, from, absent.filter.as_ref()),
                within: absent.within,
            });
            steps.push(Step {
                filter,
                at_least: step.at_least.unwrap_or(1),
                at_most: step.at_most,
                within: step.within,
                absent,
            });
        }
        steps
    }
}
