//! Row by row: what a result holds beside what it should hold.
//!
//! Rows are paired by the columns that tell them apart, or where a sink does not write those, by all
//! columns whose values are exact. Floats agree within 1e-9 of their size; everything else exactly.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray, make_comparator,
    new_null_array,
};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::error::VerifyError;
use super::expected::{Computed, Expected, Unknown};
use super::report::{Difference, Fault, OutputReport, Unchecked};
use super::written::encode;
use crate::sinks::{Format, Mode, Select, SinkSpec, mode_fields};

/// Floats this far apart, as a share of the greater, agree.
const NEAR: f64 = 1e-9;
/// Below this, what is left of a sum that has faded for hundreds of half-lives is nothing.
const NOTHING: f64 = 1e-100;

fn shape(what: impl ToString) -> VerifyError {
    VerifyError::Shape(what.to_string())
}

/// What a sink should have written.
pub(super) struct Chosen {
    /// The columns that it writes.
    pub(super) schema: SchemaRef,
    columns: Vec<Computed>,
    /// The columns that tell one row from another; `None` when it does not write them all.
    pub(super) identity: Option<Vec<usize>>,
    told_by: [ArrayRef; 2],
    told_names: [String; 2],
    rows: usize,
}

impl Chosen {
    /// What the sink writes of an output.
    ///
    /// # Errors
    /// When its `select` does not fit the output, which the run would have refused.
    pub(super) fn of(expected: &Expected, spec: &SinkSpec) -> Result<Chosen, VerifyError> {
        let mut all = expected.columns.clone();
        for field in mode_fields(spec.mode) {
            let why = "when a row was written is not computed again".to_owned();
            let values = match field.name().as_str() {
                "status" => Arc::new(StringArray::from(vec!["live"; expected.rows])),
                _ => new_null_array(field.data_type(), expected.rows),
            };
            let unknown = Unknown::All(why);
            let computed = Computed {
                values,
                unknown,
                size: None,
            };
            all.push((field.name().clone(), computed));
        }
        let field = |(name, column): &(String, Computed)| {
            Field::new(name, column.values.data_type().clone(), true)
        };
        let full: SchemaRef = Arc::new(Schema::new(all.iter().map(field).collect::<Vec<_>>()));
        let told_by = expected
            .told_by
            .map(|column| Arc::clone(&all[column].1.values));
        let told_names = expected.told_by.map(|column| all[column].0.clone());
        let Some(list) = &spec.select else {
            return Ok(Chosen {
                schema: full,
                columns: all.into_iter().map(|(_, column)| column).collect(),
                identity: Some(expected.identity.clone()),
                told_by,
                told_names,
                rows: expected.rows,
            });
        };
        let added = mode_fields(spec.mode);
        let always: Vec<&str> = added.iter().map(|field| field.name().as_str()).collect();
        let select = Select::new(list, &full, &always).map_err(shape)?;
        let values = all
            .iter()
            .map(|(_, column)| Arc::clone(&column.values))
            .collect();
        let batch = RecordBatch::try_new(Arc::clone(&full), values).map_err(shape)?;
        let chosen = select.apply(&batch).map_err(shape)?;
        let column = |index: usize| {
            let reads = select.reads(index);
            let unknown = reads.iter().fold(Unknown::Nothing, |unknown, read| {
                unknown.or(&all[*read].1.unknown)
            });
            // An expression may be anything; only a column alone keeps the size of its terms.
            let alone = reads.iter().find(|read| {
                let mut names = select.names_of(**read);
                names.any(|name| name == select.schema().field(index).name())
            });
            Computed {
                values: Arc::clone(chosen.column(index)),
                unknown,
                size: alone.and_then(|read| all[*read].1.size.clone()),
            }
        };
        let place = |index: &usize| {
            let name = select.names_of(*index).next()?;
            select.schema().index_of(name).ok()
        };
        Ok(Chosen {
            schema: Arc::clone(select.schema()),
            columns: (0..chosen.num_columns()).map(column).collect(),
            identity: expected.identity.iter().map(place).collect(),
            told_by,
            told_names,
            rows: expected.rows,
        })
    }

    /// The columns by which rows are paired: all of them known, and exact.
    fn pairing(&self) -> Vec<usize> {
        let sure = |column: &usize| {
            let computed = &self.columns[*column];
            matches!(computed.unknown, Unknown::Nothing) && is_exact(computed.values.data_type())
        };
        match &self.identity {
            Some(identity) if identity.iter().all(sure) => identity.clone(),
            _ => (0..self.columns.len()).filter(sure).collect(),
        }
    }
}

fn is_exact(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) => is_exact(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| is_exact(field.data_type())),
        other => !other.is_floating(),
    }
}

