//! Which files a source reads: paths, directories and globs, listed once or again and again.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::declare::{Declared, Format, Lifetime};
use super::error::SourceError;

/// Something to read.
#[derive(Debug, Clone)]
pub(super) enum Found {
    Stdin,
    File {
        path: PathBuf,
        /// The path as text, for messages and positions.
        name: Arc<str>,
    },
}

/// The files still to be read, in order, and those already given out.
#[derive(Debug)]
pub(super) struct Files {
    places: Vec<Spot>,
    endings: &'static [&'static str],
    seen: BTreeSet<PathBuf>,
    waiting: VecDeque<Found>,
    /// Bytes of all files found so far; none with standard input.
    total: Option<u64>,
    /// The first folder inside a directory: its files are not read.
    passed_over: Option<PathBuf>,
}

#[derive(Debug)]
enum Spot {
    Directory(PathBuf),
    Glob(String),
}

impl Files {
    /// Lists what is declared. Names that lead nowhere are errors; a followed directory or glob may still be empty.
    pub(super) fn new(declared: &Declared) -> Result<Self, SourceError> {
        let endings: &[&str] = match declared.format {
            Format::Parquet => &["parquet", "pq"],
            Format::Csv(_) => &["csv", "tsv", "txt"],
            Format::JsonLines => &["jsonl", "ndjson", "json"],
        };
        let mut files = Self {
            places: Vec::new(),
            endings,
            seen: BTreeSet::new(),
            waiting: VecDeque::new(),
            total: Some(0),
            passed_over: None,
        };
        for path in &declared.paths {
            let before = files.waiting.len();
            let spot = match fs::metadata(path) {
                _ if path == "-" => {
                    files.waiting.push_back(Found::Stdin);
                    files.total = None;
                    continue;
                }
                Ok(metadata) if metadata.is_dir() => Spot::Directory(path.into()),
                Ok(_) => {
                    files.add(path.into())?;
                    continue;
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(cannot_open(path, error));
                }
                Err(_) if path.contains(['*', '?', '[']) => Spot::Glob(path.clone()),
                Err(_) => return Err(missing(path, &nearby(Path::new(path)))),
            };
            files.list(&spot)?;
            if files.waiting.len() == before && declared.lifetime == Lifetime::Finite {
                let problem = match &spot {
                    Spot::Directory(_) => format!(
                        "the directory holds no file ending in .{}",
                        endings.join(", .")
                    ),
                    Spot::Glob(_) => "no file matches".to_owned(),
                };
                return Err(missing(path, &problem));
            }
            files.places.push(spot);
        }
        Ok(files)
    }

    /// Lists directories and globs again; new files are read after those known, sorted by name.
    pub(super) fn relist(&mut self) -> Result<(), SourceError> {
        let places = std::mem::take(&mut self.places);
        let listed = places.iter().try_for_each(|spot| self.list(spot));
        self.places = places;
        listed
    }

    /// Files that are still being read under an older name, found by `is_open`, are not new: takes them out.
    /// The older names may be given to other files.
    pub(super) fn drop_renamed(&mut self, mut is_open: impl FnMut(&Found) -> Option<PathBuf>) {
        let seen = &mut self.seen;
        self.waiting.retain(|found| match is_open(found) {
            Some(older) => {
                seen.remove(&older);
                false
            }
            None => true,
        });
    }

    /// Whether listing again can bring new files.
    pub(super) fn can_grow(&self) -> bool {
        !self.places.is_empty()
    }

    /// The next file.
    pub(super) fn next(&mut self) -> Option<Found> {
        self.waiting.pop_front()
    }

    /// Bytes of all files found so far.
    pub(super) fn total_bytes(&self) -> Option<u64> {
        self.total
    }

