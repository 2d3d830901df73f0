//! One file or many: which destination a sink's path means, and the names of its parts.
//!
//! | place | run ends | run does not end |
//! |---|---|---|
//! | `-` | lines on the standard output | the same, flushed when nothing more is waiting |
//! | `x.parquet` | one file, appears at the end | the same |
//! | `x.jsonl`, `x.csv` | one file, appears at the end | grows by whole lines |
//! | `x-{part}.jsonl`, `dir/` | parts, each whole | the same, by default every minute |
//!
//! Parts are numbered from 0 in five digits. A part is never overwritten: an unending run goes on
//! behind the highest number it finds; a run that ends refuses to mix its parts with older ones.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::{Attempt, Problem};
use super::place::{
    Found, Growing, Out, Replace, Staged, directory_of, find, make_directory_of, sweep,
};
use super::spec::{Format, Life, Place, Roll, SinkSpec};

/// What a sink's path means.
#[derive(Debug)]
pub(super) enum Target {
    /// One destination, open from the start.
    One(Option<Out>),
    /// Many files.
    Parts(Parts),
}

/// A destination, and what is in it already.
#[derive(Debug)]
pub(super) struct Opened {
    /// The target of the sink.
    pub(super) target: Target,
    /// When to begin a new part.
    pub(super) roll: Option<Roll>,
    /// The first line of a file that goes on growing.
    pub(super) first_line: Option<String>,
}

/// Opens what the settings say. Everything that can fail early fails here, before the run begins.
pub(super) fn open(spec: &SinkSpec) -> Result<Opened, Problem> {
    let path = match &spec.place {
        Place::Stdout if spec.format == Format::Parquet => {
            return Err(Problem::settings(
                "Parquet cannot be written to the standard output",
                "use format `jsonl` or `csv`, or set a `path`",
            ));
        }
        Place::Stdout => {
            refuse_roll(spec)?;
            return Ok(one(Out::stdout(), None));
        }
        Place::Path(path) => Path::new(path),
    };
    let named = path.to_string_lossy();
    if spec.format == Format::Parquet && Squeeze::of(path) != Squeeze::None {
        return Err(Problem::settings(
            format!("{named} would be compressed twice"),
            "Parquet compresses by itself: let the name end in `.parquet`",
        ));
    }
    if let Some(parts) = Parts::of(path, &named, spec)? {
        return parts.prepared(spec.life).map(|parts| Opened {
            target: Target::Parts(parts),
            roll: match spec.life {
                Life::Ends => spec.roll,
                Life::Unending => Some(spec.roll.unwrap_or(Roll::DEFAULT)),
            },
            first_line: None,
        });
    }
    refuse_roll(spec)?;
    make_directory_of(path)?;
    match find(path)? {
        Found::Directory => Err(Problem::settings(
            format!("{named} became a directory"),
            "set another `path`",
        )),
        Found::Device => {
            let file = fs::OpenOptions::new()
                .write(true)
                .open(path)
                .map_err(Problem::file(Attempt::Open, path))?;
            Ok(one(Out::Device(path.to_owned(), file), None))
        }
        Found::File(path) if spec.life == Life::Unending && spec.format != Format::Parquet => {
            if Squeeze::of(&path) != Squeeze::None {
                return Err(Problem::settings(
                    format!("{named} would have to grow while it is compressed"),
                    "write parts, `NAME-{part}.jsonl.gz`, or leave out the compression",
                ));
            }
            let (growing, first_line) = Growing::open(&path)?;
            Ok(one(Out::Growing(growing), first_line))
        }
        Found::File(path) => {
            make_directory_of(&path)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            sweep(directory_of(&path), |result| result == name)?;
            let staged = Staged::create(&path, Replace::Yes)?;
            Ok(one(Out::Staged(staged), None))
        }
    }
}

fn one(out: Out, first_line: Option<String>) -> Opened {
    Opened {
        target: Target::One(Some(out)),
        roll: None,
        first_line,
    }
}

