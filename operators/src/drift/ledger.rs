//! What is kept of each monitor, and which rows leave when a tick is complete: a pure state machine.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_schemas::fact::{NULL, float_word};
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::EventTime;

use super::spec::{DriftSpec, Firing, Reference};
use super::tally::Delta;
use crate::codec::{CodecError, Reader, Writer};
use crate::statistics::{Histogram, divergence, shares};

/// The counts of the monitors, and the rows that stand.
///
/// After [`Ledger::close`], the rows given so far are a function of the facts of all ticks so far
/// and of the watermark: neither order nor grouping of the deltas matters. (Facts that come when
/// their window is settled, see [`Firing`], are ignored.)
///
/// # State
/// Per monitor: the reference's counts (for good, one per category), and of each window that is not
/// settled its counts and the row that stands, if any. A window is settled when the watermark has
/// passed both its end and that of the reference by `keep` (by nothing for [`Firing::Final`]).
/// So: windows in the reference or within lateness + `keep`, times categories.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger {
    spec: DriftSpec,
    watermark: EventTime,
    pages: Vec<Page>,
}

/// One monitor's part.
#[derive(Clone, Debug, Default, PartialEq)]
struct Page {
    /// From when to when the reference is, once the watermark has passed it.
    frozen: Option<(EventTime, EventTime)>,
    reference: Histogram,
    windows: BTreeMap<i64, Window>,
    /// Since the last tick was closed: whether the reference changed, and which windows did.
    reference_changed: bool,
    changed: BTreeSet<i64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Window {
    counts: Histogram,
    row: Option<Measured>,
}

/// The measures as they leave: floats as words, so that rows compare bit for bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Measured {
    psi: i64,
    kl: i64,
    rows: i64,
    reference_rows: i64,
    categories: i64,
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
            pages: vec![Page::default(); spec.monitors.len()],
            spec,
        }
    }

    /// What was declared.
    #[must_use]
    pub fn spec(&self) -> &DriftSpec {
        &self.spec
    }

    /// Takes counts of the tick that will be closed next.
    pub fn apply(&mut self, delta: Delta) {
        let page = &mut self.pages[delta.monitor as usize];
        let settled = |end| self.spec.settled_from(end) <= self.watermark;
        let reference_settled = page.frozen.is_some_and(|(_, until)| settled(until));
        let start = self.spec.windows.start(delta.window);
        let in_reference = match self.spec.reference {
            Reference::Stretch { .. } => delta.in_reference,
            // Before it is frozen, nobody knows; freezing adds up the windows.
            Reference::First(_) => page
                .frozen
                .is_some_and(|(from, until)| from <= start && start < until),
        };
        if in_reference && !reference_settled {
            page.reference.add(delta.category, delta.count);
            page.reference_changed = true;
        }
        if !(reference_settled && settled(self.spec.windows.end(delta.window))) {
            let window = page.windows.entry(delta.window).or_default();
            window.counts.add(delta.category, delta.count);
            page.changed.insert(delta.window);
        }
    }

    /// Closes a tick: all its counts were applied, and this is the watermark after it. A watermark
    /// never steps back; an earlier one than before changes nothing.
    ///
    /// # Emits
    /// Rows as [`DriftSpec::output`] describes them, by monitor, then window; taken back before
    /// they are replaced.
    pub fn close(&mut self, watermark: EventTime, out: &mut Rows) {
        self.watermark = self.watermark.max(watermark);
        for (monitor, page) in self.pages.iter_mut().enumerate() {
            let just_frozen = page.frozen.is_none() && page.freeze(&self.spec, self.watermark);
            let all = std::mem::take(&mut page.reference_changed) || just_frozen;
            let changed = std::mem::take(&mut page.changed);
            let Some((_, reference_end)) = page.frozen else {
                continue;
            };
            let mut emit = Emit {
                spec: &self.spec,
                monitor,
                out,
            };
            if let Firing::Changes { .. } = self.spec.firing {
                page.revise(if all { None } else { Some(&changed) }, &mut emit);
            }
            while let Some(first) = page.windows.first_entry() {
                let end = self.spec.windows.end(*first.key()).max(reference_end);
                if self.spec.settled_from(end) > self.watermark {
                    break;
                }
                let (index, window) = first.remove_entry();
                if self.spec.firing == Firing::Final {
                    emit.replace(index, None, emit.measure(&page.reference, &window.counts));
                }
            }
        }
    }

    /// Forgets all monitors but these. Which monitors there are stays as declared.
    pub fn retain(&mut self, owned: impl Fn(usize) -> bool) {
        for (_, page) in (0..)
            .zip(&mut self.pages)
            .filter(|(index, _)| !owned(*index))
        {
            *page = Page::default();
        }
    }

    /// Takes over what another ledger of the same spec keeps, of monitors that this one knows nothing of:
    /// saved parts together make a whole.
    pub fn join(&mut self, other: Ledger) {
        self.watermark = self.watermark.max(other.watermark);
        let pages = self.pages.iter_mut().zip(other.pages);
        for (page, theirs) in pages.filter(|(_, theirs)| *theirs != Page::default()) {
            *page = theirs;
        }
    }

    /// Of how many windows counts are kept, over all monitors.
    #[must_use]
    pub fn windows_kept(&self) -> usize {
        self.pages.iter().map(|page| page.windows.len()).sum()
    }

    /// Writes everything; between ticks only.
    pub fn encode(&self, to: &mut Writer) {
        to.time(self.watermark);
        to.length(self.pages.len());
        for page in &self.pages {
            to.option(page.frozen, |to, (from, until)| {
                to.time(from);
                to.time(until);
            });
            page.reference.encode(to);
            to.length(page.windows.len());
            for (index, window) in &page.windows {
                to.word(*index);
                window.counts.encode(to);
                to.option(window.row, |to, row| {
                    row.words().into_iter().for_each(|word| to.word(word));
                });
            }
        }
    }

    /// Reads what [`Ledger::encode`] wrote, for the same spec.
    ///
    /// # Errors
    /// When the bytes are not such a ledger, or one of another number of monitors.
    pub fn decode(spec: DriftSpec, from: &mut Reader<'_>) -> Result<Ledger, CodecError> {
        let mut ledger = Ledger::new(spec);
        ledger.watermark = from.time("the watermark")?;
        let monitors = from.length("the number of monitors")?;
        if monitors != ledger.pages.len() {
            return Err(CodecError {
                what: "as many monitors as are declared",
                left: monitors,
            });
        }
        for page in &mut ledger.pages {
            page.frozen = from.option("the reference", |from| {
                Ok((from.time("its beginning")?, from.time("its end")?))
            })?;
            page.reference = Histogram::decode(from)?;
            for _ in 0..from.length("the number of windows")? {
                let index = from.word("a window")?;
                let counts = Histogram::decode(from)?;
                let row = from.option("a row", |from| {
                    Ok(Measured {
                        psi: from.word("a PSI")?,
                        kl: from.word("a KL")?,
                        rows: from.word("a number of rows")?,
                        reference_rows: from.word("a number of rows")?,
                        categories: from.word("a number of categories")?,
                    })
                })?;
                page.windows.insert(index, Window { counts, row });
            }
        }
        Ok(ledger)
    }
}

