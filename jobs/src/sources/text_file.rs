//! One text file being read: its bytes become records, however they are cut into reads.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::batch::{Fault, Place, Rows};
use super::csv_records::CsvRecords;
use super::declare::{Declared, Format, Lifetime};
use super::error::SourceError;
use super::files::{Found, cannot_open};
use super::input::{Fate, Got, Input};
use super::json_lines::JsonLines;

/// Bytes asked for in one read: small enough to stay in the processor's cache while decoded.
const READ_BYTES: usize = 256 << 10;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The reader of one file's records.
pub(super) trait Records: Send {
    /// Reads complete records at the start of `text` into `rows` until the batch is full, and returns the bytes used;
    /// `place` moves along. With `last`, what has no line end is complete too.
    fn read(
        &mut self,
        text: &[u8],
        last: bool,
        file: &Arc<str>,
        place: &mut Place,
        rows: &mut Rows,
    ) -> Result<usize, SourceError>;

    /// Why a line is rejected that passed the limit before it ended.
    fn overlong(&self, file: &Arc<str>) -> Result<Fault, SourceError>;

    /// Passes over a line, or what there is of it: the bytes passed, and whether the line ended.
    fn skip_line(&mut self, text: &[u8], place: &mut Place) -> (usize, bool);

    /// Forgets a record begun: the next read starts with a record.
    fn restart(&mut self);
}

/// Why the reading of a file pauses.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// The batch is full.
    Batch,
    /// Nothing more is there now.
    Nothing,
    /// The file is read to its end.
    End,
}

/// A file being read: its input, and the text not yet used.
pub(super) struct OpenFile {
    name: Arc<str>,
    input: Input,
    records: Box<dyn Records>,
    text: Vec<u8>,
    /// The part of `text` read and not yet used.
    from: usize,
    to: usize,
    place: Place,
    /// What may stand before the first record is dealt with.
    begun: bool,
    max_record_bytes: usize,
    /// The rest of a rejected line is passed over.
    skipping: bool,
    /// All of the input is in `text`.
    complete: bool,
    /// A row or a reject was found in it.
    held: bool,
    /// Opens the file anew, when another took its name.
    again: Option<(Found, Arc<AtomicU64>)>,
    /// Another file has taken its name.
    replaced: bool,
    declared: Arc<Declared>,
}

impl OpenFile {
    pub(super) fn new(
        declared: &Arc<Declared>,
        found: Found,
        counter: &Arc<AtomicU64>,
    ) -> Result<Self, SourceError> {
        let name = match &found {
            Found::Stdin => Arc::from("-"),
            Found::File { name, .. } => Arc::clone(name),
        };
        let follow = declared.lifetime != Lifetime::Finite;
        let input =
            Input::open(&found, follow, counter).map_err(|error| cannot_open(&name, error))?;
        let again = follow.then(|| (found, Arc::clone(counter)));
        Ok(Self {
            again,
            ..Self::over(declared, name, input)
        })
    }

    /// Reads an input already open.
    pub(super) fn over(declared: &Arc<Declared>, name: Arc<str>, input: Input) -> Self {
        Self {
            name,
            input,
            records: records(declared),
            text: Vec::new(),
            from: 0,
            to: 0,
            place: START,
            begun: false,
            max_record_bytes: declared.max_record_bytes,
            skipping: false,
            complete: false,
            held: false,
            again: None,
            replaced: false,
            declared: Arc::clone(declared),
        }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What is in a file, read to its end, that holds no row.
    pub(super) fn instead_of_rows(&self) -> Option<&'static str> {
        match (self.held, self.place.byte, self.declared.format) {
            (true, _, _) => None,
            (false, 0, _) => Some("it is empty"),
            (false, _, Format::Csv(_)) => Some("no line follows its header"),
            (false, _, _) => Some("its lines are blank"),
        }
    }

    /// Waits for more at most so long; may return earlier without.
    pub(super) fn wait(&mut self, at_most: Duration) {
        self.input.wait(at_most);
    }

