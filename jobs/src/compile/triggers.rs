//! Triggers: conditions, look-ups, and what goes out with a firing.

use std::collections::BTreeSet;

use tidegate_operators::program::{Program, Type};
use tidegate_operators::triggers::{HoldOut, KeyPart, Lookup, TEXTS, TriggerSpec};
use tidegate_schemas::job::{EvaluateAt, Mode, OutputKind, Sink, Sql, Text, Trigger};
use tidegate_schemas::names::stable_hash;
use tidegate_schemas::rows::{Kind, OutputColumn, OutputSchema};
use tidegate_schemas::time::{Span, TimeUnit};

use super::advice;
use super::conditions::{self, Register};
use super::features::Registers;
use super::stage::{StageBuilder, word_kind};
use super::{Compiler, TablePlan};
use crate::normalise::{Word, WordKind};

/// A table as conditions see it.
struct TableColumns {
    index: usize,
    key: Vec<OutputColumn>,
    columns: Vec<OutputColumn>,
}

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
            self.plan.names.code(text);
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
                .map(|action| self.plan.names.code(action.as_str())),
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

    fn condition(&mut self, registers: &[Register], sql: &Sql) -> Option<Program> {
        match conditions::plan(&self.planner, &self.plan.names, registers, sql.as_str()) {
            Ok(program) => Some(program),
            Err(error) => {
                self.condition_problem(sql, registers, &error);
                None
            }
        }
    }

    /// A condition that must be true or false.
    fn verdict(&mut self, registers: &[Register], sql: &Sql) -> Option<Program> {
        let program = self.condition(registers, sql)?;
        if program.result() == Type::Bool {
            return Some(program);
        }
        let message = format!(
            "`{}` must be true or false, and is {}: compare it with something",
            sql.written(),
            match program.result() {
                Type::Bool => "that",
                Type::Int => "a whole number",
                Type::Float => "a number",
                Type::Text => "a text",
                Type::Time => "a time",
            }
        );
        self.problem(sql.place(), message);
        None
    }

    fn condition_problem(&mut self, sql: &Sql, registers: &[Register], error: &str) {
        let names: Vec<&str> = registers
            .iter()
            .filter(|register| register.visible)
            .map(|register| register.name.as_str())
            .collect();
        let unknown = advice::unknown_name(error).unwrap_or_default();
        let mut features = self.job.features.values();
        let help = match features
            .any(|features| features.carry.iter().any(|name| *name == *unknown))
        {
            true => format!(
                "`{unknown}` is carried, and conditions see what is computed and tables: add \
                 {{ name = \"its_{unknown}\", op = \"last\", of = \"{unknown}\", windows = \"lifetime\" }}"
            ),
            false => advice::advice(sql.as_str(), error, &names),
        };
        let error = error.split(". Valid fields are").next().unwrap_or(error);
        let message = format!("in `{}`: {error}", sql.written());
        let problem = self.job.origin.problem(sql.place(), message);
        self.push(problem.help(help));
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

    /// The table of the stage with this name, made when it is new to it.
    fn table(
        &mut self,
        stage: &mut StageBuilder,
        name: &str,
        entity_key: &str,
    ) -> Option<TableColumns> {
        let tables = self.job.all_tables();
        let table = tables.get(name)?;
        let source = table.source.to_owned();
        let keys: Vec<_> = table.key.to_vec();
        let delete_when = table.delete_when.cloned();
        let mut key = Vec::new();
        let mut key_columns = Vec::new();
        for column in &keys {
            let index = self.column(&source, column.as_str(), column.place())?;
            let (mut word, mut shown) = self.table_word(&source, index, key.len())?;
            if column.as_str() == entity_key {
                (word.kind, shown.kind) = (WordKind::Text, Kind::Text);
            }
            key.push(word);
            key_columns.push(shown);
        }
        let view = self.views.get(&source)?;
        let others: Vec<usize> = (0..view.schema.fields().len())
            .filter(|index| *index != view.time)
            .filter(|index| {
                !keys
                    .iter()
                    .any(|key| *key == view.schema.field(*index).name().as_str())
            })
            .collect();
        let mut columns = Vec::new();
        let mut shown_columns = Vec::new();
        for index in others {
            let Some((word, shown)) = self.table_word(&source, index, columns.len()) else {
                continue;
            };
            columns.push(word);
            shown_columns.push(shown);
        }
        let delete_when = match &delete_when {
            None => None,
            Some(sql) => Some(self.truth(&source, sql)?),
        };
        let at = self.plan.stages.len();
        let widths = (key.len(), columns.len());
        let view = self.views.get_mut(&source)?;
        let known = view.plan.tables.iter().find(|(of, plan)| {
            *of == at && plan.columns.len() == columns.len() && plan.key.len() == key.len()
        });
        let index = match known {
            Some((_, plan)) => plan.table,
            None => {
                let index = stage.plan.tables.len();
                stage.plan.tables.push(widths);
                view.plan.tables.push((
                    at,
                    TablePlan {
                        table: index,
                        key,
                        columns,
                        delete_when,
                    },
                ));
                index
            }
        };
        Some(TableColumns {
            index,
            key: key_columns,
            columns: shown_columns,
        })
    }

    /// A column of a changelog as a word of the table's rows.
    fn table_word(
        &mut self,
        source: &str,
        column: usize,
        index: usize,
    ) -> Option<(Word, OutputColumn)> {
        let view = self.views.get_mut(source)?;
        view.used.insert(column);
        let field = view.schema.field(column);
        let name = field.name().clone();
        let (kind, shown) = word_kind(field.data_type(), None)?;
        let text = format!("\"{name}\"");
        let expression = self.expression(source, &Sql::from(text.as_str()), &text)?;
        Some((
            Word {
                expression,
                index,
                kind,
                present: None,
                text: name.clone(),
            },
            OutputColumn { name, kind: shown },
        ))
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
