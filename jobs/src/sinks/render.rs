//! Rows as Arrow: the words of an output become typed columns.
//!
//! Nothing is interpreted per value where a whole column can be moved: keys are two copies (bytes
//! and offsets), numbers one pass. A column without nulls gets no null mask.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt64Array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::SchemaRef;
use tidegate_schemas::fact::{NULL, present_float};
use tidegate_schemas::names::{Names, Texts};
use tidegate_schemas::rows::{Column, Kind, OutputSchema, Rows};
use tidegate_schemas::time::TimeUnit;

use super::code_texts::CodeTexts;
use super::columns::{arrow_schema, bar_fields, item_field};
use super::error::Problem;

/// Turns the rows of one output into record batches.
///
/// Clones count what is out of range together.
///
/// # State
/// The texts of the codes it has met: at most the vocabulary of [`Names`].
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use tidegate_jobs::sinks::render::Renderer;
/// use tidegate_schemas::names::Names;
/// use tidegate_schemas::rows::{Kind, OutputColumn, OutputSchema, Rows};
/// use tidegate_schemas::time::EventTime;
///
/// let output = OutputSchema {
///     name: "features.contact".to_owned(),
///     key: Some("customer_id".to_owned()),
///     columns: vec![OutputColumn { name: "contacts_24h".to_owned(), kind: Kind::Int }],
///     identity: vec![],
/// };
/// let mut rows = Rows::new(1);
/// rows.begin("c1", EventTime(0), 1)[0].push(3);
///
/// let mut renderer = Renderer::new(&output, Arc::new(Names::default()));
/// let batch = renderer.render(&rows).unwrap();
/// assert_eq!((batch.num_rows(), batch.num_columns()), (1, 2));
/// assert_eq!(batch.schema().field(0).name(), "customer_id");
/// ```
#[derive(Clone, Debug)]
pub struct Renderer {
    schema: SchemaRef,
    keyed: bool,
    columns: Vec<(String, Kind)>,
    texts: CodeTexts,
    out_of_range: Arc<AtomicU64>,
}

impl Renderer {
    /// A renderer of an output, reading texts from `names`.
    #[must_use]
    pub fn new(output: &OutputSchema, names: Arc<Names>) -> Renderer {
        Renderer {
            schema: arrow_schema(output),
            keyed: output.key.is_some(),
            columns: output
                .columns
                .iter()
                .map(|column| (column.name.clone(), column.kind.clone()))
                .collect(),
            texts: CodeTexts::new(names),
            out_of_range: Arc::default(),
        }
    }

    /// The schema of the batches.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How many times could not be shown in nanoseconds (before 1677 or after 2262) and were
    /// shown as null.
    #[must_use]
    pub fn out_of_range(&self) -> u64 {
        self.out_of_range.load(Ordering::Relaxed)
    }

    /// The rows as a batch, whatever their differences.
    ///
    /// # Errors
    /// When the rows do not have the output's columns, or hold a code that has no text.
    pub fn render(&mut self, rows: &Rows) -> Result<RecordBatch, Problem> {
        self.render_part(rows, 0..rows.len())
    }

    /// Some of the rows as a batch.
    pub(super) fn render_part(
        &mut self,
        rows: &Rows,
        part: Range<usize>,
    ) -> Result<RecordBatch, Problem> {
        self.check(rows)?;
        let mut arrays = Vec::with_capacity(self.columns.len() + 1);
        if self.keyed {
            arrays.push(keys(&rows.keys, part.clone())?);
        }
        let (texts, out_of_range) = (&mut self.texts, &*self.out_of_range);
        for ((name, kind), column) in self.columns.iter().zip(&rows.columns) {
            let words = &column.words[words(kind, column, &part)];
            arrays.push(match kind {
                Kind::List(item) => {
                    let items = array(texts, name, item, words, out_of_range)?;
                    list(column, &part, 1, items)?
                }
                Kind::Histogram(value) => {
                    let (values, counts) = bars(words);
                    let values = array(texts, name, value, &values, out_of_range)?;
                    list(column, &part, 2, bar_array(value, values, counts)?)?
                }
                plain => array(texts, name, plain, words, out_of_range)?,
            });
        }
        RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(|e| Problem::shape(&e))
    }

