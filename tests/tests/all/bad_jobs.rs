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