fn refuse_roll(spec: &SinkSpec) -> Result<(), Problem> {
    match spec.roll {
        None => Ok(()),
        Some(_) => Err(Problem::settings(
            "`roll` needs a place for many files",
            format!(
                "set `path` to a directory (`out/`) or give the parts a name (`out/{}-{{part}}.{}`)",
                spec.name,
                spec.format.ending()
            ),
        )),
    }
}

/// The compression that a file's ending asks for. Parquet compresses by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Squeeze {
    /// None.
    None,
    /// `.gz`
    Gzip,
    /// `.zst`
    Zstd,
}

impl Squeeze {
    pub(super) fn of(path: &Path) -> Squeeze {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("gz") => Squeeze::Gzip,
            Some("zst") => Squeeze::Zstd,
            _ => Squeeze::None,
        }
    }
}

/// The files of a sink that writes many: `directory/prefixNNNNNsuffix`.
#[derive(Debug)]
pub(super) struct Parts {
    directory: PathBuf,
    prefix: String,
    suffix: String,
    next: u64,
}

impl Parts {
    const MARK: &str = "{part}";

    fn of(path: &Path, named: &str, spec: &SinkSpec) -> Result<Option<Parts>, Problem> {
        if named.ends_with('/') || find(path).is_ok_and(|found| found == Found::Directory) {
            if named.contains(Parts::MARK) {
                return Err(Problem::settings(
                    format!("`{}` in the name of a directory", Parts::MARK),
                    "put it into the name of the file",
                ));
            }
            return Ok(Some(Parts {
                directory: path.to_owned(),
                prefix: "part-".to_owned(),
                suffix: format!(".{}", spec.format.ending()),
                next: 0,
            }));
        }
        let directory = path.parent().unwrap_or(Path::new(""));
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if directory.to_string_lossy().contains(Parts::MARK)
            || file.matches(Parts::MARK).count() > 1
        {
            return Err(Problem::settings(
                format!("`{}` may stand once, in the name of the file", Parts::MARK),
                "take the others out of `path`",
            ));
        }
        Ok(file.split_once(Parts::MARK).map(|(prefix, suffix)| Parts {
            directory: match directory {
                here if here.as_os_str().is_empty() => PathBuf::from("."),
                other => other.to_owned(),
            },
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
            next: 0,
        }))
    }

    /// Makes the directory and looks which parts are there.
    fn prepared(mut self, life: Life) -> Result<Parts, Problem> {
        fs::create_dir_all(&self.directory)
            .map_err(Problem::file(Attempt::MakeDirectory, &self.directory))?;
        sweep(&self.directory, |result| self.number(result).is_some())?;
        let entries = fs::read_dir(&self.directory)
            .map_err(Problem::file(Attempt::Inspect, &self.directory))?;
        let found = entries
            .flatten()
            .filter_map(|entry| self.number(&entry.file_name().to_string_lossy()));
        if let Some(highest) = found.max() {
            if life == Life::Ends {
                return Err(Problem::settings(
                    format!("{} holds parts of an earlier run", self.directory.display()),
                    "move them away or set another `path`: old and new parts would be read as one result",
                ));
            }
            self.next = highest + 1;
        }
        // A directory that cannot be written to should stop the run now, not at the first part.
        drop(Staged::create(&self.path(), Replace::No)?);
        Ok(self)
    }

    fn number(&self, name: &str) -> Option<u64> {
        let digits = name
            .strip_prefix(&self.prefix)?
            .strip_suffix(&self.suffix)?;
        let number = digits.bytes().all(|byte| byte.is_ascii_digit());
        number.then(|| digits.parse().ok()).flatten()
    }

    fn path(&self) -> PathBuf {
        self.directory
            .join(format!("{}{:05}{}", self.prefix, self.next, self.suffix))
    }

    /// Begins the next part.
    pub(super) fn begin(&mut self) -> Result<Out, Problem> {
        let staged = Staged::create(&self.path(), Replace::No)?;
        self.next += 1;
        Ok(Out::Staged(staged))
    }
}
