//! Answers explained, on a small log.

use std::fs;
use std::path::Path;

use tidegate_schemas::job::load;

use super::*;

const JOB: &str = r#"
[job]
name = "t"
event_time = "ts"
lateness = "10m"
[source.events]
format = "csv"
path = "FOLDER/events.csv"
dedupe = { key = "id", keep = "1h" }
columns = { id = "u64", ts = "timestamp", user = "text", kind = "text" }
[source.limits]
format = "changelog_csv"
path = "FOLDER/limits.csv"
key = ["segment"]
columns = { ts = "timestamp", segment = "text", most = "i64" }
[entity.user]
key = "user"
[features.f]
from = "events"
at = "kind = 'ask'"
add = [{ name = "asks", op = "count", where = "kind = 'ask'", windows = ["1h"] }]
[sessions.visit]
from = "events"
gap = "30m"
add = [{ name = "last", op = "last", of = "kind" }]
[pattern.lost]
from = "events"
within = "2h"
steps = [
  { name = "asked", where = "kind = 'ask'", at_least = 2 },
  { name = "looked", where = "kind = 'look'" },
]
add = [
  { name = "first_id", op = "min", of = "id", step = "asked" },
  { name = "last_id", op = "last", of = "id", step = "asked" },
]
[trigger.many]
on = ["f", "limits"]
segment = "'all'"
when = "asks_1h >= limits.most"
cooldown = "1h"
explain = ["asks_1h", "limits.most as most"]
"#;

const EVENTS: &str = "\
id,ts,user,kind
1,2026-01-01T09:00:00Z,a,ask
2,2026-01-01T09:05:00Z,b,ask
3,2026-01-01T09:20:00Z,a,look
4,2026-01-01T09:15:00Z,a,ask
4,2026-01-01T09:15:00Z,a,ask
5,2026-01-01T10:00:00Z,a,ask
6,2026-01-01T09:40:00Z,a,ask
";

const LIMITS: &str = "\
ts,segment,most
2026-01-01T00:00:00Z,all,2
2026-01-01T09:30:00Z,all,3
";

fn explain(folder: &Path, key: &str, output: &str, at: &str) -> Result<String, String> {
    fs::write(folder.join("events.csv"), EVENTS).unwrap();
    fs::write(folder.join("limits.csv"), LIMITS).unwrap();
    let text = JOB.replace("FOLDER", &folder.display().to_string());
    let job = load("t.toml", text.as_bytes(), &[], &|_| None).unwrap();
    let at = moment(at).unwrap();
    let explained = explained(&job, key, output, at, 50).map_err(|failure| failure.to_string())?;
    let lines = explained.lines();
    let lines = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn assert_has(text: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted}\n---\n{text}");
    }
}

#[test]
fn features_name_the_rows_in_their_windows() {
    let folder = tempfile::tempdir().unwrap();
    let text = explain(folder.path(), "a", "features.f", "2026-01-01T10:00:00Z").unwrap();
    assert_has(
        &text,
        &[
            "features.f of the user a at 2026-01-01T10:00:00Z",
            "events: 4 rows of this key count; 1 came too late",
            "copies of these (same id), left out: 1",
            "1 events.csv:5 2026-01-01T09:15:00Z 4 ask",
            "asks_1h = 2 rows 1-2 count where kind = 'ask', over 1h; 0 if no row counts \
             in (2026-01-01T09:00:00Z, 2026-01-01T10:00:00Z]",
        ],
    );
}

#[test]
fn current_values_are_those_of_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let text = explain(folder.path(), "a", "current.f", "2026-01-01T10:14:59Z").unwrap();
    assert_has(&text, &["asks_1h = 2 rows 1-2"]);
    let text = explain(folder.path(), "a", "current.f", "2026-01-01T10:15:00Z").unwrap();
    assert_has(&text, &["asks_1h = 1 row 1"]);
    let none = explain(folder.path(), "a", "current.f", "2026-01-01T12:00:00Z").unwrap_err();
    assert_has(&none, &["nothing is in any window at that time"]);
}

#[test]
fn a_session_names_its_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    let text = explain(folder.path(), "a", "sessions.visit", "2026-01-01T09:10:00Z").unwrap();
    assert_has(
        &text,
        &[
            "sessions.visit of the user a at 2026-01-01T09:00:00Z",
            "no row before it",
            "the row after it is at 2026-01-01T10:00:00Z, 40m apart: longer than the gap of 30m",
            "rows = 3",
            "last = look row 3 kind of the last row; null if no row counts",
        ],
    );
}

#[test]
fn a_match_names_the_rows_of_its_steps() {
    let folder = tempfile::tempdir().unwrap();
    let explain = |at| explain(folder.path(), "a", "pattern.lost", at);
    let text = explain("2026-01-01T09:10:00Z").unwrap();
    assert_has(
        &text,
        &[
            "pattern.lost of the user a at 2026-01-01T09:00:00Z",
            "asked rows 1-2",
            "looked row 3",
            "start_id = 1",
            "end = 2026-01-01T09:20:00Z",
            "how = completed",
            "asked = 2",
            "first_id = 1 rows 1-2 smallest id, over the rows of asked; null if no row counts",
            "last_id = 4 row 2 id of the last row, over the rows of asked; null if no row counts",
            "skipped = 0",
        ],
    );
    let none = explain("2026-01-01T10:00:00Z").unwrap_err();
    assert_has(
        &none,
        &["no match of `a` around", "there are 2026-01-01T09:00:00Z"],
    );
}

#[test]
fn a_firing_names_the_version_of_the_table_that_it_met() {
    let folder = tempfile::tempdir().unwrap();
    let text = explain(folder.path(), "a", "trigger.many", "2026-01-01T09:15:00Z").unwrap();
    assert_has(
        &text,
        &[
            "looked up by segment = all",
            "segment = all, most = 2 (since 2026-01-01T00:00:00Z, limits.csv:2)",
            "the next one only from 2026-01-01T09:30:00Z on",
            "asks_1h = 2 rows 1-2",
            "asks_1h >= limits.most holds",
            "closed_at = 2026-01-01T09:30:00Z",
            "most = 2",
        ],
    );
}

#[test]
fn what_is_not_there_is_told_with_what_is_near() {
    let folder = tempfile::tempdir().unwrap();
    let told = |key: &str, output: &str| {
        explain(folder.path(), key, output, "2026-01-01T09:01:00Z").unwrap_err()
    };
    assert_has(
        &told("zz", "features.f"),
        &["no row of the key `zz` counts"],
    );
    assert_has(
        &told("a", "features.f"),
        &[
            "no anchor row is at that time",
            "2026-01-01T09:00:00Z, 2026-01-01T09:15:00Z",
        ],
    );
    assert_has(
        &told("a", "trigger.many"),
        &["there are 2026-01-01T09:15:00Z"],
    );
    assert_has(
        &told("a", "late.events"),
        &["it has features.f, current.f, sessions.visit"],
    );
}
