//! The facts of one lane in order, with running totals, shared by all windows of the lane.
//!
//! A record is `[totals before it][time][value]`, in words; totals and value are there only where a
//! column needs them ([`Layout`]). Behind the last record stand the totals after it. The moments of
//! any stretch are thus the totals behind it less those before it, and a window needs no state of
//! its own: it finds its oldest record by binary search.
//!
//! Records are kept in one open buffer until there are [`CHUNK`] of them; then they are sealed and
//! shared between copies of the state, so that copying a busy key copies pointers.

use std::collections::VecDeque;
use std::sync::Arc;

use tidegate_schemas::time::EventTime;

use super::layout::Layout;
use super::moments::Moments;

/// Records per sealed piece.
pub const CHUNK: usize = 256;

/// A full piece that no longer changes.
#[derive(Clone, Debug)]
struct Sealed {
    newest: EventTime,
    words: Arc<[i64]>,
}

/// Sealed pieces, oldest first.
#[derive(Clone, Debug, Default)]
struct Pieces(VecDeque<Sealed>);

/// Records in time order. Indices count from the oldest that is still kept.
///
/// # State
/// 8 B times the layout's stride per record. Room grows 2, 4, … 256 records, then piece by piece;
/// at most half of the open buffer is stale when it grows.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    open: Vec<i64>,
    // Boxed because only busy keys have any: a quiet key pays 8 bytes.
    sealed: Option<Box<Pieces>>,
    open_records: u32,
}

