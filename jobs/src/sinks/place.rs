//! Where bytes go: files that appear whole, files that grow by whole lines, devices, the standard output.
//!
//! # Promises
//! - A file that is not meant to grow is written under a hidden name in the directory it belongs
//!   to (`.NAME.XXXXXX.tmp`), made durable, and renamed when it is finished, and with it all others of the run. Until then an earlier
//!   file of that name stays as it was; then it is replaced in one step. A run that fails or is
//!   aborted leaves neither the new file nor the hidden one.
//! - A hidden file is locked while it is written. What a killed run left behind is not locked, and
//!   the next run of the same sink removes it. Two sinks or two runs never write the same result.
//! - A file that grows is appended to by whole lines, by one writer at a time. A write that fails
//!   in the middle is taken back; a last line that a killed run left unfinished is cut off (and
//!   said so in the log) before the first new one.
//! - A path that is neither a file nor a directory (`/dev/null`, a named pipe) is written to as it
//!   is. A link is followed: its target is what is replaced, not the link.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::error::{Attempt, Problem};

/// An open destination.
#[derive(Debug)]
pub(super) enum Out {
    /// The standard output.
    Stdout(io::Stdout),
    /// Something that is not a regular file.
    Device(PathBuf, File),
    /// A file that appears when it is committed.
    Staged(Staged),
    /// A file that grows by whole lines.
    Growing(Growing),
}

/// Bytes that the standard output takes before somebody has read them, if it is a pipe: as many as Linux grants everybody.
#[cfg(target_os = "linux")]
const PIPE: usize = 1 << 20;

impl Out {
    /// The standard output.
    pub(super) fn stdout() -> Out {
        let out = io::stdout();
        // With the usual 64 KiB, who writes many lines and who reads them wait for each other every few hundred of them.
        // What is no pipe answers an error and stays as it is.
        #[cfg(target_os = "linux")]
        let _ = rustix::pipe::fcntl_setpipe_size(&out, PIPE);
        Out::Stdout(out)
    }

    /// The place's name for messages.
    pub(super) fn path(&self) -> &Path {
        match self {
            Out::Stdout(_) => Path::new("the standard output"),
            Out::Device(path, _) => path,
            Out::Staged(staged) => &staged.to,
            Out::Growing(growing) => &growing.path,
        }
    }

    /// Makes everything written durable: what can fail late fails here, before anything appears.
    pub(super) fn seal(self) -> Result<Sealed, Problem> {
        match self {
            Out::Stdout(mut out) => {
                out.flush()
                    .map(|()| Sealed::Shown(None))
                    .map_err(Problem::file(
                        Attempt::Write,
                        Path::new("the standard output"),
                    ))
            }
            Out::Device(..) => Ok(Sealed::Shown(None)),
            Out::Staged(staged) => {
                let file = staged.file.as_file();
                file.sync_all()
                    .map_err(Problem::file(Attempt::Sync, &staged.to))?;
                Ok(Sealed::Hidden(staged))
            }
            Out::Growing(growing) => {
                growing
                    .file
                    .sync_all()
                    .map_err(Problem::file(Attempt::Sync, &growing.path))?;
                Ok(Sealed::Shown(Some(growing.path)))
            }
        }
    }
}

/// A finished destination. A file that was hidden appears when it is published.
#[derive(Debug)]
pub(super) enum Sealed {
    /// It could be seen all along.
    Shown(Option<PathBuf>),
    /// It lies under its hidden name.
    Hidden(Staged),
}

impl Sealed {
    /// Makes it visible; answers the file, if it is one.
    pub(super) fn publish(self) -> Result<Option<PathBuf>, Problem> {
        match self {
            Sealed::Shown(path) => Ok(path),
            Sealed::Hidden(staged) => staged.publish().map(Some),
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Out::Stdout(out) => out.write(bytes),
            Out::Device(_, file) => file.write(bytes),
            // Straight to the file: errors name the result, not its hidden file.
            Out::Staged(staged) => staged.file.as_file_mut().write(bytes),
            Out::Growing(growing) => growing.append(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Out::Stdout(out) => out.flush(),
            // Files are not buffered here.
            Out::Device(..) | Out::Staged(_) | Out::Growing(_) => Ok(()),
        }
    }
}

/// A file under its hidden name. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Staged {
    file: NamedTempFile,
    to: PathBuf,
    replace: Replace,
}

/// What to do with a file that has the wanted name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replace {
    /// It is an earlier result of the same sink: replace it.
    Yes,
    /// It is somebody else's: fail.
    No,
}

impl Staged {
    /// Begins the file that will be `to`.
    pub(super) fn create(to: &Path, replace: Replace) -> Result<Staged, Problem> {
        let directory = directory_of(to);
        let mut prefix = OsString::from(".");
        prefix.push(to.file_name().unwrap_or_default());
        prefix.push(".");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(".tmp");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // Results are ordinary files: what the umask allows, not the secrecy of temporary ones.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let file = builder
            .tempfile_in(directory)
            .map_err(Problem::file(Attempt::Open, to))?;
        // A file system without locks only loses the sweeping of what killed runs leave behind.
        let _ = file.as_file().try_lock();
        Ok(Staged {
            file,
            to: to.to_owned(),
            replace,
        })
    }

