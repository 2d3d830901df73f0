//! Bytes of one text file as they become available: plain, gzip or zstd, a growing file, or a pipe.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use flate2::read::MultiGzDecoder;

use super::files::Found;

/// Bytes of one read from a pipe: what a pipe holds at most by default.
const PIPE_BYTES: usize = 64 << 10;
/// Reads from a pipe waiting to be decoded, before the writer is held up.
const PIPE_READS: usize = 16;
/// How long a growing file is left alone when it has nothing new.
const PAUSE: Duration = Duration::from_millis(1);

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Got {
    /// So many bytes; more may be there.
    Bytes(usize),
    /// Nothing now; more may come.
    Nothing,
    /// There will be no more.
    End,
}

/// What became of a followed file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The same file, perhaps longer.
    Same,
    /// Another file has its name, or it was cut: it is to be read from the start.
    Replaced,
}

/// A text being read.
pub(super) enum Input {
    /// A plain file.
    Plain(Plain),
    /// A compressed file.
    Decoded(Box<dyn Read + Send>),
    /// Standard input or a named pipe.
    Pipe(Pipe),
}

impl Input {
    /// Opens what was found. `counter` gains every byte read, before decompression.
    pub(super) fn open(found: &Found, follow: bool, counter: &Arc<AtomicU64>) -> io::Result<Self> {
        let path = match found {
            Found::Stdin => {
                let stdin = duplicate_stdin()?;
                return Ok(Self::Pipe(Pipe::start(
                    move || Ok(stdin),
                    Arc::clone(counter),
                )?));
            }
            Found::File { path, .. } => path.clone(),
        };
        if !path.metadata()?.is_file() {
            // Opening a named pipe waits for its writer, so that is left to the reading thread.
            return Ok(Self::Pipe(Pipe::start(
                move || File::open(path),
                Arc::clone(counter),
            )?));
        }
        let mut file = File::open(&path)?;
        let mut start = Vec::new();
        file.by_ref()
            .take(MAGIC_BYTES as u64)
            .read_to_end(&mut start)?;
        file.rewind()?;
        let compression = Compression::of(&start);
        let claimed = path
            .extension()
            .is_some_and(|ending| ending == "gz" || ending == "zst");
        match compression {
            None if claimed && !start.is_empty() => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the name says it is compressed, but it is neither gzip nor zstd",
            )),
            None => Ok(Self::Plain(Plain::new(
                path,
                file,
                follow,
                Arc::clone(counter),
            )?)),
            Some(compression) => {
                let counted = Counted {
                    inner: file,
                    counter: Arc::clone(counter),
                };
                Ok(Self::Decoded(
                    compression.decode(io::BufReader::with_capacity(1 << 17, counted))?,
                ))
            }
        }
    }

    /// Reads what is there into `spare`, which is not empty.
    pub(super) fn read(&mut self, spare: &mut [u8]) -> io::Result<Got> {
        match self {
            Self::Plain(plain) => plain.read(spare),
            Self::Pipe(pipe) => pipe.read(spare),
            Self::Decoded(decoder) => Ok(match read_on(decoder, spare)? {
                0 => Got::End,
                bytes => Got::Bytes(bytes),
            }),
        }
    }

    /// Waits for more at most so long; may return earlier without.
    pub(super) fn wait(&mut self, at_most: Duration) {
        match self {
            Self::Pipe(pipe) => pipe.wait(at_most),
            Self::Plain(_) | Self::Decoded(_) => thread::sleep(at_most.min(PAUSE)),
        }
    }

    /// If `found` is the file being read under another name, takes that name and returns the older one.
    pub(super) fn rename(&mut self, found: &Found) -> Option<PathBuf> {
        match (self, found) {
            (Self::Plain(plain), Found::File { path, .. })
                if *path != plain.path && identity(&path.metadata().ok()?) == plain.identity =>
            {
                Some(std::mem::replace(&mut plain.path, path.clone()))
            }
            _ => None,
        }
    }

    /// Looks whether a followed file is still the one its name leads to.
    pub(super) fn inspect(&self) -> io::Result<Fate> {
        match self {
            Self::Plain(plain) => plain.inspect(),
            Self::Decoded(_) | Self::Pipe(_) => Ok(Fate::Same),
        }
    }
}

/// A plain file, followed or not.
pub(super) struct Plain {
    path: PathBuf,
    file: File,
    identity: (u64, u64),
    offset: u64,
    follow: bool,
    counter: Arc<AtomicU64>,
}

