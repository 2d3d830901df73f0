//! The catalogue's jobs over the real logs that come with them, with counts that others published.

use std::collections::BTreeMap;

use crate::answers::Answers;
use crate::program::{Place, root};
use crate::rows;

#[test]
fn wiki_sessions_finds_the_published_sessions() {
    let place = Place::new();
    for firing in ["arrival", "watermark"] {
        for workers in ["1", "2"] {
            let run = [
                "run",
                "jobs/catalog/wiki-sessions.toml",
                "--firing",
                firing,
                "--workers",
                workers,
            ];
            place.tidegate(run).run().code(0).says(&[
                "63524 rows in = 63524 accepted + 0 duplicate + 0 late + 0 rejected",
                "visits       22,226 rows",
                "visits_same  22,224 rows",
                "bounces      13,138 rows",
            ]);
            let visits = Answers::parquet(&place.path("out/wiki-sessions/visits.parquet"));
            assert_eq!(visits.rows.len(), 22_226);
            let rows = visits
                .columns
                .iter()
                .position(|column| column == "rows Int64")
                .expect("a column `rows`");
            let of = |visit: &Vec<String>| visit[rows].parse::<u64>().expect("a number");
            assert_eq!(visits.rows.iter().map(of).sum::<u64>(), 63_524);
            assert_eq!(
                visits.rows.iter().filter(|visit| of(visit) == 1).count(),
                13_138
            );
            assert_eq!(
                place
                    .read("out/wiki-sessions/visits_same.csv")
                    .lines()
                    .count(),
                22_224 + 1
            );
            assert_eq!(
                place.read("out/wiki-sessions/bounces.csv").lines().count(),
                13_138 + 1
            );
        }
    }
}

#[test]
fn results_agree_with_sql_over_the_raw_rows() {
    let place = Place::new();
    for (job, sinks) in [
        ("wiki-sessions", &["visits", "visits_same", "bounces"][..]),
        ("helpdesk", &["steps", "work"]),
    ] {
        let job = format!("jobs/catalog/{job}.toml");
        place.tidegate(["run", &job, "--quiet"]).run().code(0);
        let ended = place.tidegate(["verify", &job]).run().code(0);
        for sink in sinks {
            let agrees = ended
                .stdout
                .lines()
                .any(|line| line.starts_with(&format!("{sink} (")) && line.contains(") agrees: "));
            assert!(agrees, "{sink}: {ended}");
        }
    }
}

#[test]
fn a_result_that_is_gone_and_a_test_that_is_not_there_are_no_success() {
    let place = Place::new();
    let job = "jobs/catalog/wiki-sessions.toml";
    place.tidegate(["run", job, "--quiet"]).run().code(0);
    std::fs::remove_file(place.path("out/wiki-sessions/bounces.csv")).unwrap();
    let ended = place.tidegate(["verify", job]).run().code(1);
    let told = "bounces (sessions.visit) MISSING: there is no result at";
    assert!(ended.stdout.contains(told), "{ended}");
    let last = "2 agree, 1 missing, 1 not checked\n";
    assert!(ended.stdout.ends_with(last), "{ended}");
    let misspelt = place.tidegate(["test", job, "--only", "tpyo"]).run();
    let misspelt = misspelt.code(2);
    misspelt.says(&["no test has `tpyo` in its name; there are:"]);
}

#[test]
fn at_gap_can_be_set_from_outside() {
    let place = Place::new();
    let run = ["run", "jobs/catalog/wiki-sessions.toml", "--only", "visits"];
    let ended = place
        .tidegate(run)
        .set("sessions.visit.at_gap", "same")
        .run()
        .code(0);
    ended.says(&["visits  22,224 rows"]);
    assert_eq!(place.list("out/wiki-sessions"), ["visits.parquet"]);
}