    /// Reads into `rows` until the batch is full or there is nothing more.
    pub(super) fn fill(&mut self, rows: &mut Rows) -> Result<Filled, SourceError> {
        loop {
            self.use_text(rows)?;
            self.held |= !rows.is_empty();
            if rows.is_full() {
                return Ok(Filled::Batch);
            }
            match (self.complete, self.replaced) {
                (true, true) if rows.is_empty() && self.begin_anew()? => continue,
                (true, true) => return Ok(Filled::Nothing),
                (true, false) => return Ok(Filled::End),
                (false, _) => self.make_room(),
            }
            match self.input.read(&mut self.text[self.to..]) {
                Ok(Got::Bytes(bytes)) => self.to += bytes,
                Ok(Got::Nothing) if self.replaced => self.complete = true,
                Ok(Got::Nothing) => return Ok(Filled::Nothing),
                Ok(Got::End) => self.complete = true,
                Err(source) => {
                    let error = SourceError::Read {
                        file: self.name.to_string(),
                        line: self.place.line,
                        byte: self.place.byte,
                        source,
                    };
                    self.set_rest_aside(rows);
                    return Err(error);
                }
            }
        }
    }

    /// Uses the complete records of the text, all of it when the input is complete.
    fn use_text(&mut self, rows: &mut Rows) -> Result<(), SourceError> {
        if !self.begun {
            let start = &self.text[self.from..self.to.min(self.from + BYTE_ORDER_MARK.len())];
            if start == BYTE_ORDER_MARK {
                self.from += BYTE_ORDER_MARK.len();
                self.place.byte += BYTE_ORDER_MARK.len() as u64;
            } else if !self.complete && BYTE_ORDER_MARK.starts_with(start) {
                return Ok(());
            }
            self.records.restart();
            self.begun = true;
        }
        loop {
            if self.skipping {
                let (used, ended) = self
                    .records
                    .skip_line(&self.text[self.from..self.to], &mut self.place);
                self.from += used;
                self.skipping = !ended;
            }
            if self.skipping || self.from == self.to || rows.is_full() {
                return Ok(());
            }
            let text = &self.text[self.from..self.to];
            let used = self
                .records
                .read(text, self.complete, &self.name, &mut self.place, rows)?;
            self.from += used;
            // With the input complete, all is used but what a full batch leaves.
            if used > 0 || self.complete || text.len() <= self.max_record_bytes {
                return Ok(());
            }
            let fault = self.records.overlong(&self.name)?;
            rows.reject(
                &self.name,
                self.place,
                &text[..self.max_record_bytes],
                fault,
            );
            self.records.restart();
            self.skipping = true;
        }
    }

    /// Room for a read behind the text.
    fn make_room(&mut self) {
        if self.from > 0 {
            self.text.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
        }
        if self.text.len() < self.to + READ_BYTES {
            self.text
                .resize((self.to + READ_BYTES).next_power_of_two(), 0);
        }
    }

    /// The input broke off: what it left of a line is no row, but it is not dropped either.
    fn set_rest_aside(&self, rows: &mut Rows) {
        let rest = &self.text[self.from..self.to];
        if !rest.trim_ascii().is_empty() && !self.skipping {
            let fault = Fault {
                column: None,
                reason: "the input breaks off inside this line".into(),
            };
            rows.reject(&self.name, self.place, rest, fault);
        }
    }

    /// Notices that another file took the name of this one. It is read to its end first.
    pub(super) fn inspect(&mut self) -> Result<(), SourceError> {
        let fate = self
            .input
            .inspect()
            .map_err(|error| cannot_open(&self.name, error))?;
        self.replaced |= fate == Fate::Replaced;
        Ok(())
    }

    /// If `found` is this file under another name, takes that name and returns the older path.
    pub(super) fn rename(&mut self, found: &Found) -> Option<PathBuf> {
        let older = self.input.rename(found)?;
        if let (Some((again, _)), Found::File { name, .. }) = (&mut self.again, found) {
            *again = found.clone();
            self.name = Arc::clone(name);
        }
        self.replaced = false;
        Some(older)
    }

    /// Opens the file that took the name of this one, which is read to its end; false when it has gone again.
    fn begin_anew(&mut self) -> Result<bool, SourceError> {
        if let Some((found, counter)) = &self.again {
            match Input::open(found, true, counter) {
                Ok(input) => self.input = input,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(cannot_open(&self.name, error)),
            }
        }
        self.records = records(&self.declared);
        (self.from, self.to, self.place) = (0, 0, START);
        (self.skipping, self.complete, self.replaced) = (false, false, false);
        self.begun = false;
        Ok(true)
    }
}

const START: Place = Place { line: 1, byte: 0 };

#[cfg(test)]
#[path = "tests/splits.rs"]
mod splits;

fn records(declared: &Declared) -> Box<dyn Records> {
    match declared.format {
        Format::Csv(options) => Box::new(CsvRecords::new(declared, options)),
        Format::JsonLines | Format::Parquet => Box::new(JsonLines::new(declared)),
    }
}
