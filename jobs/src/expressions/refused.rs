//! What an expression may not ask, for it has one row and must give the same answer again.

use datafusion::common::DataFusionError;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, Volatility};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// There are no tables to ask. DataFusion would say no more than that it knows none of that name.
pub(super) fn subqueries(sql: &str) -> Result<(), DataFusionError> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize();
    let selects =
        |token: &Token| matches!(token, Token::Word(word) if word.keyword == Keyword::SELECT);
    match tokens.is_ok_and(|tokens| tokens.iter().any(selects)) {
        false => Ok(()),
        true => Err(DataFusionError::Plan(
            "`select` asks other rows, and an expression has one row; what is known of others comes from `add` \
             or from a table, in a trigger's `when`"
                .to_owned(),
        )),
    }
}

/// One row is not enough for an aggregate.
pub(super) fn other_rows(expr: &Expr) -> Result<(), DataFusionError> {
    let mut found = None;
    expr.apply(|part| {
        found = match part {
            Expr::AggregateFunction(call) => Some(call.func.name().to_owned()),
            Expr::WindowFunction(call) => Some(call.fun.name().to_owned()),
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        Ok(TreeNodeRecursion::Stop)
    })?;
    match found {
        None => Ok(()),
        Some(name) => Err(DataFusionError::Plan(format!(
            "`{name}` takes many rows, and an expression has one row; aggregates belong in `add` of features or \
             sessions, and are read by name in `when`"
        ))),
    }
}

/// An answer must follow from the row alone, so that a replay gives it again.
pub(super) fn clocks_and_chance(expr: &Expr) -> Result<(), DataFusionError> {
    let mut found = None;
    expr.apply(|part| {
        if let Expr::ScalarFunction(call) = part
            && call.func.signature().volatility != Volatility::Immutable
        {
            found = Some(call.func.name().to_owned());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    match found {
        None => Ok(()),
        Some(name) => Err(DataFusionError::Plan(format!(
            "`{name}` depends on more than the row, so a replay could not repeat its answer"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

    use super::super::Planner;

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("kind", DataType::Utf8, true),
            Field::new("n", DataType::Int64, true),
        ]))
    }

    #[test]
    fn what_takes_other_rows_is_refused_with_where_it_belongs() {
        let schema = schema();
        let told = |sql: &str| Planner::new().plan(sql, &schema).unwrap_err().to_string();
        for sql in [
            "count(*) > 2",
            "n > 1 and max(n) > 2",
            "row_number() over (order by n) = 1",
        ] {
            let told = told(sql);
            assert!(told.contains("aggregates belong in `add`"), "{sql}: {told}");
        }
        for sql in ["kind in (select kind from t)", "exists (SELECT 1)"] {
            let told = told(sql);
            assert!(told.contains("comes from `add`"), "{sql}: {told}");
        }
        let plan = Planner::new().plan("kind = 'select' and greatest(n, 1) > 0", &schema);
        assert!(plan.is_ok());
    }

    #[test]
    fn an_answer_follows_from_the_row_alone() {
        let schema = schema();
        for sql in ["random() > 0.5", "now() is null"] {
            assert!(Planner::new().plan(sql, &schema).is_err(), "{sql}");
        }
    }
}