    /// Whether the rows have the columns that are declared, each with a value for every row.
    fn check(&self, rows: &Rows) -> Result<(), Problem> {
        let wrong = |what: String| Err(Problem::Shape { what });
        let (came, declared) = (rows.columns.len(), self.columns.len());
        if came != declared {
            return wrong(format!("{came} columns came, {declared} are declared"));
        }
        for ((name, kind), column) in self.columns.iter().zip(&rows.columns) {
            let values = match is_list(kind) {
                true => column.ends.len(),
                false => column.words.len(),
            };
            if values != rows.len() {
                return wrong(format!(
                    "column `{name}` has {values} values for {} rows",
                    rows.len()
                ));
            }
        }
        Ok(())
    }
}

/// Words of a plain kind as an array.
fn array(
    texts: &mut CodeTexts,
    column: &str,
    kind: &Kind,
    words: &[i64],
    out_of_range: &AtomicU64,
) -> Result<ArrayRef, Problem> {
    Ok(match kind {
        Kind::Int => Arc::new(Int64Array::new(words.to_vec().into(), nulls(words))),
        Kind::Id { shown } => {
            let ids: Vec<u64> = words.iter().map(|word| *word as u64 & shown).collect();
            Arc::new(UInt64Array::new(ids.into(), None))
        }
        Kind::IdText => texts.ids(column, words)?,
        Kind::Fixed { scale } => Arc::new(decimals(words, *scale)),
        Kind::Span => Arc::new(decimals(words, 6)),
        Kind::Float => {
            let floats: Vec<f64> = words.iter().copied().map(present_float).collect();
            Arc::new(Float64Array::new(floats.into(), nulls(words)))
        }
        Kind::Bool => Arc::new(BooleanArray::new(
            BooleanBuffer::collect_bool(words.len(), |row| words[row] == 1),
            nulls(words),
        )),
        Kind::Text => Arc::new(texts.texts(column, words)?),
        Kind::Time(unit) => times(words, *unit, out_of_range),
        Kind::List(_) | Kind::Histogram(_) => {
            return Err(Problem::Shape {
                what: format!("column `{column}` is a list of lists"),
            });
        }
    })
}

pub(super) fn keys(texts: &Texts, part: Range<usize>) -> Result<ArrayRef, Problem> {
    let (bytes, ends) = texts.parts();
    let cut = cut(ends, &part);
    let offsets = offsets(ends[part].iter().map(|end| *end as usize - cut.start))?;
    StringArray::try_new(
        offsets,
        Buffer::from_slice_ref(&bytes.as_bytes()[cut]),
        None,
    )
    .map(|keys| Arc::new(keys) as ArrayRef)
    .map_err(|e| Problem::shape(&e))
}

/// What some of the runs hold that end there.
fn cut(ends: &[u32], part: &Range<usize>) -> Range<usize> {
    let end = |run: usize| run.checked_sub(1).map_or(0, |last| ends[last] as usize);
    end(part.start)..end(part.end)
}

fn is_list(kind: &Kind) -> bool {
    matches!(kind, Kind::List(_) | Kind::Histogram(_))
}

/// Where the words of some rows are.
fn words(kind: &Kind, column: &Column, part: &Range<usize>) -> Range<usize> {
    match is_list(kind) {
        true => cut(&column.ends, part),
        false => part.clone(),
    }
}

/// Ends that only grow, as Arrow wants them: with a leading zero, and below 2 GiB.
pub(super) fn offsets(
    ends: impl ExactSizeIterator<Item = usize>,
) -> Result<OffsetBuffer<i32>, Problem> {
    let mut all = Vec::with_capacity(ends.len() + 1);
    all.push(0);
    let mut last = 0;
    all.extend(ends.map(|end| {
        last = end;
        end as i32
    }));
    if i32::try_from(last).is_err() {
        return Err(Problem::Shape {
            what: format!("{last} bytes or list items in one column of one block; at most 2 GiB"),
        });
    }
    Ok(OffsetBuffer::new(ScalarBuffer::from(all)))
}