impl Measured {
    fn words(self) -> [i64; 5] {
        [
            self.psi,
            self.kl,
            self.rows,
            self.reference_rows,
            self.categories,
        ]
    }
}

impl Page {
    /// Freezes the reference if the watermark has passed it, and says whether it did.
    fn freeze(&mut self, spec: &DriftSpec, watermark: EventTime) -> bool {
        let (from, until) = match spec.reference {
            Reference::Stretch { from, until } => (from, until),
            Reference::First(span) => {
                let mut counted = self.windows.iter().filter(|(_, w)| !w.counts.is_empty());
                let Some((earliest, _)) = counted.next() else {
                    return false;
                };
                let from = spec.windows.start(*earliest);
                (from, from.plus(span))
            }
        };
        if watermark < until {
            return false;
        }
        self.frozen = Some((from, until));
        if let Reference::First(_) = spec.reference {
            for (index, window) in &self.windows {
                let start = spec.windows.start(*index);
                if from <= start && start < until {
                    self.reference.extend(window.counts.iter());
                }
            }
        }
        true
    }

    /// Brings the rows of these windows, or of all, up to date.
    fn revise(&mut self, changed: Option<&BTreeSet<i64>>, emit: &mut Emit<'_>) {
        let indexes: Vec<i64> = match changed {
            Some(changed) => changed.iter().copied().collect(),
            None => self.windows.keys().copied().collect(),
        };
        for index in indexes {
            let Some(window) = self.windows.get_mut(&index) else {
                continue;
            };
            let row = emit.measure(&self.reference, &window.counts);
            emit.replace(index, std::mem::replace(&mut window.row, row), row);
            if window.counts.is_empty() {
                self.windows.remove(&index);
            }
        }
    }
}

/// Makes the rows of one monitor.
struct Emit<'a> {
    spec: &'a DriftSpec,
    monitor: usize,
    out: &'a mut Rows,
}

