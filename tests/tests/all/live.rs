//! The program while its input goes on: answers come at once, signals end it in order, and what was put aside can be
//! fed back.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::answers::Answers;
use crate::program::{Call, Ended, Place};
use crate::rows;

const RESCUE: &str = "jobs/catalog/repeat-contact-rescue.toml";

/// A contact of customer c1 about topic t04, a minute after the last one.
fn contact(number: i64) -> String {
    let ts = rows::START + number * rows::MINUTE;
    format!(
        "{{\"event_id\":{number},\"customer_id\":\"c1\",\"ts\":{ts},\"kind\":\"contact_opened\",\"channel\":\"chat\",\"topic\":\"t04\"}}\n"
    )
}

/// A program that runs, and the lines of its output as they come.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(call: Call) -> Running {
        let mut child = call.start();
        let stdout = child.stdout.take().expect("the program's output");
        let (to, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The test may have ended.
                let _ = to.send(line);
            }
        });
        Running { child, lines }
    }

    fn write(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().expect("the program's input");
        stdin.write_all(text.as_bytes()).expect("the program reads");
        stdin.flush().expect("the program reads");
    }

    /// The next line, which must come soon.
    #[track_caller]
    fn line(&self) -> String {
        self.lines
            .recv_timeout(Duration::from_secs(20))
            .expect("a line of output")
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill")
            .args([name, &id])
            .status()
            .expect("kill starts");
        assert!(status.success(), "{name} could not be sent");
    }

    /// Waits for the end; the input stays open until then.
    fn end(mut self) -> Ended {
        let stdin = self.child.stdin.take();
        let mut stderr = String::new();
        let pipe = self.child.stderr.as_mut().expect("the program's errors");
        pipe.read_to_string(&mut stderr).expect("text");
        let status = self.child.wait().expect("it ends");
        drop(stdin);
        let lines: Vec<String> = self.lines.iter().collect();
        let output = std::process::Output {
            status,
            stdout: lines.join("\n").into_bytes(),
            stderr: stderr.into_bytes(),
        };
        Ended::of("a running program".to_owned(), output)
    }
}

fn interventions(place: &Place, verb: &str) -> Call {
    place
        .tidegate([verb, RESCUE, "--only", "interventions,visits"])
        .set("sink.interventions.format", "jsonl")
        .set("sink.interventions.path", "-")
        .set("sink.interventions.mode", "changes")
}

