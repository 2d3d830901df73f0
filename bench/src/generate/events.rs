//! The events of the workload in event-time order: who, when, what.
//!
//! Besides the draw there are three kinds of edges, so that an engine that is wrong at them gives other answers:
//! rows of one customer at the same instant; rows exactly 30 min, 1 h, 24 h or 7 days after another of the customer; ids that do not
//! ascend with time inside a block of 1,024.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    dice::{Alias, Dice},
    journey::{self, Journeys},
};

/// 2024-01-01T00:00:00Z in milliseconds since 1970.
pub const START_MS: i64 = 1_704_067_200_000;
/// How many customers there are.
pub const CUSTOMERS: u32 = 500_000;
/// How many days the events cover.
pub const DAYS: i64 = 30;
const HOURS: usize = 24 * DAYS as usize;
const HOUR_MS: i64 = 3_600_000;
const ZIPF: f64 = 1.05;

/// One row of the workload. Nulls are `None`; decimals are integers in their last place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// Event time in milliseconds since 1970.
    pub ts: i64,
    /// Unique, except that a redelivery repeats it.
    pub id: u64,
    /// The number in `c0001234`.
    pub customer: u32,
    /// Index into [`journey::CHANNELS`].
    pub channel: u8,
    /// Index into [`journey::KINDS`].
    pub kind: u8,
    /// The number in `t07`.
    pub topic: u8,
    /// Only of a message, in thousandths.
    pub sentiment_milli: Option<i16>,
    /// Only of a survey.
    pub csat: Option<i8>,
    /// Only of a resolved contact, in hundredths of a second.
    pub handle_cents: Option<u32>,
}

/// Weights of the hours of a day, in UTC: a night, a morning peak, an evening.
const DAY_CURVE: [f64; 24] = [
    0.35, 0.25, 0.2, 0.18, 0.2, 0.3, 0.55, 0.9, 1.3, 1.6, 1.7, 1.65, 1.5, 1.5, 1.6, 1.55, 1.45,
    1.3, 1.25, 1.2, 1.1, 0.95, 0.75, 0.5,
];
const WEEKEND: f64 = 0.7;

/// Yields the unique events in event-time order.
pub struct Events {
    dice: Dice,
    customers: Alias,
    journeys: Journeys,
    // Share of all rows before each hour, and 1 at the end.
    before_hour: Vec<f64>,
    hour: usize,
    total: u64,
    made: u64,
    last: Option<(i64, u32)>,
    echoes: BinaryHeap<Reverse<(i64, u32, u8)>>,
}

impl Events {
    /// The first `total` events of a seed are all its events: another total is another sample.
    pub fn new(seed: u64, total: u64) -> Events {
        let weights: Vec<f64> = (0..CUSTOMERS)
            .map(|k| f64::from(k + 1).powf(-ZIPF))
            .collect();
        Events {
            dice: Dice::new(seed),
            customers: Alias::new(&weights),
            journeys: Journeys::new(CUSTOMERS as usize),
            before_hour: shares_before_hours(),
            hour: 0,
            total,
            made: 0,
            last: None,
            echoes: BinaryHeap::new(),
        }
    }

    // Rows are spread over the hours by stratified sampling, so they come out sorted without being held.
    fn next_ts(&mut self) -> i64 {
        let share = (self.made as f64 + self.dice.unit()) / self.total as f64;
        while self.hour + 1 < HOURS && self.before_hour[self.hour + 1] <= share {
            self.hour += 1;
        }
        let (from, to) = (self.before_hour[self.hour], self.before_hour[self.hour + 1]);
        let inside = ((share - from) / (to - from) * HOUR_MS as f64) as i64;
        START_MS + self.hour as i64 * HOUR_MS + inside.clamp(0, HOUR_MS - 1)
    }

    fn who_and_when(&mut self) -> (i64, u32, Option<u8>) {
        let ts = self.next_ts();
        if let Some(Reverse((due, ..))) = self.echoes.peek()
            && *due <= ts
            && let Some(Reverse((due, customer, kind))) = self.echoes.pop()
        {
            return (due, customer, Some(kind));
        }
        match self.last {
            Some((ts, customer)) if self.dice.one_in(100) => (ts, customer, None),
            _ => (
                ts,
                number_of_rank(self.customers.pick(&mut self.dice) as u32),
                None,
            ),
        }
    }

    fn maybe_echo(&mut self, ts: i64, customer: u32, kind: u8) {
        let chance = if kind == journey::CONTACT_OPENED {
            50
        } else {
            2_000
        };
        if self.dice.one_in(chance) {
            let after =
                [HOUR_MS / 2, HOUR_MS, 24 * HOUR_MS, 7 * 24 * HOUR_MS][self.dice.below(4) as usize];
            if ts + after < START_MS + DAYS * 24 * HOUR_MS {
                self.echoes.push(Reverse((ts + after, customer, kind)));
            }
        }
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.made == self.total {
            return None;
        }
        let (ts, customer, echo) = self.who_and_when();
        let dice = &mut self.dice;
        let kind = match echo {
            Some(kind) => kind,
            None => self.journeys.next_kind(customer, dice),
        };
        let event = Event {
            ts,
            id: id_of(self.made),
            customer,
            channel: self.journeys.channel(dice),
            kind,
            topic: self.journeys.topic((ts - START_MS) / (24 * HOUR_MS), dice),
            sentiment_milli: (kind == journey::MESSAGE).then(|| journey::sentiment_milli(dice)),
            csat: (kind == journey::SURVEY).then(|| journey::csat(dice)),
            handle_cents: (kind == journey::CONTACT_RESOLVED).then(|| journey::handle_cents(dice)),
        };
        self.maybe_echo(ts, customer, kind);
        self.made += 1;
        self.last = Some((ts, customer));
        Some(event)
    }
}

