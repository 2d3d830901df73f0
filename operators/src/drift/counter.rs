//! What a monitor counts in a stretch of time, and how that leaves.

use super::cuts::Cuts;
use super::ledger::{Delta, Form, PageKey};
use super::numbering::Numbering;
use super::segments::Segments;
use super::spec::Monitor;
use super::table::Table;
use super::tally::Cell;

/// The number of the segment that all facts are in.
pub(super) const ALL: u32 = 0;

/// An array by number and segment is no longer than this.
pub(super) const MOST_COUNTS: usize = 1 << 16;

/// Room for what leaves.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// By segment.
    counts: Vec<Vec<(i64, i64)>>,
    overall: Table,
}

/// A monitor, and the edges of its pages as far as they are known.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) monitor: Monitor,
    /// Those that are declared: they hold in every segment.
    pub(super) declared: Option<Cuts>,
    /// By number of the segment.
    pub(super) slots: Vec<Option<Slot>>,
    /// How long the array of counts by bin is.
    pub(super) bins: usize,
    /// The words that are counted by number; `None` if there are too many.
    pub(super) numbers: Option<Numbering>,
}

/// Where the counts of a page's bins are, from `first` on.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    cuts: Cuts,
    first: usize,
}

/// The counts of one monitor in one cell.
#[derive(Debug, Default)]
pub(super) struct Counter {
    /// By number of the word, then of the segment; as long as needed.
    numbered: Vec<i32>,
    /// Words that have no number.
    words: Table,
    /// By bin of each slot.
    bins: Vec<i64>,
    /// By number of the segment.
    pub(super) missing: Vec<i64>,
}

impl Watched {
    /// Has a place for every segment; where edges are declared, they are known.
    pub(super) fn know(&mut self, segments: usize) {
        if let Some(cuts) = &self.declared {
            let cuts = cuts.clone();
            for segment in self.slots.len()..segments {
                self.place(segment as u32, cuts.clone());
            }
        } else if !self.slots.is_empty() && self.slots.len() < segments {
            self.slots.resize(segments, None);
        }
    }

    pub(super) fn place(&mut self, segment: u32, cuts: Cuts) {
        let segment = segment as usize;
        if self.slots.len() <= segment {
            self.slots.resize(segment + 1, None);
        }
        if self.slots[segment].is_none() {
            let first = self.bins;
            self.bins += cuts.bins();
            self.slots[segment] = Some(Slot { cuts, first });
        }
    }

    /// The words that are counted by number and their counts by segment.
    fn numbered<'a>(
        &'a self,
        counts: &'a [i32],
        width: usize,
    ) -> impl Iterator<Item = (i64, &'a [i32])> {
        let numbers = self.numbers.iter();
        let words = numbers.flat_map(|it| (0..it.len()).map(|number| it.word(number)));
        words.zip(counts.chunks(width))
    }
}

impl Counter {
    pub(super) fn fit(&mut self, watched: &Watched, segments: usize) {
        if self.bins.len() < watched.bins {
            self.bins.resize(watched.bins, 0);
        }
        if self.missing.len() < segments {
            self.missing.resize(segments, 0);
        }
    }

    /// Counts by category or value.
    #[inline]
    pub(super) fn by_word(
        &mut self,
        numbers: &mut Option<Numbering>,
        width: usize,
        (segment, word): (u32, i64),
        diff: i32,
    ) {
        // The width is a power of two: to divide by it takes longer than all the rest.
        let most = MOST_COUNTS >> width.trailing_zeros();
        let Some(number) = numbers.as_mut().and_then(|it| it.number(word, most)) else {
            self.words.add(segment, word, diff);
            return;
        };
        let place = number as usize * width + segment as usize;
        if place >= self.numbered.len() {
            self.numbered.resize((number as usize + 1) * width, 0);
        }
        self.numbered[place] += diff;
    }

