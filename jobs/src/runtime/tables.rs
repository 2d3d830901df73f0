//! Rows of a changelog as versions of a broadcast table.

use datafusion::common::DataFusionError;
use tidegate_operators::parcel::TableRow;
use tidegate_schemas::names::Names;

use super::admit::Admitted;
use crate::compile::TablePlan;
use crate::normalise::{Faults, Word, values_of};

/// The versions that these rows are. Rows that are faulty, or whose key or columns cannot be computed or
/// cannot be words, are none, and are among the faults.
pub(crate) fn table_rows(
    plan: &TablePlan,
    rows: &Admitted,
    names: &Names,
    faults: &mut Faults,
) -> Result<Vec<TableRow>, DataFusionError> {
    let mut words = |words: &[Word]| values_of(words, &rows.batch, names, faults);
    let (key, columns) = (words(&plan.key)?, words(&plan.columns)?);
    let deleted = plan
        .delete_when
        .as_ref()
        .map(|expr| faults.truths(expr, &rows.batch))
        .transpose()?;
    let (wide, width) = (plan.key.len(), plan.columns.len());
    let version = |row: usize| TableRow {
        table: plan.table,
        key: key[row * wide..(row + 1) * wide].into(),
        at: rows.times[row],
        id: rows.ordinal + row as u64,
        row: match &deleted {
            Some(deleted) if deleted.value(row) => None,
            _ => Some(columns[row * width..(row + 1) * width].into()),
        },
        diff: 1,
    };
    let sound = (0..rows.times.len()).filter(|row| !faults.has(*row));
    Ok(sound.map(version).collect())
}
