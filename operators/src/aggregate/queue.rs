//! A monotone queue: the greatest value of every window of a lane, from one structure.

use std::collections::VecDeque;

use tidegate_schemas::time::EventTime;

/// The values that are the greatest from their time on, oldest and greatest first.
///
/// Invariant: times never fall and values strictly fall from front to back. So the greatest value
/// later than any time is the first one that is later than it, and one queue serves all windows.
///
/// # State
/// At most one entry per fact of the longest window, usually a handful; 16 B each. O(1) amortised a
/// fact, O(log n) a read.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    entries: VecDeque<(EventTime, i64)>,
}

impl Queue {
    /// Adds a value at a time not before any other. `oldest` says, when there is no more room, up
    /// to which time entries are of no use to any window.
    pub fn push(&mut self, at: EventTime, value: i64, oldest: impl FnOnce() -> EventTime) {
        while self.entries.back().is_some_and(|(_, last)| *last <= value) {
            self.entries.pop_back();
        }
        if self.entries.len() == self.entries.capacity() {
            let oldest = oldest();
            while self.entries.front().is_some_and(|(at, _)| *at <= oldest) {
                self.entries.pop_front();
            }
        }
        self.entries.push_back((at, value));
    }

    /// The greatest value later than `cut`.
    #[must_use]
    pub fn greatest_after(&self, cut: EventTime) -> Option<i64> {
        let first = self.entries.partition_point(|(at, _)| *at <= cut);
        self.entries.get(first).map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_of_every_suffix() {
        let values = [3, 1, 4, 1, 5, 9, 2, 6, 5, 5, 3];
        let mut queue = Queue::default();
        for (at, value) in values.iter().enumerate() {
            queue.push(EventTime(at as i64), *value, || EventTime(-1));
            for cut in -1..=at as i64 {
                let expected = values[(cut + 1) as usize..=at].iter().max().copied();
                assert_eq!(queue.greatest_after(EventTime(cut)), expected);
            }
        }
    }

    #[test]
    fn old_entries_make_room() {
        let mut queue = Queue::default();
        for at in 0..10_000 {
            queue.push(EventTime(at), -at, || EventTime(at - 10));
        }
        assert!(queue.entries.capacity() <= 32);
        assert_eq!(queue.greatest_after(EventTime(9_994)), Some(-9_995));
    }
}