impl Ring {
    /// How many records there are.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.sealed_records() + self.open_records as usize
    }

    /// Reads the oldest record that may still change place, and the end, for whoever wants them nearer to
    /// the processor.
    #[must_use]
    #[inline]
    pub fn touch(&self) -> u64 {
        let ends = self.open.first().zip(self.open.last());
        ends.map_or(0, |(first, last)| (first ^ last) as u64)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    fn sealed_records(&self) -> usize {
        self.sealed.as_ref().map_or(0, |s| s.0.len() * CHUNK)
    }

    /// Whether the next push needs [`Ring::make_room`] first.
    #[must_use]
    #[inline]
    pub fn is_full(&self, layout: &Layout) -> bool {
        self.open_records as usize == CHUNK
            || self.open.len().max(layout.totals) + layout.stride > self.open.capacity()
    }

    /// Drops sealed pieces of which the `stale` oldest records make up the whole, and answers how
    /// many records that were.
    pub fn drop_pieces(&mut self, stale: usize) -> usize {
        let mut dropped = 0;
        if let Some(sealed) = &mut self.sealed {
            while !sealed.0.is_empty() && stale >= dropped + CHUNK {
                sealed.0.pop_front();
                dropped += CHUNK;
            }
            if sealed.0.is_empty() {
                self.sealed = None;
            }
        }
        dropped
    }

    /// Makes room for a record, when the `stale` oldest are of no use any more, and answers how
    /// many were dropped from the front.
    pub fn make_room(&mut self, layout: &Layout, stale: usize) -> usize {
        let dropped = self.drop_pieces(stale);
        let records = self.open_records as usize;
        let stale = stale - dropped;
        if self.sealed.is_none() && stale > 0 && stale * 2 >= records {
            self.open.drain(..stale * layout.stride);
            self.open_records -= stale as u32;
            return dropped + stale;
        }
        if records < CHUNK {
            let room = (records * 2).clamp(2, CHUNK);
            let words = room * layout.stride + layout.totals;
            self.open.reserve_exact(words - self.open.len());
        } else {
            self.seal(layout);
        }
        dropped
    }

    fn seal(&mut self, layout: &Layout) {
        let end = CHUNK * layout.stride;
        let piece = Sealed {
            newest: self.time_at(layout, self.len() - 1),
            words: self.open[..end].into(),
        };
        self.open.drain(..end);
        self.open_records = 0;
        self.sealed.get_or_insert_default().0.push_back(piece);
    }

    /// Whether the oldest sealed piece is wholly at or before `cut`: then [`Ring::drop_pieces`] may
    /// free it.
    #[must_use]
    #[inline]
    pub fn has_stale_piece(&self, cut: impl FnOnce() -> EventTime) -> bool {
        let oldest = self.sealed.as_ref().and_then(|s| s.0.front());
        oldest.is_some_and(|piece| piece.newest <= cut())
    }

    /// Adds a fact at a time not before any other. There must be room.
    #[inline]
    pub fn push(&mut self, layout: &Layout, at: EventTime, value: i64) {
        if layout.totals == 0 {
            self.open.push(at.0);
            if layout.values {
                self.open.push(value);
            }
            self.open_records += 1;
        } else {
            self.push_folded(layout, at, value, &layout.moments_of(value));
        }
    }

    /// Adds a record that stands for facts with these moments, at a time not before any other.
    /// There must be room.
    pub fn push_folded(&mut self, layout: &Layout, at: EventTime, value: i64, moments: &Moments) {
        if self.open.is_empty() {
            self.open.resize(layout.totals, 0);
        }
        let mut words = [at.0, value, 0, 0, 0, 0, 0, 0];
        let own = 1 + usize::from(layout.values);
        let after = self.end_totals(layout).plus(*moments);
        layout.store(&after, &mut words[own..]);
        // One by one: for so few words a call to copy them is dear.
        let words = &words[..own + layout.totals];
        words.iter().for_each(|word| self.open.push(*word));
        self.open_records += 1;
    }

    /// Adds a fact to the newest record, which must be there.
    pub fn add_to_newest(&mut self, layout: &Layout, value: i64) {
        let after = self.end_totals(layout).plus(layout.moments_of(value));
        let end = self.open.len() - layout.totals;
        layout.store(&after, &mut self.open[end..]);
    }

    fn end_totals(&self, layout: &Layout) -> Moments {
        layout.load(&self.open[self.open.len() - layout.totals..])
    }

    fn record(&self, layout: &Layout, index: usize) -> &[i64] {
        let sealed_records = self.sealed_records();
        let (words, index) = match &self.sealed {
            Some(sealed) if index < sealed_records => {
                (&*sealed.0[index / CHUNK].words, index % CHUNK)
            }
            _ => (&*self.open, index - sealed_records),
        };
        &words[index * layout.stride..(index + 1) * layout.stride]
    }

    /// The time of a record.
    #[must_use]
    pub fn time_at(&self, layout: &Layout, index: usize) -> EventTime {
        EventTime(self.record(layout, index)[layout.totals])
    }

    /// The value of a record, where records hold values.
    #[must_use]
    pub fn value_at(&self, layout: &Layout, index: usize) -> i64 {
        self.record(layout, index)[layout.totals + 1]
    }

    /// The time of the newest record.
    #[must_use]
    #[inline]
    pub fn newest(&self, layout: &Layout) -> Option<EventTime> {
        if self.open_records > 0 {
            return Some(EventTime(self.open[self.open.len() - layout.stride]));
        }
        self.sealed.as_ref()?.0.back().map(|piece| piece.newest)
    }

    /// How many facts the records from `from` up to the end stand for.
    #[must_use]
    #[inline]
    pub fn facts_from(&self, layout: &Layout, from: usize) -> u64 {
        if layout.counts {
            self.moments_from(layout, from).n
        } else {
            (self.len() - from) as u64
        }
    }

    /// The moments of the records from `from` up to the end.
    #[must_use]
    pub fn moments_from(&self, layout: &Layout, from: usize) -> Moments {
        self.moments_between(layout, from, self.len())
    }

    /// The moments of the records `from..to`.
    #[must_use]
    pub fn moments_between(&self, layout: &Layout, from: usize, to: usize) -> Moments {
        let mut moments = Moments::default();
        if from < to && layout.totals > 0 {
            let behind = if to == self.len() {
                self.end_totals(layout)
            } else {
                layout.load(self.record(layout, to))
            };
            moments = behind.minus(layout.load(self.record(layout, from)));
        }
        if !layout.counts {
            moments.n = (to - from) as u64;
        }
        moments
    }

    /// The index of the first record later than `cut`.
    #[must_use]
    pub fn first_after(&self, layout: &Layout, cut: EventTime) -> usize {
        let mut before = 0;
        if let Some(sealed) = &self.sealed {
            let piece = sealed.0.partition_point(|piece| piece.newest <= cut);
            before = piece * CHUNK;
            if let Some(piece) = sealed.0.get(piece) {
                return before + first_after(&piece.words, layout, CHUNK, cut);
            }
        }
        before + first_after(&self.open, layout, self.open_records as usize, cut)
    }
}

