//! JSON lines: types, strictness, and every kind of broken line.

use arrow::datatypes::TimeUnit;
use rand::prelude::*;

use super::*;

fn read(columns: Vec<DeclaredColumn>, text: impl AsRef<[u8]>) -> Heard {
    let (_directory, path) = file("rows.jsonl", text);
    hear(Declared::new(vec![path], Format::JsonLines, columns))
}

/// The value of one column of one row, or the reason it was rejected.
fn one(kind: ColumnType, value: &str) -> String {
    let heard = read(
        vec![DeclaredColumn::new("v", kind).nullable()],
        format!("{{\"v\":{value}}}\n"),
    );
    assert!(heard.error.is_none());
    match heard.rows.first() {
        Some(row) => row.clone(),
        None => heard.rejects[0].reason.clone(),
    }
}

#[test]
fn rows_are_read_in_order_whatever_the_order_of_keys() {
    let text = "{\"id\":1,\"kind\":\"a\",\"more\":[{\"x\":1},\"}\"]}\n\n{\"kind\":null,\"id\":\"2\"}\r\n  \n{ \"id\" : 3 }";
    let heard = read(id_and_kind(), text).clean();
    assert_eq!(heard.rows, ["1|a", "2|~", "3|~"]);
    assert_eq!(heard.numbers, [1, 3, 5]);
    assert_eq!(heard.batches[0].position.first_byte, 0);
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
fn every_type_reads_numbers_and_numeric_text() {
    use ColumnType::*;
    for (kind, value, expected) in [
        (I8, "-128", "-128"),
        (I8, "128", "\"128\" is out of the range of i8"),
        (U8, "-1", "\"-1\" is out of the range of u8"),
        (I32, "1e3", "1000"),
        (I32, "\"17\"", "17"),
        (I32, "1.5", "\"1.5\" is not a whole number"),
        (I32, "\"\"", "\"\" is not a number"),
        (U64, "18446744073709551615", "18446744073709551615"),
        (
            U64,
            "18446744073709551616",
            "\"18446744073709551616\" is out of the range of u64",
        ),
        (I64, "-9223372036854775808", "-9223372036854775808"),
        (I64, "true", "true does not fit the column"),
        (I64, "[1]", "is an array, not one value"),
        (
            I64,
            "{\"a\":1}",
            "is an object; name the value inside with a path",
        ),
        (F64, "0.1", "0.1"),
        (F64, "1e400", "\"1e400\" is out of the range of f64"),
        (F64, "\"NaN\"", "~"),
        (F64, "\"Infinity\"", "\"Infinity\" is not a number"),
        (F32, "1e39", "\"1e39\" is out of the range of f32"),
        (Bool, "false", "false"),
        (Bool, "\"Yes\"", "true"),
        (Bool, "1", "\"1\" is a number, not true or false"),
        (Text, "\"a\\u00e9\\ud83d\\ude00\\n\"", "aé😀\n"),
        (Text, "12.50", "12.50"),
        (Text, "true", "true"),
        (Text, "null", "~"),
        (Date, "\"2024-02-29\"", "2024-02-29"),
        (
            Date,
            "\"2023-02-29\"",
            "\"2023-02-29\" is not a day such as 2024-01-31",
        ),
        (
            Epoch(TimeUnit::Millisecond),
            "1704067200123",
            "2024-01-01T00:00:00.123",
        ),
        (
            Epoch(TimeUnit::Second),
            "\"1704067200\"",
            "2024-01-01T00:00:00",
        ),
        (
            Epoch(TimeUnit::Nanosecond),
            "1",
            "1970-01-01T00:00:00.000000001",
        ),
        (
            Epoch(TimeUnit::Second),
            "1704067200.5",
            "\"1704067200.5\" is not a whole number of seconds; declare a finer unit",
        ),
        (
            Epoch(TimeUnit::Second),
            "253402300799",
            "9999-12-31T23:59:59",
        ),
        (
            Epoch(TimeUnit::Second),
            "253402300800",
            "\"253402300800\" lies outside the years 0000 to 9999",
        ),
        (
            Epoch(TimeUnit::Second),
            "-62167219200",
            "0000-01-01T00:00:00",
        ),
        (
            Epoch(TimeUnit::Second),
            "99999999999999999999",
            "\"99999999999999999999\" is not a whole number of seconds; declare a finer unit",
        ),
        (
            Rfc3339,
            "\"2024-01-01T01:00:00+01:00\"",
            "2024-01-01T00:00:00",
        ),
        (Rfc3339, "\"0000-01-01T00:00:00Z\"", "0000-01-01T00:00:00"),
        (
            Rfc3339,
            "\"9999-12-31T23:59:59.999999Z\"",
            "9999-12-31T23:59:59.999999",
        ),
        (
            Rfc3339,
            "\"0000-01-01T00:00:00+01:00\"",
            "\"0000-01-01T00:00:00+01:00\" lies outside the years 0000 to 9999",
        ),
        (
            Rfc3339,
            "\"soon\"",
            "\"soon\" is not a time like 2024-01-31T10:00:00Z",
        ),
        (
            TimeFormat("%d.%m.%Y %H:%M".into()),
            "\"31.01.2024 10:30\"",
            "2024-01-31T10:30:00",
        ),
    ] {
        assert_eq!(one(kind.clone(), value), expected, "{kind} {value}");
    }
}

#[test]
fn broken_lines_are_rejected_with_line_byte_column_and_reason_and_their_neighbours_stay() {
    let lines: [&[u8]; 12] = [
        b"{\"id\":1}",
        b"{\"id\":2",
        b"{\"id\":3}",
        b"{\"id\":4}}",
        b"{\"id\":5,}",
        b"[6]",
        b"{\"id\":7,\"kind\":\"\xff\"}",
        b"{\"kind\":\"no id\"}",
        b"{\"id\":9,\"id\":9}",
        b"{\"id\":10,\"kind\":\"tab\there\"}",
        b"{\"id\":11 \"kind\":\"a\"}",
        b"{\"id\":12,\"other\":01,\"kind\":\"b\"}",
    ];
    let heard = read(id_and_kind(), lines.join(&b'\n'));
    assert!(heard.error.is_none());
    assert_eq!(heard.rows, ["1|~", "3|~"]);
    assert_eq!(
        heard.reasons(),
        [
            "2 -: not JSON at byte 7 of the line: the line ends where `,` or `}` should be",
            "4 -: not JSON at byte 8 of the line: '}' where the end of the line should be",
            "5 -: not JSON at byte 8 of the line: '}' where a key in double quotes should be",
            "6 -: not JSON at byte 0 of the line: '[' where an object `{…}` should be",
            "7 -: the line is not valid UTF-8",
            "8 id: is null or missing, and the column may not be null",
            "9 id: appears twice in the object",
            "10 -: not JSON at byte 20 of the line: '\\t' where no control character inside a string should be",
            "11 -: not JSON at byte 9 of the line: '\"' where `,` or `}` should be",
            "12 -: not JSON at byte 17 of the line: '0' where a number should be",
        ]
    );
    assert_eq!(heard.rejects[0].byte, 9);
    assert_eq!(heard.rejects[4].raw, "{\"id\":7,\"kind\":\"\u{fffd}\"}");
}

#[test]
fn values_are_found_by_dotted_paths() {
    let columns = vec![
        DeclaredColumn::new("id", ColumnType::U64).at("data.ticket.id"),
        DeclaredColumn::new("id_text", ColumnType::Text).at("data.ticket.id"),
        DeclaredColumn::new("who", ColumnType::Text)
            .at("data.who")
            .nullable(),
        DeclaredColumn::new("a.b", ColumnType::I64).nullable(),
    ];
    let text = "{\"data\":{\"ticket\":{\"x\":{},\"id\":7},\"who\":\"me\"},\"a.b\":1}\n{\"data\":{\"ticket\":{\"id\":8}}}\n\
                {\"data\":null}\n{\"data\":5}\n{\"data\":x}";
    let heard = read(columns, text);
    assert_eq!(heard.rows, ["7|7|me|1", "8|8|~|~"]);
    assert_eq!(
        heard.reasons(),
        [
            "3 id: is null or missing, and the column may not be null",
            "4 id: lies inside an object, and here is none",
            "5 -: not JSON at byte 8 of the line: 'x' where an object `{…}` should be",
        ]
    );
}

#[test]
fn a_line_past_the_limit_is_rejected_in_bounded_memory() {
    let mut text = b"{\"id\":1}\n{\"id\":2,\"x\":\"".to_vec();
    text.extend(std::iter::repeat_n(b'x', 100 << 20));
    text.extend(b"\"}\n{\"id\":3}\n");
    let (_directory, path) = file("rows.jsonl", &text);
    let heard = hear(Declared::new(vec![path], Format::JsonLines, id_and_kind()));
    assert_eq!(heard.rows, ["1|~", "3|~"]);
    assert_eq!(
        heard.reasons(),
        ["2 -: longer than 16777216 bytes, the limit of one record"]
    );
    assert_eq!(heard.rejects[0].raw.len(), 1024);
}

/// A blank line past the limit was rejected or not, depending on how the text was cut into reads.
#[test]
fn a_blank_line_past_the_limit_is_rejected_too() {
    let blank = " ".repeat(20);
    let text = format!("{{\"id\":1}}\n{blank}\n\n{{\"id\":3}}\n{blank}");
    let (_directory, path) = file("rows.jsonl", text);
    let mut declared = Declared::new(vec![path], Format::JsonLines, id_and_kind());
    declared.max_record_bytes = 16;
    let heard = hear(declared);
    assert_eq!(heard.rows, ["1|~", "3|~"]);
    assert_eq!(
        heard.reasons(),
        [
            "2 -: longer than 16 bytes, the limit of one record",
            "5 -: longer than 16 bytes, the limit of one record",
        ]
    );
}

#[test]
fn depth_is_bounded() {
    let deep = |depth: usize| {
        format!(
            "{{\"x\":{}{},\"id\":1}}",
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    assert_eq!(read(id_and_kind(), deep(128)).clean().rows.len(), 1);
    let heard = read(id_and_kind(), deep(1_000_000));
    assert_eq!(
        heard.reasons(),
        ["1 -: not JSON at byte 133 of the line: values are nested more than 128 deep"]
    );
}

#[test]
fn a_dictionary_holds_the_same_rows_and_keeps_its_values_from_batch_to_batch() {
    let mut declared = Declared::new(
        vec![],
        Format::JsonLines,
        vec![
            DeclaredColumn::new("kind", ColumnType::Text)
                .nullable()
                .dictionary(),
        ],
    );
    let lines: Vec<String> = (0..100)
        .map(|row| match row % 4 {
            3 => "{}".to_owned(),
            kind => format!("{{\"kind\":\"k{kind}\"}}"),
        })
        .collect();
    let (_directory, path) = file("rows.jsonl", lines.join("\n"));
    declared.paths = vec![path];
    declared.batch_rows = 10;
    let heard = hear(declared).clean();
    let expected: Vec<String> = (0..100)
        .map(|row| {
            if row % 4 == 3 {
                "~".into()
            } else {
                format!("k{}", row % 4)
            }
        })
        .collect();
    assert_eq!(heard.rows, expected);
    let values = |batch: &SourceBatch| {
        use arrow::array::AsArray;
        let keys = batch
            .batch
            .column(0)
            .as_dictionary::<arrow::datatypes::Int32Type>();
        std::sync::Arc::clone(keys.values())
    };
    assert!(
        heard
            .batches
            .windows(2)
            .all(|pair| std::sync::Arc::ptr_eq(&values(&pair[0]), &values(&pair[1])))
    );
    let nulls = read(
        vec![
            DeclaredColumn::new("kind", ColumnType::Text)
                .nullable()
                .dictionary(),
        ],
        "{}\n{}",
    );
    assert_eq!(nulls.clean().rows, ["~", "~"]);
}

/// What is accepted as JSON is exactly what a plain JSON parser accepts, for lines broken at random.
#[test]
fn the_reader_accepts_what_serde_json_accepts() {
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let good = [
        r#"{"id":1,"kind":"a\u00e9\n","more":[1,-2.5e+3,{"x":null,"y":[true,false]},"z"],"empty":{},"list":[]}"#,
        r#"{ "kind" : "ü" , "id":  12 , "deep" : [[[]]] }"#,
        r#"{"\u0069d":5}"#,
    ];
    let bytes = b"{}[]\",:0123456789.eE+-truefalsn\\ \t\x01x\xc3";
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..40_000 {
        let mut line = good[random.random_range(0..good.len())].as_bytes().to_vec();
        for _ in 0..random.random_range(0..3) {
            let at = random.random_range(0..line.len());
            match random.random_range(0..3) {
                0 => line[at] = bytes[random.random_range(0..bytes.len())],
                1 => drop(line.remove(at)),
                _ => line.insert(at, bytes[random.random_range(0..bytes.len())]),
            }
        }
        let columns = vec![DeclaredColumn::new("never", ColumnType::I64).nullable()];
        let declared = Declared::new(vec!["-".into()], Format::JsonLines, columns);
        let mut rows = crate::sources::batch::Rows::new(&declared);
        let mut reader = crate::sources::json_lines::JsonLines::new(&declared);
        let mut place = crate::sources::batch::Place { line: 1, byte: 0 };
        let name = std::sync::Arc::from("-");
        crate::sources::text_file::Records::read(
            &mut reader,
            &line,
            true,
            &name,
            &mut place,
            &mut rows,
        )
        .unwrap();
        let batch = rows.finish(&name).unwrap();
        let taken = batch.as_ref().is_none_or(|batch| batch.rejects.is_empty());
        let is_object = match serde_json::from_slice::<serde_json::Value>(&line) {
            Ok(value) => value.is_object(),
            // A number past every float is JSON all the same.
            Err(error) if error.to_string().starts_with("number out of range") => {
                std::str::from_utf8(&line)
                    .is_ok_and(|line| serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok())
            }
            Err(_) => false,
        };
        let blank = line.trim_ascii().is_empty();
        assert_eq!(
            taken,
            is_object || blank,
            "{} (seed {seed}): {batch:?}",
            String::from_utf8_lossy(&line)
        );
        if taken { accepted += 1 } else { refused += 1 }
    }
    assert!(accepted > 1_000 && refused > 1_000, "{accepted} {refused}");
}
