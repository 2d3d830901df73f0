//! The same answers, bit for bit, whatever the workers, the firing, the format and the order of arrival; and the answers
//! are those of a slow and obvious computation.

use crate::answers::Answers;
use crate::oracle;
use crate::program::Place;
use crate::rows::{self, Event};

const QUERIES: [&str; 4] = ["q1", "q2", "q3", "q4"];
const COLUMNS: [&str; 4] = [
    "event_id UInt64, customer_id Utf8, ts Timestamp(ms), contacts_1h Int64, contacts_24h Int64, contacts_7d Int64, \
     handle_sum_7d Float64, handle_mean_7d Float64, sentiment_mean_24h Float64",
    "customer_id Utf8, start Timestamp(ms), end Timestamp(ms), rows Int64, contacts Int64, escalated Boolean",
    "hour Int64, column Utf8, psi Float64, kl Float64",
    "event_id UInt64, customer_id Utf8, ts Timestamp(ms), segment Int64, contacts_24h Int64, threshold Int64",
];

/// One arrival of the events, in a folder of its own.
struct Arrived {
    place: Place,
    rows: usize,
}

impl Arrived {
    fn new(events: &[Event], seed: u64) -> Arrived {
        let place = Place::new();
        let arrived = rows::arrival(events, seed);
        place.file("limits.csv", rows::LIMITS);
        place.file("events.jsonl", rows::json_lines(&arrived));
        rows::write_parquet(&arrived, &place.path("events.parquet"));
        Arrived {
            place,
            rows: arrived.len(),
        }
    }

    /// The answers of one run, after its account was found right.
    fn answers(
        &self,
        verb: &[&str],
        format: &str,
        workers: usize,
        distinct: usize,
    ) -> Vec<Answers> {
        let (verb, more) = verb.split_first().expect("a verb");
        let ended = self
            .place
            .tidegate([*verb, "jobs/catalog/workload.toml"])
            .set("source.events.format", format)
            .set("source.events.path", format!("events.{format}"))
            .set("source.limits.path", "limits.csv")
            .arg("--workers")
            .arg(workers.to_string());
        let ended = more
            .iter()
            .fold(ended, |call, argument| call.arg(argument))
            .run()
            .code(0);
        let limits = rows::LIMITS.lines().count() - 1;
        let (rows_in, accepted) = (self.rows + limits, distinct + limits);
        let account = format!(
            "{rows_in} rows in = {accepted} accepted + {} duplicate + 0 late + 0 rejected",
            self.rows - distinct
        );
        let ended = ended.says(&[&account]);
        drop(ended);
        let read =
            |query| Answers::parquet(&self.place.path(&format!("out/workload/{query}.parquet")));
        QUERIES.iter().map(read).collect()
    }
}

#[test]
fn the_workload_has_the_same_answers_in_every_way_of_running_it() {
    const SEED: u64 = 20_240_101;
    eprintln!("seed {SEED}");
    let events = rows::events(SEED, 8_000, 150);
    let in_order = Arrived::new(&events, 1);
    let shuffled = Arrived::new(&events, 2);
    let first = in_order.answers(&["replay"], "parquet", 1, events.len());
    let expected = [
        oracle::q1(&events),
        oracle::q2(&events),
        oracle::q3(&events),
        oracle::q4(&events),
    ];
    for (index, query) in QUERIES.iter().enumerate() {
        assert_eq!(first[index].columns.join(", "), COLUMNS[index], "{query}");
        first[index].assert_close(&expected[index], &format!("{query} and the oracle"));
        assert!(first[index].rows.len() > 50, "{query} says too little");
    }
    for (name, arrived) in [("in order", &in_order), ("shuffled", &shuffled)] {
        for format in ["parquet", "jsonl"] {
            for verb in [&["replay"][..], &["run", "--firing", "arrival"]] {
                for workers in [1, 2, 4] {
                    let again = arrived.answers(verb, format, workers, events.len());
                    for (index, query) in QUERIES.iter().enumerate() {
                        let what =
                            format!("{query}, {name}, {format}, {verb:?}, {workers} workers");
                        first[index].assert_same(&again[index], &what);
                    }
                }
            }
        }
    }
}

#[test]
fn one_query_alone_answers_as_it_does_among_others() {
    let events = rows::events(7, 3_000, 60);
    let arrived = Arrived::new(&events, 3);
    let together = arrived.answers(&["replay"], "parquet", 2, events.len());
    for (index, query) in QUERIES.iter().enumerate() {
        let file = format!("alone/{query}.parquet");
        let call =
            arrived
                .place
                .tidegate(["replay", "jobs/catalog/workload.toml", "--only", query]);
        let call = call
            .set("source.events.path", "events.parquet")
            .set("source.limits.path", "limits.csv");
        call.set(&format!("sink.{query}.path"), &file).run().code(0);
        let alone = Answers::parquet(&arrived.place.path(&file));
        together[index].assert_same(&alone, query);
        assert_eq!(
            arrived.place.list("alone").len(),
            index + 1,
            "nothing else is written"
        );
    }
}
