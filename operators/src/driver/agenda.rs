//! An agenda: what is to be looked at when, in event time that never steps back.
//!
//! A radix heap that is emptied in bulk: entries sit in the bucket of the highest bit in which their
//! time differs from the time that has been reached. When that time moves on, let `k` be the highest
//! bit that changes. Then every entry in a bucket below `k` has been passed, every entry above `k` is
//! still to come and stays where it is, and only bucket `k` has to be looked through.
//!
//! Entries of one time always share a bucket, so they come out in the order they went in.
//!
//! # Cost
//! An entry is written once, and once more for each bucket it falls to, half as often as there are
//! bits between its distance and the steps of time: two or three times for steps of minutes, about
//! ten for steps of a millisecond. Nothing is removed early: the owner of a timer remembers which
//! entry is the valid one and ignores the others when they come up.

use tidegate_schemas::time::EventTime;

/// An entry: its time as [`rank`], and what it is about.
pub(super) type Entry<T> = (u64, T);

/// A monotone queue.
#[derive(Debug)]
pub(super) struct Agenda<T> {
    reached: u64,
    buckets: Vec<Vec<Entry<T>>>,
    len: usize,
}

/// Buckets with more room than this give it back when they are empty.
const ROOM: usize = 1 << 12;

/// Times in the order of unsigned numbers.
#[inline]
fn rank(at: EventTime) -> u64 {
    (at.0 as u64) ^ (1 << 63)
}

/// The time of an entry.
#[inline]
pub(super) fn time(rank: u64) -> EventTime {
    EventTime((rank ^ (1 << 63)) as i64)
}

impl<T> Agenda<T> {
    pub(super) fn new() -> Agenda<T> {
        Agenda {
            reached: 0,
            buckets: (0..65).map(|_| Vec::new()).collect(),
            len: 0,
        }
    }

    #[inline]
    fn bucket(&self, rank: u64) -> usize {
        64 - (rank ^ self.reached).leading_zeros() as usize
    }

    /// Adds an entry. A time that has been passed comes out next.
    #[inline]
    pub(super) fn push(&mut self, at: EventTime, item: T) {
        let rank = rank(at).max(self.reached);
        let bucket = self.bucket(rank);
        self.buckets[bucket].push((rank, item));
        self.len += 1;
    }

    /// Moves all entries before `end` to `due`, in no order but that those of one time keep theirs.
    pub(super) fn drain_before(&mut self, end: EventTime, due: &mut Vec<Entry<T>>) {
        if let Some(last) = rank(end).checked_sub(1) {
            self.drain(last, due);
        }
    }

    /// Moves all entries up to `last`, which itself is included, to `due`.
    pub(super) fn drain_until(&mut self, last: EventTime, due: &mut Vec<Entry<T>>) {
        self.drain(rank(last), due);
    }

    fn drain(&mut self, last: u64, due: &mut Vec<Entry<T>>) {
        if last < self.reached {
            return;
        }
        if self.len == 0 {
            self.reached = last;
            return;
        }
        let before = due.len();
        let middle = self.bucket(last);
        for bucket in &mut self.buckets[..middle] {
            due.append(bucket);
            bucket.shrink_to(ROOM);
        }
        self.reached = last;
        let mut mixed = std::mem::take(&mut self.buckets[middle]);
        for (rank, item) in mixed.drain(..) {
            if rank <= last {
                due.push((rank, item));
            } else {
                let bucket = self.bucket(rank);
                self.buckets[bucket].push((rank, item));
            }
        }
        if mixed.capacity() <= ROOM {
            self.buckets[middle] = mixed;
        }
        self.len -= due.len() - before;
    }

    /// All entries, in no order but that those of one time keep theirs.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry<T>> {
        self.buckets.iter().flatten()
    }

    /// All entries.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry<T>> {
        self.buckets.iter_mut().flatten()
    }

    /// Forgets everything, for a rebuild.
    pub(super) fn clear(&mut self) {
        let reached = self.reached;
        *self = Agenda::new();
        self.reached = reached;
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let room: usize = self.buckets.iter().map(Vec::capacity).sum();
        room * size_of::<Entry<T>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    #[test]
    fn entries_come_out_when_due_and_keep_their_order() {
        for seed in 0..500 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut agenda = Agenda::new();
            let mut waiting: Vec<(i64, u32)> = Vec::new();
            let (mut now, mut item) = (-1_000i64, 0);
            for _ in 0..300 {
                for _ in 0..random.random_range(0..6) {
                    let at = now + random.random_range(1..[20, 2_000][item as usize % 2]);
                    agenda.push(EventTime(at), item);
                    waiting.push((at, item));
                    item += 1;
                }
                now += random.random_range(0..300);
                let mut due: Vec<_> = waiting.extract_if(.., |(at, _)| *at <= now).collect();
                let mut drained = Vec::new();
                if random.random_bool(0.5) {
                    agenda.drain_until(EventTime(now), &mut drained);
                } else {
                    agenda.drain_before(EventTime(now + 1), &mut drained);
                }
                let mut drained: Vec<_> = drained.iter().map(|e| (time(e.0).0, e.1)).collect();
                // Stable sorts: what went in first must come first among equal times.
                due.sort_by_key(|(at, _)| *at);
                drained.sort_by_key(|(at, _)| *at);
                assert_eq!(drained, due, "seed {seed}");
                assert_eq!(agenda.iter().count(), waiting.len(), "seed {seed}");
            }
        }
    }

    #[test]
    fn the_ends_of_time_can_be_reached() {
        let mut agenda = Agenda::new();
        let mut due = Vec::new();
        let mut drained = |agenda: &mut Agenda<u32>, until| -> Vec<u32> {
            due.clear();
            agenda.drain_until(until, &mut due);
            due.iter().map(|e| e.1).collect()
        };
        agenda.push(EventTime::MAX, 1);
        agenda.push(EventTime(0), 2);
        agenda.push(EventTime::MIN, 3);
        assert_eq!(drained(&mut agenda, EventTime::MIN), [3]);
        assert_eq!(drained(&mut agenda, EventTime(-1)), [0; 0]);
        agenda.push(EventTime(-5), 4);
        assert_eq!(drained(&mut agenda, EventTime(-1)), [4], "it was passed");
        assert_eq!(drained(&mut agenda, EventTime(7)), [2]);
        assert_eq!(
            drained(&mut agenda, EventTime(3)),
            [0; 0],
            "time steps back"
        );
        assert_eq!(drained(&mut agenda, EventTime::MAX), [1]);
        let mut due = Vec::new();
        agenda.push(EventTime::MAX, 5);
        agenda.drain_before(EventTime::MIN, &mut due);
        assert!(due.is_empty());
        assert_eq!(drained(&mut agenda, EventTime::MAX), [5]);
    }
}
