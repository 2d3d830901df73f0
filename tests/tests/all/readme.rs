//! The README: every snippet in it works, and every key of the job file is in it.
//!
//! A block `toml NAME` or `csv NAME` is a file; further blocks of the same name are appended to it. A block `sh` is run, with
//! `tidegate` and `cargo run` standing for the programs as built. A block `text` behind it is what it prints, in order and
//! perhaps between other lines; `…` stands for anything. `sh measuring` needs the network and minutes: only that its
//! subcommands and options are there is tested.

use std::path::Path;
use std::process::Command;

use crate::program::{Ended, Place, built, root};

/// A fenced block: what stands behind the fence, and the text.
struct Block {
    line: usize,
    info: String,
    text: String,
}

fn blocks(markdown: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (line, text) in (1..).zip(markdown.lines()) {
        match (text.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(info), None) => {
                let info = info.to_owned();
                open = Some(Block {
                    line,
                    info,
                    text: String::new(),
                });
            }
            (None, Some(block)) => block.text.extend([text, "\n"]),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    found
}

/// Stands for cargo: runs the programs that are built already.
const CARGO: &str = r#"#!/usr/bin/env bash
case "$1 $2 $3 $4 $5" in
"run --release --bin tidegate --") shift 5; exec "$TIDEGATE" "$@" ;;
"run --release --bin tidegate-bench --") shift 5; exec "$TIDEGATE_BENCH" "$@" ;;
esac
echo "the README runs cargo in a way that is not tested: $*" >&2
exit 1
"#;

fn shell(place: &Place, script: &str) -> Ended {
    let bin = place.path("bin");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    command
        .args(["-euo", "pipefail", "-c", &format!("exec 2>&1\n{script}")])
        .current_dir(place.path("."))
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("TIDEGATE", built("tidegate", "TIDEGATE"))
        .env("TIDEGATE_BENCH", built("tidegate-bench", "TIDEGATE_BENCH"));
    Ended::of(script.to_owned(), command.output().expect("bash starts"))
}

fn executable(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).expect("a script");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// A checkout as the README's reader has it.
fn place() -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path("bin")).expect("a folder");
    executable(&place.path("bin/cargo"), CARGO);
    executable(
        &place.path("bin/tidegate"),
        "#!/usr/bin/env bash\nexec \"$TIDEGATE\" \"$@\"\n",
    );
    place
}

/// Whether `line` is as `pattern` says, where `…` stands for anything.
fn is_like(line: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        let found = if last {
            rest.ends_with(part).then(|| rest.len() - part.len())
        } else {
            rest.find(part)
        };
        match found {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).expect("the README")
}

#[test]
fn every_snippet_works() {
    let place = place();
    let mut printed = None;
    for block in blocks(&readme()) {
        let (kind, name) = block.info.split_once(' ').unwrap_or((&block.info, ""));
        match (kind, name) {
            ("toml" | "csv", name) if !name.is_empty() => {
                let before = std::fs::read_to_string(place.path(name)).unwrap_or_default();
                place.file(name, before + &block.text);
            }
            ("sh", "") => printed = Some(shell(&place, &block.text).code(0)),
            ("sh", "measuring") => {
                block.text.lines().for_each(|line| measuring(&place, line));
            }
            ("text", "") => {
                let ended = printed.take().expect("something was printed before");
                let mut lines = ended.stdout.lines();
                for wanted in block.text.lines() {
                    assert!(
                        lines.any(|line| is_like(line, wanted)),
                        "README.md:{}: `{wanted}` is not printed, or not in this order: {ended}",
                        block.line
                    );
                }
            }
            _ => panic!(
                "README.md:{}: a block that is not tested: `{}`",
                block.line, block.info
            ),
        }
    }
}

/// A command that is too long for a test: its subcommand has the options that are used.
fn measuring(place: &Place, line: &str) {
    let (cargo, arguments) = line.split_once(" -- ").expect("cargo run -- ARGUMENTS");
    let subcommand = arguments.split(' ').next().expect("a subcommand");
    let help = shell(place, &format!("{cargo} -- {subcommand} --help")).code(0);
    for option in arguments
        .split(' ')
        .filter(|argument| argument.starts_with("--"))
    {
        assert!(
            help.stdout.contains(option),
            "{subcommand} has no {option}: {help}"
        );
    }
}

#[test]
fn every_key_and_every_word_of_the_job_file_is_in_it() {
    let place = place();
    let schema = shell(&place, "tidegate schema").code(0).stdout;
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("a JSON Schema");
    let mut words = Vec::new();
    collect(&schema, &mut words);
    words.sort();
    words.dedup();
    assert!(words.len() > 60, "only {} words", words.len());
    let readme = readme();
    let whole = |word: &str| {
        let ends = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_');
        readme.match_indices(word).any(|(start, _)| {
            ends(readme[..start].chars().next_back())
                && ends(readme[start + word.len()..].chars().next())
        })
    };
    let missing: Vec<_> = words.iter().filter(|word| !whole(word)).collect();
    assert!(
        missing.is_empty(),
        "the README does not speak of {missing:?}"
    );
}

/// The names of properties, and the words that values may be.
fn collect(schema: &serde_json::Value, words: &mut Vec<String>) {
    match schema {
        serde_json::Value::Object(object) => {
            if let Some(properties) = object.get("properties").and_then(|p| p.as_object()) {
                words.extend(properties.keys().cloned());
            }
            words.extend(
                object
                    .get("const")
                    .and_then(|word| word.as_str())
                    .map(str::to_owned),
            );
            object.values().for_each(|value| collect(value, words));
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| collect(value, words)),
        _ => {}
    }
}

#[test]
fn every_verb_is_in_it() {
    let help = shell(&place(), "tidegate --help").code(0).stdout;
    let verbs = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let verbs = verbs.take_while(|line| !line.is_empty());
    let verbs: Vec<&str> = verbs
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(verbs.contains(&"run"), "{help}");
    for verb in verbs.into_iter().filter(|verb| *verb != "help") {
        assert!(readme().contains(&format!("| `tidegate {verb}")), "{verb}");
    }
}

#[test]
fn links_lead_somewhere() {
    let text = readme();
    for (start, _) in text.match_indices("](") {
        let target = text[start + 2..].split(')').next().unwrap_or_default();
        match target.strip_prefix('#') {
            Some(anchor) => {
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let anchors = headings.map(|h| {
                    h.trim_start_matches('#')
                        .trim()
                        .to_lowercase()
                        .replace(' ', "-")
                });
                assert!(anchors.into_iter().any(|known| known == anchor), "{target}");
            }
            None => assert!(root().join(target).exists(), "{target}"),
        }
    }
}
