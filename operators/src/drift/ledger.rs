//! What is kept of all monitors, and which rows leave when a tick is complete: a pure state machine.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tidegate_schemas::fact::NULL;
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::EventTime;

use super::counts::Counts;
use super::cuts::Cuts;
use super::emit::Emit;
use super::measures::Meter;
use super::page::{Closing, Page};
use super::series::Series;
use super::spec::{DriftSpec, Firing, Reference};
use crate::codec::{CodecError, Reader, Writer};

/// A monitor in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PageKey {
    /// Which monitor, by its place in the spec.
    pub monitor: u32,
    /// The word of the segment; [`NULL`] for all facts.
    pub segment: i64,
}

impl PageKey {
    /// Which worker owns it, modulo the number of workers.
    #[must_use]
    pub fn route(self) -> u64 {
        match self.segment {
            NULL => u64::from(self.monitor),
            // A code is a hash already; a small number is not.
            segment => {
                let mixed = (segment as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                mixed.wrapping_add(u64::from(self.monitor))
            }
        }
    }
}

/// What a [`Delta`] counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// By category, or by value.
    Values,
    /// By bin of the page's fixed edges.
    Bins,
}

/// So many rows more, or fewer, of a page in a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// Which page.
    pub page: PageKey,
    /// Whether the rows belong to a [`Reference::Stretch`] too.
    pub in_reference: bool,
    /// The step's number.
    pub step: i64,
    /// What is counted by.
    pub form: Form,
    /// How many rows have each value or bin, perhaps in parts; less than none when rows were taken back.
    pub counts: Vec<(i64, i64)>,
    /// How many rows have no value.
    pub missing: i64,
}

/// The edges of a page's bins, which never change again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    /// Which page.
    pub page: PageKey,
    /// The edges.
    pub cuts: Cuts,
}

/// What comes of a tick.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Rows as [`DriftSpec::output`] describes them, by page, then length of the windows, then window;
    /// taken back before they are replaced.
    pub rows: Rows,
    /// Rows as [`DriftSpec::alerts_output`] describes them.
    pub alerts: Rows,
    /// With [`Firing::Final`], whose alerts stand as they opened: those that have closed, with the time of that.
    pub closed: Rows,
    /// Pages whose edges have become fixed.
    pub fixed: Vec<Fixed>,
}

impl Told {
    /// Whether nothing came of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let rows = [&self.rows, &self.alerts, &self.closed];
        rows.iter().all(|rows| rows.is_empty()) && self.fixed.is_empty()
    }
}

/// The counts of the monitors, and the rows that stand.
///
/// After [`Ledger::close`], the rows given so far are a function of the facts of all ticks so far
/// and of the watermark: neither order nor grouping of the deltas matters, nor whether they come by
/// value or by bin. (Facts that come when their window is settled, see [`Firing`], are ignored.)
///
/// # State
/// Per monitor and segment: the reference's counts (for good: one per category or bin), and the
/// counts of each step that is in a window that is not settled, with the rows of those windows. A
/// window is settled when the watermark has passed both its end and that of the reference by `keep`
/// (by nothing for [`Firing::Final`]). Numbers are kept by value, 16 bytes for each distinct one in
/// each step, until the reference is settled; from then on by bin.
#[derive(Clone, Debug)]
pub struct Ledger {
    spec: DriftSpec,
    watermark: EventTime,
    pages: BTreeMap<PageKey, Page>,
    /// The pages that changed since the last tick.
    touched: BTreeSet<PageKey>,
    /// Before the watermark comes here, only what is touched changes.
    wake: EventTime,
    meter: Meter,
}

/// Ledgers are the same that keep the same.
impl PartialEq for Ledger {
    fn eq(&self, other: &Ledger) -> bool {
        self.spec == other.spec && self.watermark == other.watermark && self.pages == other.pages
    }
}

impl Ledger {
    /// No facts yet.
    ///
    /// # Panics
    /// When the spec does not pass [`DriftSpec::check`].
    #[must_use]
    pub fn new(spec: DriftSpec) -> Ledger {
        if let Err(problem) = spec.check() {
            panic!("a drift spec is checked before it is run: {problem}");
        }
        Ledger {
            watermark: EventTime::MIN,
            pages: BTreeMap::new(),
            touched: BTreeSet::new(),
            wake: EventTime::MIN,
            meter: Meter::new(&spec),
            spec,
        }
    }

    /// What was declared.
    #[must_use]
    pub fn spec(&self) -> &DriftSpec {
        &self.spec
    }

    /// The pages whose edges are fixed, but for those that are declared.
    pub fn fixed(&self) -> impl Iterator<Item = Fixed> {
        self.pages.iter().filter_map(|(page, kept)| {
            Some(Fixed {
                page: *page,
                cuts: kept.binning.fixed()?.clone(),
            })
        })
    }

    /// Takes counts of the tick that will be closed next.
    pub fn apply(&mut self, delta: &Delta) {
        let monitor = &self.spec.monitors[delta.page.monitor as usize];
        let page = self.pages.entry(delta.page);
        let page = page.or_insert_with(|| Page::new(&self.spec, monitor));
        page.apply(delta, &self.spec, self.watermark);
        self.touched.insert(delta.page);
    }

