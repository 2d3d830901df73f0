//! Rejects: what is said of a row that does not count, and the rows of `rejects.*` outputs.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DataFusionError;

use crate::normalise::Fault;
use crate::sources::{Reject, RowNumbers};

/// The reject that a fault of a row of a batch makes.
#[must_use]
pub(super) fn reject_of(
    batch: &RecordBatch,
    file: &Arc<str>,
    numbers: &RowNumbers,
    fault: Fault,
) -> Reject {
    Reject {
        file: Arc::clone(file),
        row: numbers.get(fault.row).unwrap_or_default(),
        byte: 0,
        column: fault.column,
        reason: fault.reason,
        raw: json_of(batch, fault.row),
    }
}

/// A row as one line of JSON, at most 1 KiB of it.
fn json_of(batch: &RecordBatch, row: usize) -> String {
    let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
    let written = writer
        .write(&batch.slice(row, 1))
        .and_then(|()| writer.finish());
    let mut text = match written {
        Ok(()) => String::from_utf8_lossy(&writer.into_inner())
            .trim_end()
            .to_owned(),
        Err(error) => format!("the row cannot be shown: {error}"),
    };
    while text.len() > 1_024 {
        text.pop();
    }
    text
}

/// The columns of `rejects.*` outputs.
#[must_use]
pub fn reject_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("file", DataType::Utf8, false),
        Field::new("row", DataType::UInt64, false),
        Field::new("byte", DataType::UInt64, false),
        Field::new("column", DataType::Utf8, true),
        Field::new("reason", DataType::Utf8, false),
        Field::new("raw", DataType::Utf8, false),
    ]))
}

/// Rejects as rows of their output.
///
/// # Errors
/// When Arrow cannot make a batch of them.
pub(super) fn reject_rows(rejects: &[Reject]) -> Result<RecordBatch, DataFusionError> {
    let text = |of: fn(&Reject) -> &str| -> ArrayRef {
        Arc::new(
            rejects
                .iter()
                .map(|reject| Some(of(reject)))
                .collect::<StringArray>(),
        )
    };
    let number = |of: fn(&Reject) -> u64| -> ArrayRef {
        Arc::new(rejects.iter().map(of).collect::<UInt64Array>())
    };
    let column: StringArray = rejects
        .iter()
        .map(|reject| reject.column.as_deref())
        .collect();
    let columns = vec![
        text(|reject| &reject.file),
        number(|reject| reject.row),
        number(|reject| reject.byte),
        Arc::new(column),
        text(|reject| &reject.reason),
        text(|reject| &reject.raw),
    ];
    Ok(RecordBatch::try_new(reject_schema(), columns)?)
}
