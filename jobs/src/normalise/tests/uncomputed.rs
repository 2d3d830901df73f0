//! Rows that an expression cannot be computed for: they are faults, and the others become what they would
//! be without them, however the rows are cut into batches.

use arrow::array::{Array, ArrayRef, BooleanArray, DictionaryArray, Int64Array, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tidegate_operators::parcel::{Content, Pending};
use tidegate_schemas::time::Span;

use super::super::*;
use crate::expressions::Planner;

/// The batch's columns are `a`, `b`, and the texts `t`, which are numbers or not.
fn plan(schema: &Arc<Schema>) -> FactsPlan {
    let planner = Planner::new();
    let expression = |sql: &str| {
        let planned = planner.plan(sql, schema).unwrap();
        planned.told_as(sql, Some("here".to_owned()))
    };
    let filters = ["b <> 0 and 6 / b > 1", "cast(t as bigint) > 3", "a / b > 0"];
    let words = ["a / (a - b)", "cast(t as bigint)", "cast(t as bigint) + a"];
    FactsPlan {
        key: None,
        id: IdPlan::Number(0),
        tag: IdTag::new(0, 1),
        dedupe: None,
        seen: None,
        named: 0,
        lasting: Span::ZERO,
        filters: (filters.iter().zip(0..))
            .map(|(sql, bit)| Filter {
                expression: expression(sql),
                bit,
            })
            .collect(),
        words: (words.iter().enumerate())
            .map(|(index, sql)| Word {
                expression: expression(sql),
                index,
                kind: WordKind::Int,
                present: None,
                text: (*sql).to_owned(),
            })
            .collect(),
        stride: words.len(),
    }
}

fn batch(random: &mut SmallRng, rows: i64, dictionary: bool) -> RecordBatch {
    let mut numbers = || (0..rows).map(|_| random.random_range(-20..20)).collect();
    let (a, b): (Int64Array, Int64Array) = (numbers(), numbers());
    let texts = [
        None,
        Some("4"),
        Some("1"),
        Some("bad"),
        Some("2 "),
        Some("7"),
    ];
    // Every batch has texts that few of its rows have, or none.
    let text = |_| texts[random.random_range(0..60usize).min(5)];
    let texts: Vec<Option<&str>> = (0..rows).map(text).collect();
    let t: ArrayRef = match dictionary {
        true => Arc::new(texts.into_iter().collect::<DictionaryArray<Int32Type>>()),
        false => Arc::new(StringArray::from(texts)),
    };
    let ids = Int64Array::from_iter_values(0..rows);
    let fields = vec![
        Field::new("id", DataType::Int64, false),
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Int64, true),
        Field::new("t", t.data_type().clone(), true),
    ];
    let columns: Vec<ArrayRef> = vec![Arc::new(ids), Arc::new(a), Arc::new(b), t];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// What the rows of a batch become in batches of `size`: id, bits and words; and what is wrong with others.
type Facts = Vec<(u64, u64, Vec<i64>)>;
fn normalised(batch: &RecordBatch, size: usize) -> (Facts, Vec<Fault>) {
    let mut normaliser = Normaliser::new(plan(&batch.schema()), Arc::default(), 1);
    let (mut facts, mut faults) = (Facts::new(), Vec::new());
    for first in (0..batch.num_rows()).step_by(size) {
        let rows = batch.slice(first, size.min(batch.num_rows() - first));
        let times = vec![EventTime(0); rows.num_rows()];
        let whole = normaliser
            .normalise(&rows, &times, 0, EventTime::MIN, Faults::default())
            .unwrap();
        assert_eq!(whole.facts + whole.faults.len(), rows.num_rows());
        faults.extend(whole.faults.into_list().into_iter().map(|fault| Fault {
            row: first + fault.row,
            ..fault
        }));
        for parcel in whole.parcels {
            let Content::Pending(Pending { block, .. }) = parcel.content else {
                panic!("not facts");
            };
            let fact = |row: usize| {
                (
                    block.heads[row].id,
                    block.heads[row].bits,
                    block.words(row).to_vec(),
                )
            };
            facts.extend((0..block.len()).map(fact));
        }
    }
    (facts, faults)
}

/// Whether an expression of the plan has no value for a row.
fn is_broken(batch: &RecordBatch, row: usize) -> bool {
    let number = |column: usize| {
        let column: &Int64Array = batch.column(column).as_any().downcast_ref().unwrap();
        column.value(row)
    };
    let text = arrow::compute::cast(batch.column(3), &DataType::Utf8).unwrap();
    let text: &StringArray = text.as_any().downcast_ref().unwrap();
    let no_number = text.is_valid(row) && text.value(row).trim().parse::<i64>().is_err();
    number(2) == 0 || number(1) == number(2) || no_number
}

#[test]
fn rows_that_cannot_be_computed_are_faults_and_the_others_are_as_without_them() {
    for seed in 0..40 {
        let mut random = SmallRng::seed_from_u64(seed);
        let rows = [1, 5, 300, 1_500][random.random_range(0..4)];
        let batch = batch(&mut random, rows, seed % 2 == 0);
        let broken: Vec<bool> = (0..batch.num_rows())
            .map(|row| is_broken(&batch, row))
            .collect();
        let sound = BooleanArray::from_iter(broken.iter().map(|broken| Some(!broken)));
        let (expected, none) = normalised(&filter_record_batch(&batch, &sound).unwrap(), 8_192);
        assert_eq!(none, [], "seed {seed}");
        let whole = normalised(&batch, 8_192);
        assert_eq!(whole.0, expected, "seed {seed}");
        let faults: Vec<usize> = whole.1.iter().map(|fault| fault.row).collect();
        let rows: Vec<usize> = (0..broken.len()).filter(|row| broken[*row]).collect();
        assert_eq!(faults, rows, "seed {seed}");
        for size in [1, 7, 512] {
            assert_eq!(
                normalised(&batch, size),
                whole,
                "seed {seed}, batches of {size}"
            );
        }
    }
}

#[test]
fn a_fault_tells_the_expression_its_place_and_what_it_read() {
    let mut random = SmallRng::seed_from_u64(7);
    let batch = batch(&mut random, 400, true);
    let faults = normalised(&batch, 400).1;
    let told = |sql: &str| {
        let of = |fault: &&Fault| fault.column.as_deref() == Some(sql);
        faults.iter().find(of).unwrap().reason.as_str()
    };
    let text = told("cast(t as bigint) > 3");
    assert!(
        text.starts_with("`cast(t as bigint) > 3` (here) cannot be computed, where t = bad: "),
        "{text}"
    );
    let division = told("a / (a - b)");
    assert!(
        division.contains("where a = ") && division.contains(", b = "),
        "{division}"
    );
    assert!(division.contains("division by zero"), "{division}");
}

#[test]
fn a_text_that_no_row_has_cannot_fail() {
    let values: ArrayRef = Arc::new(StringArray::from(vec!["bad", "4"]));
    let batch = |rows: Vec<i32>| {
        let count = rows.len() as i64;
        let texts = DictionaryArray::<Int32Type>::new(rows.into(), Arc::clone(&values));
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=count));
        let twos: ArrayRef = Arc::new(Int64Array::from(vec![-2; count as usize]));
        let columns: [(&str, ArrayRef); 4] = [
            ("id", Arc::clone(&numbers)),
            ("a", numbers),
            ("b", twos),
            ("t", Arc::new(texts)),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let (facts, faults) = normalised(&batch(vec![1, 1]), 2);
    assert_eq!(faults, []);
    let words: Vec<&[i64]> = facts.iter().map(|(_, _, words)| &words[..]).collect();
    assert_eq!(words, [&[0, 4, 5][..], &[0, 4, 6][..]]);
    assert_eq!(facts[0].1, 0b010);
    let (facts, faults) = normalised(&batch(vec![1, 0]), 2);
    assert_eq!((facts.len(), faults.len(), faults[0].row), (1, 1, 1));
}
