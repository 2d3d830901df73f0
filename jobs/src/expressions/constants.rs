//! Arithmetic over constants, computed when an expression is planned: whole numbers that overflow are an
//! error of the job file there. DataFusion's simplifier would wrap them around.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DataFusionError, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use super::Planner;

/// The expression with its arithmetic over constants computed.
///
/// # Errors
/// When a whole number overflows. What cannot be computed for another reason is left to the rows.
pub(super) fn computed(
    planner: &Planner,
    simplifier: &ExprSimplifier,
    expr: Expr,
) -> Result<Expr, DataFusionError> {
    let each = |part: Expr| {
        if !is_arithmetic(&part) {
            return Ok(Transformed::no(part));
        }
        let mut constant = true;
        let simpler = part.clone().map_children(|child| {
            let child = simplifier.simplify(child)?;
            constant &= matches!(child, Expr::Literal(..));
            Ok(Transformed::yes(child))
        })?;
        if !constant {
            return Ok(Transformed::no(part));
        }
        match value(planner, simpler.data) {
            Ok(value) => Ok(Transformed::yes(Expr::Literal(value, None))),
            Err(error) if is_overflow(&error) => Err(error),
            Err(_) => Ok(Transformed::no(part)),
        }
    };
    Ok(expr.transform_up(each)?.data)
}

fn is_arithmetic(expr: &Expr) -> bool {
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};
    match expr {
        Expr::Negative(_) => true,
        Expr::BinaryExpr(BinaryExpr { op, .. }) => {
            matches!(op, Plus | Minus | Multiply | Divide | Modulo)
        }
        _ => false,
    }
}

fn value(planner: &Planner, constant: Expr) -> Result<ScalarValue, DataFusionError> {
    let schema = Arc::new(Schema::empty());
    let physical = planner.physical(constant, &DFSchema::empty(), &schema)?;
    let one = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(schema, Vec::new(), &one)?;
    ScalarValue::try_from_array(&physical.evaluate(&row)?.into_array(1)?, 0)
}

fn is_overflow(error: &DataFusionError) -> bool {
    matches!(
        error.find_root(),
        DataFusionError::ArrowError(arrow, _) if matches!(**arrow, ArrowError::ArithmeticOverflow(_))
    )
}
