//! The events as a Parquet file: zstd level 1, strings as dictionaries, no Arrow schema, so that it looks the same to every engine.

use std::{fs, fs::File, path::Path, sync::Arc};

use arrow::{
    array::{
        ArrayRef, Float64Array, Int8Array, RecordBatch, StringArray, StringBuilder,
        TimestampMillisecondArray, UInt64Array,
    },
    datatypes::{DataType, Field, Schema, TimeUnit},
};
use parquet::{
    arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions},
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
    schema::types::ColumnPath,
};

use super::{
    Chunks,
    events::Event,
    journey::{CHANNELS, KINDS, TOPICS},
    jsonl::digits,
    under_another_name,
};
use crate::error::Error;

pub(super) fn write(path: &Path, row_group: u32, chunks: &Chunks) -> Result<(), Error> {
    let temporary = under_another_name(path);
    let file = File::create(&temporary).map_err(Error::write(&temporary))?;
    write_file(file, row_group, chunks).map_err(Error::write(&temporary))?;
    fs::rename(&temporary, path).map_err(Error::write(path))
}

fn write_file(file: File, row_group: u32, chunks: &Chunks) -> Result<(), ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(row_group as usize))
        .set_column_dictionary_enabled(ColumnPath::from("event_id"), false)
        .set_column_dictionary_enabled(ColumnPath::from("ts"), false)
        .build();
    let options = ArrowWriterOptions::new()
        .with_properties(properties)
        .with_skip_arrow_metadata(true);
    let schema = Arc::new(schema());
    let mut writer = ArrowWriter::try_new_with_options(file, Arc::clone(&schema), options)?;
    let topics: Vec<String> = (0..TOPICS).map(|t| format!("t{t:02}")).collect();
    for chunk in chunks {
        writer.write(&RecordBatch::try_new(
            Arc::clone(&schema),
            columns(&chunk, &topics),
        )?)?;
    }
    writer.close().map(|_| ())
}

fn schema() -> Schema {
    let column = |name: &str, kind, nullable| Field::new(name, kind, nullable);
    Schema::new(vec![
        column("event_id", DataType::UInt64, false),
        column("customer_id", DataType::Utf8, false),
        column(
            "ts",
            DataType::Timestamp(TimeUnit::Millisecond, None),
            false,
        ),
        column("channel", DataType::Utf8, false),
        column("kind", DataType::Utf8, false),
        column("topic", DataType::Utf8, false),
        column("handle_secs", DataType::Float64, true),
        column("sentiment", DataType::Float64, true),
        column("csat", DataType::Int8, true),
    ])
}

fn columns(events: &[Event], topics: &[String]) -> Vec<ArrayRef> {
    // A quotient of two exact integers is the double nearest to the decimal, as a reader of the JSON lines gets it.
    let handle = |e: &Event| e.handle_cents.map(|cents| f64::from(cents) / 100.0);
    let sentiment = |e: &Event| e.sentiment_milli.map(|milli| f64::from(milli) / 1_000.0);
    vec![
        Arc::new(UInt64Array::from_iter_values(events.iter().map(|e| e.id))),
        Arc::new(customers(events)),
        Arc::new(TimestampMillisecondArray::from_iter_values(
            events.iter().map(|e| e.ts),
        )),
        Arc::new(StringArray::from_iter_values(
            events.iter().map(|e| CHANNELS[usize::from(e.channel)]),
        )),
        Arc::new(StringArray::from_iter_values(
            events.iter().map(|e| KINDS[usize::from(e.kind)]),
        )),
        Arc::new(StringArray::from_iter_values(
            events.iter().map(|e| &topics[usize::from(e.topic)]),
        )),
        Arc::new(events.iter().map(handle).collect::<Float64Array>()),
        Arc::new(events.iter().map(sentiment).collect::<Float64Array>()),
        Arc::new(events.iter().map(|e| e.csat).collect::<Int8Array>()),
    ]
}

fn customers(events: &[Event]) -> StringArray {
    let mut names = StringBuilder::with_capacity(events.len(), 8 * events.len());
    let mut text = Vec::with_capacity(8);
    for event in events {
        text.clear();
        text.push(b'c');
        digits(event.customer.into(), 7, &mut text);
        names.append_value(std::str::from_utf8(&text).unwrap_or_default());
    }
    names.finish()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use arrow::{array::AsArray, datatypes::UInt64Type};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    pub(crate) fn ids(path: &Path) -> Vec<u64> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        assert!(
            builder
                .metadata()
                .row_groups()
                .iter()
                .all(|g| g.num_rows() <= 7_000)
        );
        assert_eq!(builder.schema().fields(), schema().fields());
        builder
            .build()
            .unwrap()
            .flat_map(|batch| {
                batch
                    .unwrap()
                    .column(0)
                    .as_primitive::<UInt64Type>()
                    .values()
                    .to_vec()
            })
            .collect()
    }
}
