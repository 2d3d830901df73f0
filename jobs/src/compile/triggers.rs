//! Triggers: conditions, look-ups, and what goes out with a firing.

use std::collections::BTreeSet;

use tidegate_operators::program::{Program, Type};
use tidegate_operators::triggers::{HoldOut, KeyPart, Lookup, TEXTS, TriggerSpec};
use tidegate_schemas::job::{EvaluateAt, Mode, OutputKind, Sink, Text, Trigger};
use tidegate_schemas::names::stable_hash;
use tidegate_schemas::rows::{Kind, OutputColumn, OutputSchema};
use tidegate_schemas::time::{Span, TimeUnit};

use super::Compiler;
use super::conditions::{self, Register};
use super::features::Registers;
use super::stage::StageBuilder;

/// The registers of a trigger and what is behind them.
struct Sight {
    registers: Vec<Register>,
    /// How many registers features and sessions fill.
    inputs: usize,
    lookups: Vec<Lookup>,
    /// What each word of each table's key is looked up by.
    keys: Vec<(KeyPart, OutputColumn)>,
}

/// The conditions of a trigger.
struct Conditions {
    segment: Option<Program>,
    when: Program,
    clear_when: Option<Program>,
}

impl Compiler<'_> {
    /// Compiles a trigger that has a sink; what is wrong with it becomes a problem.
    pub(super) fn trigger(
        &mut self,
        stage: &mut StageBuilder,
        entity: &str,
        name: &str,
        trigger: &Trigger,
        blocks: &[Registers],
    ) -> Option<()> {
        if self.sinks_of(OutputKind::Trigger, name).is_empty() {
            return None;
        }
        let mut sight = self.sight(stage, entity, trigger, blocks)?;
        let Conditions {
            segment,
            when,
            clear_when,
        } = self.conditions(trigger, &mut sight)?;
        let anchor = match trigger.at {
            EvaluateAt::Changes => None,
            EvaluateAt::Anchors => Some(self.anchor(stage, trigger)?),
        };
        let (reasons, shown) = self.reasons(trigger, &sight.registers);
        for text in TEXTS {
            self.code(text, trigger.when.place());
        }
        let segment_kind = segment
            .as_ref()
            .map_or(Kind::Int, |program| program.result().kind());
        let mut spec = TriggerSpec {
            anchor,
            inputs: sight.inputs,
            lookups: sight.lookups,
            segment,
            when,
            clear_when,
            cooldown: (trigger.cooldown > Span::ZERO).then_some(trigger.cooldown),
            holdout: trigger.holdout.as_ref().map(|holdout| HoldOut {
                salt_hash: stable_hash(holdout.salt.as_str()),
                percent: holdout.percent,
                assume: None,
            }),
            action: trigger
                .action
                .as_ref()
                .map(|action| self.code(action.as_str(), action.place())),
            reasons,
            firings: None,
            episodes: None,
        };
        let mut columns = spec.columns(self.trigger_unit(trigger), segment_kind, shown);
        if spec.anchor.is_some() {
            let anchored = trigger
                .on
                .iter()
                .filter_map(|on| self.job.features.get(on.as_str()));
            let from = anchored
                .filter(|features| features.at.is_some())
                .flat_map(|f| f.from.iter());
            let from: BTreeSet<&str> = from.map(Text::as_str).collect();
            columns[0].kind = self.id_kind(stage, from.iter().copied());
        }
        let schema = OutputSchema {
            name: format!("trigger.{name}"),
            key: self
                .job
                .entities
                .get(entity)
                .map(|entity| entity.key.as_str().to_owned()),
            columns,
            identity: spec.identity(),
        };
        let modes = self.sinks_of(OutputKind::Trigger, name);
        let is_final = |(_, sink): &(&String, &Sink)| sink.mode == Mode::Final;
        let (finals, others) = (modes.iter().any(is_final), !modes.iter().all(is_final));
        if finals {
            let output = stage.output(schema.clone());
            spec.firings = Some(output);
            self.sinks_for(OutputKind::Trigger, name, output, Some(true));
        }
        if others {
            let output = stage.output(schema);
            spec.episodes = Some(output);
            self.sinks_for(OutputKind::Trigger, name, output, Some(false));
        }
        stage.plan.triggers.push(spec);
        Some(())
    }

    /// What the conditions can read: the columns of features and sessions, then those of tables.
    fn sight(
        &mut self,
        stage: &mut StageBuilder,
        entity: &str,
        trigger: &Trigger,
        blocks: &[Registers],
    ) -> Option<Sight> {
        let on = |block: &str| trigger.on.iter().any(|on| *on == *block);
        let mut registers = Vec::new();
        for block in blocks {
            registers.extend(block.columns.iter().map(|column| Register {
                block: Some(block.block.clone()),
                name: column.name.clone(),
                kind: column.kind.clone(),
                visible: on(&block.block),
            }));
        }
        let inputs = registers.len();
        let mut sight = Sight {
            registers,
            inputs,
            lookups: Vec::new(),
            keys: Vec::new(),
        };
        let entity_key = self
            .job
            .entities
            .get(entity)
            .map(|entity| entity.key.clone());
        for table_name in trigger.on.iter() {
            if !self.job.all_tables().contains_key(table_name.as_str()) {
                continue;
            }
            let entity_key = entity_key.as_ref().map_or("", |key| key.as_str());
            let table = self.table(stage, table_name.as_str(), entity_key)?;
            let part = |column: &OutputColumn| {
                let same = |register: &Register| register.visible && register.name == column.name;
                match sight.registers[..inputs].iter().position(same) {
                    _ if column.name == entity_key => KeyPart::Entity,
                    Some(register) => KeyPart::Register(register),
                    None => KeyPart::Segment,
                }
            };
            let key: Vec<KeyPart> = table.key.iter().map(part).collect();
            sight
                .keys
                .extend(key.iter().copied().zip(table.key.clone()));
            sight.lookups.push(Lookup {
                table: table.index,
                key,
                columns: table.columns.len(),
            });
            sight
                .registers
                .extend(table.columns.into_iter().map(|column| Register {
                    block: Some(table_name.as_str().to_owned()),
                    name: column.name,
                    kind: column.kind,
                    visible: true,
                }));
        }
        Some(sight)
    }

    /// The conditions; the segment becomes the last register.
    fn conditions(&mut self, trigger: &Trigger, sight: &mut Sight) -> Option<Conditions> {
        let segment = match &trigger.segment {
            None => None,
            Some(sql) => Some(self.condition(&sight.registers, sql)?),
        };
        self.check_keys(trigger, &sight.keys, segment.as_ref(), &sight.registers);
        sight.registers.push(Register {
            block: None,
            name: "segment".to_owned(),
            kind: segment
                .as_ref()
                .map_or(Kind::Int, |program| program.result().kind()),
            visible: segment.is_some(),
        });
        let when = self.verdict(&sight.registers, &trigger.when)?;
        let clear_when = match &trigger.clear_when {
            None => None,
            Some(sql) => Some(self.verdict(&sight.registers, sql)?),
        };
        Some(Conditions {
            segment,
            when,
            clear_when,
        })
    }

    /// The filter of the anchors of the features that the trigger looks at.
    fn anchor(&mut self, stage: &mut StageBuilder, trigger: &Trigger) -> Option<u8> {
        let anchors = trigger
            .on
            .iter()
            .find_map(|on| self.anchor_of(stage, on.as_str()));
        if anchors.is_none() {
            let message = "a trigger at anchors needs features with `at`";
            self.problem(trigger.when.place(), message);
        }
        anchors
    }

    /// The registers that explain a firing, and how they are shown.
    fn reasons(
        &mut self,
        trigger: &Trigger,
        registers: &[Register],
    ) -> (Vec<usize>, Vec<OutputColumn>) {
        let mut reasons = Vec::new();
        let mut shown = Vec::new();
        for sql in &trigger.explain {
            let (text, _) = sql.split_alias();
            match conditions::register_of(&self.planner, registers, text) {
                Ok(Some(register)) => {
                    reasons.push(register);
                    let kind = registers[register].kind.clone();
                    shown.push(OutputColumn {
                        name: sql.column_name(),
                        kind,
                    });
                }
                Ok(None) => {
                    let message =
                        format!("`{}` is not a column; explain with columns", sql.written());
                    self.problem(sql.place(), message);
                }
                Err(error) => self.condition_problem(sql, registers, &error),
            }
        }
        (reasons, shown)
    }

    fn trigger_unit(&self, trigger: &Trigger) -> TimeUnit {
        let features = trigger
            .on
            .iter()
            .find_map(|on| self.job.features.get(on.as_str()));
        let sessions = trigger
            .on
            .iter()
            .find_map(|on| self.job.sessions.get(on.as_str()));
        let from = features
            .map(|f| &f.from)
            .or_else(|| sessions.map(|s| &s.from));
        let from: Vec<String> = from
            .into_iter()
            .flat_map(|from| from.iter())
            .map(|s| s.as_str().to_owned())
            .collect();
        self.unit(&from)
    }

    /// The filter of the anchors of these features.
    fn anchor_of(&mut self, stage: &mut StageBuilder, block: &str) -> Option<u8> {
        let features = self.job.features.get(block)?;
        let from: Vec<String> = features
            .from
            .iter()
            .map(|s| s.as_str().to_owned())
            .collect();
        self.filter(stage, &from, Some(features.at.as_ref()?))
    }

    /// The key of a table must be of the type of what it is looked up by.
    fn check_keys(
        &mut self,
        trigger: &Trigger,
        keys: &[(KeyPart, OutputColumn)],
        segment: Option<&Program>,
        registers: &[Register],
    ) {
        for (part, column) in keys {
            let found = match part {
                KeyPart::Register(register) => Some(registers[*register].kind.clone()),
                KeyPart::Segment => segment.map(|program| program.result().kind()),
                // The entity's key is a name, and so is the table's.
                KeyPart::Entity => Some(column.kind.clone()),
            };
            let Some(found) = found else {
                let message = format!(
                    "a table is looked up by `{}`, which is no column of {}; say what it is with `segment`",
                    column.name,
                    trigger
                        .on
                        .iter()
                        .map(|on| on.as_str())
                        .collect::<Vec<_>>()
                        .join(", "),
                );
                self.problem(trigger.when.place(), message);
                continue;
            };
            if found != column.kind {
                let message = format!(
                    "the table's key `{}` is {}, but it is looked up by {}",
                    column.name,
                    kind_name(&column.kind),
                    kind_name(&found)
                );
                let place = trigger.segment.as_ref().unwrap_or(&trigger.when).place();
                self.problem(place, message);
            }
        }
    }
}

fn kind_name(kind: &Kind) -> String {
    let of = match kind {
        Kind::Int | Kind::Id { .. } => Type::Int,
        Kind::Fixed { .. } | Kind::Float | Kind::Span => Type::Float,
        Kind::Bool => Type::Bool,
        Kind::Text | Kind::IdText => Type::Text,
        Kind::Time(_) => Type::Time,
        Kind::List(_) | Kind::Histogram(_) => return "a list".to_owned(),
    };
    of.to_string()
}
