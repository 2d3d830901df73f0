//! The columns of a Parquet file, for a job that declares none.

use std::fs::File;

use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::declare::{ColumnType, DeclaredColumn};

/// The columns of the first Parquet file that `path` (a file or a glob) leads to. Columns of types
/// that a job cannot read are left out.
///
/// # Errors
/// When there is no such file or it cannot be read, in plain words.
pub fn parquet_columns(path: &str) -> Result<Vec<DeclaredColumn>, String> {
    let mut found = glob::glob(path).map_err(|e| e.to_string())?;
    let first = found
        .find_map(Result::ok)
        .ok_or_else(|| format!("there is no file `{path}`"))?;
    let file = File::open(&first).map_err(|e| format!("`{}`: {e}", first.display()))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|e| format!("`{}`: {e}", first.display()))?;
    let fields = reader.schema().fields().iter();
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
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ColumnType::Text,
        DataType::Dictionary(_, value) => return column_type(value),
        DataType::Date32 => ColumnType::Date,
        DataType::Timestamp(unit, _) => ColumnType::Epoch(*unit),
        _ => return None,
    })
}
