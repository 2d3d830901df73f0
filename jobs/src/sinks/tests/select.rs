//! `select`: names before SQL, SQL where it is needed, and clear words when it is wrong.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Int64Type};

use super::super::error::Problem;
use super::super::select::{Rule, Select};

/// Columns with names that SQL would misread.
fn batch() -> RecordBatch {
    let numbers =
        |n: i64| Arc::new(Int64Array::from(vec![Some(n), None])) as arrow::array::ArrayRef;
    RecordBatch::try_from_iter([
        (
            "customer_id",
            Arc::new(StringArray::from(vec!["c1", "c2"])) as _,
        ),
        ("limits.threshold", numbers(4)),
        ("end", numbers(9)),
        ("Rows", numbers(5)),
        ("count", numbers(2)),
        ("date", numbers(1)),
        ("a b", numbers(8)),
        (
            "ts",
            Arc::new(TimestampMillisecondArray::from(vec![0, 86_400_000])) as _,
        ),
    ])
    .expect("columns of one length")
}

fn select(list: &[&str]) -> Result<RecordBatch, Problem> {
    let batch = batch();
    let list: Vec<_> = list.iter().map(|text| (*text).to_owned()).collect();
    Select::new(&list, &batch.schema(), &[])?.apply(&batch)
}

/// The first value of a single selected expression.
fn value(expression: &str) -> Option<i64> {
    let batch = select(&[&format!("{expression} as x")]).expect("it compiles");
    let numbers = arrow::compute::cast(batch.column(0), &DataType::Int64).expect("a number");
    numbers.as_primitive::<Int64Type>().iter().next().flatten()
}

fn names(batch: &RecordBatch) -> Vec<String> {
    batch
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect()
}

#[test]
fn names_are_moved_and_renamed_without_sql() {
    let batch = select(&[
        " customer_id ",
        "limits.threshold",
        "limits.threshold as threshold",
        "end",
        "\"end\" AS finish",
        "a b",
        "a b as ab",
        "Rows as \"n rows\"",
    ])
    .expect("it compiles");
    let expected = [
        "customer_id",
        "limits.threshold",
        "threshold",
        "end",
        "finish",
        "a b",
        "ab",
        "n rows",
    ];
    assert_eq!(names(&batch), expected);
    assert_eq!(batch.column(1).as_primitive::<Int64Type>().value(0), 4);
    assert!(
        Arc::ptr_eq(batch.column(1), batch.column(2)),
        "moved, not computed"
    );
}

#[test]
fn names_come_before_sql_within_expressions() {
    assert_eq!(value("limits.threshold + 1"), Some(5));
    assert_eq!(value("end - Rows"), Some(4));
    assert_eq!(value("\"end\" - \"Rows\""), Some(4));
    assert_eq!(
        value("case when end > 3 then limits.threshold else 0 end"),
        Some(4)
    );
    assert_eq!(
        value("case when true then case when true then 1 end end + end"),
        Some(10)
    );
    assert_eq!(
        value("case when count in (1, end) or 1 = end then 1 else -end end"),
        Some(-9)
    );
    assert_eq!(value("coalesce(count, 0) + \"date\""), Some(3));
    assert_eq!(value("cast('12' as bigint)"), Some(12));
    assert_eq!(value("cast(date '1970-01-11' as int)"), Some(10));
}

#[test]
fn expressions_see_nulls() {
    let batch = select(&[
        "coalesce(Rows, -1) as n",
        "ts >= timestamp '1970-01-02' as late",
    ])
    .expect("it compiles");
    assert_eq!(
        batch.column(0).as_primitive::<Int64Type>().values(),
        &[5, -1]
    );
    let late: Vec<_> = batch.column(1).as_boolean().iter().collect();
    assert_eq!(late, [Some(false), Some(true)]);
}

#[test]
fn a_constant_fills_its_column() {
    let batch = select(&["'v3' as version"]).expect("it compiles");
    assert_eq!(batch.num_rows(), 2);
}

/// What is said about a list that is wrong.
fn complaint(list: &[&str]) -> String {
    select(list).expect_err("it must not compile").to_string()
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let unknown = complaint(&["custmer as c"]);
    assert!(
        unknown.contains("custmer") && unknown.contains("the columns are customer_id"),
        "{unknown}"
    );
    assert!(complaint(&["Rows + 1"]).contains("write `Rows + 1 as NAME`"));
    assert!(complaint(&["nonsense"]).contains("the columns are"));
    assert!(complaint(&["ts", "Rows as ts"]).contains("`ts` is taken"));
    assert!(complaint(&["'open as x"]).contains("quote"));
    assert!(complaint(&["Rows + as x"]).contains("Rows + as x"));
    assert!(complaint(&["sum(Rows) as x"]).contains("sum"));
    assert!(complaint(&["(select 1) as x"]).contains("select 1"));
    assert!(complaint(&["no_such(Rows) as x"]).contains("no_such"));
    assert!(complaint(&["customer_id - ts as x"]).contains("customer_id - ts"));
    assert!(complaint(&[]).contains("empty"));
}

#[test]
fn answers_that_change_by_themselves_are_refused() {
    for expression in ["now() as x", "1 + random() as x", "uuid() as x"] {
        assert!(
            complaint(&[expression]).contains("depends on more than the row"),
            "{expression}"
        );
    }
}

#[test]
fn a_value_that_cannot_be_computed_is_an_error_with_its_key_expression_and_values() {
    let failed = complaint(&["ts", "1 / (Rows - 5) as x"]);
    let told = "select[1]: `1 / (Rows - 5) as x` cannot be computed, where Rows = 5: ";
    assert!(
        failed.starts_with(told) && failed.contains("nullif"),
        "{failed}"
    );
    let rule = Rule::new("1 / (Rows - 5) > 0", &batch().schema()).expect("it compiles");
    let failed = rule.satisfied(&batch()).expect_err("it divides by zero");
    assert!(failed.to_string().starts_with("where: `1 / (Rows"));
}

#[test]
fn columns_of_the_mode_are_added_unless_they_are_mentioned() {
    let schema = batch().schema();
    let compile = |list: &[&str]| {
        let list: Vec<_> = list.iter().map(|text| (*text).to_owned()).collect();
        Select::new(&list, &schema, &["count", "date"]).map(|select| {
            let fields = select.schema().fields().iter();
            fields.map(|field| field.name().clone()).collect::<Vec<_>>()
        })
    };
    let listed = |list: &[&str]| compile(list).expect("it compiles");
    assert_eq!(listed(&["ts"]), ["ts", "count", "date"]);
    assert_eq!(listed(&["count as n", "ts"]), ["n", "ts", "date"]);
    assert!(compile(&["ts as date"]).is_err());
}