impl Emit<'_> {
    /// A window's measures, if it has rows enough. Without a row in the reference they are null.
    fn measure(&self, reference: &Histogram, current: &Histogram) -> Option<Measured> {
        let enough = i64::try_from(self.spec.min_rows).unwrap_or(i64::MAX).max(1);
        if current.rows() < enough {
            return None;
        }
        let shares = shares(reference, current, self.spec.smoothing);
        let word = |measure: &dyn Fn(&[_]) -> f64| {
            shares
                .as_deref()
                .map_or(NULL, |shares| float_word(measure(shares)))
        };
        Some(Measured {
            psi: word(&divergence::psi),
            kl: word(&|shares| divergence::kl(shares, self.spec.direction)),
            rows: current.rows(),
            reference_rows: reference.rows(),
            categories: shares.as_ref().map_or(current.categories(), Vec::len) as i64,
        })
    }

    fn replace(&mut self, index: i64, old: Option<Measured>, new: Option<Measured>) {
        if old == new {
            return;
        }
        for (row, diff) in [(old, -1), (new, 1)] {
            let Some(row) = row else { continue };
            let start = self.spec.windows.start(index);
            let columns = self.out.begin("", start, diff);
            let name = self.spec.monitors[self.monitor].name;
            let words = [start.0, index, name].into_iter().chain(row.words());
            for (column, word) in columns.iter_mut().zip(words) {
                column.push(word);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_schemas::time::Span;

    use super::*;
    use crate::drift::spec::{Monitor, Nulls, Windows};
    use crate::statistics::Smoothing;
    use crate::statistics::divergence::Direction;

    /// Windows of 10; the reference is window 0.
    fn ledger(firing: Firing) -> Ledger {
        Ledger::new(DriftSpec {
            monitors: vec![Monitor {
                name: 70,
                column: 0,
                filter: None,
                nulls: Nulls::Skip,
            }],
            windows: Windows {
                origin: EventTime(0),
                every: Span(10),
            },
            reference: Reference::First(Span(10)),
            smoothing: Smoothing::AddToCounts(0.5),
            direction: Direction::CurrentFromReference,
            min_rows: 2,
            firing,
        })
    }

    /// Applies (window, count) of one category and closes the tick; answers
    /// (diff, window, rows, reference rows) of each row.
    fn tick(ledger: &mut Ledger, counts: &[(i64, i64)], watermark: i64) -> Vec<[i64; 4]> {
        for (window, count) in counts {
            ledger.apply(Delta {
                monitor: 0,
                in_reference: false,
                window: *window,
                category: 5,
                count: *count,
            });
        }
        let mut rows = Rows::new(8);
        ledger.close(EventTime(watermark), &mut rows);
        let word = |column: usize, row: usize| rows.columns[column].words[row];
        (0..rows.len())
            .map(|row| {
                let diff = i64::from(rows.heads[row].diff);
                [diff, word(1, row), word(5, row), word(6, row)]
            })
            .collect()
    }

    #[test]
    fn final_rows_leave_once_and_nothing_that_comes_after_changes_them() {
        let mut ledger = ledger(Firing::Final);
        assert!(tick(&mut ledger, &[(0, 3), (1, 2), (2, 1)], 9).is_empty());
        assert_eq!(tick(&mut ledger, &[], 10), [[1, 0, 3, 3]]);
        let late = [(0, 7), (1, 1)];
        assert_eq!(tick(&mut ledger, &late, 20), [[1, 1, 3, 3]]);
        assert!(tick(&mut ledger, &[(1, -1), (0, -1)], i64::MAX).is_empty());
        assert_eq!(ledger.windows_kept(), 0);
    }

    #[test]
    fn changing_rows_follow_corrections_until_they_are_settled() {
        let mut ledger = ledger(Firing::Changes { keep: Span(15) });
        let first = tick(&mut ledger, &[(0, 3), (1, 2)], 10);
        assert_eq!(first, [[1, 0, 3, 3], [1, 1, 2, 3]]);
        let window = tick(&mut ledger, &[(1, 1)], 10);
        assert_eq!(window, [[-1, 1, 2, 3], [1, 1, 3, 3]]);
        let reference = tick(&mut ledger, &[(0, 1)], 24);
        #[rustfmt::skip]
        assert_eq!(reference, [[-1, 0, 3, 3], [1, 0, 4, 4], [-1, 1, 3, 3], [1, 1, 3, 4]]);
        // The watermark is 15 past the end of window 0 after this tick, so it is settled then.
        let last = tick(&mut ledger, &[(0, 1), (1, -2)], 25);
        #[rustfmt::skip]
        assert_eq!(last, [[-1, 0, 4, 4], [1, 0, 5, 5], [-1, 1, 3, 4]]);
        assert_eq!(tick(&mut ledger, &[(0, 9), (1, 1)], 35), [[1, 1, 2, 5]]);
        assert!(tick(&mut ledger, &[(0, -5), (1, -2)], 36).is_empty());
        assert_eq!(ledger.windows_kept(), 0);
    }

    #[test]
    fn the_same_facts_again_and_back_change_nothing() {
        let mut ledger = ledger(Firing::Changes { keep: Span(15) });
        tick(&mut ledger, &[(0, 3), (1, 2)], 10);
        assert!(tick(&mut ledger, &[(1, 4), (0, 1), (1, -4), (0, -1)], 11).is_empty());
    }

    #[test]
    fn an_empty_reference_gives_rows_without_measures() {
        let mut ledger = ledger(Firing::Final);
        ledger.spec.reference = Reference::Stretch {
            from: EventTime(-10),
            until: EventTime(0),
        };
        for category in [5, 6] {
            ledger.apply(Delta {
                monitor: 0,
                in_reference: false,
                window: 0,
                category,
                count: 1,
            });
        }
        let mut rows = Rows::new(8);
        ledger.close(EventTime(10), &mut rows);
        let words: Vec<i64> = rows.columns.iter().map(|c| c.words[0]).collect();
        assert_eq!(words, [0, 0, 70, NULL, NULL, 2, 0, 2]);
    }
}
