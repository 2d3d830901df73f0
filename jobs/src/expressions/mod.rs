//! SQL expressions over the rows of a source, planned and evaluated by DataFusion.
//!
//! An expression is evaluated over whole batches, and means what it gives for each row alone: where a
//! batch cannot be evaluated, its halves are, and theirs, so that what is at fault is single rows and
//! never their neighbours. (In a batch, `b <> 0 and a / b > 1` divides by a zero that no row divides by.)

mod cause;
mod constants;
mod refused;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, new_empty_array, new_null_array};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DataFusionError, ScalarValue};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, Operator};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Literal, NegativeExpr};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::prelude::{SessionConfig, SessionContext};

pub(crate) use cause::cause;

/// Plans expressions. One is enough for a whole job.
pub struct Planner {
    context: SessionContext,
}

impl Default for Planner {
    fn default() -> Planner {
        Planner::new()
    }
}

/// A planned expression.
#[derive(Clone, Debug)]
pub struct Expression {
    physical: Arc<dyn PhysicalExpr>,
    /// As it was written, for messages.
    sql: Arc<str>,
    /// Where it stands in the job file, if it does.
    place: Option<Arc<str>>,
    /// What its values are.
    pub data_type: DataType,
    /// The columns it reads, by index.
    pub columns: BTreeSet<usize>,
    only_text_column: Option<usize>,
}

impl Planner {
    /// A planner with DataFusion's functions.
    #[must_use]
    pub fn new() -> Planner {
        // Columns keep their case, as the job and the data write them.
        let config = SessionConfig::new()
            .set_bool("datafusion.sql_parser.enable_ident_normalization", false);
        Planner {
            context: SessionContext::new_with_config(config),
        }
    }

    /// The logical form of `sql` over the columns of `schema`.
    ///
    /// # Errors
    /// What DataFusion finds wrong with it.
    pub fn logical_over(&self, sql: &str, schema: &DFSchema) -> Result<Expr, DataFusionError> {
        refused::subqueries(sql)?;
        let logical = self.context.parse_sql_expr(sql, schema)?;
        refused::other_rows(&logical)?;
        refused::clocks_and_chance(&logical)?;
        Ok(logical)
    }

    /// The expression with its types settled and made as simple as can be.
    ///
    /// # Errors
    /// Types that do not go together, and whole numbers that overflow whatever the row.
    pub(crate) fn settled(&self, expr: Expr, schema: &DFSchema) -> Result<Expr, DataFusionError> {
        // Some functions (`coalesce`, `nvl`) exist only until they are simplified to others.
        let simplify = SimplifyContext::builder()
            .with_schema(Arc::new(schema.clone()))
            .with_config_options(Arc::clone(self.context.state().config_options()))
            .build();
        let simplifier = ExprSimplifier::new(simplify);
        let coerced = simplifier.coerce(expr, schema)?;
        simplifier.simplify(constants::computed(self, &simplifier, coerced)?)
    }

    fn physical(
        &self,
        expr: Expr,
        df_schema: &DFSchema,
        schema: &SchemaRef,
    ) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
        let physical = self.context.create_physical_expr(expr, df_schema)?;
        Ok(physical.transform_up(|part| checked(part, schema))?.data)
    }

    /// Plans `sql` over `schema`.
    ///
    /// # Errors
    /// What DataFusion finds wrong with it: syntax, unknown columns and functions, types.
    pub fn plan(&self, sql: &str, schema: &SchemaRef) -> Result<Expression, DataFusionError> {
        let df_schema = DFSchema::try_from(schema.as_ref().clone())?;
        let logical = self.logical_over(sql, &df_schema)?.unalias();
        let logical = self.settled(logical, &df_schema)?;
        let physical = self.physical(logical, &df_schema, schema)?;
        let data_type = physical.data_type(schema)?;
        let columns: BTreeSet<usize> = collect_columns(&physical)
            .iter()
            .map(|column| column.index())
            .collect();
        let only_text_column = match columns.iter().copied().collect::<Vec<usize>>()[..] {
            [one] if is_text(schema.field(one).data_type()) => Some(one),
            _ => None,
        };
        Ok(Expression {
            physical,
            sql: sql.trim().into(),
            place: None,
            data_type,
            columns,
            only_text_column,
        })
    }
}

/// The same part, which fails for whole numbers that overflow; left to itself, DataFusion wraps them around.
fn checked(
    part: Arc<dyn PhysicalExpr>,
    schema: &SchemaRef,
) -> Result<Transformed<Arc<dyn PhysicalExpr>>, DataFusionError> {
    if let Some(binary) = part.downcast_ref::<BinaryExpr>() {
        let checked = binary.clone().with_fail_on_overflow(true);
        return Ok(Transformed::yes(Arc::new(checked)));
    }
    let Some(negative) = part.downcast_ref::<NegativeExpr>() else {
        return Ok(Transformed::no(part));
    };
    let data_type = negative.arg().data_type(schema)?;
    if !data_type.is_integer() {
        return Ok(Transformed::no(part));
    }
    let zero = Arc::new(Literal::new(ScalarValue::new_zero(&data_type)?));
    let checked = BinaryExpr::new(zero, Operator::Minus, Arc::clone(negative.arg()));
    Ok(Transformed::yes(Arc::new(
        checked.with_fail_on_overflow(true),
    )))
}

