//! Journeys of an entity: from names to words, the outputs of each key, and what is counted behind them.

use std::ops::Range;

use tidegate_operators::journeys::spec::{
    Firing, JourneySpec, MOVES, PATHS, STEPS, Split, accuracy_output, holdout_output, name_marks,
    transitions_output,
};
use tidegate_schemas::job::{Journey, Mode, OutputKind};
use tidegate_schemas::rows::{Kind, OutputColumn, OutputSchema};

use super::Compiler;
use super::stage::{StageBuilder, word_kind};
use crate::normalise::WordKind;

/// The journeys of an entity.
#[derive(Clone, Debug, Default)]
pub struct JourneysPlan {
    /// What each key puts out.
    pub specs: Vec<JourneySpec>,
    /// The outputs of that: nobody sees them but what is counted.
    pub outputs: Range<usize>,
    /// What is counted of it over all keys.
    pub counted: Vec<Counted>,
}

/// What is counted of the journeys of all keys.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Which journeys.
    pub journey: usize,
    /// What of them.
    pub what: What,
    /// The output it goes to.
    pub output: usize,
}

/// What is made of the journeys of all keys.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// How often kinds follow each other.
    Transitions(Firing),
    /// How well the next kind is predicted.
    Accuracy(Firing),
    /// How well the last journeys are predicted by the first.
    HoldOut(Split),
}

impl Compiler<'_> {
    /// What each key of an entity puts out for those journeys that have sinks.
    pub(super) fn journeys_of(&mut self, stage: &mut StageBuilder, entity: &str) {
        let job = self.job;
        let first = stage.plan.outputs.len();
        for (name, journey) in &job.journeys {
            let of = job.entity(journey.entity.as_ref());
            if of.is_some_and(|(found, _)| found == entity) {
                self.journey(stage, name, journey);
            }
        }
        stage.plan.journeys.outputs = first..stage.plan.outputs.len();
    }

    fn journey(&mut self, stage: &mut StageBuilder, name: &str, journey: &Journey) -> Option<()> {
        let wants = |kind| !self.sinks_of(kind, name).is_empty();
        let transitions = wants(OutputKind::Transitions);
        let accuracy = wants(OutputKind::Accuracy);
        let holdout = wants(OutputKind::Holdout) && journey.holdout.is_some();
        if !(transitions || accuracy || holdout) {
            return None;
        }
        let kind = self.kind_of_rows(stage, journey)?;
        name_marks(&self.plan.names);
        let mut inner = |wanted: bool, what: &str, columns: &[(&str, Kind)]| {
            let schema = inner_schema(&format!("{what} of {name}"), columns);
            wanted.then(|| stage.output(schema))
        };
        let spec = JourneySpec {
            kind,
            gap: journey.gap,
            order: journey.order as usize,
            moves: inner(transitions, "moves", &MOVES),
            steps: inner(accuracy, "steps", &STEPS),
            paths: inner(holdout, "paths", &PATHS),
        };
        stage.plan.journeys.specs.push(spec);
        stage.journeys.push(name.to_owned());
        Some(())
    }

    /// The word of the kind, which is a text whatever the expression gives.
    fn kind_of_rows(&mut self, stage: &mut StageBuilder, journey: &Journey) -> Option<usize> {
        let from: Vec<String> = journey.from.iter().map(|s| s.as_str().to_owned()).collect();
        let sql = &journey.kind;
        let mut is_text = true;
        for source in &from {
            let data_type = self.expression(source, sql, sql.as_str())?.data_type;
            let word = word_kind(&data_type, None);
            is_text &= matches!(word, Some((WordKind::Text, Kind::Text)));
        }
        let text = match is_text {
            true => sql.as_str().to_owned(),
            false => format!("cast({} as varchar)", sql.as_str()),
        };
        let (word, _) = self.word_of(stage, &from, sql, &text, None)?;
        Some(word)
    }

    /// What is counted of the journeys that a stage has.
    pub(super) fn counted_journeys(&mut self, stage: &mut StageBuilder) {
        let job = self.job;
        for (index, name) in stage.journeys.clone().iter().enumerate() {
            for (settled, firing) in [(true, Firing::Final), (false, Firing::Changes)] {
                let asked = [
                    (OutputKind::Transitions, What::Transitions(firing)),
                    (OutputKind::Accuracy, What::Accuracy(firing)),
                ];
                for (kind, what) in asked {
                    self.counted(stage, (index, name), kind, what, Some(settled));
                }
            }
            let holdout = job.journeys.get(name).and_then(|j| j.holdout.as_ref());
            if let Some(train) = holdout.map(|holdout| holdout.train) {
                let (counted, of) = (train.part, train.of);
                let what = What::HoldOut(Split { counted, of });
                self.counted(stage, (index, name), OutputKind::Holdout, what, None);
            }
        }
    }

    /// Counts something, if a sink wants it, in a mode that is final or not, or in any.
    fn counted(
        &mut self,
        stage: &mut StageBuilder,
        (journey, name): (usize, &str),
        kind: OutputKind,
        what: What,
        settled: Option<bool>,
    ) {
        let sinks = self.sinks_of(kind, name);
        let fits = |mode: Mode| settled.is_none_or(|settled| (mode == Mode::Final) == settled);
        if !sinks.iter().any(|(_, sink)| fits(sink.mode)) {
            return;
        }
        let name_of_output = format!("{}.{name}", kind.word());
        let schema = match what {
            What::Transitions(_) => transitions_output(&name_of_output),
            What::Accuracy(_) => accuracy_output(&name_of_output),
            What::HoldOut(_) => holdout_output(&name_of_output),
        };
        let output = stage.output(schema);
        self.sinks_for(kind, name, output, settled);
        stage.plan.journeys.counted.push(Counted {
            journey,
            what,
            output,
        });
    }
}

/// The schema of an output that nobody sees.
fn inner_schema(name: &str, columns: &[(&str, Kind)]) -> OutputSchema {
    let column = |(name, kind): &(&str, Kind)| OutputColumn {
        name: (*name).to_owned(),
        kind: kind.clone(),
    };
    OutputSchema {
        name: name.to_owned(),
        key: None,
        columns: columns.iter().map(column).collect(),
        identity: Vec::new(),
    }
}
