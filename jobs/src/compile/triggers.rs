//! Triggers: conditions, look-ups, and what goes out with a firing.

use tidegate_operators::program::{Program, Type};
use tidegate_operators::triggers::{HoldOut, KeyPart, Lookup, TEXTS, TriggerSpec};
use tidegate_schemas::job::{EvaluateAt, Mode, OutputKind, Sink, Sql, Trigger};
use tidegate_schemas::names::stable_hash;
use tidegate_schemas::rows::{Kind, OutputColumn, OutputSchema};
use tidegate_schemas::time::{Span, TimeUnit};

use super::conditions::{self, Register};
use super::features::Registers;
use super::stage::{StageBuilder, word_kind};
use super::{Compiler, TablePlan};
use crate::normalise::Word;

/// A table as conditions see it.
struct TableColumns {
    index: usize,
    key: Vec<OutputColumn>,
    columns: Vec<OutputColumn>,
}

impl Compiler<'_> {
    pub(super) fn trigger(
        &mut self,
        stage: &mut StageBuilder,
        entity: &str,
        name: &str,
        trigger: &Trigger,
        blocks: &[Registers],
    ) {
        if self.sinks_of(OutputKind::Trigger, name).is_empty() {
            return;
        }
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
        let mut lookups = Vec::new();
        let mut keys = Vec::new();
        for table_name in trigger.on.iter() {
            if !self.job.all_tables().contains_key(table_name.as_str()) {
                continue;
            }
            let Some(table) = self.table(stage, table_name.as_str()) else {
                return;
            };
            let part = |column: &OutputColumn| {
                let same = |register: &Register| register.visible && register.name == column.name;
                match registers[..inputs].iter().position(same) {
                    Some(register) => KeyPart::Register(register),
                    None => KeyPart::Segment,
                }
            };
            let key: Vec<KeyPart> = table.key.iter().map(part).collect();
            keys.extend(key.iter().copied().zip(table.key.clone()));
            lookups.push(Lookup {
                table: table.index,
                key,
                columns: table.columns.len(),
            });
            registers.extend(table.columns.into_iter().map(|column| Register {
                block: Some(table_name.as_str().to_owned()),
                name: column.name,
                kind: column.kind,
                visible: true,
            }));
        }
        let segment = match &trigger.segment {
            None => None,
            Some(sql) => match self.condition(&registers, sql) {
                Some(program) => Some(program),
                None => return,
            },
        };
        let segment_kind = segment
            .as_ref()
            .map_or(Kind::Int, |program| program.result().kind());
        self.check_keys(trigger, &keys, segment.as_ref(), &registers);
        registers.push(Register {
            block: None,
            name: "segment".to_owned(),
            kind: segment_kind.clone(),
            visible: segment.is_some(),
        });
        let Some(when) = self.condition(&registers, &trigger.when) else {
            return;
        };
        let clear_when = match &trigger.clear_when {
            None => None,
            Some(sql) => match self.condition(&registers, sql) {
                Some(program) => Some(program),
                None => return,
            },
        };
        let anchor = match trigger.at {
            EvaluateAt::Changes => None,
            EvaluateAt::Anchors => {
                let anchors = blocks.iter().filter(|block| on(&block.block));
                let found = anchors
                    .filter_map(|block| self.anchor_of(stage, &block.block))
                    .next();
                if found.is_none() {
                    let message = "a trigger at anchors needs features with `at`";
                    self.problem(trigger.when.place(), message);
                    return;
                }
                found
            }
        };
        let mut reasons = Vec::new();
        let mut shown = Vec::new();
        for sql in &trigger.explain {
            let (text, _) = sql.split_alias();
            match conditions::register_of(&self.planner, &registers, text) {
                Ok(Some(register)) => {
                    reasons.push(register);
                    shown.push(OutputColumn {
                        name: sql.column_name(),
                        kind: registers[register].kind.clone(),
                    });
                }
                Ok(None) => {
                    let message =
                        format!("`{}` is not a column; explain with columns", sql.written());
                    self.problem(sql.place(), message);
                }
                Err(error) => self.condition_problem(sql, &registers, &error),
            }
        }
        for text in TEXTS {
            self.plan.names.code(text);
        }
        let mut spec = TriggerSpec {
            anchor,
            inputs,
            lookups,
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
        let unit = self.trigger_unit(trigger);
        let schema = OutputSchema {
            name: format!("trigger.{name}"),
            key: self
                .job
                .entities
                .get(entity)
                .map(|entity| entity.key.as_str().to_owned()),
            columns: spec.columns(unit, segment_kind, shown),
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

    fn condition_problem(&mut self, sql: &Sql, registers: &[Register], error: &str) {
        let names: Vec<&str> = registers
            .iter()
            .filter(|register| register.visible)
            .map(|register| register.name.as_str())
            .collect();
        let error = error.split(". Valid fields are").next().unwrap_or(error);
        let message = format!("in `{}`: {error}", sql.written());
        let problem = self.job.origin.problem(sql.place(), message);
        self.push(problem.help(format!("the columns are {}", names.join(", "))));
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
    fn table(&mut self, stage: &mut StageBuilder, name: &str) -> Option<TableColumns> {
        let tables = self.job.all_tables();
        let table = tables.get(name)?;
        let source = table.source.to_owned();
        let keys: Vec<_> = table.key.to_vec();
        let delete_when = table.delete_when.cloned();
        let mut key = Vec::new();
        let mut key_columns = Vec::new();
        for column in &keys {
            let index = self.column(&source, column.as_str(), column.place())?;
            let (word, shown) = self.table_word(&source, index, key.len())?;
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
                text: name.clone(),
            },
            OutputColumn { name, kind: shown },
        ))
    }
}

fn kind_name(kind: &Kind) -> String {
    let of = match kind {
        Kind::Int | Kind::Id => Type::Int,
        Kind::Fixed { .. } | Kind::Float | Kind::Span => Type::Float,
        Kind::Bool => Type::Bool,
        Kind::Text => Type::Text,
        Kind::Time(_) => Type::Time,
        Kind::List(_) | Kind::Histogram(_) => return "a list".to_owned(),
    };
    of.to_string()
}
