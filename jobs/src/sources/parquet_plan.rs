//! Where the declared columns of a Parquet file are, and how they are read.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::nullif;
use arrow::datatypes::{DataType, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::{Encoding, Type as PhysicalType};

use super::columns::meant;
use super::conform::{Way, way};
use super::csv_records::listed;
use super::declare::{Declared, DeclaredColumn};
use super::error::SourceError;

/// Where a declared column comes from.
pub(super) struct Planned {
    /// Field names from the root on.
    path: Vec<String>,
    pub(super) way: Way,
}

impl Planned {
    /// The column out of a batch, out of the structs around it: null where one of them is.
    pub(super) fn extract(
        &self,
        batch: &RecordBatch,
    ) -> Result<ArrayRef, arrow::error::ArrowError> {
        let absent = || {
            arrow::error::ArrowError::SchemaError(format!("`{}` was not read", self.path.join(".")))
        };
        let mut array = Arc::clone(batch.column_by_name(&self.path[0]).ok_or_else(absent)?);
        for name in &self.path[1..] {
            let outer = array.as_struct();
            let inner = Arc::clone(outer.column_by_name(name).ok_or_else(absent)?);
            array = match outer.nulls() {
                Some(nulls) => nullif(&inner, &BooleanArray::new(!nulls.inner(), None))?,
                None => inner,
            };
        }
        Ok(array)
    }
}

/// Finds every declared column in the file, and the leaves to read.
pub(super) fn plan(
    declared: &Declared,
    metadata: &ArrowReaderMetadata,
    name: &Arc<str>,
) -> Result<(Vec<Planned>, Vec<usize>), SourceError> {
    let (mut planned, mut leaves, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for column in &declared.columns {
        match place(column, metadata) {
            Ok((column, leaf)) => {
                planned.push(column);
                leaves.push(leaf);
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        return Ok((planned, leaves));
    }
    Err(SourceError::Columns {
        file: name.to_string(),
        problems,
    })
}

fn place(
    column: &DeclaredColumn,
    metadata: &ArrowReaderMetadata,
) -> Result<(Planned, usize), String> {
    let path: Vec<String> = match &column.path {
        Some(path) => path.split('.').map(str::to_owned).collect(),
        None => vec![column.name.clone()],
    };
    let schema = metadata.parquet_schema();
    let found: Vec<usize> = (0..schema.num_columns())
        .filter(|leaf| schema.column(*leaf).path().parts() == path)
        .collect();
    let field = field_at(metadata.schema().fields(), &path);
    let (name, kind) = (column.place(), &column.kind);
    match (found.as_slice(), field) {
        ([leaf], Some(field)) => match way(field.data_type(), kind) {
            Some(way) => Ok((Planned { path, way }, *leaf)),
            None => Err(format!(
                "column `{name}` is declared {kind}, but holds {}; declare what it holds",
                field.data_type()
            )),
        },
        ([], Some(field)) => Err(format!(
            "column `{name}` is declared {kind}, but is {}; name one value inside with a path",
            field.data_type()
        )),
        ([], None) => {
            let names: Vec<String> = metadata
                .schema()
                .fields()
                .iter()
                .map(|field| field.name().clone())
                .collect();
            Err(format!(
                "column `{name}` ({kind}) is not in the file (it has {}){}",
                listed(&names),
                meant(name, &names)
            ))
        }
        _ => Err(format!(
            "column `{name}` is {} times in the file; rename all but one",
            found.len()
        )),
    }
}

fn field_at<'a>(fields: &'a Fields, path: &[String]) -> Option<&'a FieldRef> {
    let (first, rest) = path.split_first()?;
    let field = fields.iter().find(|field| field.name() == first)?;
    match (rest, field.data_type()) {
        ([], _) => Some(field),
        (_, DataType::Struct(fields)) => field_at(fields, rest),
        _ => None,
    }
}

/// The file's schema with what the reader shall do differently: keep dictionaries where declared (if values may
/// repeat, only where the file has nothing else), and read old 96-bit times as microseconds, which reach further
/// than nanoseconds.
pub(super) fn hinted(
    declared: &Declared,
    metadata: &ArrowReaderMetadata,
    plan: &[Planned],
) -> SchemaRef {
    let schema = metadata.parquet_schema();
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let fields = metadata.schema().fields().iter().map(|field| {
        let kept = plan.iter().zip(&declared.columns).any(|(planned, column)| {
            column.dictionary
                && planned.path.len() == 1
                && planned.path[0] == *field.name()
                && (!column.repeats || is_all_dictionary(metadata, field.name()))
        });
        let is_old_time = schema.columns().iter().any(|leaf| {
            leaf.path().parts() == [field.name().as_str()]
                && leaf.physical_type() == PhysicalType::INT96
        });
        let field = field.as_ref().clone();
        match field.data_type() {
            DataType::Utf8 if kept => field.with_data_type(dictionary.clone()),
            _ if is_old_time => {
                field.with_data_type(DataType::Timestamp(TimeUnit::Microsecond, None))
            }
            _ => field,
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Whether all pages of a column are known to refer to a dictionary.
fn is_all_dictionary(metadata: &ArrowReaderMetadata, name: &str) -> bool {
    let chunks = metadata.metadata().row_groups().iter().filter_map(|group| {
        let mut columns = group.columns().iter();
        columns.find(|chunk| chunk.column_path().parts() == [name])
    });
    let mut pages = chunks.map(|chunk| chunk.page_encoding_stats_mask());
    pages.all(|pages| {
        pages.is_some_and(|pages| {
            pages.is_only(Encoding::RLE_DICTIONARY) || pages.is_only(Encoding::PLAIN_DICTIONARY)
        })
    })
}
