//! Where several sources feed an entity, and the ids of one are texts, those of all are.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::answers::Answers;
use crate::program::Place;

const TWO: &str = r#"
[job]
name = "two"
event_time = "ts"

[source.calls]
format = "csv"
path = "calls.csv"
dedupe = "call"
columns = { call = "u64", who = "text", ts = "timestamp_ms" }

[source.chats]
format = "jsonl"
path = "chats.jsonl"
dedupe = "chat"
columns = { chat = "text", who = "text", ts = "timestamp_ms" }

[entity.customer]
key = "who"

[features.contacts]
from = ["calls", "chats"]
at = "true"
add = [{ name = "n", op = "count", windows = "1h" }]

[features.calls]
from = "calls"
at = "true"
add = [{ name = "n_calls", op = "count", windows = "1h" }]

[features.chats]
from = "chats"
at = "true"
add = [{ name = "n_chats", op = "count", windows = "1h" }]

[trigger.second]
on = "contacts"
at = "anchors"
when = "n_1h = 2"

[sink.contacts]
from = "features.contacts"
format = "parquet"
path = "out/contacts.parquet"

[sink.calls]
from = "features.calls"
format = "parquet"
path = "out/calls.parquet"

[sink.chats]
from = "features.chats"
format = "parquet"
path = "out/chats.parquet"

[sink.second]
from = "trigger.second"
format = "parquet"
path = "out/second.parquet"
select = ["event_id", "fired_at"]

[[test]]
name = "the second contact is a chat"
rows.calls = """
call,who,ts
7,ann,2024-01-01T09:00:00Z
"""
rows.chats = """
chat,who,ts
C-1,ann,2024-01-01T09:05:00Z
"""
expect.trigger.second = [{ who = "ann", event_id = "C-1" }]
expect.features.contacts = [{ row_id = "7", n_1h = 1 }, { row_id = "C-1", n_1h = 2 }]
expect.features.calls = [{ call = 7 }]
also = ["replay equals live", "any number of workers gives the same rows"]
"#;

#[test]
fn where_one_of_two_sources_has_texts_the_numbers_of_the_other_become_texts() {
    let place = Place::new();
    place.file("two.toml", TWO);
    let (mut calls, mut chats) = ("call,who,ts\n".to_owned(), String::new());
    for number in 0..200 {
        let ts = 1_700_000_000_000i64 + number * 60_000;
        let who = ["ann", "bob"][number as usize % 2];
        writeln!(calls, "{number},{who},{ts}").expect("a text takes any line");
        let ts = ts + 1_000;
        writeln!(chats, r#"{{"chat":"C-{number}","who":"{who}","ts":{ts}}}"#)
            .expect("a text takes any line");
    }
    place.file("calls.csv", calls);
    place.file("chats.jsonl", chats);
    place.tidegate(["test", "two.toml"]).run().code(0);
    let told = place.tidegate(["check", "two.toml"]).run().code(0);
    let told: Vec<&str> = told.stdout.split_whitespace().collect();
    let told = told.join(" ");
    for line in [
        "row_id text <",
        "call u64 <",
        "chat text <",
        "event_id text",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    for workers in ["1", "2", "4"] {
        for verb in [&["replay"][..], &["run", "--firing", "arrival"]] {
            let call = place.tidegate(verb).arg("two.toml");
            call.arg("--workers").arg(workers).run().code(0);
            let ids = |file: &str, column: usize, title: &str| -> BTreeSet<String> {
                let answers = Answers::parquet(&place.path(&format!("out/{file}.parquet")));
                assert_eq!(answers.columns[column], title);
                answers
                    .rows
                    .into_iter()
                    .map(|mut row| row.swap_remove(column))
                    .collect()
            };
            let calls: BTreeSet<String> = (0..200).map(|n| n.to_string()).collect();
            let chats: BTreeSet<String> = (0..200).map(|n| format!("C-{n}")).collect();
            assert_eq!(ids("calls", 1, "call UInt64"), calls);
            assert_eq!(ids("chats", 1, "chat Utf8"), chats);
            let both: BTreeSet<String> = calls.union(&chats).cloned().collect();
            assert_eq!(ids("contacts", 1, "row_id Utf8"), both);
            let second: BTreeSet<String> = ["C-0", "C-1"].map(str::to_owned).into();
            assert_eq!(ids("second", 0, "event_id Utf8"), second);
            place.tidegate(["verify", "two.toml"]).run().code(0);
        }
    }
    let explained = place.tidegate(["explain", "two.toml", "ann", "trigger.second"]);
    let explained = explained.arg("2023-11-14T22:13:21Z").run().code(0);
    assert!(explained.stdout.contains("= C-0"), "{}", explained.stdout);
}
