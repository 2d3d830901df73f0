//! Parquet: types that are made to fit, rows that do not, and files that are damaged.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Int32Type, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use rand::prelude::*;

use super::*;

fn bytes(batch: &RecordBatch, group_rows: usize) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap()
}

fn declared(path: String, columns: Vec<DeclaredColumn>) -> Declared {
    Declared::new(vec![path], Format::Parquet, columns)
}

fn read(written: &RecordBatch, columns: Vec<DeclaredColumn>) -> Heard {
    let (_directory, path) = file("rows.parquet", bytes(written, 1_000));
    hear(declared(path, columns))
}

/// What one column becomes: values, then reasons.
fn column(array: ArrayRef, kind: ColumnType) -> (Vec<String>, Vec<String>) {
    let heard = read(
        &batch(vec![("v", array)]),
        vec![DeclaredColumn::new("v", kind).nullable()],
    );
    assert!(heard.error.is_none(), "{:?}", heard.error);
    let reasons = heard
        .rejects
        .iter()
        .map(|reject| format!("{} {}", reject.row, reject.reason))
        .collect();
    (heard.rows, reasons)
}

fn some_events(rows: usize) -> RecordBatch {
    let kinds = ["search", "message", "login"];
    batch(vec![
        (
            "noise",
            Arc::new(Float64Array::from_iter_values(
                (0..rows).map(|row| row as f64),
            )),
        ),
        (
            "kind",
            Arc::new(StringArray::from_iter(
                (0..rows).map(|row| (row % 5 != 4).then_some(kinds[row % 3])),
            )),
        ),
        (
            "id",
            Arc::new(UInt64Array::from_iter_values(0..rows as u64)),
        ),
    ])
}

#[test]
fn only_declared_columns_are_read_in_declared_order_batch_by_batch() {
    let (_directory, path) = file("rows.parquet", bytes(&some_events(2_500), 1_000));
    let mut wanted = declared(path, id_and_kind());
    wanted.batch_rows = 300;
    let heard = hear(wanted).clean();
    assert_eq!(heard.rows.len(), 2_500);
    assert_eq!(
        heard.rows[..5],
        ["0|search", "1|message", "2|login", "3|search", "4|~"]
    );
    assert_eq!(heard.numbers, (0..2_500).collect::<Vec<_>>());
    assert_eq!(heard.batches[1].position.first_row, 300);
}

#[test]
fn dictionaries_hold_the_same_text() {
    let written = some_events(2_500);
    let mut columns = id_and_kind();
    let plain = read(&written, columns.clone()).clean();
    columns[1].dictionary = true;
    let coded = read(&written, columns).clean();
    assert_eq!(plain.rows, coded.rows);
    let kinds = coded.batches[0]
        .batch
        .column(1)
        .as_dictionary::<Int32Type>();
    assert_eq!(kinds.values().len(), 3);
}

#[test]
fn numbers_are_cast_when_nothing_is_lost_and_rejected_otherwise() {
    let longs: ArrayRef = Arc::new(Int64Array::from(vec![
        Some(1),
        Some(300),
        None,
        Some(-1),
        Some(i64::MAX),
    ]));
    let (rows, reasons) = column(Arc::clone(&longs), ColumnType::U8);
    assert_eq!(rows, ["1", "~"]);
    assert_eq!(reasons[0], "1 \"300\" does not fit u8 without loss");
    assert_eq!(reasons.len(), 3);
    let (rows, reasons) = column(longs, ColumnType::F64);
    assert_eq!(rows, ["1.0", "300.0", "~", "-1.0"]);
    assert_eq!(
        reasons,
        ["4 \"9223372036854775807\" does not fit f64 without loss"]
    );
    let doubles: ArrayRef = Arc::new(Float64Array::from(vec![
        5.0,
        1.5,
        f64::NAN,
        f64::INFINITY,
        1e300,
    ]));
    let (rows, reasons) = column(Arc::clone(&doubles), ColumnType::I8);
    assert_eq!(rows, ["5", "~"]);
    assert_eq!(reasons.len(), 3);
    let (rows, reasons) = column(doubles, ColumnType::F32);
    assert_eq!(rows, ["5.0", "1.5", "~"]);
    assert_eq!(reasons, ["3 inf is infinite", "4 inf is infinite"]);
    assert_eq!(
        column(Arc::new(Int32Array::from(vec![7])), ColumnType::Text).0,
        ["7"]
    );
    let money = Decimal128Array::from(vec![1250])
        .with_precision_and_scale(10, 2)
        .unwrap();
    assert_eq!(column(Arc::new(money), ColumnType::F64).0, ["12.5"]);
}

