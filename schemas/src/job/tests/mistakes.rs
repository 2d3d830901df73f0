//! Each kind of mistake is told, with its line and column, and all of them at once.

use super::*;

/// Changes parts of the example, and expects a problem at each `«` in what was put in, in the order of
/// the file.
pub(super) fn expect(changes: &[(&str, &str)], messages: &[&str]) {
    let mut text = EXAMPLE.to_owned();
    for (part, other) in changes {
        assert!(text.contains(part), "the example has no {part}");
        text = text.replacen(part, other, 1);
    }
    let (plain, marks) = without_marks(&text);
    assert_eq!(marks.len(), messages.len(), "a mark for each message");
    let expected: Vec<_> = marks
        .iter()
        .zip(messages)
        .map(|((line, column), message)| format!("{line}:{column} {message}"))
        .collect();
    assert_eq!(brief(load_text(&plain)), expected);
}

/// The text without its marks, and the line and column of each.
fn without_marks(text: &str) -> (String, Vec<(usize, usize)>) {
    let mut marks = Vec::new();
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let parts: Vec<_> = line.split('«').collect();
        let mut column = 1;
        for part in &parts[..parts.len() - 1] {
            column += part.chars().count();
            marks.push((number + 1, column));
        }
        lines.push(parts.concat());
    }
    (lines.join("\n"), marks)
}

/// The help of the first problem after changing a part of the example.
pub(super) fn help_of(part: &str, other: &str) -> String {
    let problems = load_text(&example_with(part, other)).unwrap_err();
    problems.0[0].help.clone().unwrap_or_default()
}

const END: &str = "\n[[test]]";

#[test]
fn unknown_sections() {
    expect(
        &[(
            END,
            "[«model.stuck]\nfrom = \"events\"\n[«serve.model]\n[«featuers.a]\n\n[[test]]",
        )],
        &[
            "unknown section `model`",
            "unknown section `serve`",
            "unknown section `featuers`",
        ],
    );
    assert_eq!(
        help_of(END, "[featuers.a]\n[[test]]"),
        "did you mean `features`?"
    );
    assert_eq!(
        help_of(END, "[model.a]\n[[test]]"),
        "the sections are: detector, drift, entity, features, job, journey, pattern, retrain, sessions, sink, source, table, test, trigger"
    );
}

#[test]
fn unknown_and_missing_keys_at_every_depth() {
    expect(
        &[("owner = ", "«ovner = ")],
        &["unknown key `ovner` in `job`"],
    );
    expect(
        &[("dedupe = { key = ", "dedupe = «{ «kye = ")],
        &[
            "`source.events.dedupe` needs the key `key`",
            "unknown key `kye` in `source.events.dedupe`",
        ],
    );
    expect(
        &[("op = \"any\",   where", "op = \"any\", «were")],
        &["unknown key `were` in `sessions.visit.add.escalated`"],
    );
    expect(
        &[
            ("[sessions.visit]", "«[sessions.visit]"),
            ("gap = \"30m\"\n", ""),
        ],
        &["`sessions.visit` needs the key `gap`"],
    );
    let without_job = &EXAMPLE[EXAMPLE.find("[source.events]").unwrap()..];
    assert_eq!(
        brief(load_text(without_job)),
        ["1:1 the section [job] is missing"]
    );
}

#[test]
fn keys_of_later_versions_are_unknown() {
    expect(
        &[(
            "key = \"customer_id\"",
            "key = \"customer_id\"\n«allow_when = \"consent.profiling\"\n«mask = {}",
        )],
        &[
            "unknown key `allow_when` in `entity.customer`",
            "unknown key `mask` in `entity.customer`",
        ],
    );
    expect(
        &[("action = ", "«outcome = { op = \"count\" }\naction = ")],
        &["unknown key `outcome` in `trigger.rescue`"],
    );
    expect(
        &[(
            "format = \"jsonl\"\npath = \"interventions.jsonl\"",
            "format = «\"webhook\"\n«url = \"x\"",
        )],
        &[
            "`sink.interventions.format` cannot be `webhook`",
            "unknown key `url` in `sink.interventions`",
        ],
    );
}

