//! The job file as a whole: what is read, and that every kind of mistake is told with its place.

#![allow(clippy::unwrap_used)]

mod agreement;
mod mistakes;
mod mutations;
mod ops;
mod outside;
mod patterns;
mod retrain;

use super::*;

/// A job that uses every section.
const EXAMPLE: &str = include_str!("example.toml");

fn load_text(text: &str) -> Result<Job, Problems> {
    load("job.toml", text.as_bytes(), &[], &|_| None)
}

/// The example with one part replaced by another.
fn example_with(part: &str, other: &str) -> String {
    assert!(EXAMPLE.contains(part), "the example has no {part}");
    EXAMPLE.replacen(part, other, 1)
}

/// `line:column message` of each problem.
fn brief(result: Result<Job, Problems>) -> Vec<String> {
    let problems = result.err().unwrap_or_default().0;
    let one = |problem: &Problem| match &problem.spot {
        Some(spot) => format!("{}:{} {}", spot.line, spot.column, problem.message),
        None => problem.message.clone(),
    };
    problems.iter().map(one).collect()
}

fn example() -> Job {
    load_text(EXAMPLE).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn the_example_is_read() {
    let job = example();
    assert_eq!(job.job.name, "repeat-contact-rescue");
    assert_eq!(job.job.lateness, Span::hours(2));
    let events = &job.sources["events"];
    assert_eq!(events.columns.names().next(), Some("event_id"));
    assert_eq!(
        events
            .columns
            .get("topic")
            .map(ToString::to_string)
            .as_deref(),
        Some("text?")
    );
    assert_eq!(job.sessions["visit"].max_length, Some(Span::hours(12)));
    assert_eq!(job.features["contact"].bounds, Bounds::OpenClosed);
    assert_eq!(
        job.features["contact"].add[2].op,
        Op::LastK {
            k: 5,
            order: Order::NewestFirst
        }
    );
    assert_eq!(job.triggers["rescue"].at, EvaluateAt::Changes);
    assert_eq!(job.drift["topic"].smoothing, None);
    assert_eq!(
        job.drift["topic"].reference.until,
        Until::After(Span::days(7))
    );
    assert_eq!(job.sinks["late"].mode, Mode::Final);
    let fired = &job.tests[0].expect["trigger"]["rescue"][0];
    assert_eq!(
        fired["fired_at"],
        Cell::Text("2026-01-01T11:00:00Z".to_owned())
    );
    assert_eq!(fired["segment"], Cell::Null {});
}

#[test]
fn columns_are_named_by_aggregate_and_window() {
    let job = example();
    let columns = |name: &str| {
        let output: Output = name.parse().unwrap();
        job.output_columns(&output).unwrap().join(" ")
    };
    assert_eq!(
        columns("features.contact"),
        "customer_id ts contacts_1h contacts_24h contacts_7d handle_mean_7d recent_topics_30d same_topic_max_7d"
    );
    assert_eq!(
        columns("features.training"),
        "customer_id event_id ts channel contacts_24h contacts since_login_30d effort"
    );
    assert_eq!(
        columns("current.training"),
        "customer_id ts contacts_24h contacts since_login_30d effort"
    );
    assert_eq!(
        columns("sessions.visit"),
        "customer_id start end rows path contacts escalated closed cut"
    );
    assert_eq!(
        columns("pattern.stuck"),
        "customer_id start_id start end how errors look worst skipped"
    );
    assert_eq!(
        columns("trigger.rescue"),
        "customer_id event_id fired_at closed_at state segment arm action contacts_24h same_topic_max_7d limits_contacts_24h"
    );
    assert_eq!(
        columns("drift.topic"),
        "start window column psi kl rows reference_rows categories"
    );
    assert_eq!(
        columns("transitions.path"),
        "from to count share mean_seconds"
    );
    assert_eq!(
        columns("accuracy.path"),
        "order steps predicted right accuracy bin_steps bin_probability bin_right"
    );
    assert_eq!(
        columns("holdout.path"),
        "k counted journeys prefixes right accuracy"
    );
    assert_eq!(job.output_columns(&"late.events".parse().unwrap()), None);
    assert_eq!(job.outputs().len(), 15);
}

#[test]
fn a_changelog_with_a_key_is_a_table() {
    let job = example();
    let tables = job.all_tables();
    assert_eq!(tables["limits"].source, "limits");
    assert_eq!(tables["limits"].key, ["segment"]);
}

#[test]
fn a_key_may_stand_alone() {
    let dedupe = |written: &str| {
        let all = "dedupe = { key = \"event_id\", keep = \"72h\" }";
        let job = load_text(&example_with(all, written))?;
        Ok::<_, Problems>(job.sources["events"].dedupe.clone().unwrap())
    };
    let alone = dedupe("dedupe = \"event_id\"").unwrap();
    assert_eq!(alone, dedupe("dedupe = [\"event_id\"]").unwrap());
    assert_eq!(alone, dedupe("dedupe = { key = \"event_id\" }").unwrap());
    assert_eq!(alone.key[..], ["event_id"]);
    assert!(alone.key[0].place().is_some());
    assert_eq!(alone.keep(Span::hours(2)), Span::hours(2));
    let told = dedupe("dedupe = \"event_di\"").unwrap_err().to_string();
    assert!(told.contains("did you mean `event_id`?"), "{told}");
    let told = dedupe("dedupe = 7").unwrap_err().to_string();
    let words = "`source.events.dedupe` must be a text, or a list, or a table";
    assert!(told.contains(words), "{told}");
    let limits = example_with("key = [\"segment\"]", "key = \"segment\"");
    let job = load_text(&limits).unwrap();
    assert_eq!(job.all_tables()["limits"].key, ["segment"]);
}

#[test]
fn texts_know_their_line_and_column() {
    let job = example();
    let when = &job.triggers["rescue"].when;
    let problem = job.origin.problem(when.place(), "no such column");
    let spot = problem.spot.clone().unwrap();
    assert_eq!(
        EXAMPLE
            .lines()
            .nth(spot.line - 1)
            .unwrap()
            .find("\"contacts_24h >="),
        Some(spot.column - 1)
    );
    let shown = problem.to_string();
    assert!(
        shown.starts_with(&format!("job.toml:{}:8: no such column", spot.line)),
        "{shown}"
    );
    let of = job.features["contact"].add[1].of.as_ref().unwrap();
    assert_eq!(job.origin.problem(of.place(), "").spot.unwrap().line, 30);
}

#[test]
fn a_job_survives_being_written_and_read_again() {
    let job = example();
    let written = toml::to_string(&job).unwrap();
    let again = load_text(&written).unwrap_or_else(|problems| panic!("{problems}\n{written}"));
    let without_origin = |job: Job| Job {
        origin: Origin::default(),
        ..job
    };
    // Columns are written in order, and so are read in order.
    assert_eq!(without_origin(again), without_origin(job));
}

#[test]
fn a_problem_is_shown_with_its_line_a_mark_and_help() {
    let text = example_with("gap = \"30m\"", "\tgaps = \"30m\"\ngap = \"30m\"");
    let shown = load_text(&text).unwrap_err().to_string();
    let expected = "job.toml:47:2: unknown key `gaps` in `sessions.visit`\n 47 | \tgaps = \"30m\"\n    | \t^^^^\n   help: did you mean `gap`?\n\n1 problem";
    assert_eq!(shown, expected);
}

#[test]
fn the_schema_has_every_section_and_a_description_for_each() {
    let schema = json_schema();
    let sections = schema["properties"].as_object().unwrap();
    for section in [
        "job", "source", "entity", "features", "sessions", "pattern", "table", "trigger", "drift",
        "detector", "journey", "retrain", "sink", "test",
    ] {
        assert!(sections[section]["description"].is_string(), "{section}");
    }
    assert_eq!(sections.len(), 14);
}