#[test]
fn helpdesk_finds_the_tickets_that_go_in_circles() {
    let place = Place::new();
    let mut circles = Vec::new();
    for firing in ["arrival", "watermark"] {
        let run = ["run", "jobs/catalog/helpdesk.toml", "--firing", firing];
        place.tidegate(run).run().code(0).says(&[
            "13710 rows in = 13710 accepted + 0 duplicate + 0 late + 0 rejected",
            "circles   91 rows",
            "reopened  136 rows",
            "steps     13,710 rows",
            "stuck     72 rows",
            "work      6,534 rows",
        ]);
        let mut lines: Vec<String> = place
            .read("out/helpdesk/circles.jsonl")
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        circles.push(lines);
    }
    assert_eq!(circles[0], circles[1]);
    let first = circles[0]
        .iter()
        .find(|line| line.contains(r#""CaseID":"111""#))
        .expect("ticket 111");
    assert!(
        first.contains(r#""fired_at":"2010-07-02T22:07:18Z""#),
        "{first}"
    );
}

/// Counts and rows that a plain script over the sorted rows of each ticket gives, too.
#[test]
fn helpdesk_finds_the_tickets_that_are_stuck_or_reopened() {
    let place = Place::new();
    let mut found = Vec::new();
    for (firing, workers) in [("arrival", "1"), ("watermark", "2")] {
        let run = ["run", "jobs/catalog/helpdesk.toml", "--firing", firing];
        let call = place.tidegate(run).arg("--workers").arg(workers);
        call.run().code(0);
        let read = |name: &str| {
            let text = place.read(&format!("out/helpdesk/{name}.csv"));
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines[1..].sort();
            lines
        };
        found.push((read("stuck"), read("reopened")));
    }
    assert_eq!(found[0], found[1]);
    let (stuck, reopened) = &found[0];
    assert_eq!((stuck.len(), reopened.len()), (72 + 1, 136 + 1));
    assert_eq!(stuck[0], "CaseID,start_id,start,end,how,taken,hour,skipped");
    let has = |lines: &[String], key: &str, times: &str| {
        let of_key = |line: &&String| line.starts_with(key) && line.contains(times);
        assert!(lines.iter().any(|line| of_key(&line)), "{key} {times}");
    };
    has(
        stuck,
        "517,",
        ",2011-03-02T00:23:19Z,2011-03-16T00:23:50Z,timed_out,",
    );
    has(
        stuck,
        "368,",
        ",2011-06-22T23:55:26Z,2011-07-22T23:55:26Z,timed_out,",
    );
    has(
        reopened,
        "87,",
        ",2011-11-25T18:30:07Z,2011-11-28T22:50:35Z,completed,",
    );
    let explain = [
        "explain",
        "jobs/catalog/helpdesk.toml",
        "517",
        "pattern.stuck",
    ];
    let ended = place.tidegate(explain).arg("2011-03-10").run().code(0);
    for wanted in [
        "taken     rows 1-",
        "resolved  none came in its time",
        "timed_out",
    ] {
        assert!(ended.stdout.contains(wanted), "{wanted}: {ended}");
    }
}

#[test]
fn changes_and_upserts_add_up_to_what_is_final() {
    let events = rows::events(11, 4_000, 80);
    let place = Place::new();
    let arrived = rows::arrival(&events, 5);
    place.file("events.jsonl", rows::json_lines(&arrived));
    let run = |mode: &str| -> Vec<Row> {
        let job = "jobs/catalog/repeat-contact-rescue.toml";
        let call = place
            .tidegate(["run", job, "--only", "interventions"])
            .set("source.events.path", "events.jsonl")
            .set("sink.interventions.mode", mode)
            .set("sink.interventions.path", format!("{mode}.jsonl"));
        call.run().code(0);
        let lines = place.read(&format!("{mode}.jsonl"));
        let row = |line| serde_json::from_str(line).expect("a JSON object");
        lines.lines().map(row).collect()
    };

    let mut sums = BTreeMap::<String, i64>::new();
    for row in run("changes") {
        let diff = row["diff"].as_i64().expect("a number");
        *sums.entry(plain(row, &[])).or_default() += diff;
    }
    sums.retain(|_, sum| *sum != 0);
    assert!(sums.values().all(|sum| *sum == 1));
    let episodes: Vec<String> = sums.into_keys().collect();
    assert!(episodes.len() > 20, "too few: {}", episodes.len());

    let mut newest = BTreeMap::<(String, String), Row>::new();
    for row in run("upserts") {
        let identity = (row["customer_id"].to_string(), row["fired_at"].to_string());
        let version = |row: &Row| row["version"].as_u64().expect("a number");
        let known = newest.get(&identity).map(version);
        assert!(known.is_none_or(|known| known < version(&row)), "{row:?}");
        newest.insert(identity, row);
    }
    let live = newest.into_values().filter(|row| row["status"] == "live");
    let live: Vec<Row> = live.collect();
    assert_eq!(
        sorted(live.iter().cloned().map(|row| plain(row, &[])).collect()),
        episodes
    );

    // What is final is the firing; how its episode ended is told by the other modes alone.
    let end = ["closed_at", "state"];
    let fired = live.into_iter().map(|row| plain(row, &end)).collect();
    let firings = run("final")
        .into_iter()
        .map(|row| plain(row, &end))
        .collect();
    assert_eq!(sorted(fired), sorted(firings));
}

/// The row without what its sink's mode adds, and without these columns.
fn plain(mut row: Row, without: &[&str]) -> String {
    let added = ["tick", "diff", "version", "status"];
    row.retain(|column, _| {
        !added.contains(&column.as_str()) && !without.contains(&column.as_str())
    });
    serde_json::to_string(&row).expect("it is JSON")
}

type Row = serde_json::Map<String, serde_json::Value>;

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

#[test]
fn every_job_of_the_catalogue_is_well_and_passes_its_tests() {
    let place = Place::new();
    let jobs = std::fs::read_dir(root().join("jobs/catalog")).expect("the catalogue");
    let mut found = 0;
    for job in jobs {
        let path = job.expect("an entry").path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            for verb in ["check", "test"] {
                place.tidegate([verb]).arg(&path).run().code(0);
            }
            found += 1;
        }
    }
    assert_eq!(found, 7);
}
