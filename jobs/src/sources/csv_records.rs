//! Delimited text: records of fields, the first one naming the columns.

use std::sync::Arc;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::batch::{Fault, Place, Rows};
use super::columns::meant;
use super::declare::{CsvOptions, Declared};
use super::error::SourceError;
use super::json_lines::too_long;
use super::text_file::Records;

/// Reads records. A record whose quotes never close, or of several lines with the wrong number of fields, costs
/// only its first line: that line is rejected and the next is read as a record of its own.
#[derive(Debug)]
pub(super) struct CsvRecords {
    names: Vec<String>,
    reader: Reader,
    fields: Fields,
    header: Option<Header>,
    max_record_bytes: usize,
    delimiter: u8,
    quote: u8,
    /// The last byte passed was a carriage return: a line feed next belongs to the same line end.
    after_return: bool,
}

/// The unquoted fields of one record.
#[derive(Debug)]
struct Fields {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
}

/// Where the declared columns are.
#[derive(Debug)]
struct Header {
    fields: usize,
    /// Field of each declared column.
    places: Vec<usize>,
}

/// What stands at the beginning of a text.
enum Found {
    /// A record of this many bytes, its line end included.
    Record(usize),
    /// The text ends before the record does.
    Incomplete,
}

impl CsvRecords {
    pub(super) fn new(declared: &Declared, options: CsvOptions) -> Self {
        Self {
            names: declared
                .columns
                .iter()
                .map(|column| column.place().to_owned())
                .collect(),
            reader: ReaderBuilder::new()
                .delimiter(options.delimiter)
                .quote(options.quote)
                .build(),
            fields: Fields {
                bytes: vec![0; 1 << 12],
                ends: vec![0; 64],
                count: 0,
            },
            header: None,
            max_record_bytes: declared.max_record_bytes,
            delimiter: options.delimiter,
            quote: options.quote,
            after_return: false,
        }
    }

