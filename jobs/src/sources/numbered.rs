//! Rows by their number: for logs that know the order of their rows and no times.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, TimestampSecondArray};
use arrow::datatypes::SchemaRef;

use super::declare::Declared;
use super::error::SourceError;
use super::{Event, Progress, Source};

/// A source whose [numbered](super::DeclaredColumn::numbered) columns are filled: how many rows came before that
/// were not rejected, as seconds since 1970.
pub(super) struct Numbered {
    inner: Box<dyn Source>,
    schema: SchemaRef,
    /// By column: whether it is a number.
    numbered: Vec<bool>,
    rows: i64,
}

impl Numbered {
    /// What of a declaration is in the files.
    pub(super) fn in_files(declared: &Declared) -> Declared {
        let mut declared = declared.clone();
        declared.columns.retain(|column| !column.numbered);
        declared
    }

    /// Fills the numbered columns of a declaration beside what `inner` reads of the others.
    pub(super) fn around(declared: &Declared, inner: Box<dyn Source>) -> Box<dyn Source> {
        let numbered: Vec<bool> = declared.columns.iter().map(|c| c.numbered).collect();
        match numbered.contains(&true) {
            false => inner,
            true => Box::new(Numbered {
                inner,
                schema: declared.schema(),
                numbered,
                rows: 0,
            }),
        }
    }

    fn fill(&mut self, batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
        let first = self.rows;
        self.rows += batch.num_rows() as i64;
        let numbers: ArrayRef = Arc::new(TimestampSecondArray::from_iter_values(first..self.rows));
        let mut read = batch.columns().iter();
        let columns = self.numbered.iter().filter_map(|numbered| match numbered {
            true => Some(Arc::clone(&numbers)),
            false => read.next().map(Arc::clone),
        });
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect())
    }
}

impl Source for Numbered {
    fn next(&mut self) -> Result<Event, SourceError> {
        match self.inner.next()? {
            Event::Batch(mut batch) => {
                batch.batch = self
                    .fill(&batch.batch)
                    .map_err(|source| SourceError::Batch {
                        file: batch.position.file.to_string(),
                        source,
                    })?;
                Ok(Event::Batch(batch))
            }
            event => Ok(event),
        }
    }

    fn progress(&self) -> Progress {
        self.inner.progress()
    }
}