/// The first of `records` records in `words` that is later than `cut`.
fn first_after(words: &[i64], layout: &Layout, records: usize, cut: EventTime) -> usize {
    let is_out = |index: usize| words[index * layout.stride + layout.totals] <= cut.0;
    if records == 0 || !is_out(0) {
        return 0;
    }
    // The search takes the same steps whatever it meets, so that no branch is mispredicted.
    let (mut last_out, mut left) = (0, records);
    while left > 1 {
        let half = left / 2;
        let middle = last_out + half;
        last_out = std::hint::select_unpredictable(is_out(middle), middle, last_out);
        left -= half;
    }
    last_out + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::layout::Holds;

    fn push(ring: &mut Ring, layout: &Layout, at: i64, value: i64, cut: i64) -> usize {
        let mut dropped = 0;
        if ring.is_full(layout) {
            let stale = ring.first_after(layout, EventTime(cut));
            dropped = ring.make_room(layout, stale);
        }
        ring.push(layout, EventTime(at), value);
        dropped
    }

    #[test]
    fn a_window_of_any_width_has_the_sum_of_its_records() {
        let layout = Layout::new(&[Holds::Squares, Holds::Values]);
        let mut ring = Ring::default();
        let mut first = 0;
        for at in 0..3_000i64 {
            first += push(&mut ring, &layout, at, at * 3 - 500, at - 700);
            if at % 37 == 0 {
                for width in [1, 10, 255, 256, 257, 700] {
                    let from = ring.first_after(&layout, EventTime(at - width));
                    let inside = (at - width + 1).max(first as i64)..=at;
                    let expected = inside
                        .map(|at| Moments::of(at * 3 - 500))
                        .fold(Moments::default(), Moments::plus);
                    assert_eq!(ring.moments_from(&layout, from), expected);
                }
                let newest = ring.len() - 1;
                assert_eq!(ring.value_at(&layout, newest), at * 3 - 500);
            }
        }
        assert!(ring.len() <= 700 + 2 * CHUNK, "stale pieces go");
    }

    #[test]
    fn few_records_take_little_room() {
        let layout = Layout::new(&[]);
        let mut ring = Ring::default();
        for at in 0..2 {
            push(&mut ring, &layout, at, 0, -1);
        }
        assert_eq!(ring.open.capacity(), 2);
        // A trickle whose window holds three records never grows far.
        for at in 2..1_000 {
            push(&mut ring, &layout, at, 0, at - 3);
        }
        assert!(ring.open.capacity() <= 8);
    }

    #[test]
    fn folded_records_stand_for_several_facts() {
        let layout = Layout::new(&[Holds::Counts, Holds::Sums]);
        let mut ring = Ring::default();
        push(&mut ring, &layout, 0, 5, -1);
        ring.add_to_newest(&layout, 6);
        push(&mut ring, &layout, 10, 7, -1);
        assert_eq!(ring.len(), 2);
        let all = ring.moments_from(&layout, 0);
        assert_eq!((all.n, all.sum), (3, 18));
        let first = ring.moments_between(&layout, 0, 1);
        assert_eq!((first.n, first.sum), (2, 11));
    }

    #[test]
    fn copies_share_sealed_pieces() {
        let layout = Layout::new(&[]);
        let mut ring = Ring::default();
        for at in 0..CHUNK as i64 + 1 {
            push(&mut ring, &layout, at, 0, -1);
        }
        let copy = ring.clone();
        let piece = |ring: &Ring| {
            ring.sealed
                .as_ref()
                .and_then(|s| s.0[0].words.first().map(std::ptr::from_ref))
        };
        assert!(piece(&ring).is_some());
        assert_eq!(piece(&ring), piece(&copy));
    }
}
