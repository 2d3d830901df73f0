//! Which rows count: what is no row of anybody's, what is too far ahead, and ids of several sources.

use crate::program::Place;

const JOB: &str = r#"
[job]
name = "admission"
event_time = "ts"
lateness = "1h"

[source.calls]
format = "csv"
path = "calls.csv"
columns = { id = "i64?", who = "text?", ts = "timestamp" }
dedupe = { key = "id", keep = "1d" }
max_ahead = "7d"

[source.mails]
format = "csv"
path = "mails.csv"
columns = { id = "i64", who = "text", ts = "timestamp" }
MAILS

[entity.who]
key = "who"

[features.f]
from = ["calls", "mails"]
at = "true"
carry = ["id"]
add = [{ name = "rows", op = "count", windows = "lifetime" }]

[features.calls]
from = "calls"
at = "true"
add = [{ name = "calls", op = "count", windows = "lifetime" }]

[sink.f]
from = "features.f"
format = "csv"
path = "f.csv"

[sink.calls]
from = "features.calls"
format = "csv"
path = "called.csv"

[sink.rejects]
from = "rejects.calls"
format = "csv"
path = "rejects.csv"

[sink.late]
from = "late.calls"
format = "csv"
path = "late.csv"
"#;

fn place(mails: &str, calls: &str, mails_rows: &str) -> Place {
    let place = Place::new();
    place.file("job.toml", JOB.replace("MAILS", mails));
    place.file("calls.csv", format!("id,who,ts\n{calls}"));
    place.file("mails.csv", format!("id,who,ts\n{mails_rows}"));
    place
}

/// The rows of a result, without its head, sorted.
fn rows(place: &Place, file: &str) -> Vec<String> {
    let text = place.read(file);
    let mut rows: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
    rows.sort();
    rows
}

const MAILS: &str = "0,a,2024-01-01T00:00:00Z\n1,a,2024-01-01T00:00:00Z\n";

#[test]
fn sources_of_one_entity_have_ids_of_their_own() {
    let calls = "0,a,2024-01-01T00:00:00Z\n1,a,2024-01-01T00:00:00Z\n1,a,2024-01-01T00:00:00Z\n";
    for mails in ["", "dedupe = { key = \"id\", keep = \"1d\" }"] {
        for verb in ["run", "replay"] {
            for workers in ["1", "3"] {
                let place = place(mails, calls, MAILS);
                let call = place.tidegate([verb, "job.toml", "--workers", workers]);
                let account = "5 rows in = 4 accepted + 1 duplicate + 0 late + 0 rejected";
                call.run().code(0).says(&[account]);
                // The first source's number is 0, the second's stands in the first bit.
                let second = 1u64 << 63;
                let expected = [0, 1, second, second + 1].map(|id| {
                    let own = id & !second;
                    format!("a,{id},2024-01-01T00:00:00Z,{own},4")
                });
                assert_eq!(rows(&place, "f.csv"), expected, "{mails} {verb} {workers}");
                let alone = ["a,0,2024-01-01T00:00:00Z,2", "a,1,2024-01-01T00:00:00Z,2"];
                assert_eq!(rows(&place, "called.csv"), alone);
            }
        }
    }
}

#[test]
fn a_row_without_its_key_or_id_is_rejected_and_moves_no_clock() {
    let calls = "0,a,2024-01-01T00:00:00Z\n,a,2024-01-02T00:00:00Z\n2,,2024-01-03T00:00:00Z\n\
                 -1,a,2024-01-04T00:00:00Z\n,a,2024-01-02T00:00:00Z\n3,a,2024-01-01T00:00:00Z\n";
    let place = place("", calls, MAILS);
    let account = "8 rows in = 4 accepted + 0 duplicate + 0 late + 4 rejected";
    let call = place.tidegate(["run", "job.toml"]);
    call.run().code(0).says(&[account]);
    let rejects = rows(&place, "rejects.csv").join("\n");
    for told in [
        ",id,the dedupe key is null,",
        ",who,the entity's key is null,",
        "-1 is not between 0 and 9223372036854775807",
    ] {
        assert!(rejects.contains(told), "{told}\n{rejects}");
    }
}

