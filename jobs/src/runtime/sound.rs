//! What every row must have by itself: an event time, the keys that the job goes by, and all that it
//! expects.

use arrow::array::{Array, RecordBatch};
use arrow::util::display::array_value_to_string;
use datafusion::common::DataFusionError;

use crate::compile::{Need, SourcePlan};
use crate::normalise::{Faults, numbers};

/// The rows that lack something, each with the first thing that it lacks.
///
/// # Errors
/// When Arrow cannot bring columns into form.
pub(crate) fn unsound(plan: &SourcePlan, batch: &RecordBatch) -> Result<Faults, DataFusionError> {
    let mut faults = Faults::default();
    let name = |column: usize| Some(batch.schema_ref().field(column).name().clone());
    let times = batch.column(plan.time);
    if times.null_count() > 0 {
        for row in (0..times.len()).filter(|row| times.is_null(*row)) {
            faults.add(row, name(plan.time), "the event time is null".to_owned());
        }
    }
    for (text, expression) in &plan.expect {
        let truths = faults.truths(expression, batch)?;
        if truths.true_count() < truths.len() {
            for row in (0..truths.len()).filter(|row| !truths.value(*row)) {
                faults.add(row, None, format!("it does not satisfy `{text}`"));
            }
        }
    }
    for need in &plan.needs {
        for (row, reason) in unmet(need, batch)? {
            faults.add(row, name(need.column), reason);
        }
    }
    Ok(faults)
}

/// The rows that lack what is needed of them, and why.
fn unmet(need: &Need, batch: &RecordBatch) -> Result<Vec<(usize, String)>, DataFusionError> {
    let (column, what) = (batch.column(need.column), need.what);
    let mut unmet = Vec::new();
    if column.null_count() > 0 {
        let nulls = (0..column.len()).filter(|row| column.is_null(*row));
        unmet.extend(nulls.map(|row| (row, format!("{what} is null"))));
    }
    let Some(bits) = need.bits else {
        return Ok(unmet);
    };
    for (row, id) in numbers(column)?.into_iter().enumerate() {
        if id & !bits != 0 && column.is_valid(row) {
            let value = array_value_to_string(column, row)?;
            let reason = format!(
                "{value} is not between 0 and {bits}, as {what} must be where several sources feed an entity; declare the column as text"
            );
            unmet.push((row, reason));
        }
    }
    Ok(unmet)
}
