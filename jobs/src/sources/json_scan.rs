//! A strict reader of one line of JSON text (RFC 8259), value by value, without building a tree.

use std::borrow::Cow;

use super::numbers::{Grammar, Number};

/// Objects and arrays inside each other at most.
const DEEPEST: usize = 128;

/// What is wrong with the text, at the reader's place.
pub(super) type Wrong = String;

/// A place in a text whose next character is to be read. A line end outside a value ends the text:
/// no value and no object spans lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan<'a> {
    text: &'a str,
    pub(super) at: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str, at: usize) -> Self {
        Self { text, at }
    }

    /// What was read from here until `later`, a later place in the same text.
    pub(super) fn raw_until(&self, later: &Self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..later.at]
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Skips blanks, but no line end.
    #[inline]
    pub(super) fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Skips `expected` if it comes next.
    #[inline]
    pub(super) fn eat(&mut self, expected: u8) -> bool {
        let found = self.peek() == Some(expected);
        self.at += usize::from(found);
        found
    }

    /// Skips `raw` if it comes next.
    #[inline]
    pub(super) fn eat_all(&mut self, raw: &[u8]) -> bool {
        let found = self.text.as_bytes()[self.at..].starts_with(raw);
        if found {
            self.at += raw.len();
        }
        found
    }

    /// A key and its colon, with the blanks around it: what stands in quotes.
    pub(super) fn key(&mut self) -> Result<Cow<'a, str>, Wrong> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key in double quotes"));
        }
        let key = self.string()?;
        self.blanks();
        if !self.eat(b':') {
            return Err(self.unexpected("`:` after a key"));
        }
        self.blanks();
        Ok(key)
    }

    /// A string, at its opening quote.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, Wrong> {
        let from = self.at + 1;
        let end = plain_end(self.text.as_bytes(), from);
        if self.text.as_bytes().get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(Cow::Borrowed(&self.text[from..end]));
        }
        self.escaped(from, end).map(Cow::Owned)
    }

    #[cold]
    fn escaped(&mut self, mut from: usize, mut end: usize) -> Result<String, Wrong> {
        let mut value = String::new();
        loop {
            value.push_str(&self.text[from..end]);
            self.at = end;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(value);
                }
                Some(b'\\') => value.push(self.escape()?),
                None | Some(b'\n') => return Err("the line ends inside a string".into()),
                Some(_) => return Err(self.unexpected("no control character inside a string")),
            }
            from = self.at;
            end = plain_end(self.text.as_bytes(), from);
        }
    }

    fn escape(&mut self) -> Result<char, Wrong> {
        self.at += 1;
        let escaped = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.unexpected("an escape such as \\n")),
        };
        self.at += 1;
        Ok(escaped)
    }

    fn unicode(&mut self) -> Result<char, Wrong> {
        let first = self.hex()?;
        let code = match first {
            0xd800..0xdc00 if self.eat_all(b"\\u") => {
                let second = self.hex()?;
                if !(0xdc00..0xe000).contains(&second) {
                    return Err("half of a surrogate pair stands alone in a string".into());
                }
                0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            _ => first,
        };
        char::from_u32(code)
            .ok_or_else(|| "half of a surrogate pair stands alone in a string".into())
    }

    fn hex(&mut self) -> Result<u32, Wrong> {
        let digits = self.text.as_bytes()[self.at..].first_chunk::<4>();
        let mut code = 0;
        for digit in digits.ok_or_else(|| self.unexpected("four hex digits"))? {
            let digit = char::from(*digit)
                .to_digit(16)
                .ok_or_else(|| self.unexpected("four hex digits"))?;
            code = code * 16 + digit;
        }
        self.at += 4;
        Ok(code)
    }

    /// A number.
    #[inline]
    pub(super) fn number(&mut self) -> Result<Number<'a>, Wrong> {
        match Number::scan(&self.text[self.at..], Grammar::Json) {
            Some(number) => {
                self.at += number.text.len();
                Ok(number)
            }
            None => Err(self.unexpected("a number")),
        }
    }

    /// One of `true`, `false`, `null`.
    pub(super) fn word(&mut self, word: &'static str) -> Result<(), Wrong> {
        if self.eat_all(word.as_bytes()) {
            Ok(())
        } else {
            Err(self.unexpected(word))
        }
    }

    /// Any value, checked and passed over.
    pub(super) fn skip(&mut self) -> Result<(), Wrong> {
        // One bit a level: set for an object, clear for an array.
        let (mut depth, mut objects) = (0usize, 0u128);
        loop {
            let opened = match self.peek() {
                Some(b'"') => {
                    self.skip_string()?;
                    false
                }
                Some(b'{' | b'[') => {
                    depth += 1;
                    if depth > DEEPEST {
                        return Err(format!("values are nested more than {DEEPEST} deep"));
                    }
                    objects = objects << 1 | u128::from(self.peek() == Some(b'{'));
                    self.at += 1;
                    self.blanks();
                    true
                }
                Some(b't') => self.word("true").map(|()| false)?,
                Some(b'f') => self.word("false").map(|()| false)?,
                Some(b'n') => self.word("null").map(|()| false)?,
                Some(b'-' | b'0'..=b'9') => self.number().map(|_| false)?,
                _ => return Err(self.unexpected("a value")),
            };
            if self.close(&mut depth, &mut objects, opened)? {
                return Ok(());
            }
            if objects & 1 == 1 {
                self.key()?;
            }
        }
    }

    /// After a value or an opening bracket: closes what closes; true when nothing is open any more,
    /// otherwise a value or key comes next.
    fn close(
        &mut self,
        depth: &mut usize,
        objects: &mut u128,
        mut opened: bool,
    ) -> Result<bool, Wrong> {
        while *depth > 0 {
            let bracket = if *objects & 1 == 1 { b'}' } else { b']' };
            if !opened {
                self.blanks();
                if self.eat(b',') {
                    self.blanks();
                    return Ok(false);
                }
            }
            if !self.eat(bracket) {
                return if opened {
                    Ok(false)
                } else {
                    Err(self.unexpected(if bracket == b'}' {
                        "`,` or `}`"
                    } else {
                        "`,` or `]`"
                    }))
                };
            }
            opened = false;
            *depth -= 1;
            *objects >>= 1;
        }
        Ok(true)
    }

    fn skip_string(&mut self) -> Result<(), Wrong> {
        let from = self.at + 1;
        let end = plain_end(self.text.as_bytes(), from);
        if self.text.as_bytes().get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(());
        }
        self.escaped(from, end).map(drop)
    }

    /// What should be here and what is.
    #[cold]
    pub(super) fn unexpected(&self, expected: &str) -> Wrong {
        match self.text[self.at..].chars().next() {
            None | Some('\n') => format!("the line ends where {expected} should be"),
            Some(found) => format!("{found:?} where {expected} should be"),
        }
    }
}

/// Where the run of string characters from `at` on ends: at a quote, a backslash, a control character or the end.
#[inline]
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // A borrow may mark bytes above a marked one by mistake, never the lowest.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let marks = (zeros(word ^ (ONES * 0x22)) | zeros(word ^ (ONES * 0x5c)) | control) & HIGHS;
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes[at..]
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    rest.map_or(bytes.len(), |found| at + found)
}