    /// Finds the record at the start of `text`, which begins with no line end.
    fn find(&mut self, text: &[u8], last: bool) -> Found {
        let Self { reader, fields, .. } = self;
        let (mut read, mut bytes) = (0, 0);
        fields.count = 0;
        let mut closing = false;
        loop {
            // To the reader an empty input means the end of the file, so it is never given one.
            if !closing && read == text.len() {
                if !last {
                    self.restart();
                    return Found::Incomplete;
                }
                closing = true;
            }
            // At the very end a line end is added: a record that takes it for content has an open quote.
            let input = if closing {
                b"\n".as_slice()
            } else {
                &text[read..]
            };
            let (result, took, wrote, ended) = reader.read_record(
                input,
                &mut fields.bytes[bytes..],
                &mut fields.ends[fields.count..],
            );
            bytes += wrote;
            fields.count += ended;
            if !closing {
                read += took;
            }
            match result {
                ReadRecordResult::OutputFull => fields.bytes.resize(fields.bytes.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => fields.ends.resize(fields.ends.len() * 2, 0),
                ReadRecordResult::Record => return Found::Record(read),
                ReadRecordResult::InputEmpty if !closing => {}
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {
                    self.restart();
                    return Found::Incomplete;
                }
            }
        }
    }

    /// Reads the header record; an error when it does not name every declared column exactly once.
    fn learn_header(&mut self, file: &Arc<str>) -> Result<(), SourceError> {
        let mut names = Vec::with_capacity(self.fields.count);
        for index in 0..self.fields.count {
            names.push(
                String::from_utf8_lossy(self.fields.raw(index))
                    .trim()
                    .to_owned(),
            );
        }
        let mut problems = Vec::new();
        let mut places = Vec::new();
        problems.extend(other_delimiter(&names, self.names.len()));
        let wanted = if problems.is_empty() {
            &self.names[..]
        } else {
            &[]
        };
        for name in wanted {
            let found: Vec<usize> = (0..names.len())
                .filter(|index| names[*index] == *name)
                .collect();
            match found.as_slice() {
                [place] => places.push(*place),
                [] => problems.push(format!(
                    "column `{name}` is not in the header ({}){}",
                    listed(&names),
                    meant(name, &names)
                )),
                _ => problems.push(format!(
                    "column `{name}` is {} times in the header; rename all but one",
                    found.len()
                )),
            }
        }
        if !problems.is_empty() {
            return Err(SourceError::Columns {
                file: file.to_string(),
                problems,
            });
        }
        self.header = Some(Header {
            fields: names.len(),
            places,
        });
        Ok(())
    }

    /// Takes the record found last, or says how many of its bytes are rejected and why.
    fn judge(&self, header: &Header, raw: &[u8], rows: &mut Rows) -> Result<(), (usize, Fault)> {
        let first_line = line_end(raw);
        let no_record = |reason: String| {
            Err((
                first_line,
                Fault {
                    column: None,
                    reason,
                },
            ))
        };
        if self.fields.count != header.fields {
            return no_record(format!(
                "{} fields where the header has {}",
                self.fields.count, header.fields
            ));
        }
        if first_line < raw.len() && !self.quotes_hold(raw) {
            return no_record(
                "a quote opened in this line closes in another, before other text".into(),
            );
        }
        self.row(header, rows).map_err(|fault| (raw.len(), fault))
    }

    /// Whether every quoted field ends with its closing quote. The reader is content with less, which within a line only
    /// keeps a stray quote; across lines it would swallow records.
    fn quotes_hold(&self, raw: &[u8]) -> bool {
        let (mut quoted, mut at_start, mut closed) = (false, true, false);
        for byte in raw {
            if closed {
                // Behind a quote within quotes: doubled, or the field is over.
                closed = false;
                if *byte == self.quote {
                    continue;
                }
                quoted = false;
                if *byte != self.delimiter && !is_line_end(byte) {
                    return false;
                }
            }
            if quoted {
                closed = *byte == self.quote;
            } else {
                quoted = at_start && *byte == self.quote;
                at_start = *byte == self.delimiter || is_line_end(byte);
            }
        }
        true
    }

    /// Moves past `bytes`, counting their line ends: `\n`, `\r` and `\r\n` each count once.
    fn pass(&mut self, place: &mut Place, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        let ends = bytes.iter().filter(|byte| is_line_end(byte)).count();
        let pairs = bytes
            .iter()
            .zip(&bytes[1..])
            .filter(|pair| *pair == (&b'\r', &b'\n'))
            .count();
        let halved = usize::from(self.after_return && bytes[0] == b'\n');
        place.line += (ends - pairs - halved) as u64;
        place.byte += bytes.len() as u64;
        self.after_return = *last == b'\r';
    }

    /// Pushes the record found last into the columns.
    fn row(&self, header: &Header, rows: &mut Rows) -> Result<(), Fault> {
        let no_text = || Fault {
            column: None,
            reason: "the record is not valid UTF-8".into(),
        };
        let text = std::str::from_utf8(self.fields.all()).map_err(|_| no_text())?;
        for (index, (column, place)) in rows.columns.iter_mut().zip(&header.places).enumerate() {
            let (from, to) = self.fields.range(*place);
            let field = text.get(from..to).ok_or_else(no_text)?;
            column.push_field(field).map_err(|reason| Fault {
                column: Some(index),
                reason,
            })?;
        }
        Ok(())
    }
}

impl Records for CsvRecords {
    fn read(
        &mut self,
        text: &[u8],
        last: bool,
        file: &Arc<str>,
        place: &mut Place,
        rows: &mut Rows,
    ) -> Result<usize, SourceError> {
        let mut at = 0;
        while !rows.is_full() {
            let blank = text[at..]
                .iter()
                .take_while(|byte| is_line_end(byte))
                .count();
            self.pass(place, &text[at..at + blank]);
            at += blank;
            if at == text.len() {
                break;
            }
            let rest = &text[at..];
            let limit = self.max_record_bytes;
            let found = self.find(rest, last);
            let (size, fault) = match found {
                Found::Record(size) if size <= limit => (size, None),
                Found::Record(size) => (line_end(&rest[..size]), Some(too_long(limit))),
                // More may come; past the limit only while the first line itself has not ended.
                Found::Incomplete
                    if !last && (rest.len() <= limit || !rest.iter().any(is_line_end)) =>
                {
                    break;
                }
                Found::Incomplete if rest.len() > limit => (line_end(rest), Some(too_long(limit))),
                Found::Incomplete => {
                    let reason = "a quote opened in this line is never closed".into();
                    (
                        line_end(rest),
                        Some(Fault {
                            column: None,
                            reason,
                        }),
                    )
                }
            };
            let size = match (&self.header, fault) {
                (None, Some(fault)) => return Err(unreadable_header(file, &fault)),
                (None, None) => {
                    self.learn_header(file)?;
                    size
                }
                (Some(header), fault) => {
                    let judged = match fault {
                        Some(fault) => Err((size, fault)),
                        None => self.judge(header, &rest[..size], rows),
                    };
                    match judged {
                        Ok(()) => {
                            rows.accept(*place, size);
                            size
                        }
                        Err((size, fault)) => {
                            rows.reject(file, *place, &rest[..size.min(limit)], fault);
                            self.restart();
                            size
                        }
                    }
                }
            };
            self.pass(place, &rest[..size]);
            at += size;
        }
        Ok(at)
    }