    fn list(&mut self, spot: &Spot) -> Result<(), SourceError> {
        let mut found = match spot {
            Spot::Directory(directory) => {
                let failed = |error| cannot_open(&directory.display().to_string(), error);
                let mut files = Vec::new();
                for entry in fs::read_dir(directory).map_err(failed)? {
                    let entry = entry.map_err(failed)?;
                    let path = entry.path();
                    if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                        self.pass_over(path);
                    } else if self.is_ours(&path) {
                        files.push(path);
                    }
                }
                files
            }
            Spot::Glob(pattern) => {
                let options = glob::MatchOptions {
                    case_sensitive: true,
                    require_literal_separator: true,
                    require_literal_leading_dot: true,
                };
                let paths = glob::glob_with(pattern, options)
                    .map_err(|error| missing(pattern, &format!("not a usable pattern: {error}")))?;
                paths.collect::<Result<Vec<_>, _>>().map_err(|error| {
                    let path = error.path().display().to_string();
                    cannot_open(&path, error.into())
                })?
            }
        };
        found.retain(|path| !path.is_dir());
        found.sort();
        found.into_iter().try_for_each(|path| self.add(path))
    }

    /// A folder inside a directory, of which is told once.
    fn pass_over(&mut self, folder: PathBuf) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        if self.passed_over.is_none() && !name.starts_with(['.', '_']) {
            self.passed_over = Some(folder);
            self.warning()
                .iter()
                .for_each(|told| tracing::warn!("{told}"));
        }
    }

    /// That folders inside a directory are not read, if there are any.
    fn warning(&self) -> Option<String> {
        let folder = self.passed_over.as_ref()?;
        let (inside, outside) = (folder.display(), folder.parent()?.display());
        Some(format!(
            "the folder `{inside}` is not read: of a directory only the files in it are; to read those of its folders, \
             too, let `path` be [\"{outside}\", \"{outside}/*/*.{}\"]",
            self.endings[0]
        ))
    }

    /// Whether a file of a directory is one of this source: by its ending, a compression's ending aside.
    fn is_ours(&self, path: &Path) -> bool {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return false;
        };
        let name = name
            .strip_suffix(".gz")
            .or_else(|| name.strip_suffix(".zst"))
            .unwrap_or(name);
        let hidden = name.starts_with(['.', '_']);
        !hidden
            && name
                .rsplit_once('.')
                .is_some_and(|(_, ending)| self.endings.contains(&ending))
    }

    fn add(&mut self, path: PathBuf) -> Result<(), SourceError> {
        if !self.seen.insert(path.clone()) {
            return Ok(());
        }
        let name: Arc<str> = path.display().to_string().into();
        let size = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            // Gone between being listed and being looked at.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.seen.remove(&path);
                return Ok(());
            }
            Err(error) => return Err(cannot_open(&name, error)),
        };
        self.total = self.total.map(|total| total + size);
        self.waiting.push_back(Found::File { path, name });
        Ok(())
    }
}

pub(super) fn cannot_open(file: &str, source: io::Error) -> SourceError {
    SourceError::Open {
        file: file.to_owned(),
        source,
    }
}

fn missing(path: &str, problem: &str) -> SourceError {
    let base = std::env::current_dir().map_or_else(
        |_| "the current directory".into(),
        |base| base.display().to_string(),
    );
    SourceError::Missing {
        path: path.to_owned(),
        problem: problem.to_owned(),
        base,
    }
}

/// What a source should be warned of: that there is nothing to read where it looks, or that it passes over folders.
/// Standard input is not looked at.
#[must_use]
pub fn warning(declared: &Declared) -> Option<String> {
    match Files::new(declared) {
        Ok(files) => files.warning(),
        Err(error) => Some(error.to_string()),
    }
}

/// What there is instead of a missing file.
fn nearby(path: &Path) -> String {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let Ok(entries) = fs::read_dir(parent) else {
        return format!("the directory `{}` does not exist", parent.display());
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| Path::new(name).extension() == path.extension())
        .collect();
    names.sort();
    names.truncate(5);
    match names.as_slice() {
        [] => "no such file".into(),
        names => format!("no such file; beside it: {}", names.join(", ")),
    }
}
