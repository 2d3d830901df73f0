//! Formats: what is in the files, value by value.

use std::io::Read;
use std::sync::Arc;

use ::parquet::basic::Encoding;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int8Array,
    Int64Array, RecordBatch, StringArray, StringViewArray, TimestampSecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, TimeUnit as ArrowUnit};

use super::*;

/// Columns of all kinds that may leave, with nulls.
fn all_kinds() -> RecordBatch {
    let names = Arc::new(Names::default());
    let code = |text: &str| names.code(text).unwrap();
    let output = OutputSchema {
        name: "o".to_owned(),
        key: Some("key".to_owned()),
        columns: vec![
            column("id", Kind::Id { shown: u64::MAX }),
            column("ts", Kind::Time(TimeUnit::Millisecond)),
            column("n", Kind::Int),
            column("mean", Kind::Float),
            column("sum", Kind::Fixed { scale: 2 }),
            column("open", Kind::Bool),
            column("topic", Kind::Text),
            column("path", Kind::List(Box::new(Kind::Text))),
            column("seen", Kind::List(Box::new(Kind::Time(TimeUnit::Second)))),
            column("top", Kind::Histogram(Box::new(Kind::Text))),
        ],
        identity: vec![],
    };
    let null = tidegate_schemas::fact::NULL;
    let mut rows = Rows::new(10);
    let columns = rows.begin("c,1", EventTime(0), 1);
    let float = tidegate_schemas::fact::float_word;
    for (column, word) in (0..).zip([-1, 1_500_000, -7, float(0.1), 1_250, 1, code("say \"hi\"")]) {
        columns[column].push(word);
    }
    columns[7].push_list([code("a"), null]);
    columns[8].push_list([1_000_000]);
    columns[9].push_list([code("a"), 2]);
    let columns = rows.begin("", EventTime(0), 1);
    columns[0].push(3);
    for column in &mut columns[1..7] {
        column.push(null);
    }
    for column in &mut columns[7..] {
        column.push_list([]);
    }
    crate::sinks::render::Renderer::new(&output, names)
        .render(&rows)
        .expect("it renders")
}

/// The file that a batch becomes.
fn file(batch: &RecordBatch, name: &str, format: Format) -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(name);
    let input = SinkInput::Batches(batch.schema());
    let mut sink =
        Sink::open(&spec(&path, format, Mode::Final), input, Arc::default()).expect("it opens");
    sink.batch(0, batch.clone()).expect("it is written");
    sink.finish().expect("it ends");
    std::fs::read(path).expect("it is there")
}

#[test]
fn json_lines_have_every_column() {
    let lines = String::from_utf8(file(&all_kinds(), "x.jsonl", Format::Jsonl)).expect("text");
    let expected = [
        r#"{"key":"c,1","id":18446744073709551615,"ts":"1970-01-01T00:00:01.500Z","n":-7,"mean":0.1,"sum":12.5,"open":true,"topic":"say \"hi\"","path":["a",null],"seen":["1970-01-01T00:00:01Z"],"top":[{"value":"a","count":2}]}"#,
        r#"{"key":"","id":3,"ts":null,"n":null,"mean":null,"sum":null,"open":null,"topic":null,"path":[],"seen":[],"top":[]}"#,
    ];
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
    for line in lines.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    }
}