#[test]
fn times_are_counted_cut_or_read_and_stay_within_the_years() {
    let millis: ArrayRef = Arc::new(Int64Array::from(vec![
        1_704_067_200_123,
        253_402_300_800_000,
    ]));
    let (rows, reasons) = column(millis, ColumnType::Epoch(TimeUnit::Millisecond));
    assert_eq!(rows, ["2024-01-01T00:00:00.123"]);
    assert_eq!(
        reasons,
        ["1 253402300800000 lies outside the years 0000 to 9999"]
    );
    let nanos: ArrayRef =
        Arc::new(TimestampNanosecondArray::from(vec![-1, 1_500]).with_timezone("+05:00"));
    assert_eq!(
        column(Arc::clone(&nanos), ColumnType::Rfc3339).0,
        ["1969-12-31T23:59:59.999999", "1970-01-01T00:00:00.000001"]
    );
    let (rows, reasons) = column(nanos, ColumnType::Epoch(TimeUnit::Millisecond));
    assert!(rows.is_empty());
    assert!(
        reasons[0].ends_with("is not a whole number of milliseconds; declare a finer unit"),
        "{reasons:?}"
    );
    let text: ArrayRef = Arc::new(StringArray::from(vec![
        Some("2024-01-01T00:00:00Z"),
        None,
        Some("soon"),
    ]));
    let (rows, reasons) = column(text, ColumnType::Rfc3339);
    assert_eq!(rows, ["2024-01-01T00:00:00", "~"]);
    assert_eq!(
        reasons,
        ["2 \"soon\" is not a time like 2024-01-31T10:00:00Z"]
    );
    let far: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![i64::MAX]));
    assert!(column(far, ColumnType::Rfc3339).1[0].contains("does not fit"));
    assert_eq!(
        column(Arc::new(Date32Array::from(vec![19_723])), ColumnType::Date).0,
        ["2024-01-01"]
    );
}

#[test]
fn nulls_where_none_is_allowed_are_rejected_with_the_row_as_json() {
    let written = batch(vec![
        (
            "id",
            Arc::new(UInt64Array::from(vec![Some(1), None, Some(3)])) as ArrayRef,
        ),
        (
            "kind",
            Arc::new(StringArray::from(vec![Some("a"), Some("b\""), None])),
        ),
    ]);
    let heard = read(&written, id_and_kind());
    assert_eq!(heard.rows, ["1|a", "3|~"]);
    assert_eq!(heard.numbers, [0, 2]);
    assert_eq!(
        heard.reasons(),
        ["1 id: is null or NaN, and the column may not be null"]
    );
    assert_eq!(heard.rejects[0].raw, "{\"id\":null,\"kind\":\"b\\\"\"}");
}

#[test]
fn values_inside_structs_are_found_by_paths() {
    let inner = StructArray::from(vec![
        (
            Arc::new(Field::new("id", DataType::UInt64, true)),
            Arc::new(UInt64Array::from(vec![1, 2, 3])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("x", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec!["a", "b", "c"])),
        ),
    ]);
    let nulls = arrow::buffer::NullBuffer::from(vec![true, false, true]);
    let outer = StructArray::new(
        vec![Field::new("ticket", inner.data_type().clone(), true)].into(),
        vec![Arc::new(inner)],
        Some(nulls),
    );
    let columns = vec![
        DeclaredColumn::new("id", ColumnType::U64)
            .at("data.ticket.id")
            .nullable(),
        DeclaredColumn::new("x", ColumnType::Text)
            .at("data.ticket.x")
            .nullable()
            .dictionary(),
    ];
    let written = batch(vec![("data", Arc::new(outer))]);
    assert_eq!(read(&written, columns).clean().rows, ["1|a", "~|~", "3|c"]);
    let message = read(
        &written,
        vec![DeclaredColumn::new("data", ColumnType::Text)],
    )
    .message();
    assert!(
        message.contains("name one value inside with a path"),
        "{message}"
    );
}

#[test]
fn columns_that_do_not_fit_are_errors_naming_all_of_them() {
    let columns = vec![
        DeclaredColumn::new("kind", ColumnType::I64),
        DeclaredColumn::new("when", ColumnType::Rfc3339),
        DeclaredColumn::new("nose", ColumnType::Text),
    ];
    let message = read(&some_events(3), columns).message();
    assert!(message.contains("rows.parquet` does not fit"), "{message}");
    assert!(
        message.contains("column `kind` is declared i64, but holds Utf8; declare what it holds"),
        "{message}"
    );
    assert!(
        message.contains(
            "column `when` (timestamp) is not in the file (it has `noise`, `kind`, `id`);"
        ),
        "{message}"
    );
    assert!(message.contains("; did you mean `noise`?"), "{message}");
    let twice = batch(vec![
        ("id", Arc::new(UInt64Array::from(vec![1])) as ArrayRef),
        ("id", Arc::new(UInt64Array::from(vec![2]))),
        ("kind", Arc::new(StringArray::from(vec!["a"]))),
    ]);
    let message = read(&twice, id_and_kind()).message();
    assert!(
        message.contains("column `id` is 2 times in the file"),
        "{message}"
    );
}

#[test]
fn files_without_rows_are_read_as_such() {
    assert!(read(&some_events(0), id_and_kind()).clean().rows.is_empty());
    for (name, content) in [
        ("empty.parquet", b"".as_slice()),
        ("text.parquet", b"id,kind\n1,a\n"),
    ] {
        let (_directory, path) = file(name, content);
        let message = hear(declared(path, id_and_kind())).message();
        assert!(
            message.contains(name) && message.contains("not a readable Parquet file"),
            "{message}"
        );
    }
}

