//! Answers that were written, read back as text cells, in an order of their own.

use std::fs::File;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// A table: columns with their types, and rows of cells in sorted order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answers {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Answers {
    pub(crate) fn new(columns: Vec<String>, mut rows: Vec<Vec<String>>) -> Answers {
        rows.sort();
        Answers { columns, rows }
    }

    /// A Parquet file; a column is `name type`.
    pub(crate) fn parquet(path: &Path) -> Answers {
        let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
        let columns = named(reader.schema());
        let batches = reader.build().expect("it can be read");
        let rows = batches
            .flat_map(|batch| cells(&batch.expect("it is whole")))
            .collect();
        Answers::new(columns, rows)
    }

    /// Bit for bit the same; tells the first rows that are not.
    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Answers, what: &str) {
        assert_eq!(self.columns, other.columns, "{what}");
        let difference = self
            .rows
            .iter()
            .zip(&other.rows)
            .find(|(one, two)| one != two);
        assert_eq!(difference, None, "{what}");
        assert_eq!(self.rows.len(), other.rows.len(), "{what}");
    }

    /// The same, where floats may differ by a billionth of themselves.
    #[track_caller]
    pub(crate) fn assert_close(&self, other: &Answers, what: &str) {
        assert_eq!(self.rows.len(), other.rows.len(), "{what}");
        for (one, two) in self.rows.iter().zip(&other.rows) {
            let close = one.len() == two.len() && one.iter().zip(two).all(|(a, b)| close(a, b));
            assert!(close, "{what}: {one:?} is not {two:?}");
        }
    }
}

fn close(one: &str, two: &str) -> bool {
    let float = |text: &str| {
        text.contains('.')
            .then(|| text.parse::<f64>().ok())
            .flatten()
    };
    match (float(one), float(two)) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
        _ => one == two,
    }
}

fn named(schema: &Schema) -> Vec<String> {
    let fields = schema.fields().iter();
    fields
        .map(|field| format!("{} {}", field.name(), field.data_type()))
        .collect()
}

fn cells(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("null");
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options).expect("values can be shown"))
        .collect();
    let row = |row| {
        columns
            .iter()
            .map(|column| column.value(row).to_string())
            .collect()
    };
    (0..batch.num_rows()).map(row).collect()
}