#[test]
fn csv_tells_null_from_empty_and_quotes_what_it_must() {
    let text = String::from_utf8(file(&all_kinds(), "x.csv", Format::Csv)).expect("text");
    let expected = [
        "key,id,ts,n,mean,sum,open,topic,path,seen,top",
        r#""c,1",18446744073709551615,1970-01-01T00:00:01.500Z,-7,0.1,12.5,true,"say ""hi""","[""a"",null]","[""1970-01-01T00:00:01Z""]","[{""value"":""a"",""count"":2}]""#,
        r#""",3,,,,,,,[],[],[]"#,
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_as_in_the_lines_before_is_written_again() {
    let texts = ["a", "b", "", "\"", "longer"];
    let mut random = Random(0xA6A1);
    type Row<'a> = (Option<&'a str>, Option<i64>, bool, Option<i64>);
    let mut rows: Vec<Row<'_>> = Vec::new();
    for row in 0..3_000 {
        let mut new = (
            texts.get(random.below(6) as usize).copied(),
            (random.below(5) > 0).then(|| random.below(1_000) as i64),
            random.below(2) > 0,
            (random.below(3) > 0).then(|| random.below(60) as i64),
        );
        // Of each column, the value of one of the rows before, mostly.
        let mut before = || rows.get(row - 1 - random.below(3) as usize).copied();
        if row > 2 {
            new.0 = before().map_or(new.0, |row| row.0);
            new.1 = before().map_or(new.1, |row| row.1);
            new.2 = before().map_or(new.2, |row| row.2);
            new.3 = before().map_or(new.3, |row| row.3);
        }
        rows.push(new);
        if row % 7 == 0 {
            rows[row] = (
                texts.get(row % 6).copied(),
                Some(row as i64),
                false,
                Some(1),
            );
        }
    }
    let columns: [(&str, ArrayRef); 5] = [
        (
            "text",
            Arc::new(rows.iter().map(|row| row.0).collect::<StringArray>()),
        ),
        (
            "n",
            Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()),
        ),
        ("never", Arc::new(StringArray::new_null(rows.len()))),
        (
            "open",
            Arc::new(rows.iter().map(|row| Some(row.2)).collect::<BooleanArray>()),
        ),
        (
            "at",
            Arc::new(
                rows.iter()
                    .map(|row| row.3)
                    .collect::<TimestampSecondArray>(),
            ),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let lines = String::from_utf8(file(&batch, "o.jsonl", Format::Jsonl)).expect("text");
    let json = |value: &dyn Fn() -> Option<String>| value().unwrap_or_else(|| "null".to_owned());
    let expected = rows.iter().map(|(text, n, open, at)| {
        let text = json(&|| text.map(|text| format!("{text:?}")));
        let n = json(&|| n.map(|n| n.to_string()));
        let at = json(&|| at.map(|at| format!("\"1970-01-01T00:00:{at:02}Z\"")));
        format!("{{\"text\":{text},\"n\":{n},\"never\":null,\"open\":{open},\"at\":{at}}}\n")
    });
    assert_eq!(lines, expected.collect::<String>());
}

#[test]
fn lines_of_more_columns_than_a_word_has_bits_are_whole() {
    let mut random = Random(0xC0FFEE);
    let mut columns = Vec::new();
    for column in 0..150 {
        // Some never change, some do so by turns, and some at random.
        let value = |row: i64| match column % 3 {
            0 => column,
            1 => row % 2,
            _ => random.below(3) as i64,
        };
        columns.push((0..50).map(value).collect::<Vec<i64>>());
    }
    let array = |values: &Vec<i64>| Arc::new(Int64Array::from(values.clone())) as ArrayRef;
    let names = (0..columns.len()).map(|column| format!("c{column}"));
    let batch = RecordBatch::try_from_iter(names.zip(columns.iter().map(array))).expect("a batch");
    let lines = String::from_utf8(file(&batch, "o.jsonl", Format::Jsonl)).expect("text");
    let expected = (0..50).map(|row| {
        let members = columns.iter().enumerate();
        let members = members.map(|(column, values)| format!("\"c{column}\":{}", values[row]));
        format!("{{{}}}\n", members.collect::<Vec<_>>().join(","))
    });
    assert_eq!(lines, expected.collect::<String>());
}

#[test]
fn csv_texts_come_back_through_a_reader() {
    let texts = [
        "",
        " ",
        "a,b",
        "\"",
        "line\nbreak",
        "\r",
        "Zürich",
        "plain",
        " lead",
        "trail ",
        "\"\"",
    ];
    let batch = RecordBatch::try_from_iter([
        (
            "a \"name\", quoted",
            Arc::new(StringArray::from(texts.to_vec())) as ArrayRef,
        ),
        (
            "n",
            Arc::new(Int64Array::from_iter_values(0..texts.len() as i64)),
        ),
    ])
    .expect("a batch");
    let bytes = file(&batch, "x.csv", Format::Csv);
    // This reader takes every empty text for a null.
    let fields = batch
        .schema()
        .fields()
        .iter()
        .map(|field| {
            let field = arrow::datatypes::Field::clone(field);
            field.with_nullable(true)
        })
        .collect::<Vec<_>>();
    let schema = Arc::new(arrow::datatypes::Schema::new(fields));
    let mut reader = arrow::csv::ReaderBuilder::new(schema)
        .with_header(true)
        .build(bytes.as_slice())
        .expect("a reader");
    let back = reader.next().expect("rows").expect("CSV");
    let back: Vec<_> = back
        .column(0)
        .as_string::<i32>()
        .iter()
        .map(Option::unwrap_or_default)
        .collect();
    assert_eq!(back, texts);
}

#[test]
fn texts_hold_values_that_other_outputs_do_not_have() {
    let columns: [(&str, ArrayRef); 6] = [
        (
            "float",
            Arc::new(Float64Array::from(vec![f64::INFINITY, f64::NEG_INFINITY])),
        ),
        ("small", Arc::new(Int8Array::from(vec![1, -1]))),
        ("day", Arc::new(Date32Array::from(vec![0, 1]))),
        ("view", Arc::new(StringViewArray::from(vec!["a", "b,c"]))),
        (
            "money",
            Arc::new(
                Decimal128Array::from(vec![125, -1])
                    .with_precision_and_scale(10, 2)
                    .expect("a decimal"),
            ),
        ),
        ("yes", Arc::new(BooleanArray::from(vec![true, false]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let csv = String::from_utf8(file(&batch, "x.csv", Format::Csv)).expect("text");
    assert_eq!(
        csv,
        "float,small,day,view,money,yes\ninf,1,1970-01-01,a,1.25,true\n-inf,-1,1970-01-02,\"b,c\",-0.01,false\n"
    );
    let json = String::from_utf8(file(&batch, "x.jsonl", Format::Jsonl)).expect("text");
    assert!(
        json.starts_with(r#"{"float":null,"small":1,"day":"1970-01-01","view":"a""#),
        "{json}"
    );
}

#[test]
fn compression_follows_the_ending() {
    let plain = file(&all_kinds(), "x.jsonl", Format::Jsonl);
    let mut gunzipped = Vec::new();
    flate2::read::GzDecoder::new(file(&all_kinds(), "x.jsonl.gz", Format::Jsonl).as_slice())
        .read_to_end(&mut gunzipped)
        .expect("gzip");
    assert_eq!(gunzipped, plain);
    let zstd = file(&all_kinds(), "x.jsonl.zst", Format::Jsonl);
    assert_eq!(zstd::decode_all(zstd.as_slice()).expect("zstd"), plain);
}

#[test]
fn parquet_comes_back_as_it_was() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("x.parquet");
    let batch = all_kinds();
    std::fs::write(&path, file(&batch, "x.parquet", Format::Parquet)).expect("a copy");
    let back = read_parquet(&path);
    assert_eq!(back.schema().fields().len(), 11);
    for (index, column) in batch.columns().iter().enumerate() {
        // Only the seconds within the list keep their type by Arrow's own schema in the file.
        assert_eq!(back.column(index), column, "column {index}");
    }
}

#[test]
fn parquet_shows_seconds_as_timestamps() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("x.parquet");
    let batch = RecordBatch::try_from_iter([(
        "ts",
        Arc::new(TimestampSecondArray::from(vec![Some(2), None])) as ArrayRef,
    )])
    .expect("a batch");
    std::fs::write(&path, file(&batch, "x.parquet", Format::Parquet)).expect("a copy");
    let back = read_parquet(&path);
    assert_eq!(
        back.column(0).data_type(),
        &DataType::Timestamp(ArrowUnit::Millisecond, None)
    );
    assert!(back.column(0).is_null(1));
}

#[test]
fn parquet_columns_have_the_settings_of_their_types_even_with_dots_in_their_names() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("x.parquet");
    let mut output = visits();
    output.columns[1].name = "limits.rows".to_owned();
    let spec = SinkSpec {
        select: Some(vec![
            "customer_id as who".into(),
            "limits.rows".into(),
            "'x' as topic".into(),
        ]),
        ..spec(&path, Format::Parquet, Mode::Final)
    };
    let mut sink = Sink::open(&spec, SinkInput::Rows(output), Arc::default()).expect("it opens");
    sink.rows(0, visit_rows(&[("a", 1, 2, 1), ("b", 3, 4, 1)]))
        .expect("written");
    sink.finish().expect("it ends");
    let reader =
        SerializedFileReader::new(std::fs::File::open(&path).expect("a file")).expect("Parquet");
    let group = reader.metadata().row_group(0);
    let encodings = |index: usize| group.column(index).encodings().collect::<Vec<_>>();
    assert!(
        !encodings(0).contains(&Encoding::RLE_DICTIONARY),
        "keys have no dictionary"
    );
    assert!(
        group.column(0).statistics().is_none(),
        "keys have no statistics"
    );
    assert!(
        encodings(1).contains(&Encoding::DELTA_BINARY_PACKED),
        "{:?}",
        encodings(1)
    );
    assert!(
        group.column(1).statistics().is_none(),
        "counts have no statistics"
    );
    assert!(
        encodings(2).contains(&Encoding::RLE_DICTIONARY),
        "{:?}",
        encodings(2)
    );
}

#[test]
fn results_without_rows_are_files_too() {
    let batch = all_kinds().slice(0, 0);
    assert_eq!(file(&batch, "x.jsonl", Format::Jsonl), b"");
    assert!(file(&batch, "x.csv", Format::Csv).starts_with(b"key,id,ts"));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("x.parquet");
    std::fs::write(&path, file(&batch, "x.parquet", Format::Parquet)).expect("a copy");
    let reader =
        SerializedFileReader::new(std::fs::File::open(&path).expect("a file")).expect("Parquet");
    assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
}

#[test]
fn large_results_are_cut_into_row_groups() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("x.parquet");
    let batch = RecordBatch::try_from_iter([(
        "id",
        Arc::new(UInt64Array::from_iter_values(0..700_000)) as ArrayRef,
    )])
    .expect("a batch");
    let input = SinkInput::Batches(batch.schema());
    let mut sink = Sink::open(
        &spec(&path, Format::Parquet, Mode::Final),
        input,
        Arc::default(),
    )
    .expect("it opens");
    for tick in 0..3 {
        sink.batch(tick, batch.clone()).expect("it is written");
    }
    assert_eq!(sink.finish().expect("it ends").rows, 2_100_000);
    let reader =
        SerializedFileReader::new(std::fs::File::open(&path).expect("a file")).expect("Parquet");
    let rows: Vec<_> = reader
        .metadata()
        .row_groups()
        .iter()
        .map(|group| group.num_rows())
        .collect();
    assert_eq!(rows, [1_000_000, 1_000_000, 100_000]);
}
