//! `tidegate check`: what a job means, or everything that is wrong with it.

mod lineage;
mod meaning;
mod outputs;
mod semantics;
mod sources;
mod state;
mod whole;

use clap::Args;
use tidegate_schemas::job::Job;

use super::failure::Failure;
use super::job_file::JobFile;
use super::out::print;
pub(super) use meaning::of_aggregate;
use whole::Whole;

const HELP: &str = "\
Examples:
  tidegate check job.toml
  tidegate check job.toml --set job.lateness=2h

Nothing is run. A Parquet source that declares no columns is opened to find them.

Exit codes: 0 the job is well; 2 wrong usage or job file; 101 internal error.";

/// Tell what a job means, or everything that is wrong with it.
///
/// Shows the sources, the outputs with the type and origin of each column, the semantics that were
/// chosen (defaults too), and what is kept for how long.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Check {
    #[command(flatten)]
    job: JobFile,
}

impl Check {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let job = self.job.load()?;
        print(&summary(&job)?)
    }
}

/// What the job means.
fn summary(job: &Job) -> Result<String, Failure> {
    let whole = Whole::new(job)?;
    let mut text = headline(job);
    let state = state::section(job) + &state::texts_of_ids(&whole);
    for (title, section) in [
        ("Sources", sources::section(&whole)),
        ("Outputs", outputs::section(&whole)),
        ("Semantics", semantics::section(job)),
        ("State, as it grows with the data", state),
    ] {
        text.push_str(&format!("\n{title}\n{section}"));
    }
    Ok(text)
}

fn headline(job: &Job) -> String {
    let section = &job.job;
    let mut text = format!("{} version {}", section.name.written(), section.version);
    if let Some(owner) = &section.owner {
        text.push_str(&format!(", owner {}", owner.written()));
    }
    text.push_str(": no problems\n");
    if let Some(description) = &section.description {
        text.push_str(&format!("  {}\n", description.written()));
    }
    text
}

