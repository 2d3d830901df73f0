//! Sinks that would write over what a source reads, or over each other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Compiler;
use crate::sinks::{Place, SinkSpec};

impl Compiler<'_> {
    /// No two sinks may write one file, however their paths spell it.
    pub(super) fn refuse_sharing(&mut self) {
        let mut files: BTreeMap<PathBuf, String> = BTreeMap::new();
        for index in 0..self.plan.sinks.len() {
            let spec = &self.plan.sinks[index].spec;
            let Some(file) = written(spec) else {
                continue;
            };
            let name = spec.name.clone();
            let path = self
                .job
                .sinks
                .get(&name)
                .and_then(|sink| sink.path.as_ref());
            if let Some(other) = files.insert(file, name) {
                let message = format!("the sink `{other}` writes to the same path");
                let place = path.and_then(|path| path.place());
                let problem = self.job.origin.problem(place, message);
                self.push(problem.help("give each its own"));
            }
        }
    }

    /// No sink may write a file that a source of the job reads, now or when it looks again.
    pub(super) fn refuse_overwriting(&mut self) {
        for index in 0..self.plan.sinks.len() {
            let spec = &self.plan.sinks[index].spec;
            let Some(written) = written(spec) else {
                continue;
            };
            let mut sources = self.job.sources.iter();
            let read = sources.find_map(|(name, source)| {
                let mut paths = source.path.iter().map(|path| path.as_str());
                let path = paths.find(|path| reads(path, &written))?;
                Some((name.clone(), path.to_owned()))
            });
            if let Some((source, path)) = read {
                let (sink, to) = (spec.name.clone(), written.display());
                let message = format!(
                    "sink `{sink}` would write over what source `{source}` reads: `{to}` is in `{path}`"
                );
                let place = self
                    .job
                    .sinks
                    .get(&sink)
                    .and_then(|sink| sink.path.as_ref());
                let problem = self
                    .job
                    .origin
                    .problem(place.and_then(|path| path.place()), message);
                self.push(problem.help("let it write elsewhere, for example below `out/`"));
            }
        }
    }
}

/// The file that a sink writes, the first where it writes many; none when it is no regular file.
fn written(spec: &SinkSpec) -> Option<PathBuf> {
    let Place::Path(path) = &spec.place else {
        return None;
    };
    let mut file = PathBuf::from(path.replace("{part}", "00000"));
    if path.ends_with('/') || file.is_dir() {
        file.push(format!("part-00000.{}", spec.format.ending()));
    }
    let device = file.exists() && !file.is_file();
    (!device).then(|| resolved(&file))
}

/// Whether a path of a source stands for this file.
fn reads(path: &str, file: &Path) -> bool {
    let place = resolved(Path::new(path));
    if place.is_dir() {
        return file.parent() == Some(&place);
    }
    if place.exists() || !path.contains(['*', '?', '[']) {
        return place == file;
    }
    let mut found = glob::glob(path).into_iter().flatten().flatten();
    let matches = |pattern: &Path| {
        let options = glob::MatchOptions {
            require_literal_separator: true,
            ..glob::MatchOptions::new()
        };
        let pattern = glob::Pattern::new(&pattern.to_string_lossy());
        pattern.is_ok_and(|pattern| pattern.matches_path_with(file, options))
    };
    found.any(|found| resolved(&found) == file) || matches(&place)
}

/// The path without links and detours, as far as it leads anywhere.
fn resolved(path: &Path) -> PathBuf {
    if let Ok(whole) = path.canonicalize() {
        return whole;
    }
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => resolved(parent),
        _ => std::env::current_dir().unwrap_or_default(),
    };
    match path.file_name() {
        Some(name) => parent.join(name),
        // It ends in `..`, behind a folder that is not there yet.
        None => parent.parent().unwrap_or(&parent).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use tidegate_schemas::job::load;

    use crate::compile::{Selection, compile};

    const JOB: &str = r#"
[job]
name = "t"
event_time = "ts"
[source.r]
format = "csv"
path = "READ"
columns = { k = "text", ts = "timestamp" }
[entity.k]
key = "k"
[features.f]
from = "r"
at = "true"
add = [{ name = "n", op = "count", windows = "1h" }]
[sink.o]
from = "features.f"
format = "csv"
path = "WRITTEN"
"#;

    fn refused(directory: &TempDir, read: &str, written: &str) -> bool {
        let path = |name: &str| format!("{}/{name}", directory.path().display());
        let job = JOB
            .replace("READ", &path(read))
            .replace("WRITTEN", &path(written));
        let job = load("t.toml", job.as_bytes(), &[], &|_| None).unwrap();
        match compile(&job, &Selection::default()) {
            Ok(_) => false,
            Err(problems) => {
                let said = problems.to_string();
                let why = "sink `o` would write over what source `r` reads";
                assert!(said.contains(why), "{said}");
                assert_eq!(said.matches(why).count(), 1, "{said}");
                true
            }
        }
    }

    #[test]
    fn a_sink_does_not_write_over_what_a_source_reads() {
        let directory = TempDir::new().unwrap();
        std::fs::create_dir(directory.path().join("in")).unwrap();
        std::fs::write(directory.path().join("in/a.csv"), "k,ts\n").unwrap();
        std::os::unix::fs::symlink(directory.path().join("in"), directory.path().join("link"))
            .unwrap();
        for (read, written) in [
            ("in/a.csv", "in/a.csv"),
            ("in/a.csv", "in/../in/./a.csv"),
            ("in/a.csv", "new/../in/a.csv"),
            ("in/a.csv", "link/a.csv"),
            ("in/*.csv", "in/a.csv"),
            ("in/*.csv", "link/new.csv"),
            ("in", "in/new.csv"),
            ("i*/a.csv", "link/a.csv"),
            ("in/*.csv", "in/{part}.csv"),
        ] {
            assert!(refused(&directory, read, written), "{read} {written}");
        }
        for (read, written) in [
            ("in/a.csv", "in/b.csv"),
            ("in/*.csv", "in/a.jsonl"),
            ("in/*.csv", "out/a.csv"),
            ("in", "in/out/a.csv"),
            ("in", "a.csv"),
            ("missing.csv", "out/"),
        ] {
            assert!(!refused(&directory, read, written), "{read} {written}");
        }
    }
}
