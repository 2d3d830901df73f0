//! The house: which crate may know what, how files begin, and how long they get.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::root;

/// A crate, the crates of the house below it, and what it must not know of.
struct Room {
    name: &'static str,
    below: &'static [&'static str],
    /// Packages that it must not use.
    packages: &'static [&'static str],
    /// Words that its code must not contain.
    words: &'static [&'static str],
}

const ROOMS: [Room; 5] = [
    Room {
        name: "schemas",
        below: &[],
        packages: &[
            "timely",
            "differential-dataflow",
            "arrow",
            "parquet",
            "datafusion",
            "tokio",
        ],
        words: &[
            "timely",
            "differential_dataflow",
            "arrow",
            "datafusion",
            "std::fs",
            "std::net",
            "std::io",
        ],
    },
    Room {
        name: "operators",
        below: &["schemas"],
        packages: &["arrow", "parquet", "datafusion", "tokio"],
        words: &[
            "arrow",
            "parquet",
            "datafusion",
            "std::fs",
            "std::net",
            "std::io",
            "std::time",
            "customer",
            "customers",
            "contact",
            "contacts",
            "ticket",
            "file",
            "files",
        ],
    },
    Room {
        name: "jobs",
        below: &["schemas", "operators"],
        packages: &[],
        words: &["Capability", "CapabilityRef"],
    },
    Room {
        name: "bench",
        below: &["schemas", "operators", "jobs"],
        packages: &[],
        words: &[],
    },
    Room {
        name: "tests",
        below: &["schemas", "operators", "jobs"],
        packages: &[],
        words: &[],
    },
];

/// A file longer than this is too long; longer than [`LONG`] is told.
const TOO_LONG: usize = 600;
const LONG: usize = 450;

/// A source file: its path and lines.
struct Source {
    path: PathBuf,
    lines: Vec<String>,
}

impl Source {
    /// Whether the whole file is tests.
    fn is_test(&self) -> bool {
        let part = |name: &str| self.path.components().any(|part| part.as_os_str() == name);
        part("tests") || self.path.ends_with("tests.rs")
    }

    /// The lines of code with their numbers: no comments, no tests at the end of the file.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = (1..).zip(self.lines.iter().map(String::as_str));
        let code = numbered.take_while(|(_, line)| {
            line.trim() != "#[cfg(test)]" && !line.starts_with("mod tests {")
        });
        code.map(|(number, line)| (number, line.split("//").next().unwrap_or_default()))
    }
}

fn sources(room: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(room)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the house") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file");
                let path = path
                    .strip_prefix(root())
                    .expect("a file of the house")
                    .to_owned();
                found.push(Source {
                    path,
                    lines: text.lines().map(str::to_owned).collect(),
                });
            }
        }
    }
    assert!(!found.is_empty(), "there is nothing in {room}");
    found
}

fn all_sources() -> Vec<Source> {
    ROOMS.iter().flat_map(|room| sources(room.name)).collect()
}

/// The names in the sections `[dependencies]`, `[dev-dependencies]` and the like of a manifest.
fn dependencies(room: &str) -> BTreeSet<String> {
    let manifest =
        std::fs::read_to_string(root().join(room).join("Cargo.toml")).expect("a manifest");
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            inside = section.trim_end_matches(']').ends_with("dependencies");
        } else if let Some((name, _)) = line.split_once('=').filter(|_| inside) {
            names.insert(name.trim().trim_end_matches(".workspace").to_owned());
        }
    }
    names
}

#[track_caller]
fn none(found: Vec<String>, what: &str) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn crates_know_only_those_below_them() {
    for room in &ROOMS {
        for name in dependencies(room.name) {
            if let Some(other) = name.strip_prefix("tidegate-") {
                assert!(
                    room.below.contains(&other),
                    "{} must not know {other}",
                    room.name
                );
            }
            assert!(
                !room.packages.contains(&name.as_str()),
                "{} must not know {name}",
                room.name
            );
        }
    }
}

/// The fuzzers are built by another compiler and by hand only: what they include must not outgrow them in silence.
#[test]
fn the_fuzzers_know_every_package_of_the_sources() {
    let known = dependencies("tests/fuzz");
    let unknown: BTreeSet<String> = dependencies("jobs")
        .difference(&known)
        .map(|name| name.replace('-', "_"))
        .collect();
    assert!(unknown.contains("datafusion"));
    let mut found = Vec::new();
    for source in sources("jobs/src/sources")
        .iter()
        .filter(|source| !source.is_test())
    {
        for (number, line) in source.code() {
            let used = unknown
                .iter()
                .filter(|package| line.contains("::") && speaks(line, package));
            found.extend(
                used.map(|package| format!("{}:{number}: {package}", source.path.display())),
            );
        }
    }
    none(
        found,
        "packages of the sources that tests/fuzz/Cargo.toml does not have",
    );
}

#[test]
fn every_file_begins_by_saying_what_it_is_for() {
    let silent = |source: &Source| {
        let first = source.lines.first().map_or("", String::as_str);
        let told = first
            .strip_prefix("//! ")
            .is_some_and(|told| told.len() > 10);
        (!told).then(|| source.path.display().to_string())
    };
    none(
        all_sources().iter().filter_map(silent).collect(),
        "files that do not say what they are for",
    );
}

