//! Drift: from `[drift.*]` to monitors over the facts of the entity that reads the source.

use tidegate_operators::drift::alerts::Alert;
use tidegate_operators::drift::cuts::{Bins, Number};
use tidegate_operators::drift::spec::{
    DriftSpec, Firing, Layout, Monitor, Reference as DriftReference, Steps, Values,
};
use tidegate_operators::statistics::Smoothing;
use tidegate_operators::statistics::divergence::Direction;
use tidegate_schemas::job::{
    BinRule, Bins as JobBins, Drift, DriftAlert, GivenBins, Mode, OutputKind, Until,
};
use tidegate_schemas::rows::{Kind, OutputColumn};
use tidegate_schemas::time::EventTime;

use super::conditions::Register;
use super::stage::StageBuilder;
use super::{Compiler, DriftPlan};

/// The outputs of a drift.
const KINDS: [OutputKind; 2] = [OutputKind::Drift, OutputKind::Alerts];

impl Compiler<'_> {
    /// Compiles the drifts whose source feeds this stage.
    pub(super) fn drift_of(&mut self, stage: &mut StageBuilder, entity: Option<&str>) {
        let job = self.job;
        for (name, drift) in &job.drift {
            if self.home_of(drift.from.as_str()) != entity {
                continue;
            }
            for settled in [true, false] {
                let asks = self.models_on(name, settled);
                let wanted = KINDS.map(|kind| {
                    let sinks = self.sinks_of(kind, name).into_iter();
                    sinks
                        .filter(|(_, sink)| (sink.mode == Mode::Final) == settled)
                        .count()
                        > 0
                        || kind == OutputKind::Alerts && asks
                });
                if wanted.contains(&true) {
                    self.drift(stage, name, drift, (settled, wanted));
                }
            }
        }
    }

    /// Compiles a drift whose rows are final or not, and of which such of its [`KINDS`] are wanted.
    fn drift(
        &mut self,
        stage: &mut StageBuilder,
        name: &str,
        drift: &Drift,
        (settled, wanted): (bool, [bool; 2]),
    ) -> Option<()> {
        let from = [drift.from.as_str().to_owned()];
        let place = drift.from.place();
        let monitors = self.monitors(stage, drift);
        let by = match &drift.by {
            Some(sql) => Some(self.word_of(stage, &from, sql, sql.split_alias().0, None)?),
            None => None,
        };
        let segments = by.as_ref().map(|(_, kind)| kind.clone());
        let segment = segments.clone().unwrap_or(Kind::Text);
        let (origin, reference) = self.reference(drift)?;
        let steps = |span: &tidegate_schemas::time::Span| (span.0 / drift.every.0.max(1)) as u32;
        let mut spec = DriftSpec {
            monitors,
            by: by.map(|(word, _)| word),
            steps: Steps {
                origin,
                every: drift.every,
            },
            lengths: match drift.window.is_empty() {
                true => vec![1],
                false => drift.window.iter().map(steps).collect(),
            },
            reference,
            smoothing: match drift.fill {
                Some(least) => Smoothing::Floor(least),
                None => Smoothing::AddToCounts(drift.smoothing.unwrap_or(0.5)),
            },
            direction: Direction::CurrentFromReference,
            measures: drift.measured().to_vec(),
            min_rows: drift.min_rows.map_or(1, u64::from),
            layout: match drift.is_wide() {
                true => Layout::Wide,
                false => Layout::Plain,
            },
            alert: None,
            firing: match settled {
                true => Firing::Final,
                false => Firing::Changes {
                    keep: self.job.job.lateness,
                },
            },
        };
        let unit = self.unit(&from);
        if let Some(alert) = &drift.alert {
            let registers = spec.registers(unit, segment.clone());
            spec.alert = Some(self.alert(alert, registers)?);
        }
        if let Err(message) = spec.check() {
            self.problem(place, message);
            return None;
        }
        for text in spec.texts() {
            self.code(&text, place);
        }
        let mut outputs = [None, None];
        for ((kind, wanted), made) in KINDS.into_iter().zip(wanted).zip(&mut outputs) {
            if wanted {
                let name_of = format!("{}.{name}", kind.word());
                let schema = match kind {
                    OutputKind::Alerts => spec.alerts_output(&name_of, unit, segment.clone()),
                    _ => spec.output(&name_of, unit, segment.clone()),
                };
                let output = stage.output(schema);
                self.sinks_for(kind, name, output, Some(settled));
                *made = Some(output);
            }
        }
        let [rows, alerts] = outputs;
        stage.plan.drift.push(DriftPlan {
            name: name.to_owned(),
            segment: segments,
            spec,
            rows,
            alerts,
        });
        Some(())
    }

    /// What is watched; what is wrong with it becomes a problem.
    fn monitors(&mut self, stage: &mut StageBuilder, drift: &Drift) -> Vec<Monitor> {
        let from = [drift.from.as_str().to_owned()];
        let filter = self.filter(stage, &from, drift.filter.as_ref());
        let mut monitors = Vec::new();
        for sql in drift.of.iter() {
            let text = sql.split_alias().0.to_owned();
            if let Some((column, kind)) = self.word_of(stage, &from, sql, &text, None) {
                let number = match &kind {
                    Kind::Float | Kind::Fixed { .. } => Some(Number::Real),
                    Kind::Int if drift.bins.is_some() => Some(Number::Whole),
                    _ => None,
                };
                let bins = bins(drift.bins.as_ref());
                monitors.push(Monitor {
                    name: self.code(&sql.column_name(), sql.place()),
                    column,
                    filter,
                    values: match number {
                        Some(number) => Values::Numbers(number, bins),
                        None => Values::Categories(kind),
                    },
                });
            }
        }
        let of_numbers = drift.measures.iter().any(|measure| measure.is_of_numbers());
        let is_number = |it: &Monitor| matches!(it.values, Values::Numbers(..));
        if !monitors.is_empty() && !monitors.iter().any(is_number) {
            let message = if of_numbers {
                "ks and wasserstein are of numbers, and all of `of` are categories: leave them out, \
                 or give whole numbers `bins`"
            } else if drift.bins.is_some() {
                "there are `bins`, and all of `of` are categories: leave `bins` out"
            } else {
                return monitors;
            };
            self.problem(drift.of.first().and_then(|sql| sql.place()), message);
        }
        monitors
    }

    fn reference(&mut self, drift: &Drift) -> Option<(EventTime, DriftReference)> {
        Some(match (drift.reference.from, drift.reference.until) {
            (Some(Until::At(from)), Until::At(until)) => {
                (from, DriftReference::Stretch { from, until })
            }
            (Some(Until::At(from)), Until::After(span)) => {
                let until = from.plus(span);
                (from, DriftReference::Stretch { from, until })
            }
            (None, Until::After(span)) => (EventTime(0), DriftReference::First(span)),
            (None, Until::At(until)) => {
                let from = EventTime::MIN;
                (EventTime(0), DriftReference::Stretch { from, until })
            }
            (Some(Until::After(_)), _) => {
                let message = "the reference of a drift begins at a time, not after a duration";
                self.problem(drift.from.place(), message);
                return None;
            }
        })
    }

    fn alert(&mut self, alert: &DriftAlert, columns: Vec<OutputColumn>) -> Option<Alert> {
        let columns = columns.into_iter();
        let registers: Vec<Register> = columns
            .map(|column| Register {
                block: None,
                name: column.name,
                kind: column.kind,
                visible: true,
            })
            .collect();
        let when = self.verdict(&registers, &alert.when);
        let clear_when = match &alert.clear_when {
            Some(sql) => Some(self.verdict(&registers, sql)?),
            None => None,
        };
        Some(Alert {
            when: when?,
            windows: alert.windows.unwrap_or(1),
            clear_when,
            cooldown: alert.cooldown,
        })
    }
}

fn bins(bins: Option<&JobBins>) -> Bins {
    match bins {
        Some(JobBins::Rule(BinRule::Sturges)) => Bins::Sturges,
        Some(JobBins::Rule(BinRule::Doane)) => Bins::Doane,
        Some(JobBins::Given(GivenBins {
            even: Some(bins), ..
        })) => Bins::Even(*bins),
        Some(JobBins::Given(GivenBins {
            edges: Some(edges), ..
        })) => Bins::Edges(edges.clone()),
        _ => Bins::Deciles,
    }
}
