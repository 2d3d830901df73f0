//! What a source hands on: batches of typed rows with their positions, and the rows that did not fit.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::columns::{Column, Reason};
use super::declare::Declared;
use super::error::SourceError;

/// Raw input kept with a reject, in bytes.
pub(super) const RAW_BYTES: usize = 1_024;
/// A batch ends when it has taken this much text, however few rows that is.
const BATCH_TEXT_BYTES: u64 = 64 << 20;

/// Where a batch begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The file as it was found, `-` for standard input.
    pub file: Arc<str>,
    /// Number of the first row or reject of the batch: for text the line it begins on, from 1; for Parquet the
    /// row in the file, from 0.
    pub first_row: u64,
    /// Bytes of (decompressed) text before it; 0 for Parquet.
    pub first_byte: u64,
}

/// The numbers of the rows of a batch in their file, counted as in [`Position::first_row`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowNumbers {
    /// Row `i` of the batch is row `first + i` of the file.
    From(u64),
    /// There are holes: rejects, blank lines, or rows of several lines.
    Each(Vec<u64>),
}

impl RowNumbers {
    /// The number of row `index` of the batch.
    pub fn get(&self, index: usize) -> Option<u64> {
        match self {
            Self::From(first) => Some(first + index as u64),
            Self::Each(numbers) => numbers.get(index).copied(),
        }
    }
}

/// A row that does not fit the declaration. It is an output of its own, never dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The file as it was found, `-` for standard input.
    pub file: Arc<str>,
    /// Which row, counted as in [`Position::first_row`].
    pub row: u64,
    /// Bytes of (decompressed) text before the row; 0 for Parquet.
    pub byte: u64,
    /// The column at fault, when there is one.
    pub column: Option<String>,
    /// What is wrong, in plain words.
    pub reason: String,
    /// The row as it was read, at most 1 KiB of it, bytes that are not UTF-8 replaced. Of a Parquet row the declared
    /// columns as JSON.
    pub raw: String,
}

/// Consecutive rows of one file.
#[derive(Debug, Clone)]
pub struct SourceBatch {
    /// As declared.
    pub partition: u32,
    /// Where the batch begins.
    pub position: Position,
    /// The good rows: the declared columns, in declared order and type, in the order of the file.
    pub batch: RecordBatch,
    /// The number of each good row.
    pub row_numbers: RowNumbers,
    /// The others, in the order of the file.
    pub rejects: Vec<Reject>,
    /// Good rows and rejects together.
    pub rows_in: u64,
}

/// Rows of a text file on their way into a batch.
#[derive(Debug)]
pub(super) struct Rows {
    schema: SchemaRef,
    names: Vec<String>,
    partition: u32,
    batch_rows: usize,
    /// One more value each than `numbers` while a row is under way, otherwise as many.
    pub(super) columns: Vec<Column>,
    taken: usize,
    numbers: RowNumbers,
    rejects: Vec<Reject>,
    begin: Option<(u64, u64)>,
    end_byte: u64,
}

impl Rows {
    pub(super) fn new(declared: &Declared) -> Self {
        Self {
            schema: declared.schema(),
            names: declared
                .columns
                .iter()
                .map(|column| column.name.clone())
                .collect(),
            partition: declared.partition,
            batch_rows: declared.batch_rows,
            columns: declared.columns.iter().map(Column::new).collect(),
            taken: 0,
            numbers: RowNumbers::From(0),
            rejects: Vec::new(),
            begin: None,
            end_byte: 0,
        }
    }

    /// Whether nothing was taken, neither rows nor rejects.
    pub(super) fn is_empty(&self) -> bool {
        self.begin.is_none()
    }

    /// Good rows so far.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.taken
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.taken + self.rejects.len() >= self.batch_rows
            || self
                .begin
                .is_some_and(|(_, byte)| self.end_byte - byte > BATCH_TEXT_BYTES)
    }

    /// Takes the row whose values have been pushed, one to each column; it begins at `place` and is `size` bytes long.
    #[inline]
    pub(super) fn accept(&mut self, place: Place, size: usize) {
        self.enter(place, size);
        match &mut self.numbers {
            RowNumbers::From(first) if self.taken == 0 => *first = place.line,
            RowNumbers::From(first) if *first + self.taken as u64 == place.line => {}
            RowNumbers::From(first) => {
                let first = *first;
                let mut each: Vec<u64> = (first..first + self.taken as u64).collect();
                each.push(place.line);
                self.numbers = RowNumbers::Each(each);
            }
            RowNumbers::Each(each) => each.push(place.line),
        }
        self.taken += 1;
    }

    /// Takes back what was pushed of the row under way and sets it aside.
    #[cold]
    pub(super) fn reject(&mut self, file: &Arc<str>, place: Place, raw: &[u8], fault: Fault) {
        self.enter(place, raw.len());
        for column in &mut self.columns {
            column.truncate(self.taken);
        }
        self.rejects.push(Reject {
            file: Arc::clone(file),
            row: place.line,
            byte: place.byte,
            column: fault.column.map(|index| self.names[index].clone()),
            reason: fault.reason,
            raw: raw_text(raw),
        });
    }

    #[inline]
    fn enter(&mut self, place: Place, size: usize) {
        if self.begin.is_none() {
            self.begin = Some((place.line, place.byte));
        }
        self.end_byte = place.byte + size as u64;
    }

    /// The batch so far, leaving nothing; none when nothing was taken.
    pub(super) fn finish(&mut self, file: &Arc<str>) -> Result<Option<SourceBatch>, SourceError> {
        let Some((first_row, first_byte)) = self.begin.take() else {
            return Ok(None);
        };
        let failed = |source| SourceError::Batch {
            file: file.to_string(),
            source,
        };
        let arrays: Result<Vec<_>, _> = self.columns.iter_mut().map(Column::finish).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays.map_err(failed)?)
            .map_err(failed)?;
        let rejects = std::mem::take(&mut self.rejects);
        let numbers = std::mem::replace(&mut self.numbers, RowNumbers::From(0));
        let row_numbers = if self.taken == 0 {
            RowNumbers::Each(Vec::new())
        } else {
            numbers
        };
        self.taken = 0;
        Ok(Some(SourceBatch {
            partition: self.partition,
            position: Position {
                file: Arc::clone(file),
                first_row,
                first_byte,
            },
            rows_in: (batch.num_rows() + rejects.len()) as u64,
            batch,
            row_numbers,
            rejects,
        }))
    }
}

/// A place in a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// From 1.
    pub(super) line: u64,
    /// Bytes of decompressed text before.
    pub(super) byte: u64,
}

/// Why a row is rejected.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Which declared column, if one.
    pub(super) column: Option<usize>,
    pub(super) reason: Reason,
}

/// The beginning of a raw row as text.
pub(super) fn raw_text(raw: &[u8]) -> String {
    let cut = &raw[..raw.len().min(RAW_BYTES)];
    let cut = if cut.len() < raw.len() {
        // Not inside a character, so that the cut itself leaves no replacement character.
        let whole = (0..4)
            .map(|back| cut.len() - back)
            .find(|end| (raw[*end] as i8) >= -0x40);
        &cut[..whole.unwrap_or(cut.len())]
    } else {
        cut
    };
    let mut text = String::from_utf8_lossy(cut.trim_ascii_end()).into_owned();
    while text.len() > RAW_BYTES {
        text.pop();
    }
    text
}
