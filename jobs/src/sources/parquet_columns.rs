//! The columns of a Parquet file, for a job that declares none.

use std::fs::File;

use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

use super::declare::{ColumnType, Declared, DeclaredColumn, Format};
use super::files::{Files, Found};
use super::foreign::contain;

/// The columns of the first Parquet file that `path` (a file, a directory or a glob) leads to. Columns of
/// types that a job cannot read are left out.
///
/// # Errors
/// When there is no such file or it cannot be read, in plain words.
pub fn parquet_columns(path: &str) -> Result<Vec<DeclaredColumn>, String> {
    let declared = Declared::new(vec![path.to_owned()], Format::Parquet, Vec::new());
    let mut files = Files::new(&declared).map_err(|error| error.to_string())?;
    let Some(Found::File { path, name }) = files.next() else {
        return Err(format!("there is no file `{path}`"));
    };
    let failed = |problem: &dyn std::fmt::Display| format!("`{name}`: {problem}");
    let file = File::open(&path).map_err(|error| failed(&error))?;
    // The types as a source meets them, whatever the writer's Arrow types were.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = contain(|| ArrowReaderMetadata::load(&file, options).map_err(|e| e.to_string()))
        .flatten()
        .map_err(|problem| failed(&problem))?;
    let fields = metadata.schema().fields().iter();
    let columns = fields.filter_map(|field| {
        let column = DeclaredColumn::new(field.name(), column_type(field.data_type())?);
        Some(if field.is_nullable() {
            column.nullable()
        } else {
            column
        })
    });
    Ok(columns.collect())
}

fn column_type(data_type: &DataType) -> Option<ColumnType> {
    Some(match data_type {
        DataType::Int8 => ColumnType::I8,
        DataType::Int16 => ColumnType::I16,
        DataType::Int32 => ColumnType::I32,
        DataType::Int64 => ColumnType::I64,
        DataType::UInt8 => ColumnType::U8,
        DataType::UInt16 => ColumnType::U16,
        DataType::UInt32 => ColumnType::U32,
        DataType::UInt64 => ColumnType::U64,
        DataType::Float32 => ColumnType::F32,
        DataType::Float64 | DataType::Decimal128(..) => ColumnType::F64,
        DataType::Boolean => ColumnType::Bool,
        DataType::Utf8 => ColumnType::Text,
        DataType::Date32 => ColumnType::Date,
        DataType::Timestamp(unit, _) => ColumnType::Epoch(*unit),
        _ => return None,
    })
}
