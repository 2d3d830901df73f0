//! JSON lines: one object a line, its declared keys straight into columns.

use std::sync::Arc;

use super::batch::{Fault, Place, Rows};
use super::columns::Column;
use super::declare::Declared;
use super::error::SourceError;
use super::json_scan::{Scan, Wrong};
use super::text_file::Records;

/// Keys remembered as they are written, in the order they come, at most so many an object.
const SLOTS: usize = 64;
/// Longer keys are looked up each time.
const SLOT_BYTES: usize = 256;

/// Reads objects; keeps what it learnt of how keys are written.
#[derive(Debug)]
pub(super) struct JsonLines {
    nodes: Vec<Node>,
    max_record_bytes: usize,
    /// Bytes at the start of the text known to hold no line end.
    searched: usize,
}

/// An object that holds declared columns. The first node is the row itself.
#[derive(Debug, Default)]
struct Node {
    entries: Vec<Entry>,
    slots: Vec<Slot>,
}

/// A key that leads to declared columns.
#[derive(Debug)]
struct Entry {
    key: String,
    /// The columns this value goes to.
    columns: Vec<usize>,
    /// The node of the object below.
    below: Option<usize>,
}

/// A key met before. Writers repeat themselves: the next key is nearly always the one that followed last time,
/// and one comparison of bytes takes the place of parsing and looking up.
#[derive(Debug)]
struct Slot {
    /// From the opening quote to the colon and the blanks behind it.
    raw: Box<[u8]>,
    /// None: nothing declared is there.
    entry: Option<usize>,
}

impl JsonLines {
    pub(super) fn new(declared: &Declared) -> Self {
        let mut nodes = vec![Node::default()];
        for (column, declaration) in declared.columns.iter().enumerate() {
            // Without a path the name is one key, dots and all.
            let keys: Vec<&str> = match &declaration.path {
                Some(path) => path.split('.').collect(),
                None => vec![declaration.name.as_str()],
            };
            let mut node = 0;
            for (depth, key) in keys.iter().enumerate() {
                let known = nodes[node]
                    .entries
                    .iter()
                    .position(|entry| entry.key == *key);
                let entry = known.unwrap_or_else(|| {
                    nodes[node].entries.push(Entry {
                        key: key.to_string(),
                        columns: Vec::new(),
                        below: None,
                    });
                    nodes[node].entries.len() - 1
                });
                if depth + 1 == keys.len() {
                    nodes[node].entries[entry].columns.push(column);
                } else if let Some(below) = nodes[node].entries[entry].below {
                    node = below;
                } else {
                    nodes.push(Node::default());
                    let below = nodes.len() - 1;
                    nodes[node].entries[entry].below = Some(below);
                    node = below;
                }
            }
        }
        Self {
            nodes,
            max_record_bytes: declared.max_record_bytes,
            searched: 0,
        }
    }

    /// Reads valid UTF-8 that ends with a line; returns the bytes read, less than all when the batch is full.
    fn lines(&mut self, text: &str, file: &Arc<str>, place: &mut Place, rows: &mut Rows) -> usize {
        let mut at = 0;
        while at < text.len() && !rows.is_full() {
            let mut scan = Scan::new(text, at);
            let row = self.row(&mut scan, rows);
            let end = match row {
                Ok(_) => scan.at,
                Err(_) => line_end(text.as_bytes(), at),
            };
            let raw = &text.as_bytes()[at..end];
            match row {
                // Blank or not: while such a line is still coming, nobody can tell.
                _ if raw.len() > self.max_record_bytes => {
                    rows.reject(
                        file,
                        *place,
                        &raw[..self.max_record_bytes],
                        too_long(self.max_record_bytes),
                    );
                }
                Ok(false) => {}
                Ok(true) => rows.accept(*place, raw.len()),
                Err(fault) => rows.reject(file, *place, raw, fault),
            }
            place.line += 1;
            place.byte += (end - at) as u64;
            at = end;
        }
        at
    }

