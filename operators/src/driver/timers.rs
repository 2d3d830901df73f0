//! Timers: which slot wants to be looked at when, in event time that never steps back.
//!
//! A radix heap: entries sit in the bucket of the highest bit in which their time differs from the
//! last time popped. Pushing costs O(1); an entry only ever moves to lower buckets, so popping costs
//! O(64) amortised and in practice two or three moves. Nothing is removed early: the owner remembers
//! which of its entries is the valid one and ignores the others when they come up.

use tidegate_schemas::time::EventTime;

/// A monotone queue of (time, slot).
#[derive(Debug)]
pub(super) struct Timers {
    last: u64,
    buckets: Vec<Vec<(u64, u32)>>,
    len: usize,
}

/// Times in the order of unsigned numbers.
fn rank(at: EventTime) -> u64 {
    (at.0 as u64) ^ (1 << 63)
}

fn time(rank: u64) -> EventTime {
    EventTime((rank ^ (1 << 63)) as i64)
}

impl Timers {
    pub(super) fn new() -> Timers {
        Timers {
            last: 0,
            buckets: vec![Vec::new(); 65],
            len: 0,
        }
    }

    fn bucket(&self, rank: u64) -> usize {
        64 - (rank ^ self.last).leading_zeros() as usize
    }

    /// Adds an entry. A time that has been passed comes up at the next [`Timers::pop`].
    pub(super) fn push(&mut self, at: EventTime, slot: u32) {
        let rank = rank(at).max(self.last);
        let bucket = self.bucket(rank);
        self.buckets[bucket].push((rank, slot));
        self.len += 1;
    }

    /// The next entry at or before `until`.
    pub(super) fn pop(&mut self, until: EventTime) -> Option<(EventTime, u32)> {
        if self.len == 0 {
            return None;
        }
        if self.buckets[0].is_empty() {
            let first = self.buckets.iter().position(|b| !b.is_empty())?;
            let least = self.buckets[first].iter().map(|(rank, _)| *rank).min()?;
            if least > rank(until) {
                return None;
            }
            self.last = least;
            let mut moved = std::mem::take(&mut self.buckets[first]);
            for (rank, slot) in moved.drain(..) {
                let bucket = self.bucket(rank);
                self.buckets[bucket].push((rank, slot));
            }
            // The room is kept for the next entries of this bucket, unless it has grown large.
            if moved.capacity() <= 1 << 16 {
                self.buckets[first] = moved;
            }
        }
        if self.last > rank(until) {
            return None;
        }
        let (rank, slot) = self.buckets[0].pop()?;
        self.len -= 1;
        if self.len == 0 {
            self.buckets.iter_mut().for_each(|b| b.shrink_to(1 << 10));
        }
        Some((time(rank), slot))
    }

    /// Forgets everything, for a rebuild.
    pub(super) fn clear(&mut self) {
        let last = self.last;
        *self = Timers::new();
        self.last = last;
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.buckets
            .iter()
            .map(|b| b.capacity() * size_of::<(u64, u32)>())
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    #[test]
    fn entries_come_up_in_order_and_only_when_due() {
        for seed in 0..200 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut timers = Timers::new();
            let mut waiting: Vec<(i64, u32)> = Vec::new();
            let mut now = -1_000i64;
            for step in 0..300 {
                for _ in 0..random.random_range(0..4) {
                    let at = now + random.random_range(0..2_000);
                    timers.push(EventTime(at), step);
                    waiting.push((at, step));
                }
                now += random.random_range(0..300);
                let mut due: Vec<_> = waiting.extract_if(.., |(at, _)| *at <= now).collect();
                let mut popped = Vec::new();
                while let Some((at, slot)) = timers.pop(EventTime(now)) {
                    popped.push((at.0, slot));
                }
                assert!(popped.is_sorted_by_key(|(at, _)| *at), "seed {seed}");
                due.sort_unstable();
                popped.sort_unstable();
                assert_eq!(popped, due, "seed {seed}");
            }
        }
    }

    #[test]
    fn the_end_of_time_can_be_reached() {
        let mut timers = Timers::new();
        timers.push(EventTime::MAX, 1);
        timers.push(EventTime(0), 2);
        assert_eq!(timers.pop(EventTime(-1)), None);
        assert_eq!(timers.pop(EventTime::MAX), Some((EventTime(0), 2)));
        assert_eq!(timers.pop(EventTime::MAX), Some((EventTime::MAX, 1)));
        assert_eq!(timers.pop(EventTime::MAX), None);
    }
}