#[test]
fn wrong_types() {
    expect(
        &[("lateness = \"2h\"", "lateness = «7200")],
        &["`job.lateness` must be a duration such as \"30m\" or \"7d\", not a whole number"],
    );
    expect(
        &[("k = 50", "k = «0")],
        &["`sessions.visit.add.path.k` must be a whole number from 1 to 65536"],
    );
    expect(
        &[("percent = 10", "percent = «101")],
        &["`trigger.rescue.holdout.percent` must be a number from 0 to 100"],
    );
    expect(
        &[("expect = [\"", "expect = [«1, \"")],
        &["`source.events.expect.0` must be an SQL expression as a text, not a whole number"],
    );
    expect(
        &[("windows = [\"30d\"]", "windows = «30")],
        &[
            "`features.contact.add.recent_topics.windows` must be a window such as \"24h\", \"7d\" or \"lifetime\", or a list, not a whole number",
        ],
    );
    expect(
        &[("from = \"events\"\ngap", "from = «[]\ngap")],
        &["`sessions.visit.from` needs at least 1"],
    );
    expect(
        &[("version = 3", "version = «99999999999999999999")],
        &["this number is out of range: whole numbers have 64 bits"],
    );
    assert_eq!(help_of("version = 3", "version = \"3\""), "");
    assert_eq!(
        help_of("lateness = \"2h\"", "lateness = 2"),
        "put it in quotes"
    );
}

#[test]
fn tables_and_lists_taken_for_each_other() {
    expect(
        &[("[sink.late]", "«[[sink.late]]")],
        &["`sink.late` must be a table, not a list"],
    );
    assert_eq!(
        help_of("[sink.late]", "[[sink.late]]"),
        "write [sink.late], once and in single brackets"
    );
    expect(
        &[("[[test]]", "«[test]")],
        &["`test` must be a list of tables, not a table"],
    );
    assert_eq!(help_of("[[test]]", "[test]"), "write [[test]]");
    expect(
        &[("expect.trigger.rescue = [", "expect.trigger_rescue = «[")],
        &["`test.0.expect.trigger_rescue` must be a table, not a list"],
    );
    assert_eq!(
        help_of("expect.trigger.rescue", "expect.trigger"),
        "say of which output: expect.trigger.NAME = [...]"
    );
    assert_eq!(
        help_of("[entity.customer]", "[entity]"),
        "give it a name: [entity.NAME], and its keys below"
    );
}

