//! Expressions are what SQL says of them, row by row, and what cannot be computed is told.

use super::*;
use arrow::array::{AsArray, Int8Array, Int64Array, StringArray};
use arrow::datatypes::{Field, Int64Type, Schema};

fn batch() -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("kind", DataType::Utf8, true),
        Field::new("n", DataType::Int64, true),
    ]);
    let kind = StringArray::from(vec![Some("a"), None, Some("b")]);
    let n = Int64Array::from(vec![1, 2, 3]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(kind), Arc::new(n)]).unwrap()
}

#[test]
fn null_is_not_true() {
    let batch = batch();
    let plan = Planner::new()
        .plan("kind = 'a' or n > 5", &batch.schema())
        .unwrap();
    let truths: Vec<_> = plan.truths(&batch).unwrap().iter().collect();
    assert_eq!(truths, [Some(true), Some(false), Some(false)]);
    assert_eq!(plan.columns, BTreeSet::from([0, 1]));
}

#[test]
fn functions_that_stand_for_others_are_planned_too() {
    let batch = batch();
    for (sql, expected) in [
        ("coalesce(nullif(n, 2), 9) = 9", [false, true, false]),
        ("nvl(kind, 'b') = 'b'", [false, true, true]),
    ] {
        let plan = Planner::new().plan(sql, &batch.schema()).unwrap();
        let truths: Vec<_> = plan.truths(&batch).unwrap().iter().flatten().collect();
        assert_eq!(truths, expected, "{sql}");
    }
}

#[test]
fn what_cannot_be_computed_is_told_with_the_values_it_was_computed_of() {
    let batch = batch();
    let plan = Planner::new().plan("6 / (n - 2) > 1", &batch.schema());
    let error = plan.unwrap().truths(&batch).unwrap_err().to_string();
    assert!(
        error.contains("`6 / (n - 2) > 1` cannot be computed, where n = 2: "),
        "{error}"
    );
    assert!(error.contains("division by zero; divide by"), "{error}");
}

#[test]
fn rows_that_cannot_be_computed_are_found_and_no_others() {
    let planner = Planner::new();
    let schema = batch().schema();
    let numbers: Vec<i64> = (0..100).map(|n| n * n % 7).collect();
    let kinds = StringArray::from(vec![Some("a"); 100]);
    let columns: Vec<ArrayRef> = vec![Arc::new(kinds), Arc::new(Int64Array::from(numbers.clone()))];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let plan = planner.plan("8 / n", &schema).unwrap();
    let plan = plan.told_as("8 / n", Some("sums.x.of, job.toml:7".to_owned()));
    let (values, failures) = plan.computed(&batch).unwrap();
    let expected: Int64Array = numbers.iter().map(|n| 8i64.checked_div(*n)).collect();
    assert_eq!(values.as_ref(), &expected as &dyn Array);
    let zeros: Vec<usize> = (0..100).filter(|row| numbers[*row] == 0).collect();
    let rows: Vec<usize> = failures.iter().map(|failure| failure.row).collect();
    assert_eq!(rows, zeros);
    assert_eq!(
        failures[0].reason,
        "`8 / n` (sums.x.of, job.toml:7) cannot be computed, where n = 0: \
         division by zero; divide by `nullif(..., 0)` to get null"
    );
    // What a row's own values keep from being computed fails for no row.
    let plan = planner.plan("n <> 0 and 8 / n > 3", &schema).unwrap();
    let truths: Vec<bool> = plan.truths(&batch).unwrap().iter().flatten().collect();
    let expected = numbers.iter().map(|n| (1..=2).contains(n));
    assert_eq!(truths, expected.collect::<Vec<_>>());
    let empty = planner.plan("8 / n", &schema).unwrap();
    assert_eq!(empty.values(&batch.slice(0, 0)).unwrap().len(), 0);
}

#[test]
fn whole_numbers_do_not_wrap_around() {
    let batch = batch();
    for sql in [
        "n * 4611686018427387904",
        "abs(1 + (n + 9223372036854775805))",
    ] {
        let plan = Planner::new().plan(sql, &batch.schema()).unwrap();
        let (values, failures) = plan.computed(&batch).unwrap();
        let rows: Vec<usize> = failures.iter().map(|failure| failure.row).collect();
        assert_eq!(rows, [1, 2], "{sql}");
        assert_eq!(values.null_count(), 2, "{sql}");
    }
    let schema = Arc::new(Schema::new(vec![Field::new("s", DataType::Int8, true)]));
    let smallest: ArrayRef = Arc::new(Int8Array::from(vec![-127, -128]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![smallest]).unwrap();
    let plan = Planner::new().plan("-s", &schema).unwrap();
    let (values, failures) = plan.computed(&batch).unwrap();
    assert_eq!(
        values.as_ref(),
        &Int8Array::from(vec![Some(127), None]) as &dyn Array
    );
    assert_eq!(failures.len(), 1);
}

#[test]
fn constants_that_overflow_are_refused_and_do_not_wrap_around() {
    let schema = batch().schema();
    for sql in [
        "9223372036854775807 + 1 + n",
        "n > coalesce(9223372036854775807, n) * 2",
        "cast(127 as tinyint) + cast(abs(-1) as tinyint)",
        "n = 0 or n > -9223372036854775807 - 2",
    ] {
        let planned = Planner::new().plan(sql, &schema);
        let error = cause(&planned.expect_err(sql));
        assert!(error.ends_with(" overflows"), "{sql}: {error}");
    }
    for (sql, expected) in [("n + 3 * 4 - -2", 15), ("n + abs(-2) * 2", 5)] {
        let plan = Planner::new().plan(sql, &schema).unwrap();
        let values = plan.values(&batch()).unwrap();
        assert_eq!(values.as_primitive::<Int64Type>().value(0), expected);
    }
    // What only rows can know is left to them.
    assert!(Planner::new().plan("n <> 0 or 1 / 0 > n", &schema).is_ok());
}

#[test]
fn unknown_columns_are_errors() {
    let schema = batch().schema();
    assert!(Planner::new().plan("kynd = 'a'", &schema).is_err());
}