/// Compares the rows that stand in a result with those that should.
///
/// # Errors
/// When columns cannot be compared, which types have seen to.
pub(super) fn compare(
    chosen: &Chosen,
    found: &RecordBatch,
    spec: &SinkSpec,
    examples: usize,
) -> Result<OutputReport, VerifyError> {
    let mut columns: Vec<ArrayRef> = Vec::new();
    for computed in &chosen.columns {
        columns.push(match spec.format {
            // A CSV file has no empty texts that could be told from nulls.
            Format::Csv => without_empty_texts(&computed.values),
            _ => Arc::clone(&computed.values),
        });
    }
    let expected = RecordBatch::try_new(found.schema(), columns).map_err(shape)?;
    let pairing = chosen.pairing();
    let encoded = encode(found, &pairing).map_err(shape)?;
    let mut waiting: HashMap<&[u8], VecDeque<usize>> = HashMap::with_capacity(found.num_rows());
    for row in 0..found.num_rows() {
        waiting
            .entry(encoded.row(row).data())
            .or_default()
            .push_back(row);
    }
    let asked = encode(&expected, &pairing).map_err(shape)?;
    let same = Same::new(chosen, &expected, found)?;
    let mut pairs = Pairs {
        chosen,
        expected: &expected,
        found,
        examples,
        report: OutputReport {
            sink: spec.name.clone(),
            expected: chosen.rows as u64,
            found: found.num_rows() as u64,
            ..OutputReport::default()
        },
    };
    let mut different = Vec::new();
    for row in 0..chosen.rows {
        let candidates = waiting.get_mut(asked.row(row).data());
        let Some(candidates) = candidates.filter(|candidates| !candidates.is_empty()) else {
            pairs.missing(row);
            continue;
        };
        let equal = candidates
            .iter()
            .position(|other| same.first_fault(row, *other).is_none());
        match equal.and_then(|place| candidates.remove(place)) {
            Some(_) => pairs.equal(row),
            // Another row may agree with what is found here: it comes first.
            None => different.push(row),
        }
    }
    for row in different {
        let other = waiting
            .get_mut(asked.row(row).data())
            .and_then(VecDeque::pop_front);
        match other.and_then(|other| Some((other, same.first_fault(row, other)?))) {
            Some((other, column)) => pairs.different(row, other, column),
            None => pairs.missing(row),
        }
    }
    let mut left: Vec<usize> = waiting.into_values().flatten().collect();
    left.sort_unstable();
    left.into_iter().for_each(|row| pairs.unexpected(row));
    let mut report = pairs.report;
    report.unchecked = unchecked(chosen, spec.mode);
    Ok(report)
}

/// What of the columns was not compared.
fn unchecked(chosen: &Chosen, mode: Mode) -> Vec<Unchecked> {
    let added = mode_fields(mode);
    let is_added = |name: &str| added.iter().any(|field| field.name() == name);
    let fields = chosen.schema.fields().iter().zip(&chosen.columns);
    // Of the columns that a mode adds, what they say has been used to find the rows that stand.
    let of_output = fields.filter(|(field, _)| !is_added(field.name()));
    let told = of_output.filter_map(|(field, column)| {
        let (rows, why) = match &column.unknown {
            Unknown::Nothing => return None,
            Unknown::Rows(rows, why) => (Some(rows.iter().filter(|row| **row).count() as u64), why),
            Unknown::All(why) => (None, why),
        };
        Some(Unchecked {
            what: format!("column {}", field.name()),
            rows,
            why: why.clone(),
        })
    });
    told.collect()
}

fn without_empty_texts(values: &ArrayRef) -> ArrayRef {
    match values.as_string_opt::<i32>() {
        None => Arc::clone(values),
        Some(texts) => {
            let texts = texts
                .iter()
                .map(|text| text.filter(|text| !text.is_empty()));
            Arc::new(texts.collect::<StringArray>())
        }
    }
}

/// The report as it grows.
struct Pairs<'a> {
    chosen: &'a Chosen,
    expected: &'a RecordBatch,
    found: &'a RecordBatch,
    examples: usize,
    report: OutputReport,
}

