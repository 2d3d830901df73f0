//! Rows of the workload's shape with edges sown in, small enough to hold in the head of an oracle.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int8Array, RecordBatch, StringArray, TimestampMillisecondArray,
    UInt64Array,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
/// 2024-01-01T00:00:00Z in milliseconds.
pub(crate) const START: i64 = 1_704_067_200_000;

pub(crate) const CHANNELS: [&str; 6] = ["chat", "email", "voice", "web", "app", "social"];
const KINDS: [&str; 6] = [
    "page_view",
    "login",
    "message",
    "contact_resolved",
    "contact_escalated",
    "survey",
];

/// A row; numbers with decimals in whole hundredths and thousandths.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: u64,
    pub(crate) customer: u64,
    pub(crate) ts: i64,
    pub(crate) channel: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) topic: u64,
    pub(crate) handle: Option<i64>,
    pub(crate) sentiment: Option<i64>,
    pub(crate) csat: Option<i8>,
}

impl Event {
    pub(crate) fn customer_id(&self) -> String {
        format!("c{:07}", self.customer)
    }

    fn json(&self) -> String {
        let float = |value: Option<i64>, unit: f64| {
            value.map_or("null".to_owned(), |v| (v as f64 / unit).to_string())
        };
        format!(
            r#"{{"event_id":{},"customer_id":"{}","ts":{},"channel":"{}","kind":"{}","topic":"t{:02}","handle_secs":{},"sentiment":{},"csat":{}}}"#,
            self.id,
            self.customer_id(),
            self.ts,
            self.channel,
            self.kind,
            self.topic,
            float(self.handle, 100.0),
            float(self.sentiment, 1_000.0),
            self.csat.map_or("null".to_owned(), |v| v.to_string()),
        )
    }
}

/// Events without duplicates. Half of them lie exactly 0, 30 min, 1 h, 24 h or 7 d after another of their customer.
pub(crate) fn events(seed: u64, count: usize, customers: u64) -> Vec<Event> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut events: Vec<Event> = Vec::with_capacity(count);
    let mut last = vec![START; customers as usize + 1];
    for number in 0..count {
        // A tenth of the rows are one customer's; and no hour is without rows.
        let customer = if random.random_bool(0.1) {
            1
        } else {
            random.random_range(1..=customers)
        };
        let even = START + number as i64 * (30 * DAY) / count as i64;
        let apart = [0, 30 * MINUTE, 30 * MINUTE + 1, HOUR, DAY, DAY - 1, 7 * DAY]
            [random.random_range(0..7)];
        let sown = last[customer as usize] + apart;
        let ts = if random.random_bool(0.5) && sown < START + 30 * DAY {
            sown
        } else {
            even
        };
        last[customer as usize] = ts;
        let kind = if random.random_bool(0.3) {
            "contact_opened"
        } else {
            KINDS[random.random_range(0..KINDS.len())]
        };
        events.push(Event {
            id: (number as u64).wrapping_mul(7_919) % 1_000_003,
            customer,
            ts,
            channel: CHANNELS[random.random_range(0..CHANNELS.len())],
            kind,
            topic: random.random_range(0..5),
            handle: (kind == "contact_resolved").then(|| random.random_range(100..200_000)),
            sentiment: (kind == "message").then(|| random.random_range(-1_000..=1_000)),
            csat: (kind == "survey").then(|| random.random_range(1..=5)),
        });
    }
    events
}

/// The events in an order of arrival in which none is 2 hours behind, with some sent twice.
pub(crate) fn arrival(events: &[Event], seed: u64) -> Vec<Event> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut arriving = Vec::new();
    for event in events {
        let delay = random.random_range(0..=HOUR);
        arriving.push((event.ts + delay, arriving.len(), event.clone()));
        if random.random_bool(0.02) {
            let again = delay + random.random_range(0..HOUR - 1);
            arriving.push((event.ts + again, arriving.len(), event.clone()));
        }
    }
    arriving.sort_by_key(|(at, number, _)| (*at, *number));
    arriving.into_iter().map(|(_, _, event)| event).collect()
}

/// Thresholds that change twice.
pub(crate) const LIMITS: &str = "ts,segment,threshold\n\
    2024-01-01T00:00:00Z,0,3\n2024-01-01T00:00:00Z,1,4\n2024-01-01T00:00:00Z,2,5\n2024-01-01T00:00:00Z,3,6\n\
    2024-01-11T00:00:00Z,0,2\n2024-01-11T00:00:00Z,1,3\n2024-01-11T00:00:00Z,2,4\n2024-01-11T00:00:00Z,3,5\n\
    2024-01-21T00:00:00Z,0,4\n2024-01-21T00:00:00Z,1,4\n2024-01-21T00:00:00Z,2,6\n2024-01-21T00:00:00Z,3,6\n";

/// The threshold of a segment at a time, as in [`LIMITS`].
pub(crate) fn threshold(segment: u64, ts: i64) -> i64 {
    let period = if ts < START + 10 * DAY {
        0
    } else {
        1 + usize::from(ts >= START + 20 * DAY)
    };
    [[3, 4, 5, 6], [2, 3, 4, 5], [4, 4, 6, 6]][period][segment as usize]
}

pub(crate) fn json_lines(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        writeln!(text, "{}", event.json()).expect("a text takes any line");
    }
    text
}

pub(crate) fn write_parquet(events: &[Event], path: &Path) {
    let texts = |of: &dyn Fn(&Event) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(events.iter().map(of)))
    };
    let floats = |of: &dyn Fn(&Event) -> Option<f64>| -> ArrayRef {
        Arc::new(Float64Array::from_iter(events.iter().map(of)))
    };
    let columns: [(&str, ArrayRef); 9] = [
        (
            "event_id",
            Arc::new(UInt64Array::from_iter_values(events.iter().map(|e| e.id))),
        ),
        ("customer_id", texts(&Event::customer_id)),
        (
            "ts",
            Arc::new(TimestampMillisecondArray::from_iter_values(
                events.iter().map(|e| e.ts),
            )),
        ),
        ("channel", texts(&|e| e.channel.to_owned())),
        ("kind", texts(&|e| e.kind.to_owned())),
        ("topic", texts(&|e| format!("t{:02}", e.topic))),
        (
            "handle_secs",
            floats(&|e| e.handle.map(|v| v as f64 / 100.0)),
        ),
        (
            "sentiment",
            floats(&|e| e.sentiment.map(|v| v as f64 / 1_000.0)),
        ),
        (
            "csat",
            Arc::new(Int8Array::from_iter(events.iter().map(|e| e.csat))),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    // Compressed, so that damage is noticed.
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let settings = WriterProperties::builder().set_compression(zstd).build();
    let file = File::create(path).expect("a file for the test");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(settings)).expect("a writer");
    // Several row groups, so that a batch's end is nothing special.
    for start in (0..batch.num_rows()).step_by(1_000) {
        let rows = (batch.num_rows() - start).min(1_000);
        writer
            .write(&batch.slice(start, rows))
            .expect("rows are written");
        writer.flush().expect("a row group is written");
    }
    writer.close().expect("the file is whole");
}