/// A row that an expression cannot be computed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The row of the batch.
    pub row: usize,
    /// The expression, the values that it read, and what went wrong.
    pub reason: String,
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 => true,
        DataType::Dictionary(_, value) => **value == DataType::Utf8,
        _ => false,
    }
}

impl Expression {
    /// The column, if the expression reads one alone and that is a text: then its value follows
    /// from the text.
    #[must_use]
    pub fn only_text_column(&self) -> Option<usize> {
        self.only_text_column
    }

    /// The same expression, which messages show as it was `written` and, in words, in which `place` of
    /// the job file.
    #[must_use]
    pub fn told_as(self, written: &str, place: Option<String>) -> Expression {
        Expression {
            sql: written.trim().into(),
            place: place.map(Into::into),
            ..self
        }
    }

    /// As it was written.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The value of every row, and the rows that it cannot be computed for, in order: theirs is null.
    ///
    /// # Errors
    /// When what was evaluated in parts cannot be put together, which would be a defect.
    pub fn computed(
        &self,
        batch: &RecordBatch,
    ) -> Result<(ArrayRef, Vec<Failure>), DataFusionError> {
        match self.evaluate(batch) {
            Ok(values) => Ok((values, Vec::new())),
            Err(_) => self.by_halves(batch),
        }
    }

    /// The value of every row.
    ///
    /// # Errors
    /// What DataFusion could not compute, and of which values: an overflow, a cast that fails.
    pub fn values(&self, batch: &RecordBatch) -> Result<ArrayRef, DataFusionError> {
        let (values, failures) = self.computed(batch)?;
        match failures.into_iter().next() {
            None => Ok(values),
            Some(failure) => Err(DataFusionError::Execution(failure.reason)),
        }
    }

    /// For which rows it is true; where it is null it is not.
    ///
    /// # Errors
    /// As [`Expression::values`].
    pub fn truths(&self, batch: &RecordBatch) -> Result<BooleanArray, DataFusionError> {
        truths_of(&self.values(batch)?)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, DataFusionError> {
        let values = self.physical.evaluate(batch)?;
        values.into_array(batch.num_rows())
    }

    /// Evaluates ever smaller parts of a batch that cannot be evaluated as a whole.
    #[cold]
    fn by_halves(&self, batch: &RecordBatch) -> Result<(ArrayRef, Vec<Failure>), DataFusionError> {
        let mut parts = vec![new_empty_array(&self.data_type)];
        let mut failures = Vec::new();
        // Parts as their first row and length, the next one on top.
        let mut waiting = vec![(0, batch.num_rows())];
        while let Some((first, rows)) = waiting.pop() {
            if rows == 0 {
                continue;
            }
            let part = self.alone(&batch.slice(first, rows))?;
            match self.evaluate(&part) {
                Ok(values) => parts.push(values),
                Err(error) if rows == 1 => {
                    parts.push(new_null_array(&self.data_type, 1));
                    let reason = self.reason(&part, &error);
                    failures.push(Failure { row: first, reason });
                }
                Err(_) => {
                    let half = rows / 2;
                    waiting.extend([(first + half, rows - half), (first, half)]);
                }
            }
        }
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        Ok((concat(&parts)?, failures))
    }

    /// The rows with no other values in the dictionaries that are read than their own: a function is
    /// applied to all values of a dictionary.
    fn alone(&self, rows: &RecordBatch) -> Result<RecordBatch, DataFusionError> {
        let mut columns = rows.columns().to_vec();
        for index in &self.columns {
            if let DataType::Dictionary(_, value) = columns[*index].data_type().clone() {
                let plain = cast(&columns[*index], &value)?;
                columns[*index] = cast(&plain, columns[*index].data_type())?;
            }
        }
        Ok(RecordBatch::try_new(rows.schema(), columns)?)
    }

    /// What a single row could not be computed for.
    fn reason(&self, row: &RecordBatch, error: &DataFusionError) -> String {
        let shown = |column: &usize| {
            let value = array_value_to_string(row.column(*column), 0).ok()?;
            let value: String = match value.char_indices().nth(LONGEST_SHOWN) {
                Some((end, _)) => format!("{}...", &value[..end]),
                None if row.column(*column).is_null(0) => "null".to_owned(),
                None => value,
            };
            let schema = row.schema_ref();
            Some(format!("{} = {value}", schema.field(*column).name()))
        };
        let read: Vec<String> = self.columns.iter().filter_map(shown).collect();
        let read = match read.is_empty() {
            true => String::new(),
            false => format!(", where {}", read.join(", ")),
        };
        let place = self.place.as_ref().map(|place| format!(" ({place})"));
        format!(
            "`{}`{} cannot be computed{read}: {}; {}",
            self.sql,
            place.unwrap_or_default(),
            cause(error),
            cause::remedy(error)
        )
    }
}

/// So many characters of a value are shown.
const LONGEST_SHOWN: usize = 100;

/// Where values are true; where they are null they are not.
pub(crate) fn truths_of(values: &ArrayRef) -> Result<BooleanArray, DataFusionError> {
    let truths = datafusion::common::cast::as_boolean_array(values)?;
    Ok(match truths.nulls() {
        None => truths.clone(),
        Some(nulls) => BooleanArray::new(truths.values() & nulls.inner(), None),
    })
}
