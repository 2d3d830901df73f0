//! Parquet files, with settings chosen for the least processor time at a sensible size.
//!
//! Measured on a million session rows (key, two times, two counts, a truth value) and half a
//! million feature rows (id, key, time, three counts, three floats, a third of them null), encoding
//! alone, CPU nanoseconds and bytes a row:
//!
//! | settings | sessions | features |
//! |---|---|---|
//! | the library's defaults, snappy | 177 ns, 15.2 B | 174 ns, 25.9 B |
//! | plain, uncompressed | 31 ns, 44.1 B | 72 ns, 68.4 B |
//! | numbers as deltas, uncompressed | 41 ns, 18.3 B | 80 ns, 34.5 B |
//! | numbers as deltas, floats split, snappy for the rest | 56 ns, 10.9 B | 104 ns, 25.4 B |
//! | the same with lz4 | 63 ns, 10.9 B | 112 ns, 25.1 B |
//! | the same with zstd(1) | 71 ns, 9.2 B | 119 ns, 22.7 B |
//! | keys in a dictionary, uncompressed | 76 ns, 10.6 B | 129 ns, 27.3 B |
//!
//! Floats that are split take as long to compress as all else of a feature row to encode, and statistics a
//! nanosecond a number. On 3.7 million session and 0.6 million feature rows:
//!
//! | settings | sessions | features |
//! |---|---|---|
//! | floats split and compressed, statistics of all numbers | 42 ns, 11.2 B | 70 ns, 23.8 B |
//! | **floats plain, uncompressed; statistics of times and ids** | **39 ns, 11.2 B** | **49 ns, 27.1 B** |
//!
//! Statistics of texts cost as much as encoding them (the least and the greatest of keys help no
//! reader), and dictionaries of keys cost more than compressing the keys: both are off. Texts that
//! are categories have a dictionary. Row groups hold a million rows, or 64 MiB encoded. Larger pages
//! or writes save nothing.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::error::{Attempt, Problem};
use super::place::{Out, Sealed};

const GROUP_ROWS: usize = 1_000_000;
const GROUP_BYTES: usize = 64 << 20;

/// A Parquet file being written.
pub(super) struct ParquetFile {
    writer: ArrowWriter<Lent>,
    schema: SchemaRef,
    path: PathBuf,
}

impl std::fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl ParquetFile {
    /// Begins a file. `keys` names the columns that hold keys: texts with many values.
    pub(super) fn begin(
        schema: &SchemaRef,
        keys: &[String],
        out: Out,
    ) -> Result<ParquetFile, Problem> {
        let path = out.path().to_owned();
        let schema = without_seconds(schema);
        let properties = properties(&schema, keys);
        ArrowWriter::try_new(Lent(Some(out)), Arc::clone(&schema), Some(properties))
            .map(|writer| ParquetFile {
                writer,
                schema,
                path: path.clone(),
            })
            .map_err(|e| Problem::parquet(&path, e))
    }

    /// Adds rows.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Problem> {
        let batch = in_schema(batch, &self.schema).map_err(|e| Problem::arrow(&self.path, e))?;
        self.writer
            .write(&batch)
            .map_err(|e| Problem::parquet(&self.path, e))
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Result<Sealed, Problem> {
        let path = &self.path;
        self.writer
            .finish()
            .map_err(|e| Problem::parquet(path, e))?;
        self.writer
            .sync()
            .map_err(Problem::file(Attempt::Write, path))?;
        match self.writer.inner_mut().0.take() {
            Some(out) => out.seal(),
            None => Err(Problem::Closed),
        }
    }
}

/// A place lent to the encoder and taken back when the file is finished. (The encoder's own way of
/// giving it back turns the error of a last write into a mere text.)
struct Lent(Option<Out>);

impl Lent {
    fn out(&mut self) -> io::Result<&mut Out> {
        self.0
            .as_mut()
            .ok_or_else(|| io::Error::other("the file is finished"))
    }
}

impl Write for Lent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out()?.flush()
    }
}

/// Parquet has no timestamps in seconds (they would read as bare numbers): they become milliseconds.
fn without_seconds(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Timestamp(TimeUnit::Second, zone) => Arc::new(
            Field::clone(field)
                .with_data_type(DataType::Timestamp(TimeUnit::Millisecond, zone.clone())),
        ),
        _ => Arc::clone(field),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn in_schema(
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| match column.data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => cast(column, field.data_type()),
            _ => Ok(Arc::clone(column)),
        })
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns)
}

fn properties(schema: &Schema, keys: &[String]) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_max_row_group_bytes(Some(GROUP_BYTES));
    for field in schema.fields() {
        builder = column(builder, field, keys);
    }
    builder.build()
}

fn column(
    builder: WriterPropertiesBuilder,
    field: &Field,
    keys: &[String],
) -> WriterPropertiesBuilder {
    // Not from a text: that would cut a name with dots into the path of a nested column.
    let path = ColumnPath::new(vec![field.name().clone()]);
    let kind = field.data_type();
    let is_time = matches!(
        kind,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64
    );
    let is_number = is_time || kind.is_integer() || kind.is_floating();
    let is_key = *kind == DataType::Utf8 && keys.contains(field.name());
    if !(is_number || is_key || *kind == DataType::Boolean) {
        return builder;
    }
    let mut builder = builder.set_column_dictionary_enabled(path.clone(), false);
    // Row groups follow one another in time, and about so ids; of all else each has the whole range.
    if !(is_time || *kind == DataType::UInt64) {
        builder = builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
    }
    if is_number && !kind.is_floating() {
        builder = builder.set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED);
    }
    if is_number {
        // Packed deltas are dense already.
        builder = builder.set_column_compression(path, Compression::UNCOMPRESSED);
    }
    builder
}