#[test]
fn an_intervention_comes_while_the_input_is_still_open_and_a_signal_ends_the_run_in_order() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let place = Place::new();
        let mut running =
            Running::start(interventions(&place, "run").set("source.events.path", "-"));
        running.write(&(contact(1) + &contact(2)));
        running.write(&contact(3));
        let line = running.line();
        assert!(line.contains(r#""customer_id":"c1""#), "{line}");
        assert!(line.contains(r#""contacts_24h":3"#), "{line}");
        assert!(line.contains(r#""diff":1"#), "{line}");
        running.signal(signal);
        let ended = running.end().code(code);
        // Three contacts, and the three thresholds that come with the catalogue.
        ended.says(&["6 rows in = 6 accepted + 0 duplicate + 0 late + 0 rejected"]);
        assert!(
            place
                .list("out/repeat-contact-rescue")
                .iter()
                .all(|name| !name.ends_with(".tmp"))
        );
    }
}

#[test]
fn ticks_of_a_live_run_are_milliseconds_however_often_rows_come() {
    let place = Place::new();
    let job = place.file(
        "job.toml",
        r#"
[job]
name = "ticks"
event_time = "ts"
lateness = "1h"

[source.events]
format = "jsonl"
path = "-"
columns = { event_id = "u64", customer_id = "text", ts = "timestamp_ms" }

[entity.customer]
key = "customer_id"

[features.contact]
from = "events"
at = "true"
add = [{ name = "contacts", op = "count", windows = "1d" }]

[sink.contacts]
from = "features.contact"
format = "jsonl"
path = "-"
mode = "changes"
"#,
    );
    let mut running = Running::start(place.tidegate(["run", &job]));
    let rows = 4_000;
    for number in 0..rows {
        running.write(&contact(number));
        // About as often as the program looks.
        std::thread::sleep(Duration::from_micros(300));
    }
    drop(running.child.stdin.take());
    let tick = |_| {
        let line = running.line();
        let row: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        row["tick"].as_u64().expect("a tick")
    };
    let ticks: Vec<u64> = (0..rows).map(tick).collect();
    assert!(ticks.is_sorted());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time");
    assert!(u128::from(ticks[ticks.len() - 1]) <= now.as_millis() + 1);
    running.end().code(0);
}

#[test]
fn a_sink_that_fails_ends_the_run_although_the_input_goes_on() {
    let place = Place::new();
    let call = interventions(&place, "run")
        .set("source.events.path", "-")
        .set(
            "sink.interventions.select",
            "[\"10 / (contacts_24h - 3) as q\"]",
        );
    let mut running = Running::start(call);
    running.write(&(contact(1) + &contact(2)));
    running.write(&contact(3));
    // Nothing more comes, and the input stays open.
    let ended = running.end().code(4);
    ended.says(&["10 / (contacts_24h - 3)", "sink `interventions`"]);
}

#[test]
fn a_replay_that_is_interrupted_leaves_no_results() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let place = Place::new();
        let pipe = place.path("events.jsonl");
        let made = Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .expect("mkfifo starts");
        assert!(made.success(), "a pipe could not be made");
        let call = place
            .tidegate(["replay", RESCUE])
            .set("source.events.path", "events.jsonl");
        let running = Running::start(call.set("sink.interventions.mode", "final"));
        let mut to = std::fs::OpenOptions::new()
            .write(true)
            .open(&pipe)
            .expect("the pipe");
        let events = rows::json_lines(&rows::events(5, 300, 40));
        to.write_all(events.as_bytes()).expect("the program reads");
        // It has begun when its results are on their way.
        let begun = || {
            place
                .list("out/repeat-contact-rescue")
                .iter()
                .any(|name| name.ends_with(".tmp"))
        };
        while !begun() {
            std::thread::sleep(Duration::from_millis(10));
        }
        running.signal(signal);
        running.end().code(code);
        assert_eq!(place.list("out/repeat-contact-rescue"), [""; 0]);
    }
}

#[test]
fn a_file_that_grows_is_followed() {
    let place = Place::new();
    place.file("events.jsonl", contact(1) + &contact(2));
    let call = interventions(&place, "run").set("source.events.path", "events.jsonl");
    let running = Running::start(call.set("source.events.follow", "true"));
    std::thread::sleep(Duration::from_millis(300));
    let path = place.path("events.jsonl");
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(path)
        .expect("the file");
    let last = contact(3);
    let (head, tail) = last.split_at(20);
    file.write_all(head.as_bytes()).expect("half a line");
    std::thread::sleep(Duration::from_millis(100));
    file.write_all(tail.as_bytes()).expect("the other half");
    assert!(running.line().contains(r#""contacts_24h":3"#));
    running.signal("-INT");
    running.end().code(130).says(&["rows in = 6 accepted"]);
}

#[test]
fn late_and_rejected_rows_can_be_fed_back() {
    let place = Place::new();
    let events = rows::events(9, 2_000, 30);
    // A row of the last day first: what comes after it is late, save the last day's.
    let mut arrived = events.clone();
    let newest = arrived.iter().map(|e| e.ts).max().expect("rows");
    let first = arrived
        .iter()
        .position(|e| e.ts == newest)
        .expect("the newest row");
    arrived.swap(0, first);
    place.file("events.jsonl", rows::json_lines(&arrived));
    let run = |events: &str, late: &str, visits: &str| {
        let call = place.tidegate(["replay", RESCUE, "--only", "visits,late"]);
        let call = call
            .set("source.events.path", events)
            .set("sink.visits.path", visits);
        call.set("sink.late.path", late).run().code(0)
    };
    run("events.jsonl", "late.jsonl", "few.parquet");
    let late = place.read("late.jsonl").lines().count();
    assert!(late > 1_900, "{late} late rows");
    // Times go out as RFC 3339; the source that reads them back says so.
    let again = |path: &str, lateness: &str| {
        place
            .tidegate(["replay", RESCUE, "--only", "visits"])
            .set("source.events.path", path)
            .set("source.events.columns.ts", "timestamp")
            .set("job.lateness", lateness)
            .set("sink.visits.path", "again.parquet")
            .run()
            .code(0)
    };
    let ended = again("late.jsonl", "40d");
    assert!(ended.stderr.contains(" + 0 late + 0 rejected"), "{ended}");
    let rows = Answers::parquet(&place.path("again.parquet"));
    let count = rows
        .columns
        .iter()
        .position(|column| column == "rows Int64")
        .expect("a column `rows`");
    let sum: usize = rows
        .rows
        .iter()
        .map(|row| row[count].parse::<usize>().expect("a number"))
        .sum();
    assert_eq!(sum, late);
}

#[test]
fn what_came_through_a_pipe_before_a_signal_is_in_the_results() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let place = Place::new();
        let call = interventions(&place, "run").set("source.events.path", "-");
        let mut running = Running::start(call.set("sink.visits.mode", "changes"));
        running.write(&(contact(1) + &contact(2) + &contact(3)));
        running.line();
        running.signal(signal);
        running.end().code(code).says(&["6 rows in = 6 accepted"]);
        let visits = Answers::parquet(&place.path("out/repeat-contact-rescue/visits.parquet"));
        assert!(!visits.rows.is_empty(), "{signal}");
    }
}