fn shares_before_hours() -> Vec<f64> {
    let weight = |hour: usize| {
        let (day, of_day) = (hour / 24, hour % 24);
        // 2024-01-01 is a Monday.
        DAY_CURVE[of_day] * if day % 7 >= 5 { WEEKEND } else { 1.0 }
    };
    let total: f64 = (0..HOURS).map(weight).sum();
    let mut shares = Vec::with_capacity(HOURS + 1);
    let mut sum = 0.0;
    for hour in 0..HOURS {
        shares.push(sum / total);
        sum += weight(hour);
    }
    shares.push(1.0);
    shares
}

// Activity must not go with the customer's number, or with number mod 4, which is the segment.
fn number_of_rank(rank: u32) -> u32 {
    ((u64::from(rank) * 314_159 + 271) % u64::from(CUSTOMERS)) as u32
}

fn id_of(index: u64) -> u64 {
    let (block, inside) = (index >> 10, index & 1_023);
    1_000_000 + (block << 10) + ((inside * 389 + 77 * block) & 1_023)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    const N: u64 = 200_000;

    fn sample() -> Vec<Event> {
        Events::new(1, N).collect()
    }

    #[test]
    fn sorted_by_time_within_thirty_days_with_unique_ids() {
        let events = sample();
        assert_eq!(events.len() as u64, N);
        assert!(events.is_sorted_by_key(|e| e.ts));
        assert!(
            events
                .iter()
                .all(|e| (START_MS..START_MS + DAYS * 24 * HOUR_MS).contains(&e.ts))
        );
        assert!(
            events
                .last()
                .is_some_and(|e| e.ts > START_MS + (DAYS * 24 - 1) * HOUR_MS)
        );
        assert_eq!(
            events.iter().map(|e| e.id).collect::<HashSet<_>>().len() as u64,
            N
        );
    }

    #[test]
    fn same_seed_same_events() {
        assert_eq!(sample(), sample());
        assert_ne!(Events::new(2, N).next(), Events::new(1, N).next());
    }

    #[test]
    fn one_customer_is_a_tenth_and_contacts_are_six_percent() {
        let events = sample();
        let mut rows = HashMap::<u32, u64>::new();
        for e in &events {
            *rows.entry(e.customer).or_default() += 1;
        }
        let mut rows: Vec<u64> = rows.into_values().collect();
        rows.sort_unstable_by(|a, b| b.cmp(a));
        assert!(
            (0.09..0.11).contains(&(rows[0] as f64 / N as f64)),
            "{}",
            rows[0]
        );
        assert!(
            (0.04..0.055).contains(&(rows[1] as f64 / N as f64)),
            "{}",
            rows[1]
        );
        let contacts = events
            .iter()
            .filter(|e| e.kind == journey::CONTACT_OPENED)
            .count();
        assert!(
            (0.055..0.07).contains(&(contacts as f64 / N as f64)),
            "{contacts}"
        );
    }

    #[test]
    fn nulls_go_by_kind() {
        for e in sample() {
            assert_eq!(e.sentiment_milli.is_some(), e.kind == journey::MESSAGE);
            assert_eq!(e.csat.is_some(), e.kind == journey::SURVEY);
            assert_eq!(
                e.handle_cents.is_some(),
                e.kind == journey::CONTACT_RESOLVED
            );
            assert!(
                e.sentiment_milli
                    .is_none_or(|s| (-1_000..=1_000).contains(&s))
            );
            assert!(e.csat.is_none_or(|s| (1..=5).contains(&s)));
        }
    }

    #[test]
    fn there_are_ties_and_exact_gaps() {
        let events = sample();
        let all: HashSet<(u32, i64)> = events.iter().map(|e| (e.customer, e.ts)).collect();
        assert!(
            all.len() < events.len() - 1_000,
            "rows of a customer at the same instant"
        );
        for gap in [HOUR_MS / 2, HOUR_MS, 24 * HOUR_MS, 7 * 24 * HOUR_MS] {
            assert!(
                all.iter()
                    .filter(|(c, ts)| all.contains(&(*c, ts + gap)))
                    .count()
                    > 20,
                "rows exactly {gap} ms apart"
            );
        }
    }

    #[test]
    fn the_shift_shows_in_the_topics() {
        let share = |late: bool| {
            let day_20 = START_MS + journey::SHIFT_DAY * 24 * HOUR_MS;
            let (mut hits, mut all) = (0.0, 0.0);
            for e in sample().iter().filter(|e| (e.ts >= day_20) == late) {
                all += 1.0;
                hits += f64::from(u8::from(e.topic == 27));
            }
            hits / all
        };
        assert!(share(true) > 2.5 * share(false));
    }
}