#[test]
fn crates_do_not_speak_of_what_is_not_theirs() {
    let mut found = Vec::new();
    for room in &ROOMS {
        for source in sources(room.name).iter().filter(|source| !source.is_test()) {
            for (number, line) in source.code() {
                let spoken = room.words.iter().filter(|word| speaks(line, word));
                found.extend(
                    spoken.map(|word| format!("{}:{number}: {word}", source.path.display())),
                );
            }
        }
    }
    none(found, "words of other crates");
}

/// Whether a line has a word, or a part of an identifier that is one.
fn speaks(line: &str, word: &str) -> bool {
    let ends = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
    line.match_indices(word).any(|(start, _)| {
        ends(line[..start].chars().next_back()) && ends(line[start + word.len()..].chars().next())
    })
}

#[test]
fn errors_are_not_unwrapped_outside_tests() {
    let mut found = Vec::new();
    for source in all_sources().iter().filter(|source| !source.is_test()) {
        for (number, line) in source.code() {
            if line.contains(".unwrap()")
                || line.contains("todo!(")
                || line.contains("unimplemented!(")
            {
                found.push(format!(
                    "{}:{number}: {}",
                    source.path.display(),
                    line.trim()
                ));
            }
        }
    }
    none(found, "errors that nobody looks at");
}

/// The lint that denies unsafe code may be lifted in one module, which gives its reason.
#[test]
fn one_module_has_unsafe_code() {
    let has = |source: &&Source| source.lines.iter().any(|line| line.contains("unsafe_code"));
    let sources = all_sources();
    let found = sources.iter().filter(has).map(|source| &source.path);
    let house = Path::new("tests/tests/all/house.rs");
    let found: Vec<&PathBuf> = found.filter(|path| *path != house).collect();
    assert_eq!(found, [Path::new("jobs/src/allocator.rs")]);
}

#[test]
fn files_are_short() {
    let mut found = Vec::new();
    for source in all_sources() {
        let told = format!("{}: {} lines", source.path.display(), source.lines.len());
        if source.lines.len() > TOO_LONG {
            found.push(told);
        } else if source.lines.len() > LONG {
            eprintln!("long: {told}");
        }
    }
    none(found, "files that are too long");
}

#[test]
fn there_is_no_room_for_odds_and_ends() {
    let odd = [
        "utils", "util", "common", "core", "types", "prelude", "helpers", "macros", "misc",
    ];
    let is_odd = |path: &Path| {
        path.file_stem()
            .is_some_and(|stem| odd.iter().any(|odd| stem == *odd))
    };
    let sources = all_sources();
    let found = sources
        .iter()
        .filter(|source| source.path.ancestors().any(is_odd));
    none(
        found
            .map(|source| source.path.display().to_string())
            .collect(),
        "rooms without a name",
    );
}

#[test]
fn nothing_depends_on_the_machine_it_was_written_on() {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the house") {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if name == ".git" {
                continue;
            }
            if path.is_dir() && !["target", "out", "data"].contains(&name.as_str()) {
                folders.push(path);
            } else if path.is_file() && path.metadata().is_ok_and(|file| file.len() < 1 << 20) {
                let Ok(text) = std::fs::read_to_string(&path) else {
                    continue;
                };
                for home in ["home", "root", "work", "Users"].map(|name| format!("/{name}/")) {
                    let absolute = |(start, _)| {
                        let before: Option<char> = text[..start].chars().next_back();
                        before.is_none_or(|c: char| c.is_whitespace() || "\"'=(`".contains(c))
                    };
                    if text.match_indices(&home).any(absolute) {
                        found.push(format!("{}: {home}", path.display()));
                    }
                }
            }
        }
    }
    none(found, "paths of one machine");
}

#[test]
fn there_is_one_arrow() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).expect("the lock file");
    let names = lock.lines().filter_map(|line| line.strip_prefix("name = "));
    let mut seen = BTreeSet::new();
    for name in names.map(|name| name.trim_matches('"')) {
        let one = ["arrow", "parquet", "datafusion", "timely", "differential"]
            .iter()
            .any(|of| name.starts_with(of));
        assert!(seen.insert(name) || !one, "{name} is there in two versions");
    }
    assert!(seen.contains("arrow") && seen.contains("datafusion"));
}

/// What is built for a program alone and for the tests differs in nothing but what tests add: else DataFusion would be
/// compiled once for each.
#[test]
fn programs_are_built_of_what_the_tests_have_built() {
    let programs = packages("normal,build");
    let tests = packages("normal,build,dev");
    let apart = programs.difference(&tests).cloned().collect();
    none(apart, "packages with features that tests change");
    assert!(programs.len() > 100 && programs.len() < tests.len());
}

/// Every package of the workspace with its version and features, along edges of these kinds.
fn packages(edges: &str) -> BTreeSet<String> {
    let cargo = std::env::var("CARGO").unwrap_or("cargo".to_owned());
    let told = Command::new(cargo)
        .current_dir(root())
        .args(["tree", "--workspace", "--offline", "--locked"])
        .args(["--prefix", "none", "--format", "{p} {f}", "--edges", edges])
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "{errors}");
    let lines = String::from_utf8(told.stdout).expect("names are text");
    lines
        .lines()
        .map(|line| line.trim_end_matches(" (*)").to_owned())
        .collect()
}
