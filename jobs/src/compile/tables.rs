//! Tables that conditions look at: the columns of a changelog as words of a table of the stage.

use tidegate_schemas::job::Sql;
use tidegate_schemas::rows::{Kind, OutputColumn};

use super::stage::{StageBuilder, word_kind};
use super::{Compiler, TablePlan};
use crate::normalise::{Word, WordKind};

/// A table as conditions see it.
pub(super) struct TableColumns {
    /// Which table of the stage.
    pub(super) index: usize,
    /// The columns that name a row.
    pub(super) key: Vec<OutputColumn>,
    /// The others.
    pub(super) columns: Vec<OutputColumn>,
}

impl Compiler<'_> {
    /// The table of the stage with this name, made when it is new to it.
    pub(super) fn table(
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