/// ` (default)` when a choice is the one that is made when nothing is said.
fn default_mark<T: PartialEq>(chosen: &T, default: &T) -> &'static str {
    if chosen == default { " (default)" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_schemas::job::load;

    const JOB: &str = r#"
[job]
name = "t"
event_time = "ts"
lateness = "10m"
[source.events]
format = "jsonl"
path = "${EVENTS:-events.jsonl}"
dedupe = { key = "id", keep = "1h" }
columns = { id = "u64", ts = "timestamp_ms", user = "text", kind = "text", secs = "f64?" }
expect = ["kind <> ''"]
[source.limits]
format = "changelog_csv"
path = "limits.csv"
key = ["user"]
columns = { ts = "timestamp", user = "text", most = "i64" }
[entity.user]
key = "user"
[features.f]
from = "events"
at = "kind = 'ask'"
add = [
  { name = "asks", op = "count", where = "kind = 'ask'", windows = ["1h", "7d"] },
  { name = "mean", op = "mean", of = "secs", windows = "7d", scale = 2 },
]
[sessions.visit]
from = "events"
gap = "30m"
add = [{ name = "path", op = "list", of = "kind", k = 5 }]
[pattern.lost]
from = "events"
within = "20m"
steps = [
  { name = "asks", where = "kind = 'ask'", at_least = 2, at_most = 3 },
  { name = "found", where = "kind = 'found'", absent = true, within = "5m" },
]
add = [{ name = "worst", op = "max", of = "secs", step = "asks" }]
[trigger.many]
on = ["f", "limits"]
when = "asks_1h >= limits.most"
segment = "'x'"
cooldown = "1d"
explain = ["asks_1h"]
[sink.features]
from = "features.f"
format = "parquet"
path = "f.parquet"
select = ["id", "asks_1h + 1 as next"]
"#;

    fn checked(job: &str) -> Result<String, String> {
        let job = load("t.toml", job.as_bytes(), &[], &|_| None).map_err(|e| e.to_string())?;
        summary(&job).map_err(|failure| failure.to_string())
    }

    #[test]
    fn inputs_that_are_not_there_yet_are_warned_of() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(at("b.jsonl"), "").unwrap();
        let job = |path: &str| JOB.replace("${EVENTS:-events.jsonl}", &at(path));
        for (path, why) in [("a.jsonl", "no such file"), ("*.csv", "no file matches")] {
            let text = checked(&job(path)).unwrap();
            let warning = format!("warning: no input at `{}`: {why}", at(path));
            assert!(text.contains(&warning), "{text}");
        }
        let text = checked(&job("*.jsonl")).unwrap();
        assert!(!text.contains(&at("*.jsonl`")), "{text}");
    }

    #[test]
    fn ids_are_remembered_for_the_lateness_where_nothing_else_is_said() {
        let all = "dedupe = { key = \"id\", keep = \"1h\" }";
        let text = checked(&JOB.replace(all, "dedupe = \"id\"")).unwrap();
        assert!(
            text.contains("within 10m (the lateness, by default)"),
            "{text}"
        );
        assert!(
            text.contains("40 to 56 bytes for each row of the last 10m"),
            "{text}"
        );
    }

    #[test]
    fn an_ending_that_contradicts_the_format_is_warned_of() {
        let warning = "warning: the path ends in .csv, and what is written there is parquet";
        assert!(!checked(JOB).unwrap().contains("the path ends in"));
        let text = checked(&JOB.replace("\"f.parquet\"", "\"f.csv\"")).unwrap();
        assert!(text.contains(warning), "{text}");
    }

    #[test]
    fn ends_that_final_rows_do_not_tell_are_warned_of() {
        let warning = "warning: `closed_at` is null in final rows";
        let sink = |more: &str| {
            let sink =
                "[sink.many]\nfrom = \"trigger.many\"\nformat = \"jsonl\"\npath = \"m.jsonl\"\n";
            checked(&format!("{JOB}{sink}{more}\n")).unwrap()
        };
        assert!(sink(r#"where = "closed_at is not null""#).contains(warning));
        assert!(sink(r#"select = ["user", "closed_at"]"#).contains(warning));
        let upserts = "where = \"closed_at is not null\"\nmode = \"upserts\"";
        assert!(!sink(upserts).contains(warning));
        assert!(!sink("").contains(warning));
    }

    #[test]
    fn keys_that_may_be_empty_fields_are_warned_of() {
        let csv = JOB.replacen("format = \"jsonl\"", "format = \"csv\"", 1);
        let warning = "warning: rows of events whose user is empty count together";
        assert!(checked(&csv).unwrap().contains(warning));
        let nullable = csv.replacen("user = \"text\"", "user = \"text?\"", 1);
        assert!(!checked(&nullable).unwrap().contains(warning));
        assert!(!checked(JOB).unwrap().contains(warning));
    }

    #[test]
    fn the_summary_tells_columns_types_origins_and_choices() {
        let text = checked(JOB).unwrap();
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        for wanted in [
            "t version 1: no problems",
            "events jsonl, ${EVENTS:-events.jsonl}",
            "ts timestamp_ms, the event time",
            "asks_7d i64 < events.kind count where kind = 'ask', over 7d; 0 if no row counts",
            "mean_7d f64 < events.secs mean of secs, over 7d; null if no row counts; of values with 2 decimals",
            "path list<text> < events.kind kind of the first 5 rows, oldest first; empty if no row counts",
            "window of length w at time t: (t - w, t] (default)",
            "rows of events with no silence of 30m or longer between them",
            "a row exactly 30m after the last one begins a new session (default)",
            "rows of events that go through these steps within 20m; a row exactly 20m after the first is outside",
            "asks: 2 to 3 rows: where kind = 'ask'",
            "found: must not come for 5m behind the last row before: where kind = 'found'",
            "a row that would begin a match while 16 are under way begins none (default)",
            "start_id u64 < events.id id of the first row",
            "asks i64 < events.kind rows of the step",
            "worst f64 < events.secs largest secs, over the rows of asks; null if no row counts",
            "lost: 112 bytes while a match is under way (until 20m after its first row), and about 56 for each more of them, 16 at most",
            "asks_1h i64 < events.kind reason",
            "next i64",
        ] {
            assert!(lines.iter().any(|line| line == wanted), "{wanted}\n{text}");
        }
        assert!(text.contains("events.kind, limits.most"), "{text}");
    }

    #[test]
    fn a_silence_as_long_as_the_gap_may_belong_to_a_session() {
        let same = JOB.replace("gap = \"30m\"", "gap = \"30m\"\nat_gap = \"same\"");
        let text = checked(&same).unwrap();
        assert!(
            text.contains("with no silence longer than 30m between"),
            "{text}"
        );
    }

    #[test]
    fn help_can_be_pasted() {
        let told = checked(&JOB.replace("ts = \"timestamp_ms\"", "ts = \"date\"")).unwrap_err();
        assert!(told.contains("or timestamp:%Y-%m-%d for"), "{told}");
        let told = checked(&JOB.replace("from = \"features.f\"", "from = \"f\"")).unwrap_err();
        assert!(told.contains("`f` is no output; write it like"), "{told}");
        assert!(told.contains("did you mean `features.f`?"), "{told}");
        let told =
            checked(&JOB.replace("from = \"features.f\"", "from = \"rejects\"")).unwrap_err();
        assert!(told.contains("did you mean `rejects.events`?"), "{told}");
        let job = JOB
            .replace("secs = ", "\"Submitted via\" = \"text\", secs = ")
            .replace("at = \"kind", "carry = [\"Submitted via\"]\nat = \"kind");
        let told = checked(&job.replace("of = \"secs\"", "of = \"Submitted via\"")).unwrap_err();
        assert!(told.contains(r#"quotes: '"Submitted via"'"#), "{told}");
        let when = r#"when = ''' "Submitted via" = 'x' '''"#;
        let told = checked(&job.replace("when = \"asks_1h >= limits.most\"", when)).unwrap_err();
        let wanted = r#"{ name = "its_submitted_via", op = "last", of = '"Submitted via"', windows = "lifetime" }"#;
        assert!(told.contains(wanted), "{told}");
        let pasted = job.replace("add = [\n", &format!("add = [\n  {wanted},\n"));
        assert!(checked(&pasted).unwrap().contains("its_submitted_via"));
    }

    #[test]
    fn an_id_is_shown_as_what_it_is() {
        for kind in ["u64", "text"] {
            let text = checked(&JOB.replace("id = \"u64\"", &format!("id = \"{kind}\""))).unwrap();
            let words: Vec<&str> = text.split_whitespace().collect();
            let line = format!("id {kind} < events.id the row's id");
            assert!(words.join(" ").contains(&line), "{text}");
            let kept = "ids that features.f shows: about 50 bytes and the text for each anchor of the last 20m";
            assert_eq!(text.contains(kept), kind == "text", "{text}");
            let sink = "[sink.lost]\nfrom = \"pattern.lost\"\nformat = \"stdout\"\n";
            let job = JOB.replace("id = \"u64\"", &format!("id = \"{kind}\""));
            let text = checked(&(job + sink)).unwrap();
            let kept = "the text for each row that may begin a match of the last 1h";
            assert_eq!(text.contains(kept), kind == "text", "{text}");
        }
    }

    #[test]
    fn every_problem_is_told_at_its_place() {
        let broken = JOB
            .replace("of = \"secs\"", "of = \"sex\"")
            .replace("asks_1h + 1 as next", "asks_2h + 1 as next")
            .replace(">= limits.most", ">= limits.least");
        let told = checked(&broken).unwrap_err();
        assert!(told.contains("t.toml:24:38: "), "{told}");
        assert!(told.contains("t.toml:37:43: "), "{told}");
        assert!(told.contains("limits.least"), "{told}");
        assert!(told.contains("3 problems"), "{told}");
        let broken = JOB.replace("asks_1h + 1 as next", "asks_2h + 1 as next");
        let told = checked(&broken).unwrap_err();
        assert!(told.contains("asks_2h"), "{told}");
        assert!(told.contains("t.toml:"), "{told}");
    }
}
