//! Rendering: every kind of column, its nulls and its edges.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, TimeUnit as ArrowUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt64Type,
};
use tidegate_schemas::fact::{NULL, float_word};
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::{Kind, OutputSchema, Rows};
use tidegate_schemas::time::{EventTime, TimeUnit};

use super::super::error::Problem;
use super::super::render::Renderer;
use super::{Random, column};

/// An output with one column, and a renderer of it.
fn renderer(kind: Kind, names: &Arc<Names>) -> Renderer {
    let output = OutputSchema {
        name: "o".to_owned(),
        key: Some("k".to_owned()),
        columns: vec![column("c", kind)],
        identity: vec![],
    };
    Renderer::new(&output, Arc::clone(names))
}

fn plain(words: &[i64]) -> Rows {
    let mut rows = Rows::new(1);
    for word in words {
        rows.begin("k", EventTime(0), 1)[0].push(*word);
    }
    rows
}

fn lists(lists: &[&[i64]]) -> Rows {
    let mut rows = Rows::new(1);
    for list in lists {
        rows.begin("k", EventTime(0), 1)[0].push_list(list.iter().copied());
    }
    rows
}

/// The rendered column.
fn rendered(kind: Kind, words: &[i64]) -> ArrayRef {
    let batch = renderer(kind, &Arc::default())
        .render(&plain(words))
        .expect("it renders");
    Arc::clone(batch.column(1))
}

#[test]
fn keys_come_first_and_empty_ones_stay() {
    let mut rows = Rows::new(1);
    for key in ["Zürich", "", "c2"] {
        rows.begin(key, EventTime(0), 1)[0].push(1);
    }
    let batch = renderer(Kind::Int, &Arc::default())
        .render(&rows)
        .expect("it renders");
    let keys: Vec<_> = batch.column(0).as_string::<i32>().iter().collect();
    assert_eq!(keys, [Some("Zürich"), Some(""), Some("c2")]);
    assert_eq!(batch.schema().field(0).name(), "k");
}

#[test]
fn whole_numbers_have_nulls_and_ids_have_none() {
    let numbers = rendered(Kind::Int, &[1, NULL, -3]);
    let numbers: Vec<_> = numbers.as_primitive::<Int64Type>().iter().collect();
    assert_eq!(numbers, [Some(1), None, Some(-3)]);
    assert!(rendered(Kind::Int, &[1, 2]).nulls().is_none());
    let ids = rendered(Kind::Id { shown: 15 }, &[3, -1]);
    assert_eq!(ids.as_primitive::<UInt64Type>().values(), &[3, 15]);
    let ids = rendered(Kind::Id { shown: u64::MAX }, &[0, -1, NULL]);
    assert_eq!(
        ids.as_primitive::<UInt64Type>().values(),
        &[0, u64::MAX, 1 << 63]
    );
    assert_eq!(ids.null_count(), 0);
}

#[test]
fn ids_that_are_texts_are_shown_as_these() {
    let names = Arc::new(Names::default());
    let told = [(7, EventTime(0), "T-7"), (u64::MAX, EventTime(0), "Zürich")];
    assert!(names.ids().remember(told).is_empty());
    let mut rows = Rows::new(1);
    for word in [-1, 7, -1] {
        rows.begin("k", EventTime(0), 1)[0].push(word);
    }
    let mut renderer = renderer(Kind::IdText, &names);
    let batch = renderer.render(&rows).expect("it renders");
    assert!(!batch.schema().field(1).is_nullable());
    let ids: Vec<_> = batch.column(1).as_string::<i32>().iter().collect();
    assert_eq!(ids, [Some("Zürich"), Some("T-7"), Some("Zürich")]);
    rows.begin("k", EventTime(0), 1)[0].push(8);
    let told = renderer.render(&rows).expect_err("8 is not known");
    assert!(
        matches!(told, Problem::UnknownCode { code: 8, .. }),
        "{told:?}"
    );
}

#[test]
fn truth_values_and_floats() {
    let truth: Vec<_> = rendered(Kind::Bool, &[1, 0, NULL])
        .as_boolean()
        .iter()
        .collect();
    assert_eq!(truth, [Some(true), Some(false), None]);
    let words = [
        float_word(-0.0),
        float_word(f64::NAN),
        float_word(f64::INFINITY),
    ];
    let floats = rendered(Kind::Float, &words);
    let floats: Vec<_> = floats.as_primitive::<Float64Type>().iter().collect();
    assert_eq!(floats, [Some(0.0), None, Some(f64::INFINITY)]);
}

