//! How states are written and read: little numbers small, everything checked on the way back.
//!
//! Integers are LEB128 varints (signed ones zigzagged), so a fresh counter costs one byte.

use std::fmt;

use tidegate_schemas::time::EventTime;

/// The bytes are not what the reader expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecError {
    /// What was being read.
    pub what: &'static str,
    /// How many bytes were left when it failed.
    pub left: usize,
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "saved state is damaged: could not read {} with {} bytes left",
            self.what, self.left
        )
    }
}

impl std::error::Error for CodecError {}

/// Bytes being written.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    /// What was written so far.
    pub bytes: Vec<u8>,
}

impl Writer {
    /// Writes an unsigned number.
    pub fn unsigned(&mut self, mut value: u128) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// Writes a signed number.
    pub fn signed(&mut self, value: i128) {
        self.unsigned((value << 1 ^ value >> 127) as u128);
    }

    /// Writes a word.
    pub fn word(&mut self, value: i64) {
        self.signed(i128::from(value));
    }

    /// Writes a length.
    pub fn length(&mut self, value: usize) {
        self.unsigned(value as u128);
    }

    /// Writes a time.
    pub fn time(&mut self, value: EventTime) {
        self.word(value.0);
    }

    /// Writes a float, bit for bit.
    pub fn float(&mut self, value: f64) {
        self.bytes.extend_from_slice(&value.to_bits().to_le_bytes());
    }

    /// Writes a truth.
    pub fn bool(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    /// Writes a text.
    pub fn text(&mut self, value: &str) {
        self.length(value.len());
        self.bytes.extend_from_slice(value.as_bytes());
    }

    /// Writes a value that may be missing.
    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Writer, T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }
}

/// Bytes being read.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    /// Whether everything was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Says that what comes next is not what was expected.
    #[must_use]
    pub fn error(&self, what: &'static str) -> CodecError {
        CodecError {
            what,
            left: self.bytes.len(),
        }
    }

    fn take(&mut self, n: usize, what: &'static str) -> Result<&'a [u8], CodecError> {
        let (head, tail) = self
            .bytes
            .split_at_checked(n)
            .ok_or_else(|| self.error(what))?;
        self.bytes = tail;
        Ok(head)
    }

    /// Reads an unsigned number.
    ///
    /// # Errors
    /// At the end of the bytes, and for a number of more than 128 bits.
    pub fn unsigned(&mut self, what: &'static str) -> Result<u128, CodecError> {
        let mut value = 0u128;
        for shift in (0..128).step_by(7) {
            let byte = self.take(1, what)?[0];
            value |= u128::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.error(what))
    }

    /// Reads a number that is not negative.
    ///
    /// # Errors
    /// As [`Reader::unsigned`], and for a number that is too large for its type.
    pub fn number<N: TryFrom<u128>>(&mut self, what: &'static str) -> Result<N, CodecError> {
        N::try_from(self.unsigned(what)?).map_err(|_| self.error(what))
    }

    /// Reads a signed number.
    ///
    /// # Errors
    /// As [`Reader::unsigned`].
    pub fn signed(&mut self, what: &'static str) -> Result<i128, CodecError> {
        let value = self.unsigned(what)?;
        Ok((value >> 1) as i128 ^ -((value & 1) as i128))
    }

    /// Reads a word.
    ///
    /// # Errors
    /// As [`Reader::unsigned`], and for a number of more than 64 bits.
    pub fn word(&mut self, what: &'static str) -> Result<i64, CodecError> {
        i64::try_from(self.signed(what)?).map_err(|_| self.error(what))
    }

    /// Reads a length. It is checked against the bytes that are left, since every item takes at
    /// least one: damaged bytes cannot make the caller reserve room without bound.
    ///
    /// # Errors
    /// As [`Reader::unsigned`], and when the length cannot be true.
    pub fn length(&mut self, what: &'static str) -> Result<usize, CodecError> {
        let length = self.unsigned(what)?;
        if length > self.bytes.len() as u128 {
            return Err(self.error(what));
        }
        Ok(length as usize)
    }

    /// Reads a time.
    ///
    /// # Errors
    /// As [`Reader::word`].
    pub fn time(&mut self, what: &'static str) -> Result<EventTime, CodecError> {
        self.word(what).map(EventTime)
    }

    /// Reads a float.
    ///
    /// # Errors
    /// At the end of the bytes.
    pub fn float(&mut self, what: &'static str) -> Result<f64, CodecError> {
        let bytes: [u8; 8] = self
            .take(8, what)?
            .try_into()
            .map_err(|_| self.error(what))?;
        Ok(f64::from_bits(u64::from_le_bytes(bytes)))
    }

    /// Reads a truth.
    ///
    /// # Errors
    /// At the end of the bytes, and for a byte that is neither 0 nor 1.
    pub fn bool(&mut self, what: &'static str) -> Result<bool, CodecError> {
        match self.take(1, what)?[0] {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.error(what)),
        }
    }

    /// Reads a text.
    ///
    /// # Errors
    /// As [`Reader::length`], and for bytes that are not UTF-8.
    pub fn text(&mut self, what: &'static str) -> Result<&'a str, CodecError> {
        let length = self.length(what)?;
        let bytes = self.take(length, what)?;
        std::str::from_utf8(bytes).map_err(|_| self.error(what))
    }

    /// Reads a value that may be missing.
    ///
    /// # Errors
    /// Those of `read`, and of [`Reader::bool`].
    pub fn option<T>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, CodecError>,
    ) -> Result<Option<T>, CodecError> {
        if self.bool(what)? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_written_reads_back() {
        let mut to = Writer::default();
        for value in [0, 1, -1, 63, -64, i64::MAX, i64::MIN] {
            to.word(value);
        }
        to.signed(i128::MIN);
        to.unsigned(u128::MAX);
        to.float(-0.5);
        to.option(Some(3), Writer::word);
        to.option(None, Writer::word);
        let mut from = Reader::new(&to.bytes);
        for value in [0, 1, -1, 63, -64, i64::MAX, i64::MIN] {
            assert_eq!(from.word("n"), Ok(value));
        }
        assert_eq!(from.signed("n"), Ok(i128::MIN));
        assert_eq!(from.unsigned("n"), Ok(u128::MAX));
        assert_eq!(from.float("f"), Ok(-0.5));
        assert_eq!(from.option("o", |r| r.word("o")), Ok(Some(3)));
        assert_eq!(from.option("o", |r| r.word("o")), Ok(None));
        assert!(from.is_empty());
    }

    #[test]
    fn damaged_bytes_are_errors() {
        assert!(Reader::new(&[]).word("n").is_err());
        assert!(Reader::new(&[0xff; 30]).unsigned("n").is_err());
        assert!(Reader::new(&[0xff; 9]).number::<u64>("n").is_err());
        assert!(Reader::new(&[200, 1]).length("n").is_err());
        assert!(Reader::new(&[7]).bool("b").is_err());
    }
}
