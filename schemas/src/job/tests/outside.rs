//! What comes from outside the file: overrides and the environment, and that its secrets are not shown.

use super::*;

const SECRET: &str = "s3cret-v4lue";

/// An environment with a secret and some plain values.
fn env(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some(SECRET.to_owned()),
        "DIR" => Some("data".to_owned()),
        "TEN" => Some("10".to_owned()),
        "YES" => Some("true".to_owned()),
        "GAP" => Some("45m".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn load_with(text: &str, overrides: &[(&str, &str)]) -> Result<Job, Problems> {
    let pair = |(path, value): &(&str, &str)| ((*path).to_owned(), (*value).to_owned());
    let overrides: Vec<_> = overrides.iter().map(pair).collect();
    load("job.toml", text.as_bytes(), &overrides, &env)
}

fn good(result: Result<Job, Problems>) -> Job {
    result.unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn variables_are_filled_in_and_take_the_type_that_is_wanted() {
    let text = example_with(
        "events/*.jsonl\"",
        "${DIR}/${NAME:-events}.jsonl\"\nfollow = \"${YES}\"",
    );
    let text = text.replacen("percent = 10", "percent = \"${TEN}\"", 1);
    let text = text.replacen("gap = \"30m\"", "gap = \"${GAP}\"", 1);
    let text = text.replacen("k = 5", "k = \"${TEN}\"", 1);
    let job = good(load_with(&text, &[]));
    assert_eq!(job.sources["events"].path[0], "data/events.jsonl");
    assert_eq!(
        job.sources["events"].path[0].written(),
        "${DIR}/${NAME:-events}.jsonl"
    );
    assert!(job.sources["events"].follow);
    assert_eq!(
        job.triggers["rescue"].holdout.as_ref().unwrap().percent,
        10.0
    );
    assert_eq!(job.sessions["visit"].gap, "45m".parse().unwrap());
    assert!(matches!(
        job.features["contact"].add[2].op,
        Op::LastK { k: 10, .. }
    ));
}

#[test]
fn a_variable_that_is_not_set_is_told_once() {
    for part in ["${NOT_SET}", "${EMPTY}"] {
        let text = example_with("gap = \"30m\"", &format!("gap = \"{part}\""));
        let name = &part[2..part.len() - 1];
        let expected = format!("47:7 the environment variable `{name}` is not set");
        assert_eq!(brief(load_with(&text, &[])), [expected]);
    }
}

#[test]
fn tests_are_data_and_are_not_filled_in() {
    let job = good(load_with(&example_with("10,c1", "${NOT_SET},c1"), &[]));
    assert!(matches!(&job.tests[0].rows, TestRows::Only(rows) if rows.contains("${NOT_SET}")));
}

/// A secret anywhere in the file comes out in no message and no debug output, right or wrong.
#[test]
fn a_secret_is_never_shown() {
    let strings: Vec<_> = EXAMPLE
        .split("[[test]]")
        .next()
        .unwrap()
        .match_indices('"')
        .map(|(at, _)| at)
        .collect();
    for pair in strings.chunks(2) {
        let [open, close] = pair else {
            panic!("quotes come in pairs")
        };
        for around in [
            "${SECRET}",
            "features.${SECRET}",
            "changelog_${SECRET}",
            "timestamp:${SECRET}",
        ] {
            let text = format!("{}{around}{}", &EXAMPLE[..=*open], &EXAMPLE[*close..]);
            let shown = match load_with(&text, &[]) {
                Ok(job) => format!("{job:?} {job:#?} {}", serde_json::to_string(&job).unwrap()),
                Err(problems) => format!("{problems} {problems:?} {problems:#?}"),
            };
            assert!(!shown.contains(SECRET), "{}", &text[*open..*open + 40]);
        }
    }
}

#[test]
fn overrides_set_keys_and_entries_of_lists() {
    let job = good(load_with(
        EXAMPLE,
        &[
            ("source.events.path", "other/*.jsonl"),
            ("source.events.dedupe.keep", "1h"),
            ("source.events.follow", "true"),
            ("job.name", "7"),
            ("sessions.visit.gap", "\"10m\""),
            ("features.contact.add.recent_topics.k", "9"),
            ("features.contact.add.1.windows", "[\"1d\", \"lifetime\"]"),
            ("trigger.rescue.holdout.percent", "${TEN}"),
            ("job.lateness", "1m"),
            ("job.lateness", "2m"),
        ],
    ));
    assert_eq!(job.sources["events"].path[0], "other/*.jsonl");
    assert_eq!(
        job.sources["events"].dedupe.as_ref().unwrap().keep,
        Some(Span::hours(1))
    );
    assert!(job.sources["events"].follow);
    assert_eq!(job.job.name, "7");
    assert_eq!(job.sessions["visit"].gap, Span::seconds(600));
    assert!(matches!(
        job.features["contact"].add[2].op,
        Op::LastK { k: 9, .. }
    ));
    assert_eq!(
        job.features["contact"].add[1].columns(),
        ["handle_mean_1d", "handle_mean"]
    );
    assert_eq!(job.job.lateness, Span::seconds(120));
}

#[test]
fn overrides_of_what_is_not_there_are_told() {
    for (path, value, expected) in [
        (
            "source.evnts.path",
            "x",
            "1:8 there is no `evnts` in `source`",
        ),
        (
            "sauce.events.path",
            "x",
            "1:1 there is no `sauce` in the job file",
        ),
        (
            "source.events.paht",
            "x",
            "1:15 unknown key `paht` in `source.events`",
        ),
        (
            "features.contact.add.7.k",
            "3",
            "1:22 there is no `7` in `features.contact.add`",
        ),
        (
            "features.contact.add.contact.k",
            "3",
            "1:22 there is no `contact` in `features.contact.add`",
        ),
        (
            "job.lateness.more",
            "3",
            "1:14 `lateness` holds a single value",
        ),
        (
            "job.lateness",
            "soon",
            "1:14 `soon` is not a duration (expected number at 0); write it like 30m, 24h or 7d",
        ),
        (
            "sessions.visit.gap",
            "30",
            "1:20 `30` is not a duration (time unit needed, for example 30sec or 30ms); write it like 30m, 24h or 7d",
        ),
        ("", "3", "1:1 a key is missing here"),
        ("job.", "3", "1:5 a key is missing here"),
    ] {
        let problems = load_with(EXAMPLE, &[("job.owner", "me"), (path, value)]);
        assert_eq!(
            problems.as_ref().unwrap_err().0[0]
                .spot
                .as_ref()
                .unwrap()
                .file,
            "--set"
        );
        assert_eq!(brief(problems), [expected]);
    }
    let problems = load_with(EXAMPLE, &[("source.evnts.path", "x")]).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "--set:1:8: there is no `evnts` in `source`\n 1 | source.evnts.path=x\n   |        ^^^^^\n   help: did you mean `events`?\n\n1 problem"
    );
}

#[test]
fn a_path_that_leaves_something_out_is_completed() {
    for (path, help) in [
        ("lateness", "did you mean `job.lateness`?"),
        ("latenes", "did you mean `job.lateness`?"),
        ("events.path", "did you mean `source.events.path`?"),
        (
            "source.path",
            "did you mean `source.events.path` or `source.limits.path`?",
        ),
        (
            "source.delete_when",
            "did you mean `source.events.delete_when` or `source.limits.delete_when`?",
        ),
        (
            "events.dedupe.keep",
            "did you mean `source.events.dedupe.keep`?",
        ),
        (
            "rescue.holdout.salt",
            "did you mean `trigger.rescue.holdout.salt`?",
        ),
        ("jab.lateness", "did you mean `job`?"),
    ] {
        let problems = load_with(EXAMPLE, &[(path, "x")]).unwrap_err();
        assert_eq!(problems.0[0].help.as_deref(), Some(help), "{path}");
    }
}
