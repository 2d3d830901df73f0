//! A program that is fed while it runs: rows in on standard input, lines out on standard output, each with the time it came.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    error::Error,
    process::{self, CommandLine},
};

/// Where what is read is put has room for so many bytes more at least: a pipe holds no more.
const PIECE: usize = 64 * 1024;

/// A running program.
pub struct Live {
    line: CommandLine,
    child: Child,
    stdin: Option<ChildStdin>,
    heard: Arc<AtomicUsize>,
    stdout: Option<JoinHandle<Vec<Said>>>,
    stderr: Option<JoinHandle<String>>,
}

/// A line of output and when it was there.
pub struct Said {
    /// When the line had been read.
    pub at: Instant,
    /// The line, without its end.
    pub line: Vec<u8>,
}

impl Live {
    /// Starts the program.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(line: CommandLine) -> Result<Live, Error> {
        Live::start_with_room(line, 0)
    }

    /// Starts the program and a listener that has room for so many bytes, so that it asks the system for none
    /// while they come.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_with_room(line: CommandLine, room: usize) -> Result<Live, Error> {
        let mut child = line.spawn(Stdio::piped(), Stdio::piped())?;
        let stdin = child.stdin.take();
        let heard = Arc::new(AtomicUsize::new(0));
        let stdout = child.stdout.take().map(|stdout| {
            let heard = Arc::clone(&heard);
            thread::spawn(move || listen(stdout, room, &heard))
        });
        let stderr = child.stderr.take().map(process::collect);
        Ok(Live {
            line,
            child,
            stdin,
            heard,
            stdout,
            stderr,
        })
    }

    /// Sends rows; returns once the pipe has taken them.
    ///
    /// # Errors
    /// If the program no longer reads.
    pub fn send(&mut self, rows: &[u8]) -> Result<(), Error> {
        let sent = match &mut self.stdin {
            Some(stdin) => stdin.write_all(rows),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        };
        match sent {
            Ok(()) => Ok(()),
            Err(source) => {
                let said = self
                    .end(Duration::from_secs(10))
                    .err()
                    .map_or(String::new(), |error| error.to_string());
                Err(self
                    .line
                    .failed(format_args!("it stopped reading: {source}"), &said))
            }
        }
    }

    /// How many bytes of output it has said.
    pub fn heard(&self) -> usize {
        self.heard.load(Ordering::Relaxed)
    }

    /// The resident memory now, in bytes.
    pub fn memory(&self) -> u64 {
        process::memory(self.child.id(), "VmRSS").unwrap_or(0)
    }

    /// The highest resident memory so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        process::memory(self.child.id(), "VmHWM").unwrap_or(0)
    }

    /// Closes the input, waits for the end, and returns what was said: lines of standard output, text of standard error.
    ///
    /// # Errors
    /// If the program fails, or does not end within `patience` (it is then stopped).
    pub fn end(&mut self, patience: Duration) -> Result<(Vec<Said>, String), Error> {
        let (status, said, errors) = self.wait(patience)?;
        if status.success() {
            Ok((said, errors))
        } else {
            Err(self.line.failed(status, &errors))
        }
    }

    /// Asks a program whose input has no end to stop, waits until it has, and returns the lines of standard output.
    ///
    /// # Errors
    /// If it does not end within `patience` (it is then stopped by force).
    pub fn stop(&mut self, patience: Duration) -> Result<Vec<Said>, Error> {
        let mut kill = Command::new("kill");
        kill.arg("-TERM").arg(self.child.id().to_string());
        kill.status().map_err(|source| Error::Start {
            command: "kill".to_owned(),
            source,
        })?;
        self.wait(patience).map(|(_, said, _)| said)
    }

    fn wait(&mut self, patience: Duration) -> Result<(ExitStatus, Vec<Said>, String), Error> {
        drop(self.stdin.take());
        let asked = Instant::now();
        let status = loop {
            let ended = self.child.try_wait().map_err(|source| Error::Start {
                command: self.line.to_string(),
                source,
            })?;
            match ended {
                Some(status) => break status,
                None if asked.elapsed() > patience => {
                    let _ = self.child.kill();
                    let _ = self.child.wait();
                    return Err(self.line.failed(
                        format_args!("not done {} s after its input ended", patience.as_secs()),
                        "",
                    ));
                }
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        let said = self
            .stdout
            .take()
            .and_then(|t| t.join().ok())
            .unwrap_or_default();
        let errors = self
            .stderr
            .take()
            .and_then(|t| t.join().ok())
            .unwrap_or_default();
        Ok((status, said, errors))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // Nothing to do if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads lines until there are no more. What is read is only put aside until then, so that the listener takes little of the
/// processors that the program runs on, however much it says at once.
fn listen(mut from: impl Read, room: usize, heard: &AtomicUsize) -> Vec<Said> {
    // Written once, so that the system has given all of the room before anything comes.
    let mut text = vec![b' '; room.max(PIECE)];
    let (mut length, mut reads) = (0, Vec::new());
    // An error ends the listening as the end of output does: the exit status tells what happened.
    while let Ok(read) = from.read(&mut text[length..])
        && read > 0
    {
        length += read;
        reads.push((length, Instant::now()));
        heard.store(length, Ordering::Relaxed);
        if text.len() - length < PIECE {
            text.resize(2 * text.len(), b' ');
        }
    }
    lines_of(&text[..length], &reads)
}

/// The lines of a text that was read in pieces: up to where, and when. A line was there when its end was.
fn lines_of(text: &[u8], reads: &[(usize, Instant)]) -> Vec<Said> {
    let (mut end, mut reads) = (0, reads.iter().peekable());
    let line = |line: &[u8]| {
        end += line.len();
        while reads.next_if(|(until, _)| *until < end).is_some() {}
        reads.peek().map(|(_, at)| Said {
            at: *at,
            line: line.strip_suffix(b"\n").unwrap_or(line).to_owned(),
        })
    };
    text.split_inclusive(|byte| *byte == b'\n')
        .filter_map(line)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let mut cat = Live::start(CommandLine::new(["cat"])).unwrap();
        cat.send(b"one\ntwo\n").unwrap();
        assert!(cat.memory() > 0);
        let (said, _) = cat.end(Duration::from_secs(10)).unwrap();
        let lines: Vec<&[u8]> = said.iter().map(|s| s.line.as_slice()).collect();
        assert_eq!(lines, [b"one", b"two"]);
    }

    #[test]
    fn a_line_was_there_when_its_end_was() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let said = lines_of(
            b"a\nbc\nd\ne",
            &[(1, at(1)), (6, at(2)), (7, at(3)), (8, at(4))],
        );
        let said: Vec<_> = said.iter().map(|said| (&*said.line, said.at)).collect();
        let expected: [(&[u8], _); 4] =
            [(b"a", at(2)), (b"bc", at(2)), (b"d", at(3)), (b"e", at(4))];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_program_that_stops_reading_is_an_error_with_its_last_words() {
        let mut program = Live::start(CommandLine::new([
            "sh",
            "-c",
            "echo out of order >&2; exec <&-; exit 4",
        ]))
        .unwrap();
        let error = (0..1_000)
            .find_map(|_| program.send(&[b'x'; 4_096]).err())
            .unwrap();
        assert!(error.to_string().contains("out of order"), "{error}");
    }
}
