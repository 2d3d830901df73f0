//! A pipe that is read: the standard input, or one with a name.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

use super::compression::plain_or_decoded;
use super::input::{Got, read_on};

/// Bytes of one read from a pipe: what a pipe holds at most by default.
const PIPE_BYTES: usize = 64 << 10;
/// Reads from a pipe waiting to be decoded, before the writer is held up: who reads is the longer busy with what it got,
/// the more waits, so that under full load a tick has ten thousands of rows. (With a quarter of that it has thousands,
/// and late rows, which cost every key what is recent of it once a tick, take half of the time.)
const PIPE_READS: usize = 64;
/// How long a pipe that was read empty is left alone: a writer of single rows would wake every thread for each of them,
/// which takes more time of the processor than the rows do.
const GATHER: Duration = Duration::from_micros(500);

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
    pub(super) fn start(
        open: impl FnOnce() -> io::Result<File> + Send + 'static,
        counter: Arc<AtomicU64>,
    ) -> io::Result<Self> {
        let (sender, reads) = bounded(PIPE_READS);
        let (used, spare) = bounded::<Vec<u8>>(PIPE_READS + 2);
        thread::Builder::new()
            .name("pipe reader".into())
            .spawn(move || {
                let mut input =
                    match open().and_then(|file| plain_or_decoded(Counted::new(file, counter))) {
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

    pub(super) fn read(&mut self, spare: &mut [u8]) -> io::Result<Got> {
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

    pub(super) fn wait(&mut self, at_most: Duration) {
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

/// How many bytes a pipe holds; none if it is no pipe, or the system does not tell.
#[cfg(target_os = "linux")]
fn pipe_size(file: &File) -> Option<usize> {
    rustix::pipe::fcntl_getpipe_size(file).ok()
}

#[cfg(not(target_os = "linux"))]
fn pipe_size(_: &File) -> Option<usize> {
    None
}

/// Counts what is read through it; lets bytes gather in a pipe.
pub(super) struct Counted {
    inner: File,
    counter: Arc<AtomicU64>,
    /// What it holds if it is a pipe.
    holds: Option<usize>,
    /// The last read left nothing in the pipe.
    emptied: bool,
}

impl Counted {
    pub(super) fn new(inner: File, counter: Arc<AtomicU64>) -> Self {
        Self {
            holds: pipe_size(&inner),
            inner,
            counter,
            emptied: false,
        }
    }
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.emptied {
            thread::sleep(GATHER);
        }
        let bytes = self.inner.read(into)?;
        self.emptied = (self.holds).is_some_and(|holds| bytes < holds.min(into.len()));
        self.counter.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_pipe_that_was_read_empty_is_left_alone_for_a_while() {
        let (from, mut to) = io::pipe().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(from));
        let mut pipe = Counted::new(file, Arc::default());
        let mut bytes = [0; 4];
        to.write_all(b"abcdef").unwrap();
        assert_eq!(pipe.read(&mut bytes).unwrap(), 4);
        assert!(!pipe.emptied, "there may be more");
        assert_eq!(pipe.read(&mut bytes).unwrap(), 2);
        assert!(pipe.emptied);
        let start = Instant::now();
        to.write_all(b"ghij").unwrap();
        assert_eq!(pipe.read(&mut bytes).unwrap(), 4);
        assert!(start.elapsed() >= GATHER);
        assert!(!pipe.emptied);
        assert_eq!(pipe.counter.load(Ordering::Relaxed), 10);
    }
}