    fn overlong(&self, file: &Arc<str>) -> Result<Fault, SourceError> {
        let fault = too_long(self.max_record_bytes);
        match self.header {
            Some(_) => Ok(fault),
            None => Err(unreadable_header(file, &fault)),
        }
    }

    fn skip_line(&mut self, text: &[u8], place: &mut Place) -> (usize, bool) {
        let end = text.iter().position(is_line_end);
        let size = end.map_or(text.len(), |end| end + 1);
        self.pass(place, &text[..size]);
        (size, end.is_some())
    }

    fn restart(&mut self) {
        self.reader.reset();
        // A fresh reader drops a byte-order mark; past the beginning of a file that would be content.
        self.reader
            .read_record(b"\n", &mut self.fields.bytes, &mut self.fields.ends);
    }
}

impl Fields {
    fn range(&self, index: usize) -> (usize, usize) {
        (
            if index == 0 { 0 } else { self.ends[index - 1] },
            self.ends[index],
        )
    }

    fn raw(&self, index: usize) -> &[u8] {
        let (from, to) = self.range(index);
        &self.bytes[from..to]
    }

    fn all(&self) -> &[u8] {
        &self.bytes[..if self.count == 0 {
            0
        } else {
            self.ends[self.count - 1]
        }]
    }
}

fn is_line_end(byte: &u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Where the first line ends, its line end included.
fn line_end(text: &[u8]) -> usize {
    text.iter()
        .position(is_line_end)
        .map_or(text.len(), |found| found + 1)
}

fn unreadable_header(file: &Arc<str>, fault: &Fault) -> SourceError {
    let problems = vec![format!("the header line cannot be read: {}", fault.reason)];
    SourceError::Columns {
        file: file.to_string(),
        problems,
    }
}

/// What to try when a header that should have several fields is one, with another delimiter in it.
fn other_delimiter(names: &[String], wanted: usize) -> Option<String> {
    let [all] = names else {
        return None;
    };
    let mark = [";", "\t", "|", ","]
        .into_iter()
        .find(|mark| all.contains(mark));
    let told = |mark| {
        format!("the header is one field with {mark:?} in it: is it `delimiter = {mark:?}`?")
    };
    mark.filter(|_| wanted > 1).map(told)
}

/// Names for a message, not too many.
pub(super) fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(40)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = if names.len() > shown.len() {
        ", …"
    } else {
        ""
    };
    format!("{}{more}", shown.join(", "))
}
