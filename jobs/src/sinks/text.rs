//! JSON lines and CSV on their way to a place, compressed if the file's ending asks for it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;

use super::error::{Attempt, Problem};
use super::parts::Squeeze;
use super::place::{Out, Sealed};
use super::{csv, json};

/// How rows become lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// One object a line.
    Json,
    /// A header, then one record a line.
    Csv,
}

impl Lines {
    /// Appends the rows of a batch as lines.
    pub(super) fn append(self, batch: &RecordBatch, to: &mut Vec<u8>) -> Result<(), ArrowError> {
        match self {
            Lines::Json => json::append(batch, to),
            Lines::Csv => csv::append(batch, to),
        }
    }
}

/// Lines are handed on when so many bytes wait.
const FULL: usize = 256 * 1024;

/// A text being written.
#[derive(Debug)]
pub(super) struct TextFile {
    lines: Lines,
    waiting: Vec<u8>,
    to: Squeezed,
    path: PathBuf,
}

impl TextFile {
    /// Begins a text. `first_line` is what a growing file begins with already.
    pub(super) fn begin(
        lines: Lines,
        schema: &Schema,
        out: Out,
        first_line: Option<&str>,
    ) -> Result<TextFile, Problem> {
        let path = out.path().to_owned();
        let mut waiting = Vec::new();
        if lines == Lines::Csv {
            csv::append_header(schema, &mut waiting);
            if let Some(first) = first_line {
                if first.as_bytes() != waiting.trim_ascii_end() {
                    return Err(Problem::settings(
                        format!(
                            "{} begins with the header `{first}`, which is not that of these rows",
                            path.display()
                        ),
                        "move the file away or set another `path`",
                    ));
                }
                waiting.clear();
            }
        }
        let to = Squeezed::new(out, &path).map_err(Problem::file(Attempt::Open, &path))?;
        Ok(TextFile {
            lines,
            waiting,
            to,
            path,
        })
    }

    /// Adds rows.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Problem> {
        self.lines
            .append(batch, &mut self.waiting)
            .map_err(|e| Problem::arrow(&self.path, e))?;
        match self.waiting.len() {
            FULL.. => self.flush(),
            _ => Ok(()),
        }
    }

    /// Hands on lines that have been made elsewhere.
    pub(super) fn write_lines(&mut self, lines: &[u8]) -> Result<(), Problem> {
        self.flush()?;
        self.hand_on(lines)
    }

    /// Hands on all lines so far: a reader of a growing place sees them now.
    pub(super) fn flush(&mut self) -> Result<(), Problem> {
        if !self.waiting.is_empty() {
            let mut waiting = std::mem::take(&mut self.waiting);
            self.hand_on(&waiting)?;
            waiting.clear();
            self.waiting = waiting;
        }
        Ok(())
    }

    fn hand_on(&mut self, lines: &[u8]) -> Result<(), Problem> {
        self.to
            .write_all(lines)
            .and_then(|()| self.to.flush())
            .map_err(Problem::file(Attempt::Write, &self.path))
    }

    /// Ends the text.
    pub(super) fn finish(mut self) -> Result<Sealed, Problem> {
        self.flush()?;
        let path = self.path;
        self.to
            .finish()
            .map_err(Problem::file(Attempt::Write, &path))?
            .seal()
    }
}

/// A place behind a compressor. A compressed file is one stream from its beginning to its end.
enum Squeezed {
    Plain(Out),
    Gzip(Box<flate2::write::GzEncoder<Out>>),
    Zstd(Box<zstd::Encoder<'static, Out>>),
}

impl std::fmt::Debug for Squeezed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Squeezed::Plain(_) => "Plain",
            Squeezed::Gzip(_) => "Gzip",
            Squeezed::Zstd(_) => "Zstd",
        })
    }
}

impl Squeezed {
    fn new(out: Out, path: &Path) -> io::Result<Squeezed> {
        Ok(match Squeeze::of(path) {
            Squeeze::None => Squeezed::Plain(out),
            Squeeze::Gzip => Squeezed::Gzip(Box::new(flate2::write::GzEncoder::new(
                out,
                flate2::Compression::default(),
            ))),
            Squeeze::Zstd => Squeezed::Zstd(Box::new(zstd::Encoder::new(out, 3)?)),
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Squeezed::Plain(out) => out.write_all(bytes),
            Squeezed::Gzip(to) => to.write_all(bytes),
            Squeezed::Zstd(to) => to.write_all(bytes),
        }
    }

    /// Compressed files appear whole: only a plain place has something to show before its end.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Squeezed::Plain(out) => out.flush(),
            Squeezed::Gzip(_) | Squeezed::Zstd(_) => Ok(()),
        }
    }

    fn finish(self) -> io::Result<Out> {
        match self {
            Squeezed::Plain(out) => Ok(out),
            Squeezed::Gzip(to) => to.finish(),
            Squeezed::Zstd(to) => to.finish(),
        }
    }
}
