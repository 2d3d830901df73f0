//! What can be seen of a run while it goes on, and the way to stop it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tidegate_operators::dedup::Tally;
use tidegate_operators::detection::book::Unheard;
use tidegate_operators::driver::Gauge;
use tidegate_schemas::account::Account;
use tidegate_schemas::time::EventTime;

use super::by_source::SourceAccount;

/// The figures of a run, written by its threads and read by whoever shows them.
#[derive(Debug)]
pub struct Watch {
    pub(super) rows_in: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) rejected: AtomicU64,
    pub(super) skipped: AtomicU64,
    /// Rows accepted without deduplication, and rows of tables.
    pub(super) accepted: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) total_bytes: AtomicU64,
    watermark: AtomicI64,
    newest: AtomicI64,
    stop: AtomicBool,
    parts: Mutex<Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    tallies: Vec<Arc<Tally>>,
    gauges: Vec<Arc<Gauge>>,
    sinks: Vec<(String, Arc<AtomicU64>)>,
    unheard: Vec<(String, Arc<Unheard>)>,
    sources: BTreeMap<String, SourceAccount>,
}

impl Default for Watch {
    fn default() -> Watch {
        Watch {
            rows_in: AtomicU64::new(0),
            late: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            total_bytes: AtomicU64::new(0),
            watermark: AtomicI64::new(i64::MIN),
            newest: AtomicI64::new(i64::MIN),
            stop: AtomicBool::new(false),
            parts: Mutex::default(),
        }
    }
}

impl Watch {
    /// Where every row went so far. While the run goes on, rows under way are missing on the right.
    #[must_use]
    pub fn account(&self) -> Account {
        let mut account = Account {
            rows_in: self.rows_in.load(Ordering::Relaxed),
            accepted: self.accepted.load(Ordering::Relaxed),
            late: self.late.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            ..Account::default()
        };
        for tally in &self.parts().tallies {
            account.accepted += tally.accepted.load(Ordering::Relaxed);
            account.duplicate += tally.duplicate.load(Ordering::Relaxed);
            account.conflicts += tally.conflicts.load(Ordering::Relaxed);
        }
        account
    }

    /// Rows outside the stretch of time that is replayed.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Bytes read, and bytes there are (0 when that cannot be known).
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (
            self.bytes.load(Ordering::Relaxed),
            self.total_bytes.load(Ordering::Relaxed),
        )
    }

    /// The watermark.
    #[must_use]
    pub fn watermark(&self) -> EventTime {
        EventTime(self.watermark.load(Ordering::Relaxed))
    }

    /// The newest event time of any source.
    #[must_use]
    pub fn newest(&self) -> EventTime {
        EventTime(self.newest.load(Ordering::Relaxed))
    }

    /// Keys with state.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.parts().gauges.iter().map(|gauge| gauge.keys()).sum()
    }

    /// Bytes of state, as far as it is counted ([`Gauge::bytes`]).
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        self.parts().gauges.iter().map(|gauge| gauge.bytes()).sum()
    }

    /// Rows that each sink has written so far, by name.
    #[must_use]
    pub fn sinks(&self) -> Vec<(String, u64)> {
        let count =
            |(name, rows): &(String, Arc<AtomicU64>)| (name.clone(), rows.load(Ordering::Relaxed));
        self.parts().sinks.iter().map(count).collect()
    }

    /// Of each detector, by name: values and corrections that came too late, and values too large for any. They changed
    /// nothing.
    #[must_use]
    pub fn unheard(&self) -> BTreeMap<String, (u64, u64)> {
        let numbers = |(name, unheard): &(String, Arc<Unheard>)| {
            (name.clone(), (unheard.too_late(), unheard.beyond()))
        };
        self.parts().unheard.iter().map(numbers).collect()
    }

    /// What became of the rows of each source so far.
    #[must_use]
    pub fn sources(&self) -> BTreeMap<String, SourceAccount> {
        self.parts().sources.clone()
    }

    /// Adds to what became of the rows of a source.
    pub(super) fn tell(&self, source: &str, add: impl FnOnce(&mut SourceAccount)) {
        add(self.parts().sources.entry(source.to_owned()).or_default());
    }

    /// Asks the run to stop reading, work off what was read, and end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the run was asked to stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn set_clock(&self, watermark: EventTime, newest: EventTime) {
        self.watermark.store(watermark.0, Ordering::Relaxed);
        self.newest.fetch_max(newest.0, Ordering::Relaxed);
    }

    pub(super) fn add_tally(&self, tally: Arc<Tally>) {
        self.parts().tallies.push(tally);
    }

    pub(super) fn add_gauge(&self, gauge: Arc<Gauge>) {
        self.parts().gauges.push(gauge);
    }

    pub(super) fn add_unheard(&self, name: &str, unheard: Arc<Unheard>) {
        self.parts().unheard.push((name.to_owned(), unheard));
    }

    pub(super) fn add_sink(&self, name: &str, rows: Arc<AtomicU64>) {
        self.parts().sinks.push((name.to_owned(), rows));
    }

    fn parts(&self) -> std::sync::MutexGuard<'_, Parts> {
        self.parts
            .lock()
            .expect("no thread panics while it holds the figures")
    }
}
