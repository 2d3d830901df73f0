//! The workload's four queries computed slowly and obviously, over the set of events.

use std::collections::{BTreeMap, BTreeSet};

use crate::answers::Answers;
use crate::rows::{DAY, Event, HOUR, MINUTE, START, threshold};

/// The events of each customer by (time, id).
fn by_customer(events: &[Event]) -> BTreeMap<String, Vec<&Event>> {
    let mut all: BTreeMap<String, Vec<&Event>> = BTreeMap::new();
    for event in events {
        all.entry(event.customer_id()).or_default().push(event);
    }
    all.values_mut()
        .for_each(|events| events.sort_by_key(|e| (e.ts, e.id)));
    all
}

fn time(ts: i64) -> String {
    let column: arrow::array::TimestampMillisecondArray = [Some(ts)].into_iter().collect();
    arrow::util::display::array_value_to_string(&column, 0).expect("a time can be shown")
}

fn contacts(events: &[&Event], ts: i64, window: i64) -> i64 {
    let inside = |e: &&&Event| e.kind == "contact_opened" && ts - window < e.ts && e.ts <= ts;
    events.iter().filter(inside).count() as i64
}

fn number(value: Option<f64>) -> String {
    value.map_or("null".to_owned(), |value| format!("{value:?}"))
}

/// Features of the moment of every opened contact.
pub(crate) fn q1(events: &[Event]) -> Answers {
    let mut rows = Vec::new();
    for (customer, events) in by_customer(events) {
        for event in events.iter().filter(|e| e.kind == "contact_opened") {
            let ts = event.ts;
            let within = |window| {
                events
                    .iter()
                    .filter(move |e| ts - window < e.ts && e.ts <= ts)
            };
            let handles: Vec<i64> = within(7 * DAY).filter_map(|e| e.handle).collect();
            let sentiments: Vec<i64> = within(DAY).filter_map(|e| e.sentiment).collect();
            let sum = |values: &[i64], unit: f64| {
                (!values.is_empty()).then(|| values.iter().sum::<i64>() as f64 / unit)
            };
            let mean =
                |values: &[i64], unit| sum(values, unit).map(|sum| sum / values.len() as f64);
            rows.push(vec![
                event.id.to_string(),
                customer.clone(),
                time(ts),
                contacts(&events, ts, HOUR).to_string(),
                contacts(&events, ts, DAY).to_string(),
                contacts(&events, ts, 7 * DAY).to_string(),
                number(sum(&handles, 100.0)),
                number(mean(&handles, 100.0)),
                number(mean(&sentiments, 1_000.0)),
            ]);
        }
    }
    Answers::new(Vec::new(), rows)
}

/// Sessions; exactly 30 minutes still belong.
pub(crate) fn q2(events: &[Event]) -> Answers {
    let mut rows = Vec::new();
    for (customer, events) in by_customer(events) {
        for session in events.chunk_by(|one, next| next.ts - one.ts <= 30 * MINUTE) {
            rows.push(vec![
                customer.clone(),
                time(session[0].ts),
                time(session[session.len() - 1].ts),
                session.len().to_string(),
                session
                    .iter()
                    .filter(|e| e.kind == "contact_opened")
                    .count()
                    .to_string(),
                session
                    .iter()
                    .any(|e| e.kind == "contact_escalated")
                    .to_string(),
            ]);
        }
    }
    Answers::new(Vec::new(), rows)
}

/// What is counted of an event.
type Value = fn(&Event) -> String;

/// Drift of channel and topic, hour by hour, against the first week.
pub(crate) fn q3(events: &[Event]) -> Answers {
    let mut rows = Vec::new();
    let columns: [(&str, Value); 2] = [
        ("channel", |e| e.channel.to_owned()),
        ("topic", |e| e.topic.to_string()),
    ];
    for (column, value) in columns {
        let values: BTreeSet<String> = events.iter().map(value).collect();
        let count = |hours: &dyn Fn(i64) -> bool, wanted: &String| {
            let counted =
                |e: &&Event| hours((e.ts - START).div_euclid(HOUR)) && value(e) == *wanted;
            events.iter().filter(counted).count() as f64
        };
        let shares = |hours: &dyn Fn(i64) -> bool| -> Vec<f64> {
            let counts: Vec<f64> = values.iter().map(|value| count(hours, value)).collect();
            let n: f64 = counts.iter().sum();
            counts
                .iter()
                .map(|c| (c + 0.5) / (n + 0.5 * counts.len() as f64))
                .collect()
        };
        let reference = shares(&|hour| hour < 168);
        let hours: BTreeSet<i64> = events
            .iter()
            .map(|e| (e.ts - START).div_euclid(HOUR))
            .collect();
        for hour in hours {
            let current = shares(&|other| other == hour);
            let pairs = || current.iter().zip(&reference);
            rows.push(vec![
                hour.to_string(),
                column.to_owned(),
                number(Some(pairs().map(|(p, q)| (p - q) * (p / q).ln()).sum())),
                number(Some(pairs().map(|(p, q)| p * (p / q).ln()).sum())),
            ]);
        }
    }
    Answers::new(Vec::new(), rows)
}

/// Interventions: contacts at or above the threshold of their time, at most one a day and customer.
pub(crate) fn q4(events: &[Event]) -> Answers {
    let mut rows = Vec::new();
    for (customer, events) in by_customer(events) {
        let mut last: Option<i64> = None;
        for event in events.iter().filter(|e| e.kind == "contact_opened") {
            let segment = event.customer % 4;
            let opened = contacts(&events, event.ts, DAY);
            let limit = threshold(segment, event.ts);
            if opened >= limit && last.is_none_or(|last| event.ts - last >= DAY) {
                last = Some(event.ts);
                rows.push(vec![
                    event.id.to_string(),
                    customer.clone(),
                    time(event.ts),
                    segment.to_string(),
                    opened.to_string(),
                    limit.to_string(),
                ]);
            }
        }
    }
    Answers::new(Vec::new(), rows)
}
