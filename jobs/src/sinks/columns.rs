//! The columns of outputs as Arrow has them: a type for each kind.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit as ArrowUnit};
use tidegate_schemas::rows::{Kind, OutputSchema};
use tidegate_schemas::time::TimeUnit;

/// The Arrow schema of an output: the key, if there is one, then the columns.
///
/// | kind | Arrow type | null |
/// |---|---|---|
/// | key | Utf8 | never |
/// | `Int` | Int64 | yes |
/// | `Id` | UInt64 | never |
/// | `IdText` | Utf8 | never |
/// | `Fixed`, `Float`, `Span` (seconds) | Float64 | yes |
/// | `Bool` | Boolean | yes |
/// | `Text` | Utf8 | yes |
/// | `Time` | Timestamp in its unit, no zone (UTC) | yes |
/// | `List` | List of its kind | never; the list may be empty and may hold nulls |
/// | `Histogram` | List of Struct (`value`, `count` Int64) | as `List` |
pub(crate) fn arrow_schema(output: &OutputSchema) -> SchemaRef {
    let key = output
        .key
        .iter()
        .map(|name| Field::new(name, DataType::Utf8, false));
    let columns = output.columns.iter().map(|column| {
        let always = matches!(
            column.kind,
            Kind::Id { .. } | Kind::IdText | Kind::List(_) | Kind::Histogram(_)
        );
        Field::new(&column.name, arrow_type(&column.kind), !always)
    });
    Arc::new(Schema::new(key.chain(columns).collect::<Vec<_>>()))
}

/// The Arrow type of the values of a kind.
pub(crate) fn arrow_type(kind: &Kind) -> DataType {
    match kind {
        Kind::Int => DataType::Int64,
        Kind::Id { .. } => DataType::UInt64,
        Kind::Fixed { .. } | Kind::Float | Kind::Span => DataType::Float64,
        Kind::Bool => DataType::Boolean,
        Kind::Text | Kind::IdText => DataType::Utf8,
        Kind::Time(unit) => DataType::Timestamp(arrow_unit(*unit), None),
        Kind::List(item) => DataType::List(item_field(arrow_type(item))),
        Kind::Histogram(value) => DataType::List(item_field(DataType::Struct(bar_fields(value)))),
    }
}

/// The unit of times.
pub(crate) fn arrow_unit(unit: TimeUnit) -> ArrowUnit {
    match unit {
        TimeUnit::Second => ArrowUnit::Second,
        TimeUnit::Millisecond => ArrowUnit::Millisecond,
        TimeUnit::Microsecond => ArrowUnit::Microsecond,
        TimeUnit::Nanosecond => ArrowUnit::Nanosecond,
    }
}

/// The items of a list.
pub(crate) fn item_field(item: DataType) -> Arc<Field> {
    Arc::new(Field::new_list_field(item, true))
}

/// What the items of a histogram of these values hold.
pub(crate) fn bar_fields(value: &Kind) -> Fields {
    Fields::from(vec![
        Field::new("value", arrow_type(value), true),
        Field::new("count", DataType::Int64, false),
    ])
}