#[test]
fn a_followed_directory_waits_for_files_being_written() {
    let directory = tempfile::tempdir().unwrap();
    let whole = bytes(&some_events(3), 1_000);
    for name in ["a.parquet", "b.parquet", "c.parquet"] {
        put(directory.path(), name, &whole[..whole.len() / 2]);
    }
    let mut wanted = declared(directory.path().to_str().unwrap().into(), id_and_kind());
    wanted.lifetime = Lifetime::Follow {
        list_every: Duration::from_millis(1),
    };
    let mut source = open(wanted).unwrap();
    assert!(matches!(source.next(), Ok(Event::Idle)));
    let mut rows = 0;
    for name in ["b.parquet", "a.parquet", "c.parquet"] {
        put(directory.path(), name, &whole);
        rows += 3;
        let mut heard = 0;
        while heard < 3 {
            if let Event::Batch(batch) = source.next().unwrap() {
                assert!(batch.position.file.ends_with(name));
                heard += batch.rows_in;
            }
        }
        assert_eq!(source.progress().rows, rows);
    }
}

#[test]
fn what_comes_before_the_damage_is_delivered() {
    let mut whole = bytes(&some_events(3_000), 1_000);
    let (_directory, path) = file("rows.parquet", &whole[..whole.len() - 10]);
    assert!(
        hear(declared(path, id_and_kind()))
            .message()
            .contains("cut short")
    );
    // Somewhere in the pages of the second row group.
    let (_directory, path) = file("rows.parquet", &whole);
    let metadata = parquet::arrow::arrow_reader::ArrowReaderMetadata::load(
        &std::fs::File::open(&path).unwrap(),
        Default::default(),
    )
    .unwrap();
    let (start, length) = metadata.metadata().row_group(1).column(2).byte_range();
    whole[start as usize..start as usize + length as usize / 2].fill(0xff);
    let (_directory, path) = file("rows.parquet", &whole);
    let heard = hear(declared(path, id_and_kind()));
    assert!(heard.rows.len() >= 1_000);
    let message = heard.message();
    assert!(
        message.contains("damaged in row group 1 of 3")
            && message.contains("rows before were read"),
        "{message}"
    );
}

/// Whatever bytes are broken, there are rows or an error and never a panic.
#[test]
fn damage_anywhere_ends_in_rows_or_an_error() {
    let whole = bytes(&some_events(600), 200);
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    println!("seed {seed}");
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..3_000 {
        let mut broken = whole.clone();
        for _ in 0..random.random_range(1..6) {
            let at = random.random_range(0..broken.len());
            broken[at] = random.random();
        }
        if random.random_range(0..4) == 0 {
            broken.truncate(random.random_range(0..broken.len()));
        }
        let path = put(directory.path(), "rows.parquet", &broken);
        let mut columns = id_and_kind();
        columns[1].dictionary = random.random();
        hear(declared(path, columns));
    }
}

#[test]
fn the_columns_of_a_file_are_found_by_file_directory_and_glob() {
    let (directory, path) = file("rows.parquet", bytes(&some_events(3), 1_000));
    let expected = vec![
        DeclaredColumn::new("noise", ColumnType::F64).nullable(),
        DeclaredColumn::new("kind", ColumnType::Text).nullable(),
        DeclaredColumn::new("id", ColumnType::U64).nullable(),
    ];
    let root = directory.path().to_str().unwrap().to_owned();
    for place in [path, root.clone(), format!("{root}/*.parquet")] {
        assert_eq!(parquet_columns(&place), Ok(expected.clone()));
    }
    assert!(
        parquet_columns("no/such.parquet")
            .unwrap_err()
            .contains("does not exist")
    );
    let (_directory, path) = file("rows.parquet", "no");
    assert!(parquet_columns(&path).unwrap_err().contains("rows.parquet"));
}

#[test]
fn texts_that_may_repeat_are_looked_up_in_no_dictionary_but_the_files() {
    // Too many and too long for a dictionary: the last of them lie outside.
    let long = (0..200_000).map(|row| Some(format!("{:020}", row % 150_000)));
    let written = batch(vec![
        ("long", Arc::new(StringArray::from_iter(long))),
        ("kind", Arc::clone(some_events(200_000).column(1))),
    ]);
    let columns = ["long", "kind"].map(|name| DeclaredColumn {
        repeats: true,
        ..DeclaredColumn::new(name, ColumnType::Text)
            .nullable()
            .dictionary()
    });
    let plain = columns.clone().map(|column| DeclaredColumn {
        dictionary: false,
        ..column
    });
    let heard = read(&written, columns.to_vec()).clean();
    assert_eq!(heard.rows, read(&written, plain.to_vec()).clean().rows);
    let values = |column: usize| {
        let column = heard.batches[0].batch.column(column);
        column.as_dictionary::<Int32Type>().values().len()
    };
    assert_eq!(values(0), heard.batches[0].batch.num_rows());
    assert_eq!(values(1), 3);
}
