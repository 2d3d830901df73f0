//! Delimited text: headers, quotes, and every kind of broken record.

use super::*;

fn read(columns: Vec<DeclaredColumn>, text: impl AsRef<[u8]>) -> Heard {
    let (_directory, path) = file("rows.csv", text);
    hear(Declared::new(
        vec![path],
        Format::Csv(CsvOptions::default()),
        columns,
    ))
}

#[test]
fn columns_are_found_by_header_and_fields_may_be_quoted() {
    let text = "\u{feff}kind,x, id \r\n\"a,\"\"b\"\"\nc\",,1\r\n\r\n,y,2\r\nplain,\"\",3";
    let heard = read(id_and_kind(), text).clean();
    assert_eq!(heard.rows, ["1|a,\"b\"\nc", "2|~", "3|plain"]);
    assert_eq!(heard.numbers, [2, 5, 6]);
}

#[test]
fn delimiter_and_quote_can_be_chosen_and_a_path_is_a_header_name() {
    let options = CsvOptions {
        delimiter: b';',
        quote: b'\'',
    };
    let columns = vec![
        DeclaredColumn::new("id", ColumnType::U64).at("Case ID"),
        DeclaredColumn::new("kind", ColumnType::Text),
    ];
    let (_directory, path) = file("rows.tsv", "kind;Case ID\n'a;b';1\n;2\n");
    let heard = hear(Declared::new(vec![path], Format::Csv(options), columns)).clean();
    assert_eq!(heard.rows, ["1|a;b", "2|"]);
}

#[test]
fn an_empty_field_is_null_or_empty_text() {
    let columns = vec![
        DeclaredColumn::new("id", ColumnType::U64),
        DeclaredColumn::new("a", ColumnType::Text),
        DeclaredColumn::new("b", ColumnType::F64).nullable(),
    ];
    let heard = read(columns, "id,a,b\n1,,\n,x,2\n");
    assert_eq!(heard.rows, ["1||~"]);
    assert_eq!(
        heard.reasons(),
        ["3 id: is null or missing, and the column may not be null"]
    );
}

#[test]
fn broken_records_are_rejected_and_the_lines_around_them_kept() {
    let mut text = b"id,kind\n1,a\n2\n3,b,c\nx,d\n4,\xff\n5,\"never\nclosed\n6,e\n".to_vec();
    text.extend(b"7,f\n");
    let heard = read(id_and_kind(), &text);
    assert!(heard.error.is_none());
    assert_eq!(heard.rows, ["1|a", "6|e", "7|f"]);
    assert_eq!(
        heard.reasons(),
        [
            "3 -: 1 fields where the header has 2",
            "4 -: 3 fields where the header has 2",
            "5 id: \"x\" is not a number",
            "6 -: the record is not valid UTF-8",
            "7 -: a quote opened in this line is never closed",
            "8 -: 1 fields where the header has 2",
        ]
    );
    assert_eq!(heard.rejects[4].raw, "5,\"never");
}

#[test]
fn a_stray_quote_that_meets_another_far_below_costs_two_lines_only() {
    let mut text = "id,kind\n1,\"a\n".to_owned();
    for row in 2..100 {
        text.push_str(&format!("{row},b\n"));
    }
    text.push_str("100,\"c\n101,d\n");
    let heard = read(id_and_kind(), &text);
    assert_eq!(heard.rows.len(), 99);
    assert_eq!(
        heard
            .rejects
            .iter()
            .map(|reject| reject.row)
            .collect::<Vec<_>>(),
        [2, 101]
    );
}

#[test]
fn a_record_past_the_limit_costs_its_first_line() {
    let mut text = b"id,kind\n1,\"".to_vec();
    for _ in 0..300 {
        text.extend(b"abc\n");
    }
    text.extend(b"\"\n2,b\n");
    let (_directory, path) = file("rows.csv", &text);
    let mut declared = Declared::new(
        vec![path],
        Format::Csv(CsvOptions::default()),
        id_and_kind(),
    );
    declared.max_record_bytes = 1_000;
    let heard = hear(declared);
    assert_eq!(heard.rows, ["2|b"]);
    assert_eq!(
        heard.rejects[0].reason,
        "longer than 1000 bytes, the limit of one record"
    );
    assert_eq!(heard.rejects.len() as u64, 301);
}

#[test]
fn headers_that_do_not_fit_are_errors_that_say_what_is_there() {
    let heard = read(id_and_kind(), "ID,kind,kind\n1,a,b\n");
    let message = heard.message();
    assert!(
        message.contains(
            "column `id` is not in the header (`ID`, `kind`, `kind`); did you mean `ID`?"
        ),
        "{message}"
    );
    assert!(
        message.contains("column `kind` is 2 times in the header; rename all but one"),
        "{message}"
    );
    assert!(heard.rows.is_empty());
}

#[test]
fn a_header_with_another_delimiter_is_told_as_that() {
    let heard = read(id_and_kind(), "id;kind\n1;a\n");
    let message = heard.message();
    let expected = r#"the header is one field with ";" in it: is it `delimiter = ";"`?"#;
    assert!(message.contains(expected), "{message}");
    assert!(!message.contains("not in the header"), "{message}");
}

#[test]
fn columns_that_are_not_declared_may_repeat() {
    assert_eq!(
        read(id_and_kind(), "id,x,x,kind\n1,,,a\n").clean().rows,
        ["1|a"]
    );
}

#[test]
fn empty_files_and_lone_headers_hold_no_rows() {
    for text in ["", "\n\n", "id,kind", "id,kind\r\n", "\u{feff}"] {
        assert!(
            read(id_and_kind(), text).clean().rows.is_empty(),
            "{text:?}"
        );
    }
}