    fn publish(self) -> Result<PathBuf, Problem> {
        let Staged { file, to, replace } = self;
        match replace {
            Replace::Yes => file.persist(&to),
            Replace::No => file.persist_noclobber(&to),
        }
        .map_err(|e| Problem::file(Attempt::Publish, &to)(e.error))?;
        // The rename itself is durable once the directory is.
        let directory = directory_of(&to);
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(Problem::file(Attempt::Sync, directory))?;
        Ok(to)
    }
}

/// Looks for hidden files of results that `ours` names: removes what killed runs left behind.
///
/// # Errors
/// When somebody is writing one of them now: one of two results would be lost in silence.
pub(super) fn sweep(directory: &Path, ours: impl Fn(&str) -> bool) -> Result<(), Problem> {
    let entries = fs::read_dir(directory).map_err(Problem::file(Attempt::Inspect, directory))?;
    for entry in entries.flatten() {
        let path = entry.path();
        let hidden = entry.file_name();
        let result = hidden.to_str().and_then(result_of);
        let Some(result) = result.filter(|result| ours(result)) else {
            continue;
        };
        let Ok(file) = File::options().write(true).open(&path) else {
            continue;
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(being_written(&directory.join(result)));
            }
            Ok(()) if fs::remove_file(&path).is_ok() => {
                tracing::warn!(file = %path.display(), "removed an unfinished result of a run that was killed");
            }
            // Without locks nobody knows whose it is: it stays.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
    }
    Ok(())
}

/// The name of the result that a hidden file will become.
fn result_of(hidden: &str) -> Option<&str> {
    let (result, _random) = hidden
        .strip_prefix('.')?
        .strip_suffix(".tmp")?
        .rsplit_once('.')?;
    Some(result)
}

fn being_written(path: &Path) -> Problem {
    Problem::settings(
        format!(
            "{} is being written by another sink or another run",
            path.display()
        ),
        "wait for it, or set another `path`",
    )
}

/// A file that is appended to by whole lines.
#[derive(Debug)]
pub(super) struct Growing {
    path: PathBuf,
    file: File,
    whole: u64,
}

impl Growing {
    /// Opens the file, behind its last whole line. Answers its first line too, if it has one.
    pub(super) fn open(path: &Path) -> Result<(Growing, Option<String>), Problem> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(Problem::file(Attempt::Open, path))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(being_written(path));
            }
            // A file system without locks cannot tell us of another writer.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let inspect = || Problem::file(Attempt::Inspect, path);
        let length = file.metadata().map_err(inspect())?.len();
        let whole = end_of_last_line(&file, length).map_err(inspect())?;
        if whole < length {
            tracing::warn!(file = %path.display(), bytes = length - whole, "cut off a last line that was never finished");
            file.set_len(whole)
                .map_err(Problem::file(Attempt::Write, path))?;
        }
        let first = first_line(&file).map_err(inspect())?;
        let growing = Growing {
            path: path.to_owned(),
            file,
            whole,
        };
        Ok((growing, first))
    }

    /// Appends whole lines, all or nothing.
    fn append(&mut self, lines: &[u8]) -> io::Result<usize> {
        debug_assert!(lines.is_empty() || lines.ends_with(b"\n"), "whole lines");
        if let Err(error) = self.file.write_all(lines) {
            // If even this fails, the next run cuts the unfinished line off.
            let _ = self.file.set_len(self.whole);
            return Err(error);
        }
        self.whole += lines.len() as u64;
        Ok(lines.len())
    }
}

/// Where the last line that has an end ends.
fn end_of_last_line(mut file: &File, length: u64) -> io::Result<u64> {
    const STEP: u64 = 64 * 1024;
    let mut piece = Vec::new();
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(STEP);
        piece.resize((end - start) as usize, 0);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut piece)?;
        if let Some(newline) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// The first line without its end, if it is one of fewer than 64 KiB.
fn first_line(mut file: &File) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(64 * 1024).read_to_end(&mut head)?;
    Ok(head
        .iter()
        .position(|byte| *byte == b'\n')
        .map(|end| String::from_utf8_lossy(&head[..end]).into_owned()))
}

/// What a path is before anything is written to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing, or a regular file (behind links, which are followed).
    File(PathBuf),
    /// A directory.
    Directory,
    /// Anything else: a device or a named pipe.
    Device,
}

/// Looks at a path, following links.
pub(super) fn find(path: &Path) -> Result<Found, Problem> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(Found::Directory),
        Ok(found) if found.is_file() => path
            .canonicalize()
            .map(Found::File)
            .map_err(Problem::file(Attempt::Inspect, path)),
        Ok(_) => Ok(Found::Device),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::File(
            // A link to a file that does not exist yet: that file is what is meant.
            fs::read_link(path).map_or_else(|_| path.to_owned(), |to| directory_of(path).join(to)),
        )),
        Err(error) => Err(Problem::file(Attempt::Inspect, path)(error)),
    }
}

/// The directory a file is in; makes it, with its parents, when it is not there.
pub(super) fn make_directory_of(path: &Path) -> Result<(), Problem> {
    let directory = directory_of(path);
    fs::create_dir_all(directory).map_err(Problem::file(Attempt::MakeDirectory, directory))
}

/// The directory a file is in.
pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
