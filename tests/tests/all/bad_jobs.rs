//! Job files and arguments that are wrong: all that is wrong is told, with its place and what to do.

use crate::bad_input::{JOB, place};
use crate::program::Place;

#[test]
fn a_job_file_with_mistakes_tells_all_of_them_with_their_places() {
    let place = place();
    let wrong = JOB
        .replace("gap = \"30m\"", "gap = \"30m\"\ngaap = \"30m\"")
        .replace("of = \"n\", windows", "of = \"m\", windows")
        .replace("sessions.visit\"", "sessions.visits\"");
    place.file("wrong.toml", wrong);
    let ended = place.tidegate(["check", "wrong.toml"]).run().code(2);
    assert!(ended.stderr.contains("wrong.toml:"), "{ended}");
    for said in ["unknown key `gaap`", "did you mean", "sessions.visit"] {
        assert!(ended.stderr.contains(said), "{said}: {ended}");
    }
    place.file(
        "wrong.toml",
        JOB.replace("of = \"n\", windows", "of = \"m\", windows"),
    );
    place
        .tidegate(["check", "wrong.toml"])
        .run()
        .code(2)
        .says(&["wrong.toml:20:", "`m`"]);
    place.file("wrong.toml", b"[job]\nname = \"\xff\"");
    place
        .tidegate(["check", "wrong.toml"])
        .run()
        .code(2)
        .says(&["UTF-8"]);
    place
        .tidegate(["check", "missing.toml"])
        .run()
        .code(2)
        .says(&["missing.toml"]);
    place.tidegate(["run"]).run().code(2);
    place
        .tidegate(["run", "job.toml", "--only", "nowhere"])
        .run()
        .code(2)
        .says(&["nowhere", "known"]);
    place
        .tidegate(["run", "job.toml"])
        .set("source.event.path", "x")
        .run()
        .code(2)
        .says(&["events"]);
}

#[test]
fn a_condition_that_is_no_truth_is_a_mistake() {
    let place = Place::new();
    for (key, sql, found) in [
        ("when", "contacts_24h", "a whole number"),
        ("clear_when", "last_topic_7d", "a text"),
    ] {
        let call = place.tidegate(["check", "jobs/catalog/repeat-contact-rescue.toml"]);
        let ended = call
            .set(&format!("trigger.rescue.{key}"), sql)
            .run()
            .code(2);
        ended.says(&[&format!("`{sql}` must be true or false, and is {found}")]);
    }
    let call = place.tidegate(["run", "jobs/catalog/repeat-contact-rescue.toml"]);
    call.arg("--workers")
        .arg("9999")
        .run()
        .code(2)
        .says(&["9999 is not in 1..=256"]);
}

#[test]
fn two_spellings_of_one_path_are_told_by_check() {
    let place = place();
    let both = |known: &str, late: &str| {
        let call = place.tidegate(["check", "job.toml"]);
        call.set("sink.known.path", known)
            .set("sink.late.path", late)
            .run()
    };
    for (known, late) in [
        ("out/a.jsonl", "out/a.jsonl"),
        ("out/a.jsonl", "./out/a.jsonl"),
        ("out/x/../a.jsonl", "out//a.jsonl"),
        ("out/", "out/part-{part}.jsonl"),
    ] {
        let ended = both(known, late).code(2);
        ended.says(&[
            "the sink `known` writes to the same path",
            "give each its own",
        ]);
    }
    both("out/a.jsonl", "out/b.jsonl").code(0);
    // Devices are nobody's own.
    both("/dev/null", "/dev/null").code(0);
}

#[test]
fn folders_inside_a_directory_are_told_to_be_passed_over() {
    let place = place();
    for folder in ["in", "in/2024", "in/.hidden"] {
        std::fs::create_dir(place.path(folder)).expect("a folder");
    }
    place.file(
        "in/a.jsonl",
        "{\"id\":1,\"who\":\"a\",\"ts\":1704067200000}\n",
    );
    place.file(
        "in/2024/b.jsonl",
        "{\"id\":2,\"who\":\"b\",\"ts\":1704067200000}\n",
    );
    let told = "the folder `in/2024` is not read";
    let call = |verb: &str| {
        place
            .tidegate([verb, "job.toml"])
            .set("source.events.path", "in")
    };
    let checked = call("check").run().code(0);
    assert!(checked.stdout.contains(told), "{checked}");
    let ended = call("run").run().code(0);
    assert_eq!(ended.stderr.matches(told).count(), 1, "{ended}");
    ended.says(&["1 rows in = 1 accepted"]);
    let both = place.tidegate(["run", "job.toml"]);
    let both = both
        .set("source.events.path", "[\"in\", \"in/*/*.jsonl\"]")
        .run()
        .code(0);
    both.says(&["2 rows in = 2 accepted"]);
    std::fs::remove_dir_all(place.path("in/2024")).expect("a folder");
    let ended = call("run").run().code(0);
    assert!(!ended.stderr.contains("is not read"), "{ended}");
}
