//! DataFusion at the verifier's service: tables in memory, queries, and one thread.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::{Column, DataFusionError};
use datafusion::logical_expr::{Expr, SortExpr};
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use tokio::runtime::Runtime;

use super::error::VerifyError;
use crate::sources::contain;

/// A DataFusion session and the thread it runs on.
pub(super) struct Database {
    runtime: Runtime,
    context: SessionContext,
}

impl Database {
    /// A session without tables.
    pub(super) fn new() -> Result<Database, VerifyError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(VerifyError::Start)?;
        let mut config = SessionConfig::new().with_target_partitions(1);
        // Texts are compared with those of results, which are plain.
        config.options_mut().sql_parser.map_string_types_to_utf8view = false;
        // Columns keep their case, as in the expressions of a run.
        config.options_mut().sql_parser.enable_ident_normalization = false;
        let context = SessionContext::new_with_config(config);
        // Where it puts a column in place of an aggregate over a frame that stands there twice, another
        // rule panics.
        context.remove_optimizer_rule("common_sub_expression_eliminate");
        Ok(Database { runtime, context })
    }

    /// The rows that a query answers, in its order.
    ///
    /// # Errors
    /// With `what` was asked, when DataFusion cannot answer.
    pub(super) fn query(&self, what: &str, sql: &str) -> Result<RecordBatch, VerifyError> {
        let (schema, batches) = self.run(what, sql)?;
        concat_batches(&schema, &batches).map_err(|e| failed(what, sql, e.into()))
    }

    /// Keeps what a query answers as a table, which is `sorted` by these columns.
    pub(super) fn keep(
        &self,
        table: &str,
        sorted: &[&[&str]],
        sql: &str,
    ) -> Result<(), VerifyError> {
        let (schema, batches) = self.run(table, sql)?;
        let kept = MemTable::try_new(schema, vec![batches]).map_err(|e| failed(table, sql, e))?;
        let orders = sorted.iter().map(|columns| ascending(columns)).collect();
        self.add(table, Arc::new(kept.with_sort_order(orders)))
    }

    /// Adds rows as a table, in place of one with its name.
    pub(super) fn add_rows(&self, name: &str, rows: RecordBatch) -> Result<(), VerifyError> {
        let table = MemTable::try_new(rows.schema(), vec![vec![rows]]);
        self.add(name, Arc::new(table.map_err(|e| failed(name, "", e))?))
    }

    /// Adds a table, in place of one with its name.
    pub(super) fn add(&self, name: &str, table: Arc<dyn TableProvider>) -> Result<(), VerifyError> {
        self.forget(name)?;
        let added = self.context.register_table(name, table);
        added.map(|_| ()).map_err(|e| failed(name, "", e))
    }

    /// Forgets a table, if it is there.
    pub(super) fn forget(&self, name: &str) -> Result<(), VerifyError> {
        let gone = self.context.deregister_table(name);
        gone.map(|_| ()).map_err(|e| failed(name, "", e))
    }

    fn run(
        &self,
        what: &str,
        sql: &str,
    ) -> Result<(arrow::datatypes::SchemaRef, Vec<RecordBatch>), VerifyError> {
        let query = async {
            // Not by `SessionContext::sql`, which carries statements out as well: each of them would be compiled here.
            let state = self.context.state();
            let plan = state.create_logical_plan(sql).await?;
            let frame = DataFrame::new(state, plan);
            let schema = Arc::new(frame.schema().as_arrow().clone());
            let batches = frame.collect().await?;
            // Plans may know more about nulls than the query says.
            let schema = batches.first().map_or(schema, RecordBatch::schema);
            Ok::<_, DataFusionError>((schema, batches))
        };
        // A query leaves nothing behind in the session.
        let answered = contain(|| self.runtime.block_on(query));
        let answered = answered.unwrap_or_else(|panic| Err(DataFusionError::Execution(panic)));
        answered.map_err(|error| failed(what, sql, error))
    }
}

/// An order by these columns, as tables declare it.
pub(super) fn ascending(columns: &[&str]) -> Vec<SortExpr> {
    let column = |name: &&str| Expr::Column(Column::from_name(*name)).sort(true, false);
    columns.iter().map(column).collect()
}

fn failed(what: &str, sql: &str, error: DataFusionError) -> VerifyError {
    VerifyError::Query {
        what: what.to_owned(),
        sql: sql.to_owned(),
        error: Box::new(error),
    }
}

/// A name in quotes, as SQL reads it unchanged.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The quotient rounded down; SQL rounds towards zero.
pub(super) fn floor_divided(whole: &str, by: i64) -> String {
    format!("((({whole}) - ((({whole}) % {by}) + {by}) % {by}) / {by})")
}