#[test]
fn a_row_too_far_ahead_is_rejected_and_the_next_ones_count() {
    let calls = "0,a,2024-01-01T00:00:00Z\n1,a,9999-12-31T00:00:00Z\n\
                 2,a,2024-01-08T00:00:00.000001Z\n3,a,2024-01-08T00:00:00Z\n\
                 4,a,2024-01-15T00:00:00Z\n5,a,2024-01-01T00:00:00Z\n";
    for verb in ["run", "replay"] {
        let place = place("", calls, "");
        let account = "6 rows in = 3 accepted + 0 duplicate + 1 late + 2 rejected";
        let call = place.tidegate([verb, "job.toml"]);
        call.run().code(0).says(&[account]);
        let rejects = rows(&place, "rejects.csv").join("\n");
        for told in [
            "`max_ahead` allows: 9999-12-31T00:00:00Z after 2024-01-01T00:00:00Z",
            "2024-01-08T00:00:00.000001Z after 2024-01-01T00:00:00Z",
        ] {
            assert!(rejects.contains(told), "{told}\n{rejects}");
        }
    }
}

const TWO_ENTITIES: &str = r#"
[job]
name = "two"
event_time = "ts"

[source.events]
format = "csv"
path = "events.csv"
columns = { id = "u64", who = "text", desk = "text", ts = "timestamp", x = "f64" }
DEDUPE

[source.limits]
format = "changelog_csv"
path = "limits.csv"
key = ["who"]
columns = { ts = "timestamp", who = "text", most = "u64" }

[entity.desk]
key = "desk"

[entity.who]
key = "who"

[features.d]
from = "events"
entity = "desk"
at = "true"
add = [{ name = "rows", op = "count", windows = "lifetime" }]

[features.w]
from = "events"
entity = "who"
at = "true"
add = [{ name = "sum", op = "sum", of = "x", scale = 2, windows = "lifetime" }]

[trigger.t]
on = ["w", "limits"]
at = "anchors"
when = "w.sum > limits.most"

[sink.d]
from = "features.d"
format = "csv"
path = "d.csv"

[sink.w]
from = "features.w"
format = "csv"
path = "w.csv"

[sink.t]
from = "trigger.t"
format = "csv"
path = "t.csv"

[sink.rejects]
from = "rejects.events"
format = "csv"
path = "rejects.csv"

[sink.versions]
from = "rejects.limits"
format = "csv"
path = "versions.csv"
"#;

#[test]
fn a_row_that_one_entity_cannot_take_counts_for_none() {
    for dedupe in ["", "dedupe = { key = \"id\", keep = \"1d\" }"] {
        let place = Place::new();
        place.file("job.toml", TWO_ENTITIES.replace("DEDUPE", dedupe));
        place.file(
            "events.csv",
            "id,who,desk,ts,x\n1,a,d,2024-01-02T00:00:00Z,5\n2,a,d,2024-01-02T00:00:01Z,1e300\n\
             3,a,d,2024-01-02T00:00:02Z,6\n",
        );
        place.file(
            "limits.csv",
            "ts,who,most\n2024-01-01T00:00:00Z,a,10\n2024-01-02T00:00:02Z,a,18446744073709551615\n",
        );
        let account = "5 rows in = 3 accepted + 0 duplicate + 0 late + 2 rejected";
        let call = place.tidegate(["replay", "job.toml", "--workers", "2"]);
        call.run().code(0).says(&[account]);
        assert_eq!(rows(&place, "rejects.csv").len(), 1, "told once");
        let versions = rows(&place, "versions.csv").join("\n");
        assert!(
            versions.contains("18446744073709551615 does not fit"),
            "{versions}"
        );
        assert_eq!(rows(&place, "d.csv").len(), 2);
        assert_eq!(rows(&place, "w.csv").len(), 2);
        assert_eq!(
            rows(&place, "t.csv").len(),
            1,
            "the first limit still holds"
        );
        place.tidegate(["verify", "job.toml"]).run().code(0);
    }
}

#[test]
fn late_rows_that_no_sink_writes_are_told_so() {
    let rows = "0,a,2024-01-03T00:00:00Z\n1,a,2024-01-01T00:00:00Z\n";
    for verb in ["run", "replay"] {
        let place = place("", rows, rows);
        let late = "1 late, up to 2d behind the newest before them";
        let told = [
            format!("calls: {late}\n"),
            format!("mails: {late}; nothing keeps them"),
            "a sink with from = \"late.mails\" writes them".to_owned(),
        ];
        let call = place.tidegate([verb, "job.toml"]);
        call.run()
            .code(0)
            .says(&told.each_ref().map(String::as_str));
    }
}