/// Which words are values; `None` when all are.
pub(super) fn nulls(words: &[i64]) -> Option<NullBuffer> {
    // Without an early exit the search is vectorised, and nulls are usually late or absent.
    words
        .iter()
        .fold(false, |any, word| any | (*word == NULL))
        .then(|| {
            NullBuffer::new(BooleanBuffer::collect_bool(words.len(), |row| {
                words[row] != NULL
            }))
        })
}

/// Fixed-point words as the nearest floats.
fn decimals(words: &[i64], scale: u8) -> Float64Array {
    let power = 10f64.powi(i32::from(scale));
    let mut values: Vec<f64> = words.iter().map(|word| *word as f64 / power).collect();
    // Both sides of the division are exact below 2^53 and 10^22, so that its one rounding is the
    // right one. Beyond that the digits are read as text.
    let exact = scale <= 22;
    let largest = words.iter().fold(0, |most, word| {
        most.max(if *word == NULL {
            0
        } else {
            word.unsigned_abs()
        })
    });
    if !exact || largest > 1 << 53 {
        for (value, word) in values.iter_mut().zip(words) {
            if *word != NULL && (!exact || word.unsigned_abs() > 1 << 53) {
                *value = format!("{word}e-{scale}").parse().unwrap_or(*value);
            }
        }
    }
    Float64Array::new(values.into(), nulls(words))
}

fn times(words: &[i64], unit: TimeUnit, out_of_range: &AtomicU64) -> ArrayRef {
    match unit {
        TimeUnit::Second => Arc::new(TimestampSecondArray::new(
            floor::<1_000_000>(words),
            nulls(words),
        )),
        TimeUnit::Millisecond => Arc::new(TimestampMillisecondArray::new(
            floor::<1_000>(words),
            nulls(words),
        )),
        TimeUnit::Microsecond => Arc::new(TimestampMicrosecondArray::new(
            words.to_vec().into(),
            nulls(words),
        )),
        TimeUnit::Nanosecond => {
            let scaled: Vec<i64> = words
                .iter()
                .map(|word| word.checked_mul(1_000).unwrap_or(NULL))
                .collect();
            let nulls_before = nulls(words).map_or(0, |nulls| nulls.null_count());
            let nulls = nulls(&scaled);
            let beyond = nulls.as_ref().map_or(0, NullBuffer::null_count) - nulls_before;
            out_of_range.fetch_add(beyond as u64, Ordering::Relaxed);
            Arc::new(TimestampNanosecondArray::new(scaled.into(), nulls))
        }
    }
}

/// Words in a unit `BY` times as long. (A divisor that the compiler knows costs a multiplication.)
fn floor<const BY: i64>(words: &[i64]) -> ScalarBuffer<i64> {
    words.iter().map(|word| word.div_euclid(BY)).collect()
}

/// The values and the counts of histogram words.
fn bars(words: &[i64]) -> (Vec<i64>, Vec<i64>) {
    words.chunks_exact(2).map(|pair| (pair[0], pair[1])).unzip()
}

fn bar_array(value: &Kind, values: ArrayRef, counts: Vec<i64>) -> Result<ArrayRef, Problem> {
    let counts: ArrayRef = Arc::new(Int64Array::from(counts));
    StructArray::try_new(bar_fields(value), vec![values, counts], None)
        .map(|bars| Arc::new(bars) as ArrayRef)
        .map_err(|e| Problem::shape(&e))
}

/// Some rows of a column of lists whose items take `width` words each.
fn list(
    column: &Column,
    part: &Range<usize>,
    width: usize,
    items: ArrayRef,
) -> Result<ArrayRef, Problem> {
    let before = cut(&column.ends, part).start;
    let ends = column.ends[part.clone()].iter();
    let ends = ends.map(|end| *end as usize - before);
    if let Some(end) = ends.clone().find(|end| end % width != 0) {
        return Err(Problem::Shape {
            what: format!("a histogram ends at word {end}, between a value and its count"),
        });
    }
    let offsets = offsets(ends.map(|end| end / width))?;
    ListArray::try_new(item_field(items.data_type().clone()), offsets, items, None)
        .map(|lists| Arc::new(lists) as ArrayRef)
        .map_err(|e| Problem::shape(&e))
}