    /// Reads one line past its end; false when it is blank.
    #[inline]
    fn row(&mut self, scan: &mut Scan<'_>, rows: &mut Rows) -> Result<bool, Fault> {
        let from = scan.at;
        let malformed = |scan: &Scan<'_>, wrong: Wrong| Fault {
            column: None,
            reason: format!("not JSON at byte {} of the line: {wrong}", scan.at - from),
        };
        scan.blanks();
        if matches!(scan.peek(), None | Some(b'\n')) {
            scan.at += usize::from(scan.peek().is_some());
            return Ok(false);
        }
        let taken = rows.len();
        let filled = object(&mut self.nodes, 0, scan, &mut rows.columns, taken).map_err(
            |error| match error {
                Trouble::Text(wrong) => malformed(scan, wrong),
                Trouble::Value(fault) => fault,
            },
        )?;
        scan.blanks();
        if !matches!(scan.peek(), None | Some(b'\n')) {
            return Err(malformed(scan, scan.unexpected("the end of the line")));
        }
        scan.at += usize::from(scan.peek().is_some());
        if filled < rows.columns.len() {
            for (index, column) in rows.columns.iter_mut().enumerate() {
                if column.len() == taken {
                    column.push_null().map_err(|reason| Fault {
                        column: Some(index),
                        reason,
                    })?;
                }
            }
        }
        Ok(true)
    }
}

impl Records for JsonLines {
    fn read(
        &mut self,
        text: &[u8],
        last: bool,
        file: &Arc<str>,
        place: &mut Place,
        rows: &mut Rows,
    ) -> Result<usize, SourceError> {
        let end = match text[self.searched.min(text.len())..]
            .iter()
            .rposition(|byte| *byte == b'\n')
        {
            _ if last => text.len(),
            Some(found) => self.searched + found + 1,
            None => {
                self.searched = text.len();
                return Ok(0);
            }
        };
        self.searched = 0;
        let mut at = 0;
        while at < end && !rows.is_full() {
            let (valid, broken) = match std::str::from_utf8(&text[at..end]) {
                Ok(valid) => (valid, false),
                Err(error) => {
                    let valid = &text[at..at + error.valid_up_to()];
                    let lines = valid
                        .iter()
                        .rposition(|byte| *byte == b'\n')
                        .map_or(0, |found| found + 1);
                    (
                        std::str::from_utf8(&valid[..lines]).unwrap_or_default(),
                        true,
                    )
                }
            };
            let used = self.lines(valid, file, place, rows);
            at += used;
            if broken && used == valid.len() && !rows.is_full() {
                let end = line_end(&text[..end], at);
                let raw = &text[at..end];
                if raw.len() > self.max_record_bytes {
                    rows.reject(
                        file,
                        *place,
                        &raw[..self.max_record_bytes],
                        too_long(self.max_record_bytes),
                    );
                } else {
                    let fault = Fault {
                        column: None,
                        reason: "the line is not valid UTF-8".into(),
                    };
                    rows.reject(file, *place, raw, fault);
                }
                place.line += 1;
                place.byte += (end - at) as u64;
                at = end;
            }
        }
        Ok(at)
    }

    fn overlong(&self, _file: &Arc<str>) -> Result<Fault, SourceError> {
        Ok(too_long(self.max_record_bytes))
    }

    fn skip_line(&mut self, text: &[u8], place: &mut Place) -> (usize, bool) {
        let end = text.iter().position(|byte| *byte == b'\n');
        let size = end.map_or(text.len(), |end| end + 1);
        place.byte += size as u64;
        place.line += u64::from(end.is_some());
        (size, end.is_some())
    }

    fn restart(&mut self) {
        self.searched = 0;
    }
}

/// Why a line that is longer than allowed is rejected.
pub(super) fn too_long(limit: usize) -> Fault {
    Fault {
        column: None,
        reason: format!("longer than {limit} bytes, the limit of one record"),
    }
}

