//! Bytes of one text file as they become available: plain, gzip or zstd, a growing file, or a pipe.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::compression::{Compression, MAGIC_BYTES};
use super::files::Found;
use super::pipe::{Counted, Pipe};

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
                let counted = Counted::new(file, Arc::clone(counter));
                Ok(Self::Decoded(compression.decode(counted)?))
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

/// A second handle on standard input, without the standard library's buffer and lock.
fn duplicate_stdin() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Reads once, again when a signal came between.
pub(super) fn read_on(input: &mut (impl Read + ?Sized), into: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}