#[test]
fn fixed_point_becomes_the_nearest_float() {
    let mut random = Random(0x5EED);
    let mut words = vec![
        0,
        1,
        -1,
        NULL,
        NULL + 1,
        i64::MAX,
        (1 << 53) + 1,
        -(1 << 53) - 1,
    ];
    words.extend((0..5_000).map(|_| (random.next() as i64) >> random.below(64)));
    for scale in [0, 2, 3, 6, 18, 22, 30] {
        let floats = rendered(Kind::Fixed { scale }, &words);
        for (float, word) in floats.as_primitive::<Float64Type>().iter().zip(&words) {
            let nearest = format!("{word}e-{scale}").parse().ok();
            assert_eq!(
                float,
                nearest.filter(|_| *word != NULL),
                "{word} at scale {scale}"
            );
        }
    }
}

#[test]
fn spans_are_seconds() {
    let seconds = rendered(Kind::Span, &[1_500_000, NULL, 0, -1]);
    assert_eq!(
        seconds.as_primitive::<Float64Type>(),
        &Float64Array::from(vec![Some(1.5), None, Some(0.0), Some(-0.000_001)])
    );
}

#[test]
fn times_are_in_the_unit_of_their_column() {
    let words = [1_500_000, NULL, -1];
    let of = |unit| rendered(Kind::Time(unit), &words);
    let expect = |array: ArrayRef, unit| {
        assert_eq!(array.data_type(), &DataType::Timestamp(unit, None));
        assert!(array.is_null(1) && array.null_count() == 1);
        array
    };
    let second = expect(of(TimeUnit::Second), ArrowUnit::Second);
    let second = second.as_primitive::<TimestampSecondType>();
    assert_eq!((second.value(0), second.value(2)), (1, -1));
    let milli = expect(of(TimeUnit::Millisecond), ArrowUnit::Millisecond);
    let milli = milli.as_primitive::<TimestampMillisecondType>();
    assert_eq!((milli.value(0), milli.value(2)), (1_500, -1));
    let micro = expect(of(TimeUnit::Microsecond), ArrowUnit::Microsecond);
    assert_eq!(
        micro.as_primitive::<TimestampMicrosecondType>().value(2),
        -1
    );
    let nano = expect(of(TimeUnit::Nanosecond), ArrowUnit::Nanosecond);
    assert_eq!(
        nano.as_primitive::<TimestampNanosecondType>().value(2),
        -1_000
    );
}

#[test]
fn times_that_nanoseconds_cannot_hold_are_null_and_counted() {
    let mut renderer = renderer(Kind::Time(TimeUnit::Nanosecond), &Arc::default());
    let year_9999 = 253_402_300_799_000_000;
    let batch = renderer
        .render(&plain(&[0, year_9999, NULL, -year_9999, i64::MAX / 1_000]))
        .expect("it renders");
    let nulls: Vec<_> = (0..5).map(|row| batch.column(1).is_null(row)).collect();
    assert_eq!(nulls, [false, true, true, true, false]);
    assert_eq!(renderer.out_of_range(), 2);
}

#[test]
fn texts_come_from_their_codes() {
    let names = Arc::new(Names::default());
    let (chat, empty) = (names.code("chat").unwrap(), names.code("").unwrap());
    let mut renderer = renderer(Kind::Text, &names);
    for _ in 0..2 {
        let batch = renderer
            .render(&plain(&[chat, NULL, empty, chat]))
            .expect("it renders");
        let texts: Vec<_> = batch.column(1).as_string::<i32>().iter().collect();
        assert_eq!(texts, [Some("chat"), None, Some(""), Some("chat")]);
    }
    for (words, wanted) in [
        ([chat; 3], Some("chat")),
        ([NULL; 3], None),
        ([empty; 3], Some("")),
    ] {
        let batch = renderer.render(&plain(&words)).expect("it renders");
        let texts: Vec<_> = batch.column(1).as_string::<i32>().iter().collect();
        assert_eq!(texts, [wanted; 3]);
    }
    assert!(matches!(
        renderer.render(&plain(&[chat, 7])),
        Err(Problem::UnknownCode { code: 7, .. })
    ));
}

#[test]
fn lists_may_be_empty_and_hold_nulls() {
    let names = Arc::new(Names::default());
    let chat = names.code("chat").unwrap();
    let mut renderer = renderer(Kind::List(Box::new(Kind::Text)), &names);
    let batch = renderer
        .render(&lists(&[&[], &[chat, NULL], &[], &[chat]]))
        .expect("it renders");
    let rows = batch.column(1).as_list::<i32>();
    let texts = |row: usize| -> Vec<Option<String>> {
        let list = rows.value(row);
        let list = list.as_string::<i32>();
        list.iter().map(|text| text.map(str::to_owned)).collect()
    };
    assert_eq!(texts(0), []);
    assert_eq!(texts(1), [Some("chat".to_owned()), None]);
    assert_eq!(texts(3), [Some("chat".to_owned())]);
    assert_eq!(rows.null_count(), 0);
}