/// Where the line at `at` ends, its line end included.
fn line_end(text: &[u8], at: usize) -> usize {
    text[at..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(text.len(), |found| at + found + 1)
}

/// What stops the reading of an object: broken text at the reader's place, or a value that does not fit.
enum Trouble {
    Text(Wrong),
    Value(Fault),
}

impl From<Wrong> for Trouble {
    fn from(wrong: Wrong) -> Self {
        Self::Text(wrong)
    }
}

/// Reads an object into the columns and returns how many it filled.
fn object(
    nodes: &mut [Node],
    node: usize,
    scan: &mut Scan<'_>,
    columns: &mut [Column],
    taken: usize,
) -> Result<usize, Trouble> {
    if !scan.eat(b'{') {
        return Err(Trouble::Text(scan.unexpected("an object `{…}`")));
    }
    scan.blanks();
    if scan.eat(b'}') {
        return Ok(0);
    }
    let (mut filled, mut slot) = (0, 0);
    loop {
        match nodes[node].entry(scan, &mut slot)? {
            None => scan.skip()?,
            Some(entry) => {
                let from = scan.at;
                for index in 0..nodes[node].entries[entry].columns.len() {
                    scan.at = from;
                    let column = nodes[node].entries[entry].columns[index];
                    value(scan, column, &mut columns[column], taken)?;
                    filled += 1;
                }
                if let Some(below) = nodes[node].entries[entry].below {
                    scan.at = from;
                    match scan.peek() {
                        Some(b'n') => scan.word("null")?,
                        Some(b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'[') => {
                            return Err(Trouble::Value(Fault {
                                column: first_column(nodes, below),
                                reason: "lies inside an object, and here is none".into(),
                            }));
                        }
                        _ => filled += object(nodes, below, scan, columns, taken)?,
                    }
                }
            }
        }
        scan.blanks();
        if scan.eat(b',') {
            scan.blanks();
        } else if scan.eat(b'}') {
            return Ok(filled);
        } else {
            return Err(Trouble::Text(scan.unexpected("`,` or `}`")));
        }
    }
}

/// The first column that is found inside the object of this node.
fn first_column(nodes: &[Node], node: usize) -> Option<usize> {
    let entry = nodes[node].entries.first()?;
    let below = || first_column(nodes, entry.below?);
    entry.columns.first().copied().or_else(below)
}

impl Node {
    /// Reads a key and its colon; returns the entry it names.
    #[inline]
    fn entry(&mut self, scan: &mut Scan<'_>, slot: &mut usize) -> Result<Option<usize>, Wrong> {
        if let Some(expected) = self.slots.get(*slot)
            && scan.eat_all(&expected.raw)
        {
            *slot += 1;
            scan.blanks();
            return Ok(expected.entry);
        }
        self.search(scan, slot)
    }

    fn search(&mut self, scan: &mut Scan<'_>, slot: &mut usize) -> Result<Option<usize>, Wrong> {
        for (index, known) in self.slots.iter().enumerate() {
            if scan.eat_all(&known.raw) {
                *slot = index + 1;
                scan.blanks();
                return Ok(known.entry);
            }
        }
        let before = *scan;
        let key = scan.key()?;
        let entry = self.entries.iter().position(|entry| entry.key == *key);
        if self.slots.len() < SLOTS && scan.at - before.at <= SLOT_BYTES {
            self.slots.push(Slot {
                raw: before.raw_until(scan).into(),
                entry,
            });
        }
        *slot = self.slots.len();
        Ok(entry)
    }
}

/// Reads a value into its column.
#[inline]
fn value(
    scan: &mut Scan<'_>,
    index: usize,
    column: &mut Column,
    taken: usize,
) -> Result<(), Trouble> {
    let misfit = |reason| {
        Trouble::Value(Fault {
            column: Some(index),
            reason,
        })
    };
    if column.len() > taken {
        return Err(misfit("appears twice in the object".into()));
    }
    match scan.peek() {
        Some(b'"') => column.push_text(&scan.string()?),
        Some(b'-' | b'0'..=b'9') => column.push_number(&scan.number()?),
        Some(b'n') => {
            scan.word("null")?;
            column.push_null()
        }
        Some(b't') => {
            scan.word("true")?;
            column.push_bool(true)
        }
        Some(b'f') => {
            scan.word("false")?;
            column.push_bool(false)
        }
        Some(b'{') => Err("is an object; name the value inside with a path".into()),
        Some(b'[') => Err("is an array, not one value".into()),
        _ => return Err(Trouble::Text(scan.unexpected("a value"))),
    }
    .map_err(misfit)
}