    /// Closes a tick: all its counts were applied, and this is the watermark after it. A watermark
    /// never steps back; an earlier one than before changes nothing.
    pub fn close(&mut self, watermark: EventTime, names: &Names) -> Told {
        let before = self.watermark;
        self.watermark = before.max(watermark);
        let mut told = Told {
            rows: Rows::new(self.spec.columns()),
            alerts: Rows::new(self.spec.alert_columns()),
            closed: Rows::new(self.spec.alert_columns()),
            fixed: Vec::new(),
        };
        let mut closing = Closing {
            spec: &self.spec,
            names,
            meter: &mut self.meter,
            before,
            now: self.watermark,
        };
        let mut close = |key: &PageKey, page: &mut Page| {
            let mut emit = Emit {
                spec: closing.spec,
                key: *key,
                rows: &mut told.rows,
                alerts: &mut told.alerts,
                closed: &mut told.closed,
                reference: (EventTime::MIN, EventTime::MAX),
            };
            if page.close(&mut closing, &mut emit)
                && let Some(cuts) = page.binning.fixed()
            {
                told.fixed.push(Fixed {
                    page: *key,
                    cuts: cuts.clone(),
                });
            }
        };
        let touched = std::mem::take(&mut self.touched);
        if self.watermark >= self.wake {
            self.pages
                .iter_mut()
                .for_each(|(key, page)| close(key, page));
            self.wake = next_event(&self.spec, self.watermark);
        } else {
            for key in &touched {
                if let Some(page) = self.pages.get_mut(key) {
                    close(key, page);
                }
            }
        }
        told
    }

    /// Forgets all pages but these.
    pub fn retain(&mut self, owned: impl Fn(PageKey) -> bool) {
        self.pages.retain(|key, _| owned(*key));
    }

    /// Takes over what another ledger of the same spec keeps, of pages that this one knows nothing of:
    /// saved parts together make a whole.
    pub fn join(&mut self, other: Ledger) {
        self.watermark = self.watermark.max(other.watermark);
        self.pages.extend(other.pages);
    }

    /// Of how many steps counts are kept, over all pages.
    #[must_use]
    pub fn steps_kept(&self) -> usize {
        let kept = |page: &Page| match page.series.iter().all(Series::is_forgotten) {
            true => page.steps.len(),
            false => page.steps.len().max(1),
        };
        self.pages.values().map(kept).sum()
    }

    /// Writes everything; between ticks only.
    pub fn encode(&self, to: &mut Writer) {
        to.time(self.watermark);
        to.length(self.pages.len());
        for (key, page) in &self.pages {
            to.unsigned(u128::from(key.monitor));
            to.word(key.segment);
            to.option(page.frozen, |to, (from, until)| {
                to.time(from);
                to.time(until);
            });
            page.binning.encode(to);
            page.reference.encode(to);
            to.length(page.steps.len());
            for (step, counts) in &page.steps {
                to.word(*step);
                counts.encode(to);
            }
            page.series.iter().for_each(|series| series.encode(to));
        }
    }

    /// Reads what [`Ledger::encode`] wrote, for the same spec.
    ///
    /// # Errors
    /// When the bytes are not such a ledger, or speak of a monitor that is not declared.
    pub fn decode(spec: DriftSpec, from: &mut Reader<'_>) -> Result<Ledger, CodecError> {
        let mut ledger = Ledger::new(spec);
        ledger.watermark = from.time("the watermark")?;
        for _ in 0..from.length("the number of monitors")? {
            let monitor = from.unsigned("a monitor")?;
            let declared = usize::try_from(monitor)
                .ok()
                .and_then(|monitor| ledger.spec.monitors.get(monitor));
            let Some(declared) = declared else {
                return Err(from.error("a monitor that is declared"));
            };
            let mut page = Page::new(&ledger.spec, declared);
            let key = PageKey {
                monitor: monitor as u32,
                segment: from.word("a segment")?,
            };
            page.frozen = from.option("the reference", |from| {
                Ok((from.time("its beginning")?, from.time("its end")?))
            })?;
            page.binning.decode(from)?;
            page.reference = Counts::decode(from)?;
            for _ in 0..from.length("the number of steps")? {
                let step = from.word("a step")?;
                page.steps.insert(step, Counts::decode(from)?);
            }
            for series in &mut page.series {
                *series = Series::decode(from)?;
            }
            ledger.pages.insert(key, page);
        }
        Ok(ledger)
    }
}

/// A watermark before which nothing happens to a page without facts: windows begin, end and settle, and
/// the reference freezes and settles.
fn next_event(spec: &DriftSpec, watermark: EventTime) -> EventTime {
    let boundary = |at| spec.steps.end(spec.steps.index(at));
    let mut next = boundary(watermark);
    if let Firing::Changes { keep } = spec.firing {
        next = next.min(boundary(watermark.minus(keep)).plus(keep));
    }
    if let Reference::Stretch { until, .. } = spec.reference {
        for at in [until, spec.settled_from(until)] {
            if at > watermark {
                next = next.min(at);
            }
        }
    }
    next
}