impl Plain {
    fn new(path: PathBuf, file: File, follow: bool, counter: Arc<AtomicU64>) -> io::Result<Self> {
        let identity = identity(&file.metadata()?);
        Ok(Self {
            path,
            file,
            identity,
            offset: 0,
            follow,
            counter,
        })
    }

    fn read(&mut self, spare: &mut [u8]) -> io::Result<Got> {
        let bytes = read_on(&mut self.file, spare)?;
        self.offset += bytes as u64;
        self.counter.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(match bytes {
            0 if self.follow => Got::Nothing,
            0 => Got::End,
            bytes => Got::Bytes(bytes),
        })
    }

    fn inspect(&self) -> io::Result<Fate> {
        let metadata = match self.path.metadata() {
            // Renamed away; its successor has not come yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Fate::Same),
            found => found?,
        };
        let same = identity(&metadata) == self.identity && metadata.len() >= self.offset;
        Ok(if same { Fate::Same } else { Fate::Replaced })
    }
}

/// What tells a file from another of the same name.
#[cfg(unix)]
fn identity(metadata: &std::fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(_: &std::fs::Metadata) -> (u64, u64) {
    (0, 0)
}

/// A pipe, read by a thread of its own: a read that finds nothing blocks, and that thread with it, so that
/// the source itself can say that it is idle, and stop.
pub(super) struct Pipe {
    reads: Receiver<io::Result<Block>>,
    used: Sender<Vec<u8>>,
    /// The read being handed on.
    current: Option<Block>,
}

struct Block {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
}

impl Pipe {
    fn start(
        open: impl FnOnce() -> io::Result<File> + Send + 'static,
        counter: Arc<AtomicU64>,
    ) -> io::Result<Self> {
        let (sender, reads) = bounded(PIPE_READS);
        let (used, spare) = bounded::<Vec<u8>>(PIPE_READS + 2);
        thread::Builder::new()
            .name("pipe reader".into())
            .spawn(move || {
                let mut input = match open().and_then(|file| {
                    plain_or_decoded(Counted {
                        inner: file,
                        counter,
                    })
                }) {
                    Ok(input) => input,
                    Err(error) => return drop(sender.send(Err(error))),
                };
                loop {
                    let mut bytes = spare.try_recv().unwrap_or_else(|_| vec![0; PIPE_BYTES]);
                    let read = match read_on(&mut input, &mut bytes) {
                        Ok(0) => return,
                        Ok(to) => Ok(Block { bytes, from: 0, to }),
                        Err(error) => Err(error),
                    };
                    let failed = read.is_err();
                    if sender.send(read).is_err() || failed {
                        return;
                    }
                }
            })?;
        Ok(Self {
            reads,
            used,
            current: None,
        })
    }

    fn read(&mut self, spare: &mut [u8]) -> io::Result<Got> {
        let mut block = match self.current.take() {
            Some(block) => block,
            None => match self.reads.try_recv() {
                Ok(read) => read?,
                Err(TryRecvError::Empty) => return Ok(Got::Nothing),
                Err(TryRecvError::Disconnected) => return Ok(Got::End),
            },
        };
        let bytes = spare.len().min(block.to - block.from);
        spare[..bytes].copy_from_slice(&block.bytes[block.from..block.from + bytes]);
        block.from += bytes;
        if block.from < block.to {
            self.current = Some(block);
        } else {
            // A full or closed channel only means that the buffer is not used again.
            let _ = self.used.try_send(block.bytes);
        }
        Ok(Got::Bytes(bytes))
    }

    fn wait(&mut self, at_most: Duration) {
        if self.current.is_some() {
            return;
        }
        match self.reads.recv_timeout(at_most) {
            Ok(Ok(block)) => self.current = Some(block),
            // An error is handed on by putting it where the next read looks.
            Ok(Err(error)) => {
                let (sender, reads) = bounded(1);
                let _ = sender.send(Err(error));
                self.reads = reads;
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
}

/// A second handle on standard input, without the standard library's buffer and lock.
fn duplicate_stdin() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Tells a compressed stream by its first bytes, without waiting for more than it must.
fn plain_or_decoded(mut input: Counted) -> io::Result<Box<dyn Read + Send>> {
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
        Some(compression) => compression.decode(io::BufReader::with_capacity(PIPE_BYTES, whole)),
        None => Ok(Box::new(whole)),
    }
}

const MAGIC_BYTES: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    fn of(start: &[u8]) -> Option<Self> {
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

    fn decode(self, input: impl io::BufRead + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(input)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(input)?),
        })
    }
}

/// Counts what is read through it.
struct Counted {
    inner: File,
    counter: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(into)?;
        self.counter.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

/// Reads once, again when a signal came between.
fn read_on(input: &mut (impl Read + ?Sized), into: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}
