//! The rows that came out against those that must: as sets, on the columns that are named.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDateTime;
use serde_json::Value;
use tidegate_schemas::job::{Cell, TestRow};

use super::inputs::moment;

/// A row that came out, by column.
pub(super) type Row = serde_json::Map<String, Value>;

/// Floats are equal when they differ by less than this part of the larger one.
const TOLERANCE: f64 = 1e-9;

/// An output, and its columns in order.
pub(super) struct Told<'a> {
    pub(super) output: &'a str,
    pub(super) columns: &'a [String],
}

/// What the rows of an output differ in, told so that it can be read; none when they are as expected.
pub(super) fn difference(
    told_as: &Told<'_>,
    expected: &[TestRow],
    found: &[Row],
) -> Option<String> {
    let Told { output, columns } = told_as;
    let pairs = pairs(expected, found);
    let missing: Vec<usize> = (0..expected.len())
        .filter(|e| !pairs.contains_key(e))
        .collect();
    let taken: BTreeSet<usize> = pairs.values().copied().collect();
    let mut surplus: Vec<usize> = (0..found.len()).filter(|f| !taken.contains(f)).collect();
    if missing.is_empty() && surplus.is_empty() {
        return None;
    }
    let mut text = format!(
        "{output}: {} expected, {} found",
        rows(expected.len()),
        found.len()
    );
    let named: BTreeSet<&str> = expected.iter().flatten().map(|(k, _)| k.as_str()).collect();
    for row in missing {
        text.push_str(&format!("\n- {}", told_expected(&expected[row], columns)));
        let nearest = surplus
            .iter()
            .enumerate()
            .min_by_key(|(_, f)| wrong(&expected[row], &found[**f]).len());
        // A row that has nothing in common with it is not what it should have been.
        let nearest = nearest.map(|(at, f)| (at, *f, wrong(&expected[row], &found[*f])));
        if let Some((at, other, wrong)) = nearest
            && wrong.len() < expected[row].len()
        {
            surplus.remove(at);
            text.push_str(&format!(
                "\n+ {}",
                told_found(&found[other], &named, columns)
            ));
            for column in wrong {
                let expected = told_cell(&expected[row][column]);
                let found = found[other].get(column).unwrap_or(&Value::Null);
                text.push_str(&format!(
                    "\n    {column}: {expected} expected, {} found",
                    told(found)
                ));
            }
        }
    }
    for row in surplus {
        text.push_str(&format!("\n+ {}", told_found(&found[row], &named, columns)));
    }
    Some(text)
}

fn rows(count: usize) -> String {
    match count {
        1 => "1 row".to_owned(),
        count => format!("{count} rows"),
    }
}

/// As many pairs of an expected row and one that came out as there can be, by expected row.
fn pairs(expected: &[TestRow], found: &[Row]) -> BTreeMap<usize, usize> {
    let fits = |e: &usize, f: usize| wrong(&expected[*e], &found[f]).is_empty();
    let choices: Vec<Vec<usize>> = (0..expected.len())
        .map(|e| (0..found.len()).filter(|f| fits(&e, *f)).collect())
        .collect();
    let mut holder: Vec<Option<usize>> = vec![None; found.len()];
    for row in 0..expected.len() {
        place(row, &choices, &mut holder, &mut vec![false; found.len()]);
    }
    let pair = |(f, e): (usize, Option<usize>)| e.map(|e| (e, f));
    holder.into_iter().enumerate().filter_map(pair).collect()
}

/// Finds a place for an expected row, moving others if that helps (augmenting paths).
fn place(
    row: usize,
    choices: &[Vec<usize>],
    holder: &mut [Option<usize>],
    seen: &mut Vec<bool>,
) -> bool {
    for choice in &choices[row] {
        if std::mem::replace(&mut seen[*choice], true) {
            continue;
        }
        let free = match holder[*choice] {
            None => true,
            Some(other) => place(other, choices, holder, seen),
        };
        if free {
            holder[*choice] = Some(row);
            return true;
        }
    }
    false
}

/// The named columns in which a row differs.
fn wrong<'a>(expected: &'a TestRow, found: &Row) -> Vec<&'a str> {
    let differs = |(column, cell): &(&String, &Cell)| {
        !equal(cell, found.get(*column).unwrap_or(&Value::Null))
    };
    let wrong = expected.iter().filter(differs);
    wrong.map(|(column, _)| column.as_str()).collect()
}

fn equal(expected: &Cell, found: &Value) -> bool {
    match (expected, found) {
        (Cell::Null {}, found) => found.is_null(),
        (Cell::Bool(expected), Value::Bool(found)) => expected == found,
        (Cell::Int(expected), Value::Number(found)) if found.is_f64() => found
            .as_f64()
            .is_some_and(|found| near(*expected as f64, found)),
        (Cell::Int(expected), Value::Number(found)) => found.as_i64() == Some(*expected),
        // Keys are texts, whatever they were in the source.
        (Cell::Int(expected), Value::String(found)) => *found == expected.to_string(),
        (Cell::Float(expected), Value::Number(found)) => {
            found.as_f64().is_some_and(|found| near(*expected, found))
        }
        (Cell::Text(expected), Value::String(found)) => {
            expected == found || same_moment(expected, found)
        }
        (Cell::List(expected), Value::Array(found)) => {
            let same = || expected.iter().zip(found).all(|(e, f)| equal(e, f));
            expected.len() == found.len() && same()
        }
        // A bar of a histogram: [value, count].
        (Cell::List(bar), Value::Object(found)) => match &bar[..] {
            [value, count] => {
                let of = |name: &str| found.get(name).unwrap_or(&Value::Null);
                equal(value, of("value")) && equal(count, of("count"))
            }
            _ => false,
        },
        _ => false,
    }
}

