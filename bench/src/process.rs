//! Runs a program as a whole process, held to some of the CPUs, and says what it took.

use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::error::Error;

/// A command line: the program and its arguments.
#[derive(Clone, Debug)]
pub struct CommandLine(pub Vec<String>);

impl CommandLine {
    /// A command line of these words.
    pub fn new<T: Into<String>>(words: impl IntoIterator<Item = T>) -> CommandLine {
        CommandLine(words.into_iter().map(Into::into).collect())
    }

    /// Adds words at the end.
    pub fn with<T: Into<String>>(mut self, words: impl IntoIterator<Item = T>) -> CommandLine {
        self.0.extend(words.into_iter().map(Into::into));
        self
    }

    /// The same program held to the first `cpus` CPUs.
    pub fn pinned(&self, cpus: usize) -> CommandLine {
        let list = format!("0-{}", cpus.max(1) - 1);
        CommandLine::new(["taskset", "-c", &list]).with(self.0.clone())
    }

    /// Starts the program. What it says to standard error is for the caller to read, or to be let through.
    pub fn spawn(&self, stdin: Stdio, stderr: Stdio) -> Result<Child, Error> {
        let (program, arguments) = self
            .0
            .split_first()
            .ok_or_else(|| Error::Asked("an empty command line".to_owned()))?;
        Command::new(program)
            .args(arguments)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(|source| Error::Start {
                command: self.to_string(),
                source,
            })
    }

    /// The error of this program having failed, saying the end of what it said.
    pub fn failed(&self, what: impl std::fmt::Display, said: &str) -> Error {
        let start = said.char_indices().rev().nth(1_500).map_or(0, |(at, _)| at);
        Error::Program {
            command: self.to_string(),
            said: format!("{what}\n{}", &said[start..]),
        }
    }
}

impl std::fmt::Display for CommandLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// Sees to it that the answers of earlier runs are gone: to replace a file takes time that tells nothing.
///
/// # Errors
/// If one cannot be removed.
pub fn without(answers: &[PathBuf]) -> Result<(), Error> {
    for answer in answers {
        match fs::remove_file(answer) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::write(answer)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a run took, from start to end of the process.
#[derive(Clone, Debug)]
pub struct Measured {
    /// From just before the start until the end was seen.
    pub wall: Duration,
    /// User and system time of the process and its children.
    pub cpu_seconds: f64,
    /// The highest resident memory seen, in bytes.
    pub peak_rss: u64,
    /// What it said to standard output.
    pub stdout: String,
}

/// Runs the program to its end, looking at its memory every few milliseconds.
///
/// One run at a time: CPU seconds are those of all children that ended meanwhile.
///
/// # Errors
/// If it cannot be started, fails, or takes longer than `limit` (it is then stopped).
pub fn measure(line: &CommandLine, limit: Duration) -> Result<Measured, Error> {
    measure_reading(line, Stdio::null(), limit)
}

/// As [`measure`], with something to read on standard input.
///
/// # Errors
/// As [`measure`].
pub fn measure_reading(
    line: &CommandLine,
    stdin: Stdio,
    limit: Duration,
) -> Result<Measured, Error> {
    let cpu_before = cpu_seconds_of_children();
    let started = Instant::now();
    let mut child = line.spawn(stdin, Stdio::piped())?;
    let stdout = child.stdout.take().map(collect);
    let stderr = child.stderr.take().map(collect);
    let mut peak_rss = 0;
    let status = loop {
        // A process that has ended has no memory left to be read, so the last look before the end counts.
        peak_rss = memory(child.id(), "VmHWM").unwrap_or(0).max(peak_rss);
        if let Some(status) = child.try_wait().map_err(|source| Error::Start {
            command: line.to_string(),
            source,
        })? {
            break status;
        }
        if started.elapsed() > limit {
            // It may have ended in this instant; either way it is waited for, and the time is up.
            let _ = child.kill();
            let _ = child.wait();
            return Err(line.failed(format_args!("stopped after {} s", limit.as_secs()), ""));
        }
        thread::sleep(Duration::from_millis(4));
    };
    let wall = started.elapsed();
    let cpu_seconds = cpu_seconds_of_children() - cpu_before;
    let text = |reader: Option<thread::JoinHandle<String>>| {
        reader.and_then(|r| r.join().ok()).unwrap_or_default()
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    if !status.success() {
        return Err(line.failed(status, &(stdout + &stderr)));
    }
    Ok(Measured {
        wall,
        cpu_seconds,
        peak_rss,
        stdout,
    })
}

/// Reads all that comes, on a thread of its own, so that the program never waits for us.
pub fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is still worth showing.
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A memory figure of a process in bytes, as the kernel names it: `VmHWM` for the peak, `VmRSS` for now.
pub fn memory(pid: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1_024)
}

/// User and system seconds of all children that have ended. The kernel counts in hundredths of a second, whatever its own clock.
pub(crate) fn cpu_seconds_of_children() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is the name in brackets, and may hold spaces; cutime and cstime are fields 16 and 17.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields
        .split_whitespace()
        .skip(13)
        .take(2)
        .filter_map(|f| f.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_time_memory_and_words() {
        let line = CommandLine::new([
            "sh",
            "-c",
            "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done",
        ])
        .pinned(1);
        let measured = measure(&line, Duration::from_secs(60)).unwrap();
        assert_eq!(measured.stdout, "done\n");
        assert!(measured.cpu_seconds > 0.0 && measured.wall > Duration::ZERO);
        assert!(measured.peak_rss > 100_000, "{}", measured.peak_rss);
    }

    #[test]
    fn a_failure_says_what_the_program_said() {
        let error = measure(
            &CommandLine::new(["sh", "-c", "echo no such thing >&2; exit 3"]),
            Duration::from_secs(60),
        )
        .unwrap_err();
        assert!(error.to_string().contains("no such thing"), "{error}");
    }

    #[test]
    fn a_program_that_never_ends_is_stopped() {
        assert!(
            measure(
                &CommandLine::new(["sleep", "60"]),
                Duration::from_millis(50)
            )
            .is_err()
        );
    }
}