impl Pairs<'_> {
    fn equal(&mut self, row: usize) {
        let mode_only = |unknown: &Unknown| matches!(unknown, Unknown::All(_));
        let whole = self.chosen.schema.fields().iter().zip(&self.chosen.columns);
        let mut unknown = whole.filter(|(field, column)| {
            let added = ["tick", "diff", "version", "status"].contains(&field.name().as_str());
            column.unknown.has(row) && !(added && mode_only(&column.unknown))
        });
        match unknown.next() {
            None => self.report.equal += 1,
            Some(_) => self.report.partly += 1,
        }
    }

    fn missing(&mut self, row: usize) {
        self.report.missing += 1;
        let told = self.told(row);
        self.tell(told, Fault::Missing);
    }

    fn unexpected(&mut self, row: usize) {
        self.report.unexpected += 1;
        let told = self.chosen.told_names.each_ref().map(|name| {
            let column = self.found.column_by_name(name);
            column.map_or_else(|| format!("row {row}"), |column| display(column, row))
        });
        self.tell(told, Fault::Unexpected);
    }

    fn different(&mut self, row: usize, other: usize, column: usize) {
        self.report.different += 1;
        let fault = Fault::Different {
            column: self.chosen.schema.field(column).name().clone(),
            expected: display(self.expected.column(column), row),
            found: display(self.found.column(column), other),
        };
        let told = self.told(row);
        self.tell(told, fault);
    }

    fn told(&self, row: usize) -> [String; 2] {
        self.chosen
            .told_by
            .each_ref()
            .map(|column| display(column, row))
    }

    fn tell(&mut self, [key, time]: [String; 2], fault: Fault) {
        if self.report.differences.len() < self.examples {
            self.report
                .differences
                .push(Difference { key, time, fault });
        }
    }
}

fn display(column: &ArrayRef, row: usize) -> String {
    // As `explain` reads them.
    let options = FormatOptions::new()
        .with_null("null")
        .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.fZ"));
    let formatter = ArrayFormatter::try_new(column, &options);
    let shown = formatter.and_then(|formatter| formatter.value(row).try_to_string());
    shown.unwrap_or_else(|error| format!("({error})"))
}

type SameValue = Box<dyn Fn(usize, usize) -> bool>;

/// Whether two rows agree in what is known.
struct Same<'a> {
    columns: Vec<(&'a Unknown, SameValue)>,
}

impl<'a> Same<'a> {
    fn new(
        chosen: &'a Chosen,
        expected: &RecordBatch,
        found: &RecordBatch,
    ) -> Result<Same<'a>, VerifyError> {
        let mut columns = Vec::new();
        for (index, computed) in chosen.columns.iter().enumerate() {
            let size = computed.size.clone();
            let same = same_value(expected.column(index), found.column(index), size)?;
            columns.push((&computed.unknown, same));
        }
        Ok(Same { columns })
    }

    /// The first column in which they do not.
    fn first_fault(&self, row: usize, other: usize) -> Option<usize> {
        let mut columns = self.columns.iter();
        columns.position(|(unknown, same)| !unknown.has(row) && !same(row, other))
    }
}

fn same_value(
    expected: &ArrayRef,
    found: &ArrayRef,
    size: Option<Float64Array>,
) -> Result<SameValue, VerifyError> {
    match expected.data_type() {
        DataType::Float64 => Ok(same_float(expected, found, size)),
        DataType::List(_) if !is_exact(expected.data_type()) => {
            let (a, b) = (
                expected.as_list::<i32>().clone(),
                found.as_list::<i32>().clone(),
            );
            let items = same_value(a.values(), b.values(), None)?;
            Ok(Box::new(move |row, other| {
                let (from, to) = (
                    a.value_offsets()[row] as usize,
                    b.value_offsets()[other] as usize,
                );
                let lengths = (a.value_length(row), b.value_length(other));
                a.is_null(row) == b.is_null(other)
                    && lengths.0 == lengths.1
                    && (0..lengths.0 as usize).all(|item| items(from + item, to + item))
            }))
        }
        DataType::Struct(_) if !is_exact(expected.data_type()) => {
            let pairs = expected
                .as_struct()
                .columns()
                .iter()
                .zip(found.as_struct().columns());
            let same: Result<Vec<SameValue>, VerifyError> =
                pairs.map(|(a, b)| same_value(a, b, None)).collect();
            let same = same?;
            Ok(Box::new(move |row, other| {
                same.iter().all(|same| same(row, other))
            }))
        }
        _ => {
            let order = make_comparator(expected, found, SortOptions::default()).map_err(shape)?;
            Ok(Box::new(move |row, other| {
                order(row, other) == Ordering::Equal
            }))
        }
    }
}

fn same_float(expected: &ArrayRef, found: &ArrayRef, size: Option<Float64Array>) -> SameValue {
    let of = |array: &ArrayRef| -> Float64Array { array.as_primitive().clone() };
    let (a, b) = (of(expected), of(found));
    Box::new(move |row, other| {
        if a.is_null(row) || b.is_null(other) {
            return a.is_null(row) == b.is_null(other);
        }
        let (x, y) = (a.value(row), b.value(other));
        let size = size.as_ref().filter(|size| size.is_valid(row));
        let size = size.map_or(0.0, |size| size.value(row));
        let greatest = x.abs().max(y.abs()).max(size);
        x == y || (x - y).abs() <= (greatest * NEAR).max(NOTHING)
    })
}
