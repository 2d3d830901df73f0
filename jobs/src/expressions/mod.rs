//! SQL expressions over the rows of a source, planned and evaluated by DataFusion.
//!
//! An expression is evaluated over whole batches, and means what it gives for each row alone: where a
//! batch cannot be evaluated, its halves are, and theirs, so that what is at fault is single rows and
//! never their neighbours. (In a batch, `b <> 0 and a / b > 1` divides by a zero that no row divides by.)

mod cause;
mod constants;
mod refused;

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

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, Int8Array, Int64Array, StringArray};
    use arrow::datatypes::{Field, Int64Type, Schema};

    fn batch() -> RecordBatch {
        let schema = Schema::new(vec![
            Field::new("kind", DataType::Utf8, true),
            Field::new("n", DataType::Int64, true),
        ]);
        let kind = StringArray::from(vec![Some("a"), None, Some("b")]);
        let n = Int64Array::from(vec![1, 2, 3]);
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(kind), Arc::new(n)]).unwrap()
    }

    #[test]
    fn null_is_not_true() {
        let batch = batch();
        let plan = Planner::new()
            .plan("kind = 'a' or n > 5", &batch.schema())
            .unwrap();
        let truths: Vec<_> = plan.truths(&batch).unwrap().iter().collect();
        assert_eq!(truths, [Some(true), Some(false), Some(false)]);
        assert_eq!(plan.columns, BTreeSet::from([0, 1]));
    }

    #[test]
    fn functions_that_stand_for_others_are_planned_too() {
        let batch = batch();
        for (sql, expected) in [
            ("coalesce(nullif(n, 2), 9) = 9", [false, true, false]),
            ("nvl(kind, 'b') = 'b'", [false, true, true]),
        ] {
            let plan = Planner::new().plan(sql, &batch.schema()).unwrap();
            let truths: Vec<_> = plan.truths(&batch).unwrap().iter().flatten().collect();
            assert_eq!(truths, expected, "{sql}");
        }
    }

    #[test]
    fn what_cannot_be_computed_is_told_with_the_values_it_was_computed_of() {
        let batch = batch();
        let plan = Planner::new().plan("6 / (n - 2) > 1", &batch.schema());
        let error = plan.unwrap().truths(&batch).unwrap_err().to_string();
        assert!(
            error.contains("`6 / (n - 2) > 1` cannot be computed, where n = 2: "),
            "{error}"
        );
        assert!(error.contains("division by zero; divide by"), "{error}");
    }

    #[test]
    fn rows_that_cannot_be_computed_are_found_and_no_others() {
        let planner = Planner::new();
        let schema = batch().schema();
        let numbers: Vec<i64> = (0..100).map(|n| n * n % 7).collect();
        let kinds = StringArray::from(vec![Some("a"); 100]);
        let columns: Vec<ArrayRef> =
            vec![Arc::new(kinds), Arc::new(Int64Array::from(numbers.clone()))];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        let plan = planner.plan("8 / n", &schema).unwrap();
        let plan = plan.told_as("8 / n", Some("sums.x.of, job.toml:7".to_owned()));
        let (values, failures) = plan.computed(&batch).unwrap();
        let expected: Int64Array = numbers.iter().map(|n| 8i64.checked_div(*n)).collect();
        assert_eq!(values.as_ref(), &expected as &dyn Array);
        let zeros: Vec<usize> = (0..100).filter(|row| numbers[*row] == 0).collect();
        let rows: Vec<usize> = failures.iter().map(|failure| failure.row).collect();
        assert_eq!(rows, zeros);
        assert_eq!(
            failures[0].reason,
            "`8 / n` (sums.x.of, job.toml:7) cannot be computed, where n = 0: \
             division by zero; divide by `nullif(..., 0)` to get null"
        );
        // What a row's own values keep from being computed fails for no row.
        let plan = planner.plan("n <> 0 and 8 / n > 3", &schema).unwrap();
        let truths: Vec<bool> = plan.truths(&batch).unwrap().iter().flatten().collect();
        let expected = numbers.iter().map(|n| (1..=2).contains(n));
        assert_eq!(truths, expected.collect::<Vec<_>>());
        let empty = planner.plan("8 / n", &schema).unwrap();
        assert_eq!(empty.values(&batch.slice(0, 0)).unwrap().len(), 0);
    }

    #[test]
    fn whole_numbers_do_not_wrap_around() {
        let batch = batch();
        for sql in [
            "n * 4611686018427387904",
            "abs(1 + (n + 9223372036854775805))",
        ] {
            let plan = Planner::new().plan(sql, &batch.schema()).unwrap();
            let (values, failures) = plan.computed(&batch).unwrap();
            let rows: Vec<usize> = failures.iter().map(|failure| failure.row).collect();
            assert_eq!(rows, [1, 2], "{sql}");
            assert_eq!(values.null_count(), 2, "{sql}");
        }
        let schema = Arc::new(Schema::new(vec![Field::new("s", DataType::Int8, true)]));
        let smallest: ArrayRef = Arc::new(Int8Array::from(vec![-127, -128]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![smallest]).unwrap();
        let plan = Planner::new().plan("-s", &schema).unwrap();
        let (values, failures) = plan.computed(&batch).unwrap();
        assert_eq!(
            values.as_ref(),
            &Int8Array::from(vec![Some(127), None]) as &dyn Array
        );
        assert_eq!(failures.len(), 1);
    }

    #[test]
    fn constants_that_overflow_are_refused_and_do_not_wrap_around() {
        let schema = batch().schema();
        for sql in [
            "9223372036854775807 + 1 + n",
            "n > coalesce(9223372036854775807, n) * 2",
            "cast(127 as tinyint) + cast(abs(-1) as tinyint)",
            "n = 0 or n > -9223372036854775807 - 2",
        ] {
            let planned = Planner::new().plan(sql, &schema);
            let error = cause(&planned.expect_err(sql));
            assert!(error.ends_with(" overflows"), "{sql}: {error}");
        }
        for (sql, expected) in [("n + 3 * 4 - -2", 15), ("n + abs(-2) * 2", 5)] {
            let plan = Planner::new().plan(sql, &schema).unwrap();
            let values = plan.values(&batch()).unwrap();
            assert_eq!(values.as_primitive::<Int64Type>().value(0), expected);
        }
        // What only rows can know is left to them.
        assert!(Planner::new().plan("n <> 0 or 1 / 0 > n", &schema).is_ok());
    }

    #[test]
    fn unknown_columns_are_errors() {
        let schema = batch().schema();
        assert!(Planner::new().plan("kynd = 'a'", &schema).is_err());
    }
}