#[test]
fn texts_that_do_not_have_their_form() {
    expect(
        &[("gap = \"30m\"", "gap = «\"half an hour\"")],
        &["`half an hour` is not a duration (expected number at 0); write it like 30m, 24h or 7d"],
    );
    expect(
        &[("idle_timeout = \"30s\"", "idle_timeout = «\"1M\"")],
        &["`M` in `1M` has no exact length; use d (days) or w (weeks), and m for minutes"],
    );
    expect(
        &[("topic = \"text?\"", "topic = «\"txet?\"")],
        &["`txet?` is not a column type"],
    );
    expect(
        &[("topic = \"text?\"", "topic = «\"string?\"")],
        &["`string?` is not a column type; here it is called `text`"],
    );
    expect(
        &[("ts = \"timestamp\"", "ts = «\"timestamp:%Q\"")],
        &["`%Q` is not a time format"],
    );
    for format in ["%Y-%m", "%H:%M:%S", "%m-%d"] {
        let wrong = format!("ts = «\"timestamp:{format}\"");
        expect(
            &[("ts = \"timestamp\"", &wrong)],
            &[&format!(
                "`{format}` names no day; a moment needs one, as in `%Y-%m-%d`"
            )],
        );
    }
    for format in [
        "%s",
        "%d.%m.%y",
        "%c",
        "%Y-%j",
        "%G-W%V-%u",
        "%+",
        "%d/%b/%Y:%H:%M:%S %z",
    ] {
        let text = format!("timestamp:{format}?");
        assert!(text.parse::<ColumnType>().is_ok(), "{text}");
    }
    expect(
        &[("at_gap = \"new\"", "at_gap = «\"newer\"")],
        &["`sessions.visit.at_gap` cannot be `newer`"],
    );
    expect(
        &[("[sink.late]", "[sink.«\"my sink\"]")],
        &["`my sink` is not a name; use letters, digits and _, not beginning with a digit"],
    );
    expect(
        &[(
            "when = \"contacts_24h >= limits.contacts_24h and same_topic_max_7d >= 2\"",
            "when = «\" \"",
        )],
        &["the SQL expression is empty"],
    );
    assert_eq!(
        help_of("topic = \"text?\"", "topic = \"txet?\""),
        "did you mean `text`?"
    );
    assert_eq!(
        help_of("at_gap = \"new\"", "at_gap = \"neu\""),
        "did you mean `new`?"
    );
    assert_eq!(
        help_of("op = \"last_k\"", "op = \"lastk\""),
        "did you mean `last_k`?"
    );
}

#[test]
fn syntax_errors_are_told_one_a_line_and_the_rest_is_still_looked_at() {
    expect(
        &[
            ("owner = \"support-data\"", "owner = «support-data"),
            ("gap = \"30m\"", "gap = \"30m«"),
            ("at_gap = ", "«at_gpa = "),
            ("cooldown = \"24h\"", "cooldown = «24h"),
        ],
        &[
            "string values must be quoted, expected literal string",
            "invalid basic string, expected `\"`",
            "unknown key `at_gpa` in `sessions.visit`",
            "string values must be quoted, expected literal string",
        ],
    );
}

#[test]
fn an_unclosed_list_is_told_where_it_begins() {
    expect(
        &[("windows = [\"7d\"], empty", "windows = «[\"7d\", empty")],
        &["this bracket is not closed, or a comma is missing in it"],
    );
}

#[test]
fn a_file_that_is_not_utf8_is_told_where() {
    let problems = load("job.toml", b"[job]\nname = \"\xff\"\n", &[], &|_| None);
    assert_eq!(brief(problems), ["2:9 this byte is not UTF-8"]);
}

#[test]
fn an_empty_file_needs_a_job() {
    assert_eq!(
        brief(load_text("")),
        [
            "1:1 the job has no source",
            "1:1 the section [job] is missing"
        ]
    );
    assert_eq!(
        brief(load_text("[job]\nname = \"a b\"\nevent_time = \"ts\"\n")),
        [
            "1:2 the job has no source",
            "2:8 `a b` cannot be the name of a job"
        ]
    );
}

#[test]
fn many_mistakes_in_one_file_are_all_told() {
    expect(
        &[
            ("lateness = \"2h\"", "«latenes = \"2h\""),
            ("key = \"event_id\"", "key = «\"evnt_id\""),
            (
                "windows = [\"1h\", \"24h\"",
                "windows = [«\"1 hour ago\", \"24h\"",
            ),
            ("op = \"mean\", ", "op = \"mean\", «k = 3, "),
            (
                "from = \"events\"\ngap = \"30m\"",
                "from = «\"evnts\"\ngap = «30",
            ),
        ],
        &[
            "unknown key `latenes` in `job`",
            "source `events` has no column `evnt_id`",
            "`1 hour ago` is not a duration (expected number at 7); write it like 30m, 24h or 7d",
            "`handle_mean`: op `mean` takes no `k`",
            "there is no source `evnts`",
            "`sessions.visit.gap` must be a duration such as \"30m\" or \"7d\", not a whole number",
        ],
    );
}