    /// Counts by bin where bins are known, in the segment and among all; else answers in which segment the
    /// word is to be counted, once: what all facts come to is added up when counts leave.
    #[inline]
    pub(super) fn by_bin(
        &mut self,
        slots: &[Option<Slot>],
        segment: u32,
        word: i64,
        diff: i32,
    ) -> Option<u32> {
        let slot = |segment: u32| slots.get(segment as usize)?.as_ref();
        let mut count = |slot: Option<&Slot>| {
            if let Some(slot) = slot {
                self.bins[slot.first + slot.cuts.bin(word)] += i64::from(diff);
            }
            slot.is_none()
        };
        let all_wanted = count(slot(ALL));
        match segment != ALL && count(slot(segment)) {
            true => Some(segment),
            false => all_wanted.then_some(ALL),
        }
    }

    /// Counts in the table what was counted by number.
    pub(super) fn unnumber(&mut self, watched: &Watched, width: usize) {
        let counts = std::mem::take(&mut self.numbered);
        for (word, by_segment) in watched.numbered(&counts, width) {
            for (segment, count) in (0..).zip(by_segment) {
                if *count != 0 {
                    self.words.add(segment, word, *count);
                }
            }
        }
    }

    pub(super) fn drain(
        &mut self,
        watched: &Watched,
        width: usize,
        leaving: &mut Leaving,
        out: &mut Out<'_, impl FnMut(Delta)>,
    ) {
        let Leaving { counts, overall } = leaving;
        let segments = self.missing.len();
        counts.resize_with(segments, Vec::new);
        let sum = segments > 1 && watched.slots.first().is_none_or(Option::is_none);
        for (word, by_segment) in watched.numbered(&self.numbered, width) {
            for (count, by_word) in by_segment.iter().zip(&mut *counts) {
                if *count != 0 {
                    by_word.push((word, i64::from(*count)));
                }
            }
            let all = by_segment.iter().sum();
            if sum && all != 0 {
                overall.add(ALL, word, all);
            }
        }
        self.numbered.clear();
        self.words.drain(|segment, word, count| {
            counts[segment as usize].push((word, count));
            if sum {
                overall.add(ALL, word, count as i32);
            }
        });
        if segments > 1 {
            counts[ALL as usize].clear();
            overall.drain(|_, word, count| counts[ALL as usize].push((word, count)));
            self.missing[ALL as usize] = self.missing.iter().sum();
        }
        for (segment, by_word) in counts.iter_mut().enumerate() {
            let missing = std::mem::take(&mut self.missing[segment]);
            let (form, counts) = match watched.slots.get(segment) {
                Some(Some(slot)) => (Form::Bins, self.take_bins(slot)),
                _ => (Form::Values, std::mem::take(by_word)),
            };
            out.give(segment, form, counts, missing);
        }
    }

    /// The counts of a page's bins that are not zero.
    fn take_bins(&mut self, slot: &Slot) -> Vec<(i64, i64)> {
        let bins = self.bins.get_mut(slot.first..slot.first + slot.cuts.bins());
        let bins = bins.unwrap_or_default();
        let counts = (0..).zip(bins.iter().copied());
        let counts = counts.filter(|(_, count)| *count != 0).collect();
        bins.fill(0);
        counts
    }
}

/// Where counts leave.
pub(super) struct Out<'a, G> {
    pub(super) monitor: u32,
    pub(super) cell: Cell,
    pub(super) segments: &'a Segments,
    pub(super) give: &'a mut G,
}

impl<G: FnMut(Delta)> Out<'_, G> {
    fn give(&mut self, segment: usize, form: Form, counts: Vec<(i64, i64)>, missing: i64) {
        if counts.is_empty() && missing == 0 {
            return;
        }
        (self.give)(Delta {
            page: PageKey {
                monitor: self.monitor,
                segment: self.segments.word(segment),
            },
            in_reference: self.cell.in_reference,
            step: self.cell.step,
            form,
            counts,
            missing,
        });
    }
}