#[test]
fn histograms_are_lists_of_values_with_counts() {
    let names = Arc::new(Names::default());
    let (a, b) = (names.code("a").unwrap(), names.code("b").unwrap());
    let mut renderer = renderer(Kind::Histogram(Box::new(Kind::Text)), &names);
    let batch = renderer
        .render(&lists(&[&[a, 5, b, 2], &[], &[b, 1]]))
        .expect("it renders");
    let rows = batch.column(1).as_list::<i32>();
    assert_eq!(
        (
            rows.value_length(0),
            rows.value_length(1),
            rows.value_length(2)
        ),
        (2, 0, 1)
    );
    let first = rows.value(0);
    let first = first.as_struct();
    assert_eq!(first.column(0).as_string::<i32>().value(1), "b");
    assert_eq!(
        first.column(1).as_primitive::<Int64Type>().values(),
        &[5, 2]
    );
}

#[test]
fn no_rows_and_no_key_are_rendered_too() {
    let output = OutputSchema {
        name: "drift.mix".to_owned(),
        key: None,
        columns: vec![
            column("hour", Kind::Int),
            column("seen", Kind::List(Box::new(Kind::Int))),
        ],
        identity: vec![0],
    };
    let mut renderer = Renderer::new(&output, Arc::default());
    let batch = renderer.render(&Rows::new(2)).expect("it renders");
    assert_eq!((batch.num_rows(), batch.num_columns()), (0, 2));
}

#[test]
fn rows_that_do_not_fit_are_an_error() {
    let mut int = renderer(Kind::Int, &Arc::default());
    assert!(matches!(
        int.render(&Rows::new(2)),
        Err(Problem::Shape { .. })
    ));
    let mut short = plain(&[1, 2]);
    short.columns[0].words.pop();
    assert!(matches!(int.render(&short), Err(Problem::Shape { .. })));
    let mut nested = renderer(
        Kind::List(Box::new(Kind::List(Box::new(Kind::Int)))),
        &Arc::default(),
    );
    assert!(matches!(
        nested.render(&lists(&[&[1]])),
        Err(Problem::Shape { .. })
    ));
    let mut odd = renderer(Kind::Histogram(Box::new(Kind::Int)), &Arc::default());
    assert!(matches!(
        odd.render(&lists(&[&[1, 2, 3]])),
        Err(Problem::Shape { .. })
    ));
}

#[test]
fn a_block_is_rendered_as_its_rows_one_by_one() {
    let names = Arc::new(Names::default());
    let codes: Vec<_> = (0..20)
        .map(|n| names.code(&format!("t{n}")).unwrap())
        .collect();
    let kinds = [
        Kind::Int,
        Kind::Fixed { scale: 3 },
        Kind::Text,
        Kind::Time(TimeUnit::Millisecond),
        Kind::List(Box::new(Kind::Text)),
        Kind::Histogram(Box::new(Kind::Text)),
    ];
    let output = OutputSchema {
        name: "o".to_owned(),
        key: Some("k".to_owned()),
        columns: (0..)
            .zip(&kinds)
            .map(|(n, kind)| column(&format!("c{n}"), kind.clone()))
            .collect(),
        identity: vec![],
    };
    for seed in 1..40 {
        eprintln!("seed {seed}");
        let mut random = Random(seed * 0x9E37);
        let mut rows = Rows::new(kinds.len());
        for _ in 0..random.below(200) {
            let key = "x".repeat(random.below(5) as usize);
            let columns = rows.begin(&key, EventTime(0), 1);
            for (column, kind) in columns.iter_mut().zip(&kinds) {
                let code = codes[random.below(20) as usize];
                let word = match kind {
                    Kind::Text => code,
                    _ => random.next() as i64 >> 8,
                };
                match kind {
                    Kind::List(_) => column.push_list((0..random.below(3)).map(|_| code)),
                    Kind::Histogram(_) => {
                        column.push_list([code, 3].repeat(random.below(3) as usize))
                    }
                    _ if random.below(4) == 0 => column.push(NULL),
                    _ => column.push(word),
                }
            }
        }
        let mut renderer = Renderer::new(&output, Arc::clone(&names));
        let together = renderer.render(&rows).expect("it renders");
        let single: Vec<RecordBatch> = (0..rows.len())
            .map(|row| {
                let mut one = Rows::new(kinds.len());
                one.append_row(&rows, row, 1);
                renderer.render(&one).expect("it renders")
            })
            .collect();
        let joined = concat_batches(renderer.schema(), &single).expect("one schema");
        assert_eq!(together, joined);
    }
}
