//! Puts events in the order in which they arrive, some late and some twice, holding only those on the way.
//!
//! Nothing arrives before its event time, so the newest event time seen is never past the arrival time, and a row that arrives less than
//! 2 h after its event time is never late for a job that allows 2 h. The longest delay stays 5 minutes below that.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{dice::Dice, events::Event};

const MINUTE_MS: u64 = 60_000;
const LONGEST_MS: u64 = 115 * MINUTE_MS;

/// How the rows of a data set reach us.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// By event time, but 5% up to 5 minutes and 1% up to 1 h 55 min late.
    Usual,
    /// Every row late by any delay up to 1 h 55 min; which, the seed says.
    Shuffled(u64),
}

/// Yields the events in arrival order, `duplicates` of them twice.
pub struct Arrivals<E> {
    events: E,
    // How many unique events are to come, and how many of them are to be redelivered.
    to_come: u64,
    to_repeat: u64,
    repeats: Dice,
    delays: Dice,
    order: Order,
    next: Option<Event>,
    on_the_way: BinaryHeap<Reverse<(i64, u64, Event)>>,
    sequence: u64,
}

impl<E: Iterator<Item = Event>> Arrivals<E> {
    /// The arrivals of `unique` events in event-time order. Which are repeated goes by `seed` alone, so that another order is another order
    /// of the same rows.
    pub fn new(
        mut events: E,
        unique: u64,
        duplicates: u64,
        seed: u64,
        order: Order,
    ) -> Arrivals<E> {
        let next = events.next();
        Arrivals {
            events,
            to_come: unique,
            to_repeat: duplicates,
            repeats: Dice::new(seed ^ 0x7265_7065_6174),
            delays: Dice::new(match order {
                Order::Usual => seed ^ 0x6465_6c61_7973,
                Order::Shuffled(shuffle) => shuffle ^ 0x7368_7566_666c_6521,
            }),
            order,
            next,
            on_the_way: BinaryHeap::new(),
            sequence: 0,
        }
    }

    fn delay(&mut self) -> u64 {
        match self.order {
            Order::Shuffled(_) => self.delays.below(LONGEST_MS),
            Order::Usual => match self.delays.below(100) {
                0 => self.delays.below(LONGEST_MS),
                1..=5 => self.delays.below(5 * MINUTE_MS),
                _ => 0,
            },
        }
    }

    fn send(&mut self, event: Event, delay: u64) {
        self.sequence += 1;
        self.on_the_way
            .push(Reverse((event.ts + delay as i64, self.sequence, event)));
    }

    // Selection sampling (Knuth 3.4.2 S) repeats exactly as many as asked for, evenly.
    fn repeated(&mut self) -> bool {
        let chosen = self.repeats.below(self.to_come.max(1)) < self.to_repeat;
        self.to_come = self.to_come.saturating_sub(1);
        self.to_repeat -= u64::from(chosen);
        chosen
    }
}

impl<E: Iterator<Item = Event>> Iterator for Arrivals<E> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            let due = self.on_the_way.peek().map(|Reverse((at, ..))| *at);
            let Some(event) = self.next else {
                return self.on_the_way.pop().map(|Reverse((.., event))| event);
            };
            if due.is_some_and(|due| due <= event.ts) {
                return self.on_the_way.pop().map(|Reverse((.., event))| event);
            }
            self.next = self.events.next();
            let delay = self.delay();
            if self.repeated() {
                // At the original's arrival or after it, and as strictly within lateness as any row.
                let again = delay + self.delays.below(LONGEST_MS - delay);
                if delay > 0 {
                    self.send(event, delay);
                }
                self.send(event, again);
                if delay > 0 {
                    continue;
                }
            } else if delay > 0 {
                self.send(event, delay);
                continue;
            }
            return Some(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::events::Events, *};

    const UNIQUE: u64 = 99_500;
    const TWICE: u64 = 500;

    fn arrivals(order: Order) -> Vec<Event> {
        Arrivals::new(Events::new(5, UNIQUE), UNIQUE, TWICE, 5, order).collect()
    }

    fn lateness(rows: &[Event]) -> Vec<i64> {
        let mut newest = i64::MIN;
        rows.iter()
            .map(|e| {
                newest = newest.max(e.ts);
                newest - e.ts
            })
            .collect()
    }

    #[test]
    fn nobody_is_two_hours_behind_the_newest() {
        for order in [Order::Usual, Order::Shuffled(1), Order::Shuffled(2)] {
            let worst = lateness(&arrivals(order)).into_iter().max();
            assert!(
                worst.is_some_and(|w| w < 115 * 60_000 && w > 100 * 60_000),
                "{order:?}: {worst:?}"
            );
        }
    }

    #[test]
    fn the_usual_order_has_five_percent_and_one_percent_late() {
        let late = lateness(&arrivals(Order::Usual));
        let share =
            |from: i64| late.iter().filter(|l| **l > from).count() as f64 / late.len() as f64;
        assert!((0.055..0.065).contains(&share(0)), "{}", share(0));
        assert!(
            (0.009..0.016).contains(&share(5 * 60_000)),
            "{}",
            share(5 * 60_000)
        );
    }

    #[test]
    fn exactly_as_many_duplicates_as_asked_with_the_same_content() {
        let mut rows = arrivals(Order::Usual);
        assert_eq!(rows.len() as u64, UNIQUE + TWICE);
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len() as u64, UNIQUE);
        rows.dedup_by_key(|e| e.id);
        assert_eq!(rows.len() as u64, UNIQUE);
    }

    #[test]
    fn a_shuffle_is_another_order_of_the_same_rows() {
        let (mut usual, mut shuffled) = (arrivals(Order::Usual), arrivals(Order::Shuffled(9)));
        assert_ne!(usual, shuffled);
        usual.sort_unstable();
        shuffled.sort_unstable();
        assert_eq!(usual, shuffled);
    }
}