fn near(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
}

fn same_moment(a: &str, b: &str) -> bool {
    let day = |text: &str| {
        text.parse()
            .ok()
            .and_then(|d: chrono::NaiveDate| d.and_hms_opt(0, 0, 0))
    };
    let read = |text: &str| -> Option<NaiveDateTime> { moment(text).or_else(|| day(text)) };
    read(a).is_some_and(|a| Some(a) == read(b))
}

fn told_expected(row: &TestRow, columns: &[String]) -> String {
    let cells = row.iter().map(|(column, cell)| (column, told_cell(cell)));
    told_in_order(cells, columns)
}

/// The named columns of a row, or all when none are named.
fn told_found(row: &Row, named: &BTreeSet<&str>, columns: &[String]) -> String {
    let is_shown = |column: &str| named.is_empty() || named.contains(column);
    let shown = row.iter().filter(|(column, _)| is_shown(column));
    told_in_order(shown.map(|(column, value)| (column, told(value))), columns)
}

/// Values by column, in the order of the output's columns.
fn told_in_order<'a>(
    values: impl Iterator<Item = (&'a String, String)>,
    columns: &[String],
) -> String {
    let mut values: Vec<(&String, String)> = values.collect();
    let place = |column: &String| columns.iter().position(|known| known == column);
    values.sort_by_key(|(column, _)| place(column).unwrap_or(columns.len()));
    let told = values
        .iter()
        .map(|(column, value)| format!("{column} = {value}"));
    told.collect::<Vec<_>>().join(", ")
}

fn told_cell(cell: &Cell) -> String {
    match cell {
        Cell::Bool(value) => value.to_string(),
        Cell::Int(value) => value.to_string(),
        Cell::Float(value) => value.to_string(),
        Cell::Text(text) => told(&Value::String(text.clone())),
        Cell::List(cells) => {
            let cells: Vec<String> = cells.iter().map(told_cell).collect();
            format!("[{}]", cells.join(", "))
        }
        Cell::Null {} => "{}".to_owned(),
    }
}

/// A value as a job file would spell it.
fn told(value: &Value) -> String {
    match value {
        Value::Null => "{}".to_owned(),
        Value::String(text) if moment(text).is_some() => text.clone(),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(told).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(bar) => {
            let values: Vec<String> = bar.values().map(told).collect();
            format!("[{}]", values.join(", "))
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(value: Value) -> Row {
        value.as_object().unwrap().clone()
    }

    fn expected(cells: &[(&str, Cell)]) -> TestRow {
        cells
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.clone()))
            .collect()
    }

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    fn difference(output: &str, expected: &[TestRow], found: &[Row]) -> Option<String> {
        let columns = ["k", "n", "at"].map(str::to_owned);
        let told_as = Told {
            output,
            columns: &columns,
        };
        super::difference(&told_as, expected, found)
    }

    #[test]
    fn values_are_equal_by_what_they_mean() {
        let equal = |cell: Cell, value| equal(&cell, &value);
        assert!(equal(Cell::Int(3), json!(3)));
        assert!(equal(Cell::Int(3), json!(3.0)));
        assert!(equal(Cell::Int(3), json!("3")));
        assert!(equal(Cell::Float(0.3), json!(0.1 + 0.2)));
        assert!(!equal(Cell::Float(0.3), json!(0.300_001)));
        assert!(equal(Cell::Null {}, json!(null)));
        assert!(!equal(Cell::Int(0), json!(null)));
        assert!(equal(
            text("2026-01-01T01:00:00+01:00"),
            json!("2026-01-01T00:00:00.000Z")
        ));
        assert!(equal(text("2026-01-01"), json!("2026-01-01T00:00:00Z")));
        assert!(!equal(text("c1"), json!("c2")));
        let list = Cell::List(vec![text("a"), Cell::Null {}]);
        assert!(equal(list.clone(), json!(["a", null])));
        assert!(!equal(list, json!(["a"])));
        let bar = Cell::List(vec![Cell::List(vec![text("a"), Cell::Int(2)])]);
        assert!(equal(bar, json!([{ "value": "a", "count": 2 }])));
    }

    #[test]
    fn rows_are_compared_as_sets_on_the_named_columns() {
        let found = [
            row(json!({ "k": "a", "n": 1, "m": 1 })),
            row(json!({ "k": "a", "n": 2, "m": 1 })),
        ];
        let one = expected(&[("k", text("a"))]);
        let two = expected(&[("k", text("a")), ("n", Cell::Int(1))]);
        // The first row fits both: it must be left to the one that nothing else fits.
        assert_eq!(difference("o", &[one.clone(), two.clone()], &found), None);
        let told = difference("o", &[one, two.clone(), two], &found).unwrap();
        assert_eq!(told, "o: 3 rows expected, 2 found\n- k = \"a\", n = 1");
    }

    #[test]
    fn a_wrong_row_is_shown_beside_what_was_expected() {
        let found = [row(
            json!({ "k": "a", "n": 1, "at": "2026-01-01T00:00:00Z" }),
        )];
        let wanted = expected(&[("k", text("a")), ("n", Cell::Int(2))]);
        assert_eq!(
            difference("features.f", &[wanted], &found).unwrap(),
            "features.f: 1 row expected, 1 found\n\
             - k = \"a\", n = 2\n\
             + k = \"a\", n = 1\n    n: 2 expected, 1 found"
        );
        assert_eq!(
            difference("o", &[], &found).unwrap(),
            "o: 0 rows expected, 1 found\n+ k = \"a\", n = 1, at = 2026-01-01T00:00:00Z"
        );
    }
}
