//! Gzip and zstd, told by their first bytes.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use super::input::read_on;

/// Tells a compressed stream by its first bytes, without waiting for more than it must.
pub(super) fn plain_or_decoded(
    mut input: impl Read + Send + 'static,
) -> io::Result<Box<dyn Read + Send>> {
    let mut start = vec![0; MAGIC_BYTES];
    let mut length = 0;
    while length < MAGIC_BYTES && Compression::possible(&start[..length]) {
        match read_on(&mut input, &mut start[length..])? {
            0 => break,
            bytes => length += bytes,
        }
    }
    start.truncate(length);
    let compression = Compression::of(&start);
    let whole = io::Cursor::new(start).chain(input);
    match compression {
        Some(compression) => compression.decode(whole),
        None => Ok(Box::new(whole)),
    }
}

/// So many bytes tell.
pub(super) const MAGIC_BYTES: usize = 4;

/// Bytes that are read at once to be decoded.
const READ_BYTES: usize = 1 << 17;

/// How a text is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Whether a stream that begins so may turn out to be compressed.
    fn possible(start: &[u8]) -> bool {
        [0x1f, 0x8b].starts_with(&start[..start.len().min(2)])
            || [0x28, 0xb5, 0x2f, 0xfd].starts_with(start)
    }

    pub(super) fn decode(
        self,
        input: impl Read + Send + 'static,
    ) -> io::Result<Box<dyn Read + Send>> {
        let input = io::BufReader::with_capacity(READ_BYTES, input);
        Ok(match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(input)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(input)?),
        })
    }
}
